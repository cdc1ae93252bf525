"""What a trade costs with few and with many armed alerts, and how soon after it the notice is there for the bots."""

import asyncio
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from alert_stage import sessions

from db import alerts
from db.alerts import Draft
from db.embedded import embedded
from db.listener import listening
from db.migrate import migrate
from db.models import Alert, AlertState, Condition, Place
from db.pool import Database
from services.clock import Calendar
from services.crossings import Crossings
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.feeds.base import Tick
from services.feeds.stream import AlpacaStream
from services.health import Health
from services.watch import Watch

LIMITS = {
    "a trade among 100,000 alerts over one among 1,000": 1.5,
    "stream → notice p95, ms": 50.0,
}
FEW, MANY = 1_000, 100_000
TRADES = 20_000
ROUNDS = 9
FIRED = 300
START = datetime.now(UTC) - timedelta(minutes=5)


def figures() -> dict[str, float]:
    few, many = _market(FEW), _market(MANY)
    costs: dict[int, list[float]] = {FEW: [], MANY: []}
    for turn in range(ROUNDS):
        costs[FEW].append(_cost(few, turn))
        costs[MANY].append(_cost(many, turn))
    result = {f"a trade among {count:,} alerts, µs": median(found) * 1e6 for count, found in costs.items()}
    result["a trade among 100,000 alerts over one among 1,000"] = median(costs[MANY]) / median(costs[FEW])
    result |= _memory()
    latencies = asyncio.run(_latencies())
    percentiles = quantiles(latencies, n=100)
    return result | {f"stream → notice p{p}, ms": percentiles[p - 1] * 1000 for p in (50, 95, 99)}


def _market(count: int) -> Crossings:
    rng = random.Random(count)
    levels = (Decimal(rng.choice((rng.randint(5000, 9949), rng.randint(10051, 15000)))) / 100 for _ in range(count))
    return Crossings(_alert(number, level) for number, level in enumerate(levels))


def _alert(number: int, level: Decimal) -> Alert:
    return Alert(
        id=number,
        token=str(number),
        user_id=1,
        symbol="SPY",
        condition=list(Condition)[number % 3],
        level=level,
        always=True,
        place=Place(),
        state=AlertState.ACTIVE,
        armed=True,
        after=START - timedelta(days=1),
        after_id=0,
        reference=Decimal(100),
        version=1,
        known=True,
        created_at=START,
    )


def _cost(crossings: Crossings, turn: int) -> float:
    """Seconds for a trade that wanders between the nearest levels."""
    rng = random.Random(turn)
    begin = START + timedelta(hours=turn)
    ticks = [
        Tick("SPY", begin + timedelta(milliseconds=n), n, Decimal(rng.randint(9951, 10049)) / 100)
        for n in range(TRADES)
    ]
    crossings.feed(Tick("SPY", begin - timedelta(seconds=1), 0, Decimal(100)))
    started = time.perf_counter()
    for tick in ticks:
        crossings.feed(tick)
    spent = (time.perf_counter() - started) / TRADES
    assert not crossings.take().alerts
    return spent


def _memory() -> dict[str, float]:
    """A crash through half of the levels and back: what a firing costs where all of them fire."""
    crossings = _market(MANY)
    started = time.perf_counter()
    for n, price in enumerate((100, 1, 1000)):
        crossings.feed(Tick("SPY", START + timedelta(seconds=n), 0, Decimal(price)))
    spent = time.perf_counter() - started
    fired = sum(len(change.fired) for change in crossings.take().alerts)
    return {"a firing among 100,000, µs": spent / fired * 1e6}


async def _latencies() -> list[float]:
    """Seconds from sending a trade over the socket to hearing of its notice from PostgreSQL."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = await stack.enter_async_context(embedded(home))
        await migrate(server.url)
        database = await Database.open(server.url)
        stack.push_async_callback(database.close)
        for number in range(FIRED):
            await _add(database, number)
        source = _Source()
        url = await source.start(stack)
        health = Health()
        feed = Alpaca(url, url, by_key("key", "secret"))
        stack.push_async_callback(feed.close)
        stream = AlpacaStream(url.replace("http", "ws"), "key", "secret")
        watching = asyncio.create_task(Watch(database, Calendar(sessions()), feed, stream, health).run())
        stack.push_async_callback(_cancel, watching)
        heard: asyncio.Queue[float] = asyncio.Queue()
        told = listening(
            server.url,
            ("notices",),
            on_notify=lambda *_: heard.put_nowait(time.perf_counter()),
            on_resync=lambda: None,
        )
        await stack.enter_async_context(told)
        while not ((part := health.parts.get("alerts")) and part.detail.startswith(f"{FIRED} on 1")):
            await asyncio.sleep(0.05)
        found = []
        for number in range(-1, FIRED):
            started = time.perf_counter()
            await source.trade(Decimal(101 + number))
            if number >= 0:
                found.append(await heard.get() - started)
            await asyncio.sleep(0.005)
        return found


async def _add(database: Database, number: int) -> None:
    draft = Draft(
        token=str(number),
        user_id=number + 1,
        symbol="SPY",
        condition=Condition.ABOVE,
        level=Decimal(101 + number),
        always=False,
        place=Place(channel_id=1),
        after=START,
        reference=Decimal(100),
    )
    async with database.as_user(number + 1) as conn:
        await alerts.add_alert(conn, draft, 1)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class _Source:
    """The least that the product takes for Alpaca: a stream that sends what it is told, and no past."""

    def __init__(self) -> None:
        self._socket: web.WebSocketResponse | None = None
        self._number = 0

    async def start(self, stack: AsyncExitStack) -> str:
        app = web.Application()
        app.add_routes(
            [
                web.get("/v2/iex", self._stream),
                web.get("/v2/stocks/trades", self._nothing),
                web.get("/v2/stocks/snapshots", self._nothing),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def trade(self, price: Decimal) -> None:
        self._number += 1
        at = (START + timedelta(seconds=self._number / 10)).isoformat()
        assert self._socket
        await self._socket.send_str(f'[{{"T":"t","S":"SPY","i":{self._number},"p":{price},"t":"{at}","c":["@"]}}]')

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        self._socket = socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('[{"T":"success","msg":"connected"}]')
        await socket.receive()
        await socket.send_str('[{"T":"success","msg":"authenticated"}]')
        async for _ in socket:
            pass
        return socket

    async def _nothing(self, _request: web.Request) -> web.Response:
        return web.json_response({})


if __name__ == "__main__":
    print(figures())
