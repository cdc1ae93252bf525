"""The gamma picture against the usual way of drawing it, and what charts cost the event loop and memory."""

import asyncio
import io
import os
import pickle
import statistics
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psutil
from pace import alternately, pace, paced, timed
from PIL import Image

from services import png
from services.chart_pool import ChartPool
from services.charts import PORTRAIT, gamma_picture
from services.gamma import Gamma
from services.gamma_exposure import ByExpiry
from services.lens import PLAIN

# matplotlib is imported by what draws: a worker imports this module again.

CHARTS_AT_ONCE = 20
LIMITS = {
    "chart + PNG 1200×800, ms": 30.0,
    "chart + PNG 1200×800, each time another symbol, ms": 30.0,
    "share of pyplot's time": 0.1,
    "event loop lag p99 while charts render, ms": 5.0,
    "idle worker (PSS), MB": 60.0,
}


def figures() -> dict[str, float]:
    gamma = spx_like()
    others = iter([another(gamma, number) for number in range(1, 11)])
    gamma_picture(next(others))
    pixels = np.asarray(Image.open(io.BytesIO(gamma_picture(gamma))).convert("RGBA"))
    changing = timed(lambda: gamma_picture(next(others)))
    fast, usual = alternately(lambda: gamma_picture(gamma), lambda: pyplot_picture(gamma), rounds=7)
    return {
        "chart + PNG 1200×800, ms": fast,
        "chart + PNG 1080×1350, ms": timed(lambda: gamma_picture(gamma, size=PORTRAIT)),
        "chart + PNG 1200×800, each time another symbol, ms": changing,
        "pyplot, tight_layout, savefig, ms": usual,
        "share of pyplot's time": fast.over(usual),
        "of which PNG encode, ms": timed(lambda: png.encode(pixels)),
        "picture, KB": len(gamma_picture(gamma)) / 1024,
        "Gamma on its way to a worker, KB": len(pickle.dumps(gamma)) / 1024,
        **asyncio.run(_pool(gamma)),
    }


def spx_like() -> Gamma:
    """A chain with as many strikes as the S&P 500 had on 12 December 2022."""
    spot, strikes = 3990.56, np.arange(2790.0, 5230.0, 5.0)
    shape = np.exp(-(((strikes - spot) / 150) ** 2)) * np.where(strikes % 25, 1.5e8, 2e9)
    wave = 1.2 + np.sin(strikes / 7)
    calls, puts = shape * wave * (1 + (strikes > spot)), -shape * (2.4 - wave) * (1 + (strikes < spot))
    prices = np.linspace(0.8 * spot, 1.2 * spot, 121)
    return Gamma(
        symbol="SPX",
        spot=spot,
        as_of=datetime(2022, 12, 13, 1, 30, tzinfo=UTC),
        source="benchmark",
        delay=None,
        open_interest_date=date(2022, 12, 9),
        lens=PLAIN,
        expiries=tuple(date(2023, 1, day) for day in range(1, 32)),
        listed=(),
        total=-1.18e9,
        gross=1.6e11,
        zero_dte=0.25,
        by_expiry=(ByExpiry(date(2025, 5, 19), 1e8, 4e9), ByExpiry(date(2025, 5, 20), 1e8, 4e9)),
        flip=3996.6,
        call_wall=4100.0,
        put_wall=3800.0,
        max_call_gamma=None,
        max_put_gamma=None,
        abs_gamma=4000.0,
        call_oi_wall=None,
        put_oi_wall=None,
        max_pain=4000.0,
        expected_move=88.85,
        vanna=None,
        charm=None,
        contracts=19_156,
        coverage=0.999,
        iv_sources=((0.963, "vendor"), (0.036, "solved from mid prices"), (0.001, "between neighbouring strikes")),
        strikes=strikes,
        call_gex=calls,
        put_gex=puts,
        profile_prices=prices,
        profile=1e10 * np.tanh((prices - 3996.6) / 200),
    )


def another(gamma: Gamma, number: int) -> Gamma:
    """The same with other figures throughout, for what is drawn once is remembered."""
    return replace(
        gamma,
        symbol=f"S{number}",
        spot=gamma.spot + number,
        as_of=gamma.as_of + timedelta(minutes=number),
        strikes=gamma.strikes + number,
        total=gamma.total * (1 + number / 10),
        call_wall=4100.0 + number,
        put_wall=3800.0 + number,
        flip=3996.6 + number,
        call_gex=gamma.call_gex * (1 + number / 10),
        put_gex=gamma.put_gex * (1 + number / 10),
        expected_move=88.85 + number,
        coverage=0.9 + number / 1000,
        iv_sources=((0.9 + number / 100, "vendor"), (0.1 - number / 100, "solved from mid prices")),
    )


def pyplot_picture(gamma: Gamma) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 — see above

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 — after the backend is chosen

    figure, axes = plt.subplots(figsize=(12, 8), dpi=100)
    near = np.abs(gamma.strikes - gamma.spot) < 240
    axes.barh(gamma.strikes[near], gamma.call_gex[near], 4, alpha=0.3, color="tab:green")
    axes.barh(gamma.strikes[near], gamma.put_gex[near], 4, alpha=0.3, color="tab:red")
    axes.barh(gamma.strikes[near], (gamma.call_gex + gamma.put_gex)[near], 4)
    axes.set_ylim(gamma.spot - 240, gamma.spot + 240)
    other = axes.twiny()
    other.plot(gamma.profile, gamma.profile_prices)
    for name, price in (("call wall", 4100), ("put wall", 3800), ("flip", gamma.flip), ("spot", gamma.spot)):
        axes.axhline(price, linestyle="--", label=f"{name} {price:,.2f}")
    axes.axhspan(gamma.spot - 88.85, gamma.spot + 88.85, alpha=0.1)
    axes.legend()
    axes.set_title(f"{gamma.symbol} gamma by strike")
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


async def _pool(gamma: Gamma) -> dict[str, float]:
    pool = ChartPool()
    started = time.perf_counter()
    await pool.start()
    ready = time.perf_counter() - started
    lags: list[float] = []
    before = [pace() for _ in range(5)]
    watch = asyncio.create_task(_lag(lags))
    started = time.perf_counter()
    await asyncio.gather(*(pool.run(gamma_picture, gamma) for _ in range(CHARTS_AT_ONCE)))
    first = time.perf_counter() - started
    started = time.perf_counter()
    await asyncio.gather(*(pool.run(gamma_picture, gamma) for _ in range(CHARTS_AT_ONCE)))
    warm = time.perf_counter() - started
    watch.cancel()
    during = statistics.median(before + [pace() for _ in range(5)])
    memory = psutil.Process(await pool.run(os.getpid)).memory_full_info()
    await pool.close()
    return {
        "first worker ready, ms": ready * 1000,
        f"{CHARTS_AT_ONCE} charts at once, second worker starting, ms": first * 1000,
        f"{CHARTS_AT_ONCE} charts at once, warm, ms": warm * 1000,
        "event loop lag p99 while charts render, ms": paced(float(np.percentile(lags, 99)), during),
        "event loop lag, worst, ms": max(lags),
        "idle worker (PSS), MB": memory.pss / 2**20,
    }


async def _lag(lags: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - started) * 1000 - 1)


if __name__ == "__main__":
    for figure, value in figures().items():
        print(f"{figure:<60} {value:10.2f}")
