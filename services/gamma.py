"""Gamma exposure of an option chain: who must buy and who must sell when the price moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services import gamma_reference
from services.clock import NEW_YORK
from services.errors import BadData, NothingExpires
from services.expiration import Expiry, choose, day_number, day_of
from services.feeds.base import Chain
from services.gamma_profile import Profile, profiles
from services.smile import YEAR, Floats, Mask, Smile, held, seconds_left, smile, stated, two_sided

__all__ = ["Expiry", "Gamma", "Mode", "analyze"]

IvSources = tuple[tuple[float, str], ...]
"""Shares (0..1) of the open interest that can have gamma, each with where its implied volatility comes from."""

_LEAST_COVERAGE = 0.5
_LEAST_CONTRACTS = 4


class Mode(StrEnum):
    """By whose definitions; the two reference modes reproduce published programs."""

    OURS = "ours"
    PERFILIEV = "perfiliev"
    GFLOWS = "gflows"


@dataclass(frozen=True, slots=True, eq=False)
class Gamma:
    """The analysed chain; exposures are dollars per 1 % move, dealers long calls and short puts."""

    symbol: str
    spot: float
    as_of: datetime
    source: str
    delay: timedelta | None
    """How late the source is by its own contract; None marks a recording."""
    open_interest_date: date | None
    mode: Mode
    expiry: Expiry | date
    expiries: tuple[date, ...]
    """The expiries that were counted, nearest first."""
    total: float
    gross: float
    flip: float | None
    call_wall: float | None
    put_wall: float | None
    abs_gamma: float | None
    """Strike of the largest call + put exposure."""
    max_pain: float | None
    """Of the nearest counted expiry."""
    expected_move: float | None
    """± price units to the nearest counted expiry, by the ATM straddle."""
    contracts: int
    coverage: float
    """Share (0..1) of the open interest that can have gamma whose implied volatility is quoted, solved or bounded."""
    iv_sources: IvSources
    """Where the implied volatilities come from."""
    strikes: NDArray[np.float64]
    call_gex: NDArray[np.float64]
    """Per strike, ≥ 0."""
    put_gex: NDArray[np.float64]
    """Per strike, ≤ 0."""
    profile_prices: NDArray[np.float64]
    profile: NDArray[np.float64]
    """Total exposure if spot were at each of `profile_prices`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Exposure:
    """Where the modes differ: dollars per 1 % move by strike, the profile, and what it rests on."""

    strikes: Floats
    call_gex: Floats
    put_gex: Floats
    prices: Floats
    profile: Floats
    flip: float | None
    coverage: float
    iv_sources: IvSources


def analyze(chain: Chain, *, mode: Mode = Mode.OURS, expiry: Expiry | date = Expiry.ALL, rate: float = 0.045) -> Gamma:
    """Analyse a chain; exposures in dollars per 1 % move, prices in the chain's own unit, `rate` continuous per year.

    GEX = ± Γ·OI·100·S²·0.01, calls +, puts −; flip = zero crossing of the profile nearest spot, from − to + where there
    is one; walls = strikes of the largest and the smallest net GEX. Raises `NothingExpires` if the filter leaves no
    contract and `BadData` if an answer would be a guess; both say what is there.
    """
    _refuse_unusable(chain)
    seconds = seconds_left(chain, chain.as_of)
    live = _live(chain, mode, seconds)
    expiries = _expiries(chain, live, expiry)
    counted = live if expiry is Expiry.ALL else live & np.isin(chain.expiry, [day_number(day) for day in expiries])
    _refuse_thin(chain, counted)
    exposure = _ours(chain, counted, seconds, rate) if mode is Mode.OURS else _published(chain, counted, mode, rate)
    if exposure.coverage < _LEAST_COVERAGE:
        advice = "Try again when its options are quoted." if expiry is Expiry.ALL else "Choose another expiry."
        raise BadData(
            f"{1 - exposure.coverage:.0%} of the open interest in {chain.symbol} has no usable implied volatility at "
            f"{chain.source}, so gamma would be a guess. {advice}",
        )
    net = exposure.call_gex + exposure.put_gex
    nearest = counted & (chain.expiry == day_number(expiries[0]))
    return Gamma(
        symbol=chain.symbol,
        spot=chain.spot,
        as_of=chain.as_of,
        source=chain.source,
        delay=chain.delay,
        open_interest_date=chain.open_interest_date,
        mode=mode,
        expiry=expiry,
        expiries=tuple(expiries),
        total=float(net.sum()),
        gross=float((exposure.call_gex - exposure.put_gex).sum()),
        flip=exposure.flip,
        call_wall=_peak(exposure.strikes, net),
        put_wall=_peak(exposure.strikes, -net),
        abs_gamma=_peak(exposure.strikes, exposure.call_gex - exposure.put_gex),
        max_pain=_max_pain(chain, nearest),
        expected_move=_expected_move(chain, nearest, seconds),
        contracts=int(counted.sum()),
        coverage=exposure.coverage,
        iv_sources=exposure.iv_sources,
        strikes=exposure.strikes,
        call_gex=exposure.call_gex,
        put_gex=exposure.put_gex,
        profile_prices=exposure.prices,
        profile=exposure.profile,
    )


def _refuse_unusable(chain: Chain) -> None:
    if not (np.isfinite(chain.spot) and chain.spot > 0):
        raise BadData(
            f"{chain.source} gives no price for {chain.symbol}, and there is no gamma without one. Try again later."
        )
    if not len(chain.strike):
        raise BadData(f"{chain.source} lists no option contracts for {chain.symbol}. `/quote` still works for it.")


def _live(chain: Chain, mode: Mode, seconds: Floats) -> Mask:
    sound: Mask = np.isfinite(chain.strike) & (chain.strike > 0)
    match mode:
        case Mode.OURS:
            return sound & (seconds > 0)
        case Mode.PERFILIEV:
            return sound
        case Mode.GFLOWS:
            local = chain.as_of.astimezone(NEW_YORK)
            return sound & (chain.expiry >= day_number(local.date()) + (local.hour >= 16))


def _expiries(chain: Chain, live: Mask, expiry: Expiry | date) -> Sequence[date]:
    listed = [day_of(number) for number in np.flatnonzero(np.bincount(chain.expiry[live])).tolist()]
    if not listed:
        raise NothingExpires(
            f"Every {chain.symbol} option in the data of {chain.as_of:%d %b %Y} has expired. "
            "Ask again when there is a newer chain."
        )
    chosen = choose(expiry, listed, chain.as_of)
    if not chosen:
        wish = "on a monthly date" if isinstance(expiry, Expiry) else f"on {expiry:%d %b %Y}"
        nearest = ", ".join(f"{day:%d %b %Y}" for day in listed[:8])
        more = f" and {len(listed) - 8} more up to {listed[-1]:%d %b %Y}" if len(listed) > 8 else ""
        raise NothingExpires(f"No {chain.symbol} option expires {wish}. Available: {nearest}{more}.")
    return chosen


def _refuse_thin(chain: Chain, counted: Mask) -> None:
    open_contracts = int((held(chain.open_interest[counted]) > 0).sum())
    if open_contracts < _LEAST_CONTRACTS:
        raise BadData(
            f"Only {open_contracts} of the {int(counted.sum())} {chain.symbol} contracts for these expiries have open "
            f"interest at {chain.source}: too few for a picture. Choose more expiries."
        )


def _ours(chain: Chain, counted: Mask, seconds: Floats, rate: float) -> _Exposure:
    surface = smile(chain, counted, seconds, rate)
    calls, puts = profiles(surface, chain.spot)
    bell = chain.spot * np.exp(-(calls.offset**2))
    strikes, place = np.unique(surface.strike, return_inverse=True)
    net = Profile(chain.spot, calls.weight - puts.weight, calls.slope, calls.offset)
    prices, values = net.curve()
    # Beyond three standard deviations there is a hundredth of the gamma at the money: what is not quoted is not missed.
    coverage, shares = _sources(surface, ~(calls.offset**2 > 4.5))
    return _Exposure(
        strikes=strikes,
        call_gex=_by_strike(place, calls.weight * bell),
        put_gex=-_by_strike(place, puts.weight * bell),
        prices=prices,
        profile=values,
        flip=net.flip(prices, values),
        coverage=coverage,
        iv_sources=shares,
    )


def _published(chain: Chain, counted: Mask, mode: Mode, rate: float) -> _Exposure:
    program = gamma_reference.perfiliev() if mode is Mode.PERFILIEV else gamma_reference.gflows(rate)
    gex = np.where(counted, gamma_reference.vendor_exposure(chain), 0.0)
    strikes, place = np.unique(chain.strike[counted], return_inverse=True)
    gex, is_call = gex[counted], chain.is_call[counted]
    prices, values = gamma_reference.curve(chain, counted, program)
    interest = held(chain.open_interest[counted])
    coverage = float(interest[stated(chain.iv[counted])].sum() / interest.sum())
    return _Exposure(
        strikes=strikes,
        call_gex=_by_strike(place, np.where(is_call, gex, 0.0)),
        put_gex=_by_strike(place, np.where(is_call, 0.0, gex)),
        prices=prices,
        profile=values,
        flip=gamma_reference.first_flip(prices, values),
        coverage=coverage,
        iv_sources=((coverage, "vendor, each side its own"),),
    )


def _by_strike(place: NDArray[np.intp], values: Floats) -> Floats:
    return np.bincount(place, weights=values).astype(np.float64)


def _sources(surface: Smile, within_reach: Mask) -> tuple[float, IvSources]:
    interest = np.where(within_reach, surface.call_oi + surface.put_oi, 0.0)
    total = float(interest.sum()) or 1.0
    vendor = float(interest[surface.vendor].sum()) / total
    solved = float(interest[surface.solved].sum()) / total
    bounded = float(interest[surface.bounded].sum()) / total
    known = surface.vendor | surface.solved | surface.bounded
    guessed = float(interest[~known & ~np.isnan(surface.iv)].sum()) / total
    shares = {
        "vendor": vendor,
        "solved from mid prices": solved,
        "bounded by offers": bounded,
        "between neighbouring strikes": guessed,
    }
    return vendor + solved + bounded, tuple((share, kind) for kind, share in shares.items() if share >= 0.0005)


def _peak(strikes: Floats, height: Floats) -> float | None:
    top = int(height.argmax())
    return float(strikes[top]) if height[top] > 0 else None


def _max_pain(chain: Chain, nearest: Mask) -> float | None:
    # the settlement price at which the holders of the expiry's options get least
    interest = held(chain.open_interest)
    owed = nearest & (interest > 0)
    if not owed.any():
        return None
    strikes = np.unique(chain.strike[nearest])
    sign = np.where(chain.is_call[owed], 1.0, -1.0)
    worth = np.maximum(sign * np.subtract.outer(strikes, chain.strike[owed]), 0.0) @ interest[owed]
    return float(strikes[int(worth.argmin())])


def _expected_move(chain: Chain, nearest: Mask, seconds: Floats) -> float | None:
    # the straddle nearest spot, or by Brenner and Subrahmanyam 0.8·S·σ·√T where it is not quoted
    near = np.flatnonzero(nearest)
    near = near[np.argsort(np.abs(chain.strike[near] - chain.spot), kind="stable")]
    quoted = two_sided(chain)[near]
    calls, puts = near[quoted & chain.is_call[near]], near[quoted & ~chain.is_call[near]]
    if len(calls) and len(puts) and chain.strike[calls[0]] == chain.strike[puts[0]]:
        return float(0.5 * (chain.bid[calls[0]] + chain.ask[calls[0]] + chain.bid[puts[0]] + chain.ask[puts[0]]))
    near = near[stated(chain.iv[near])]
    if not len(near) or seconds[near[0]] <= 0:
        return None
    return float(0.8 * chain.spot * chain.iv[near[0]] * np.sqrt(seconds[near[0]] / YEAR))
