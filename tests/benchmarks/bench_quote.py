"""How much slower `/quote` answers than a bare discord.py bot that says "pong", on the same stand-in, turn by turn."""

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from running import TOKEN, sandbox_running, take_port, until

LIMITS = {"/quote warm over pong, p50": 1.5, "/quote warm over pong, p99": 2.0}
WARM_UP = 200
ROUNDS = 2000
PONG = Path(__file__).with_name("pong.py")


def figures() -> dict[str, float]:
    pong, quote = asyncio.run(_measure())
    result = {}
    for name, p in (("p50", 50), ("p99", 99)):
        floor, ours = _percentile(pong, p), _percentile(quote, p)
        result |= {
            f"pong {name}, ms": floor * 1000,
            f"/quote warm {name}, ms": ours * 1000,
            f"/quote warm over pong, {name}": ours / floor,
        }
    return result


async def _measure() -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(sandbox_running())
        ours = await stack.enter_async_context(sandbox_running())
        home = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {
            **os.environ,
            **ours.environment(),
            "PULSE_HOME": home,
            "WEB_PORT": str(take_port()),
            "LOG_LEVEL": "INFO",
        }
        await start(stack, [str(PONG), floor.url, TOKEN], dict(os.environ))
        await start(stack, ["-m", "pulse", "run"], environment)
        for sandbox in (floor, ours):
            await until(lambda d=sandbox.discord: d.gateway.reachable and d.commands, 30)
        await asyncio.sleep(2)
        pong, quote = [], []
        anna, mara = floor.discord.person("Mara"), ours.discord.person("Mara")
        for turn in range(WARM_UP + ROUNDS):
            first = await _timed(anna.command("ping"))
            second = await _timed(mara.command("quote", symbols="SPY"))
            if turn >= WARM_UP:
                pong.append(first)
                quote.append(second)
        return pong, quote


async def _timed(interaction) -> float:
    await interaction.acknowledged()
    return interaction.answered_after_s


async def start(stack: AsyncExitStack, arguments: list[str], environment: dict[str, str]) -> None:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stdout=quiet, stderr=quiet
    )

    async def stop() -> None:
        process.terminate()
        await process.wait()

    stack.push_async_callback(stop)


def _percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]


if __name__ == "__main__":
    print(figures())
