"""Option chains: a page of strikes and `/chain` beside pong, the volatility of a large chain, and its pictures."""

import asyncio
import os
import pickle
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from bench_quote import PONG, start
from option_chains import chain
from pace import timed
from running import TOKEN, sandbox_running, take_port, until

from db.models import Theme
from services import chain_csv
from services.chain_page import Side, page
from services.charts import volatility_picture
from services.expirations import expirations
from services.feeds.base import Chain
from services.volatility import analyze_volatility
from services.volatility_words import View

LIMITS = {
    "page of a chain of 20,000 contracts, ms": 3.0,
    "volatility picture, ms": 30.0,
    "/chain warm over pong, p50, ms": 5.0,
}
WARM_UP = 20
TURNS = 200


def figures() -> dict[str, float]:
    made = spx_like()
    listed = expirations(made)
    found = analyze_volatility(made)
    pictures = {view: timed(lambda view=view: volatility_picture(found, 12, view, Theme.DARK)) for view in View}
    pong, ours = (statistics.median(spent) * 1000 for spent in asyncio.run(_measure()))
    return {
        "contracts": len(made.strike),
        "expirations of it, ms": timed(lambda: expirations(made)),
        "page of a chain of 20,000 contracts, ms": timed(lambda: page(made, listed[3], Side.BOTH, None)),
        "volatility of 20,000 contracts, ms": timed(lambda: analyze_volatility(made)),
        "volatility on its way from a worker, KB": len(pickle.dumps(found)) / 1024,
        "CSV of 20,000 contracts, ms": timed(lambda: chain_csv.write(made)),
        "volatility picture, ms": max(pictures.values(), key=lambda picture: picture.at_reference),
        **{f"of which {view}, ms": spent for view, spent in pictures.items()},
        "pong p50, ms": pong,
        "/chain warm p50, ms": ours,
        "/chain warm over pong, p50, ms": ours - pong,
    }


def spx_like() -> Chain:
    """As many strikes and expirations as the S&P 500 has."""
    first = datetime(2026, 11, 23, tzinfo=UTC).date()
    days = [first + timedelta(days=day) for day in (*range(0, 40, 2), *range(45, 365, 16))]
    strikes = np.arange(6400.0, 8900.0, 10.0)
    return chain(*days, spot=7650.5, strikes=strikes, iv=lambda k, t: 0.16 + 0.02 * t - 0.3 * np.log(k / 7650.5))


async def _measure() -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(sandbox_running())
        product = await stack.enter_async_context(sandbox_running())
        home = stack.enter_context(tempfile.TemporaryDirectory())
        mine = {"PULSE_HOME": home, "WEB_PORT": str(take_port()), "DEFAULT_PLAN": "elite"}
        await start(stack, [str(PONG), floor.url, TOKEN], dict(os.environ))
        await start(stack, ["-m", "pulse", "run"], {**os.environ, **product.environment(), **mine})
        for sandbox in (floor, product):
            await until(lambda d=sandbox.discord: d.gateway.reachable and d.commands, 30)
        await asyncio.sleep(2)
        pong, ours = [], []
        anna, mara = floor.discord.person("Mara"), product.discord.person("Mara")
        for turn in range(WARM_UP + TURNS):
            first, second = await _timed(anna.command("ping")), await _timed(mara.command("chain", symbol="SPX"))
            if turn >= WARM_UP:
                pong.append(first)
                ours.append(second)
        return pong, ours


async def _timed(interaction) -> float:
    await interaction.acknowledged()
    return interaction.answered_after_s


if __name__ == "__main__":
    for figure, value in figures().items():
        print(f"{figure:<60} {value:10.2f}")
