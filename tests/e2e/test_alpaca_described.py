"""The Alpaca adapter and its stand-in with Alpaca's own description between them: Prism refuses the rest."""

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from npm_packages import CLIENTS, installed
from running import take_port

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from feed_stage import FRIDAY, staged

from services.clock import NEW_YORK
from services.errors import FeedUnavailable
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.feeds.upstream import Patience

# Prism checks each of some thousand contracts, in JavaScript.
PATIENCE = Patience(30, 120)


@pytest.fixture(scope="session")
def prism(node, pytestconfig):
    """The command that starts Prism."""
    home = installed(CLIENTS / "prism", "prism", pytestconfig)
    return node, str(home / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js")


@pytest.fixture(scope="session")
def described(shared_specs, tmp_path_factory):
    """Alpaca's two descriptions, mended where Prism stumbles over them."""
    folder, alpaca = tmp_path_factory.mktemp("described"), shared_specs / "alpaca"
    for name in ("market-data-api", "trading-api"):
        command = (sys.executable, alpaca / "alpaca_overlay.py", alpaca / f"{name}.json", folder / f"{name}.json")
        subprocess.run(command, check=True, timeout=60)
    return folder


@asynccontextmanager
async def between(prism, description, upstream, log):
    """A Prism that passes on what the description allows, and refuses the rest in both directions."""
    port = take_port()
    address = f"http://127.0.0.1:{port}"
    command = (*prism, "proxy", description, upstream, "-h", "127.0.0.1", "-p", str(port), "--errors")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
    try:
        async with httpx.AsyncClient() as client:
            async with asyncio.timeout(60):
                while not await _listens(client, address):
                    assert process.returncode is None, log.read_text()[-2000:]
                    await asyncio.sleep(0.1)
        yield address
    finally:
        process.terminate()
        await process.wait()


async def _listens(client, address) -> bool:
    try:
        await client.get(address)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture(scope="module")
async def stage():
    async with staged() as stage:
        yield stage


@pytest.fixture(scope="module")
async def feed(stage, prism, described, tmp_path_factory):
    logs = tmp_path_factory.mktemp("prism")
    async with AsyncExitStack() as stack:
        data, trading = await asyncio.gather(
            stack.enter_async_context(
                between(prism, described / "market-data-api.json", f"{stage.address}/alpaca/data", logs / "data.log")
            ),
            stack.enter_async_context(
                between(prism, described / "trading-api.json", f"{stage.address}/alpaca/paper", logs / "trading.log")
            ),
        )
        feed = Alpaca(data, trading, by_key("key", "secret"), patience=PATIENCE)
        stack.push_async_callback(feed.close)
        yield feed


async def test_quotes_of_stocks_and_indices(feed):
    assert set(await feed.quotes(["SPY", "BRK.B", "SPX", "NOPE"])) == {"SPY", "BRK.B", "SPX"}
    assert await feed.quotes(["A1B2"]) == {}


@pytest.mark.parametrize("symbol", ["KO", "SPY"])
async def test_chains_with_their_open_interest(feed, symbol):
    chain = await feed.chain(symbol)
    assert len(chain.strike) > 100
    assert np.isfinite(chain.open_interest).all()


@pytest.mark.parametrize("minutes", [1, 5, 15, 60, 24 * 60])
async def test_bars_of_every_length(feed, minutes):
    assert (await feed.bars("SPY", timedelta(minutes=minutes), FRIDAY - timedelta(days=4), FRIDAY)).bars


async def test_trades(feed):
    assert await feed.trades(["SPY", "AAPL"], FRIDAY - timedelta(seconds=5), FRIDAY)


async def test_listings(feed):
    assert {"SPY", "SPX"} <= {listing.symbol for listing in await feed.listings()}


async def test_sessions_with_a_holiday(feed):
    days = [opens.astimezone(NEW_YORK) for opens, _ in await feed.sessions(date(2026, 11, 25), date(2026, 11, 27))]
    assert [day.date() for day in days] == [date(2026, 11, 25), date(2026, 11, 27)]
    assert (days[0].hour, days[0].minute) == (9, 30)


async def test_what_the_description_does_not_allow_is_refused(stage, feed):
    askew = Alpaca(
        feed._data._url, feed._trading._url, by_key("key", "secret"), stock_feeds=["moon"], patience=PATIENCE
    )
    with pytest.raises(FeedUnavailable, match="422"):
        await askew.quotes(["SPY"])
    await askew.close()
    await stage.fault(kind="wrong", count=1)
    with pytest.raises(FeedUnavailable, match="error of its own, 500"):
        await feed.quotes(["SPY"])
