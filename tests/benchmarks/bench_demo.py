"""How soon `pulse demo` is ready, and what it takes while nobody asks anything."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

LIMITS = {"first start, s": 5.0, "next start, s": 5.0, "idle memory of all processes (PSS), MB": 300.0}
PORT = "18099"
SETTLE_S = 6.0


def figures() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        first, megabytes = _run(Path(home), measure=True)
        second, _ = _run(Path(home), measure=False)
    return {"first start, s": first, "next start, s": second, "idle memory of all processes (PSS), MB": megabytes}


def _run(home: Path, *, measure: bool) -> tuple[float, float]:
    environment = {**os.environ, "PULSE_HOME": str(home)}
    started = time.perf_counter()
    command = [sys.executable, "-m", "pulse", "demo", "--port", PORT]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        assert demo.stdout.readline().startswith("http"), "the demo did not start"
        ready = time.perf_counter() - started
        megabytes = 0.0
        if measure:
            time.sleep(SETTLE_S)
            megabytes = sum(_pss(process) for process in _processes(demo.pid, home)) / 2**20
        demo.send_signal(signal.SIGINT)
        demo.wait(20)
    return ready, megabytes


def _processes(root: int, home: Path) -> set[psutil.Process]:
    """The demo's tree, and the database that it started apart from it."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        if process.pid == root or str(home) in " ".join(process.info["cmdline"] or ()):
            found |= {process, *process.children(recursive=True)}
    return found


def _pss(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
    return int(getattr(memory, "pss", memory.rss))


if __name__ == "__main__":
    print(figures())
