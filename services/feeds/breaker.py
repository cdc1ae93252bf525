"""Leaves a source that fails in peace, and lets one request at a time find out whether it is back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

FAILURES = 5
_FIRST_REST_S = 5.0
_LONGEST_REST_S = 60.0


class Resting(Exception):
    """The source has failed too often; it is asked again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


class Breaker:
    """Opens after five failures in a row for 5 s, and twice as long after each probe that fails; `clock` in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._rest_s = _FIRST_REST_S
        self._open_until: float | None = None
        self._probe: asyncio.Event | None = None
        """Set when the request that tries the source has ended."""

    @property
    def rest_s(self) -> float | None:
        """Seconds until the source is tried again; None while it is asked as usual."""
        return None if self._open_until is None else max(self._open_until - self._clock(), 0.0)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Let a request through, or let it wait for the one that tries the source; raises Resting.

        Whoever sends reports `passed` or `failed`; a request that its asker gives up says neither.
        """
        while self._probe:
            await self._probe.wait()
        if self.rest_s:
            raise Resting(self.rest_s)
        if self._open_until is None:
            yield
            return
        self._probe = asyncio.Event()
        try:
            yield
        finally:
            self._probe.set()
            self._probe = None

    def passed(self) -> None:
        """Note an answer."""
        self._failures, self._rest_s, self._open_until = 0, _FIRST_REST_S, None

    def failed(self) -> None:
        """Note a failure; while the source rests, those of earlier requests say nothing new."""
        self._failures += 1
        if self._failures < FAILURES or self.rest_s:
            return
        if self._open_until is not None:
            self._rest_s = min(self._rest_s * 2, _LONGEST_REST_S)
        self._open_until = self._clock() + self._rest_s
