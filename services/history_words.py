"""The facts of the history picture in words: its alternative text, and the lines written on it."""

from datetime import date

from db.models import GammaPoint
from services.clock import NEW_YORK, new_york_day
from services.gamma_series import Series
from services.gamma_words import money, strike
from services.source_words import lateness

LEVELS = {"call_wall": "Call wall", "flip": "Gamma flip", "put_wall": "Put wall"}


def alt_text(series: Series) -> str:
    """Tell the picture's facts in at most 1,024 characters; the series has points."""
    first, last = series.points[0], series.points[-1]
    sign = "positive" if last.net >= 0 else "negative"
    facts = [
        f"Gamma history of {series.symbol}, {span(series)}.",
        f"Spot from {first.spot:,.2f} to {last.spot:,.2f}.",
        *(_moved(words, getattr(first, name), getattr(last, name)) for name, words in LEVELS.items()),
        f"Net {money(last.net, signed=True)} per 1% move: {sign} gamma.",
        f"{'; '.join(provenance(series))}.",
    ]
    return " ".join(facts)[:1024]


def span(series: Series) -> str:
    """Tell from when to when the picture goes."""
    first, last = new_york_day(series.points[0].slot), series.points[-1]
    year = f" {first.year}" if first.year != last.slot.year else ""
    begin = "" if first == new_york_day(last.slot) else f"{day(first)}{year} to "
    return begin + moment(last)


def provenance(series: Series) -> list[str]:
    """Tell what the picture rests on: how many points, what is missing, convention and source."""
    last, kept = series.points[-1], len(series.days) - series.missing
    closes = [f"closes of {kept} of {counted(len(series.days), 'trading day')}"] if series.days else []
    session = f"{counted(len(series.today), 'point')} on {day(new_york_day(series.opens_at))}"
    gaps = ["where lines break, nothing was stored"] if series.missing or series.gaps else []
    return [*closes, session, *gaps, "dealers long calls, short puts", f"{last.source}, {lateness(last.delay)}"]


def moment(point: GammaPoint) -> str:
    """Write the moment that a point's data are of, in New York time."""
    local = point.as_of.astimezone(NEW_YORK)
    return f"{day(local.date())} {local:%H:%M} ET"


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def day(of: date) -> str:
    """Write a date without its year."""
    return f"{of.day} {of:%b}"


def _moved(words: str, before: float | None, after: float | None) -> str:
    if after is None:
        return f"No {words.lower()}."
    began = "" if before is None or before == after else f"from {strike(before)} to "
    return f"{words} {began}{strike(after)}."
