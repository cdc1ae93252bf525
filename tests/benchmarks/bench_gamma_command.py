"""How much later `/gamma` answers than a bare discord.py bot that says "pong", on the same stand-in, turn by turn.

Warm: the chain is at hand and the picture was drawn for somebody before; what remains is the answer and its upload.
"""

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from bench_quote import PONG, start
from running import TOKEN, sandbox_running, take_port, until

LIMITS = {"/gamma warm over pong, p50, ms": 5.0}
WARM_UP = 20
ROUNDS = 300


def figures() -> dict[str, float]:
    """Return medians of the milliseconds to an answer."""
    pong, gamma = asyncio.run(_measure())
    floor, ours = median(pong) * 1000, median(gamma) * 1000
    return {
        "pong p50, ms": floor,
        "/gamma warm p50, ms": ours,
        "/gamma warm over pong, p50, ms": ours - floor,
    }


async def _measure() -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(sandbox_running())
        ours = await stack.enter_async_context(sandbox_running())
        home = stack.enter_context(tempfile.TemporaryDirectory())
        mine = {"PULSE_HOME": home, "WEB_PORT": str(take_port()), "DEFAULT_PLAN": "elite"}
        await start(stack, [str(PONG), floor.url, TOKEN], dict(os.environ))
        await start(stack, ["-m", "pulse", "run"], {**os.environ, **ours.environment(), **mine})
        for sandbox in (floor, ours):
            await until(lambda d=sandbox.discord: d.gateway.reachable and d.commands, 30)
        await asyncio.sleep(2)
        pong, gamma = [], []
        anna, mara = floor.discord.person("Mara"), ours.discord.person("Mara")
        for turn in range(WARM_UP + ROUNDS):
            first = await _timed(anna.command("ping"))
            second = await _timed(mara.command("gamma", symbol="SPX"))
            if turn >= WARM_UP:
                pong.append(first)
                gamma.append(second)
        return pong, gamma


async def _timed(interaction) -> float:
    await interaction.acknowledged()
    message = await interaction.message()
    assert "attachments" in message
    return interaction.answered_after_s


if __name__ == "__main__":
    for figure, value in figures().items():
        sys.stdout.write(f"{figure:<50} {value:8.2f}\n")
