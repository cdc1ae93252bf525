"""Where things stand in the gamma picture: its window of prices, its scales and its bars, in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, log10
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.gamma import Gamma

Floats = NDArray[np.float64]
Number = TypeVar("Number", float, Floats)

_THINNEST_PITCH = 5.0  # strikes closer together than this many pixels share one bar
_LONGEST_IN_NETS = 2.5  # a call or put bar is cut at this many of the longest net bar


class Bars(NamedTuple):
    """What is drawn per strike, or per bin of strikes where these would be too thin; exposures as in `Gamma`."""

    strikes: Floats
    calls: Floats
    puts: Floats
    step: float
    binned: bool


@dataclass(frozen=True)
class Frame:
    """The plot's box in pixels (`unit` is the picture's scale) and the transforms into it."""

    gamma: Gamma
    unit: float
    left: float
    top: float
    right: float
    bottom: float

    @cached_property
    def window(self) -> tuple[float, float]:
        """Lowest and highest price shown, spot in the middle; levels far away are left to pinned tags."""
        g, step = self.gamma, _usual_step(self.gamma)
        move = g.expected_move or 0.0
        most = min(max(0.12 * g.spot, 3 * move, 10 * step), 0.9 * g.spot)
        levels = [level for level in (g.call_wall, g.put_wall, g.flip) if level is not None]
        reaches = [reach for level in levels if (reach := 1.25 * abs(level - g.spot)) <= most]
        half = min(max([2.5 * move, 0.015 * g.spot, 6 * step, *reaches]), most)
        return g.spot - half, g.spot + half

    @cached_property
    def bars(self) -> Bars:
        """The exposures inside the window."""
        g, (low, high) = self.gamma, self.window
        inside = (g.strikes > low) & (g.strikes < high)
        strikes, calls, puts = g.strikes[inside], g.call_gex[inside], g.put_gex[inside]
        step = float(np.diff(strikes).min(initial=_usual_step(g)))
        thinnest = _THINNEST_PITCH * self.unit * (high - low) / (self.bottom - self.top)
        if step >= thinnest:
            return Bars(strikes, calls, puts, step, binned=False)
        step = round_number(thinnest)
        bins, place = np.unique(np.floor(strikes / step + 0.5), return_inverse=True)
        summed = [np.bincount(place, weights).astype(np.float64) for weights in (calls, puts)]
        return Bars(bins * step, summed[0], summed[1], step, binned=True)

    @cached_property
    def half_bar(self) -> float:
        """Half a bar's height in pixels."""
        low, high = self.window
        pitch = self.bars.step * (self.bottom - self.top) / (high - low)
        return min(0.4 * pitch if pitch > 8 * self.unit else pitch / 2 - 0.7 * self.unit, 11 * self.unit)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The x of zero, and pixels per dollar; both sides get room in proportion to their longest bar.

        Calls and puts that cancel out at one strike may dwarf every net bar, so theirs are cut.
        """
        bars = self.bars
        most = _LONGEST_IN_NETS * float(np.abs(bars.calls + bars.puts).max(initial=0))
        puts, calls = min(float(-bars.puts.min(initial=0)), most), min(float(bars.calls.max(initial=0)), most)
        share = min(max(puts / ((puts + calls) or 1.0), 0.22), 0.78)
        zero = round(self.left + share * (self.right - self.left))
        return zero, self._fit(zero, puts, calls, 16 * self.unit)

    @cached_property
    def curve(self) -> Floats:
        """The profile as pixels (n × 2): its zero is the bars' zero, its scale its own."""
        prices, values = _smooth_profile(self.gamma, *self.window)
        zero, _ = self.scale
        pixels = self._fit(zero, -values.min(initial=0), values.max(initial=0), 30 * self.unit)
        return np.column_stack((zero + values * pixels, self.y(prices)))

    @cached_property
    def band(self) -> tuple[float, float]:
        """Upper and lower row of the expected move, inside the plot."""
        g = self.gamma
        move = g.expected_move or 0.0
        return max(self.y(g.spot + move), self.top), min(self.y(g.spot - move), self.bottom)

    def y(self, price: Number) -> Number:
        """Return the row of a price, or of each."""
        low, high = self.window
        return self.bottom - (price - low) / (high - low) * (self.bottom - self.top)

    def x(self, dollars: Number) -> Number:
        """Return the column of an exposure, or of each."""
        zero, pixels = self.scale
        return zero + dollars * pixels

    def holds(self, y: float, margin: float) -> bool:
        """Tell whether a row lies in the plot, at least `margin` from its ends."""
        return self.top + margin <= y <= self.bottom - margin

    def clutter(self, x: float, y: float, width: float, half: float, lines: Sequence[float]) -> float:
        """Rate what a label at `x`, `y` ± `half` would cover: pixels of bars, and dearer, the curve and `lines`."""
        near = np.abs(self.y(self.bars.strikes) - y) < half + self.half_bar
        starts, ends = np.maximum(self.x(self.bars.puts), x), np.minimum(self.x(self.bars.calls), x + width)
        covered = float(np.maximum(ends - starts, 0)[near].sum())
        crossed = sum(abs(line - y) < half for line in lines)
        columns, rows = self.curve.T
        curved = np.any((np.abs(rows - y) < half) & (x < columns) & (columns < x + width))
        return covered + width * (3 * crossed + 2 * bool(curved))

    def _fit(self, zero: float, puts: float, calls: float, margin: float) -> float:
        rooms = [(zero - self.left - margin, puts), (self.right - zero - margin, calls)]
        return min((room / longest for room, longest in rooms if longest > 0), default=1.0)


def spread(tops: Sequence[float], pitch: float, first: float, last: float) -> list[float]:
    """Move ascending positions apart to at least `pitch`, as little as that takes, within `first`..`last`."""

    def start(block: Sequence[float]) -> float:
        wish = sum(top - pitch * place for place, top in enumerate(block)) / len(block)
        return max(min(wish, last - pitch * (len(block) - 1)), first)

    # Those that touch move as one block around their mean wish.
    blocks: list[list[float]] = []
    for top in tops:
        blocks.append([top])
        while len(blocks) > 1 and start(blocks[-2]) + pitch * len(blocks[-2]) > start(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return [start(block) + pitch * place for block in blocks for place in range(len(block))]


def round_number(near: float, *, down: bool = False) -> float:
    """Return the nearest of 1, 2, 2.5 and 5 times a power of ten that is no smaller than `near` (`down`: no larger)."""
    power = 10.0 ** floor(log10(near))
    steps = [step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0)]
    if down:
        return max(step for step in steps if step <= near * (1 + 1e-9))
    return min(step for step in steps if step >= near * (1 - 1e-9))


def round_prices(low: float, high: float) -> Floats:
    """Return about ten round prices within the window."""
    step = round_number((high - low) / 10)
    if step == 2.5:
        step = 5.0
    return np.arange(floor(low / step) + 1, floor(high / step) + 1, dtype=np.float64) * step


def _usual_step(gamma: Gamma) -> float:
    nearest = np.argsort(np.abs(gamma.strikes - gamma.spot))[:9]
    return float(np.median(np.diff(np.sort(gamma.strikes[nearest])))) if len(nearest) > 1 else 0.02 * gamma.spot


def _smooth_profile(gamma: Gamma, low: float, high: float) -> tuple[Floats, Floats]:
    prices, values = gamma.profile_prices, gamma.profile
    if len(prices) < 2:
        return np.empty(0), np.empty(0)
    if gamma.flip is not None:
        # The flip is known better than the grid tells, so the curve goes through it.
        keep = np.abs(prices - gamma.flip) > 0.3 * np.diff(prices).min()
        at = int(np.searchsorted(prices[keep], gamma.flip))
        prices, values = np.insert(prices[keep], at, gamma.flip), np.insert(values[keep], at, 0.0)
    wanted = np.linspace(max(low, prices[0]), min(high, prices[-1]), 140)
    slopes = np.gradient(values, prices)
    at_left = np.clip(np.searchsorted(prices, wanted) - 1, 0, len(prices) - 2)
    width = prices[at_left + 1] - prices[at_left]
    t = (wanted - prices[at_left]) / width
    # Cubic Hermite between neighbours.
    rise = (3 - 2 * t) * t * t
    bend = t * (1 - t) * width * ((1 - t) * slopes[at_left] - t * slopes[at_left + 1])
    return wanted, np.asarray(values[at_left] * (1 - rise) + values[at_left + 1] * rise + bend)
