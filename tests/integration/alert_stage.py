"""A synthetic market on an address of its own, and a worker's watch that follows it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import httpx
from aiohttp import web

from db.models import Condition, Place
from sandbox import market_api
from sandbox.market import Market as Synthetic
from services.alerts import Alerts
from services.clock import NEW_YORK, Calendar
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.feeds.stream import AlpacaStream
from services.health import Health
from services.market import Market
from services.tape import Tape
from services.watch import Watch

FRIDAY = datetime(2026, 11, 20, 11, 7, 23, tzinfo=NEW_YORK).astimezone(UTC)
HERE = Place(channel_id=7, guild_id=3)
MARA = 80351110224678912


def sessions():
    days = (date(2026, 1, 5) + timedelta(days=i) for i in range(600))
    return tuple(
        tuple(datetime.combine(day, time(*at), NEW_YORK).astimezone(UTC) for at in ((9, 30), (16, 0)))
        for day in days
        if day.weekday() < 5 and day != date(2026, 11, 26)
    )


class Stage:
    """The market, its faults, and what the product makes of it."""

    def __init__(self, address, database):
        self.synthetic = None
        self.address, self.database = address, database
        self.http = httpx.AsyncClient(base_url=f"{address}/sandbox/market")
        self.source = Alpaca(f"{address}/alpaca/data", f"{address}/alpaca/paper", by_key("key", "secret"))
        self.stream = AlpacaStream(f"{address.replace('http', 'ws')}/alpaca/data", "key", "secret")
        self.calendar = Calendar(sessions())
        self.tape = Tape()
        self.market = Market([self.source], self.calendar, self.tape)
        self.alerts = Alerts(database, self.market)
        self.health = Health()

    async def fault(self, **fault):
        (await self.http.post("/faults", json=fault)).raise_for_status()

    async def heal(self):
        (await self.http.delete("/faults")).raise_for_status()

    def nudge(self, percent, symbol="SPY"):
        self.synthetic.nudge(symbol, percent)

    async def price(self, symbol="SPY"):
        return (await self.source.quotes([symbol]))[symbol].price

    async def alert(self, percent=0.5, condition=Condition.ABOVE, symbol="SPY", user=MARA, price=None, **options):
        """Set an alert that far above the price, which whoever sets many of them has asked for."""
        level = round((price or await self.price(symbol)) * (1 + Decimal(str(percent)) / 100), 2)
        return (await self.alerts.add(user, symbol, condition, level, HERE, **options)).alert

    def watch(self):
        return Watch(self.database, self.calendar, self.source, self.stream, self.health, self.tape)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[asyncio.Task]:
        """A worker that watches until the block ends, as abruptly as if it were killed."""
        task = asyncio.create_task(self.watch().run())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def notices(self):
        async with self.database.acquire() as conn:
            return [dict(row) for row in await conn.fetch("SELECT * FROM app.notices WHERE kind = 'alert' ORDER BY id")]

    async def says(self, word, within_s=5.0):
        """Wait until the health of alerts mentions something."""
        await until(lambda: word in (part.detail if (part := self.health.parts.get("alerts")) else ""), within_s)

    async def fired(self, count=1, within_s=5.0):
        """Wait for so many notices, and make sure that no more come."""
        async with asyncio.timeout(within_s):
            while len(await self.notices()) < count:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        found = await self.notices()
        assert len(found) == count
        return found


@asynccontextmanager
async def staged(database, **clock):
    synthetic = Synthetic(sessions(), start=FRIDAY)
    synthetic.clock.turn(**clock)
    app = web.Application()
    app.add_routes(market_api.routes(synthetic))
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stage = Stage(f"http://127.0.0.1:{runner.addresses[0][1]}", database)
    stage.synthetic = synthetic
    try:
        yield stage
    finally:
        await stage.http.aclose()
        await stage.source.close()
        await runner.cleanup()


async def until(condition, within_s=5.0):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
