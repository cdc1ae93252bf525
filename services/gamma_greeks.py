"""Vanna and charm exposure: how dealers must hedge when volatility moves and when time passes."""

import math
from typing import NamedTuple

import numpy as np

from services.gamma_profile import Bells
from services.implied_volatility import erfcx
from services.smile import Smile

_DAYS = 365.0


class Sensitivity(NamedTuple):
    """How many dollars of delta dealers gain, long calls and short puts."""

    vanna: float
    """Per point of volatility."""
    charm: float
    """Per calendar day."""


def sensitivity(smile: Smile, shape: Bells, spot: float, rate: float) -> Sensitivity:
    """Return net vanna and charm exposure; `rate` continuous per year.

    Vanna ∂Δ/∂σ = −e^{−qT} φ(d₁) d₂/σ; charm ∂Δ/∂t = ±q e^{−qT} N(±d₁) − e^{−qT} φ(d₁) (2(r−q)T − d₂σ√T) / (2Tσ√T),
    + for calls (Haug, The Complete Guide to Option Pricing Formulas, 2007), times ±OI·100·S.
    """
    known = ~np.isnan(smile.iv)
    calls, puts = np.where(known, smile.call_oi, 0.0), np.where(known, smile.put_oi, 0.0)
    d1 = math.sqrt(2) * shape.offset
    d2 = d1 - shape.deviation
    tail = 0.5 * shape.height * erfcx(np.abs(shape.offset))  # N(−|d₁|)
    above = np.where(d1 > 0, 1 - tail, tail)
    growth = np.log(shape.carry)  # −qT
    bell = shape.carry * shape.height / math.sqrt(2 * math.pi)
    vanna = -bell * d2 / np.where(known, smile.iv, 1.0)
    per_call = -bell * (2 * (rate * smile.years + growth) / shape.deviation - d2) / (2 * smile.years)
    yields = -growth / smile.years * shape.carry
    net = calls - puts
    charm = per_call @ net + yields @ (calls * above + puts * (1 - above))
    return Sensitivity(vanna=spot * float(vanna @ net), charm=100 * spot * float(charm) / _DAYS)
