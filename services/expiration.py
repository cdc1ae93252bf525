"""When options settle, and which expiries a reader means by a word."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from services.clock import NEW_YORK

_EPOCH = date(1970, 1, 1)
_CLOSE = time(16)
_OPEN = time(9, 30)


class Expiry(StrEnum):
    """Which expiries count; a `date` may stand in its place for a single one."""

    ALL = "all"
    ZERO_DTE = "0dte"
    WEEK = "week"
    OPEX = "opex"


def day_number(day: date) -> int:
    """Return days since 1970-01-01, as `Chain.expiry` counts."""
    return (day - _EPOCH).days


def day_of(number: int) -> date:
    """Return the date `number` days after 1970-01-01."""
    return _EPOCH + timedelta(days=number)


@lru_cache(maxsize=4096)
def settlement(number: int, am_settled: bool) -> float:
    """Return the settlement as seconds since 1970 UTC: 16:00 New York on the day, 09:30 if settled at the open."""
    moment = datetime.combine(day_of(number), _OPEN if am_settled else _CLOSE, NEW_YORK)
    return moment.astimezone(UTC).timestamp()


def choose(which: Expiry | date, live: Sequence[date], as_of: datetime) -> Sequence[date]:
    """Return those of `live` (unexpired, nearest first) that `which` means at `as_of` (aware); empty if there are none.

    0DTE is the nearest expiry, today while something is left today; week goes through the coming Friday, or is the
    nearest expiry if nothing falls before it; OPEX is the next third Friday, or the Thursday before a holiday.
    """
    if isinstance(which, Expiry):
        match which:
            case Expiry.ALL:
                return live
            case Expiry.ZERO_DTE:
                return live[:1]
            case Expiry.WEEK:
                friday = _coming_friday(as_of)
                return [day for day in live if day <= friday] or live[:1]
            case Expiry.OPEX:
                return _next_monthly(live)
    return [day for day in live if day == which]


def _coming_friday(as_of: datetime) -> date:
    local = as_of.astimezone(NEW_YORK)
    session = local.date() + timedelta(days=local.time() >= _CLOSE)
    return session + timedelta(days=(4 - session.weekday()) % 7)


def _next_monthly(live: Sequence[date]) -> Sequence[date]:
    listed = set(live)
    for day in live:
        friday = _third_friday(day)
        thursday = friday - timedelta(days=1)
        if day == friday or (day == thursday and friday not in listed):
            return [day]
    return []


def _third_friday(day: date) -> date:
    first = day.replace(day=1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)
