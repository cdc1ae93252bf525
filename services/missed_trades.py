"""Trades that were missed live: every one of the last minutes, and the path of minute bars before them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.feeds.base import Bar, Feed, Tick

EACH_TRADE = timedelta(minutes=15)
"""How far back every single trade is fetched; before that, minute bars have to do."""
_MINUTE = timedelta(minutes=1)


async def missed_trades(source: Feed, symbols: Sequence[str], start: datetime, now: datetime) -> list[Tick]:
    """Return what was traded from a whole minute to the source's time `now`, by symbol; raises FeedUnavailable."""
    # Generously, for our idea of the source's time is not exact.
    end = now + _MINUTE
    if now - start <= EACH_TRADE:
        return list(await source.trades(symbols, start, end))
    full, recent = start + _MINUTE, minute_of(now - EACH_TRADE)
    ticks = list(await source.trades(symbols, start, full))
    for symbol in symbols:
        found = await source.bars(symbol, _MINUTE, full, recent - _MINUTE)
        ticks += [tick for bar in found.bars for tick in _path(symbol, bar)]
    return ticks + list(await source.trades(symbols, recent, end))


def minute_of(moment: datetime) -> datetime:
    """Return the whole minute that a moment belongs to."""
    return moment.replace(second=0, microsecond=0)


def _path(symbol: str, bar: Bar) -> list[Tick]:
    """Return the path of a candle: to the extreme that is nearer to its open first."""
    extremes = sorted((bar.low, bar.high), key=lambda price: abs(price - bar.open))
    prices = (bar.open, *extremes, bar.close)
    return [Tick(symbol, bar.start + _MINUTE * n / 4, 0, price) for n, price in enumerate(prices)]
