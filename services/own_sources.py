"""Members' own sources of market data: the brokers that they have linked, each asked for its owner alone."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

import structlog

from services.errors import DatabaseAway, FeedSignedOut, PulseError
from services.feeds.base import Feed
from services.links import DataAccess, Links
from services.market import Market, Room

MOST_KEPT = 64
ROOM = Room(quotes=50, chains=2, bars=2)
"""For each, so that all of them take some 256 MB at the very most."""
IDLE_S = 600.0
REFUSED_S = 60.0
"""After this time a token that was refused is tried again, if nobody has said that there is another one."""
PATIENCE_S = 1.0
"""For the database; the answer is then made without."""
_TIDY_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class OwnSource:
    """One member's broker as a market; what it says is licensed to them and goes to nobody else."""

    def __init__(self, access: DataAccess, market: Market, used_at: float) -> None:
        self.access, self.market, self.used_at = access, market, used_at
        self.dropped = False
        """The link has changed: who has this one in hand asks it no more."""
        self._refusal: FeedSignedOut | None = None
        self._refused_until = 0.0

    def refusal(self, now: float) -> FeedSignedOut | None:
        """Return why the broker does not know its token, while that is not tried anew."""
        return self._refusal if now < self._refused_until else None

    def refuse(self, error: FeedSignedOut, until: float) -> None:
        """Ask no more until then."""
        self._refusal, self._refused_until = error, until


class OwnSources:
    """Who has one is known in memory, so that the others cost nothing; the sources used last are kept open."""

    def __init__(
        self,
        links: Links,
        open_feed: Callable[[DataAccess], Feed],
        shared: Market,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._links, self._open_feed, self._shared, self.clock = links, open_feed, shared, clock
        self._owners: set[int] = set()
        """Perhaps more than there are; whoever is none is found out at the first question."""
        self._kept: OrderedDict[int, asyncio.Task[OwnSource | None]] = OrderedDict()
        self._telling: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._changed.set()

    def owned_by(self, user_id: int) -> bool:
        """Tell without asking anybody whether a person may have a source of their own."""
        return user_id in self._owners

    async def of(self, user_id: int) -> OwnSource | None:
        """Return a person's own source; raises DatabaseAway, or BrokerError where its token cannot be read."""
        if user_id not in self._owners:
            return None
        opening = self._kept.get(user_id) or asyncio.create_task(self._open(user_id))
        self._kept[user_id] = opening
        self._kept.move_to_end(user_id)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                # One question that is given up must not take the source from the others.
                source = await asyncio.shield(opening)
        except TimeoutError as error:
            raise DatabaseAway from error
        except PulseError:
            if self._kept.get(user_id) is opening:
                del self._kept[user_id]
            raise
        if self._kept.get(user_id) is not opening:  # the link has changed while it was read
            return await self.of(user_id)
        if source is None:
            del self._kept[user_id]
            self._owners.discard(user_id)
            return None
        source.used_at = self.clock()
        source.market.directory = self._shared.directory  # which is another one each day
        return source

    def kept(self, user_id: int) -> OwnSource | None:
        """Return a person's own source if it is open, without asking anybody."""
        opening = self._kept.get(user_id)
        return opening.result() if opening and _opened(opening) else None

    def refused(self, source: OwnSource, error: FeedSignedOut) -> None:
        """Ask a source no more that does not know its token, and let the link be renewed or ended."""
        if source.refusal(self.clock()):
            return
        source.refuse(error, self.clock() + REFUSED_S)
        telling = asyncio.create_task(self._tell(source.access))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    def forget(self, user_id: int | None = None) -> None:
        """Take a person's links as changed; everybody's without an id."""
        if user_id is None:
            for each in list(self._kept):
                self._drop(each)
            self._changed.set()
        else:
            self._owners.add(user_id)
            self._drop(user_id)

    async def run(self) -> None:
        """Learn who has a source whenever everything may have changed, and drop what is idle; runs until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _TIDY_EVERY_S)
            self._drop_idle()
            if self._changed.is_set():
                self._changed.clear()
                try:
                    self._owners |= await self._links.owners()
                except DatabaseAway:
                    await asyncio.sleep(1)
                    self._changed.set()

    async def _open(self, user_id: int) -> OwnSource | None:
        access = await self._links.data_access(user_id)
        if access is None:
            return None
        market = Market([self._open_feed(access)], self._shared.calendar, room=ROOM)
        return OwnSource(access, market, self.clock())

    async def _tell(self, access: DataAccess) -> None:
        try:
            await self._links.refused(access.connection_id, access.token)
        except DatabaseAway:
            log.warning("refused token not told", connection=access.connection_id)

    def _drop(self, user_id: int) -> None:
        if source := self.kept(user_id):
            source.dropped = True
        self._kept.pop(user_id, None)

    def _drop_idle(self) -> None:
        since = self.clock() - IDLE_S
        for user_id in list(self._kept):
            if (source := self.kept(user_id)) and source.used_at < since:
                del self._kept[user_id]


def _opened(opening: asyncio.Task[OwnSource | None]) -> bool:
    return opening.done() and not opening.cancelled() and opening.exception() is None
