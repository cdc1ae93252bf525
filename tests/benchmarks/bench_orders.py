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
COMMITS = 200


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
        commit = await _commit(home)
        pongs, answers, fills = [], [], []
        for turn in range(EACH):
            for name in PEOPLE:
                first = floor.discord.person(name).command("ping")
                await first.acknowledged()
                pongs.append(first.answered_after_s)
                answered, filled = await _trade(ours.discord.person(name), turn + 1)
                answers.append(answered)
                fills.append(filled)
        return 1000 * median(pongs), 1000 * median(answers), 1000 * median(fills), commit


async def _trade(person, quantity: int) -> tuple[float, float]:
    ticket = await person.command("buy", symbol="SPY", quantity=quantity).message()
    pressed = person.press(ticket, "Confirm")
    started = time.perf_counter()
    await pressed.acknowledged()

    def shown() -> bool:
        return any(m["id"] == ticket["id"] and "Bought" in m["content"] for m in person.reads())

    await until(shown, 10)
    return pressed.answered_after_s, time.perf_counter() - started


async def _commit(home: Path) -> float:
    """The median of a transaction that inserts one row into the product's own database, in ms."""
    async with embedded(home) as server:
        database = await Database.open(server.url)
        taken = []
        for user_id in range(1, COMMITS):
            started = time.perf_counter()
            async with database.as_user(user_id) as conn:
                await conn.execute("INSERT INTO app.profiles (user_id, locale) VALUES ($1, 'en-US')", user_id)
            taken.append(time.perf_counter() - started)
        await database.close()
    return 1000 * median(taken)


if __name__ == "__main__":
    print(figures())
