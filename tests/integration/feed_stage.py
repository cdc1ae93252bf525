"""A synthetic market that stands still, its desk, and feeds that read it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

import httpx
from aiohttp import web

from sandbox import market_api
from sandbox.market import Market
from services.clock import NEW_YORK
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.feeds.cboe import Cboe
from services.feeds.tradier import Tradier
from services.feeds.upstream import Patience

FRIDAY = datetime(2026, 11, 20, 11, 7, 23, tzinfo=NEW_YORK).astimezone(UTC)
HASTY = Patience(0.4, 5.0)


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def sessions():
    days = (date(2026, 1, 5) + timedelta(days=i) for i in range(600))
    return [
        tuple(datetime.combine(day, time(*at), NEW_YORK).astimezone(UTC) for at in ((9, 30), (16, 0)))
        for day in days
        if day.weekday() < 5 and day != date(2026, 11, 26)
    ]


@asynccontextmanager
async def serving(*routes) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Stage:
    """The market, its address and its desk."""

    def __init__(self, address: str, market: Market) -> None:
        self.address, self.market = address, market
        self.desk = httpx.AsyncClient(base_url=f"{address}/sandbox/market")
        self.feeds = []

    def alpaca(self, **options) -> Alpaca:
        data, paper = f"{self.address}/alpaca/data", f"{self.address}/alpaca/paper/"
        return self._kept(Alpaca(data, paper, by_key("key", "secret"), **{"patience": HASTY} | options))

    def tradier(self, **options) -> Tradier:
        return self._kept(Tradier(f"{self.address}/tradier/v1/", "token", **{"patience": HASTY} | options))

    def cboe(self, **options) -> Cboe:
        return self._kept(Cboe(f"{self.address}/cboe/", **{"patience": HASTY} | options))

    def _kept(self, feed):
        self.feeds.append(feed)
        return feed

    async def fault(self, **fault) -> None:
        (await self.desk.post("/faults", json=fault)).raise_for_status()

    async def heal(self) -> None:
        (await self.desk.delete("/faults")).raise_for_status()

    async def turn(self, **change) -> None:
        (await self.desk.post("/clock", json=change)).raise_for_status()

    async def asked(self, path_contains: str = "") -> int:
        """How many requests have reached the vendors' addresses."""
        counts = (await self.desk.get("/requests")).json()
        return sum(count for path, count in counts.items() if path_contains in path)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    market = Market(sessions(), start=FRIDAY)
    market.clock.turn(paused=True)
    async with serving(*market_api.routes(market)) as address:
        stage = Stage(address, market)
        yield stage
        for feed in stage.feeds:
            await feed.close()
        await stage.desk.aclose()
