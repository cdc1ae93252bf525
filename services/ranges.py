"""How far back a price chart reaches, how long its candles are, and what has to be read for both."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from services.clock import NEW_YORK, PRE_MARKET_OPENS, Calendar
from services.errors import ImpossibleInterval, NothingTraded


class Range(StrEnum):
    """How far back; months and years by the calendar, days by sessions."""

    DAY = "1D"
    FIVE_DAYS = "5D"
    MONTH = "1M"
    QUARTER = "3M"
    HALF_YEAR = "6M"
    YEAR = "1Y"
    FIVE_YEARS = "5Y"


class Interval(StrEnum):
    """How long a candle is."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HOUR = "1h"
    DAY = "1d"
    WEEK = "1w"

    @property
    def intraday(self) -> bool:
        """Whether a session has several."""
        return self not in {Interval.DAY, Interval.WEEK}


INTERVALS: Mapping[Range, tuple[Interval, ...]] = {
    Range.DAY: (Interval.FIVE_MINUTES, Interval.MINUTE, Interval.QUARTER_HOUR, Interval.HOUR),
    Range.FIVE_DAYS: (Interval.QUARTER_HOUR, Interval.FIVE_MINUTES, Interval.HOUR),
    Range.MONTH: (Interval.HOUR, Interval.DAY),
    Range.QUARTER: (Interval.DAY, Interval.WEEK),
    Range.HALF_YEAR: (Interval.DAY, Interval.WEEK),
    Range.YEAR: (Interval.DAY, Interval.WEEK),
    Range.FIVE_YEARS: (Interval.WEEK,),
}
"""The lengths that a phone can show for each range, the usual one first."""

LENGTHS: Mapping[Interval, timedelta] = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.QUARTER_HOUR: timedelta(minutes=15),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(days=7),
}
RANGE_WORDS = {
    Range.DAY: "1 day",
    Range.FIVE_DAYS: "5 days",
    Range.MONTH: "1 month",
    Range.QUARTER: "3 months",
    Range.HALF_YEAR: "6 months",
    Range.YEAR: "1 year",
    Range.FIVE_YEARS: "5 years",
}
INTERVAL_WORDS = {
    Interval.MINUTE: "1 min",
    Interval.FIVE_MINUTES: "5 min",
    Interval.QUARTER_HOUR: "15 min",
    Interval.HOUR: "1 h",
    Interval.DAY: "1 day",
    Interval.WEEK: "1 week",
}

_SESSIONS = {Range.DAY: 1, Range.FIVE_DAYS: 5}
_MONTHS = {Range.MONTH: 1, Range.QUARTER: 3, Range.HALF_YEAR: 6, Range.YEAR: 12, Range.FIVE_YEARS: 60}
# Enough candles before the first one shown for the longest moving average to be settled there.
_EARLIER_SESSIONS = {Interval.MINUTE: 1, Interval.FIVE_MINUTES: 1, Interval.QUARTER_HOUR: 2, Interval.HOUR: 5}
_EARLIER_DAYS = timedelta(days=310)


@dataclass(frozen=True, slots=True)
class Span:
    """What to read: candles of `length` that start from `start` to `end`; those from `shown` on are the range."""

    length: timedelta
    start: datetime
    shown: datetime
    end: datetime


def interval_of(reach: Range, wanted: Interval | None) -> Interval:
    """Return the length of the candles, the usual one when none is asked for; raises ImpossibleInterval."""
    possible = INTERVALS[reach]
    if wanted is None:
        return possible[0]
    if wanted not in possible:
        lengths = " or ".join(f"`{interval}`" for interval in possible)
        ranges = " or ".join(f"`{choice}`" for choice, intervals in INTERVALS.items() if wanted in intervals)
        raise ImpossibleInterval(
            f"Candles of {INTERVAL_WORDS[wanted]} do not fit a chart of {RANGE_WORDS[reach]}. "
            f"For `{reach}` choose {lengths}; `{wanted}` goes with {ranges}."
        )
    return wanted


def span_of(reach: Range, interval: Interval, calendar: Calendar, now: datetime) -> Span:
    """Return what to read at `now`: sessions that have opened, or months back from today in New York.

    Raises NothingTraded where the calendar begins later.
    """
    if not interval.intraday:
        today = now.astimezone(NEW_YORK).date()
        shown = _midnight(months_before(today, _MONTHS[reach]) + timedelta(days=1))
        return Span(LENGTHS[Interval.DAY], shown - _EARLIER_DAYS, shown, now)
    opened = [_on_day(opens) for opens, _ in calendar.sessions if opens <= now]
    if not opened:
        raise NothingTraded(RANGE_WORDS[reach])
    if reach in _SESSIONS:
        first = max(len(opened) - _SESSIONS[reach], 0)
    else:
        after = months_before(opened[-1], _MONTHS[reach])
        first = next(place for place, day in enumerate(opened) if day > after)
    start = opened[max(first - _EARLIER_SESSIONS[interval], 0)]
    # Clock hours (9:00 to 10:00) straddle the open, so that hours are put together from quarters.
    length = min(LENGTHS[interval], LENGTHS[Interval.QUARTER_HOUR])
    return Span(length, _early(start), _early(opened[first]), now)


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the last one of a month that is too short."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _early(day: date) -> datetime:
    return datetime.combine(day, PRE_MARKET_OPENS, NEW_YORK).astimezone(UTC)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)


def _on_day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()
