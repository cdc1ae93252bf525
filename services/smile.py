"""One clean volatility per expiry and strike: forwards from put-call parity, the better side's quote, gaps filled."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.expiration import settlement
from services.feeds.base import Chain
from services.implied_volatility import implied_volatility

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

YEAR = 365 * 86_400.0
_FLOOR = 3_600.0  # the last hour counts as a whole one: gamma at the money grows without bound as time runs out
_PARITY_STRIKES = 8
_LEAST_IV, _MOST_IV = 1e-4, 50.0
_LEAST_OFFER = 0.05  # dollars: the coarsest increment of a cheap option
_LEAST_LEFT = 60.0  # seconds: with less, an increment bounds nothing
_DIVIDENDS = 0.013  # yearly yield assumed where no quotes imply one (after hours): what broad US indices pay


@dataclass(frozen=True, slots=True, eq=False)
class Smile:
    """Strikes of the counted expiries as columns of equal length, by settlement and then by strike."""

    strike: Floats
    years: Floats
    """To settlement, calendar time of 365 days, at least an hour."""
    forward: Floats
    discount: Floats
    iv: Floats
    """Annual, a fraction; NaN where the whole expiry has none."""
    call_oi: Floats
    put_oi: Floats
    vendor: Mask
    """The volatility is the vendor's own."""
    solved: Mask
    """The volatility was solved from the mid price."""
    bounded: Mask
    """It is interpolated as where none of the three holds, but no more than an offer without a bid allows."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    strike: Floats
    group: Ints
    call: dict[str, Floats]
    put: dict[str, Floats]


def seconds_left(chain: Chain, as_of: datetime) -> Floats:
    """Return seconds from `as_of` to each contract's settlement; zero or less has expired."""
    code = chain.expiry.astype(np.int64) * 2 + chain.am_settled
    low = int(code.min())
    listed = np.flatnonzero(np.bincount(code - low)) + low
    table = np.full(int(listed[-1]) - low + 1, np.nan)
    for each in listed.tolist():
        table[each - low] = settlement(each >> 1, bool(each & 1))
    result: Floats = table[code - low] - as_of.timestamp()
    return result


def smile(chain: Chain, counted: Mask, seconds: Floats, rate: float) -> Smile:
    """Build the smile of the counted contracts; `seconds` as from `seconds_left`, `rate` continuous per year.

    Volatility of a strike: the vendor's for the out-of-the-money side, else solved from that side's own mid price, else
    the vendor's for the other side, else interpolated in strike within the expiry: in-the-money values are noisy. Where
    the other side is quoted and nobody bids for this one, at most what makes it worth half of a least offer.
    """
    years_of, group = np.unique(seconds[counted], return_inverse=True)
    left_of = np.maximum(years_of, _LEAST_LEFT) / YEAR
    years_of = np.maximum(years_of, _FLOOR) / YEAR
    pairs = _pair(chain, counted, group, len(years_of))
    growth = np.exp(rate * years_of)
    assumed = chain.spot * np.exp((rate - _DIVIDENDS) * years_of)
    forward = _forwards(pairs, chain.spot, growth, assumed)[pairs.group]
    years, growth = years_of[pairs.group], growth[pairs.group]

    call_is_otm = pairs.strike >= forward
    own = {name: np.where(call_is_otm, pairs.call[name], pairs.put[name]) for name in ("iv", "bid", "ask")}
    other = {name: np.where(call_is_otm, pairs.put[name], pairs.call[name]) for name in ("iv", "bid", "ask")}
    vendor = stated(own["iv"])
    iv = np.where(vendor, own["iv"], np.nan)

    def solve(these: Mask, price: Floats, years: Floats) -> Floats:
        answer = np.full(len(years), np.nan)
        answer[these] = implied_volatility(
            (price * growth)[these], forward[these], pairs.strike[these], years[these], call_is_otm[these]
        )
        return np.where(stated(answer), answer, np.nan)

    mid = solve(~vendor & _two_sided(own["bid"], own["ask"]), 0.5 * (own["bid"] + own["ask"]), years)
    solved = ~np.isnan(mid)
    iv[solved] = mid[solved]
    late = np.isnan(iv) & stated(other["iv"])
    iv[late] = other["iv"][late]
    unwanted = ~(own["bid"] > 0) & (own["ask"] > 0) & (own["ask"] <= _LEAST_OFFER)
    unwanted &= np.isnan(iv) & _two_sided(other["bid"], other["ask"])
    most = solve(unwanted, 0.5 * own["ask"], left_of[pairs.group])
    _fill(iv, pairs)
    # An expiry with nothing but bounds gets the least of them, for those of far strikes tell little.
    least = np.full(len(years_of), np.nan)
    np.fmin.at(least, pairs.group, most)
    iv = np.fmin(np.where(np.isnan(iv), least[pairs.group], iv), most)
    return Smile(
        strike=pairs.strike,
        years=years,
        forward=forward,
        discount=1 / growth,
        iv=iv,
        call_oi=held(pairs.call["open_interest"]),
        put_oi=held(pairs.put["open_interest"]),
        vendor=vendor | late,
        solved=solved,
        bounded=~np.isnan(most),
    )


def two_sided(chain: Chain) -> Mask:
    """Return which contracts have a bid and an ask that are not crossed."""
    return _two_sided(chain.bid, chain.ask)


def _two_sided(bid: Floats, ask: Floats) -> Mask:
    result: Mask = (bid > 0) & (ask >= bid) & np.isfinite(ask)
    return result


def stated(iv: Floats) -> Mask:
    """Return where a vendor's volatility is one: 0, −999 and NaN are ways to write none."""
    result: Mask = (iv >= _LEAST_IV) & (iv <= _MOST_IV)
    return result


def held(open_interest: Floats) -> Floats:
    """Return open interest with 0 for what is unknown or impossible."""
    return np.where((open_interest > 0) & np.isfinite(open_interest), open_interest, 0.0)


def _pair(chain: Chain, counted: Mask, group: Ints, groups: int) -> _Pairs:
    rows = np.flatnonzero(counted)
    strike = chain.strike[rows]
    strikes = np.unique(strike)
    cell = group * len(strikes) + np.searchsorted(strikes, strike)
    # of each side, the contract in every cell of the table settlement × strike; −1 where there is none
    table = np.full((2, groups * len(strikes)), -1)
    table[chain.is_call[rows].astype(np.intp), cell] = rows
    present = np.flatnonzero((table >= 0).any(axis=0))
    put, call = table[:, present]
    columns = {name: np.append(getattr(chain, name), np.nan) for name in ("iv", "bid", "ask", "open_interest")}
    return _Pairs(
        strike=strikes[present % len(strikes)],
        group=present // len(strikes),
        call={name: column[call] for name, column in columns.items()},
        put={name: column[put] for name, column in columns.items()},
    )


def _forwards(pairs: _Pairs, spot: float, growth: Floats, assumed: Floats) -> Floats:
    # by put-call parity: the median over the eight two-sided strikes nearest spot of K + e^{rT}(C − P)
    quoted = np.flatnonzero(
        _two_sided(pairs.call["bid"], pairs.call["ask"]) & _two_sided(pairs.put["bid"], pairs.put["ask"]),
    )
    group, strike = pairs.group[quoted], pairs.strike[quoted]
    by_distance = np.lexsort((np.abs(strike - spot), group))
    start = np.searchsorted(group, np.arange(len(growth)))  # `group` ascends, with and without the sorting by distance
    place = np.arange(len(group)) - start[group]
    chosen = place < _PARITY_STRIKES
    pick = quoted[by_distance[chosen]]
    call = 0.5 * (pairs.call["bid"][pick] + pairs.call["ask"][pick])
    put = 0.5 * (pairs.put["bid"][pick] + pairs.put["ask"][pick])
    table = np.full((len(growth), _PARITY_STRIKES), np.inf)
    table[group[chosen], place[chosen]] = pairs.strike[pick] + growth[group[chosen]] * (call - put)
    table.sort(axis=1)
    found = np.bincount(group[chosen], minlength=len(growth))
    row = np.arange(len(growth))
    median = 0.5 * (table[row, np.maximum(found - 1, 0) // 2] + table[row, found // 2])
    sane = (found > 0) & (median > spot / 2) & (median < spot * 2)
    return np.where(sane, median, assumed)


def _fill(iv: Floats, pairs: _Pairs) -> None:
    for group in np.unique(pairs.group[np.isnan(iv)]).tolist():
        first, end = np.searchsorted(pairs.group, (group, group + 1))
        column, strike = iv[first:end], pairs.strike[first:end]
        known = ~np.isnan(column)
        if known.any():
            column[~known] = np.interp(strike[~known], strike[known], column[known])
