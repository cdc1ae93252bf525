"""One HTTP API of a source: in time, within its rate limit, left in peace while it fails, its failures in words."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import IO, NamedTuple, TypeVar

import httpx
import msgspec

from services.errors import FeedForbids, FeedSignedOut, FeedUnavailable
from services.feeds.base import Access
from services.feeds.breaker import Breaker, Resting
from services.feeds.budget import Budget
from services.feeds.source_clock import SourceClock

T = TypeVar("T")

_DROPPED = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_ONLY_ANSWERS = frozenset({200})
_CONNECTIONS = 14
_MILLISECONDS = 10**11
"""Moments since 1970 above this are in milliseconds."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a source signs, counts and complains."""

    name: str
    headers: Mapping[str, str]
    limit_header: str = "X-RateLimit-Limit"
    left_header: str = "X-RateLimit-Remaining"
    reset_header: str = "X-RateLimit-Reset"
    """A moment, since 1970, in seconds or milliseconds."""
    complaint: Callable[[bytes], str] = bytes.decode
    """Finds the words in the body of a refusal."""
    signed_out: Callable[[int, str], bool] = lambda status, _words: status == 401
    """Tells from status and words of a refusal that the source does not know us."""
    refusal: str = "it refused ours"
    cure: str = "The operator has to check the key"


def members(vendor: Vendor) -> Vendor:
    """Return the vendor as a member asks it, about whose own account it then speaks."""
    return replace(vendor, name=f"your {vendor.name}", refusal="it refused", cure="`/link` links your account again")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long answers may take, in seconds."""

    quick_s: float = 2.5
    """For a connection, and for quotes."""
    whole_s: float = 8.0
    """For what takes several requests, or is long."""


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Rank:
    """How much of an API its ways leave to those of a higher rank."""

    kept_share: float
    """Of the rate limit."""
    connections: int
    """At most used of the fourteen."""


TICKETS, QUOTES, REST = Rank(0.0, 14), Rank(0.05, 6), Rank(0.1, 6)
"""An order must not wait for a question, nor a question for a chain."""


class Api(NamedTuple):
    """What all ways to one API have in common."""

    url: str
    vendor: Vendor
    client: httpx.AsyncClient
    budget: Budget
    clock: SourceClock


def api(
    url: str,
    vendor: Vendor,
    patience: Patience,
    clock: Callable[[], float] = time.monotonic,
    pool: httpx.AsyncBaseTransport | None = None,
) -> Api:
    """Return an API of which nothing has been asked yet; `clock` gives seconds.

    `pool` holds connections that it shares with others; without one it has its own.
    """
    client = httpx.AsyncClient(
        headers=vendor.headers,
        timeout=httpx.Timeout(patience.whole_s, connect=patience.quick_s),
        limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=60),
        transport=pool,
        trust_env=False,
    )
    return Api(url.rstrip("/"), vendor, client, Budget(clock), SourceClock(clock))


class Upstream:
    """A way to an API, closed by `close()`, which fails by itself; every request may raise FeedUnavailable."""

    def __init__(self, name: str, to: Api, clock: Callable[[], float] = time.monotonic, rank: Rank = REST) -> None:
        self._name, self._breaker = name, Breaker(clock)
        self._url, self._vendor, self._client, self._budget, self.clock = to
        self._kept_share, self._room = rank.kept_share, asyncio.Semaphore(rank.connections)

    @property
    def vendor_name(self) -> str:
        """What people are told that the source is called."""
        return self._vendor.name

    @property
    def _kept(self) -> int:
        allowance = self._budget.allowance
        return int(allowance.limit * self._kept_share) if allowance else 0

    @property
    def access(self) -> Access:
        """Tell how far the API lets us in at this moment."""
        allowance = self._budget.allowance
        return Access(
            name=self._name,
            rest_s=self._breaker.rest_s,
            quiet_s=self._budget.wait_s(kept=self._kept),
            limit=allowance.limit if allowance else None,
            left=allowance.left if allowance else None,
        )

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        answers: Collection[int] = _ONLY_ANSWERS,
        into: IO[bytes] | None = None,
    ) -> httpx.Response:
        """Return the answer if its status is one of `answers`; a connection that breaks is tried once more.

        A body that is too long to be handled in one piece goes `into` a file, if the status is 200.
        """
        async with self._room:
            self.afford(1)
            try:
                async with self._breaker.attempt():
                    answer = await self._sent(path, query, into)
                    return self._checked(answer, answers)
            except Resting as error:
                reason = "it failed several times in a row and is left in peace"
                raise self.unavailable(reason, error.seconds) from error

    def read(self, answer: httpx.Response, kind: type[T]) -> T:
        """Decode an answer with status 200; numbers may stand in strings."""
        if answer.status_code != 200:
            raise self._refusal(answer)
        try:
            found = msgspec.json.decode(answer.content, type=kind, strict=False)
        except msgspec.DecodeError as error:
            raise self.nonsense() from error
        self._breaker.passed()
        return found

    async def understood(self, reading: Awaitable[T]) -> T:
        """Return what somebody else makes of an answer with status 200, who may raise that it cannot be read."""
        try:
            found = await reading
        except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
            raise self.nonsense() from error
        self._breaker.passed()
        return found

    def nonsense(self, what: str = "") -> FeedUnavailable:
        """Count an answer that makes no sense as a failure, and return what to raise."""
        self._breaker.failed()
        return self.unavailable("it answered nonsense" + what)

    def afford(self, requests: int) -> None:
        """Raise FeedUnavailable where the source's rate limit leaves fewer requests than these."""
        allowance = self._budget.allowance
        kept = self._kept
        if allowance and allowance.limit - kept < requests:
            reason = f"this would take {requests} requests at once, and it allows {allowance.limit - kept}"
            raise FeedUnavailable(self._vendor.name, reason, cure="The operator can name another source in FEEDS")
        if wait_s := self._budget.wait_s(requests, kept=kept):
            raise self.unavailable("its rate limit is used up", wait_s)

    @asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[None]:
        """Give up after that time whatever is asked for inside."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            self._breaker.failed()
            raise self.unavailable(f"no answer within {seconds:g} s") from error
        except ExceptionGroup as group:
            # Concurrent requests fail together; the first reason is the one to tell.
            raise group.exceptions[0] from group

    def unavailable(self, reason: str, wait_s: float | None = None) -> FeedUnavailable:
        """Return the error that names this source."""
        return FeedUnavailable(self._vendor.name, reason, wait_s)

    def complaint(self, answer: httpx.Response) -> str:
        """Return the words of a refusal."""
        try:
            words = self._vendor.complaint(answer.content)
        except (UnicodeDecodeError, msgspec.DecodeError):
            words = ""
        return " ".join(words.split())[:100] or answer.reason_phrase

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def _sent(self, path: str, query: Mapping[str, str], into: IO[bytes] | None) -> httpx.Response:
        try:
            try:
                return await self._once(path, query, into)
            except _DROPPED:
                return await self._once(path, query, into)
        except httpx.RequestError as error:
            self._breaker.failed()
            raise self.unavailable(_reason(error)) from error

    async def _once(self, path: str, query: Mapping[str, str], into: IO[bytes] | None) -> httpx.Response:
        self._budget.spend()
        try:
            async with self._client.stream("GET", self._url + path, params=query) as answer:
                self._note(answer.headers)
                if into is None or answer.status_code != 200:
                    await answer.aread()
                else:
                    into.seek(0)
                    into.truncate()
                    async for piece in answer.aiter_bytes():
                        into.write(piece)
                    into.flush()
            return answer
        finally:
            self._budget.settle()

    def _checked(self, answer: httpx.Response, answers: Collection[int]) -> httpx.Response:
        status = answer.status_code
        if status == 429:
            raise self.unavailable("it asks us to slow down", self._budget.refused(self._wait_s(answer.headers)))
        self._budget.accepted()
        if status >= 500:
            self._breaker.failed()
            raise self.unavailable(f"it answered with an error of its own, {status}")
        if status != 200:  # else whoever reads it can tell whether it is an answer
            self._breaker.passed()
        if status in answers:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: httpx.Response) -> FeedUnavailable:
        words, status, vendor = self.complaint(answer), answer.status_code, self._vendor
        signed_out = vendor.signed_out(status, words)
        if signed_out or status == 403:
            kind = FeedSignedOut if signed_out else FeedForbids
            return kind(vendor.name, f"{vendor.refusal}: {words}", cure=vendor.cure)
        return self.unavailable(f"it answered {status}: {words}")

    def _note(self, headers: httpx.Headers) -> None:
        self.clock.note(headers)
        reset_s = self._reset_s(headers)
        try:
            limit, left = int(headers[self._vendor.limit_header]), int(headers[self._vendor.left_header])
        except (KeyError, ValueError):
            return
        if reset_s is not None:
            self._budget.note(limit, left, reset_s)

    def _wait_s(self, headers: httpx.Headers) -> float | None:
        try:
            return max(float(headers["Retry-After"]), 0.0)
        except (KeyError, ValueError):
            return self._reset_s(headers)

    def _reset_s(self, headers: httpx.Headers) -> float | None:
        try:
            moment = float(headers[self._vendor.reset_header])
        except (KeyError, ValueError):
            return None
        return max((moment / 1000 if moment > _MILLISECONDS else moment) - self.clock.now().timestamp(), 0.0)


def _reason(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    return "it cannot be reached" if isinstance(error, httpx.ConnectError) else "the connection broke"
