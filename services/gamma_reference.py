"""Two published gamma exposure programs by their own definitions, to compare with."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.clock import NEW_YORK
from services.expiration import day_number
from services.feeds.base import Chain
from services.gamma_profile import crossings
from services.smile import Floats, held, stated


@dataclass(frozen=True, slots=True)
class Program:
    """What the two programs choose differently: day count, rate, and the prices at which they sample."""

    days_per_year: int
    rate: float
    lowest: float
    highest: float
    levels: int


def perfiliev() -> Program:
    """Return Perfiliev's choices: 262 business days, no rate, 60 levels over ±20 %."""
    return Program(days_per_year=262, rate=0.0, lowest=0.8, highest=1.2, levels=60)


def gflows(rate: float) -> Program:
    """Return gflows' choices: 252 business days, the ten-year yield as rate, 300 levels over ±50 %."""
    return Program(days_per_year=252, rate=rate, lowest=0.5, highest=1.5, levels=300)


def vendor_exposure(chain: Chain) -> Floats:
    """Return each contract's exposure by the vendor's gamma, dollars per 1 % move, puts negative."""
    gamma = np.where(np.isfinite(chain.gamma), chain.gamma, 0.0)
    return np.where(chain.is_call, 1.0, -1.0) * gamma * held(chain.open_interest) * (chain.spot * chain.spot)


def curve(chain: Chain, counted: NDArray[np.bool_], program: Program) -> tuple[Floats, Floats]:
    """Return the program's price levels and the exposure at each, every contract by its own vendor volatility."""
    prices = np.linspace(program.lowest * chain.spot, program.highest * chain.spot, program.levels)
    used = counted & stated(chain.iv) & (held(chain.open_interest) > 0)
    today = np.datetime64(day_number(chain.as_of.astimezone(NEW_YORK).date()), "D")
    days = np.busday_count(today, chain.expiry[used].astype("datetime64[D]"))
    years = np.where(days == 0, 1, days) / program.days_per_year
    alive = years > 0
    years, iv, strike = years[alive], chain.iv[used][alive], chain.strike[used][alive]
    deviation = iv * np.sqrt(years)
    sign = np.where(chain.is_call[used][alive], 1.0, -1.0)
    weight = sign * chain.open_interest[used][alive] / (deviation * math.sqrt(2 * math.pi))
    drift = (program.rate + 0.5 * iv * iv) * years
    values = [
        float(np.exp(-0.5 * ((np.log(price / strike) + drift) / deviation) ** 2) @ weight) * price for price in prices
    ]
    return prices, np.array(values)


def first_flip(prices: Floats, values: Floats) -> float | None:
    """Return the first sign change, by a straight line between its neighbours."""
    before, after = crossings(values)
    if not len(before):
        return None
    left, right = before[0], after[0]
    return float(prices[right] - (prices[right] - prices[left]) * values[right] / (values[right] - values[left]))
