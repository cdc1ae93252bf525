"""The latest trade, bid and ask of a few symbols, as a source's stream tells them."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.clock import new_york_day
from services.feeds.base import Quote, Tick, Touch

LIVE_S = 2.0
"""While a market is open its stream says something several times a second: after such a silence nothing is live."""
WANTED_S = 300.0
KEPT_S = 30.0
MOST_WANTED = 10
REFUSED_S = 600.0
SEED_S = 60.0
"""How long the day's range and volume, which streams do not tell, may be taken from an answer to a request."""

_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Latest:
    seed: Quote | None = None
    seeded_at: float = 0.0
    trade: Tick | None = None
    touch: Touch | None = None
    quote: Quote | None = None
    """What the three say together; None after one of them has changed."""

    @property
    def turned(self) -> bool:
        """Whether the stream has come to another day than the seed, whose previous close is then not the trade's."""
        seeded = self.seed and self.seed.traded_at
        return bool(seeded and self.trade and new_york_day(self.trade.at) > new_york_day(seeded))


class Tape:
    """What one stream has said; empty in processes that do not follow it."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._wanted: dict[str, float] = {}
        self._latest: dict[str, _Latest] = {}
        self._heard_at = self._refused_until = -LIVE_S
        self.on_want: Callable[[], None] = lambda: None
        """Called when a symbol is wanted that was not."""

    def want(self, symbols: Iterable[str]) -> None:
        """Ask whoever follows the stream for symbols that the source knows, for some minutes.

        There is room for ten: a new one takes the place of the one that was longest not asked for, if that is a while.
        """
        now = self._monotonic()
        if now < self._refused_until:
            return
        for symbol in symbols:
            if self._wanted.pop(symbol, None) is None and not self._make_room(now):
                continue
            self._wanted[symbol] = now + WANTED_S
        if self._wanted.keys() - self._latest.keys():
            self.on_want()

    def wanted(self) -> set[str]:
        """Return the symbols that somebody has asked for lately."""
        now = self._monotonic()
        self._wanted = {symbol: until for symbol, until in self._wanted.items() if now < until}
        return set(self._wanted)

    def _make_room(self, now: float) -> bool:
        if len(self._wanted) < MOST_WANTED:
            return True
        oldest = next(iter(self._wanted))
        if now < self._wanted[oldest] - WANTED_S + KEPT_S:
            return False
        del self._wanted[oldest]
        return True

    def refuse(self) -> None:
        """Want nothing for a while: the stream has no room for it."""
        self._wanted.clear()
        self._refused_until = self._monotonic() + REFUSED_S

    def follow(self, symbols: Collection[str]) -> None:
        """Take note that the source sends every trade, bid and ask of just these symbols from now on."""
        self._latest = {symbol: self._latest.get(symbol) or _Latest() for symbol in symbols}

    def unseeded(self) -> set[str]:
        """Return the followed symbols of which a request must tell first how they stand."""
        return {symbol for symbol, latest in self._latest.items() if latest.seed is None}

    def seed(self, quotes: Iterable[Quote]) -> None:
        """Take the answer to a request that was made while the symbols were followed; later words of the stream win."""
        for quote in quotes:
            if latest := self._latest.get(quote.symbol):
                latest.seed, latest.seeded_at, latest.quote = quote, self._monotonic(), None

    def hear(self, ticks: Sequence[Tick], touches: Sequence[Touch]) -> None:
        """Take what the stream says."""
        if ticks or touches:
            self._heard_at = self._monotonic()
        for tick in ticks:
            latest = self._latest.get(tick.symbol)
            if latest and (latest.trade is None or latest.trade.at <= tick.at):
                latest.trade, latest.quote = tick, None
        for touch in touches:
            latest = self._latest.get(touch.symbol)
            if latest and (latest.touch is None or latest.touch.at <= touch.at):
                latest.touch, latest.quote = touch, None

    def forget(self) -> None:
        """Know nothing any more: the stream is lost."""
        self._latest.clear()

    def quotes(self, symbols: Iterable[str]) -> list[Quote] | None:
        """Return live quotes in the order asked, None unless every one of them is live."""
        now = self._monotonic()
        if now - self._heard_at > LIVE_S:
            return None
        found = []
        for symbol in symbols:
            latest = self._latest.get(symbol)
            if latest is None or latest.seed is None or now - latest.seeded_at > SEED_S or latest.turned:
                return None
            latest.quote = latest.quote or _quote(latest.seed, latest.trade, latest.touch)
            found.append(latest.quote)
        return found


def _quote(seed: Quote, trade: Tick | None, touch: Touch | None) -> Quote:
    if trade and trade.at > (seed.traded_at or _EVER):
        low, high = seed.day_low, seed.day_high
        seed = replace(
            seed,
            price=trade.price,
            traded_at=trade.at,
            as_of=max(seed.as_of, trade.at),
            day_low=None if low is None else min(low, trade.price),
            day_high=None if high is None else max(high, trade.price),
        )
    if touch and touch.at >= (seed.quoted_at or _EVER):
        seed = replace(
            seed,
            bid=touch.bid,
            ask=touch.ask,
            bid_size=touch.bid_size,
            ask_size=touch.ask_size,
            quoted_at=touch.at,
            as_of=max(seed.as_of, touch.at),
        )
    return seed
