"""Implied volatility of a chain: skew and term structure, and how far the options expect the price to move."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.errors import BadData
from services.expiration import day_number
from services.expirations import Expiration, expirations
from services.feeds.base import Chain
from services.gamma import expected_move
from services.greeks import greeks
from services.lens import RATE
from services.smile import Floats, Smile, seconds_left, smile

HORIZON_DAYS = 30.0
_LEAST_STRIKES = 5
_FAR = 0.01  # beyond this delta an increment of the price is most of the volatility
_WING = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Skew:
    """Volatility by strike of one expiration, where it is stated or solved; strikes ascend."""

    strike: Floats
    iv: Floats
    """Annual, fractions."""
    put_wing: tuple[float, float] | None
    """Strike and volatility at which a put has a delta of −0.25; None where no strikes lie around."""
    call_wing: tuple[float, float] | None
    """Likewise of a call at 0.25."""

    @property
    def risk_reversal(self) -> float | None:
        """Volatility of the 25-delta call less that of the 25-delta put."""
        return self.call_wing[1] - self.put_wing[1] if self.call_wing and self.put_wing else None


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One expiration; None is what its quotes do not tell."""

    expiration: Expiration
    days: float
    """Calendar days until it settles."""
    forward: float
    atm_iv: float | None
    """At the forward, between the strikes on both sides."""
    move: float | None
    """The price is expected to move by so much, up or down, in its own unit."""
    strikes: int
    """Strikes whose volatility is stated or solved."""
    skew: Skew | None
    """None where fewer than five strikes tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Volatility:
    """What the options of one underlying say of its volatility, nearest expiration first."""

    symbol: str
    spot: float
    as_of: datetime
    source: str
    delay: timedelta | None
    iv30: float | None
    """Annual volatility at the money over 30 days; None unless expirations lie on both sides."""
    terms: tuple[Term, ...]


def analyze_volatility(chain: Chain, *, rate: float = RATE) -> Volatility:
    """Analyse a chain; volatilities annual fractions, moves in the chain's own unit, `rate` continuous per year.

    Raises NothingExpires, and BadData where the source gives no price or no volatility at all.
    """
    if not (np.isfinite(chain.spot) and chain.spot > 0):
        raise BadData(f"{chain.source} gives no price for {chain.symbol}. Try again later.")
    if not len(chain.strike):
        raise BadData(f"{chain.source} lists no option contracts for {chain.symbol}. `/quote` still works for it.")
    listed = expirations(chain)
    seconds = seconds_left(chain, chain.as_of)
    live = np.isfinite(chain.strike) & (chain.strike > 0) & (seconds > 0)
    curve = smile(chain, live, seconds, rate)
    bounds = np.searchsorted(curve.group, np.arange(len(curve.days) + 1))
    terms = tuple(
        _term(chain, each, slice(first, end), curve, seconds)
        for each, (first, end) in zip(listed, pairwise(bounds.tolist()), strict=True)
    )
    if all(term.atm_iv is None for term in terms):
        raise BadData(
            f"No {chain.symbol} option at the money has an implied volatility at {chain.source}, neither stated nor in "
            "its prices. Try again when its options are quoted."
        )
    at_the_money = [(term.days, term.atm_iv) for term in terms if term.atm_iv is not None]
    return Volatility(
        symbol=chain.symbol,
        spot=chain.spot,
        as_of=chain.as_of,
        source=chain.source,
        delay=chain.delay,
        iv30=interpolated(at_the_money, HORIZON_DAYS),
        terms=terms,
    )


def interpolated(terms: Sequence[tuple[float, float]], days: float) -> float | None:
    """Return the volatility over `days` from (days, volatility) pairs in ascending order, linear in total variance.

    σ² = (σ₁²T₁(T₂ − T) + σ₂²T₂(T − T₁)) / ((T₂ − T₁)T), as the VIX is made of two expirations (Cboe, VIX white paper);
    None outside of the pairs.
    """
    for (before, low), (after, high) in pairwise(terms):
        if before <= days <= after:
            share = (days - before) / (after - before)
            variance = (1 - share) * low * low * before + share * high * high * after
            return float(np.sqrt(variance / days))
    return None


def _term(chain: Chain, expiration: Expiration, rows: slice, curve: Smile, seconds: Floats) -> Term:
    known = np.flatnonzero(curve.vendor[rows] | curve.solved[rows]) + rows.start
    strike, iv, forward = curve.strike[known], curve.iv[known], float(curve.forward[rows.start])
    inside = len(known) and strike[0] <= forward <= strike[-1]
    own = (chain.expiry == day_number(expiration.day)) & (chain.am_settled == expiration.am_settled)
    return Term(
        expiration=expiration,
        days=expiration.days_left(chain.as_of),
        forward=forward,
        atm_iv=float(np.interp(forward, strike, iv)) if inside else None,
        # at the forward: after hours spot moves on while the quotes stand
        move=expected_move(chain, np.flatnonzero(own & (chain.strike > 0)), seconds, forward),
        strikes=len(known),
        skew=_skew(chain.spot, curve, known),
    )


def _skew(spot: float, curve: Smile, known: NDArray[np.intp]) -> Skew | None:
    strike, iv = curve.strike[known], curve.iv[known]
    columns = (curve.forward[known], curve.discount[known], strike, curve.years[known], iv)
    put = -greeks(spot, *columns, np.full(len(known), False)).delta
    call = curve.forward[known] * curve.discount[known] / spot - put
    near = np.flatnonzero((call >= _FAR) & (put >= _FAR))
    if len(near) < _LEAST_STRIKES:
        return None
    return Skew(
        strike=strike[near],
        iv=iv[near],
        put_wing=_wing(put[near], strike[near], iv[near]),
        call_wing=_wing(1 - call[near], strike[near], iv[near], 1 - _WING),
    )


def _wing(rising: Floats, strike: Floats, iv: Floats, at: float = _WING) -> tuple[float, float] | None:
    # where a delta that rises with the strike passes; where noise makes it pass several times, at first
    after = int(np.argmax(rising >= at))
    if rising[after] < at or not after:
        return None
    share = float((at - rising[after - 1]) / (rising[after] - rising[after - 1]))
    return (
        float(strike[after - 1] + share * (strike[after] - strike[after - 1])),
        float(iv[after - 1] + share * (iv[after] - iv[after - 1])),
    )
