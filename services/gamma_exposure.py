"""Exposure by strike, by expiry and by price: what a chain's contracts add up to, by our definitions or by others'."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services import gamma_reference
from services.expiration import day_of
from services.feeds.base import Chain
from services.gamma_greeks import Sensitivity, sensitivity
from services.gamma_profile import Bells, Profile, bells
from services.lens import Mode
from services.smile import Floats, Mask, Smile, held, smile, stated

IvSources = tuple[tuple[float, str], ...]
"""Shares (0..1) of the open interest that can have gamma, each with where its implied volatility comes from."""

_KINDS = ("vendor", "solved from mid prices", "bounded by offers", "between neighbouring strikes")
_KNOWN = 3
_NEGLIGIBLE = 0.0005


class ByExpiry(NamedTuple):
    """The exposure of what expires on one day."""

    day: date
    net: float
    gross: float


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """Where the modes differ; dollars per 1 % move, columns by strike."""

    strikes: Floats
    call_gex: Floats
    """≥ 0."""
    put_gex: Floats
    """≤ 0."""
    call_oi: Floats
    put_oi: Floats
    by_expiry: tuple[ByExpiry, ...]
    prices: Floats
    profile: Floats
    flip: float | None
    forward: float | None
    """Of the nearest day's last settlement; None where the definitions have none."""
    coverage: float
    iv_sources: IvSources
    other: Sensitivity | None
    """Vanna and charm; None where the definitions have none."""


def expose(chain: Chain, counted: Mask, seconds: Floats, mode: Mode, rate: float) -> Exposure:
    """Return what the counted contracts add up to; `seconds` to settlement, `rate` continuous per year."""
    if mode in {Mode.PERFILIEV, Mode.GFLOWS}:
        return _published(chain, counted, mode, rate)
    surface = smile(chain, counted, seconds, rate)
    shape = bells(surface, chain.spot)
    bars = _by_vendor(chain, counted) if mode is Mode.VENDOR else _by_smile(surface, shape, chain.spot)
    net = Profile(chain.spot, shape.unit * (surface.call_oi - surface.put_oi), shape.slope, shape.offset)
    prices, values = net.curve()
    coverage, sources = _sources(surface, shape)
    return Exposure(
        *bars,
        prices=prices,
        profile=values,
        flip=net.flip(prices, values),
        forward=float(surface.forward[surface.days[surface.group] == surface.days[0]][-1]),
        coverage=coverage,
        iv_sources=sources,
        other=sensitivity(surface, shape, chain.spot, rate),
    )


class _Bars(NamedTuple):
    strikes: Floats
    call_gex: Floats
    put_gex: Floats
    call_oi: Floats
    put_oi: Floats
    by_expiry: tuple[ByExpiry, ...]


def _by_smile(surface: Smile, shape: Bells, spot: float) -> _Bars:
    gamma = shape.unit * (spot * shape.height)
    calls, puts = gamma * surface.call_oi, gamma * surface.put_oi
    return _Bars(
        surface.strikes,
        _sum(surface.place, calls),
        -_sum(surface.place, puts),
        _sum(surface.place, surface.call_oi),
        _sum(surface.place, surface.put_oi),
        _daily(surface.days, _sum(surface.group, calls - puts), _sum(surface.group, calls + puts)),
    )


def _by_vendor(chain: Chain, counted: Mask) -> _Bars:
    gex, is_call = gamma_reference.vendor_exposure(chain)[counted], chain.is_call[counted]
    interest = held(chain.open_interest[counted])
    strikes, place = np.unique(chain.strike[counted], return_inverse=True)
    days, group = np.unique(chain.expiry[counted], return_inverse=True)
    return _Bars(
        strikes,
        _sum(place, np.where(is_call, gex, 0.0)),
        _sum(place, np.where(is_call, 0.0, gex)),
        _sum(place, np.where(is_call, interest, 0.0)),
        _sum(place, np.where(is_call, 0.0, interest)),
        _daily(days, _sum(group, gex), _sum(group, np.abs(gex))),
    )


def _published(chain: Chain, counted: Mask, mode: Mode, rate: float) -> Exposure:
    program = gamma_reference.perfiliev() if mode is Mode.PERFILIEV else gamma_reference.gflows(rate)
    prices, values = gamma_reference.curve(chain, counted, program)
    interest = held(chain.open_interest[counted])
    coverage = float(interest[stated(chain.iv[counted])].sum() / interest.sum())
    return Exposure(
        *_by_vendor(chain, counted),
        prices=prices,
        profile=values,
        flip=gamma_reference.first_flip(prices, values),
        forward=None,
        coverage=coverage,
        iv_sources=((coverage, "vendor, each side its own"),),
        other=None,
    )


def _sum(place: NDArray[np.intp], values: Floats) -> Floats:
    return np.bincount(place, weights=values).astype(np.float64, copy=False)


def _daily(days: NDArray[np.integer], net: Floats, gross: Floats) -> tuple[ByExpiry, ...]:
    # Two roots may settle on one day, at its open and at its close.
    dates, place = np.unique(days, return_inverse=True)
    rows = zip(dates.tolist(), _sum(place, net).tolist(), _sum(place, gross).tolist(), strict=True)
    return tuple(ByExpiry(day_of(number), *sums) for number, *sums in rows)


def _sources(surface: Smile, shape: Bells) -> tuple[float, IvSources]:
    # Beyond three standard deviations there is a hundredth of the gamma at the money: what is not quoted is not missed.
    interest = np.where(shape.offset**2 > 4.5, 0.0, surface.call_oi + surface.put_oi)
    none = len(_KINDS)
    kind = np.where(np.isnan(surface.iv), none, _KNOWN)
    for number, mask in reversed(list(enumerate((surface.vendor, surface.solved, surface.bounded)))):
        kind[mask] = number
    shares = np.bincount(kind, interest, none + 1) / (float(interest.sum()) or 1.0)
    named = zip(shares.tolist()[:none], _KINDS, strict=True)
    return float(shares[:_KNOWN].sum()), tuple((share, name) for share, name in named if share >= _NEGLIGIBLE)
