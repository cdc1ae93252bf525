"""Where things stand in the price chart: its window of prices, its columns, and the labels of its time axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from services.bars import EPOCH, Floats, Ints
from services.clock import NEW_YORK
from services.price_series import PriceLevel, PriceSeries

Number = TypeVar("Number", float, Floats)

_WIDEST_PITCH = 46.0  # few candles stand at the right instead of growing into blocks
_LEVEL_REACH = 0.4  # levels farther beyond the candles than this share of their span would squeeze them
_LEAST_SPAN = 2e-4
_MARK_ROOM = 36.0  # above and below the candles, for their highest and lowest price


class Tick(NamedTuple):
    """A label of the time axis under the candle at `place`; strong where a larger unit begins."""

    place: int
    words: str
    strong: bool


@dataclass(frozen=True)
class PriceFrame:
    """The two panes in pixels and the transforms into them; volume has none where the source tells no volume."""

    series: PriceSeries
    levels: Sequence[PriceLevel]
    left: int
    top: int
    right: int
    bottom: int
    volume_top: int
    """Equal to `volume_bottom` where there is no volume."""
    volume_bottom: int

    @cached_property
    def window(self) -> tuple[float, float]:
        """Lowest and highest price shown: of the candles, of what lies near them, and room for their marks."""
        s = self.series
        low, high = s.low, s.high
        span = span_of_prices(s)
        near = [level.price for level in self.levels]
        if s.interval.intraday and s.previous_close:
            near.append(s.previous_close)
        near = [price for price in near if low - _LEVEL_REACH * span <= price <= high + _LEVEL_REACH * span]
        lowest, highest = min([low, *near]), max([high, *near])
        if highest - lowest < span:
            lowest, highest = low - span / 2, high + span / 2
        room = (highest - lowest) * _MARK_ROOM / (self.bottom - self.top - 2 * _MARK_ROOM)
        return lowest - room, highest + room

    @cached_property
    def pitch(self) -> float:
        """The width of a candle and the gap after it."""
        return min((self.right - self.left - 12) / len(self.series.candles), _WIDEST_PITCH)

    @cached_property
    def body(self) -> int:
        """The width of a candle's body."""
        body = max(min(int(0.8 * self.pitch), 30), 1)
        return body - 1 if body >= 4 and (body - self.wick) % 2 else body

    @cached_property
    def wick(self) -> int:
        """The width of a candle's wick."""
        return 1 if self.pitch < 5 else 2 if self.pitch < 14 else 3

    @cached_property
    def columns(self) -> Ints:
        """The left edge of each candle's body; the newest stands at the right."""
        count = len(self.series.candles)
        middle = self.right - 10 - (count - np.arange(count) - 0.5) * self.pitch
        return np.asarray(np.rint(middle - self.body / 2), np.int64)

    def y(self, price: Number) -> Number:
        """Return the row of a price, or of each; whole numbers are the upper edges of rows."""
        low, high = self.window
        return self.bottom - (price - low) / (high - low) * (self.bottom - self.top)

    def rows(self, prices: Floats) -> Ints:
        """Return the pixel row that each price lies in."""
        return np.floor(self.y(prices)).astype(np.int64)

    def holds(self, price: float) -> bool:
        """Tell whether a price lies in the window."""
        return self.window[0] <= price <= self.window[1]

    def middle(self, place: int) -> float:
        """Return the column of a candle's middle."""
        return float(self.columns[place]) + self.body / 2

    def before(self, place: int) -> int:
        """Return the column between a candle and the one before it."""
        return max(round(self.middle(place) - self.pitch / 2), self.left)

    def volume_rows(self) -> Ints:
        """Return the upper row of each bar of volume."""
        volume = self.series.candles.volume
        room = self.volume_bottom - self.volume_top
        return np.asarray(np.floor(self.volume_bottom - volume / (volume.max() or 1) * room), np.int64)


def span_of_prices(series: PriceSeries) -> float:
    """Return how far the candles reach, of a price that stands still a little."""
    return max(series.high - series.low, _LEAST_SPAN * series.high)


def day_of(day: int) -> date:
    """Return the date that `Candles.day` means."""
    return date.fromordinal(day + EPOCH)


def separators(series: PriceSeries) -> Ints:
    """Return the candles with which another day begins, in charts of days another month, in those of weeks a year."""
    days = series.candles.day.tolist()
    if series.interval.intraday:
        units: list[int] = days
    elif days[-1] - days[0] > 800:
        units = [day_of(day).year for day in days]
    else:
        units = [day_of(day).month for day in days]
    return np.flatnonzero(np.diff(units, prepend=units[0]))


def ticks(series: PriceSeries) -> list[list[Tick]]:
    """Return the possible rows of labels for the time axis, the densest first; the last one always has room."""
    if series.interval.intraday:
        local = [datetime.fromtimestamp(at, NEW_YORK) for at in series.candles.start.tolist()]
        rows, last = _time_rows(local), f"{local[-1]:%H:%M}"
    else:
        dates = [day_of(day) for day in series.candles.day.tolist()]
        rows, last = _date_rows(dates), f"{dates[-1].day} {dates[-1]:%b}"
    return [*(row for row in rows if len(row) > 1), [Tick(len(series.candles) - 1, last, strong=False)]]


def _time_rows(local: Sequence[datetime]) -> list[list[Tick]]:
    days = [at.toordinal() for at in local]
    if len(set(days)) < 3:
        return [_hours(local, minutes) for minutes in (30, 60, 120, 180, 240, 360)]
    named = _begins(days, [f"{at:%a} {at.day}" for at in local], first=True)
    dated = _begins(days, [f"{at.day} {at:%b}" for at in local], first=True)
    return [named, *(dated[::step] for step in (1, 2, 3, 5))]


def _date_rows(dates: Sequence[date]) -> list[list[Tick]]:
    months = [_months(dates, count) for count in (1, 2, 3, 6, 12)]
    if dates[-1] - dates[0] > timedelta(days=100):
        return months
    return [_begins([(day.toordinal() - 1) // 7 for day in dates], [f"{day.day} {day:%b}" for day in dates]), *months]


def _hours(local: Sequence[datetime], minutes: int) -> list[Tick]:
    hours = _begins([(at.hour * 60 + at.minute) // minutes for at in local], [f"{at:%H:%M}" for at in local])
    days = _begins([at.toordinal() for at in local], [f"{at:%a} {at.day}" for at in local])
    found = {tick.place: tick for tick in hours} | {tick.place: tick._replace(strong=True) for tick in days}
    return [found[place] for place in sorted(found)]


def _months(dates: Sequence[date], count: int) -> list[Tick]:
    months = [(day.year * 12 + day.month - 1) // count for day in dates]
    begun = _begins(months, [f"{day:%b}" for day in dates])
    years = {tick.place for tick in _begins([day.year for day in dates], [""] * len(dates))}
    return [
        Tick(place, str(dates[place].year), strong=True) if place in years else Tick(place, words, strong)
        for place, words, strong in begun
    ]


def _begins(units: Sequence[int], words: Sequence[str], *, first: bool = False) -> list[Tick]:
    """Label the candles with which another unit begins, the first one too where it is known to."""
    changes = np.flatnonzero(np.diff(units, prepend=units[0] - first)).tolist()
    return [Tick(place, words[place], strong=False) for place in changes]
