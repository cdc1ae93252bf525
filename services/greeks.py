"""How an option's price answers to price, volatility and time, for columns of European options."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.implied_volatility import erfcx
from services.smile import Floats

_DAYS = 365.0


class Greeks(NamedTuple):
    """Columns of equal length; NaN where the volatility is unknown."""

    delta: Floats
    """Per unit of the underlying, −1..1."""
    gamma: Floats
    """Change of delta per unit of the underlying."""
    theta: Floats
    """Change of the price per calendar day."""
    vega: Floats
    """Change of the price per point (0.01) of volatility."""


def greeks(
    spot: float,
    forward: Floats,
    discount: Floats,
    strike: Floats,
    years: Floats,
    iv: Floats,
    is_call: NDArray[np.bool_],
) -> Greeks:
    """Return the greeks of Black, Scholes and Merton; `discount` = e^{−rT}, forward = spot·e^{(r−q)T}, years > 0.

    Δ = ±e^{−qT} N(±d₁), Γ = e^{−qT} φ(d₁)/(Sσ√T), vega = S e^{−qT} φ(d₁) √T,
    Θ = −S e^{−qT} φ(d₁) σ/(2√T) ± qS e^{−qT} N(±d₁) ∓ rK e^{−rT} N(±d₂), the upper signs for calls (Haug, The Complete
    Guide to Option Pricing Formulas, 2007).
    """
    deviation = iv * np.sqrt(years)
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    sign = np.where(is_call, 1.0, -1.0)
    carry = forward * discount / spot
    bell = carry * np.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi)
    share, exercised = _below(sign * d1), _below(sign * d2)
    yields, rates = -np.log(carry) / years, -np.log(discount) / years
    held = yields * spot * carry * share - rates * strike * discount * exercised
    return Greeks(
        delta=sign * carry * share,
        gamma=bell / (spot * deviation),
        theta=(sign * held - 0.5 * spot * bell * iv / np.sqrt(years)) / _DAYS,
        vega=0.01 * spot * bell * np.sqrt(years),
    )


def _below(x: Floats) -> Floats:
    # the normal distribution; exp(−x²/2) outside, so that far tails keep their digits
    tail = 0.5 * np.exp(-0.5 * x * x) * erfcx(np.abs(x) * math.sqrt(0.5))
    return np.where(x > 0, 1 - tail, tail)
