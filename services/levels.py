"""Gamma levels of a symbol: analysed and drawn outside the event loop, once for each chain."""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from db.models import Theme
from services.chart_pool import ChartPool
from services.charts import LANDSCAPE, Picture, gamma_picture
from services.feeds.base import Bars, Chain
from services.gamma import Gamma, analyze
from services.lens import PLAIN, Lens
from services.market import Chains

MOST_KEPT = 128
"""A picture takes up to 170 KB, its facts 15 KB."""

T = TypeVar("T")


class Levels:
    """Analyses chains and draws them; what was found for the same chain before is kept."""

    def __init__(self, pool: ChartPool) -> None:
        self._pool = pool
        self._kept = Kept(MOST_KEPT)

    async def of(self, source: Chains, symbol: str, lens: Lens = PLAIN) -> Gamma:
        """Return the gamma levels of a canonical symbol from the chain that `source` has of it; raises as `picture`."""
        return await self._gamma(await source.chain(symbol), lens)

    async def picture(
        self, source: Chains, symbol: str, lens: Lens, theme: Theme, size: tuple[int, int] = LANDSCAPE
    ) -> Picture:
        """Return the gamma picture of a canonical symbol from the chain that `source` has of it; `size` in pixels.

        Raises UnknownSymbol, NoChain, NothingExpires, FeedUnavailable, or BadData when drawing would be a guess.
        """
        chain = await source.chain(symbol)
        gamma = await self._gamma(chain, lens)
        png = await self._kept.get(
            chain, (lens, theme, size), lambda: self._pool.run(gamma_picture, gamma, theme, size)
        )
        return Picture(gamma, png)

    async def _gamma(self, chain: Chain, lens: Lens) -> Gamma:
        # A chain takes megabytes on its way to a worker, what is found in it a hundredth of that.
        return await self._kept.get(chain, lens, lambda: self._pool.run(analyze, chain, lens))


class Kept:
    """What was made of each answer of a source as long as that lives, once for all who ask; the least used goes first.

    It belongs to that very answer and to no other of the same symbol, for that may be for somebody else's eyes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[tuple[weakref.ref[Chain | Bars], Hashable], asyncio.Task[Any]] = OrderedDict()

    async def get(self, answer: Chain | Bars, what: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what `make` returns, or returned for this very answer before; errors are not kept."""
        key = (weakref.ref(answer, self._forget), what)
        task = self._made.get(key)
        if task is None or _failed(task):
            task = self._made[key] = asyncio.ensure_future(make())
        self._made.move_to_end(key)
        while len(self._made) > self._most:
            self._made.popitem(last=False)
        # One asker who gives up must not take the answer from the others.
        made: T = await asyncio.shield(task)
        return made

    def _forget(self, gone: "weakref.ref[Chain | Bars]") -> None:
        for key in [key for key in self._made if key[0] is gone]:
            del self._made[key]


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
