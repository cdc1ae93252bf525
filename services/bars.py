"""Candles as columns: sorted into sessions, put together to longer ones, and averaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.clock import AFTER_HOURS, NEW_YORK, PRE_MARKET_OPENS, Calendar
from services.feeds.base import Bar

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EPOCH = date(1970, 1, 1).toordinal()
"""What a `Candles.day` is counted from, as a `date` counts."""


class Part(IntEnum):
    """The part of the trading day that a candle belongs to."""

    PRE = 0
    REGULAR = 1
    POST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Candles in columns of equal length, oldest first; only ever drawn, so in floats."""

    start: Ints
    """Seconds since 1970."""
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    day: Ints
    """The session's New York date, in days since 1970."""
    part: Ints
    """A `Part` each."""

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, which: slice | NDArray[np.bool_] | Ints) -> "Candles":
        return Candles(*(getattr(self, name)[which] for name in self.__slots__))

    @property
    def regular(self) -> NDArray[np.bool_]:
        """Which candles lie in regular trading hours."""
        return np.equal(self.part, Part.REGULAR)


def daily(bars: Sequence[Bar]) -> Candles:
    """Return day candles as columns."""
    days = [bar.start.astimezone(NEW_YORK).date().toordinal() - EPOCH for bar in bars]
    return _columns(bars, _starts(bars), np.array(days, np.int64), np.full(len(bars), Part.REGULAR, np.int64))


def by_session(bars: Sequence[Bar], calendar: Calendar) -> Candles:
    """Return candles of a session's parts as columns, without those of hours in which nobody may trade."""
    if not bars:
        return daily(())
    first, last = bars[0].start - timedelta(days=1), bars[-1].start + timedelta(days=1)
    sessions = [(opens, closes) for opens, closes in calendar.sessions if closes > first and opens < last]
    if not sessions:
        return daily(())
    opens = np.array([hours[0].timestamp() for hours in sessions])
    closes = np.array([hours[1].timestamp() for hours in sessions])
    dates = [hours[0].astimezone(NEW_YORK).date() for hours in sessions]
    begins = np.array([datetime.combine(day, PRE_MARKET_OPENS, NEW_YORK).timestamp() for day in dates])
    start = _starts(bars)
    place = np.searchsorted(begins, start, "right") - 1
    part = np.where(start < opens[place], Part.PRE, np.where(start < closes[place], Part.REGULAR, Part.POST))
    days = np.array([day.toordinal() - EPOCH for day in dates], np.int64)
    return _columns(bars, start, days[place], part.astype(np.int64))[
        (place >= 0) & (start < closes[place] + AFTER_HOURS.total_seconds())
    ]


def joined(candles: Candles, slot: Ints) -> Candles:
    """Put neighbours of the same slot together, each candle starting where its first one does."""
    if not len(candles):
        return candles
    first, last = _edges(slot)
    return Candles(
        start=candles.start[first],
        open=candles.open[first],
        high=np.maximum.reduceat(candles.high, first),
        low=np.minimum.reduceat(candles.low, first),
        close=candles.close[last],
        volume=np.add.reduceat(candles.volume, first),
        day=candles.day[first],
        part=candles.part[first],
    )


def last_of_each(values: Floats, slot: Ints) -> Floats:
    """Return what belongs to the end of each candle that `joined` makes."""
    return values[_edges(slot)[1]] if len(values) else values


def slots(candles: Candles, length: timedelta) -> Ints:
    """Return when the longer candle begins that each belongs to, in seconds since 1970.

    They are counted from the open, outside of regular hours from the full hour, and end with their part of the session.
    """
    seconds = int(length.total_seconds())
    if not len(candles):
        return candles.start
    days, place = np.unique(candles.day, return_inverse=True)
    opens = np.array([_opens(int(day)) for day in days], np.int64)[place]
    anchor = np.where(candles.regular, opens, opens + 1800)
    return anchor + (candles.start - anchor) // seconds * seconds


def weeks(candles: Candles) -> Ints:
    """Return the number of the calendar week, Monday to Sunday, that each day belongs to."""
    return (candles.day + 3) // 7


def vwap(candles: Candles) -> Floats:
    """Return the volume-weighted average price of each regular session up to each candle, else NaN.

    Σ volume · (high + low + close) / 3 over Σ volume, from the open on.
    """
    value = np.full(len(candles), np.nan)
    for day in np.unique(candles.day):
        inside = (candles.day == day) & candles.regular
        volume = candles.volume[inside]
        typical = (candles.high + candles.low + candles.close)[inside] / 3
        total = np.cumsum(volume)
        value[inside] = np.divide(np.cumsum(volume * typical), total, np.full(len(total), np.nan), where=total > 0)
    return value


def sma(values: Floats, count: int) -> Floats:
    """Return the mean of the last `count` values at each place, NaN before there are so many."""
    if len(values) < count:
        return np.full(len(values), np.nan)
    return np.concatenate([np.full(count - 1, np.nan), sliding_window_view(values, count).mean(axis=1)])


def ema(values: Floats, count: int) -> Floats:
    """Return the exponential moving average with weight 2 / (count + 1), begun with the mean of the first `count`."""
    result = np.full(len(values), np.nan)
    if len(values) >= count:
        weight, now = 2 / (count + 1), float(values[:count].mean())
        result[count - 1] = now
        for place, value in enumerate(values[count:].tolist(), start=count):
            now = weight * value + (1 - weight) * now
            result[place] = now
    return result


def _columns(bars: Sequence[Bar], start: Ints, day: Ints, part: Ints) -> Candles:
    rows = [(float(b.open), float(b.high), float(b.low), float(b.close), float(b.volume)) for b in bars]
    opened, high, low, close, volume = np.ascontiguousarray(np.array(rows).reshape(-1, 5).T)
    return Candles(start, opened, high, low, close, volume, day, part)


def _starts(bars: Sequence[Bar]) -> Ints:
    return np.array([int(bar.start.timestamp()) for bar in bars], np.int64)


def _edges(slot: Ints) -> tuple[Ints, Ints]:
    first = np.flatnonzero(np.diff(slot, prepend=slot[0] - 1))
    return first, np.append(first[1:], len(slot)) - 1


def _opens(day: int) -> int:
    return int(datetime.combine(datetime.fromordinal(day + EPOCH), time(9, 30), NEW_YORK).timestamp())
