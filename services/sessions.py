"""The calendar of the running product: extended as time goes by, and corrected by what the broker says."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import structlog

from services.clock import Calendar, Sessions, corrected, load_calendar_apart, new_york_day
from services.errors import FeedUnavailable

LOOK_EVERY_S = 24 * 3600.0
RETRY_S = 600.0
SHORT = timedelta(days=300)

Broker = Callable[[date, date], Awaitable[Sessions]]
"""Returns the sessions from one New York date to another; raises FeedUnavailable."""

log = structlog.get_logger(__name__)


class Keeper:
    """Keeps a calendar from ending while the process runs: it is computed for about a year ahead of its start."""

    def __init__(self, calendar: Calendar, broker: Broker | None) -> None:
        self._calendar, self._broker = calendar, broker
        self._computed = calendar.sessions
        self._said: Sessions = ()

    async def run(self) -> None:
        """Once a day, and at once: extend the calendar where it has become short, and correct it."""
        while True:
            await self.extend(datetime.now(UTC))
            await asyncio.sleep(LOOK_EVERY_S if await self.correct() else RETRY_S)

    async def extend(self, now: datetime) -> None:
        """Compute the calendar anew, a year ahead of today, where it ends within ten months of `now`."""
        if self._computed[-1][1] > now + SHORT:
            return
        try:
            self._computed = (await load_calendar_apart()).sessions
        except (RuntimeError, OSError) as error:
            log.warning("calendar not extended", error=str(error))
        self._calendar.sessions = corrected(self._computed, self._said)

    async def correct(self) -> bool:
        """Ask the broker, whose holidays and half days win; False where it does not answer."""
        if self._broker is None:
            return True
        first, last = (new_york_day(opens) for opens, _ in (self._computed[0], self._computed[-1]))
        try:
            self._said = await self._broker(first, last)
        except FeedUnavailable as error:
            log.warning("calendar not confirmed", feed=error.feed, reason=error.reason)
            return False
        said = corrected(self._computed, self._said)
        for opens, closes in sorted(set(said) ^ set(self._computed)):
            log.info("calendar corrected by the broker", opens=opens.isoformat(), closes=closes.isoformat())
        self._calendar.sessions = said
        return True
