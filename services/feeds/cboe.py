"""Cboe's delayed quotes as a source; its terms ask for prior written approval and a licence to use or redistribute."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from tempfile import NamedTemporaryFile

from services.errors import NoChain, UnknownSymbol
from services.feeds.base import Access, Apart, Chain, Feed, Offer, Quote
from services.feeds.cboe_files import Recording, read_live
from services.feeds.upstream import PATIENCE, Patience, Upstream, Vendor, api
from services.shared_answers import SharedAnswers, singly

_KEPT = timedelta(seconds=5)
"""So that a quote and a chain of the same moment, which are one answer, are asked for once."""
_MOST = 8
_INDICES = frozenset({"SPX", "XSP", "OEX", "XEO", "NDX", "XND", "RUT", "MRUT", "DJX", "VIX"})
"""Symbols that Cboe writes with an underscore in front."""


class Cboe(Feed):
    """A `Feed` over `delayed_quotes/options/{SYM}.json`: one answer has the price and the whole chain of a symbol."""

    name = "cboe"
    offers = frozenset({Offer.QUOTES, Offer.CHAINS})

    def __init__(
        self,
        url: str,
        *,
        apart: Apart = asyncio.to_thread,
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._apart, self._patience = apart, patience
        files = api(url, Vendor("Cboe", {"Accept": "application/json"}), patience, clock)
        self._api = Upstream("delayed quotes", files, clock)
        self._recordings = SharedAnswers(singly(self._fetch), _MOST, clock)

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes, with a request each; a symbol that Cboe does not know is left out. Raises FeedUnavailable."""
        found = await asyncio.gather(*(self._recordings.one(symbol, _KEPT) for symbol in symbols))
        return {recording.quote.symbol: recording.quote for recording in found if recording}

    async def chain(self, symbol: str) -> Chain:
        """Return the whole chain as of the last trade of its underlying.

        Raises FeedUnavailable, UnknownSymbol or NoChain.
        """
        recording = await self._recordings.one(symbol, _KEPT)
        if recording is None:
            raise UnknownSymbol(symbol)
        if not len(recording.chain.strike):
            raise NoChain(symbol)
        return recording.chain

    def access(self) -> Sequence[Access]:
        """Return how far the API lets us in."""
        return (self._api.access,)

    def now(self) -> datetime:
        """Return the time at Cboe: the last `Date` header and what has passed since; our own before the first."""
        return self._api.clock.now()

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    async def _fetch(self, symbol: str) -> Recording | None:
        name = f"_{symbol}" if symbol in _INDICES else symbol
        path = f"/api/global/delayed_quotes/options/{name}.json"
        # The seven megabytes of an index are never in one piece here, neither to join nor to hand over.
        with NamedTemporaryFile() as body:
            async with self._api.deadline(self._patience.whole_s):
                if (await self._api.get(path, {}, {200, 403}, body)).status_code == 403:
                    return None
                return await self._api.understood(self._apart(read_live, body.name, symbol))
