"""Synthetic option chains: listed as in reality, priced without arbitrage, open interest where people put it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sandbox.listings import LISTED, Listed
from sandbox.market import Floats, Ints, Market
from services.clock import NEW_YORK

RATE = 0.037
_YEAR_S = 365 * 86_400
_AM_SETTLED = time(9, 30)
_WEEKLY_ROOT = {"SPX": "SPXW", "NDX": "NDXP", "RUT": "RUTW"}
_YIELD = {"SPX": 0.012, "NDX": 0.007, "RUT": 0.013}
_CONTRACTS_A_STRIKE = {"SPX": 65.0, "NDX": 3.0, "RUT": 20.0, "SPY": 450.0, "QQQ": 350.0, "IWM": 450.0}
_VIX_MEAN = LISTED["VIX"].price
_erf = np.frompyfunc(math.erf, 1, 1)


class Expiration(NamedTuple):
    """One expiry of one root."""

    root: str
    day: date
    settles: float
    """Seconds since 1970."""
    weight: float
    """Open interest compared with a daily expiry."""


@dataclass(frozen=True, slots=True, eq=False)
class Contracts:
    """What is listed on one day, ordered by option symbol; the open interest is that of the day before."""

    symbols: list[str]
    root: NDArray[np.str_]
    expiration: NDArray[np.datetime64]
    settles: Floats
    strike: Floats
    is_call: NDArray[np.bool_]
    open_interest: Ints
    open_interest_date: date
    activity: Floats
    """Volume of a whole day in shares of the open interest."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Prices of `Contracts` at one moment; NaN where a real vendor computes nothing."""

    at: float
    bid: Floats
    ask: Floats
    iv: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    volume: Ints


class Chains:
    """The option side of a market."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._contracts = lru_cache(12)(self._list)
        self._prices = lru_cache(4)(self._price)

    def contracts(self, symbol: str, at: float) -> Contracts:
        """Return what is listed on the New York date of a moment; the same object all day."""
        today = datetime.fromtimestamp(at, NEW_YORK).date()
        return self._contracts(symbol, today, self._market.day(at))

    def prices(self, symbol: str, at: float) -> Prices:
        """Return the prices of a moment, which are those of the last close while the market is shut."""
        trading = float(math.floor(self._market.traded_at("SPX", at)))
        today = datetime.fromtimestamp(at, NEW_YORK).date()
        return self._prices(symbol, today, self._market.day(at), trading, self._market.nudges)

    def _list(self, symbol: str, today: date, day: int) -> Contracts:
        listed, market = LISTED[symbol], self._market
        closes = [market.last_close(symbol, day - back) for back in range(1, 6)]
        crowd = _Crowd(listed, market.seed, sum(closes) / len(closes))
        rows: list[tuple[str, Expiration, float, bool, int, float]] = []
        for expiration in _expirations(listed, market, today):
            years = max((expiration.day - today).days + 0.5, 0.5) / 365
            strikes = _strikes(listed, closes[0], years)
            interest, activity = crowd.interest(expiration, strikes, years)
            code = f"{expiration.root}{expiration.day:%y%m%d}"
            for side, is_call in enumerate((True, False)):
                rows.extend(
                    (f"{code}{'C' if is_call else 'P'}{round(k * 1000):08d}", expiration, k, is_call, oi, busy)
                    for k, oi, busy in zip(strikes.tolist(), interest[side].tolist(), activity.tolist(), strict=True)
                )
        rows.sort(key=lambda row: row[0])
        symbols, expirations, strike, is_call_, interest_, activity_ = zip(*rows, strict=True)
        return Contracts(
            symbols=list(symbols),
            root=np.array([e.root for e in expirations]),
            expiration=np.array([e.day for e in expirations], "datetime64[D]"),
            settles=np.array([e.settles for e in expirations]),
            strike=np.array(strike),
            is_call=np.array(is_call_),
            open_interest=np.array(interest_),
            open_interest_date=market.date_of(max(day - 1, 0)),
            activity=np.array(activity_),
        )

    def _price(self, symbol: str, today: date, day: int, at: float, _nudges: int) -> Prices:
        listed, market = LISTED[symbol], self._market
        contracts = self._contracts(symbol, today, day)
        opens, closes = market.hours(market.day(at))
        years = np.maximum(contracts.settles - at, 60.0) / _YEAR_S
        spot = market.price(symbol, at)
        carry = RATE - _YIELD.get(listed.path, 0.005)
        forward, discount = spot * np.exp(carry * years), np.exp(-RATE * years)
        k = np.log(contracts.strike / forward)
        sigma = volatility(listed, k, years, market.price("VIX", at) / _VIX_MEAN)
        total = sigma * np.sqrt(years)
        d1 = -k / total + total / 2
        side = np.where(contracts.is_call, 1.0, -1.0)
        upper, lower = _normal(side * d1), _normal(side * (d1 - total))
        price = np.maximum(discount * side * (forward * upper - contracts.strike * lower), 0.0)
        bid, ask = _market_makers(listed, price)
        density = np.exp(-0.5 * d1**2) / math.sqrt(2 * math.pi)
        held = np.exp((carry - RATE) * years)
        decay = (
            -held * spot * density * sigma / (2 * np.sqrt(years)) - RATE * side * contracts.strike * discount * lower
        )
        dividends = (RATE - carry) * side * spot * held * upper
        # A vendor solves for volatility only where the price says something about it.
        out = np.maximum(price - np.maximum(discount * side * (forward - contracts.strike), 0), 0)
        known = (bid > 0) & (out >= _tick(listed, out) / 2) & (contracts.settles - at > 60)
        passed = min(max((at - opens) / (closes - opens), 0.0), 1.0)
        return Prices(
            at=at,
            bid=bid,
            ask=ask,
            iv=_known(sigma, known),
            delta=_known(side * held * upper, known),
            gamma=_known(held * density / (spot * total), known, 6),
            theta=_known((decay + dividends) / 365, known),
            vega=_known(spot * held * density * np.sqrt(years) / 100, known),
            rho=_known(side * contracts.strike * years * discount * lower / 100, known),
            volume=(contracts.open_interest * contracts.activity * passed).astype(np.int64),
        )


def volatility(listed: Listed, k: Floats, years: Floats, fear: float) -> Floats:
    """Return implied volatility at log-forward-moneyness `k`: the SSVI surface, free of static arbitrage.

    Gatheral and Jacquier, https://arxiv.org/abs/1204.0646: total variance at the money grows with time, and with the
    exponent 1/2 of the power law eta * (1 + |rho|) <= 2 excludes butterflies. `fear` is VIX over its mean.
    """
    rho, eta = (-0.7, 0.9) if listed.is_index or listed.dailies else (-0.35, 0.8)
    short = (0.92 * listed.volatility) ** 2 * fear**1.6
    long = (1.12 * listed.volatility) ** 2 * fear**0.6
    theta = long * years + (short - long) * -np.expm1(-6 * years) / 6
    slope = eta / np.sqrt(theta * (1 + theta))
    variance = theta / 2 * (1 + rho * slope * k + np.sqrt((slope * k + rho) ** 2 + 1 - rho**2))
    return np.asarray(np.sqrt(variance / years))


class _Crowd:
    """Where the holders of options are: calls above, puts below, on round strikes, around two walls."""

    def __init__(self, listed: Listed, seed: int, reference: float) -> None:
        self._listed, self._reference = listed, reference
        self._key = [seed, crc32(listed.symbol.encode())]
        rng = np.random.default_rng([*self._key, 2])
        fortnight = listed.volatility * math.sqrt(14 / 365)
        above, below = fortnight * rng.uniform(0.5, 1.1), fortnight * rng.uniform(0.6, 1.3)
        self._tilt = math.exp(0.15 * rng.standard_normal()) * (1.0 if listed.is_index or listed.dailies else 1.25)
        self._big = _step(listed) * (10 if listed.is_index else 5 if listed.dailies else 2)
        self._call_wall = math.ceil(reference * (1 + above) / self._big) * self._big
        self._put_wall = math.floor(reference * (1 - below) / self._big) * self._big

    def interest(self, expiration: Expiration, strikes: Floats, years: float) -> tuple[Ints, Floats]:
        """Return open interest of calls and puts (two rows), and the part of it that trades in a day."""
        step = _step(self._listed)
        index = np.round(strikes / step).astype(np.int64)
        rng = np.random.default_rng([*self._key, expiration.day.toordinal(), crc32(expiration.root.encode())])
        noise = rng.standard_normal((int(index[-1]) + 1, 3))[index].T
        x = np.log(strikes / self._reference)
        width = max(self._listed.volatility * math.sqrt(years), 0.012)
        calls = self._tilt * (0.06 + np.exp(-0.5 * ((x - 0.8 * width) / width) ** 2))
        puts = 0.08 + np.exp(-0.5 * ((x + 1.0 * width) / (1.4 * width)) ** 2)
        near = 1.0 if years < 60 / 365 else 0.4
        calls *= 1 + 3 * near * (strikes == self._call_wall)
        puts *= 1 + 3 * near * (strikes == self._put_wall)
        rounded = 1 + sum(0.9 * (strikes % (self._big * times) == 0) for times in (1, 2, 10))
        level = _CONTRACTS_A_STRIKE.get(self._listed.symbol, self._listed.volume / 36_000) * expiration.weight
        activity = 0.2 * np.exp(0.6 * noise[2]) * (1 + 6 * math.exp(-years * 120))
        return (level * rounded * np.exp(0.45 * noise[:2]) * np.stack([calls, puts])).astype(np.int64), activity


def _expirations(listed: Listed, market: Market, today: date) -> Iterator[Expiration]:
    sessions = [market.date_of(i) for i in range(market.days()) if market.date_of(i) >= today]
    broad = listed.is_index or listed.dailies
    daily = sessions[:10] if listed.dailies else []
    weekly = list({day.isocalendar()[:2]: day for day in sessions}.values())[:6]
    months = _monthly(sessions)
    months = months[:12] if broad else [*months[:3], *(day for day in months[3:] if day.month % 3 == 0)]
    ends = list({(day.year, day.month): day for day in sessions}.values())[:-1]
    quarterly = [day for day in ends if day.month % 3 == 0][:3] if broad else []
    weights = dict.fromkeys(daily, 1.0) | dict.fromkeys(weekly, 1.5) | dict.fromkeys(quarterly, 3.5)
    root = listed.symbol.replace(".", "")
    if listed.is_index:
        for day in months:
            yield Expiration(root, day, datetime.combine(day, _AM_SETTLED, NEW_YORK).timestamp(), 4.0)
        weights |= dict.fromkeys(months[:2], 2.0)
    else:
        weights |= {day: 5.0 if day.month % 3 == 0 else 4.0 for day in months}
    for day, weight in weights.items():
        _, closes = market.hours(market.day_on_or_before(day))
        yield Expiration(_WEEKLY_ROOT.get(root, root), day, float(closes), weight)


def _monthly(sessions: list[date]) -> list[date]:
    """Return the third Fridays, or the session before one that is a holiday (Juneteenth 2026, Good Friday)."""
    firsts = sorted({day.replace(day=1) for day in sessions})
    fridays = [first + timedelta(days=(4 - first.weekday()) % 7 + 14) for first in firsts]
    return [
        max(day for day in sessions if day <= friday) for friday in fridays if sessions[0] <= friday <= sessions[-1]
    ]


def _strikes(listed: Listed, spot: float, years: float) -> Floats:
    """Return strikes around the last close: every step near it, fewer and fewer further out."""
    unit = listed.volatility * 0.16
    near, middle, wing = (unit, 2 * unit, 3.2 * unit)
    if years > 14 / 365:
        near, middle, wing = (0.6 * unit, 5 * unit, 9 * unit)
    if years > 75 / 365:
        near, middle, wing = (0.0, 5.5 * unit, 11 * unit)
    step = _step(listed)
    index = np.arange(math.ceil(spot * max(1 - wing, 0.3) / step), math.floor(spot * (1 + 0.75 * wing) / step) + 1)
    away = np.abs(index * step / spot - 1)
    thinned = (5, 20) if listed.is_index or listed.dailies else (2, 4)
    every = np.where(away <= near, 1, np.where(away <= middle, *thinned))
    return np.asarray(index[index % every == 0] * step, np.float64)


def _step(listed: Listed) -> float:
    if listed.is_index:
        return 25.0 if listed.price > 10_000 else 5.0
    if listed.dailies:
        return 1.0
    return next((step for below, step in ((25, 0.5), (100, 1.0), (300, 2.5), (700, 5.0)) if listed.price < below), 10.0)


def _tick(listed: Listed, price: Floats) -> Floats:
    if listed.dailies and not listed.is_index:
        return np.full(len(price), 0.01)
    return np.where(price < 3, 0.05, 0.1) if listed.is_index else np.where(price < 3, 0.01, 0.05)


def _market_makers(listed: Listed, price: Floats) -> tuple[Floats, Floats]:
    tick = _tick(listed, price)
    half = np.maximum((0.006 if listed.dailies else 0.014) * (0.3 * price**0.5 + 0.25 * price), tick) / 2
    bid = np.maximum(np.floor((price - half) / tick + 1e-9) * tick, 0.0)
    ask = np.maximum(np.ceil((price + half) / tick - 1e-9) * tick, bid + tick)
    return np.round(bid, 2), np.round(ask, 2)


def _normal(x: Floats) -> Floats:
    return 0.5 * (1 + np.asarray(_erf(x / math.sqrt(2)), np.float64))


def _known(values: Floats, known: NDArray[np.bool_], digits: int = 4) -> Floats:
    return np.where(known, np.round(values, digits), np.nan)
