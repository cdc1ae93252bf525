"""The definitions of gamma exposure, on chains made for the purpose and on chains that vendors make."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.clock import NEW_YORK
from services.errors import BadData, NothingExpires, PulseError
from services.feeds.base import Chain
from services.gamma import Expiry, Gamma, Lens, Mode, analyze
from services.gamma_profile import Profile
from services.smile import seconds_left, smile

WEDNESDAY = datetime(2026, 3, 11, 18, 0, tzinfo=UTC)  # 14:00 New York
DAY = date(2026, 3, 20)
YEAR = 365 * 86_400
COLUMNS = ("bid", "ask", "iv", "gamma", "delta", "open_interest", "volume")


def chain_of(rows, spot=100.0, as_of=WEDNESDAY, am=False) -> Chain:
    """Rows of (expiry, strike, is_call, {column: value}); what is left out is NaN."""
    columns = {name: np.array([row[3].get(name, math.nan) for row in rows], dtype=float) for name in COLUMNS}
    return Chain(
        symbol="TEST",
        spot=spot,
        as_of=as_of,
        source="test",
        delay=None,
        open_interest_date=None,
        strike=np.array([row[1] for row in rows], dtype=float),
        expiry=np.array([(row[0] - date(1970, 1, 1)).days for row in rows], dtype=np.int32),
        is_call=np.array([row[2] for row in rows], dtype=bool),
        am_settled=np.full(len(rows), am),
        **columns,
    )


def ladder(days=(DAY,), strikes=range(80, 121, 5), iv=0.3, seed=1, **columns) -> list:
    """Calls and puts with a volatility and random open interest."""
    random = np.random.default_rng(seed)
    return [
        (day, strike, is_call, {"iv": iv, "open_interest": float(random.integers(1, 5000)), **columns})
        for day in days
        for strike in strikes
        for is_call in (True, False)
    ]


def quoted(rows, forward=100.5, width=0.1) -> list:
    """Rows with bids and asks that obey put-call parity for the forward."""
    out = []
    for day, strike, is_call, columns in rows:
        discount = math.exp(-0.045 * years_to(day, 20))
        worth = discount * max(forward - strike if is_call else strike - forward, 0) + 2
        out.append((day, strike, is_call, columns | {"bid": worth - width / 2, "ask": worth + width / 2}))
    return out


def bell(x):
    return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def exposure(spot, strike, iv, years, interest, forward_ratio, rate=0.045):
    """GEX of one contract written out, with F = spot·forward_ratio."""
    deviation = iv * math.sqrt(years)
    d1 = math.log(spot * forward_ratio / strike) / deviation + deviation / 2
    gamma = forward_ratio * math.exp(-rate * years) * bell(d1) / (spot * deviation)
    return gamma * interest * 100 * spot * spot * 0.01


def slow(chain, spot, forward_ratio, years):
    """The sum of all contracts at a spot."""
    return math.fsum(
        (1 if call else -1) * exposure(spot, strike, iv, years, interest, forward_ratio)
        for strike, iv, interest, call in zip(
            chain.strike, chain.iv, chain.open_interest, chain.is_call.tolist(), strict=True
        )
    )


def facts(rows, **lens) -> Gamma:
    return analyze(chain_of(rows), Lens(**lens))


def years_to(day, hour, as_of=WEDNESDAY):
    return (datetime(day.year, day.month, day.day, hour, tzinfo=UTC) - as_of).total_seconds() / YEAR


# -- numbers


def test_total_bars_and_profile_agree_with_the_formula():
    chain = chain_of(ladder())
    gamma = analyze(chain)
    years = years_to(DAY, 20)  # 16:00 New York in daylight saving time
    ratio = math.exp((0.045 - 0.013) * years)
    assert gamma.total == pytest.approx(slow(chain, 100.0, ratio, years), rel=1e-12)
    assert gamma.total == pytest.approx(float((gamma.call_gex + gamma.put_gex).sum()))
    assert gamma.gross == pytest.approx(float((gamma.call_gex - gamma.put_gex).sum()))
    assert (gamma.call_gex >= 0).all()
    assert (gamma.put_gex <= 0).all()
    expected = [slow(chain, price, ratio, years) for price in gamma.profile_prices]
    peak = max(map(abs, expected))
    assert np.abs(gamma.profile - expected).max() <= 1e-12 * peak
    assert gamma.profile_prices[0] == pytest.approx(80)
    assert gamma.profile_prices[-1] == pytest.approx(120)


def test_time_runs_to_the_settlement_through_daylight_saving():
    before = datetime(2026, 3, 6, 21, tzinfo=UTC)  # 16:00 New York on Friday, standard time
    after = datetime(2026, 3, 13, 20, tzinfo=UTC)  # 16:00 New York a week later, one hour less in between
    chain = chain_of(ladder(days=(date(2026, 3, 13),)), as_of=before)
    years = (after - before).total_seconds() / YEAR
    assert years == pytest.approx((7 * 24 - 1) / (365 * 24))
    assert analyze(chain).total == pytest.approx(slow(chain, 100.0, math.exp(0.032 * years), years), rel=1e-12)


def test_am_settled_contracts_end_at_the_open():
    morning = datetime(2026, 3, 20, 14, 0, tzinfo=UTC)  # 10:00 New York on the last day
    rows = ladder(days=(DAY,))
    assert analyze(chain_of(rows, as_of=morning)).expiries == (DAY,)
    with pytest.raises(NothingExpires):
        analyze(chain_of(rows, as_of=morning, am=True))


def test_the_last_hour_counts_as_a_whole_one():
    rows = ladder()
    at_close = datetime(2026, 3, 20, 20, tzinfo=UTC)
    hour, minutes = (analyze(chain_of(rows, as_of=at_close - timedelta(minutes=m))) for m in (60, 5))
    assert hour.total == minutes.total


def test_the_forward_comes_from_put_call_parity():
    years = years_to(DAY, 20)
    chain = chain_of(quoted(ladder(), forward=103.0))
    assert analyze(chain).total == pytest.approx(slow(chain, 100.0, 1.03, years), rel=1e-9)


def test_one_absurd_quote_does_not_move_the_forward():
    rows = quoted(ladder())
    broken = [(d, k, c, v | {"bid": 0.01, "ask": 99.0} if k == 90 and c else v) for d, k, c, v in rows]
    assert facts(broken).total == pytest.approx(facts(rows).total, rel=1e-9)


def test_volatility_of_the_money_side_is_preferred():
    rows = ladder()
    noisy = [(d, k, c, v | {"iv": 2.5} if (k < 95) == c else v) for d, k, c, v in rows if not 95 <= k <= 105]
    clean = [row for row in rows if not 95 <= row[1] <= 105]
    assert facts(noisy).total == pytest.approx(facts(clean).total, rel=1e-12)


@pytest.mark.parametrize("none", [0.0, -999.0, math.nan, math.inf, 1e-5])
def test_missing_volatility_is_solved_from_the_mid_then_taken_from_the_other_side(none):
    years = years_to(DAY, 20)
    rows, priced = ladder(iv=0.25), []
    for day, strike, is_call, columns in rows:
        if strike == 110 and is_call:
            forward, deviation = 100 * math.exp(0.032 * years), 0.4 * math.sqrt(years)
            d1 = math.log(forward / 110) / deviation + deviation / 2
            phi = [0.5 * math.erfc(-d / math.sqrt(2)) for d in (d1, d1 - deviation)]
            mid = math.exp(-0.045 * years) * (forward * phi[0] - 110 * phi[1])
            columns |= {"iv": none, "bid": mid * 0.9, "ask": mid * 1.1}
        priced.append((day, strike, is_call, columns))
    gamma = facts(priced)
    at = list(gamma.strikes).index(110)
    interest = next(row[3]["open_interest"] for row in rows if row[1] == 110 and row[2])
    ratio = math.exp(0.032 * years)
    assert gamma.call_gex[at] == pytest.approx(exposure(100, 110, 0.4, years, interest, ratio), rel=1e-9)
    assert dict(map(reversed, gamma.iv_sources))["solved from mid prices"] > 0
    unquoted = [(d, k, c, {**v, "bid": math.nan} if k == 110 else v) for d, k, c, v in priced]
    assert facts(unquoted).call_gex[at] == pytest.approx(exposure(100, 110, 0.25, years, interest, ratio), rel=1e-9)


def test_a_strike_without_any_volatility_lies_between_its_neighbours():
    rows = [(d, k, c, {**v, "iv": {90: 0.4, 95: 0.0, 100: 0.3}.get(k, 0.2)}) for d, k, c, v in ladder()]
    gamma = facts(rows, expiry=DAY)
    years = years_to(DAY, 20)
    interest = next(row[3]["open_interest"] for row in rows if row[1] == 95 and row[2])
    expected = exposure(100, 95, 0.35, years, interest, math.exp(0.032 * years))
    assert gamma.call_gex[list(gamma.strikes).index(95)] == pytest.approx(expected, rel=1e-9)
    assert 0 < gamma.coverage < 1


# -- levels


def test_walls_are_the_strikes_of_the_largest_and_smallest_net():
    interest = {(105, True): 900.0, (100, True): 5000.0, (100, False): 5000.0, (95, False): 800.0, (90, True): 1.0}
    rows = [(DAY, k, c, {"iv": 0.3, "open_interest": oi}) for (k, c), oi in interest.items()]
    gamma = facts(rows)
    assert (gamma.call_wall, gamma.put_wall, gamma.abs_gamma) == (105, 95, 100)


def test_a_contract_that_can_have_no_gamma_is_not_missed():
    far = [(DAY, 84, False, {"open_interest": 1e6})]  # 3.7 standard deviations away
    near = [(DAY, 88, False, {"open_interest": 1e6})]
    assert facts([*ladder(strikes=range(90, 111, 5)), *far]).coverage == 1
    with pytest.raises(BadData, match="would be a guess"):
        facts([*ladder(strikes=range(90, 111, 5)), *near])


@pytest.mark.parametrize("forward", [40.0, 250.0])
def test_a_forward_that_cannot_be_one_is_not_believed(forward):
    chain = chain_of(quoted(ladder(), forward=forward))
    found = smile(chain, np.ones(len(chain.strike), bool), seconds_left(chain, WEDNESDAY), 0.045).forward
    assert found == pytest.approx(100 * math.exp((0.045 - 0.013) * years_to(DAY, 20)))


@pytest.mark.parametrize(("hour", "expiries"), [(15, 2), (16, 1)])
def test_gflows_drops_what_expires_today_at_four(hour, expiries):
    at = datetime.combine(DAY, time(hour, 0 if hour == 16 else 59), NEW_YORK)
    chain = chain_of(ladder(days=(DAY, DAY + timedelta(days=7))), as_of=at.astimezone(UTC))
    assert len(analyze(chain, Lens(mode=Mode.GFLOWS)).expiries) == expiries


def test_max_pain_is_where_holders_get_least():
    rows = [
        (DAY, 90, True, {"iv": 0.3, "open_interest": 10.0}),
        (DAY, 100, True, {"iv": 0.3, "open_interest": 100.0}),
        (DAY, 100, False, {"iv": 0.3, "open_interest": 100.0}),
        (DAY, 110, False, {"iv": 0.3, "open_interest": 10.0}),
    ]
    assert facts(rows).max_pain == 100


def test_expected_move_is_the_straddle_or_its_approximation():
    rows = ladder()
    years = years_to(DAY, 20)
    assert facts(rows).expected_move == pytest.approx(0.8 * 100 * 0.3 * math.sqrt(years))
    straddle = [(d, k, c, v | {"bid": 2.0, "ask": 2.4} if k == 100 else v) for d, k, c, v in rows]
    assert facts(straddle).expected_move == pytest.approx(4.4)


def test_the_straddle_is_that_of_the_price_that_the_options_are_quoted_at():
    rows = [
        (day, strike, is_call, values | {"bid": values["bid"] + abs(strike - 100) / 9})
        for day, strike, is_call, values in quoted(ladder(), forward=100.0)
    ]
    rows = [(day, strike, is_call, values | {"ask": values["bid"] + 0.1}) for day, strike, is_call, values in rows]
    after_hours = replace(chain_of(rows), spot=105.0)
    assert analyze(after_hours).expected_move == analyze(chain_of(rows)).expected_move < 5


def test_on_a_day_with_two_settlements_the_move_is_that_to_the_close():
    rows = ladder()
    chain = chain_of([*rows, *rows])
    chain = replace(chain, am_settled=np.arange(len(chain.strike)) < len(rows))
    assert analyze(chain).expected_move == facts(rows).expected_move


def test_there_is_no_flip_where_nothing_crosses():
    rows = [row for row in ladder() if row[2]]
    gamma = facts(rows)
    assert gamma.flip is None
    assert gamma.put_wall is None


def test_the_flip_nearest_spot_wins_and_upward_is_preferred():
    signs = {82: 1, 86: -1, 90: 1, 94: -1, 99: 1, 103: -1, 107: 1, 111: -1, 115: 1, 119: -1}
    rows = [
        (DAY, strike, is_call, {"iv": 0.05, "open_interest": 1000.0 if (sign > 0) == is_call else 0.0})
        for strike, sign in signs.items()
        for is_call in (True, False)
    ]
    gamma = facts(rows, expiry=DAY)
    crossings = dense_roots(gamma, chain_of(rows))
    assert len(crossings) >= 9
    upward = [root for root, rising in crossings if rising]
    assert gamma.flip == pytest.approx(min(upward, key=lambda root: abs(root - 100)), rel=1e-8)
    nearest = min((root for root, _ in crossings), key=lambda root: abs(root - 100))
    assert nearest != pytest.approx(gamma.flip, rel=1e-8), "the nearest of all is a downward one here"


def dense_roots(gamma, chain, steps=4000):
    """Every crossing of the profile by brute force: a dense grid and bisection on the slow sum."""
    years = years_to(DAY, 20)
    ratio = math.exp(0.032 * years)
    prices = np.linspace(80, 120, steps)
    if gamma.flip is not None:
        # A pair of crossings may be too close even for this grid; no sign changes here unless the flip is a root.
        prices = np.union1d(prices, [gamma.flip * (1 - 1e-7), gamma.flip * (1 + 1e-7)])
    deviation = chain.iv * math.sqrt(years)
    weight = np.where(chain.is_call, 1, -1) * chain.open_interest / deviation

    def at(price):
        d1 = np.log(price * ratio / chain.strike) / deviation + deviation / 2
        return float(weight @ np.exp(-0.5 * d1 * d1))

    values = [at(price) for price in prices]
    roots = []
    for i in range(len(prices) - 1):
        if values[i] * values[i + 1] < 0:
            low, high, rising = prices[i], prices[i + 1], values[i] < 0
            for _ in range(80):
                middle = (low + high) / 2
                low, high = (middle, high) if (at(middle) < 0) == rising else (low, middle)
            roots.append(((low + high) / 2, rising))
    return roots


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), iv=st.floats(0.1, 0.8))
@example(seed=154, iv=0.25420469949038116)  # 104.698 and 104.760 lie between two neighbours of the coarse grid
def test_the_flip_is_a_root_of_a_dense_profile(seed, iv):
    chain = chain_of(ladder(seed=seed, iv=iv))
    gamma = analyze(chain)
    roots = dense_roots(gamma, chain, 1500)
    wanted = [root for root, rising in roots if rising] or [root for root, _ in roots]
    if not wanted:
        assert gamma.flip is None
    else:
        assert gamma.flip == pytest.approx(min(wanted, key=lambda root: abs(root - 100)), rel=1e-8)


@pytest.mark.parametrize("depth", [1e-3, 1e-6, -1e-6])
def test_a_dip_between_two_prices_of_the_grid_is_seen_when_it_crosses_zero(depth):
    # One narrow bell of puts, in the middle of a cell, on a wide hill of calls.
    centre = math.log(1.04817)
    wide, narrow = 1 / (0.3 * math.sqrt(2)), 1 / (0.002 * math.sqrt(2))
    hill = math.exp(-((wide * centre) ** 2))
    profile = Profile(
        100.0,
        weight=np.array([1.0, -hill * (1 + depth)]),
        slope=np.array([wide, narrow]),
        offset=np.array([0.0, -narrow * centre]),
    )
    prices, values = profile.curve()
    assert (values > 0).all(), "the grid does not see it"
    flip = profile.flip(prices, values)
    if depth <= 0:
        assert flip is None
    else:
        assert 104.817 < flip < 104.83
        assert profile.at(np.array([flip * (1 - 1e-9)]))[0] < 0 < profile.at(np.array([flip * (1 + 1e-9)]))[0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), steepest=st.sampled_from([1.0, 8.0, 20.0, 25.0, 400.0]))
def test_the_curve_is_the_sum_of_all_bells_however_wide_they_are(seed, steepest):
    random = np.random.default_rng(seed)
    slope = np.exp(random.uniform(math.log(0.4), math.log(steepest), 400))
    offset = slope * random.uniform(-0.5, 0.5, 400)
    profile = Profile(50.0, random.uniform(-1, 1, 400) * slope, slope, offset)
    prices, values = profile.curve()
    each = profile.weight * np.exp(-((np.log(prices / 50.0)[:, None] * slope + offset) ** 2))
    expected = prices * np.array([math.fsum(row) for row in each.tolist()])
    largest = (prices * np.abs(each).sum(axis=1)).max()
    assert np.abs(values - expected).max() <= 1e-13 * largest
    assert profile.at(prices) == pytest.approx(expected, abs=1e-13 * largest)


# -- which contracts


def test_expired_contracts_do_not_count():
    live = ladder()
    stale = ladder(days=(date(2026, 3, 10),), seed=2, gamma=0.5)
    assert facts(stale + live).total == facts(live).total
    assert facts(stale + live).expiries == (DAY,)
    assert facts(stale + live).contracts == len(live)
    assert analyze(chain_of(stale + live), Lens(mode=Mode.GFLOWS)).total == 0.0
    assert analyze(chain_of(stale + live), Lens(mode=Mode.PERFILIEV)).total != 0.0, "Perfiliev keeps what has expired"


def test_the_order_of_the_contracts_does_not_matter():
    rows = ladder(days=(DAY, date(2026, 4, 17)))
    shuffled = [rows[i] for i in np.random.default_rng(3).permutation(len(rows))]
    assert facts(shuffled).total == pytest.approx(facts(rows).total, rel=1e-13)
    assert facts(shuffled).flip == pytest.approx(facts(rows).flip, rel=1e-13)


FRIDAY, MONDAY, MONTHLY = date(2026, 3, 13), date(2026, 3, 16), date(2026, 3, 20)
ALL_DAYS = (date(2026, 3, 11), FRIDAY, MONDAY, MONTHLY, date(2026, 4, 17))
EVENING = datetime(2026, 3, 11, 21, 0, tzinfo=UTC)
FRIDAY_NIGHT = datetime(2026, 3, 13, 21, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expiry", "as_of", "expected"),
    [
        (Expiry.ALL, WEDNESDAY, ALL_DAYS),
        (Expiry.ZERO_DTE, WEDNESDAY, ALL_DAYS[:1]),
        (Expiry.ZERO_DTE, EVENING, (FRIDAY,)),
        (Expiry.WEEK, WEDNESDAY, ALL_DAYS[:2]),
        (Expiry.WEEK, FRIDAY_NIGHT, (MONDAY, MONTHLY)),
        (Expiry.WEEK, datetime(2026, 3, 13, 19, 59, 59, tzinfo=UTC), (FRIDAY,)),
        (Expiry.WEEK, datetime(2026, 3, 13, 20, 0, tzinfo=UTC), (MONDAY, MONTHLY)),
        (Expiry.OPEX, WEDNESDAY, (MONTHLY,)),
        (Expiry.OPEX, datetime(2026, 3, 21, tzinfo=UTC), (date(2026, 4, 17),)),
        (FRIDAY, WEDNESDAY, (FRIDAY,)),
    ],
)
def test_expiry_filters(expiry, as_of, expected):
    assert analyze(chain_of(ladder(days=ALL_DAYS), as_of=as_of), Lens(expiry=expiry)).expiries == expected


def test_a_week_without_expiry_gives_the_nearest_one():
    assert facts(ladder(days=(MONTHLY, date(2026, 4, 17))), expiry=Expiry.WEEK).expiries == (MONTHLY,)


def test_a_monthly_on_a_holiday_is_the_thursday_before():
    days = (date(2025, 4, 16), date(2025, 4, 17), date(2025, 4, 21))  # 18 April 2025 was Good Friday
    chain = chain_of(ladder(days=days), as_of=datetime(2025, 4, 14, 15, tzinfo=UTC))
    assert analyze(chain, Lens(expiry=Expiry.OPEX)).expiries == (date(2025, 4, 17),)


def test_an_expiry_that_is_not_listed_names_those_that_are():
    with pytest.raises(NothingExpires, match=r"26 Mar 2026.*Available: 11 Mar 2026, 13 Mar 2026"):
        facts(ladder(days=ALL_DAYS), expiry=date(2026, 3, 26))
    with pytest.raises(NothingExpires, match="has expired"):
        facts(ladder(days=(date(2026, 3, 1),)))


# -- bad data is named


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c: replace(c, spot=math.nan), "no price"),
        (lambda c: replace(c, spot=0.0), "no price"),
        (lambda c: replace(c, iv=np.full_like(c.iv, math.nan)), "no usable implied volatility"),
        (lambda c: replace(c, iv=np.full_like(c.iv, -999.0)), "no usable implied volatility"),
        (lambda c: replace(c, iv=np.zeros_like(c.iv), bid=c.iv + 9, ask=c.iv + 1), "no usable implied volatility"),
        (lambda c: replace(c, open_interest=np.full_like(c.iv, math.nan)), "too few"),
        (lambda c: replace(c, open_interest=np.zeros_like(c.iv)), "too few"),
        (lambda _: chain_of([]), "no option contracts"),
        (lambda _: chain_of(ladder(strikes=(100,))), "too few"),
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_bad_data_is_named(spoil, words, mode):
    with pytest.raises(BadData, match=words):
        analyze(spoil(chain_of(ladder())), Lens(mode=mode))


@pytest.mark.parametrize(("share", "expiry"), [(0.45, Expiry.ALL), (0.45, Expiry.WEEK), (0.55, Expiry.ALL)])
def test_without_a_volatility_for_most_of_the_open_interest_there_is_no_picture(share, expiry):
    known = {97: 0.3, 98: math.nan, 99: 0.3, 100: math.nan, 101: 0.3}
    interest = {97: share / 3, 98: (1 - share) / 2, 99: share / 3, 100: (1 - share) / 2, 101: share / 3}
    chain = chain_of([(DAY, k, c, {"iv": known[k], "open_interest": 1e4 * interest[k]}) for k in known for c in (1, 0)])
    if share > 0.5:
        gamma = analyze(chain, Lens(expiry=expiry))
        assert gamma.coverage == pytest.approx(share)
        assert [kind for _, kind in gamma.iv_sources] == ["vendor", "between neighbouring strikes"]
        return
    advice = "Try again when its options are quoted" if expiry is Expiry.ALL else "Choose another expiry"
    with pytest.raises(BadData, match=rf"55% of the open interest in TEST .* {advice}\.$"):
        analyze(chain, Lens(expiry=expiry))


LAST_MINUTES = datetime(2026, 3, 20, 19, 58, tzinfo=UTC)


def last_minutes(tick=0.01, inside=0.01) -> list:
    """The money sides are quoted at their worth; for the others nobody bids, and `tick` is asked."""
    rows = []
    for strike in range(95, 106):
        for is_call in (True, False):
            worth = max(100.3 - strike if is_call else strike - 100.3, 0)
            quote = {"bid": worth - inside, "ask": worth + inside} if worth else {"bid": 0.0, "ask": tick}
            rows.append((DAY, strike, is_call, {"iv": math.nan, "open_interest": 500.0 + strike * is_call, **quote}))
    return rows


@pytest.mark.parametrize("expiry", [Expiry.ALL, Expiry.ZERO_DTE])
def test_minutes_before_the_close_an_offer_without_a_bid_tells_enough(expiry):
    gamma = analyze(chain_of(last_minutes(), spot=100.3, as_of=LAST_MINUTES), Lens(expiry=expiry))
    assert gamma.coverage == 1.0
    assert gamma.iv_sources == ((1.0, "bounded by offers"),)
    assert gamma.abs_gamma in {100, 101}, "the largest is beside spot"
    near = gamma.call_gex[list(gamma.strikes).index(100)]
    assert gamma.call_gex[list(gamma.strikes).index(103)] < 0.1 * near


@pytest.mark.parametrize(
    "rows",
    [
        last_minutes(tick=0.06),
        [(d, k, c, v | {"bid": 0.0, "ask": 0.01}) for d, k, c, v in last_minutes()],
        [(d, k, c, v | {"ask": math.nan}) for d, k, c, v in last_minutes()],
    ],
    ids=["offers of more", "no bids at all", "no offers"],
)
def test_where_nothing_near_spot_is_priced_the_last_minutes_are_a_guess(rows):
    with pytest.raises(BadData, match=r"100% .* Choose another expiry\.$"):
        analyze(chain_of(rows, spot=100.3, as_of=LAST_MINUTES), Lens(expiry=Expiry.ZERO_DTE))


@pytest.mark.parametrize(
    ("stated", "expected"), [(0.05, 0.05), (40.0, "its own bound"), (math.nan, "the least bound")], ids=str
)
def test_an_offer_without_a_bid_bounds_what_the_neighbours_say_and_stands_in_for_none(stated, expected):
    rows = [(d, k, c, v | {"iv": stated} if k == 100 and not c else v) for d, k, c, v in last_minutes()]
    chain = chain_of(rows, spot=100.3, as_of=LAST_MINUTES)
    surface = smile(chain, np.ones(len(rows), bool), seconds_left(chain, LAST_MINUTES), 0.045)
    iv = dict(zip(surface.strike.tolist(), surface.iv.tolist(), strict=True))
    years = 120 / YEAR

    def worth(strike):
        """Of the put below the forward or the call above it, by Black with the two minutes that are left."""
        deviation, forward = iv[strike] * math.sqrt(years), surface.forward[0]
        d1 = math.log(forward / strike) / deviation + deviation / 2
        side = 1 if strike > forward else -1
        first, second = (0.5 * math.erfc(-side * d / math.sqrt(2)) for d in (d1, d1 - deviation))
        return side * (forward * first - strike * second)

    assert surface.bounded.sum() == (11 if math.isnan(stated) else 10)
    if expected == "its own bound":
        assert [worth(strike) for strike in (97, 99, 101, 105)] == pytest.approx([0.005] * 4, rel=1e-4)
    elif expected == "the least bound":
        assert len(set(iv.values())) == 1
        assert worth(100) == pytest.approx(0.005, rel=1e-4), "its strike is the nearest"
    else:
        assert set(iv.values()) == {expected}


ODD = st.sampled_from([0.0, -999.0, math.nan, 0.0001, 0.3, 5.0, math.inf, -1.0])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([date(2026, 3, 10), date(2026, 3, 11), FRIDAY, MONTHLY, date(2028, 1, 21)]),
            st.sampled_from([0.0, 1.0, 95.0, 99.5, 100.0, 100.5, 105.0, 1e6, math.nan]),
            st.booleans(),
            st.fixed_dictionaries(dict.fromkeys(COLUMNS, ODD) | {"open_interest": st.sampled_from([0, 7, math.nan])}),
        ),
        max_size=40,
    ),
    mode=st.sampled_from(Mode),
    expiry=st.sampled_from([*Expiry, FRIDAY]),
    minutes=st.sampled_from([0, 119, 121, 600]),
    units=st.tuples(st.booleans(), st.booleans()),
)
def test_whatever_a_vendor_sends_is_analysed_or_refused(rows, mode, expiry, minutes, units):
    try:
        gamma = analyze(chain_of(rows, as_of=WEDNESDAY + timedelta(minutes=minutes)), Lens(expiry, mode, *units))
    except PulseError:
        return
    drift = [gamma.vanna, gamma.charm] if mode in {Mode.OURS, Mode.VENDOR} else []
    assert np.isfinite([gamma.total, gamma.gross, gamma.coverage, gamma.zero_dte, *drift]).all()
    assert np.isfinite(gamma.profile).all()


# -- properties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 1000))
def test_scaling_open_interest_scales_exposure(seed, factor):
    chain = chain_of(ladder(seed=seed))
    small, large = analyze(chain), analyze(replace(chain, open_interest=chain.open_interest * factor))
    assert large.total == pytest.approx(small.total * factor, rel=1e-9, abs=1e-9 * large.gross)
    assert large.gross == pytest.approx(small.gross * factor, rel=1e-12)
    assert (large.call_wall, large.put_wall) == (small.call_wall, small.put_wall)
    assert large.flip == pytest.approx(small.flip, rel=1e-9) if small.flip else large.flip is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_swapping_calls_and_puts_turns_the_sign(seed):
    chain = chain_of(ladder(seed=seed))
    one, other = analyze(chain), analyze(replace(chain, is_call=~chain.is_call))
    assert other.total == pytest.approx(-one.total, rel=1e-9, abs=1e-12 * one.gross)
    assert np.allclose(other.profile, -one.profile, rtol=1e-9, atol=1e-12 * one.gross)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.001, 0.37, 3.0, 1000.0]))
def test_the_unit_of_price_does_not_matter(seed, factor):
    chain = chain_of(quoted(ladder(seed=seed), forward=101.0))
    other = replace(
        chain,
        spot=chain.spot * factor,
        strike=chain.strike * factor,
        bid=chain.bid * factor,
        ask=chain.ask * factor,
    )
    one, scaled = analyze(chain), analyze(other)
    assert scaled.gross == pytest.approx(one.gross * factor, rel=1e-9)
    assert scaled.total == pytest.approx(one.total * factor, rel=1e-9, abs=1e-9 * scaled.gross)
    assert scaled.flip == pytest.approx(one.flip * factor, rel=1e-9) if one.flip else scaled.flip is None
    assert scaled.expected_move == pytest.approx(one.expected_move * factor)
