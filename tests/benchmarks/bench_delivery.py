"""How long it takes from a trade on the stream to the alert's message in Discord, through the whole running product."""

import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from bench_quote import start
from running import Sandbox, sandbox_running, take_port, until

from sandbox import market_stream

LIMITS = {"trade on the stream → message in Discord p95, ms": 150.0}
WARM_UP = 10  # direct channels are opened once, at the pace that Discord allows
ROUNDS = 100
SYMBOLS = ("NVDA", "AAPL", "MSFT", "AMZN", "META", "TSLA", "AMD")  # none again before its kept quote is too old
AWAY, NUDGE = Decimal("1.003"), 0.6
PLACES = (("Mara", "trading-floor"), ("Jonas", "gamma-levels"), ("Aiko", "alerts-feed"), ("Mara", "dm"), ("Aiko", "dm"))
SPEED = 4.0
TAKEN_UP_S = 0.3
_send = market_stream._send


def figures() -> dict[str, float]:
    percentiles = quantiles(asyncio.run(_measure()), n=100)
    return {f"trade on the stream → message in Discord p{p}, ms": percentiles[p - 1] * 1000 for p in (50, 95, 99)}


async def _measure() -> list[float]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(sandbox_running())
        home = stack.enter_context(tempfile.TemporaryDirectory())
        product = {**os.environ, **sandbox.environment(), "PULSE_HOME": home, "WEB_PORT": str(take_port())}
        await start(stack, ["-m", "pulse", "run"], product)
        await until(lambda: sandbox.discord.gateway.reachable and sandbox.discord.commands, 30)
        await asyncio.sleep(2)
        sandbox.market.clock.turn(speed=SPEED)
        for symbol in SYMBOLS:  # keeps it followed, as a symbol is that more than one person watches
            await (
                sandbox.discord.person("Sam").command("alert", symbol=symbol, condition="above", value="9999").message()
            )
        course = Course(sandbox)
        stack.enter_context(patch.object(market_stream, "_send", course.leave))
        stack.enter_context(patch.object(sandbox.discord, "keep_message", course.arrive))
        return [await course.run(turn) for turn in range(WARM_UP + ROUNDS)][WARM_UP:]


class Course:
    """From the start line, where a trade leaves the sandbox's stream, to the finish, a message in its Discord."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._keep = sandbox.discord.keep_message
        self._symbol, self._level, self._left = "", float("inf"), 0.0
        self._taken: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def run(self, turn: int) -> float:
        """Seconds that one alert takes."""
        symbol = self._symbol = SYMBOLS[turn % len(SYMBOLS)]
        name, channel = PLACES[turn % len(PLACES)]
        person = self._sandbox.discord.person(name, channel)
        now = self._sandbox.market.price(symbol, self._sandbox.market.now().timestamp())
        level = round(Decimal(now) * AWAY, 2)
        await person.command("alert", symbol=symbol, condition="above", value=str(level)).message()
        await asyncio.sleep(TAKEN_UP_S)
        self._taken = asyncio.get_running_loop().create_future()
        self._level, self._left = float(level), 0.0
        self._sandbox.market.nudge(symbol, NUDGE)
        async with asyncio.timeout(10):
            taken = await self._taken
        self._sandbox.market.nudge(symbol, -NUDGE)
        return taken

    async def leave(self, socket, *messages) -> None:
        """Send messages as the stream does, and note when the first trade over the level goes."""
        trades = [m["p"] for m in messages if m["T"] == "t" and m["S"] == self._symbol]
        if not self._left and any(price >= self._level for price in trades):
            self._left = time.perf_counter()
        await _send(socket, *messages)

    def arrive(self, message) -> None:
        """Keep a message as Discord does, and note when the alert is there."""
        self._keep(message)
        if self._left and not self._taken.done() and "▲" in message.page()["content"]:
            self._taken.set_result(time.perf_counter() - self._left)
            self._level = float("inf")


if __name__ == "__main__":
    print(figures())
