"""Price charts: candles of a range read, put together, joined by the gamma levels, and drawn outside the event loop."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isnan

import numpy as np

from db.models import Theme
from services.chart_pool import ChartPool
from services.charts import price_picture
from services.clock import NEW_YORK
from services.errors import BadData, FeedUnavailable, NoChain, NothingExpires, NothingTraded, UnknownSymbol
from services.levels import Levels
from services.market import Market
from services.price_series import OptionLevels, PriceLevel, PriceSeries, series_of
from services.price_words import lateness, moment
from services.ranges import Interval, Range, span_of

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


class PriceHistory:
    """Reads candles and draws them."""

    def __init__(self, market: Market, levels: Levels, pool: ChartPool) -> None:
        self._market, self._levels, self._pool = market, levels, pool
        self._drawn: OrderedDict[tuple[object, ...], asyncio.Task[bytes]] = OrderedDict()

    async def series(self, symbol: str, reach: Range, interval: Interval) -> PriceSeries:
        """Return the candles of a range of a canonical symbol, of a recording the last ones that it has.

        Raises UnknownSymbol, NoBars, NothingTraded or FeedUnavailable.
        """
        try:
            return await self._series(symbol, reach, interval, self._market.now())
        except NothingTraded:
            quote = (await self._market.quotes([symbol])).lines[0].quote
            if quote.delay is not None:
                raise
            return await self._series(symbol, reach, interval, quote.as_of)

    async def option_levels(self, symbol: str, chain_age: timedelta | None) -> OptionLevels:
        """Return walls and flip from a chain kept for at most `chain_age`, or in words why there are none.

        None as age means that the person may have no more today.
        """
        if chain_age is None:
            return OptionLevels((), "no gamma levels: today's gamma answers of your plan are used up")
        try:
            async with asyncio.timeout(LEVELS_WITHIN_S):
                gamma = await self._levels.of(symbol, max_age=chain_age)
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
        self, symbol: str, reach: Range, interval: Interval, theme: Theme, chain_age: timedelta | None
    ) -> PricePicture:
        """Return the chart with the levels as in `option_levels`; raises what `series` does."""
        series, levels = await asyncio.gather(
            self.series(symbol, reach, interval), self.option_levels(symbol, chain_age)
        )
        if levels.as_of and abs(levels.as_of - series.last_at) > _SAME_TIME:
            levels = OptionLevels((), "no gamma levels of that time")
        return PricePicture(series, levels, await self._png(series, levels, theme))

    async def _series(self, symbol: str, reach: Range, interval: Interval, now: datetime) -> PriceSeries:
        span = span_of(reach, interval, self._market.calendar, now)
        answer = await self._market.bars(symbol, span.length, span.start, span.end)
        return series_of(answer, reach, interval, span, self._market.calendar)

    async def _png(self, series: PriceSeries, levels: OptionLevels, theme: Theme) -> bytes:
        """Draw, or return what was drawn of the same answers of the sources."""
        key = (series.symbol, series.reach, series.interval, series.source, series.as_of, levels, theme)
        kept = self._drawn.get(key)
        if kept is None or (kept.done() and (kept.cancelled() or kept.exception())):
            kept = asyncio.ensure_future(self._pool.run(price_picture, series, levels, theme))
            self._drawn[key] = kept
        self._drawn.move_to_end(key)
        if len(self._drawn) > MOST_PICTURES:
            self._drawn.popitem(last=False)
        # One asker who gives up must not take the picture from the others.
        return await asyncio.shield(kept)


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
