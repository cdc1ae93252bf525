"""How long analysis, parsing and the way from bytes to a picture take, beside the usual ways, in one process."""

import gc
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench_charts import pyplot_picture

from db.models import Theme
from services.charts import Picture, draw
from services.feeds import cboe_files
from services.feeds.base import Chain
from services.gamma import analyze
from services.lens import PLAIN

SHARED = Path(os.environ.get("PULSE_SHARED") or Path(__file__).parents[2].parent / "shared") / "data" / "cboe"
ROUNDS = 40
LIMITS = {
    "analysis of the SPX chain, ms": 8,
    "parse Cboe JSON over json.loads": 1,
    "bytes to picture, ms": 120,
    "bytes to picture over json, loop and pyplot": 0.15,
}


def figures() -> dict[str, float]:
    """Return milliseconds (medians) and ratios; nothing where the recorded chains are absent."""
    if not SHARED.is_dir():
        sys.stderr.write(f"no recorded chains at {SHARED}\n")
        return {}
    chain = cboe_files.read(SHARED / "spx_20221212.csv").chain
    answer = (SHARED / "rut_20230920.json").read_bytes()
    large = _enlarged(answer, 7_000_000)
    analysis, level = _median_ms(lambda: analyze(chain), ROUNDS), _median_ms(lambda: _one_level_in_python(chain), 3)
    parse, plain = (
        _median_ms(lambda: cboe_files.parse_delayed_quotes(large), 9),
        _median_ms(lambda: json.loads(large), 5),
    )
    return {
        "SPX contracts": len(chain.strike),
        "analysis of the SPX chain, ms": analysis,
        "one level of the usual loop, ms": level,
        "60 levels of the usual loop over the analysis": 60 * level / analysis,
        "Cboe JSON, MB": len(large) / 1e6,
        "parse Cboe JSON, ms": parse,
        "parse Cboe JSON over json.loads": parse / plain,
        "parse the SPX CSV, ms": _median_ms(lambda: cboe_files.read(SHARED / "spx_20221212.csv"), 5),
        **_picture(large, plain + 60 * level),
    }


def _picture(answer: bytes, usual: float) -> dict[str, float]:
    """From the bytes of an answer to the PNG; `usual` has the milliseconds of json and the loop over 60 levels."""

    def whole() -> Picture:
        return draw(cboe_files.parse_delayed_quotes(answer).chain, PLAIN, Theme.DARK)

    ours, pyplot = _median_ms(whole, 9), _median_ms(lambda: pyplot_picture(whole().gamma), 3)
    return {
        "bytes to picture, ms": ours,
        "json, loop and pyplot, ms": usual + pyplot - ours,
        "bytes to picture over json, loop and pyplot": ours / (usual + pyplot - ours),
    }


def _median_ms(work: Callable[[], object], rounds: int) -> float:
    work()
    gc.collect()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _enlarged(answer: bytes, size: int) -> bytes:
    """A Cboe answer repeated to the size of that for SPX."""
    start, end = answer.index(b"[") + 1, answer.index(b"]")
    options = answer[start:end]
    return answer[:start] + b",".join([options] * math.ceil(size / len(options))) + answer[end:]


def _one_level_in_python(chain: Chain) -> float:
    """One price level by a formula per contract, as notebooks do it."""
    years = np.maximum(chain.expiry - chain.expiry.min(), 1) / 262
    total = 0.0
    for strike, iv, t, interest, call in zip(
        *(column.tolist() for column in (chain.strike, chain.iv, years, chain.open_interest, chain.is_call)),
        strict=True,
    ):
        if iv > 0:
            d1 = (math.log(chain.spot / strike) + 0.5 * iv * iv * t) / (iv * math.sqrt(t))
            gamma = math.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi) / (chain.spot * iv * math.sqrt(t))
            total += (1 if call else -1) * gamma * interest * chain.spot * chain.spot
    return total


if __name__ == "__main__":
    for name, value in figures().items():
        sys.stdout.write(f"{name:<40} {value:12.2f}\n")
