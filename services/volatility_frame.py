"""Where things stand in the volatility pictures: a pane with its transforms, its window and its labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log1p
from typing import TypeVar

import numpy as np

from services.chart_frame import round_number
from services.smile import Floats
from services.volatility import Skew, Term

Number = TypeVar("Number", float, Floats)

_REACH = 2.2
_ROOM = 0.08


@dataclass(frozen=True)
class Plane:
    """A pane in pixels and the transforms into it."""

    left: float
    top: float
    right: float
    bottom: float
    across: tuple[float, float]
    """The values at the left and the right edge."""
    up: tuple[float, float]
    """The values at the lower and the upper edge."""

    def x(self, value: Number) -> Number:
        """Return the column of a value."""
        low, high = self.across
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: Number) -> Number:
        """Return the row of a value."""
        low, high = self.up
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def window(values: Floats) -> tuple[float, float]:
    """Return the least and the largest value with some room around."""
    low, high = float(values.min()), float(values.max())
    room = _ROOM * ((high - low) or 0.1 * abs(high) or 1.0)
    return low - room, high + room


def across(days: float) -> float:
    """Return where a time stands in a term structure: in its logarithm, in which the near expiries have room."""
    return log1p(days)


def rounds(low: float, high: float) -> list[float]:
    """Return some six round values between the two."""
    step = round_number((high - low) / 6)
    return [float(place) * step for place in np.arange(np.ceil(low / step), high / step)]


def strikes_shown(term: Term, skew: Skew) -> tuple[float, float]:
    """Return the strikes between which a skew is drawn: somewhat more than between its wings."""
    low, high = float(skew.strike[0]), float(skew.strike[-1])
    if skew.put_wing:
        low = max(low, term.forward - _REACH * abs(term.forward - skew.put_wing[0]))
    if skew.call_wing:
        high = min(high, term.forward + _REACH * abs(skew.call_wing[0] - term.forward))
    return low, high


def between(skew: Skew, low: float, high: float) -> Floats:
    """Return strikes and volatilities (n × 2) of a skew from one strike to another, ends interpolated."""
    low, high = max(low, float(skew.strike[0])), min(high, float(skew.strike[-1]))
    inner = skew.strike[(skew.strike > low) & (skew.strike < high)]
    strikes = np.concatenate(([low], inner, [high])) if low < high else np.empty(0)
    return np.column_stack((strikes, np.interp(strikes, skew.strike, skew.iv)))


def apart(wishes: Iterable[tuple[float, float]], left: float, right: float, gap: float = 18) -> list[int]:
    """Return the places of those (middle, width) boxes that do not overlap an earlier one, nor leave the edges."""
    taken: list[tuple[float, float]] = []
    places = []
    for place, (middle, width) in enumerate(wishes):
        begin, end = middle - width / 2, middle + width / 2
        if left <= begin and end <= right and all(end + gap <= other or last + gap <= begin for other, last in taken):
            taken.append((begin, end))
            places.append(place)
    return places


def by_weight(terms: Sequence[Term], chosen: Term) -> list[Term]:
    """Return the terms in the order in which they get labels: the chosen one, monthlies, the others."""
    return sorted(terms, key=lambda term: (term is not chosen, not term.expiration.monthly, term.days))
