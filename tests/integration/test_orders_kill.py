"""A sample of the kill matrix; `make kill` plays all of it."""

import subprocess
import sys
from pathlib import Path

MATRIX = Path(__file__).parents[1] / "kill" / "matrix.py"


def play(*options: str) -> str:
    done = subprocess.run([sys.executable, MATRIX, *options], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_killed_order_path_loses_and_doubles_nothing():
    assert "0 failed" in play("--only", "directed", "--repeat", "1", "--sample", "25")


def test_a_killed_database_loses_and_doubles_nothing():
    assert "0 failed" in play("--only", "postgres", "--sample", "1")


def test_bots_that_are_killed_while_they_deliver_lose_and_double_nothing():
    assert "0 failed" in play("--only", "delivery", "--sample", "15")


def test_a_killed_watch_of_alerts_loses_and_doubles_nothing():
    assert "0 failed" in play("--only", "alerts", "--sample", "5")


def test_the_harness_catches_every_mutant():
    told = play("--only", "mutants")
    assert told.count("caught") >= 12
    assert "ESCAPED" not in told
