"""A few strikes of one expiration around the money, with everything that is known of each contract."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import isnan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.errors import BadData
from services.expirations import Expiration, part
from services.feeds.base import Chain
from services.greeks import Greeks, greeks
from services.lens import RATE
from services.smile import Floats, Mask, Smile, seconds_left, smile, two_sided

STRIKES = 10
STRIKES_OF_BOTH = 6


class Side(StrEnum):
    """Which contracts are listed."""

    CALLS = "calls"
    PUTS = "puts"
    BOTH = "both"


class Contract(NamedTuple):
    """One contract; None is what neither the source says nor we can tell."""

    strike: float
    is_call: bool
    bid: float | None
    """None where nobody bids, too."""
    ask: float | None
    mid: float | None
    """None unless both sides are quoted."""
    iv: float | None
    """Annual, a fraction: the clean one of the strike."""
    delta: float | None
    gamma: float | None
    theta: float | None
    """Dollars per calendar day."""
    vega: float | None
    """Dollars per point of volatility."""
    open_interest: float | None
    volume: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """The contracts between two strikes, highest strike first, a call before its put."""

    symbol: str
    spot: float
    as_of: datetime
    source: str
    delay: timedelta | None
    open_interest_date: date | None
    expiration: Expiration
    contracts: tuple[Contract, ...]
    lower: float | None
    """The lowest strike of the page below; None on the lowest."""
    higher: float | None
    """Likewise of the page above."""
    straddle: float | None
    """Mid price of call and put at the strike nearest spot."""
    atm_iv: float | None
    """Of that strike."""
    computed: frozenset[str]
    """Names of the greeks of which at least one here is computed from the clean volatility."""
    solved: int
    """Contracts here whose volatility is solved from prices because the source states none."""


class _Columns(NamedTuple):
    strike: Floats
    is_call: Mask
    bid: Floats
    ask: Floats
    mid: Floats
    iv: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    open_interest: Floats
    volume: Floats


def page(chain: Chain, expiration: Expiration, side: Side, lowest: float | None) -> Page:
    """Return the strikes from `lowest` up, or those around spot for None; a millisecond or so.

    Delta and gamma are the source's where it states them, else computed like theta and vega. Raises BadData where the
    source gives no price or none of these contracts.
    """
    if not (np.isfinite(chain.spot) and chain.spot > 0):
        raise BadData(
            f"{chain.source} gives no price for {chain.symbol}, so the money cannot be found. Try again later."
        )
    listed = part(chain, expiration)
    wanted = np.full(len(listed.strike), True) if side is Side.BOTH else listed.is_call == (side is Side.CALLS)
    strikes = np.unique(listed.strike[wanted & (listed.strike > 0)])
    if not len(strikes):
        raise BadData(f"{chain.source} lists no {chain.symbol} {side} for this expiration. Choose another.")
    first, last, lower, higher = _window(strikes, chain.spot, STRIKES_OF_BOTH if side is Side.BOTH else STRIKES, lowest)
    curve = smile(listed, listed.strike > 0, seconds_left(listed, chain.as_of), RATE)
    shown = np.flatnonzero(wanted & (listed.strike >= first) & (listed.strike <= last))
    shown = shown[np.lexsort((~listed.is_call[shown], -listed.strike[shown]))]
    columns, computed, solved = _columns(listed, shown, curve)
    straddle, atm_iv = _at_the_money(listed, curve)
    return Page(
        symbol=chain.symbol,
        spot=chain.spot,
        as_of=chain.as_of,
        source=chain.source,
        delay=chain.delay,
        open_interest_date=chain.open_interest_date,
        expiration=expiration,
        contracts=_contracts(columns),
        lower=lower,
        higher=higher,
        straddle=straddle,
        atm_iv=atm_iv,
        computed=computed,
        solved=solved,
    )


def _window(
    strikes: Floats, spot: float, most: int, lowest: float | None
) -> tuple[float, float, float | None, float | None]:
    if lowest is None:
        begin = max(min(int(np.searchsorted(strikes, spot)) - most // 2, len(strikes) - most), 0)
    else:
        begin = min(int(np.searchsorted(strikes, lowest)), len(strikes) - 1)
    end = min(begin + most, len(strikes))
    lower = float(strikes[max(begin - most, 0)]) if begin else None
    higher = float(strikes[end]) if end < len(strikes) else None
    return float(strikes[begin]), float(strikes[end - 1]), lower, higher


def _columns(listed: Chain, shown: NDArray[np.intp], curve: Smile) -> tuple[_Columns, frozenset[str], int]:
    at = np.searchsorted(curve.strike, listed.strike[shown])
    solved = curve.solved[at] & ~curve.vendor[at]
    iv = np.where(curve.vendor[at] | solved, curve.iv[at], np.nan)
    known, computed = _greeks(listed, shown, curve, at, iv)
    bid, ask = listed.bid[shown], listed.ask[shown]
    columns = _Columns(
        strike=listed.strike[shown],
        is_call=listed.is_call[shown],
        bid=np.where(bid > 0, bid, np.nan),
        ask=np.where(ask > 0, ask, np.nan),
        mid=np.where(two_sided(listed, shown), 0.5 * (bid + ask), np.nan),
        iv=iv,
        **known._asdict(),
        open_interest=_counted(listed.open_interest[shown]),
        volume=_counted(listed.volume[shown]),
    )
    return columns, computed, int(solved.sum())


def _greeks(
    listed: Chain, shown: NDArray[np.intp], curve: Smile, at: NDArray[np.intp], iv: Floats
) -> tuple[Greeks, frozenset[str]]:
    is_call, delta, gamma = listed.is_call[shown], listed.delta[shown], listed.gamma[shown]
    own = greeks(listed.spot, curve.forward[at], curve.discount[at], curve.strike[at], curve.years[at], iv, is_call)
    size = np.where(is_call, delta, -delta)
    told = own._replace(
        delta=np.where((size > 0) & (size <= 1), delta, own.delta),
        gamma=np.where((gamma > 0) & np.isfinite(gamma), gamma, own.gamma),
    )
    ours = (name for name in Greeks._fields if np.any(getattr(told, name) == getattr(own, name)))
    return told, frozenset(ours)


def _counted(column: Floats) -> Floats:
    return np.where((column >= 0) & np.isfinite(column), column, np.nan)


def _contracts(columns: _Columns) -> tuple[Contract, ...]:
    rows: Iterable[tuple[Any, ...]] = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(Contract._make(None if isnan(value) else value for value in row) for row in rows)


def _at_the_money(listed: Chain, curve: Smile) -> tuple[float | None, float | None]:
    nearest = int(np.argmin(np.abs(curve.strike - listed.spot)))
    at = np.flatnonzero(listed.strike == curve.strike[nearest])
    quoted = at[two_sided(listed, at)]
    both = len(quoted) == 2 and listed.is_call[quoted].sum() == 1
    straddle = float(0.5 * (listed.bid[quoted] + listed.ask[quoted]).sum()) if both else None
    known = curve.vendor[nearest] or curve.solved[nearest]
    return straddle, float(curve.iv[nearest]) if known else None
