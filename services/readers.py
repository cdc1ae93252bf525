"""The market as one person may read it: by their plan, and through their own broker where nobody else reads along."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from services.errors import (
    BadData,
    BrokerError,
    DatabaseAway,
    FeedSignedOut,
    FeedUnavailable,
    NoBars,
    NoChain,
    NothingTraded,
    PulseError,
    UnknownSymbol,
)
from services.feeds.base import Chain
from services.market import Board, Market
from services.own_sources import OwnSource, OwnSources
from services.plans import LIVE_CHAIN, LIVE_QUOTE, PLANS, Kind, Plan, Terms
from services.usage import Usage

NOT_KNOWN = "it does not know our access any more; `/accounts` shows what to do"

T = TypeVar("T")


class Reader:
    """What an answer to a person is made from: the shared market, at the ages of their plan."""

    def __init__(self, market: Market, terms: Terms, away: Sequence[str] = ()) -> None:
        self._market, self.terms = market, terms
        self.away = dict.fromkeys(away)
        """Why their own source has not answered, in sentences."""

    async def quotes(self, symbols: Sequence[str]) -> Board:
        """Return quotes of up to ten canonical symbols; raises as `Market.quotes`."""
        return await self._market.quotes(symbols, max_age=self.terms.quote_age)

    async def chain(self, symbol: str, /) -> Chain:
        """Return the option chain of a canonical symbol; raises as `Market.chain`."""
        return await self._market.chain(symbol, max_age=self.terms.chain_age)

    async def first(self, ask: Callable[[Market], Awaitable[T]]) -> T:
        """Return what the first market answers that can; raises what the last one does."""
        return await ask(self._market)


class OwnReader(Reader):
    """The same for a person with a source of their own, which is asked first."""

    def __init__(
        self, market: Market, terms: Terms, sources: OwnSources, source: OwnSource, age: timedelta = LIVE_CHAIN
    ) -> None:
        super().__init__(market, terms)
        self._sources, self._source, self._age = sources, source, age

    async def quotes(self, symbols: Sequence[str]) -> Board:
        """Return quotes of up to ten canonical symbols, each from the first source that knows it."""
        own = self._own()
        if own is None:
            return await super().quotes(symbols)
        theirs = await own.board(symbols, max_age=LIVE_QUOTE)
        for reason in theirs.missing.values():
            self._note(reason)
        if not theirs.missing:
            return theirs
        left = [symbol for symbol in symbols if symbol in theirs.missing]
        return _joined(symbols, theirs, await self._market.board(left, max_age=self.terms.quote_age))

    async def chain(self, symbol: str, /) -> Chain:
        """Return the option chain of a canonical symbol from the first source that has a fresh one."""
        ours, plan = self._market, self.terms.chain_age
        return await self.first(lambda market: market.chain(symbol, max_age=plan if market is ours else self._age))

    async def first(self, ask: Callable[[Market], Awaitable[T]]) -> T:
        """Return what the person's own source answers, else the shared market; raises what that does."""
        if own := self._own():
            try:
                return await ask(own)
            except (UnknownSymbol, NoChain, NoBars, NothingTraded, BadData, FeedUnavailable) as error:
                self._note(error)
        return await ask(self._market)

    def _own(self) -> Market | None:
        """Return what to ask, None where that is known to be in vain."""
        refusal = self._source.refusal(self._sources.clock())
        if refusal:
            self._note(refusal)
        return None if refusal or self._source.dropped else self._source.market

    def _note(self, error: PulseError) -> None:
        if isinstance(error, FeedUnavailable):
            reason = NOT_KNOWN if isinstance(error, FeedSignedOut) else error.reason.rstrip(".")
            self.away[f"{error.feed[:1].upper()}{error.feed[1:]} comes first, but {reason}."] = None
        elif isinstance(error, BadData):
            self.away[str(error)] = None
        if isinstance(error, FeedSignedOut):
            self._sources.refused(self._source, error)


class Readers:
    """Lets people read the market, each use counted."""

    def __init__(self, market: Market, usage: Usage, own: OwnSources) -> None:
        self._market, self._usage, self._own = market, usage, own

    async def spend(self, user_id: int, kind: Kind, *, alone: bool) -> Reader:
        """Count one use of a person, `alone` if nobody else reads the answer; raises LimitReached."""
        terms = await self._usage.spend(user_id, kind)
        if alone and self._own.owned_by(user_id):
            return await self._own_reader(user_id, terms, LIVE_CHAIN)
        return Reader(self._market, terms)

    async def again(self, user_id: int, *, alone: bool) -> Reader:
        """Let a person read once more what they have before them, `alone` if nobody else has; this is no use.

        Chains may be as old as under any plan: what is shown is older than what might be asked for now.
        """
        terms = PLANS[Plan.FREE]
        if alone and self._own.owned_by(user_id):
            return await self._own_reader(user_id, terms, terms.chain_age)
        return Reader(self._market, terms)

    def kept_chain(self, user_id: int, symbol: str) -> Chain | None:
        """Return a chain for this person alone that is in memory, however old, without asking anybody."""
        own = self._own.kept(user_id)
        return (own.market.kept_chain(symbol) if own else None) or self._market.kept_chain(symbol)

    async def _own_reader(self, user_id: int, terms: Terms, age: timedelta) -> Reader:
        try:
            source = await self._own.of(user_id)
        except DatabaseAway:
            away = "Your own broker comes first, but our database is away, so it cannot be asked."
        except BrokerError as error:
            away = str(error)
        else:
            return OwnReader(self._market, terms, self._own, source, age) if source else Reader(self._market, terms)
        return Reader(self._market, terms, [away])


def _joined(symbols: Sequence[str], theirs: Board, ours: Board) -> Board:
    found = {line.quote.symbol: line for line in (*theirs.lines, *ours.lines)}
    if not found:
        raise next(iter(ours.missing.values()))
    return Board(tuple(found[symbol] for symbol in symbols if symbol in found), ours.missing, ours.away)
