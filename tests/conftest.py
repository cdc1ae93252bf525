"""What every test may ask for: the shared reference data, and installed programs, or a skip that says why."""

import os
import shutil
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("PULSE_SHARED") or Path(__file__).parents[2] / "shared")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_BROWSERS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def absent(what: str) -> None:
    """Skip the test, or fail it where CI has promised to install everything."""
    if os.environ.get("PULSE_REQUIRE_CLIENTS"):
        pytest.fail(f"{what}, which CI must have")
    pytest.skip(what)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded chains and reference values."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no recorded chains at {SHARED / 'data'} (PULSE_SHARED names another place)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_specs() -> Path:
    """The folder of official API descriptions."""
    if not (SHARED / "specs").is_dir():
        pytest.skip(f"no API descriptions at {SHARED / 'specs'} (PULSE_SHARED names another place)")
    return SHARED / "specs"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    found = found or next((path for path in MAC_BROWSERS if Path(path).exists()), None)
    if not found:
        absent("no Chromium is installed (CHROMIUM names one)")
    return str(found)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of an installed node."""
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        absent("node and npm are not installed")
    return str(found)
