"""Alpaca as a source: stock snapshots and bars, option snapshots, and the open interest of option contracts."""

import asyncio
import email.utils
import math
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, TypeVar

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from services.clock import NEW_YORK
from services.errors import FeedUnavailable, NoChain, UnknownSymbol
from services.feeds.base import Bar, Chain, Listing, Quote, Tick

StockFeed = Literal["iex", "sip", "delayed_sip"]
OptionFeed = Literal["indicative", "opra"]
Floats = NDArray[np.float64]
T = TypeVar("T")

_NAME = "Alpaca"
_DELAYS: Final = {"delayed_sip": timedelta(minutes=15), "indicative": timedelta(minutes=15)}
_SOURCES: Final = {
    "iex": "Alpaca IEX",
    "sip": "Alpaca SIP",
    "delayed_sip": "Alpaca SIP",
    "indicative": "Alpaca indicative",
    "opra": "Alpaca OPRA",
}
_TIMEFRAMES: Final = {
    timedelta(minutes=1): "1Min",
    timedelta(minutes=5): "5Min",
    timedelta(hours=1): "1Hour",
    timedelta(days=1): "1Day",
}
_AM_ROOTS = frozenset({"SPX", "NDX", "RUT", "VIX", "VIXW"})
_STANDARD = re.compile(r"[A-Z]{1,6}\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])[CP]\d{8}")
_INVALID = re.compile(r"invalid symbol:? *(\S+)", re.IGNORECASE)
# It changes once a day, in the night and not at an hour that Alpaca promises.
_INTEREST_KEPT = timedelta(hours=1)
_SAME_MOMENT = timedelta(minutes=15)
# Sale conditions of CTA and UTP that leave the last price as it was (/v2/stocks/meta/conditions/trade): cash, next day,
# seller, sold out of sequence, average and derived prices, contingent, official open and close, prior reference. Odd
# lots count: much of what IEX trades is odd.
_ASIDE = frozenset("CNRZUWHGVMQP479")
_DROPPED = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


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


class _BookTop(msgspec.Struct):
    t: datetime
    bp: Decimal
    ap: Decimal
    bs: int | None = None
    as_: int | None = msgspec.field(name="as", default=None)
    """In shares since November 2025, in round lots before."""


class _Candle(msgspec.Struct):
    t: datetime
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - Alpaca's name
    c: Decimal
    v: float


class _Snapshot(msgspec.Struct, rename="camel"):
    latest_trade: Trade | None = None
    latest_quote: _BookTop | None = None
    daily_bar: _Candle | None = None
    prev_daily_bar: _Candle | None = None


class _Trades(msgspec.Struct):
    trades: dict[str, list[Trade] | None] | None = None
    next_page_token: str | None = None


class _Bars(msgspec.Struct):
    bars: dict[str, list[_Candle] | None] | None = None
    next_page_token: str | None = None


class _OptionQuote(msgspec.Struct, gc=False):
    t: datetime
    bp: float
    ap: float


class _Greeks(msgspec.Struct, gc=False):
    delta: float | None = None
    gamma: float | None = None


class _Volume(msgspec.Struct, gc=False):
    v: float


class _OptionSnapshot(msgspec.Struct, rename="camel", gc=False):
    latest_quote: _OptionQuote | None = None
    implied_volatility: float | None = None
    greeks: _Greeks | None = None
    daily_bar: _Volume | None = None


class _OptionSnapshots(msgspec.Struct):
    snapshots: dict[str, _OptionSnapshot] | None = None
    next_page_token: str | None = None


class _Contract(msgspec.Struct, gc=False):
    symbol: str
    multiplier: float = 100
    open_interest: float | None = None
    open_interest_date: date | None = None


class _Contracts(msgspec.Struct):
    option_contracts: list[_Contract] | None = None
    next_page_token: str | None = None


class _Asset(msgspec.Struct):
    symbol: str
    name: str | None = None
    tradable: bool = False


class _Error(msgspec.Struct):
    message: str = ""


_Page = tuple[list[str], Floats]
"""Option symbols, and what `_values` makes of their snapshots."""

Answer = TypeVar("Answer", _Bars, _Trades, _OptionSnapshots, _Contracts)


@dataclass(frozen=True, slots=True)
class _OpenInterest:
    asked: datetime
    day: date | None
    contracts: Mapping[str, float]
    """By option symbol, as far as Alpaca says."""
    adjusted: frozenset[str]
    """Contracts that deliver something else than 100 shares."""


class Alpaca:
    """A `Feed` over https://docs.alpaca.markets/reference; one HTTP client, closed by `close()`."""

    name = "alpaca"

    def __init__(
        self,
        data_url: str,
        trading_url: str,
        key: str,
        secret: str,
        *,
        stock_feed: StockFeed = "iex",
        option_feed: OptionFeed = "indicative",
        timeout_s: float = 2.5,
        chain_timeout_s: float = 8.0,
    ) -> None:
        self._data, self._trading = data_url.rstrip("/"), trading_url.rstrip("/")
        self._stock_feed: StockFeed = stock_feed
        self._option_feed: OptionFeed = option_feed
        self._timeout_s, self._chain_timeout_s = timeout_s, chain_timeout_s
        self._client = httpx.AsyncClient(
            headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret},
            timeout=httpx.Timeout(chain_timeout_s, connect=timeout_s),
            limits=httpx.Limits(max_connections=10, max_keepalive_connections=10, keepalive_expiry=60),
            trust_env=False,
        )
        self._time: tuple[datetime, float] | None = None
        self._listings: tuple[date, Sequence[Listing]] | None = None
        self._interest: dict[str, _OpenInterest] = {}

    async def listings(self) -> Sequence[Listing]:
        """Return active, tradable stocks and the indices that Alpaca lists; asked once a day.

        Raises FeedUnavailable.
        """
        today = self.now().date()
        if self._listings is None or self._listings[0] != today:
            async with self._deadline(self._chain_timeout_s), asyncio.TaskGroup() as group:
                classes = [group.create_task(self._assets(name)) for name in ("us_equity", "us_index")]
            stocks, indices = (task.result() for task in classes)
            listed = [asset for asset in stocks if asset.tradable] + indices
            self._listings = (today, [Listing(asset.symbol, asset.name or asset.symbol) for asset in listed])
        return self._listings[1]

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes in one request; money is exact as sent. Raises FeedUnavailable.

        A symbol that Alpaca does not know, or has never seen a trade of, is left out.
        """
        async with self._deadline(self._timeout_s):
            return await self._quotes(list(symbols))

    async def chain(self, symbol: str) -> Chain:
        """Return the whole chain, or raise: a page that fails fails the chain, for half a chain shows wrong walls.

        Raises FeedUnavailable, UnknownSymbol or NoChain. Spot is the stock's last trade where it belongs to the moment
        of the option quotes, else put-call parity of the nearest expiry. Adjusted contracts are left out.
        """
        async with self._deadline(self._chain_timeout_s), asyncio.TaskGroup() as group:
            quotes = group.create_task(self._quotes([symbol]))
            interest = group.create_task(self._open_interest(symbol))
            sides = [group.create_task(self._snapshots(symbol, side)) for side in ("call", "put")]
        quote, counted = quotes.result().get(symbol), interest.result()
        pages = [page for side in sides for page in side.result()]
        names = [name for listed, _ in pages for name in listed]
        standard = np.array([name not in counted.adjusted for name in names], np.bool_)
        if not standard.any():
            raise NoChain(symbol) if quote else UnknownSymbol(symbol)
        open_interest = np.array([counted.contracts.get(name, math.nan) for name in names])
        table = np.column_stack([np.concatenate([values for _, values in pages]), open_interest])
        return self._chain(symbol, quote, table[standard], counted.day)

    async def bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Sequence[Bar]:
        """Return split-adjusted candles from `start` to `end`, oldest first. Raises FeedUnavailable.

        ValueError for a length other than 1 min, 5 min, 1 h and 1 day.
        """
        if interval not in _TIMEFRAMES:
            raise ValueError(f"no bars of {interval}")
        query = {
            "symbols": symbol,
            "timeframe": _TIMEFRAMES[interval],
            "start": start.isoformat(),
            "end": end.isoformat(),
            "limit": "10000",
            "adjustment": "split",
            "feed": "iex" if self._stock_feed == "iex" else "sip",
        }
        candles: list[_Candle] = []
        async with self._deadline(self._chain_timeout_s):
            async for page in self._pages(f"{self._data}/v2/stocks/bars", query, _Bars):
                candles += (page.bars or {}).get(symbol) or []
        return [Bar(c.t, c.o, c.h, c.l, c.c, int(c.v)) for c in candles]

    async def trades(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Tick]:
        """Return the trades from `start` to `end`, both included, that make a last price; by symbol, then by time.

        Raises FeedUnavailable.
        """
        query = {
            "symbols": ",".join(symbols),
            "start": start.isoformat(),
            "end": end.isoformat(),
            "limit": "10000",
            "feed": "iex" if self._stock_feed == "iex" else "sip",
        }
        found: list[Tick] = []
        async with self._deadline(self._chain_timeout_s):
            async for page in self._pages(f"{self._data}/v2/stocks/trades", query, _Trades):
                for symbol, trades in (page.trades or {}).items():
                    found += [trade.tick(symbol) for trade in trades or () if trade.counts]
        return found

    def now(self) -> datetime:
        """Return the time at Alpaca: the last `Date` header and what has passed since; our own before the first."""
        if self._time is None:
            return datetime.now(UTC)
        said, at = self._time
        return said + timedelta(seconds=time.monotonic() - at)

    def heard(self, at: datetime) -> None:
        """Take note of a moment that the stream tells: the time there cannot be earlier."""
        if at > self.now():
            self._time = (at, time.monotonic())

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    async def _quotes(self, symbols: list[str]) -> dict[str, Quote]:
        query = {"symbols": ",".join(symbols), "feed": self._stock_feed}
        answer = await self._get(f"{self._data}/v2/stocks/snapshots", query)
        invalid = _INVALID.search(_message(answer)) if answer.status_code == 400 else None
        if invalid:
            # One symbol that Alpaca cannot read must not take the others down with it.
            left = [symbol for symbol in symbols if symbol not in invalid[1].split(",")]
            return await self._quotes(left) if 0 < len(left) < len(symbols) else {}
        snapshots = self._read(answer, dict[str, _Snapshot | None])
        quotes = (self._quote(symbol, snapshot) for symbol, snapshot in snapshots.items() if snapshot)
        return {quote.symbol: quote for quote in quotes if quote}

    def _quote(self, symbol: str, snapshot: _Snapshot) -> Quote | None:
        trade, top, bar = snapshot.latest_trade, snapshot.latest_quote, snapshot.daily_bar
        if trade is None or not trade.p:
            return None
        # Before the open the daily bar is still that of the day before: then its close is the previous one.
        today = bar if bar and _new_york_date(bar.t) >= _new_york_date(trade.t) else None
        before = snapshot.prev_daily_bar if today else bar
        return Quote(
            symbol=symbol,
            price=trade.p,
            as_of=max(trade.t, top.t) if top and (top.bp or top.ap) else trade.t,
            traded_at=trade.t,
            quoted_at=top.t if top and (top.bp or top.ap) else None,
            source=_SOURCES[self._stock_feed],
            delay=_DELAYS.get(self._stock_feed, timedelta(0)),
            previous_close=before.c if before else None,
            bid=(top.bp or None) if top else None,
            ask=(top.ap or None) if top else None,
            bid_size=top.bs if top else None,
            ask_size=top.as_ if top else None,
            day_open=today.o if today else None,
            day_low=today.l if today else None,
            day_high=today.h if today else None,
            volume=(int(today.v) or None) if today else None,
        )

    async def _assets(self, asset_class: str) -> list[_Asset]:
        answer = await self._get(f"{self._trading}/v2/assets", {"status": "active", "asset_class": asset_class})
        if asset_class == "us_index" and answer.status_code in {400, 403, 404, 422}:
            return []
        return self._read(answer, list[_Asset])

    async def _snapshots(self, symbol: str, side: str) -> list[_Page]:
        url = f"{self._data}/v1beta1/options/snapshots/{symbol}"
        query = {"feed": self._option_feed, "limit": "1000", "type": side}
        pages: list[_Page] = []
        async for page in self._pages(url, query, _OptionSnapshots):
            # Page by page, so that a long chain does not hold up the event loop.
            rows = {name: _values(name, each) for name, each in (page.snapshots or {}).items() if _is_standard(name)}
            if rows:
                pages.append((list(rows), np.array(list(rows.values()), np.float64)))
        return pages

    async def _open_interest(self, symbol: str) -> _OpenInterest:
        kept = self._interest.get(symbol)
        if kept and abs(self.now() - kept.asked) < _INTEREST_KEPT:
            return kept
        # Alpaca stops at the next weekend unless told otherwise.
        horizon = (self.now() + timedelta(days=3650)).date()
        query = {"underlying_symbols": symbol, "expiration_date_lte": horizon.isoformat(), "limit": "10000"}
        listed: list[_Contract] = []
        async for page in self._pages(f"{self._trading}/v2/options/contracts", query, _Contracts):
            listed += page.option_contracts or []
        day = max((c.open_interest_date for c in listed if c.open_interest_date), default=None)
        numbers = {c.symbol: c.open_interest for c in listed if c.open_interest is not None}
        adjusted = frozenset(c.symbol for c in listed if c.multiplier != 100)
        now = self.now()
        fresh = {name: each for name, each in self._interest.items() if abs(now - each.asked) < _INTEREST_KEPT}
        found = _OpenInterest(now, day, numbers, adjusted)
        self._interest = fresh | {symbol: found}
        return found

    def _chain(self, symbol: str, quote: Quote | None, table: Floats, counted: date | None) -> Chain:
        strike, expiry, is_call, am_settled, bid, ask, iv, gamma, delta, volume, quoted, open_interest = table.T
        if np.isnan(quoted).all():
            raise FeedUnavailable(_NAME, f"it sent no quotes of {symbol} options")
        as_of = datetime.fromtimestamp(float(np.nanmax(quoted)), UTC)
        parity = _parity_spot(strike, expiry, is_call == 1, (bid + ask) / 2)
        together = quote is not None and abs(quote.as_of - as_of) <= _SAME_MOMENT
        spot = float(quote.price) if quote and (together or parity is None) else parity
        if spot is None:
            raise FeedUnavailable(_NAME, f"it sent no price of {symbol} and too few option quotes to infer it from")
        return Chain(
            symbol=symbol,
            spot=spot,
            as_of=as_of,
            source=_SOURCES[self._option_feed],
            delay=_DELAYS.get(self._option_feed, timedelta(0)),
            open_interest_date=counted,
            strike=strike,
            expiry=expiry.astype(np.int32),
            is_call=is_call == 1,
            am_settled=am_settled == 1,
            bid=bid,
            ask=ask,
            iv=iv,
            gamma=gamma,
            delta=delta,
            open_interest=open_interest,
            volume=volume,
        )

    async def _pages(self, url: str, query: dict[str, str], kind: type[Answer]) -> AsyncIterator[Answer]:
        seen: set[str] = set()
        while True:
            answer = await self._get(url, query)
            if answer.status_code == 404 or (answer.status_code == 400 and _INVALID.search(_message(answer))):
                return
            page = self._read(answer, kind)
            yield page
            token = page.next_page_token
            if not token:
                return
            if token in seen:
                raise FeedUnavailable(_NAME, "it answered nonsense: the same page twice")
            seen.add(token)
            query = query | {"page_token": token}

    async def _get(self, url: str, query: dict[str, str]) -> httpx.Response:
        try:
            try:
                answer = await self._client.get(url, params=query)
            except _DROPPED:
                answer = await self._client.get(url, params=query)
        except httpx.TimeoutException as error:
            raise FeedUnavailable(_NAME, "it does not answer in time") from error
        except httpx.ConnectError as error:
            raise FeedUnavailable(_NAME, "it cannot be reached") from error
        except httpx.RequestError as error:
            raise FeedUnavailable(_NAME, "the connection broke") from error
        self._note_time(answer.headers.get("Date"))
        status = answer.status_code
        if status in {401, 403}:
            cure = "The operator has to check the key"
            raise FeedUnavailable(_NAME, f"it refused ours: {_message(answer)}", cure=cure)
        if status == 429:
            raise FeedUnavailable(_NAME, "it asks us to slow down", self._wait(answer))
        if status >= 500:
            raise FeedUnavailable(_NAME, f"it answered with an error of its own, {status}")
        return answer

    def _read(self, answer: httpx.Response, kind: type[T]) -> T:
        if answer.status_code != 200:
            raise FeedUnavailable(_NAME, f"it answered {answer.status_code}: {_message(answer)}")
        try:
            # The trading API writes numbers as strings.
            return msgspec.json.decode(answer.content, type=kind, strict=False)
        except msgspec.DecodeError as error:
            raise FeedUnavailable(_NAME, "it answered nonsense") from error

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise FeedUnavailable(_NAME, f"no answer within {seconds:g} s") from error
        except ExceptionGroup as group:
            # Concurrent requests fail together; the first reason is the one to tell.
            raise group.exceptions[0] from group

    def _note_time(self, header: str | None) -> None:
        try:
            said = email.utils.parsedate_to_datetime(header or "").astimezone(UTC)
        except ValueError:
            return
        # The header is cut to the second: an estimate inside that second is finer than it.
        if self._time is None or not timedelta(0) <= self.now() - said < timedelta(seconds=1):
            self._time = (said, time.monotonic())

    def _wait(self, answer: httpx.Response) -> float | None:
        try:
            if "Retry-After" in answer.headers:
                return max(float(answer.headers["Retry-After"]), 0.0)
            return max(float(answer.headers["X-RateLimit-Reset"]) - self.now().timestamp(), 0.0)
        except (KeyError, ValueError):
            return None


def _message(answer: httpx.Response) -> str:
    try:
        return msgspec.json.decode(answer.content, type=_Error).message[:100]
    except msgspec.DecodeError:
        return answer.reason_phrase


def _is_standard(name: str) -> bool:
    """Tell standard contracts from adjusted ones, whose root ends in a digit (AAPL1)."""
    return _STANDARD.fullmatch(name) is not None


@lru_cache(1024)
def _days(yymmdd: str) -> int:
    return (date(2000 + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:])) - date(1970, 1, 1)).days


def _values(name: str, snapshot: _OptionSnapshot) -> tuple[float | None, ...]:
    """Return strike, expiry, is call, is AM-settled, bid, ask, IV, gamma, delta, volume, and the time of the quote."""
    top, greeks, bar = snapshot.latest_quote, snapshot.greeks or _Greeks(), snapshot.daily_bar
    return (
        int(name[-8:]) / 1000,
        _days(name[-15:-9]),
        name[-9] == "C",
        name[:-15] in _AM_ROOTS,
        (top.bp or None) if top else None,
        (top.ap or None) if top else None,
        snapshot.implied_volatility,
        greeks.gamma,
        greeks.delta,
        bar.v if bar else None,
        top.t.timestamp() if top else None,
    )


def _parity_spot(strike: Floats, expiry: Floats, is_call: NDArray[np.bool_], mid: Floats) -> float | None:
    """Infer spot from the nearest expiry that is quoted on both sides: K + C − P where calls and puts cost alike."""
    for day in np.unique(expiry):
        call, put = (np.flatnonzero((expiry == day) & (is_call == side) & np.isfinite(mid)) for side in (True, False))
        common, at_call, at_put = np.intersect1d(strike[call], strike[put], return_indices=True)
        if len(common) >= 3:
            difference = mid[call[at_call]] - mid[put[at_put]]
            nearest = np.argsort(np.abs(difference))[:8]
            return float(np.median((common + difference)[nearest]))
    return None


def _new_york_date(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()
