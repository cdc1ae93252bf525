"""What every market data source can be asked for, and the shapes of its answers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Offer(StrEnum):
    """What a source can be asked for."""

    QUOTES = "quotes"
    CHAINS = "option chains"
    BARS = "bars"
    LISTINGS = "listings"
    TRADES = "trades"


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol that a source knows, as canonical symbol and the company's or index's name."""

    symbol: str
    name: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Prices of one symbol; money is Decimal, times are aware UTC, None means that the source does not say."""

    symbol: str
    price: Decimal
    as_of: datetime
    """When the source last said something of the symbol: the later of its last trade and its last bid and ask."""
    source: str
    """What the reader is told, e.g. "Alpaca IEX"."""
    delay: timedelta | None
    """How late the source is by its own contract; None marks a recording."""
    traded_at: datetime | None = None
    """When `price` was traded; None where the source tells one moment only."""
    quoted_at: datetime | None = None
    """Since when `bid` and `ask` stand; None likewise."""
    previous_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: int | None = None
    """Shares shown at the bid."""
    ask_size: int | None = None
    day_open: Decimal | None = None
    day_low: Decimal | None = None
    day_high: Decimal | None = None
    day_close: Decimal | None = None
    """The last price of that day's regular session; its close once that has ended."""
    volume: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """One trade; `at` is aware UTC, and `trade_id` orders trades of the same moment."""

    symbol: str
    at: datetime
    trade_id: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Touch:
    """The best bid and ask from the moment `at` (aware UTC) on; None where nobody bids or offers. Sizes in shares."""

    symbol: str
    at: datetime
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int | None
    ask_size: int | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle; `start` is aware UTC."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Bars:
    """Candles of one symbol, oldest first, and whose they are."""

    symbol: str
    bars: tuple[Bar, ...]
    source: str
    delay: timedelta | None
    """As in `Quote`."""
    as_of: datetime
    """The time at the source when it answered (aware UTC)."""


AM_ROOTS = frozenset({"SPX", "NDX", "RUT", "VIX", "VIXW"})
"""Roots of options that settle at the open; not SPXW, NDXP, RUTW."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Chain:
    """All listed options of one underlying as columns of equal length; NaN marks what the source does not say.

    Floats, because a chain is only ever analysed and drawn; nothing here flows back into an order.
    """

    symbol: str
    spot: float
    as_of: datetime
    """Aware UTC moment for which the quotes hold; time to expiry is measured from here."""
    source: str
    delay: timedelta | None
    """As in `Quote`."""
    open_interest_date: date | None
    strike: NDArray[np.float64]
    expiry: NDArray[np.int32]
    """Days since 1970-01-01."""
    is_call: NDArray[np.bool_]
    am_settled: NDArray[np.bool_]
    """True for the roots of `AM_ROOTS`."""
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    iv: NDArray[np.float64]
    """Vendor implied volatility as a fraction, as sent (0 and −999 included); NaN if absent."""
    gamma: NDArray[np.float64]
    delta: NDArray[np.float64]
    open_interest: NDArray[np.float64]
    volume: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Access:
    """How far one of a source's APIs lets us in at this moment."""

    name: str
    rest_s: float | None
    """Seconds until it is tried again after many failures; None while it is asked as usual."""
    quiet_s: float
    """Seconds until its rate limit takes another request."""
    limit: int | None
    """Requests in the running window of its rate limit; None where it has not said."""
    left: int | None


class Apart(Protocol):
    """Calls a module's function where it does not hold up the event loop, as `asyncio.to_thread` does."""

    def __call__(self, work: Callable[..., T], /, *arguments: object) -> Awaitable[T]:
        """Return what `work(*arguments)` returns, or raise what it raises."""


class Feed:
    """One source of market data, asked only for what it offers; every method may raise `FeedUnavailable`."""

    name: str
    offers: frozenset[Offer]

    async def listings(self) -> Sequence[Listing]:
        """Return every symbol the source knows, for autocomplete and for the nearest match."""
        raise NotImplementedError

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes by canonical symbol; a symbol the source does not know is left out."""
        raise NotImplementedError

    async def quotes_for_orders(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes as `quotes` does, before everything else that the source is asked for."""
        return await self.quotes(symbols)

    async def chain(self, symbol: str) -> Chain:
        """Return the whole option chain; raises `UnknownSymbol` or `NoChain`."""
        raise NotImplementedError

    async def bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return candles of 1, 5 or 15 min, 1 h or 1 day that start from `start` to `end`, oldest first."""
        raise NotImplementedError

    async def trades(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Tick]:
        """Return the trades from `start` to `end` that make a last price, by symbol, then by time."""
        raise NotImplementedError

    def access(self) -> Sequence[Access]:
        """Return how far each of its APIs lets us in; none for a source that is no API."""
        return ()

    def now(self) -> datetime:
        """Return the time at the source (aware UTC), by which sessions and ages are measured."""
        return datetime.now(UTC)

    async def close(self) -> None:
        """Release connections."""
        raise NotImplementedError
