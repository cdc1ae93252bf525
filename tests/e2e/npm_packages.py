"""Clients in JavaScript, installed once as their lock file says, and kept in pytest's cache."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parent / "clients"
RETRIES = ("--fetch-retries=1", "--fetch-retry-mintimeout=500")
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *RETRIES)
_FILES = ("package.json", "package-lock.json")


def installed(folder: Path, what: str, pytestconfig) -> Path:
    """The folder in which the packages of a lock file lie; skips, or fails in CI, where npm cannot bring them."""
    if (folder / "node_modules").is_dir():
        return folder
    version = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:12]
    home = pytestconfig.cache.mkdir(f"{what}-{version}".replace("/", "-"))
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "installed").exists():
            for name in _FILES:
                shutil.copy(folder / name, home)
            done = subprocess.run(INSTALL, cwd=home, capture_output=True, text=True, timeout=180, check=False)
            if done.returncode:
                tell = pytest.fail if os.environ.get("PULSE_REQUIRE_CLIENTS") else pytest.skip
                tell(f"npm ci did not bring {what}: {done.stderr.splitlines()[0]}")
            (home / "installed").touch()
    return home
