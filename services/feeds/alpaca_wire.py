"""What Alpaca's answers look like, and how they go on from page to page."""

import re
from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

import httpx
import msgspec

from services.feeds.base import Tick
from services.feeds.upstream import Upstream, Vendor, members

_NAME = "Alpaca"

_INVALID = re.compile(r"invalid symbol:? *(\S+)", re.IGNORECASE)
# Sale conditions of CTA and UTP that leave the last price as it was (/v2/stocks/meta/conditions/trade): cash, next day,
# seller, sold out of sequence, average and derived prices, contingent, official open and close, prior reference. Odd
# lots count: much of what IEX trades is odd.
_ASIDE = frozenset("CNRZUWHGVMQP479")


class Trade(msgspec.Struct):
    """One trade as Alpaca writes it, over HTTP and in its stream."""

    t: datetime
    p: Decimal
    i: int = 0
    c: list[str] | None = None
    u: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it says what the market pays now: not cancelled, not late, not at a price agreed elsewhere."""
        return self.u not in {"canceled", "incorrect"} and _ASIDE.isdisjoint(self.c or ())

    def tick(self, symbol: str) -> Tick:
        """Return it in our words."""
        return Tick(symbol, self.t, self.i % 2**63, self.p)


class BookTop(msgspec.Struct):
    t: datetime
    bp: Decimal
    ap: Decimal
    bs: int | None = None
    as_: int | None = msgspec.field(name="as", default=None)
    """In shares since November 2025, in round lots before."""


class Candle(msgspec.Struct):
    t: datetime
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - Alpaca's name
    c: Decimal
    v: float


class Snapshot(msgspec.Struct, rename="camel"):
    latest_trade: Trade | None = None
    latest_quote: BookTop | None = None
    daily_bar: Candle | None = None
    prev_daily_bar: Candle | None = None


class Trades(msgspec.Struct):
    trades: dict[str, list[Trade] | None] | None = None
    next_page_token: str | None = None


class Bars(msgspec.Struct):
    bars: dict[str, list[Candle] | None] | None = None
    next_page_token: str | None = None


class OptionQuote(msgspec.Struct, gc=False):
    t: datetime
    bp: float
    ap: float


class Greeks(msgspec.Struct, gc=False):
    delta: float | None = None
    gamma: float | None = None


class Volume(msgspec.Struct, gc=False):
    v: float


class OptionSnapshot(msgspec.Struct, rename="camel", gc=False):
    latest_quote: OptionQuote | None = None
    implied_volatility: float | None = None
    greeks: Greeks | None = None
    daily_bar: Volume | None = None


class OptionSnapshots(msgspec.Struct):
    snapshots: dict[str, OptionSnapshot] | None = None
    next_page_token: str | None = None


class Contract(msgspec.Struct, gc=False):
    symbol: str
    multiplier: float = 100
    open_interest: float | None = None
    open_interest_date: date | None = None


class Contracts(msgspec.Struct):
    option_contracts: list[Contract] | None = None
    next_page_token: str | None = None


class Asset(msgspec.Struct):
    symbol: str
    name: str | None = None
    tradable: bool = False


class Day(msgspec.Struct):
    """One regular session in New York time, hours as `09:30`."""

    date: date
    open: str
    close: str


class Error(msgspec.Struct):
    message: str = ""


Page = TypeVar("Page", Bars, Trades, OptionSnapshots, Contracts)


def by_key(key: str, secret: str) -> Vendor:
    """Return how Alpaca's APIs are talked to with a key of our own."""
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    return Vendor(_NAME, headers, complaint=_complaint, signed_out=_signed_out)


def by_token(token: str) -> Vendor:
    """Return how Alpaca's APIs are talked to for a member who has linked their account."""
    headers = {"Authorization": f"Bearer {token}"}
    return members(Vendor(_NAME, headers, complaint=_complaint, signed_out=_signed_out))


def invalid(upstream: Upstream, answer: httpx.Response) -> frozenset[str]:
    """Return the symbols that Alpaca says it cannot read, none where that is not what it says."""
    found = _INVALID.search(upstream.complaint(answer)) if answer.status_code == 400 else None
    return frozenset(found[1].split(",")) if found else frozenset()


async def pages(upstream: Upstream, path: str, query: dict[str, str], kind: type[Page]) -> AsyncIterator[Page]:
    """Yield the pages of an answer, none for a symbol that Alpaca does not know; raises FeedUnavailable."""
    seen: set[str] = set()
    while True:
        answer = await upstream.get(path, query, {200, 400, 404})
        if answer.status_code == 404 or invalid(upstream, answer):
            return
        page = upstream.read(answer, kind)
        yield page
        token = page.next_page_token
        if not token:
            return
        if token in seen:
            raise upstream.nonsense(": the same page twice")
        seen.add(token)
        query = query | {"page_token": token}


def _signed_out(status: int, words: str) -> bool:
    # The data API says 403 to strangers too, in one word; to customers it says what they lack.
    # https://docs.alpaca.markets/docs/market-data-faq
    return status == 401 or (status == 403 and words.strip(". ").lower() == "forbidden")


def _complaint(body: bytes) -> str:
    return msgspec.json.decode(body, type=Error).message
