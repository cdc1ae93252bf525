"""Completion of symbols while they are typed: the search over 12,000 listings, and the answer beside a bare "pong"."""

import asyncio
import os
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from bench_quote import PONG, start
from running import TOKEN, sandbox_running, take_port, until

from db.pool import Database
from db.symbols import set_symbols
from services.directory import Directory
from services.feeds.base import Listing

LIMITS = {
    "search of 12,000 symbols, p99, ms": 5.0,
    "search with typing slips, p99, ms": 5.0,
    "completion over pong, p50, ms": 5.0,
}
SYMBOLS = 12_000
WARM_UP, ROUNDS = 100, 1000
FIRST = ("American", "Advanced", "First", "Global", "National", "United", "Pacific", "Micro", "Data", "Energy")
SECOND = ("Health", "Capital", "Devices", "Financial", "Resources", "Semiconductor", "Realty", "Mining", "Bank")
LAST = ("Inc. Common Stock", "Corporation Class A", "Ltd. Ordinary Shares", "ETF", "plc ADR", "Corp. Warrant")
TYPED = ("s", "sp", "spy", "a", "c", "co", "comm", "corp", "first na", "advanced mi", "semi", "", "$spx", "brk b")
SLIPS = ("micorsoft", "appel", "semicnd", "finacial", "qqqq", "healht", "zzzz", "resuorces")


def listings() -> list[Listing]:
    """As many symbols as the US lists, with names that share their words as those do."""
    chance = random.Random(4)
    found = {"SPY": "SPDR S&P 500 ETF Trust", "AAPL": "Apple Inc. Common Stock", "MSFT": "Microsoft Corporation"}
    while len(found) < SYMBOLS:
        symbol = "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=chance.choice((2, 3, 4, 4, 4, 5))))
        found[symbol] = f"{chance.choice(FIRST)} {symbol.title()} {chance.choice(SECOND)} {chance.choice(LAST)}"
    return [Listing(symbol, name) for symbol, name in found.items()]


def figures() -> dict[str, float]:
    known = listings()
    started = time.perf_counter()
    directory = Directory(known)
    result = {"building the directory, ms": (time.perf_counter() - started) * 1000}
    for name, typed in (("search of 12,000 symbols", TYPED), ("search with typing slips", SLIPS)):
        # The best of five, so that it is the search that is measured, and not what else the machine does.
        taken = [min(_searched(directory, text) for _ in range(5)) for _ in range(20) for text in typed]
        result |= {f"{name}, p50, ms": _percentile(taken, 50) * 1000, f"{name}, p99, ms": _percentile(taken, 99) * 1000}
    pong, completion = asyncio.run(_measure(known))
    for name, p in (("p50", 50), ("p99", 99)):
        floor, ours = _percentile(pong, p), _percentile(completion, p)
        result |= {
            f"pong {name}, ms": floor * 1000,
            f"completion {name}, ms": ours * 1000,
            f"completion over pong, {name}, ms": (ours - floor) * 1000,
        }
    return result


async def _measure(known: list[Listing]) -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(sandbox_running())
        ours = await stack.enter_async_context(sandbox_running())
        home = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {**os.environ, **ours.environment(), "PULSE_HOME": home, "WEB_PORT": str(take_port())}
        await start(stack, [str(PONG), floor.url, TOKEN], dict(os.environ))
        await start(stack, ["-m", "pulse", "run"], environment)
        for sandbox in (floor, ours):
            await until(lambda d=sandbox.discord: d.gateway.reachable and d.commands, 30)
        await asyncio.sleep(2)  # the worker stores the sandbox's own few symbols
        await _list(known, Path(home))
        anna, mara = floor.discord.person("Mara"), ours.discord.person("Mara")
        async with asyncio.timeout(20):
            while not await mara.type("quote", symbols="semicond").choices():
                await asyncio.sleep(0.1)
        pong, completion = [], []
        for turn in range(WARM_UP + ROUNDS):
            first = await _timed(anna.command("ping"))
            second = await _timed(mara.type("quote", symbols=TYPED[turn % len(TYPED)]))
            if turn >= WARM_UP:
                pong.append(first)
                completion.append(second)
        return pong, completion


async def _list(known: list[Listing], home: Path) -> None:
    from db.embedded import embedded  # noqa: PLC0415 - the server that runs already

    async with embedded(home) as server:
        database = await Database.open(server.url)
        async with database.transaction() as conn:
            await set_symbols(conn, "alpaca", [(listing.symbol, listing.name) for listing in known])
        await database.close()


async def _timed(interaction) -> float:
    await interaction.acknowledged()
    return interaction.answered_after_s


def _searched(directory: Directory, text: str) -> float:
    started = time.perf_counter()
    directory.search(text, 25, ("SPY", "MSFT"))
    return time.perf_counter() - started


def _percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    print(figures())
