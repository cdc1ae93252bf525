"""Alpaca as a source: stock snapshots and bars, option snapshots, and the open interest of option contracts."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from itertools import pairwise
from typing import Final, Literal

import httpx

from services.clock import NEW_YORK, Sessions
from services.feeds.alpaca_chain import OptionFeed, Options
from services.feeds.alpaca_wire import Asset, Candle, Day, Snapshot, Trades, invalid, pages
from services.feeds.alpaca_wire import Bars as BarPages
from services.feeds.base import Access, Bar, Bars, Chain, Feed, Listing, Offer, Quote, Tick
from services.feeds.entitlement import Entitlement
from services.feeds.upstream import PATIENCE, QUOTES, TICKETS, Patience, Upstream, Vendor, api

StockFeed = Literal["iex", "sip", "delayed_sip"]

_DELAYS: Final = {"iex": timedelta(0), "sip": timedelta(0), "delayed_sip": timedelta(minutes=15)}
_SOURCES: Final = {"iex": "{} IEX", "sip": "{} SIP", "delayed_sip": "{} SIP"}
_TIMEFRAMES: Final = {
    timedelta(minutes=1): "1Min",
    timedelta(minutes=5): "5Min",
    timedelta(minutes=15): "15Min",
    timedelta(hours=1): "1Hour",
    timedelta(days=1): "1Day",
}


class Alpaca(Feed):
    """A `Feed` over https://docs.alpaca.markets/reference, closed by `close()`; its two APIs are limited apart.

    Of `stock_feeds` and `option_feeds` it reads the first that the account may.
    """

    name = "alpaca"
    offers = frozenset(Offer)

    def __init__(
        self,
        data_url: str,
        trading_url: str,
        vendor: Vendor,
        *,
        stock_feeds: Sequence[StockFeed] = ("iex",),
        option_feeds: Sequence[OptionFeed] = ("indicative",),
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        pool: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._stocks = Entitlement(stock_feeds)
        self._patience = patience
        data = api(data_url, vendor, patience, clock, pool)
        self._orders = Upstream("quotes for orders", data, clock, TICKETS)
        self._quick = Upstream("quotes", data, clock, QUOTES)
        self._data = Upstream("data", data, clock)
        self._trading = Upstream("trading", api(trading_url, vendor, patience, clock, pool), clock)
        self._options = Options(self._data, self._trading, Entitlement(option_feeds))
        self._sources = {feed: words.format(vendor.name) for feed, words in _SOURCES.items()}
        self._listings: tuple[date, Sequence[Listing]] | None = None

    async def listings(self) -> Sequence[Listing]:
        """Return active, tradable stocks and the indices that Alpaca lists; asked once a day.

        Raises FeedUnavailable.
        """
        today = self.now().date()
        if self._listings is None or self._listings[0] != today:
            async with self._trading.deadline(self._patience.whole_s), asyncio.TaskGroup() as group:
                classes = [group.create_task(self._assets(name)) for name in ("us_equity", "us_index")]
            stocks, indices = (task.result() for task in classes)
            listed = [asset for asset in stocks if asset.tradable] + indices
            self._listings = (today, [Listing(asset.symbol, asset.name or asset.symbol) for asset in listed])
        return self._listings[1]

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes in one request; money is exact as sent. Raises FeedUnavailable.

        A symbol that Alpaca does not know, or has never seen a trade of, is left out.
        """
        return await self._quickly(symbols, self._quick)

    async def quotes_for_orders(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes as `quotes` does, and use the rate limit up if it must be."""
        return await self._quickly(symbols, self._orders)

    async def chain(self, symbol: str) -> Chain:
        """Return the whole chain; raises FeedUnavailable, UnknownSymbol or NoChain."""
        async with self._data.deadline(self._patience.whole_s):
            return await self._options.chain(symbol, self._quote_of(symbol))

    async def bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return split-adjusted candles from `start` to `end`, oldest first. Raises FeedUnavailable.

        ValueError for a length other than 1, 5 and 15 min, 1 h and 1 day.
        """
        if interval not in _TIMEFRAMES:
            raise ValueError(f"no bars of {interval}")
        query = {"symbols": symbol, "timeframe": _TIMEFRAMES[interval], "adjustment": "split"}
        async with self._data.deadline(self._patience.whole_s):
            return await self._stocks.ask(lambda feed: self._candles(symbol, query, start, end, feed))

    async def trades(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Tick]:
        """Return the trades from `start` to `end`, both included, that make a last price; by symbol, then by time.

        Raises FeedUnavailable.
        """
        async with self._data.deadline(self._patience.whole_s):
            return await self._stocks.ask(lambda feed: self._trades(symbols, start, end, feed))

    async def sessions(self, first: date, last: date) -> Sessions:
        """Return the regular sessions from one New York date to another, half days and closures of any reason included.

        Pairs of aware UTC, oldest first. Raises FeedUnavailable.
        """
        query = {"start": f"{first}T00:00:00Z", "end": f"{last}T00:00:00Z"}
        async with self._trading.deadline(self._patience.whole_s):
            days = self._trading.read(await self._trading.get("/v2/calendar", query), list[Day])
        try:
            found = tuple((_at(day.date, day.open), _at(day.date, day.close)) for day in days)
        except ValueError as error:
            raise self._trading.nonsense(": hours that are none") from error
        moments = [moment for session in found for moment in session]
        if any(later <= earlier for earlier, later in pairwise(moments)):
            raise self._trading.nonsense(": sessions out of order")
        return found

    def access(self) -> Sequence[Access]:
        """Return how far the data API, for quotes, orders and the rest, and the trading API let us in."""
        return self._quick.access, self._orders.access, self._data.access, self._trading.access

    def now(self) -> datetime:
        """Return the time at Alpaca: the last `Date` header and what has passed since; our own before the first."""
        return self._data.clock.now()

    def heard(self, at: datetime) -> None:
        """Take note of a moment that the stream tells: the time there cannot be earlier."""
        self._data.clock.heard(at)

    async def close(self) -> None:
        """Release connections."""
        await self._data.close()
        await self._trading.close()

    async def _quote_of(self, symbol: str) -> Quote | None:
        return (await self._quotes([symbol], self._data)).get(symbol)

    async def _quickly(self, symbols: Sequence[str], way: Upstream) -> dict[str, Quote]:
        async with way.deadline(self._patience.quick_s):
            return await self._quotes(list(symbols), way)

    async def _quotes(self, symbols: list[str], way: Upstream) -> dict[str, Quote]:
        return await self._stocks.ask(lambda feed: self._snapshots(symbols, way, feed))

    async def _snapshots(self, symbols: list[str], way: Upstream, feed: StockFeed) -> dict[str, Quote]:
        query = {"symbols": ",".join(symbols), "feed": feed}
        answer = await way.get("/v2/stocks/snapshots", query, {200, 400})
        if unread := invalid(way, answer):
            # One symbol that Alpaca cannot read must not take the others down with it.
            left = [symbol for symbol in symbols if symbol not in unread]
            return await self._snapshots(left, way, feed) if 0 < len(left) < len(symbols) else {}
        snapshots = way.read(answer, dict[str, Snapshot | None])
        quotes = (self._quote(symbol, snapshot, feed) for symbol, snapshot in snapshots.items() if snapshot)
        return {quote.symbol: quote for quote in quotes if quote}

    async def _candles(
        self, symbol: str, query: Mapping[str, str], start: datetime, end: datetime, feed: StockFeed
    ) -> Bars:
        candles: list[Candle] = []
        if within := self._within(start, end, feed):
            async for page in pages(self._data, "/v2/stocks/bars", {**query, **within}, BarPages):
                candles += (page.bars or {}).get(symbol) or []
        bars = tuple(Bar(c.t, c.o, c.h, c.l, c.c, int(c.v)) for c in candles)
        return Bars(symbol, bars, self._sources[feed], _DELAYS[feed], self.now())

    async def _trades(self, symbols: Sequence[str], start: datetime, end: datetime, feed: StockFeed) -> Sequence[Tick]:
        found: list[Tick] = []
        if within := self._within(start, end, feed):
            async for page in pages(self._data, "/v2/stocks/trades", {"symbols": ",".join(symbols), **within}, Trades):
                for symbol, trades in (page.trades or {}).items():
                    found += [trade.tick(symbol) for trade in trades or () if trade.counts]
        return found

    def _within(self, start: datetime, end: datetime, feed: StockFeed) -> dict[str, str]:
        """Return the part of a query that says of when and from which feed, empty where that feed is not so far yet."""
        if delay := _DELAYS[feed]:
            end = min(end, self.now() - delay)
        if end < start:
            return {}
        exchange = "iex" if feed == "iex" else "sip"
        return {"start": start.isoformat(), "end": end.isoformat(), "limit": "10000", "feed": exchange}

    def _quote(self, symbol: str, snapshot: Snapshot, feed: StockFeed) -> Quote | None:
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
            source=self._sources[feed],
            delay=_DELAYS[feed],
            previous_close=before.c if before else None,
            bid=(top.bp or None) if top else None,
            ask=(top.ap or None) if top else None,
            bid_size=top.bs if top else None,
            ask_size=top.as_ if top else None,
            day_open=today.o if today else None,
            day_low=today.l if today else None,
            day_high=today.h if today else None,
            day_close=today.c if today else None,
            volume=(int(today.v) or None) if today else None,
        )

    async def _assets(self, asset_class: str) -> list[Asset]:
        query = {"status": "active", "asset_class": asset_class}
        answer = await self._trading.get("/v2/assets", query, {200, 400, 403, 404, 422})
        if asset_class == "us_index" and answer.status_code != 200:
            return []
        return self._trading.read(answer, list[Asset])


def _at(day: date, hour: str) -> datetime:
    return datetime.combine(day, time_of_day.fromisoformat(hour), NEW_YORK).astimezone(UTC)


def _new_york_date(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()
