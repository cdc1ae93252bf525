"""Price charts: candles of a range read, put together, joined by the gamma levels, and drawn outside the event loop."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan
from typing import NamedTuple

import numpy as np

from db.models import Theme
from services.chart_pool import ChartPool
from services.charts import price_picture
from services.clock import NEW_YORK
from services.errors import BadData, FeedUnavailable, NoChain, NothingExpires, NothingTraded, UnknownSymbol
from services.feeds.base import Bars
from services.levels import Kept, Levels
from services.market import Market
from services.price_series import OptionLevels, PriceLevel, PriceSeries, series_of
from services.price_words import moment
from services.ranges import Interval, Range, span_of
from services.readers import Reader
from services.source_words import lateness

MOST_PICTURES = 32
"""Drawn pictures that are kept, of some 150 KB each."""
LEVELS_WITHIN_S = 2.0
"""A chart waits no longer for the options."""
_SAME_TIME = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class PricePicture:
    """The facts and their drawing (PNG)."""

    series: PriceSeries
    levels: OptionLevels
    png: bytes
    now: datetime
    """The time at the source of the candles (aware UTC)."""


class _Read(NamedTuple):
    """A series and the answer that it was made of, with the time at the source."""

    answer: Bars
    series: PriceSeries
    now: datetime


class PriceHistory:
    """Reads the candles that a person may and draws them."""

    def __init__(self, levels: Levels, pool: ChartPool) -> None:
        self._levels, self._pool = levels, pool
        self._kept = Kept(MOST_PICTURES)

    async def series(self, reader: Reader, symbol: str, reach: Range, interval: Interval) -> PriceSeries:
        """Return the candles of a range of a canonical symbol, of a recording the last ones that it has.

        Raises UnknownSymbol, NoBars, NothingTraded or FeedUnavailable.
        """
        return (await reader.first(lambda market: _read(market, symbol, reach, interval))).series

    async def option_levels(self, reader: Reader, symbol: str) -> OptionLevels:
        """Return walls and flip, or in words why there are none."""
        try:
            async with asyncio.timeout(LEVELS_WITHIN_S):
                gamma = await self._levels.of(reader, symbol)
        except TimeoutError:
            return OptionLevels((), "gamma levels are on their way: refresh")
        except (NoChain, UnknownSymbol, NothingExpires):
            return OptionLevels((), "no gamma levels: no options at our sources")
        except (BadData, FeedUnavailable):
            return OptionLevels((), "no gamma levels: the options are not available right now")
        named = (("Call wall", gamma.call_wall), ("Put wall", gamma.put_wall), ("Flip", gamma.flip))
        prices = tuple(PriceLevel(name, price) for name, price in named if price is not None)
        words = f"gamma levels of {moment(gamma.as_of, gamma.delay)}, {gamma.source}, {lateness(gamma.delay)}"
        return OptionLevels(prices, words, gamma.as_of)

    async def picture(
        self, reader: Reader, symbol: str, reach: Range, interval: Interval, theme: Theme, *, with_levels: bool
    ) -> PricePicture:
        """Return the chart with the levels as in `option_levels`; raises what `series` does.

        Without levels it says that the person may have no more of them today.
        """
        read, levels = await asyncio.gather(
            reader.first(lambda market: _read(market, symbol, reach, interval)),
            self.option_levels(reader, symbol) if with_levels else _used_up(),
        )
        series = read.series
        if levels.as_of and abs(levels.as_of - series.last_at) > _SAME_TIME:
            levels = OptionLevels((), "no gamma levels of that time")
        what = (reach, interval, levels, theme)
        png = await self._kept.get(read.answer, what, lambda: self._pool.run(price_picture, series, levels, theme))
        return PricePicture(series, levels, png, read.now)


async def _used_up() -> OptionLevels:
    return OptionLevels((), "no gamma levels: today's gamma answers of your plan are used up")


async def _read(market: Market, symbol: str, reach: Range, interval: Interval) -> _Read:
    now = market.now()
    try:
        return await _read_until(market, symbol, reach, interval, now)
    except NothingTraded:
        quote = (await market.quotes([symbol])).lines[0].quote
        if quote.delay is not None:
            raise
        return await _read_until(market, symbol, reach, interval, quote.as_of)


async def _read_until(market: Market, symbol: str, reach: Range, interval: Interval, end: datetime) -> _Read:
    span = span_of(reach, interval, market.calendar, end)
    answer = await market.bars(symbol, span.length, span.start, span.end)
    return _Read(answer, series_of(answer, reach, interval, span, market.calendar), market.now())


def table(series: PriceSeries) -> str:
    """Return the candles with their averages as CSV; starts are in New York time, an unknown average is left empty."""
    candles, named = series.candles, [(average.name, average.values) for average in series.averages]
    named += [] if series.vwap is None else [("VWAP", series.vwap)]
    lines = [",".join(["start", "open", "high", "low", "close", "volume", *(name for name, _ in named)])]
    starts = [datetime.fromtimestamp(at, NEW_YORK).isoformat() for at in candles.start.tolist()]
    prices = (candles.open, candles.high, candles.low, candles.close)
    columns = [
        starts,
        *(map(repr, column.tolist()) for column in prices),
        map(str, candles.volume.astype(np.int64).tolist()),
        *(["" if isnan(value) else f"{value:.4f}" for value in values.tolist()] for _, values in named),
    ]
    return "\n".join([*lines, *(",".join(row) for row in zip(*columns, strict=True)), ""])
