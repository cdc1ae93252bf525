"""Keeps us within what Discord tolerates: a pace for what can wait, and a stop before too many refused requests."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
import structlog

from db.models import Urgency

# Discord blocks an address for an hour after 10,000 refused requests (401, 403, 429) in ten minutes.
WINDOW_S = 600.0
MOST_REFUSED = {Urgency.P2: 1000, Urgency.P1: 3000}
# Of Discord's 50 requests a second; each of an order's takes the turn of an alert.
PER_SECOND = {Urgency.P0: 40.0, Urgency.P1: 25.0, Urgency.P2: 5.0}
MOST_IN_A_SECOND = 40
AHEAD_S = 0.2
LOOK_AGAIN_S = 5.0
# Discord lets a bot open about one direct channel a second; half of them stay free for orders.
OPENING_EVERY_S = 2.0

log = structlog.get_logger(__name__)


class Brakes:
    """Counts the refused requests of one client, and paces its notices to its share of what all bots may send."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, share: float = 1.0) -> None:
        self._clock = clock
        self._share = share
        self._refused: deque[float] = deque()
        self._next: dict[Urgency, float] = {}
        self._sent: deque[float] = deque()
        self._openings: dict[int, float] = {}
        self._next_opening = 0.0
        self.locked_out = False
        """Discord refused our token: nothing is sent any more."""

    def trace(self) -> aiohttp.TraceConfig:
        """Return what counts the answers of a client's HTTP session."""
        config = aiohttp.TraceConfig()
        config.on_request_end.append(self._ended)
        return config

    def count(self, status: int, path: str, *, shared: bool = False) -> None:
        """Take note of an answer; a 429 that all bots share does not count, as Discord has it."""
        if status in {401, 403} or (status == 429 and not shared):
            self._refused.append(self._clock())
        if status == 401 and "/webhooks/" not in path and "/interactions/" not in path:
            log.critical("Discord refuses our token; nothing is sent until it is replaced")
            self.locked_out = True

    def allow(self, urgency: Urgency) -> bool:
        """Tell whether notices of a class may go out."""
        refused = self._refused_lately()
        return not self.locked_out and refused < MOST_REFUSED.get(urgency, refused + 1)

    @property
    def trouble(self) -> str | None:
        """What stops us, with the cure, for `/status`; None while nothing does."""
        if self.locked_out:
            return (
                "stopped: Discord refuses our token. Reset it in the developer portal (your application → Bot → "
                "Reset Token), set DISCORD_TOKEN to the new one and restart"
            )
        refused = self._refused_lately()
        if refused < MOST_REFUSED[Urgency.P2]:
            return None
        waiting = "alerts and boards wait" if refused >= MOST_REFUSED[Urgency.P1] else "boards wait"
        return f"{waiting}: Discord refused {refused:,} of our requests within ten minutes; the log names them"

    async def pace(self, urgency: Urgency) -> None:
        """Wait for the next turn of a class; the answers to interactions, outside of Discord's limit, need none."""
        now = self._clock()
        turn = max(self._next.get(urgency, 0.0) - AHEAD_S, now)
        for later in (other for other in Urgency if other >= urgency):
            self._next[later] = max(self._next.get(later, 0.0), now) + 1 / (PER_SECOND[later] * self._share)
        await asyncio.sleep(turn - now)
        # what a stalled loop let pile up would go out all at once
        while (wait_s := self._until_room()) > 0:  # noqa: ASYNC110 - time passes, nothing happens
            await asyncio.sleep(wait_s)
        self._sent.append(self._clock())

    def seconds_to_opening(self, urgency: Urgency, user_id: int) -> float:
        """Return how long to wait before a direct channel may be opened; the place in the queue is kept."""
        now = self._clock()
        if urgency is Urgency.P0:
            return 0.0
        if user_id not in self._openings:
            self._openings[user_id] = self._next_opening = max(self._next_opening + OPENING_EVERY_S / self._share, now)
        if self._openings[user_id] > now:
            return self._openings[user_id] - now
        del self._openings[user_id]
        return 0.0

    def _until_room(self) -> float:
        now, most = self._clock(), max(1, int(MOST_IN_A_SECOND * self._share))
        while self._sent and self._sent[0] <= now - 1:
            self._sent.popleft()
        return self._sent[-most] + 1 - now if len(self._sent) >= most else 0.0

    def _refused_lately(self) -> int:
        since = self._clock() - WINDOW_S
        while self._refused and self._refused[0] < since:
            self._refused.popleft()
        return len(self._refused)

    async def _ended(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, ended: aiohttp.TraceRequestEndParams
    ) -> None:
        shared = ended.response.headers.get("X-RateLimit-Scope") == "shared"
        self.count(ended.response.status, ended.url.path, shared=shared)
