"""Gamma levels of a symbol: analysed and drawn outside the event loop, once for each chain."""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from datetime import timedelta
from typing import Any, TypeVar

from db.models import Theme
from services.chart_pool import ChartPool
from services.charts import LANDSCAPE, Picture, gamma_picture
from services.feeds.base import Chain
from services.gamma import Gamma, analyze
from services.lens import PLAIN, Lens
from services.market import CHAIN_KEPT, Market

MOST_KEPT = 128
"""A picture takes up to 170 KB, its facts 15 KB."""

T = TypeVar("T")


class Levels:
    """Reads a chain, analyses it and draws it; what was found for the same chain before is kept."""

    def __init__(self, market: Market, pool: ChartPool) -> None:
        self._market = market
        self._pool = pool
        self._kept = Kept(MOST_KEPT)

    async def of(self, symbol: str, lens: Lens = PLAIN, *, max_age: timedelta = CHAIN_KEPT) -> Gamma:
        """Return the gamma levels of a canonical symbol from a chain at most `max_age` old; raises as `picture`."""
        return await self._gamma(await self._market.chain(symbol, max_age=max_age), lens)

    async def picture(
        self,
        symbol: str,
        lens: Lens,
        theme: Theme,
        size: tuple[int, int] = LANDSCAPE,
        *,
        max_age: timedelta = CHAIN_KEPT,
    ) -> Picture:
        """Return the gamma picture of a canonical symbol from a chain at most `max_age` old; `size` in pixels.

        Raises UnknownSymbol, NoChain, NothingExpires, FeedUnavailable, or BadData when drawing would be a guess.
        """
        chain = await self._market.chain(symbol, max_age=max_age)
        gamma = await self._gamma(chain, lens)
        png = await self._kept.get(
            chain, (lens, theme, size), lambda: self._pool.run(gamma_picture, gamma, theme, size)
        )
        return Picture(gamma, png)

    async def _gamma(self, chain: Chain, lens: Lens) -> Gamma:
        # A chain takes megabytes on its way to a worker, what is found in it a hundredth of that.
        return await self._kept.get(chain, lens, lambda: self._pool.run(analyze, chain, lens))


class Kept:
    """What was made of the newest chain of each symbol, once for however many ask; the least used is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[Hashable, tuple[weakref.ref[Chain], asyncio.Task[Any]]] = OrderedDict()

    async def get(self, chain: Chain, what: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `make` returns, or returned for this very chain before; errors are not kept."""
        key = (chain.symbol, what)
        of, task = self._made.get(key, (None, None))
        if of is None or task is None or of() is not chain or _failed(task):
            task = asyncio.ensure_future(make())
            self._made[key] = (weakref.ref(chain), task)
        self._made.move_to_end(key)
        while len(self._made) > self._most:
            self._made.popitem(last=False)
        # One asker who gives up must not take the answer from the others.
        answer: T = await asyncio.shield(task)
        return answer


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
