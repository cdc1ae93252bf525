"""Tradier as a source: quotes, option chains with ORATS' greeks, and bars (https://documentation.tradier.com)."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Final

import httpx
import msgspec

from services.clock import NEW_YORK
from services.errors import NoChain, UnknownSymbol
from services.feeds import chain_table, tradier_chain
from services.feeds.bar_files import resample
from services.feeds.base import Access, Apart, Bar, Bars, Chain, Feed, Offer, Quote
from services.feeds.tradier_wire import Answer, Day, Faulty, Quoted, Sales, many
from services.feeds.upstream import PATIENCE, QUOTES, TICKETS, Patience, Upstream, Vendor, api, members

_NAME = "Tradier"
_SANDBOX_DELAY = timedelta(minutes=15)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_INTERVALS: Final = {
    timedelta(minutes=1): "1min",
    timedelta(minutes=5): "5min",
    timedelta(minutes=15): "15min",
    _HOUR: "15min",
}
"""What is asked for; hours are put together from quarters."""


class Tradier(Feed):
    """A `Feed` over Tradier's market data API; its sandbox host is free, and late by contract.

    With `members_pool`, connections that members share, the token is one member's own.
    """

    name = "tradier"
    offers = frozenset({Offer.QUOTES, Offer.CHAINS, Offer.BARS})

    def __init__(
        self,
        url: str,
        token: str,
        *,
        members_pool: httpx.AsyncBaseTransport | None = None,
        apart: Apart = asyncio.to_thread,
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        late = (httpx.URL(url).host or "").startswith("sandbox.")
        vendor = members(_vendor(token)) if members_pool else _vendor(token)
        self._source = f"{vendor.name} sandbox" if late else vendor.name
        self._delay = _SANDBOX_DELAY if late else timedelta(0)
        self._apart, self._patience = apart, patience
        market_data = api(url, vendor, patience, clock, members_pool)
        self._orders = Upstream("quotes for orders", market_data, clock, TICKETS)
        self._quick = Upstream("quotes", market_data, clock, QUOTES)
        self._api = Upstream("market data", market_data, clock)

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes in one request; money is exact as sent. Raises FeedUnavailable.

        A symbol that Tradier does not know, or has never seen a trade of, is left out.
        """
        return await self._quickly(symbols, self._quick)

    async def quotes_for_orders(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes as `quotes` does, and use the rate limit up if it must be."""
        return await self._quickly(symbols, self._orders)

    async def chain(self, symbol: str) -> Chain:
        """Return the whole chain with one request an expiry, or raise: half a chain shows wrong walls.

        Raises FeedUnavailable, UnknownSymbol or NoChain. Greeks and IV are ORATS' and up to an hour old.
        """
        async with self._api.deadline(self._patience.whole_s):
            quote = (await self._quotes([symbol], self._api)).get(symbol)
            if quote is None:
                raise UnknownSymbol(symbol)
            days = await self._expirations(symbol)
            self._api.afford(len(days))
            async with asyncio.TaskGroup() as group:
                tables = [group.create_task(self._table(symbol, day)) for day in days]
        rows = chain_table.joined(each.result() for each in tables)
        if not len(rows):
            raise NoChain(symbol)
        as_of = chain_table.newest(rows)
        if as_of is None:
            raise self._api.unavailable(f"it sent no quotes of {symbol} options")
        return tradier_chain.chain(quote, as_of, rows)

    async def bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return candles from `start` to `end`, extended hours included, oldest first. Raises FeedUnavailable.

        ValueError for a length other than 1, 5 and 15 min, 1 h and 1 day.
        """
        if interval != _DAY and interval not in _INTERVALS:
            raise ValueError(f"no bars of {interval}")
        async with self._api.deadline(self._patience.whole_s):
            if interval == _DAY:
                found = await self._days(symbol, start, end)
            else:
                found = await self._minutes(symbol, interval, start, end)
        bars = tuple(bar for bar in found if start <= bar.start <= end)
        return Bars(symbol, bars, self._source, self._delay, self.now())

    def access(self) -> Sequence[Access]:
        """Return how far the API lets us in, for quotes, for orders and for the rest."""
        return self._quick.access, self._orders.access, self._api.access

    def now(self) -> datetime:
        """Return the time at Tradier: the last `Date` header and what has passed since; our own before the first."""
        return self._api.clock.now()

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    async def _quickly(self, symbols: Sequence[str], way: Upstream) -> dict[str, Quote]:
        async with way.deadline(self._patience.quick_s):
            return await self._quotes(symbols, way)

    async def _quotes(self, symbols: Sequence[str], way: Upstream) -> dict[str, Quote]:
        answer = await self._read("/markets/quotes", {"symbols": ",".join(map(_spelled, symbols))}, way)
        quoted = many(answer.quotes.quote) if answer.quotes and not isinstance(answer.quotes, str) else []
        found = [quote for each in quoted if (quote := self._quote(each))]
        return {quote.symbol: quote for quote in found if quote.symbol in symbols}

    async def _read(self, path: str, query: Mapping[str, str], way: Upstream | None = None) -> Answer:
        way = way or self._api
        answer = way.read(await way.get(path, query), Answer)
        if answer.errors:
            told = answer.errors.error
            raise self._api.unavailable(f"it says: {(told if isinstance(told, str) else ' '.join(told))[:100]}")
        return answer

    def _quote(self, quoted: Quoted) -> Quote | None:
        traded_at = _moment(quoted.trade_date)
        if not quoted.last or traded_at is None:
            return None
        quoted_at = _moment(max(quoted.bid_date or 0 if quoted.bid else 0, quoted.ask_date or 0 if quoted.ask else 0))
        return Quote(
            symbol=quoted.symbol.replace("/", "."),
            price=quoted.last,
            as_of=max(traded_at, quoted_at or traded_at),
            traded_at=traded_at,
            quoted_at=quoted_at,
            source=self._source,
            delay=self._delay,
            previous_close=quoted.prevclose or None,
            bid=quoted.bid or None,
            ask=quoted.ask or None,
            day_open=quoted.open or None,
            day_low=quoted.low or None,
            day_high=quoted.high or None,
            day_close=quoted.close or None,
            volume=int(quoted.volume or 0) or None,
            name=quoted.description,
        )

    async def _expirations(self, symbol: str) -> list[str]:
        query = {"symbol": _spelled(symbol), "includeAllRoots": "true", "strikes": "false"}
        found = (await self._read("/markets/options/expirations", query)).expirations
        if found is None or isinstance(found, str):
            return []
        plain = [found.date] if isinstance(found.date, str) else found.date or []
        return sorted({*plain, *(each.date for each in many(found.expiration))} - {"null"})

    async def _table(self, symbol: str, day: str) -> chain_table.Table:
        query = {"symbol": _spelled(symbol), "expiration": day, "greeks": "true"}
        answer = await self._api.get("/markets/options/chains", query)
        return await self._api.understood(self._apart(tradier_chain.table, answer.content))

    async def _days(self, symbol: str, start: datetime, end: datetime) -> Iterable[Bar]:
        first, last = start.astimezone(NEW_YORK).date(), end.astimezone(NEW_YORK).date()
        query = {"symbol": _spelled(symbol), "interval": "daily", "start": f"{first}", "end": f"{last}"}
        found = (await self._read("/markets/history", query)).history
        days = many(found.day) if found and not isinstance(found, str) else []
        return [bar for day in days if (bar := _bar(day, _midnight(day.date)))]

    async def _minutes(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Iterable[Bar]:
        query = {
            "symbol": _spelled(symbol),
            "interval": _INTERVALS[interval],
            "start": f"{start.astimezone(NEW_YORK):%Y-%m-%d %H:%M}",
            "end": f"{end.astimezone(NEW_YORK):%Y-%m-%d %H:%M}",
            "session_filter": "all",
        }
        found = (await self._read("/markets/timesales", query)).series
        sales = many(found.data) if found and not isinstance(found, str) else []
        bars = [bar for each in sales if (bar := _bar(each, datetime.fromtimestamp(each.timestamp, UTC)))]
        return resample(bars, _HOUR) if interval == _HOUR else bars


def _spelled(symbol: str) -> str:
    return symbol.replace(".", "/")


def _moment(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time_of_day(), NEW_YORK).astimezone(UTC)


def _bar(candle: Day | Sales, start: datetime) -> Bar | None:
    prices = (candle.open, candle.high, candle.low, candle.close)
    if not all(price.is_finite() for price in prices):
        return None
    return Bar(start, *prices, int(candle.volume or 0))


def _vendor(token: str) -> Vendor:
    return Vendor(
        _NAME,
        {"Authorization": f"Bearer {token}", "Accept": "application/json"},
        limit_header="X-Ratelimit-Allowed",
        left_header="X-Ratelimit-Available",
        reset_header="X-Ratelimit-Expiry",
        complaint=_complaint,
    )


def _complaint(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Faulty).fault.faultstring
    except msgspec.DecodeError:
        return body.decode()
