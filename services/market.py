"""Market data as the rest of the product asks for it: one answer from the first source that has it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from services.clock import Calendar, Phase, Session
from services.errors import BadData, FeedUnavailable, NoChain, NoSymbols, PulseError, TooManySymbols, UnknownSymbol
from services.feeds.base import Chain, Feed, Quote
from services.symbols import Directory
from services.tape import Tape

MOST_SYMBOLS = 10
CANARY = "SPY"
"""It trades whenever anything does."""
QUOTES_FRESH_S = 1.0
CHAIN_FRESH_S = 5.0
QUOTE_STALE = timedelta(minutes=2)
CHAIN_STALE = timedelta(minutes=30)

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """One quote with what the clock says about it."""

    quote: Quote
    age: timedelta
    stale: bool
    """The source is live and the market open, yet nothing came for longer than its contract allows."""
    session: Session


@dataclass(frozen=True, slots=True)
class Board:
    """The answer to a request for quotes, in the order asked; `missing` says why a symbol is not there."""

    lines: tuple[Line, ...]
    missing: tuple[PulseError, ...]


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How a source has been doing; moments are in its own time."""

    name: str
    ok: bool | None
    """None before the first request."""
    detail: str
    data_age: timedelta | None


class Market:
    """The sources in the order they are asked, behind short-lived answers that concurrent requests share."""

    def __init__(self, feeds: Sequence[Feed], calendar: Calendar, tape: Tape | None = None) -> None:
        self.calendar = calendar
        self.tape = tape or Tape()
        """What the stream of the first source says, while this process follows it."""
        self.directory = Directory(())
        self._feeds = feeds
        self._shared = SharedAnswers()
        self._failures: dict[str, FeedUnavailable] = {}
        self._last: dict[str, tuple[datetime, bool]] = {}

    @property
    def feeds(self) -> Sequence[Feed]:
        """The sources, first asked first."""
        return self._feeds

    async def quotes(self, symbols: Sequence[str], *, anew: bool = False) -> Board:
        """Return quotes of up to ten canonical symbols, at most a second old; `anew` asks the source at this moment.

        Raises NoSymbols, TooManySymbols, and UnknownSymbol or FeedUnavailable when nothing at all could be found.
        """
        if not symbols:
            raise NoSymbols
        if len(symbols) > MOST_SYMBOLS:
            raise TooManySymbols(len(symbols), MOST_SYMBOLS)
        asked = tuple(symbols)
        if live := self.tape.quotes(asked):
            self.tape.want(asked)
            return Board(tuple(self._line(self._feeds[0], quote) for quote in live), ())
        return await self._shared.get(("quotes", asked), QUOTES_FRESH_S, lambda: self._quotes(asked), anew=anew)

    async def lines(self, symbols: Collection[str]) -> dict[str, Line]:
        """Return quotes of any number of canonical symbols, without those that cannot be had at the moment."""
        wanted, found = sorted(symbols), dict[str, Line]()
        for some in (wanted[i : i + MOST_SYMBOLS] for i in range(0, len(wanted), MOST_SYMBOLS)):
            try:
                board = await self.quotes(some)
            except (FeedUnavailable, UnknownSymbol) as error:
                log.warning("no quotes", symbols=some, reason=str(error))
            else:
                found |= {line.quote.symbol: line for line in board.lines}
        return found

    async def keep_time(self) -> None:
        """Ask the first source for anything, so that its clock and its state are known when nobody asks for long."""
        with contextlib.suppress(FeedUnavailable):
            await self._ask(self._feeds[0], self._feeds[0].quotes([CANARY]))

    def now(self) -> datetime:
        """Return the time at the first source (aware UTC), by which sessions and ages are measured."""
        return self._feeds[0].now()

    async def chain(self, symbol: str) -> Chain:
        """Return the option chain; raises UnknownSymbol, NoChain, FeedUnavailable, or BadData for a stale one."""
        return await self._shared.get(("chain", symbol), CHAIN_FRESH_S, lambda: self._chain(symbol))

    def health(self) -> list[FeedHealth]:
        """Return the state of every source, in order."""
        return [self._health(feed) for feed in self._feeds]

    async def _quotes(self, symbols: tuple[str, ...]) -> Board:
        found: dict[str, Line] = {}
        failure: FeedUnavailable | None = None
        for feed in self._feeds:
            left = [symbol for symbol in symbols if symbol not in found]
            if not left:
                break
            try:
                quotes = await self._ask(feed, feed.quotes(left))
            except FeedUnavailable as error:
                failure = failure or error
                continue
            lines = {symbol: self._line(feed, quote) for symbol, quote in quotes.items()}
            if feed is self._feeds[0]:
                self.tape.want(quotes)
                self.tape.seed(quotes.values())
            if lines:
                newest = max(lines.values(), key=lambda line: line.quote.as_of)
                self._last[feed.name] = newest.quote.as_of, newest.stale
            found |= lines
        missing = tuple(failure or self._unknown(symbol) for symbol in symbols if symbol not in found)
        if not found:
            raise missing[0]
        return Board(tuple(found[symbol] for symbol in symbols if symbol in found), tuple(dict.fromkeys(missing)))

    async def _chain(self, symbol: str) -> Chain:
        refusal: PulseError | None = None
        for feed in self._feeds:
            try:
                chain = await self._ask(feed, feed.chain(symbol))
            except UnknownSymbol:
                continue
            except (NoChain, FeedUnavailable) as error:
                refusal = refusal or error
                continue
            stale = self._is_stale(feed, chain)
            self._last[feed.name] = chain.as_of, stale
            if stale:
                raise _too_old(chain)
            return chain
        raise refusal or self._unknown(symbol)

    async def _ask(self, feed: Feed, request: Awaitable[T]) -> T:
        try:
            answer = await request
        except FeedUnavailable as error:
            self._failures[feed.name] = error
            log.warning("feed unavailable", feed=feed.name, reason=error.reason)
            raise
        self._failures.pop(feed.name, None)
        return answer

    def _line(self, feed: Feed, quote: Quote) -> Line:
        now = feed.now()
        age = max(now - quote.as_of, timedelta(0))
        session = self.calendar.at(now)
        live = quote.delay is not None and session.phase is Phase.OPEN
        stale = live and age > (quote.delay or timedelta(0)) + QUOTE_STALE
        return Line(replace(quote, name=quote.name or self.directory.name(quote.symbol)), age, stale, session)

    def _is_stale(self, feed: Feed, chain: Chain) -> bool:
        if chain.delay is None:
            return False
        now = feed.now()
        due = now if self.calendar.at(now).phase is Phase.OPEN else self.calendar.last_close(now)
        return due is not None and chain.as_of < due - chain.delay - CHAIN_STALE

    def _unknown(self, symbol: str) -> UnknownSymbol:
        return UnknownSymbol(symbol, self.directory.nearest(symbol))

    def _health(self, feed: Feed) -> FeedHealth:
        failure, last = self._failures.get(feed.name), self._last.get(feed.name)
        age = max(feed.now() - last[0], timedelta(0)) if last else None
        if failure:
            return FeedHealth(feed.name, ok=False, detail=failure.reason, data_age=age)
        if last is None:
            return FeedHealth(feed.name, ok=None, detail="not asked yet", data_age=None)
        stale = last[1]
        return FeedHealth(feed.name, ok=not stale, detail="sends old data" if stale else "answering", data_age=age)


def _too_old(chain: Chain) -> BadData:
    return BadData(
        f"The newest {chain.symbol} options from {chain.source} are from <t:{chain.as_of.timestamp():.0f}:f>, "
        "too old to draw. `/status` shows when the source is back."
    )


class SharedAnswers:
    """Answers kept for a moment, and one upstream request for however many ask meanwhile."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}

    async def get(self, key: Hashable, fresh_s: float, fetch: Callable[[], Awaitable[T]], *, anew: bool = False) -> T:
        """Return the kept answer for `key` if it is younger than `fresh_s`, else fetch it; errors are not kept.

        `anew` takes no kept answer, only one that is on its way.
        """
        now = time.monotonic()
        kept = self._answers.get(key)
        if kept is None or (kept[1].done() and (anew or now >= kept[0] or kept[1].exception() is not None)):
            self._forget_old(now)
            task = asyncio.ensure_future(fetch())
            kept = self._answers[key] = (now + fresh_s, task)
        # One asker who gives up must not take the answer from the others.
        return await asyncio.shield(kept[1])

    def _forget_old(self, now: float) -> None:
        self._answers = {key: kept for key, kept in self._answers.items() if now < kept[0] or not kept[1].done()}
