"""How rarely sources are asked, and what reading a whole index chain costs, the event loop included."""

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from feed_stage import FRIDAY, Ticking, sessions, staged
from pace import alternately

from sandbox.alpaca import MarketData
from sandbox.cboe import Delayed
from sandbox.market import Market as Synthetic
from sandbox.option_chain import Chains
from services.chart_pool import ChartPool
from services.clock import Calendar
from services.feeds.cboe import Cboe
from services.feeds.cboe_files import parse_delayed_quotes
from services.market import Market

ASKERS = 100
CONTRACTS = 20_000
ROUNDS = 15
LIMITS = {
    "requests for 100 quotes of one cold symbol": 1.0,
    "requests for 100 quotes of one cold symbol, Tradier": 1.0,
    "requests for 100 quotes of one cold symbol, Cboe": 1.0,
    "parse of it, ms": 25.0,
    "parse of Cboe's answer over json.loads": 0.35,
    "event loop lag p99 over the parse": 0.4,
}


def figures() -> dict[str, float]:
    body = spx_like()
    ours, usual = alternately(lambda: parse_delayed_quotes(body, "SPX"), lambda: json.loads(body), rounds=ROUNDS)
    return {
        **asyncio.run(_askers()),
        "Cboe's answer, MB": len(body) / 1e6,
        "parse of it, ms": ours,
        "json.loads of it, ms": usual,
        "parse of Cboe's answer over json.loads": ours.over(usual),
        **asyncio.run(_loop(body, ours)),
    }


def spx_like() -> bytes:
    """An answer as long as that of SPX: 20,000 contracts."""
    market = Synthetic(sessions(), start=FRIDAY)
    chains = Chains(market)
    answer = Delayed(market, chains, MarketData(market, chains)).options({"name": "_SPX"}, FRIDAY.timestamp())
    options = answer["data"]["options"]
    answer["data"]["options"] = (options * (CONTRACTS // len(options) + 1))[:CONTRACTS]
    return json.dumps(answer, separators=(",", ":")).encode()


async def _askers() -> dict[str, float]:
    calendar = Calendar(tuple(sessions()))
    counted: dict[str, float] = {}
    async with staged() as stage:
        for feed, note in ((stage.alpaca(), ""), (stage.tradier(), ", Tradier"), (stage.cboe(), ", Cboe")):
            market = Market([feed], calendar)
            before = await stage.asked()
            began = time.perf_counter()
            await asyncio.gather(*(market.quotes(("KO",)) for _ in range(ASKERS)))
            spent = time.perf_counter() - began
            counted[f"requests for {ASKERS} quotes of one cold symbol{note}"] = await stage.asked() - before
            counted[f"{ASKERS} quotes of one cold symbol{note}, ms"] = spent * 1000
    return counted


async def _loop(body: bytes, parse_ms: float) -> dict[str, float]:
    pool, clock = ChartPool(1), Ticking()
    lags, spent = list[float](), list[float]()
    await pool.start()
    async with _elsewhere(body) as address:
        feed = Cboe(address, apart=pool.run, clock=clock)
        await feed.chain("SPX")
        watch = asyncio.create_task(_lag(lags))
        for _ in range(ROUNDS):
            clock.seconds += 10
            began = time.perf_counter()
            await feed.chain("SPX")
            spent.append((time.perf_counter() - began) * 1000)
        watch.cancel()
        await feed.close()
    await pool.close()
    return {
        "fetch and parse of it in a worker, ms": statistics.median(spent),
        "event loop lag p99 while it is fetched and parsed, ms": float(np.percentile(lags, 99)),
        "event loop lag p99 over the parse": float(np.percentile(lags, 99)) / parse_ms,
        "event loop lag, worst, ms": max(lags),
    }


@asynccontextmanager
async def _elsewhere(body: bytes) -> AsyncIterator[str]:
    """Serve the answer from another process, as Cboe does."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        file = Path(folder) / "api/global/delayed_quotes/options/_SPX.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(body)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", folder)
        quiet = asyncio.subprocess.DEVNULL
        server = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
        try:
            while True:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            await server.wait()


async def _lag(lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - began) * 1000 - 1)


if __name__ == "__main__":
    for figure, value in figures().items():
        print(f"{figure:<60} {value:10.2f}")
