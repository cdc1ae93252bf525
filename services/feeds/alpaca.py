"""Alpaca as a source: stock snapshots and bars, option snapshots, and the open interest of option contracts."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from itertools import pairwise
from typing import Final, Literal

from services.clock import NEW_YORK, Sessions
from services.feeds.alpaca_chain import OptionFeed, Options
from services.feeds.alpaca_wire import Asset, Candle, Day, Snapshot, Trades, invalid, pages, vendor
from services.feeds.alpaca_wire import Bars as BarPages
from services.feeds.base import Access, Bar, Bars, Chain, Feed, Listing, Offer, Quote, Tick
from services.feeds.upstream import PATIENCE, Patience, Upstream, api

StockFeed = Literal["iex", "sip", "delayed_sip"]

_DELAYS: Final = {"iex": timedelta(0), "sip": timedelta(0), "delayed_sip": timedelta(minutes=15)}
_SOURCES: Final = {"iex": "Alpaca IEX", "sip": "Alpaca SIP", "delayed_sip": "Alpaca SIP"}
_TIMEFRAMES: Final = {
    timedelta(minutes=1): "1Min",
    timedelta(minutes=5): "5Min",
    timedelta(minutes=15): "15Min",
    timedelta(hours=1): "1Hour",
    timedelta(days=1): "1Day",
}


class Alpaca(Feed):
    """A `Feed` over https://docs.alpaca.markets/reference, closed by `close()`; its two APIs are limited apart."""

    name = "alpaca"
    offers = frozenset(Offer)

    def __init__(
        self,
        data_url: str,
        trading_url: str,
        key: str,
        secret: str,
        *,
        stock_feed: StockFeed = "iex",
        option_feed: OptionFeed = "indicative",
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stock_feed: StockFeed = stock_feed
        self._patience = patience
        as_us = vendor(key, secret)
        data = api(data_url, as_us, patience, clock)
        self._quick = Upstream("quotes", data, clock, urgent=True)
        self._data = Upstream("data", data, clock)
        self._trading = Upstream("trading", api(trading_url, as_us, patience, clock), clock)
        self._options = Options(self._data, self._trading, option_feed)
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
        async with self._quick.deadline(self._patience.quick_s):
            return await self._quotes(list(symbols), self._quick)

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
        query = {
            "symbols": symbol,
            "timeframe": _TIMEFRAMES[interval],
            "start": start.isoformat(),
            "end": end.isoformat(),
            "limit": "10000",
            "adjustment": "split",
            "feed": "iex" if self._stock_feed == "iex" else "sip",
        }
        candles: list[Candle] = []
        async with self._data.deadline(self._patience.whole_s):
            async for page in pages(self._data, "/v2/stocks/bars", query, BarPages):
                candles += (page.bars or {}).get(symbol) or []
        bars = tuple(Bar(c.t, c.o, c.h, c.l, c.c, int(c.v)) for c in candles)
        return Bars(symbol, bars, _SOURCES[self._stock_feed], _DELAYS[self._stock_feed], self.now())

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
        async with self._data.deadline(self._patience.whole_s):
            async for page in pages(self._data, "/v2/stocks/trades", query, Trades):
                for symbol, trades in (page.trades or {}).items():
                    found += [trade.tick(symbol) for trade in trades or () if trade.counts]
        return found

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
        """Return how far the data API, for quotes and for the rest, and the trading API let us in."""
        return self._quick.access, self._data.access, self._trading.access

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

    async def _quotes(self, symbols: list[str], way: Upstream) -> dict[str, Quote]:
        query = {"symbols": ",".join(symbols), "feed": self._stock_feed}
        answer = await way.get("/v2/stocks/snapshots", query, {200, 400})
        if unread := invalid(way, answer):
            # One symbol that Alpaca cannot read must not take the others down with it.
            left = [symbol for symbol in symbols if symbol not in unread]
            return await self._quotes(left, way) if 0 < len(left) < len(symbols) else {}
        snapshots = way.read(answer, dict[str, Snapshot | None])
        quotes = (self._quote(symbol, snapshot) for symbol, snapshot in snapshots.items() if snapshot)
        return {quote.symbol: quote for quote in quotes if quote}

    def _quote(self, symbol: str, snapshot: Snapshot) -> Quote | None:
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
            delay=_DELAYS[self._stock_feed],
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
