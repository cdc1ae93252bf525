"""What a person types as an expiration."""

import re
from datetime import date, timedelta

from services.errors import NotAnExpiry
from services.expiration import Expiry

_WORDS = {
    "0dte": Expiry.ZERO_DTE,
    "0d": Expiry.ZERO_DTE,
    "weekly": Expiry.WEEK,
    "week": Expiry.WEEK,
    "this week": Expiry.WEEK,
    "monthly": Expiry.OPEX,
    "month": Expiry.OPEX,
    "opex": Expiry.OPEX,
}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
_YEAR = r"(?:\s*(?P<year>20\d\d|\d\d))?"
_DAY_FIRST = re.compile(rf"(?P<day>\d{{1,2}})\s*(?P<month>[a-z]{{3,9}}){_YEAR}")
_MONTH_FIRST = re.compile(r"(?P<month>[a-z]{3,9})\s*(?P<day>\d{1,2})(?:\s+(?P<year>20\d\d|\d\d))?")
_WEEKDAY = re.compile(r"(?P<next>next\s+)?(?:(?:this|on)\s+)?(?P<name>[a-z]{3,9})")


def typed_expiry(text: str, today: date) -> Expiry | date:
    """Read `2026-11-27`, `27 Nov`, `nov27`, `friday`, `next friday`, `today`, `0dte`, `weekly` or `monthly`.

    `today` is New York's. A day without a year is the next there is; "friday" is the coming one, today included, "next
    friday" that of the next calendar week. Raises NotAnExpiry.
    """
    plain = " ".join(re.sub(r"[.,]", " ", text.lower()).split())
    if plain in _WORDS:
        return _WORDS[plain]
    found = {"today": today, "tomorrow": today + timedelta(days=1)}.get(plain)
    found = found or _dated(plain, today) or _weekday(plain, today)
    if found is None:
        raise NotAnExpiry(text)
    return found


def _dated(plain: str, today: date) -> date | None:
    if match := _ISO.fullmatch(plain):
        return _valid(*map(int, match.groups()))
    match = _DAY_FIRST.fullmatch(plain) or _MONTH_FIRST.fullmatch(plain)
    if match is None or (month := _place(match["month"], _MONTHS)) is None:
        return None
    day = int(match["day"])
    if match["year"]:
        return _valid(int(match["year"]) % 100 + 2000, month + 1, day)
    coming = (_valid(today.year + later, month + 1, day) for later in range(9))  # 29 February may be eight years away
    return next((each for each in coming if each and each >= today), None)


def _weekday(plain: str, today: date) -> date | None:
    match = _WEEKDAY.fullmatch(plain)
    if match is None or (weekday := _place(match["name"], _WEEKDAYS)) is None:
        return None
    if match["next"]:
        return today + timedelta(days=7 - today.weekday() + weekday)
    return today + timedelta(days=(weekday - today.weekday()) % 7)


def _place(name: str, names: tuple[str, ...]) -> int | None:
    return next((place for place, full in enumerate(names) if full.startswith(name)), None)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
