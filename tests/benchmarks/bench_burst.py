"""Two thousand alerts go off while people confirm orders: how long those wait, and whether everybody is told."""

import asyncio
import os
import re
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from bench_quote import start
from running import Sandbox, sandbox_running, take_port, until

from db import alerts
from db import notices as stored
from db.alerts import Draft
from db.embedded import embedded
from db.models import Condition, Place
from db.pool import Database
from sandbox.discord.world import Member, User

ALERTS, PEOPLE, BY_MESSAGE = 2_000, 40, 150
CHANNELS = ("trading-floor", "gamma-levels", "alerts-feed")
CONFIRMED, FILLED = "answer to Confirm p99, s", "Confirm to fill shown p99, s"
INVALID, UNTOLD = "invalid requests (401, 403, 429)", "alerts of 2,000 in no message"
LIMITS = {CONFIRMED: 2.0, FILLED: 2.0, INVALID: 0.0, UNTOLD: 0.0}
DIGEST = re.compile(r"🔔 ([\d,]+) alerts fired at once")


def figures() -> dict[str, float]:
    return asyncio.run(_measure())


async def _measure() -> dict[str, float]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(sandbox_running(record=True))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        product = {**os.environ, **sandbox.environment(), "PULSE_HOME": str(home), "WEB_PORT": str(take_port())}
        await start(stack, ["-m", "pulse", "run"], product)
        await until(lambda: sandbox.discord.gateway.reachable and sandbox.discord.commands, 30)
        server = await stack.enter_async_context(embedded(home))
        database = await Database.open(server.url)
        stack.push_async_callback(database.close)
        crowd = [_person(sandbox, number) for number in range(PEOPLE)]
        await _set_alerts(sandbox, database, crowd)
        await asyncio.sleep(2)
        begun = time.perf_counter()
        sandbox.market.nudge("NVDA", 2.0)
        trades = await asyncio.gather(*(_trade(sandbox, user, 0.1 * n) for n, user in enumerate(crowd)))
        async with asyncio.timeout(60):
            while _told(sandbox, crowd) < ALERTS:
                await asyncio.sleep(0.1)
        over = time.perf_counter() - begun
        await asyncio.sleep(1)
        answers, fills = zip(*trades, strict=True)
        return {
            CONFIRMED: quantiles(answers, n=100)[98],
            FILLED: quantiles(fills, n=100)[98],
            INVALID: sum(request.status in {401, 403, 429} for request in sandbox.discord.requests),
            UNTOLD: abs(ALERTS - _told(sandbox, crowd)),
            "until the last alert is told, s": over,
        }


def _person(sandbox: Sandbox, number: int) -> User:
    world = sandbox.discord.world
    user = User(world.ids(), f"u{number}", f"U{number}", "en-US", "#ffffff")
    world.users[user.id] = user
    (guild,) = world.guilds.values()
    guild.members[user.id] = Member(user, datetime.now(UTC), [])
    return user


async def _set_alerts(sandbox: Sandbox, database: Database, crowd: list[User]) -> None:
    """Set alerts a little above the price: some are told by direct message, most in three channels."""
    price = round(Decimal(sandbox.market.price("NVDA", sandbox.market.now().timestamp())), 2)
    channels = [int(sandbox.discord.world.channel(name).id) for name in CHANNELS]
    for user in crowd:  # of whom we have written to before; Discord lets a bot open few direct channels in a while
        async with database.transaction() as conn:
            await stored.add_direct_channel(conn, int(user.id), int(sandbox.discord.world.dm(user).id))
    for number in range(ALERTS):
        user_id, by_message = int(crowd[number % PEOPLE].id), number < BY_MESSAGE
        draft = Draft(
            token=f"{number:020}",
            user_id=user_id,
            symbol="NVDA",
            condition=Condition.ABOVE,
            level=price * Decimal("1.01") + Decimal(number % 100) / 100,
            always=False,
            place=Place(dm=True) if by_message else Place(channel_id=channels[number % len(channels)]),
            after=sandbox.market.now(),
            reference=price,
        )
        async with database.as_user(user_id) as conn:
            await alerts.add_alert(conn, draft, ALERTS)


async def _trade(sandbox: Sandbox, user: User, wait_s: float) -> tuple[float, float]:
    """Open a ticket and confirm it; returns the seconds to the answer, and to the message that tells of the fill."""
    await asyncio.sleep(wait_s)
    person = sandbox.discord.person(user.id)
    ticket = await person.command("buy", symbol="SPY", quantity=1).message()
    started = time.perf_counter()
    pressed = person.press(ticket, "Confirm")
    await pressed.acknowledged()
    await until(lambda: any(m["id"] == ticket["id"] and "Bought" in m["content"] for m in person.reads()), 30)
    return pressed.answered_after_s, time.perf_counter() - started


def _told(sandbox: Sandbox, crowd: list[User]) -> int:
    """How many alerts stand in messages, alone or in a digest."""
    read = [m["content"] for name in CHANNELS for m in sandbox.discord.messages(name, "Mara")]
    read += [m["content"] for user in crowd for m in sandbox.discord.messages("dm", user.id)]
    digests = [int(found[1].replace(",", "")) for content in read if (found := DIGEST.match(content))]
    return sum(digests) + sum("▲" in content for content in read)


if __name__ == "__main__":
    print(figures())
