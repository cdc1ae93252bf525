"""When options settle, and which expiries a reader means by a word."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from services.clock import NEW_YORK

_EPOCH = date(1970, 1, 1)
_CLOSE, _EARLY_CLOSE = time(16), time(13)
_OPEN = time(9, 30)
_NEAR = timedelta(days=94)


class Expiry(StrEnum):
    """Which expiries count; a `date` may stand in its place for a single one."""

    ALL = "all"
    ZERO_DTE = "0dte"
    WEEK = "week"
    OPEX = "opex"
    NEAR = "94d"


def day_number(day: date) -> int:
    """Return days since 1970-01-01, as `Chain.expiry` counts."""
    return (day - _EPOCH).days


def day_of(number: int) -> date:
    """Return the date `number` days after 1970-01-01."""
    return _EPOCH + timedelta(days=number)


@lru_cache(maxsize=4096)
def settlement(number: int, am_settled: bool) -> float:
    """Return the settlement as seconds since 1970 UTC: the day's close in New York, 09:30 if settled at the open."""
    day = day_of(number)
    moment = datetime.combine(day, _OPEN if am_settled else close(day), NEW_YORK)
    return moment.astimezone(UTC).timestamp()


def close(day: date) -> time:
    """Return when the NYSE closes on a session's New York date, 16:00 or 13:00, by its rule for half days.

    They are the day after Thanksgiving, 24 December, and 3 July if the fourth is a Tuesday to Friday; the eves only on
    Mondays to Thursdays, for on a Friday the holiday itself is kept (https://www.nyse.com/markets/hours-calendars).
    The rule held in every year from 2004; a recorded chain may be of any of them, so no calendar is asked.
    """
    after_thanksgiving = day.month == 11 and day.weekday() == 4 and 23 <= day.day <= 29
    eve = (day.month, day.day) in {(7, 3), (12, 24)} and day.weekday() <= 3
    return _EARLY_CLOSE if after_thanksgiving or eve else _CLOSE


def choose(which: Expiry | date, live: Sequence[date], as_of: datetime) -> Sequence[date]:
    """Return those of `live` (unexpired, nearest first) that `which` means at `as_of` (aware); empty if there are none.

    0DTE is the nearest expiry, today while something is left today; week goes through the coming Friday, or is the
    nearest expiry if nothing falls before it; OPEX is the next third Friday, or the Thursday before a holiday; near is
    the next 94 days, which hold the quarterly expiry.
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
            case Expiry.NEAR:
                last = as_of.astimezone(NEW_YORK).date() + _NEAR
                return [day for day in live if day <= last]
    return [day for day in live if day == which]


def is_stand_in(which: Expiry | date, nearest: date, as_of: datetime) -> bool:
    """Tell whether `nearest` was chosen because nothing is left of the day or the week that `which` names."""
    match which:
        case Expiry.ZERO_DTE:
            return nearest != as_of.astimezone(NEW_YORK).date()
        case Expiry.WEEK:
            return nearest > _coming_friday(as_of)
        case _:
            return False


def _coming_friday(as_of: datetime) -> date:
    local = as_of.astimezone(NEW_YORK)
    session = local.date() + timedelta(days=local.time() >= close(local.date()))
    return session + timedelta(days=(4 - session.weekday()) % 7)


def is_monthly(day: date, listed: Collection[date]) -> bool:
    """Tell whether `day` is a monthly expiry: a third Friday, or the Thursday before one that is not listed."""
    friday = _third_friday(day)
    return day == friday or (day == friday - timedelta(days=1) and friday not in listed)


def _next_monthly(live: Sequence[date]) -> Sequence[date]:
    listed = set(live)
    return [day for day in live if is_monthly(day, listed)][:1]


def _third_friday(day: date) -> date:
    first = day.replace(day=1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)
