# Everything that a newcomer, a developer and CI type. `make demo` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
PULSE_HOME ?= $(CURDIR)/.pulse
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all:
export PULSE_HOME

.PHONY: install demo run test check bench kill clean lock

demo: $(VENV)/.demo
	@exec $(BIN)/pulse demo --port $(PORT)

install: $(VENV)/.demo

run: $(VENV)/.demo
	@exec $(BIN)/pulse run

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/run.py

# Some twenty minutes of SIGKILL at every step of orders, alerts and delivery; `ARGS="--only pairs"` for a part.
kill: $(VENV)/.dev
	$(BIN)/python tests/kill/matrix.py $(ARGS)

clean:
	rm -rf $(VENV) .pulse build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .artifacts tests/e2e/clients/node_modules tests/e2e/clients/prism/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PulseEngine needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements-demo.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements-demo.txt
	$(BIN)/pip --disable-pip-version-check install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.demo | $(VENV)/bin/python
	$(PIP) -r requirements-dev.txt
	@touch $@

# Needs uv on the PATH. One resolution for all supported Python versions and platforms.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
lock:
	$(COMPILE) pyproject.toml --extra check -o requirements-dev.txt
	$(COMPILE) pyproject.toml -c requirements-dev.txt -o requirements.txt
	$(COMPILE) pyproject.toml -c requirements-dev.txt --extra demo --extra build -o requirements-demo.txt
