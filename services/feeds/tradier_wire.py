"""What Tradier's market data answers look like: JSON made from XML, with one, many or none of everything."""

from decimal import Decimal
from typing import Literal, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

Many: TypeAlias = list[T] | T | Literal["null"] | None
"""A list of several, the thing itself where there is one, and null or "null" where there is none."""


class Quoted(msgspec.Struct):
    """One symbol's prices; moments are in milliseconds since 1970, 0 for never."""

    symbol: str
    description: str | None = None
    last: Decimal | None = None
    prevclose: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: float | None = None
    trade_date: int | None = None
    bid_date: int | None = None
    ask_date: int | None = None


class Quotes(msgspec.Struct):
    """The symbols that it knows; the others are named under `unmatched_symbols`."""

    quote: Many[Quoted] = None


class Expiration(msgspec.Struct):
    """One day on which options expire."""

    date: str


class Expirations(msgspec.Struct):
    """All days, as plain dates or with particulars."""

    date: list[str] | str | None = None
    expiration: Many[Expiration] = None


class Greeks(msgspec.Struct, gc=False):
    """ORATS' figures, an hour old at most; a volatility of 0 is none."""

    delta: float | None = None
    gamma: float | None = None
    mid_iv: float | None = None
    smv_vol: float | None = None


class Option(msgspec.Struct, gc=False):
    """One contract with its prices; moments as in `Quoted`."""

    symbol: str
    root_symbol: str
    strike: float
    option_type: str
    expiration_date: str
    contract_size: float = 100
    bid: float | None = None
    ask: float | None = None
    volume: float | None = None
    open_interest: float | None = None
    trade_date: int | None = None
    bid_date: int | None = None
    ask_date: int | None = None
    greeks: Greeks | Literal["null"] | None = None


class Options(msgspec.Struct):
    """The contracts of one day."""

    option: Many[Option] = None


class Day(msgspec.Struct):
    """One day's candle; a price that is missing is the string NaN."""

    date: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: float | None = None


class History(msgspec.Struct):
    """Candles of days."""

    day: Many[Day] = None


class Sales(msgspec.Struct):
    """The candle of some minutes; `timestamp` is in seconds since 1970."""

    timestamp: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: float | None = None


class Series(msgspec.Struct):
    """Candles of minutes."""

    data: Many[Sales] = None


class Errors(msgspec.Struct):
    """What it says with status 200 where it has refused."""

    error: list[str] | str


class Answer(msgspec.Struct):
    """An answer of any of the addresses."""

    quotes: Quotes | Literal["null"] | None = None
    expirations: Expirations | Literal["null"] | None = None
    options: Options | Literal["null"] | None = None
    history: History | Literal["null"] | None = None
    series: Series | Literal["null"] | None = None
    errors: Errors | None = None


class Fault(msgspec.Struct):
    """Why it refuses."""

    faultstring: str


class Faulty(msgspec.Struct):
    """A refusal, where it is not plain text."""

    fault: Fault


def many(found: Many[T]) -> list[T]:
    """Return one, many or none as a list."""
    if isinstance(found, list):
        return found
    return [] if found is None or isinstance(found, str) else [found]
