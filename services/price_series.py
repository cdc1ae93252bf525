"""What a price chart shows: the candles of a range with their averages and the prices that they are measured by."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from services import bars
from services.bars import Candles, Floats, Ints
from services.clock import NEW_YORK, Calendar
from services.errors import NothingTraded
from services.feeds.base import Bars
from services.ranges import LENGTHS, RANGE_WORDS, Interval, Range, Span

MOST_MINUTES = 240
"""Candles of one minute that are shown of a day, the newest; all others have room for their whole range."""
_AVERAGES = {Interval.DAY: (20, 50, 200), Interval.WEEK: (10, 40)}
_QUICK_AVERAGES = (9, 21)
_ANCHORED = frozenset({Range.DAY, Range.FIVE_DAYS})


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """A price that options make, and what it is called."""

    name: str
    price: float


@dataclass(frozen=True, slots=True)
class OptionLevels:
    """The gamma levels of a chart; `words` say where they are from, or why there are none."""

    prices: tuple[PriceLevel, ...]
    words: str
    as_of: datetime | None = None
    """The aware UTC moment of the chain."""


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """A moving average; NaN where too few candles come before."""

    name: str
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PriceSeries:
    """The candles of one chart, oldest first, at least one; prices in dollars."""

    symbol: str
    reach: Range
    interval: Interval
    candles: Candles
    averages: tuple[Average, ...]
    vwap: Floats | None
    """Of each regular session up to each candle; None in long ranges, and where the source tells no volume."""
    base: float
    """The last regular close before the range, else its first price: what the change is measured from."""
    base_is_close: bool
    previous_close: float | None
    """The regular close before the last day that traded."""
    day_high: float
    """Of the last day that traded, in regular hours where there were any yet."""
    day_low: float
    last_at: datetime
    """Aware UTC moment up to which the last candle goes."""
    last_from: datetime | None
    """The start of the last candle that the source told, before which it did not trade last; None for whole days."""
    as_of: datetime
    """The time at the source when it answered."""
    source: str
    delay: timedelta | None
    """As in `Quote`."""
    half_days: tuple[date, ...]
    left_out: int
    """Older candles of the range for which there is no room."""

    @property
    def last(self) -> float:
        """The last price."""
        return float(self.candles.close[-1])

    @property
    def high(self) -> float:
        """The highest price shown."""
        return float(self.candles.high.max())

    @property
    def low(self) -> float:
        """The lowest price shown."""
        return float(self.candles.low.min())

    @property
    def change(self) -> float:
        """The last price less the base."""
        return self.last - self.base

    @property
    def has_volume(self) -> bool:
        """Whether the source tells any volume."""
        return bool(self.candles.volume.any())


def series_of(answer: Bars, reach: Range, interval: Interval, span: Span, calendar: Calendar) -> PriceSeries:
    """Put the source's candles of `span` together to those of a chart; raises NothingTraded."""
    # Sources say 0 where they know no price.
    answer = replace(answer, bars=tuple(bar for bar in answer.bars if bar.low > 0))
    read = bars.by_session(answer.bars, calendar) if interval.intraday else bars.daily(answer.bars)
    fine = read if reach is Range.DAY else read[_without_old_evenings(read)]
    slot = _slots(fine, interval)
    candles = bars.joined(replace(fine, start=slot) if interval.intraday else fine, slot)
    beginning = int(np.searchsorted(candles.start, span.shown.timestamp()))
    if beginning == len(candles):
        raise NothingTraded(RANGE_WORDS[reach])
    first = max(beginning, len(candles) - MOST_MINUTES) if interval is Interval.MINUTE else beginning
    visible = candles[first:]
    before = fine.close[fine.regular & (fine.start < span.shown.timestamp())]
    close = _previous_close(fine)
    # Before the open, the range of one day has the session before in it as well.
    base = close if close and reach is Range.DAY else float(before[-1]) if len(before) else None
    high, low = _day_range(fine)
    return PriceSeries(
        symbol=answer.symbol,
        reach=reach,
        interval=interval,
        candles=visible,
        averages=_averages(candles.close, interval, first),
        vwap=bars.last_of_each(bars.vwap(fine), slot)[first:] if reach in _ANCHORED and visible.volume.any() else None,
        base=base or float(candles.open[beginning]),
        base_is_close=base is not None,
        previous_close=close,
        day_high=high,
        day_low=low,
        last_at=_last_at(answer, span, calendar),
        last_from=answer.bars[-1].start if span.length < LENGTHS[Interval.DAY] else None,
        as_of=answer.as_of,
        source=answer.source,
        delay=answer.delay,
        half_days=_half_days(visible, calendar) if interval.intraday else (),
        left_out=first - beginning,
    )


def _without_old_evenings(candles: Candles) -> NDArray[np.bool_]:
    """Choose regular hours, and what has traded since."""
    regular = np.flatnonzero(candles.regular)
    kept = candles.regular.copy()
    kept[regular[-1] + 1 if len(regular) else 0 :] = True
    return kept


def _slots(fine: Candles, interval: Interval) -> Ints:
    if interval.intraday:
        return bars.slots(fine, LENGTHS[interval])
    return bars.weeks(fine) if interval is Interval.WEEK else fine.day


def _averages(close: Floats, interval: Interval, first: int) -> tuple[Average, ...]:
    kind, average = ("EMA", bars.ema) if interval.intraday else ("SMA", bars.sma)
    lengths = _AVERAGES.get(interval, _QUICK_AVERAGES)
    found = [Average(f"{kind} {length}", average(close, length)[first:]) for length in lengths]
    return tuple(average for average in found if np.isfinite(average.values[-1]))


def _previous_close(fine: Candles) -> float | None:
    before = fine.close[fine.regular & (fine.day < fine.day[-1])]
    return float(before[-1]) if len(before) else None


def _day_range(fine: Candles) -> tuple[float, float]:
    day = fine[fine.day == fine.day[-1]]
    if day.regular.any():
        day = day[day.regular]
    return float(day.high.max()), float(day.low.min())


def _last_at(answer: Bars, span: Span, calendar: Calendar) -> datetime:
    start = answer.bars[-1].start
    ends = start + span.length if span.length < LENGTHS[Interval.DAY] else _close_of(start, calendar)
    return min(ends, answer.as_of - (answer.delay or timedelta(0)))


def _close_of(start: datetime, calendar: Calendar) -> datetime:
    next_day = start + timedelta(days=1)
    usual = datetime.combine(start.astimezone(NEW_YORK), time(16), NEW_YORK).astimezone(UTC)
    return next((closes for _, closes in calendar.sessions if start < closes < next_day), usual)


def _half_days(visible: Candles, calendar: Calendar) -> tuple[date, ...]:
    first, last = (datetime.fromtimestamp(at, UTC) for at in visible.start[[0, -1]].tolist())
    closes = [closes.astimezone(NEW_YORK) for opens, closes in calendar.sessions if first <= closes and opens <= last]
    return tuple(at.date() for at in closes if at.time() < time(16))
