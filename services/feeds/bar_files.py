"""Candles in CSV files as chart sites export them: `Date,Open,High,Low,Close[,Adj Close],Volume` in any order."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby, pairwise
from pathlib import Path

from services.clock import NEW_YORK
from services.errors import BadData
from services.feeds.base import Bar, Quote

SOURCE = "bar file"
DAY = timedelta(days=1)

_DATES = ("date", "datetime", "time", "timestamp")
_PRICES = ("open", "high", "low", "close")
_AMERICAN = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%y", "%m/%d/%y %H:%M")


def is_bar_table(line: str) -> bool:
    """Return whether a file's first line has the titles of a date and the four prices."""
    titles = _titles(line.split(","))
    return titles[0] in _DATES and set(_PRICES) <= set(titles)


def read(path: Path) -> tuple[Bar, ...]:
    """Read all candles, oldest first, prices exactly as written; raises `BadData` that names the file and line."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        titles = _titles(next(rows, []))
        bars = {bar.start: bar for bar in _bars(path.name, titles, rows)}
    if not bars:
        raise BadData(f"{path.name} holds no candle.")
    return tuple(bars[start] for start in sorted(bars))


def interval(bars: Sequence[Bar]) -> timedelta:
    """Return the length of the candles, by the two that lie closest; a day at most."""
    shortest = min((later.start - earlier.start for earlier, later in pairwise(bars)), default=DAY)
    return DAY if shortest > timedelta(hours=12) else shortest


def resample(bars: Iterable[Bar], length: timedelta) -> tuple[Bar, ...]:
    """Put shorter candles together to candles of `length`, whole days by the New York date."""
    return tuple(
        _together(start, tuple(group)) for start, group in groupby(bars, lambda bar: _floor(bar.start, length))
    )


def quote(symbol: str, bars: Sequence[Bar]) -> Quote:
    """Return the last close as a quote, with the day's range and the close of the day before."""
    days = resample(bars[-1000:], DAY)
    last = days[-1]
    length = interval(bars)
    closed = datetime.combine(last.start.astimezone(NEW_YORK), time(16), NEW_YORK)
    return Quote(
        symbol=symbol,
        price=last.close,
        as_of=closed.astimezone(UTC) if length == DAY else bars[-1].start + length,
        source=SOURCE,
        delay=None,
        previous_close=days[-2].close if len(days) > 1 else None,
        day_open=last.open,
        day_low=last.low,
        day_high=last.high,
        volume=last.volume or None,
    )


def moment(text: str) -> datetime:
    """Parse a candle's start, ISO 8601 or month/day/year, to aware UTC; without a zone it is New York's."""
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        parsed = _american(text.strip())
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=NEW_YORK)).astimezone(UTC)


def _american(text: str) -> datetime:
    for form in _AMERICAN:
        try:
            return datetime.strptime(text, form).replace(tzinfo=NEW_YORK)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a date")


def _titles(row: Iterable[str]) -> list[str]:
    return [title.strip().strip('\ufeff"').lower() for title in row]


def _bars(file: str, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Bar]:
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(titles, row, strict=False))
        if not row or cells.get("close", "").strip().lower() in {"", "null", "nan"}:
            continue  # a line for a day without trading
        try:
            start = moment(next(cells[title] for title in _DATES if title in cells))
            opened, high, low, close = (Decimal(cells[title]) for title in _PRICES)
            volume = int(Decimal(cells.get("volume") or 0))
        except (ValueError, KeyError, InvalidOperation, StopIteration) as error:
            raise BadData(f"{file}, line {number}, is not a candle: {','.join(row)[:80]}") from error
        yield Bar(start, opened, high, low, close, volume)


def _floor(moment: datetime, length: timedelta) -> datetime:
    if length >= DAY:
        return datetime.combine(moment.astimezone(NEW_YORK), time(), NEW_YORK).astimezone(UTC)
    return moment - timedelta(seconds=moment.timestamp() % length.total_seconds())


def _together(start: datetime, bars: Sequence[Bar]) -> Bar:
    return Bar(
        start=start,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=sum(bar.volume for bar in bars),
    )
