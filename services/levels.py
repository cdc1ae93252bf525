"""Gamma levels of a symbol: analysed and drawn outside the event loop."""

from datetime import date

from db.models import Theme
from services.chart_pool import ChartPool
from services.charts import Picture, draw
from services.gamma import Expiry, Gamma, analyze
from services.market import Market


class Levels:
    """Reads a chain, analyses it and draws it."""

    def __init__(self, market: Market, pool: ChartPool) -> None:
        self._market = market
        self._pool = pool

    async def of(self, symbol: str) -> Gamma:
        """Return the gamma levels of a canonical symbol over all expiries; raises what `picture` does."""
        chain = await self._market.chain(symbol)
        return await self._pool.run(analyze, chain)

    async def picture(self, symbol: str, expiry: Expiry | date, theme: Theme) -> Picture:
        """Return the gamma picture of a canonical symbol.

        Raises UnknownSymbol, NoChain, NothingExpires, FeedUnavailable, or BadData when drawing would be a guess.
        """
        chain = await self._market.chain(symbol)
        return await self._pool.run(draw, chain, expiry, theme)
