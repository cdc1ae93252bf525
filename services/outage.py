"""Questions to PostgreSQL that an answer can do without."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from db.pool import DatabaseUnavailable, PostgresError

PATIENCE_S = 0.5
LASTS_S = 5.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Outage:
    """True for some seconds after PostgreSQL was found away, so that not every answer waits to find out anew."""

    def __init__(self) -> None:
        self._until = 0.0
        self._late: set[asyncio.Task[Any]] = set()

    def __bool__(self) -> bool:
        return time.monotonic() < self._until

    def end(self) -> None:
        """Take note that PostgreSQL is back."""
        self._until = 0.0

    async def ask(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Return what the question finds, None while PostgreSQL is away, refuses, or takes longer than half a second.

        What takes longer goes on by itself: to cancel it would mean to wait for a server that hangs.
        """
        if self:
            return None
        task = asyncio.create_task(question())
        self._late.add(task)
        task.add_done_callback(self._done)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        if not done:
            self._begin(f"no answer within {PATIENCE_S:g} s")
            return None
        try:
            return task.result()
        except (DatabaseUnavailable, PostgresError) as error:  # the latter for example of an older schema
            self._begin(str(error))
            return None

    def _begin(self, reason: str) -> None:
        if not self:
            log.warning("database away", reason=reason)
        self._until = time.monotonic() + LASTS_S

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # of one that came late nobody asks, and asyncio would complain
