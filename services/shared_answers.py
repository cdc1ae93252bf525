"""Answers that are kept for a while, and one request upstream for however many ask meanwhile."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from services.errors import PulseError

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


_Request: TypeAlias = asyncio.Task[Mapping[K, T | PulseError]]


class _Kept(NamedTuple, Generic[K, T]):
    asked_at: float
    request: _Request[K, T]


class SharedAnswers(Generic[K, T]):
    """The `most` newest answers by key; `fetch` brings those of several keys with one request."""

    def __init__(
        self,
        fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, T | PulseError]]],
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._most, self._clock = fetch, most, clock
        self._kept: OrderedDict[K, _Kept[K, T]] = OrderedDict()
        self._under_way: dict[K, _Request[K, T]] = {}

    def beside(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, T | PulseError]]]) -> "SharedAnswers[K, T]":
        """Return a second way to the same answers: it waits for no request of the first, and both keep what comes."""
        other = SharedAnswers(fetch, self._most, self._clock)
        other._kept = self._kept
        return other

    async def get(self, keys: Sequence[K], max_age: timedelta) -> dict[K, T | PulseError]:
        """Return an answer, or the reason why there is none, for each key; reasons are not kept.

        An answer is as old as the request that brought it; one that is on its way is always young enough.
        """
        oldest = self._clock() - max_age.total_seconds()
        chosen = {key: request for key in keys if (request := self._choose(key, oldest))}
        if missing := [key for key in dict.fromkeys(keys) if key not in chosen]:
            chosen |= dict.fromkeys(missing, self._ask(missing))
        # One asker who gives up must not take the answers from the others.
        await asyncio.shield(asyncio.gather(*set(chosen.values())))
        return {key: chosen[key].result()[key] for key in keys}

    async def one(self, key: K, max_age: timedelta) -> T:
        """Return the answer for one key, or raise the reason why there is none."""
        answer = (await self.get((key,), max_age))[key]
        if isinstance(answer, PulseError):
            raise answer
        return answer

    def kept(self, key: K) -> T | None:
        """Return the answer that is in memory, however old."""
        if key not in self._kept:
            return None
        answer = self._kept[key].request.result()[key]
        assert not isinstance(answer, PulseError), "that is no answer"
        return answer

    def _choose(self, key: K, oldest: float) -> _Request[K, T] | None:
        kept = self._kept.get(key)
        return kept.request if kept and kept.asked_at > oldest else self._under_way.get(key)

    def _ask(self, keys: Sequence[K]) -> _Request[K, T]:
        asked = _Kept(self._clock(), asyncio.ensure_future(self._fetch(keys)))
        self._under_way |= dict.fromkeys(keys, asked.request)
        asked.request.add_done_callback(lambda _: self._keep(keys, asked))
        return asked.request

    def _keep(self, keys: Sequence[K], asked: _Kept[K, T]) -> None:
        for key in keys:
            del self._under_way[key]
            present = self._kept.get(key)
            if _has_answer(asked.request, key) and (present is None or present.asked_at <= asked.asked_at):
                self._kept[key] = asked
                self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _has_answer(request: _Request[K, T], key: K) -> bool:
    if request.cancelled() or request.exception():
        return False
    return not isinstance(request.result()[key], PulseError)


def singly(fetch: Callable[[K], Awaitable[T]]) -> Callable[[Sequence[K]], Awaitable[Mapping[K, T | PulseError]]]:
    """Return a `fetch` for answers that are brought one by one."""

    async def fetch_one(keys: Sequence[K]) -> Mapping[K, T | PulseError]:
        (key,) = keys
        try:
            return {key: await fetch(key)}
        except PulseError as error:
            return {key: error}

    return fetch_one
