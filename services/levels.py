"""Gamma levels of a symbol: analysed and drawn outside the event loop."""

from dataclasses import dataclass
from datetime import date

from db.models import Theme
from services import gamma
from services.chart_pool import ChartPool
from services.charts import gamma_picture
from services.feeds.base import Chain
from services.gamma import Expiry, Gamma
from services.market import Market


@dataclass(frozen=True, slots=True)
class Picture:
    """The facts and their drawing (PNG)."""

    gamma: Gamma
    png: bytes


class Levels:
    """Reads a chain, analyses it and draws it."""

    def __init__(self, market: Market, pool: ChartPool) -> None:
        self._market = market
        self._pool = pool

    async def picture(self, symbol: str, expiry: Expiry | date, theme: Theme) -> Picture:
        """Return the gamma picture of a canonical symbol.

        Raises UnknownSymbol, NoChain, NothingExpires, FeedUnavailable, or BadData when drawing would be a guess.
        """
        chain = await self._market.chain(symbol)
        return await self._pool.run(draw, chain, expiry, theme)


def draw(chain: Chain, expiry: Expiry | date, theme: Theme) -> Picture:
    """Analyse and draw; some 50 ms of pure computing, so never on the event loop."""
    analysed = gamma.analyze(chain, expiry=expiry)
    return Picture(analysed, gamma_picture(analysed, theme))
