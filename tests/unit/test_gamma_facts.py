"""What a lens changes, and what stands beside walls and flip: exposure by expiry, 0DTE, vanna, charm, open interest."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gamma import DAY, WEDNESDAY, chain_of, ladder, years_to

from services.errors import BadData, NothingExpires
from services.gamma import Expiry, Lens, Mode, analyze
from services.gamma_table import table
from services.smile import seconds_left, smile

TODAY = date(2026, 3, 11)
DAYS = (TODAY, date(2026, 3, 13), DAY, date(2026, 4, 17), date(2026, 9, 18))


def two_days():
    return chain_of(ladder(days=(TODAY, DAY)))


def test_exposure_by_expiry_adds_up_and_today_stands_apart():
    gamma = analyze(two_days())
    assert [each.day for each in gamma.by_expiry] == [TODAY, DAY]
    assert sum(each.net for each in gamma.by_expiry) == pytest.approx(gamma.total)
    assert sum(each.gross for each in gamma.by_expiry) == pytest.approx(gamma.gross)
    today = analyze(two_days(), Lens(TODAY))
    assert gamma.zero_dte == pytest.approx(today.gross / gamma.gross)
    assert today.zero_dte == 1.0
    assert analyze(two_days(), Lens(DAY)).zero_dte == 0.0
    assert today.listed == gamma.listed == (TODAY, DAY)


def test_both_settlements_of_a_day_are_one_expiry():
    chain = chain_of(ladder(days=(DAY,)) + ladder(days=(DAY,), seed=2))
    both = replace(chain, am_settled=np.arange(len(chain.strike)) < len(chain.strike) // 2)
    gamma = analyze(both)
    assert [each.day for each in gamma.by_expiry] == [DAY]
    assert gamma.by_expiry[0].net == pytest.approx(gamma.total)


def test_the_next_94_days_are_a_filter():
    gamma = analyze(chain_of(ladder(days=DAYS)), Lens(Expiry.NEAR))
    assert gamma.expiries == DAYS[:-1]
    with pytest.raises(NothingExpires, match=r"No TEST option expires within 94 days\. Available: 18 Sep 2026\.$"):
        analyze(chain_of(ladder(days=DAYS[-1:])), Lens(Expiry.NEAR))


def test_walls_of_either_side_and_of_open_interest_stand_beside_the_net_ones():
    interest = {
        (95, False): 800,
        (100, True): 5000,
        (100, False): 5100,
        (105, True): 900,
        (120, True): 9000,
        (80, False): 8000,
    }
    rows = [(DAY, k, c, {"iv": 0.2, "open_interest": float(oi)}) for (k, c), oi in interest.items()]
    gamma = analyze(chain_of(rows))
    assert (gamma.call_wall, gamma.put_wall) == (105, 95)
    assert (gamma.max_call_gamma, gamma.max_put_gamma, gamma.abs_gamma) == (100, 100, 100)
    assert (gamma.call_oi_wall, gamma.put_oi_wall) == (120, 80)


def test_volume_takes_the_place_of_open_interest():
    rows = ladder(volume=7.0)
    traded = analyze(chain_of(rows), Lens(by_volume=True))
    same = analyze(chain_of([(d, k, c, v | {"open_interest": 7.0}) for d, k, c, v in rows]))
    assert traded.total == same.total
    assert traded.flip == same.flip
    assert traded.open_interest_date is None
    with pytest.raises(
        BadData, match=r"were traded today at test: too few for a picture\. Count open interest instead\."
    ):
        analyze(chain_of(ladder(volume=0.0)), Lens(by_volume=True))


@pytest.mark.parametrize(("per_point", "unit"), [(False, "usd_per_1pct"), (True, "usd_per_point")])
def test_the_table_has_calls_puts_and_what_is_left_of_both(per_point, unit):
    gamma = analyze(two_days(), Lens(per_point=per_point))
    titles, *lines = table(gamma).decode().splitlines()
    assert titles.split(",") == ["strike", *(f"{side}_gex_{unit}" for side in ("call", "put", "net"))]
    rows = [[float(value) for value in line.split(",")] for line in lines]
    assert [row[0] for row in rows] == gamma.strikes.tolist()
    assert all(call >= 0 >= put and net == call + put for _, call, put, net in rows)
    assert sum(row[3] for row in rows) == pytest.approx(gamma.total)


def test_a_point_is_a_hundredth_of_spot_as_many_percent():
    percent, point = analyze(two_days()), analyze(two_days(), Lens(per_point=True))
    chain = replace(two_days(), spot=104.0)
    assert point.total == pytest.approx(percent.total), "at a spot of 100"
    percent, point = analyze(chain), analyze(chain, Lens(per_point=True))
    assert point.total == pytest.approx(percent.total / 1.04)
    assert point.gross == pytest.approx(percent.gross / 1.04)
    assert point.by_expiry[0].gross == pytest.approx(percent.by_expiry[0].gross / 1.04)
    assert point.profile == pytest.approx(percent.profile * 100 / percent.profile_prices)
    assert (point.flip, point.call_wall, point.vanna) == (percent.flip, percent.call_wall, percent.vanna)


def test_vendor_gamma_is_in_the_bars_and_our_profile_beside_it():
    rows = ladder(gamma=0.01)
    gamma, ours = analyze(chain_of(rows), Lens(mode=Mode.VENDOR)), analyze(chain_of(rows))
    interest = {(k, c): v["open_interest"] for _, k, c, v in rows}
    assert gamma.call_gex.tolist() == pytest.approx([0.01 * interest[k, True] * 100**2 for k in gamma.strikes.tolist()])
    assert gamma.total == pytest.approx(sum((1 if c else -1) * 100 * oi for (_, c), oi in interest.items()))
    assert gamma.flip == ours.flip
    assert gamma.by_expiry[0].net == pytest.approx(gamma.total)
    with pytest.raises(BadData, match=r"test gives no gamma of its own for TEST\. Take our definitions instead\."):
        analyze(chain_of(ladder()), Lens(mode=Mode.VENDOR))


# -- vanna and charm


def delta(spot, strike, years, iv, rate, dividends, is_call):
    d1 = (mpmath.log(spot / strike) + (rate - dividends + iv * iv / 2) * years) / (iv * mpmath.sqrt(years))
    sign = 1 if is_call else -1
    return sign * mpmath.exp(-dividends * years) * mpmath.ncdf(sign * d1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_vanna_and_charm_are_the_derivatives_of_delta(seed):
    chain = chain_of(ladder(seed=seed, iv=0.27))
    gamma = analyze(chain)
    years = years_to(DAY, 20)
    vanna = charm = mpmath.mpf(0)
    for strike, is_call, interest in zip(chain.strike, chain.is_call.tolist(), chain.open_interest, strict=True):

        def at(t, v, strike=float(strike), is_call=is_call):
            return delta(mpmath.mpf(100), strike, t, v, mpmath.mpf("0.045"), mpmath.mpf("0.013"), is_call)

        side = (1 if is_call else -1) * float(interest) * 100 * 100
        vanna += side * mpmath.diff(lambda v, at=at: at(years, v), 0.27) / 100
        charm -= side * mpmath.diff(lambda t, at=at: at(t, mpmath.mpf("0.27")), years) / 365
    assert gamma.vanna == pytest.approx(float(vanna), rel=1e-9)
    assert gamma.charm == pytest.approx(float(charm), rel=1e-9)


@pytest.mark.parametrize("mode", [Mode.PERFILIEV, Mode.GFLOWS])
def test_the_published_programs_have_neither(mode):
    gamma = analyze(two_days(), Lens(mode=mode))
    assert (gamma.vanna, gamma.charm) == (None, None)


# -- properties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 1000), mode=st.sampled_from(Mode))
def test_twice_the_contracts_are_twice_the_exposure_at_the_same_levels(seed, factor, mode):
    chain = chain_of(ladder(days=(TODAY, DAY), seed=seed, gamma=0.02))
    one, other = (
        analyze(c, Lens(mode=mode)) for c in (chain, replace(chain, open_interest=chain.open_interest * factor))
    )
    for name in ("total", "gross"):
        assert getattr(other, name) == pytest.approx(
            getattr(one, name) * factor, rel=1e-9, abs=1e-6 * one.gross * factor
        )
    if one.vanna is not None:
        assert other.vanna == pytest.approx(one.vanna * factor, rel=1e-6)
        assert other.charm == pytest.approx(one.charm * factor, rel=1e-6)
    for name in ("call_wall", "put_wall", "max_call_gamma", "max_put_gamma", "abs_gamma", "call_oi_wall", "max_pain"):
        assert getattr(other, name) == getattr(one, name)
    assert other.zero_dte == pytest.approx(one.zero_dte)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_calls_for_puts_mirror_what_each_side_has(seed):
    chain = chain_of(ladder(days=(TODAY, DAY), seed=seed))
    one, other = analyze(chain), analyze(replace(chain, is_call=~chain.is_call))
    assert (other.max_call_gamma, other.max_put_gamma) == (one.max_put_gamma, one.max_call_gamma)
    assert (other.call_oi_wall, other.put_oi_wall) == (one.put_oi_wall, one.call_oi_wall)
    assert other.vanna == pytest.approx(-one.vanna)
    assert [each.net for each in other.by_expiry] == pytest.approx([-each.net for each in one.by_expiry])
    assert [each.gross for each in other.by_expiry] == pytest.approx([each.gross for each in one.by_expiry])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.01, 0.1, 2.0, 10.0, 60.0]))
def test_a_price_in_other_units_moves_every_level_with_it(seed, factor):
    chain = chain_of(ladder(days=(TODAY, DAY), seed=seed))
    one, other = analyze(chain), analyze(replace(chain, spot=chain.spot * factor, strike=chain.strike * factor))
    for name in (
        "flip",
        "call_wall",
        "put_wall",
        "max_call_gamma",
        "abs_gamma",
        "call_oi_wall",
        "max_pain",
        "expected_move",
    ):
        level = getattr(one, name)
        assert getattr(other, name) == (None if level is None else pytest.approx(level * factor, rel=1e-9))
    assert other.total == pytest.approx(one.total * factor, rel=1e-9, abs=1e-9 * other.gross)
    assert other.charm == pytest.approx(one.charm * factor, rel=1e-6, abs=1e-9 * other.gross)


# -- the last minutes


CLOSE = datetime(2026, 3, 20, 20, tzinfo=UTC)


def closing(minutes, seed, *, vendor=None, spot=500.3):
    """Calls above and puts below spot, at Black's worth by 15 % volatility and in whole cents."""
    random, rows = np.random.default_rng(seed), []
    deviation = 0.15 * math.sqrt(minutes * 60 / (365 * 86_400))
    for strike in range(488, 514):
        for is_call in (True, False):
            sign, d1 = (1 if is_call else -1), math.log(spot / strike) / deviation + deviation / 2
            first, second = (0.5 * math.erfc(-sign * d / math.sqrt(2)) for d in (d1, d1 - deviation))
            worth = 100 * sign * (spot * first - strike * second)
            hill = 3000 * math.exp(-(((strike - spot) * sign - 3) ** 2) / 8)
            quote = {"bid": max(math.floor(worth - 0.3), 0) / 100, "ask": math.ceil(worth + 0.3) / 100}
            iv = math.nan if vendor is None else vendor
            rows.append((DAY, strike, is_call, {"iv": iv, "open_interest": hill + random.integers(100, 600), **quote}))
    return chain_of(rows, spot=spot, as_of=CLOSE - timedelta(minutes=minutes))


@pytest.mark.parametrize(("minutes", "off"), [(60, 0.01), (30, 0.02), (10, 0.03), (5, 0.05), (2, 0.35)])
@pytest.mark.parametrize("seed", [1, 2])
def test_minutes_before_the_close_quotes_in_cents_tell_the_volatility(minutes, off, seed):
    chain = closing(minutes, seed)
    surface = smile(chain, np.ones(len(chain.strike), bool), seconds_left(chain, chain.as_of), 0.045)
    near = np.abs(surface.strike - chain.spot) < 1
    assert surface.iv[near] == pytest.approx(0.15, rel=off)
    known = analyze(closing(minutes, seed, vendor=0.15))
    gamma = analyze(chain)
    assert gamma.flip == pytest.approx(known.flip, abs=0.25), "a quarter of the way to the next strike"
    for name in ("call_wall", "put_wall", "abs_gamma"):
        assert getattr(gamma, name) == pytest.approx(getattr(known, name), abs=0 if minutes >= 5 else 1)


def test_the_time_that_is_left_is_what_mid_prices_are_solved_with():
    chain = closing(20, 1)
    assert chain.as_of == WEDNESDAY.replace(day=20, hour=19, minute=40)
    assert analyze(chain).iv_sources[0][1] == "solved from mid prices"
