"""How long analysis, parsing and the way from bytes to a picture take, beside the usual ways, in one process."""

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
from bench_charts import pyplot_picture
from pace import alternately, timed

from db.models import Theme
from services.charts import Picture, draw
from services.feeds import cboe_files
from services.feeds.base import Chain
from services.gamma import analyze
from services.lens import PLAIN

SHARED = Path(os.environ.get("PULSE_SHARED") or Path(__file__).parents[2].parent / "shared") / "data" / "cboe"
ROUNDS = 40
LIMITS = {
    "analysis of the SPX chain, ms": 4,
    "parse Cboe JSON, ms": 25,
    "parse Cboe JSON over json.loads": 0.35,
    "bytes to picture, ms": 60,
    "bytes to picture over json, loop and pyplot": 0.1,
}


def figures() -> dict[str, float]:
    """Milliseconds (medians) and ratios; nothing where the recorded chains are absent."""
    if not SHARED.is_dir():
        sys.stderr.write(f"no recorded chains at {SHARED}\n")
        return {}
    chain = cboe_files.read(SHARED / "spx_20221212.csv").chain
    answer = (SHARED / "rut_20230920.json").read_bytes()
    large = _enlarged(answer, 7_000_000)
    analyze(chain)
    analysis, level = timed(lambda: analyze(chain), ROUNDS), timed(lambda: _one_level_in_python(chain), 3)
    parse, plain = alternately(lambda: cboe_files.parse_delayed_quotes(large), lambda: json.loads(large))
    return {
        "SPX contracts": len(chain.strike),
        "analysis of the SPX chain, ms": analysis,
        "one level of the usual loop, ms": level,
        "60 levels of the usual loop over the analysis": 60 * level.over(analysis),
        "Cboe JSON, MB": len(large) / 1e6,
        "parse Cboe JSON, ms": parse,
        "parse Cboe JSON over json.loads": parse.over(plain),
        "parse the SPX CSV, ms": timed(lambda: cboe_files.read(SHARED / "spx_20221212.csv"), 5),
        **_picture(large, plain.at_reference + 60 * level.at_reference),
    }


def _picture(answer: bytes, usual: float) -> dict[str, float]:
    """From the bytes of an answer to the PNG; `usual` is what json and the loop over 60 levels take at reference."""

    def whole() -> Picture:
        return draw(cboe_files.parse_delayed_quotes(answer).chain, PLAIN, Theme.DARK)

    found = whole().gamma
    ours, pyplot = timed(whole), timed(lambda: pyplot_picture(found), 3)
    usual += pyplot.at_reference
    return {
        "bytes to picture, ms": ours,
        "json, loop and pyplot at reference, ms": usual,
        "bytes to picture over json, loop and pyplot": ours.at_reference / usual,
    }


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
