"""What a chain is asked for: by whose definitions, which expiries, what is counted, and in which unit."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from services.expiration import Expiry

RATE = 0.045
"""Yearly interest, continuous, by which money is carried to a settlement unless another rate is given."""


class Mode(StrEnum):
    """By whose definitions; the last two reproduce published programs."""

    OURS = "ours"
    VENDOR = "vendor"
    """Ours, but with the source's own gamma in the bars and in the total."""
    PERFILIEV = "perfiliev"
    GFLOWS = "gflows"


@dataclass(frozen=True, slots=True)
class Lens:
    """One way to look at a chain; a `date` as expiry means that one alone."""

    expiry: Expiry | date = Expiry.ALL
    mode: Mode = Mode.OURS
    by_volume: bool = False
    """Count the contracts traded today instead of those open."""
    per_point: bool = False
    """Exposures in dollars per point instead of per 1 % move."""


PLAIN = Lens()
