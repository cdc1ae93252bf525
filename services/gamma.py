"""Gamma exposure of an option chain: who must buy and who must sell when the price moves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.clock import NEW_YORK, new_york_day
from services.errors import BadData, NothingExpires
from services.expiration import Expiry, choose, day_number, day_of
from services.feeds.base import Chain
from services.gamma_exposure import ByExpiry, Exposure, IvSources, expose
from services.lens import PLAIN, RATE, Lens, Mode
from services.smile import YEAR, Floats, Mask, held, seconds_left, stated, two_sided

__all__ = ["Expiry", "Gamma", "Lens", "Mode", "analyze"]

_LEAST_COVERAGE = 0.5
_LEAST_CONTRACTS = 4
_WISHES = {Expiry.OPEX: "on a monthly date", Expiry.NEAR: "within 94 days"}


@dataclass(frozen=True, slots=True, eq=False)
class Gamma:
    """The analysed chain; dealers long calls and short puts, exposures in dollars per 1 % move or as `lens` says."""

    symbol: str
    spot: float
    as_of: datetime
    source: str
    delay: timedelta | None
    """How late the source is by its own contract; None marks a recording."""
    open_interest_date: date | None
    lens: Lens
    expiries: tuple[date, ...]
    """The expiries that were counted, nearest first."""
    listed: tuple[date, ...]
    """All that are left, likewise."""
    total: float
    gross: float
    zero_dte: float
    """Share (0..1) of the gross exposure that expires on the New York day of `as_of`."""
    by_expiry: tuple[ByExpiry, ...]
    flip: float | None
    call_wall: float | None
    """Strike of the largest net exposure."""
    put_wall: float | None
    """Strike of the smallest."""
    max_call_gamma: float | None
    """Strike of the largest exposure of calls alone."""
    max_put_gamma: float | None
    abs_gamma: float | None
    """Strike of the largest call + put exposure."""
    call_oi_wall: float | None
    """Strike with the most open calls."""
    put_oi_wall: float | None
    max_pain: float | None
    """Of the nearest counted expiry."""
    expected_move: float | None
    """± price units to the nearest counted expiry, by the ATM straddle."""
    vanna: float | None
    """Dollars of delta per point of volatility; None in the published programs' modes."""
    charm: float | None
    """Dollars of delta per calendar day, likewise."""
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


class _Counted(NamedTuple):
    rows: Mask
    seconds: Floats
    """To settlement, of every contract."""
    expiries: Sequence[date]
    listed: Sequence[date]


def analyze(chain: Chain, lens: Lens = PLAIN, *, rate: float = RATE) -> Gamma:
    """Analyse a chain; exposures in dollars per 1 % move, prices in the chain's own unit, `rate` continuous per year.

    GEX = ± Γ·OI·100·S²·0.01, calls +, puts −; flip = zero crossing of the profile nearest spot, from − to + where there
    is one; walls = strikes of the largest and the smallest net GEX. Raises `NothingExpires` if the filter leaves no
    contract and `BadData` if an answer would be a guess; both say what is there.
    """
    if lens.by_volume:
        chain = replace(chain, open_interest=chain.volume, open_interest_date=None)
    _refuse_unusable(chain)
    counted = _count(chain, lens)
    _refuse_thin(chain, counted, lens)
    exposure = expose(chain, counted.rows, counted.seconds, lens.mode, rate)
    _refuse_guess(chain, exposure, lens)
    return _gamma(chain, lens, counted, exposure)


def _gamma(chain: Chain, lens: Lens, counted: _Counted, exposure: Exposure) -> Gamma:
    nearest = np.flatnonzero(counted.rows & (chain.expiry == day_number(counted.expiries[0])))
    # On a day with two, at the open and at the close, the move is that to the close.
    last = nearest[counted.seconds[nearest] == counted.seconds[nearest].max()]
    unit = 100 / chain.spot if lens.per_point else 1.0
    calls, puts = exposure.call_gex * unit, exposure.put_gex * unit
    net, gross = calls + puts, calls - puts
    by_expiry = tuple(ByExpiry(each.day, each.net * unit, each.gross * unit) for each in exposure.by_expiry)
    return Gamma(
        symbol=chain.symbol,
        spot=chain.spot,
        as_of=chain.as_of,
        source=chain.source,
        delay=chain.delay,
        open_interest_date=chain.open_interest_date,
        lens=lens,
        expiries=tuple(counted.expiries),
        listed=tuple(counted.listed),
        total=float(net.sum()),
        gross=float(gross.sum()),
        zero_dte=_zero_dte(exposure, chain.as_of),
        by_expiry=by_expiry,
        flip=exposure.flip,
        call_wall=_peak(exposure.strikes, net),
        put_wall=_peak(exposure.strikes, -net),
        max_call_gamma=_peak(exposure.strikes, calls),
        max_put_gamma=_peak(exposure.strikes, -puts),
        abs_gamma=_peak(exposure.strikes, gross),
        call_oi_wall=_peak(exposure.strikes, exposure.call_oi),
        put_oi_wall=_peak(exposure.strikes, exposure.put_oi),
        max_pain=_max_pain(chain, nearest),
        expected_move=expected_move(chain, last, counted.seconds, exposure.forward or chain.spot),
        vanna=exposure.other and exposure.other.vanna,
        charm=exposure.other and exposure.other.charm,
        contracts=int(np.count_nonzero(counted.rows)),
        coverage=exposure.coverage,
        iv_sources=exposure.iv_sources,
        strikes=exposure.strikes,
        call_gex=calls,
        put_gex=puts,
        profile_prices=exposure.prices,
        profile=exposure.profile * (100 / exposure.prices) if lens.per_point else exposure.profile,
    )


def _count(chain: Chain, lens: Lens) -> _Counted:
    seconds = seconds_left(chain, chain.as_of)
    live = _live(chain, lens.mode, seconds)
    listed = _listed(chain, live)
    chosen = _chosen(chain, listed, lens.expiry)
    rows = live if lens.expiry is Expiry.ALL else live & np.isin(chain.expiry, [day_number(day) for day in chosen])
    return _Counted(rows, seconds, chosen, listed)


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
        case Mode.OURS | Mode.VENDOR:
            return sound & (seconds > 0)
        case Mode.PERFILIEV:
            return sound
        case Mode.GFLOWS:
            local = chain.as_of.astimezone(NEW_YORK)
            return sound & (chain.expiry >= day_number(local.date()) + (local.hour >= 16))


def _listed(chain: Chain, live: Mask) -> Sequence[date]:
    numbers = chain.expiry[live]
    if not len(numbers):
        raise NothingExpires(
            f"Every {chain.symbol} option in the data of {chain.as_of:%d %b %Y} has expired. "
            "Ask again when there is a newer chain."
        )
    first = int(numbers.min())
    return [day_of(number) for number in (np.flatnonzero(np.bincount(numbers - first)) + first).tolist()]


def _chosen(chain: Chain, listed: Sequence[date], expiry: Expiry | date) -> Sequence[date]:
    chosen = choose(expiry, listed, chain.as_of)
    if not chosen:
        wish = _WISHES[expiry] if isinstance(expiry, Expiry) else f"on {expiry:%d %b %Y}"
        nearest = ", ".join(f"{day:%d %b %Y}" for day in listed[:8])
        more = f" and {len(listed) - 8} more up to {listed[-1]:%d %b %Y}" if len(listed) > 8 else ""
        raise NothingExpires(f"No {chain.symbol} option expires {wish}. Available: {nearest}{more}.")
    return chosen


def _refuse_thin(chain: Chain, counted: _Counted, lens: Lens) -> None:
    of, contracts = (int(np.count_nonzero(rows)) for rows in (counted.rows, chain.open_interest[counted.rows] > 0))
    if contracts < _LEAST_CONTRACTS:
        have = "were traded today" if lens.by_volume else "have open interest"
        advice = "Count open interest instead." if lens.by_volume else "Choose more expiries."
        raise BadData(
            f"Only {contracts} of the {of} {chain.symbol} contracts for these expiries {have} at "
            f"{chain.source}: too few for a picture. {advice}"
        )


def _refuse_guess(chain: Chain, exposure: Exposure, lens: Lens) -> None:
    if exposure.coverage < _LEAST_COVERAGE:
        counts = "volume" if lens.by_volume else "open interest"
        advice = "Try again when its options are quoted." if lens.expiry is Expiry.ALL else "Choose another expiry."
        raise BadData(
            f"{1 - exposure.coverage:.0%} of the {counts} in {chain.symbol} has no usable implied volatility at "
            f"{chain.source}, so gamma would be a guess. {advice}",
        )
    if lens.mode is Mode.VENDOR and not exposure.call_gex.any() and not exposure.put_gex.any():
        raise BadData(f"{chain.source} gives no gamma of its own for {chain.symbol}. Take our definitions instead.")


def _zero_dte(exposure: Exposure, as_of: datetime) -> float:
    today, gross = new_york_day(as_of), sum(each.gross for each in exposure.by_expiry)
    return sum(each.gross for each in exposure.by_expiry if each.day == today) / (gross or 1.0)


def _peak(strikes: Floats, height: Floats) -> float | None:
    top = int(height.argmax())
    return float(strikes[top]) if height[top] > 0 else None


def _max_pain(chain: Chain, nearest: NDArray[np.intp]) -> float | None:
    # the settlement price at which the holders of the expiry's options get least
    interest = held(chain.open_interest[nearest])
    owed = nearest[interest > 0]
    if not len(owed):
        return None
    strikes = np.unique(chain.strike[nearest])
    sign = np.where(chain.is_call[owed], 1.0, -1.0)
    worth = np.maximum(sign * np.subtract.outer(strikes, chain.strike[owed]), 0.0) @ interest[interest > 0]
    return float(strikes[int(worth.argmin())])


def expected_move(chain: Chain, nearest: NDArray[np.intp], seconds: Floats, at: float) -> float | None:
    """Return how far the options of the rows `nearest`, one expiry, expect the price to move; ± in its own unit.

    The straddle nearest the price `at`, or by Brenner and Subrahmanyam (1988) 0.8·S·σ·√T where it is not quoted; None
    without IV.
    """
    near = nearest[np.argsort(np.abs(chain.strike[nearest] - at), kind="stable")]
    quoted = two_sided(chain, near)
    calls, puts = near[quoted & chain.is_call[near]], near[quoted & ~chain.is_call[near]]
    if len(calls) and len(puts) and chain.strike[calls[0]] == chain.strike[puts[0]]:
        return float(0.5 * (chain.bid[calls[0]] + chain.ask[calls[0]] + chain.bid[puts[0]] + chain.ask[puts[0]]))
    near = near[stated(chain.iv[near])]
    if not len(near) or seconds[near[0]] <= 0:
        return None
    return float(0.8 * chain.spot * chain.iv[near[0]] * np.sqrt(seconds[near[0]] / YEAR))
