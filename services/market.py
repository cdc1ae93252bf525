"""Market data as the rest of the product asks for it: one answer from the first source that has it."""

import contextlib
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

import structlog

from services.clock import Calendar, Phase, Session
from services.directory import Directory
from services.errors import (
    BadData,
    FeedUnavailable,
    NoBars,
    NoChain,
    NoSymbols,
    PulseError,
    TooManySymbols,
    UnknownSymbol,
)
from services.feeds.base import Access, Bars, Chain, Feed, Offer, Quote
from services.shared_answers import SharedAnswers, singly
from services.tape import Tape

MOST_SYMBOLS = 10
CANARY = "SPY"
"""It trades whenever anything does."""
QUOTES_KEPT = timedelta(seconds=1)
CHAIN_KEPT = timedelta(seconds=5)
BARS_KEPT = timedelta(seconds=5)
QUOTE_STALE = timedelta(minutes=2)
CLOSING_PRINT = timedelta(minutes=1)
"""The closing auction prints up to so much after the close, and is its price."""
CHAIN_STALE = timedelta(minutes=30)
NEAR_CLOSE = timedelta(minutes=5)
"""Option quotes end up to so long before the close; older ones are not of it."""

_NOW = timedelta(0)

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
    traded: Phase = Phase.OPEN
    """The part of the trading day that the price is of; that of a recording counts as open."""


@dataclass(frozen=True, slots=True)
class Board:
    """The answer to a request for quotes, in the order asked."""

    lines: tuple[Line, ...]
    missing: Mapping[str, PulseError]
    """Why a symbol is not there."""
    away: tuple[FeedUnavailable, ...] = ()
    """Sources that would have been preferred to those that answered."""


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How a source has been doing; moments are in its own time."""

    name: str
    ok: bool | None
    """None before the first request."""
    detail: str
    data_age: timedelta | None
    access: tuple[Access, ...] = ()


class _Told(NamedTuple):
    """A quote, who told it, and who should have."""

    quote: Quote
    feed: Feed
    instead_of: FeedUnavailable | None


class _Candles(NamedTuple):
    """A request for bars, in whole minutes."""

    symbol: str
    interval: timedelta
    start: datetime
    end: datetime


class Room(NamedTuple):
    """How many answers are kept in memory; the chain of SPX takes 2 MB, a full year of candles 4 MB."""

    quotes: int = 5000
    chains: int = 32
    bars: int = 16


ROOM = Room()


class Chains(Protocol):
    """Whoever can be asked for an option chain: the market, or one person's reading of it."""

    async def chain(self, symbol: str, /) -> Chain:
        """Return the chain of a canonical symbol; raises as `Market.chain`."""


class Market:
    """The sources in the order they are asked, behind short-lived answers that concurrent requests share."""

    def __init__(self, feeds: Sequence[Feed], calendar: Calendar, tape: Tape | None = None, room: Room = ROOM) -> None:
        self.calendar = calendar
        self.tape = tape or Tape()
        """What the stream of the first source says, while this process follows it."""
        self.directory = Directory(())
        self._feeds = feeds
        self._quotes = SharedAnswers(partial(self._fetch_quotes, orders=False), room.quotes)
        self._quotes_for_orders = self._quotes.beside(partial(self._fetch_quotes, orders=True))
        self._chains = SharedAnswers(singly(self._fetch_chain), room.chains)
        self._bars = SharedAnswers(singly(self._fetch_bars), room.bars)
        self._failures: dict[str, FeedUnavailable] = {}
        self._last: dict[str, tuple[datetime, bool]] = {}

    @property
    def feeds(self) -> Sequence[Feed]:
        """The sources, first asked first."""
        return self._feeds

    def offering(self, offer: Offer) -> list[Feed]:
        """Return the sources that can be asked for something, first asked first."""
        return [feed for feed in self._feeds if offer in feed.offers]

    async def quotes(self, symbols: Sequence[str], *, max_age: timedelta = QUOTES_KEPT, anew: bool = False) -> Board:
        """Return quotes of up to ten canonical symbols, none kept for longer than `max_age`.

        `anew` asks the source at this moment, as orders must. What one source does not know or cannot say, the next is
        asked for. Raises NoSymbols, TooManySymbols, and UnknownSymbol or FeedUnavailable when nothing at all could be
        found.
        """
        board = await self.board(symbols, max_age=max_age, anew=anew)
        if not board.lines:
            raise next(iter(board.missing.values()))
        return board

    async def board(self, symbols: Sequence[str], *, max_age: timedelta = QUOTES_KEPT, anew: bool = False) -> Board:
        """Return what `quotes` does, if need be without any line; raises NoSymbols or TooManySymbols."""
        if not symbols:
            raise NoSymbols
        if len(symbols) > MOST_SYMBOLS:
            raise TooManySymbols(len(symbols), MOST_SYMBOLS)
        if (anew or max_age <= QUOTES_KEPT) and (live := self.tape.quotes(symbols)):
            self.tape.want(symbols)
            return Board(tuple(self._line(self._feeds[0], quote) for quote in live), {}, ())
        answers = await (self._quotes_for_orders.get(symbols, _NOW) if anew else self._quotes.get(symbols, max_age))
        told = [answer for answer in answers.values() if not isinstance(answer, PulseError)]
        missing = {symbol: answer for symbol, answer in answers.items() if isinstance(answer, PulseError)}
        away = dict.fromkeys(each.instead_of for each in told if each.instead_of)
        return Board(tuple(self._line(each.feed, each.quote) for each in told), missing, tuple(away))

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
        """Ask a source of live trades for one quote, so that its clock is known when nobody asks for long."""
        feed = self._feeds[0]
        if Offer.TRADES in feed.offers:
            with contextlib.suppress(FeedUnavailable):
                await self._ask(feed, feed.quotes([CANARY]))

    def now(self) -> datetime:
        """Return the time at the first source (aware UTC), by which sessions and ages are measured."""
        return self._feeds[0].now()

    async def chain(self, symbol: str, *, max_age: timedelta = CHAIN_KEPT) -> Chain:
        """Return the option chain, kept for no longer than `max_age`.

        Raises UnknownSymbol, NoChain, FeedUnavailable, or BadData where every source's is stale.
        """
        return await self._chains.one(symbol, max_age)

    def kept_chain(self, symbol: str) -> Chain | None:
        """Return the option chain that is in memory, however old, without asking anybody."""
        return self._chains.kept(symbol)

    async def bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return the candles of 1, 5 or 15 min, 1 h or 1 day that start between two moments (aware, to the minute).

        None where the symbol did not trade. Raises UnknownSymbol, NoBars or FeedUnavailable.
        """
        minute = timedelta(minutes=1)
        asked = _Candles(symbol, interval, _floor(start), _floor(end + minute - timedelta.resolution))
        return await self._bars.one(asked, BARS_KEPT)

    def health(self) -> list[FeedHealth]:
        """Return the state of every source, in order."""
        return [self._health(feed) for feed in self._feeds]

    async def _fetch_quotes(self, symbols: Sequence[str], *, orders: bool) -> dict[str, _Told | PulseError]:
        found: dict[str, _Told | PulseError] = {}
        failure: FeedUnavailable | None = None
        for feed in self.offering(Offer.QUOTES):
            left = [symbol for symbol in symbols if symbol not in found]
            if not left:
                break
            try:
                quotes = await self._ask(feed, feed.quotes_for_orders(left) if orders else feed.quotes(left))
            except FeedUnavailable as error:
                failure = failure or error
                continue
            quotes = {symbol: self._named(quote) for symbol, quote in quotes.items()}
            if feed is self._feeds[0]:
                self.tape.want(quotes)
                self.tape.seed(quotes.values())
            if quotes:
                newest = max((self._line(feed, quote) for quote in quotes.values()), key=lambda line: line.quote.as_of)
                self._last[feed.name] = newest.quote.as_of, newest.stale
            found |= {symbol: _Told(quote, feed, failure) for symbol, quote in quotes.items()}
        return {symbol: found.get(symbol) or failure or self._unknown(symbol) for symbol in symbols}

    async def _fetch_chain(self, symbol: str) -> Chain:
        refusal: PulseError | None = None
        none: NoChain | None = None
        for feed in self.offering(Offer.CHAINS):
            try:
                chain = await self._ask(feed, feed.chain(symbol))
            except UnknownSymbol:
                continue
            except NoChain as error:
                none = none or error
                continue
            except FeedUnavailable as error:
                refusal = refusal or error
                continue
            stale = self._is_stale(feed, chain)
            self._last[feed.name] = chain.as_of, stale
            if not stale:
                return self._closing(feed, chain)
            refusal = refusal or _too_old(chain)
        # Only when every source has answered it is known that there is no chain.
        raise refusal or none or self._unknown(symbol)

    async def _fetch_bars(self, asked: _Candles) -> Bars:
        failure: FeedUnavailable | None = None
        none: Bars | None = None
        for feed in self.offering(Offer.BARS):
            try:
                found = await self._ask(feed, feed.bars(*asked))
            except FeedUnavailable as error:
                failure = failure or error
                continue
            if found.bars:
                return found
            none = none or found
        if failure or none is None:
            raise failure or NoBars(asked.symbol)
        if len(self.directory) and asked.symbol not in self.directory:
            raise self._unknown(asked.symbol)
        return none

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
        allowed = (quote.delay or timedelta(0)) + QUOTE_STALE
        stale = quote.delay is not None and age > allowed and self._is_open(now, now - allowed)
        return Line(self._named(quote), age, stale, session, self._part_of(quote))

    def _named(self, quote: Quote) -> Quote:
        name = quote.name or self.directory.name(quote.symbol)
        return quote if quote.name == name else replace(quote, name=name)

    def _part_of(self, quote: Quote) -> Phase:
        at = quote.traded_at or quote.as_of
        phase = Phase.OPEN if quote.delay is None else self.calendar.at(at).phase
        closing = phase is Phase.POST and self.calendar.at(at - CLOSING_PRINT).phase is Phase.OPEN
        return Phase.OPEN if closing else phase

    def _closing(self, feed: Feed, chain: Chain) -> Chain:
        """Let the last quotes of a session hold at its close, with which what expires that day has expired."""
        close = None if chain.delay is None else self.calendar.last_close(feed.now() - chain.delay)
        return replace(chain, as_of=close) if close and close - NEAR_CLOSE <= chain.as_of < close else chain

    def _is_stale(self, feed: Feed, chain: Chain) -> bool:
        if chain.delay is None:
            return False
        # What is late by contract shows the close before for so long after the open.
        late = feed.now() - chain.delay
        due = late if self._is_open(late, late - QUOTE_STALE) else self.calendar.last_close(late)
        return due is not None and chain.as_of < due - CHAIN_STALE

    def _is_open(self, *moments: datetime) -> bool:
        return all(self.calendar.at(moment).phase is Phase.OPEN for moment in moments)

    def _unknown(self, symbol: str) -> UnknownSymbol:
        return UnknownSymbol(symbol, self.directory.nearest(symbol))

    def _health(self, feed: Feed) -> FeedHealth:
        failure, last = self._failures.get(feed.name), self._last.get(feed.name)
        age = max(feed.now() - last[0], timedelta(0)) if last else None
        access = tuple(feed.access())
        if failure:
            return FeedHealth(feed.name, False, failure.reason, age, access)
        if last is None:
            return FeedHealth(feed.name, None, "not asked yet", None, access)
        stale = last[1]
        return FeedHealth(feed.name, not stale, "sends old data" if stale else "answering", age, access)


def _too_old(chain: Chain) -> BadData:
    return BadData(
        f"The newest {chain.symbol} options from {chain.source} are from <t:{chain.as_of.timestamp():.0f}:f>, "
        "too old to draw. `/status` shows when the source is back."
    )


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
