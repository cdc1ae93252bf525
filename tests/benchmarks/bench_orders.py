"""How long a press of Confirm takes to be answered, beside a bare "pong" and two durable commits, and to be filled."""

import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from bench_quote import PONG, start
from running import TOKEN, sandbox_running, take_port, until

from db.embedded import embedded
from db.pool import Database

LIMITS = {"Confirm over pong + 2 commits, p50, ms": 1.0}
PEOPLE = ("Mara", "Jonas", "Aiko", "Sam")
EACH = 9  # the house lets a person place ten orders a minute


def figures() -> dict[str, float]:
    pong, confirm, fill, commit = asyncio.run(_measure())
    return {
        "pong p50, ms": pong,
        "one durable commit p50, ms": commit,
        "Confirm to answer p50, ms": confirm,
        "Confirm over pong + 2 commits, p50, ms": confirm - pong - 2 * commit,
        "Confirm to fill shown p50, ms": fill,
    }


async def _measure() -> tuple[float, float, float, float]:
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(sandbox_running())
        ours = await stack.enter_async_context(sandbox_running())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        product = {**os.environ, **ours.environment(), "PULSE_HOME": str(home), "WEB_PORT": str(take_port())}
        await start(stack, [str(PONG), floor.url, TOKEN], dict(os.environ))
        await start(stack, ["-m", "pulse", "run"], product)
        for sandbox in (floor, ours):
            await until(lambda d=sandbox.discord: d.gateway.reachable and d.commands, 30)
        await asyncio.sleep(2)
        server = await stack.enter_async_context(embedded(home))
        database = await Database.open(server.url)
        stack.push_async_callback(database.close)
        pongs, commits, answers, fills = [], [], [], []
        for turn in range(EACH):
            for number, name in enumerate(PEOPLE):
                first = floor.discord.person(name).command("ping")
                await first.acknowledged()
                pongs.append(first.answered_after_s)
                commits.append(await _commit(database, len(PEOPLE) * turn + number + 1))
                answered, filled = await _trade(ours.discord.person(name), turn + 1)
                answers.append(answered)
                fills.append(filled)
        return 1000 * median(pongs), 1000 * median(answers), 1000 * median(fills), 1000 * median(commits)


async def _trade(person, quantity: int) -> tuple[float, float]:
    ticket = await person.command("buy", symbol="SPY", quantity=quantity).message()
    pressed = person.press(ticket, "Confirm")
    started = time.perf_counter()
    await pressed.acknowledged()

    def shown() -> bool:
        return any(m["id"] == ticket["id"] and "Bought" in m["content"] for m in person.reads())

    await until(shown, 10)
    return pressed.answered_after_s, time.perf_counter() - started


async def _commit(database: Database, user_id: int) -> float:
    """Return the seconds that a transaction takes which inserts one row into the product's own database."""
    started = time.perf_counter()
    async with database.as_user(user_id) as conn:
        await conn.execute("INSERT INTO app.profiles (user_id, locale) VALUES ($1, 'en-US')", user_id)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(figures())
