"""One clean volatility per expiry and strike: forwards from put-call parity, the better side's quote, gaps filled."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

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

    strikes: Floats
    """The different strikes, ascending; not a column."""
    days: Ints
    """The expiry of each settlement in days since 1970-01-01, ascending; not a column."""
    place: Ints
    """Index into `strikes`."""
    group: Ints
    """Index into `days`."""
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


class _Side(NamedTuple):
    """What is quoted of one side, in the columns of a smile."""

    iv: Floats
    bid: Floats
    ask: Floats

    @property
    def two_sided(self) -> Mask:
        return _two_sided(self.bid, self.ask)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    strikes: Floats
    days: Ints
    left: Floats
    """Seconds to each settlement."""
    place: Ints
    group: Ints
    strike: Floats
    call: _Side
    put: _Side
    call_oi: Floats
    put_oi: Floats


class _Term(NamedTuple):
    """What each settlement has in common: years left, growth of money until then, and the forward."""

    years: Floats
    growth: Floats
    forward: Floats


def seconds_left(chain: Chain, as_of: datetime) -> Floats:
    """Return seconds from `as_of` to each contract's settlement; zero or less has expired."""
    settlements = _settlements(chain)
    result: Floats = (settlements.seconds - as_of.timestamp())[settlements.place]
    return result


class _Settlements(NamedTuple):
    days: Ints
    seconds: Floats
    """Since 1970 UTC, ascending."""
    place: NDArray[np.intp]
    """Of each contract."""


@lru_cache(1)  # asked twice in every analysis
def _settlements(chain: Chain) -> _Settlements:
    # those at the open come before those at the close
    code = chain.expiry.astype(np.int64) * 2 + ~chain.am_settled
    low = int(code.min())
    listed = np.bincount(code - low) > 0
    codes = np.flatnonzero(listed) + low
    seconds = np.array([settlement(each >> 1, not each & 1) for each in codes.tolist()])
    return _Settlements(codes >> 1, seconds, (np.cumsum(listed) - 1)[code - low])


def smile(chain: Chain, counted: Mask, seconds: Floats, rate: float) -> Smile:
    """Build the smile of the counted contracts; `seconds` as from `seconds_left`, `rate` continuous per year.

    Volatility of a strike: the vendor's for the out-of-the-money side, else solved from that side's own mid price, else
    the vendor's for the other side, else interpolated in strike within the expiry: in-the-money values are noisy. Where
    the other side is quoted and nobody bids for this one, at most what makes it worth half of a least offer.
    """
    pairs = _pair(chain, counted, seconds)
    term = _term(pairs, chain.spot, rate)
    forward = term.forward[pairs.group]
    call_is_otm = pairs.strike >= forward
    own = _Side(*(np.where(call_is_otm, c, p) for c, p in zip(pairs.call, pairs.put, strict=True)))
    other = _Side(*(np.where(call_is_otm, p, c) for c, p in zip(pairs.call, pairs.put, strict=True)))
    vendor = stated(own.iv)
    iv, most = _from_prices(pairs, term, own, other, call_is_otm)
    solved = ~np.isnan(iv)
    iv[vendor] = own.iv[vendor]
    late = np.isnan(iv) & stated(other.iv)
    iv[late] = other.iv[late]
    _fill(iv, pairs)
    return Smile(
        strikes=pairs.strikes,
        days=pairs.days,
        place=pairs.place,
        group=pairs.group,
        strike=pairs.strike,
        years=term.years[pairs.group],
        forward=forward,
        discount=(1 / term.growth)[pairs.group],
        iv=_at_most(iv, most, pairs),
        call_oi=pairs.call_oi,
        put_oi=pairs.put_oi,
        vendor=vendor | late,
        solved=solved,
        bounded=~np.isnan(most),
    )


def two_sided(chain: Chain, rows: NDArray[np.intp]) -> Mask:
    """Return which contracts of `rows` have a bid and an ask that are not crossed."""
    return _two_sided(chain.bid[rows], chain.ask[rows])


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


def _pair(chain: Chain, counted: Mask, seconds: Floats) -> _Pairs:
    rows = np.flatnonzero(counted)
    settlements = _settlements(chain)
    listed = settlements.place[rows]
    used = np.bincount(listed, minlength=len(settlements.days)) > 0
    group = (np.cumsum(used) - 1)[listed]
    left = np.empty(np.count_nonzero(used))
    left[group] = seconds[rows]
    strikes = np.unique(chain.strike[rows])
    place = np.searchsorted(strikes, chain.strike[rows])
    put, call = _sides(group * len(strikes) + place, chain.is_call[rows], len(left) * len(strikes))
    either = np.maximum(put, call)
    columns = (chain.iv, chain.bid, chain.ask, chain.open_interest)
    iv, bid, ask, interest = (np.append(column[rows], np.nan) for column in columns)
    return _Pairs(
        strikes=strikes,
        days=settlements.days[used],
        left=left,
        place=place[either],
        group=group[either],
        strike=strikes[place[either]],
        call=_Side(iv[call], bid[call], ask[call]),
        put=_Side(iv[put], bid[put], ask[put]),
        call_oi=held(interest[call]),
        put_oi=held(interest[put]),
    )


def _sides(cell: NDArray[np.intp], is_call: Mask, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return put and call of every cell that has either: their places in `cell`, −1 where there is none."""
    table = np.full(2 * cells, -1)
    table[cell + cells * is_call] = np.arange(len(cell))
    put, call = table[:cells], table[cells:]
    present = np.flatnonzero(np.maximum(put, call) >= 0)
    return put[present], call[present]


def _term(pairs: _Pairs, spot: float, rate: float) -> _Term:
    years = np.maximum(pairs.left, _FLOOR) / YEAR
    growth = np.exp(rate * years)
    parity = _parity(pairs, spot, growth)
    sane = (parity > spot / 2) & (parity < spot * 2)
    return _Term(years, growth, np.where(sane, parity, spot * np.exp((rate - _DIVIDENDS) * years)))


def _parity(pairs: _Pairs, spot: float, growth: Floats) -> Floats:
    # the median over the eight two-sided strikes nearest spot of K + e^{rT}(C − P); NaN where there is none
    quoted = np.flatnonzero(pairs.call.two_sided & pairs.put.two_sided)
    group, strike = pairs.group[quoted], pairs.strike[quoted]
    by_distance = np.lexsort((np.abs(strike - spot), group))
    start = np.searchsorted(group, np.arange(len(growth)))  # `group` ascends, with and without the sorting by distance
    place = np.arange(len(group)) - start[group]
    chosen = place < _PARITY_STRIKES
    pick, group, place = quoted[by_distance[chosen]], group[chosen], place[chosen]
    call = 0.5 * (pairs.call.bid[pick] + pairs.call.ask[pick])
    put = 0.5 * (pairs.put.bid[pick] + pairs.put.ask[pick])
    table = np.full((len(growth), _PARITY_STRIKES), np.nan)
    table[group, place] = pairs.strike[pick] + growth[group] * (call - put)
    table.sort(axis=1)  # NaN comes last
    found = np.bincount(group, minlength=len(growth))
    row = np.arange(len(growth))
    median: Floats = 0.5 * (table[row, np.maximum(found - 1, 0) // 2] + table[row, found // 2])
    return median


def _from_prices(pairs: _Pairs, term: _Term, own: _Side, other: _Side, call_is_otm: Mask) -> tuple[Floats, Floats]:
    """Return the volatility solved from the mid price, and the most that an offer without a bid allows; NaN elsewhere.

    Both with the time that is left, without the floor: it is gamma that the floor keeps in bounds.
    """
    silent = ~stated(own.iv)
    quoted = np.flatnonzero(silent & own.two_sided)
    unwanted = silent & ~(own.bid > 0) & (own.ask > 0) & (own.ask <= _LEAST_OFFER)
    offered = np.flatnonzero(unwanted & ~stated(other.iv) & other.two_sided)
    rows = np.concatenate((quoted, offered))
    price = 0.5 * np.concatenate((own.bid[quoted] + own.ask[quoted], own.ask[offered]))
    group, left = pairs.group[rows], np.maximum(pairs.left, _LEAST_LEFT) / YEAR
    found = implied_volatility(
        price * term.growth[group], term.forward[group], pairs.strike[rows], left[group], call_is_otm[rows]
    )
    found = np.where(stated(found), found, np.nan)
    solved, most = np.full((2, len(pairs.strike)), np.nan)
    solved[quoted], most[offered] = found[: len(quoted)], found[len(quoted) :]
    return solved, most


def _fill(iv: Floats, pairs: _Pairs) -> None:
    # between the nearest strikes of the expiry that have one; beyond the outermost, theirs
    unknown = np.isnan(iv)
    missing, known = np.flatnonzero(unknown), np.flatnonzero(~unknown)
    if not len(missing) or not len(known):
        return
    after = np.searchsorted(known, missing)
    left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
    group, strike = pairs.group, pairs.strike
    has_left, has_right = (group[side] == group[missing] for side in (left, right))
    left, right = np.where(has_left, left, right), np.where(has_right, right, left)
    width = strike[right] - strike[left]
    share = np.divide(strike[missing] - strike[left], width, out=np.zeros(len(missing)), where=width > 0)
    filled = iv[left] + share * (iv[right] - iv[left])
    iv[missing] = np.where(has_left | has_right, filled, np.nan)


def _at_most(iv: Floats, most: Floats, pairs: _Pairs) -> Floats:
    bound = np.flatnonzero(~np.isnan(most))
    if not len(bound):
        return iv
    # An expiry with nothing but bounds gets the least of them, for those of far strikes tell little.
    least = np.full(len(pairs.left), np.nan)
    np.fmin.at(least, pairs.group[bound], most[bound])
    return np.fmin(np.where(np.isnan(iv), least[pairs.group], iv), most)
