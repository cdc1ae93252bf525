"""How long work takes, as measured and as it would be at a reference speed.

A shared machine is slow for minutes and quick again, and has other things to do. So a fixed piece of work is timed
beside every round of the work that is measured, and both by the processor time that they take: what the piece takes
longer than at the reference speed is the machine's, not the product's.
"""

import gc
import json
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

REFERENCE_MS = 2.0
"""What the piece takes on an undisturbed core of a usual server of 2024 (AMD EPYC, 3 GHz)."""

_TEXT = json.dumps([{"name": f"row {number}", "value": number / 7, "none": None} for number in range(1500)])
_NUMBERS = np.linspace(0.0, 1.0, 60_000)


class Figure(float):
    """What was measured; `at_reference` is what a limit is held against."""

    at_reference: float

    def over(self, other: "Figure") -> float:
        """How many times as long as another this takes."""
        return self.at_reference / other.at_reference


def paced(measured: float, pace: float) -> Figure:
    """Give a figure beside which the piece took `pace` times what it takes at the reference speed."""
    figure = Figure(measured)
    figure.at_reference = measured / pace
    return figure


def pace() -> float:
    """Return how many times as long as at the reference speed the piece takes now."""
    started = time.process_time()
    _piece()
    return (time.process_time() - started) * 1000 / REFERENCE_MS


def alternately(*ways: Callable[[], object], rounds: int = 9) -> tuple[Figure, ...]:
    """Return the median milliseconds of each way, timed in turn so that a busy machine is fair to all of them."""
    measured = [list[float]() for _ in ways]
    at_reference = [list[float]() for _ in ways]
    gc.collect()
    for _ in range(rounds):
        for number, way in enumerate(ways):
            before = pace()
            started, worked = time.perf_counter(), time.process_time()
            way()
            worked = time.process_time() - worked
            measured[number].append((time.perf_counter() - started) * 1000)
            at_reference[number].append(worked * 1000 / ((before + pace()) / 2))
    return tuple(map(_figure, measured, at_reference))


def timed(way: Callable[[], object], rounds: int = 9) -> Figure:
    """Return the median milliseconds of one way."""
    return alternately(way, rounds=rounds)[0]


def _figure(measured: Sequence[float], at_reference: Sequence[float]) -> Figure:
    figure = Figure(median(measured))
    figure.at_reference = median(at_reference)
    return figure


def _piece() -> None:
    # A third each of parsing, of Python's own steps and of arithmetic: what the product does.
    rows = json.loads(_TEXT)
    names: dict[str, float] = {}
    for row in rows:
        for step in (1, 2, 3, 4):
            names[row["name"]] = row["value"] * step + names.get(row["name"], 0.0)
    for _ in range(2):
        np.exp(-_NUMBERS * _NUMBERS).cumsum()
