"""Skew, term structure and expected move: on chains whose volatility is known, and on recorded ones by hand."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from option_chains import AS_OF, chain

from services.errors import BadData, NothingExpires
from services.feeds import cboe_files
from services.volatility import analyze_volatility, interpolated
from services.volatility_table import table

NEAR, MONTHLY, FAR = date(2026, 11, 27), date(2026, 12, 18), date(2027, 1, 15)
volatilities = st.floats(0.01, 5.0)


def smiling(strike, _years):
    """20 % at the strike of 100, more below and less above."""
    return 0.2 - 0.3 * np.log(strike / 100)


def silent(none, **columns):
    """A chain that states no volatility, in one of the ways to write that."""
    made = chain(MONTHLY, iv=smiling, step=0.5, **columns)
    return replace(made, iv=np.full(len(made.strike), none))


def test_a_flat_volatility_is_found_everywhere():
    found = analyze_volatility(chain(NEAR, MONTHLY, FAR))
    assert [term.expiration.day for term in found.terms] == [NEAR, MONTHLY, FAR]
    assert found.iv30 == pytest.approx(0.2, rel=1e-12)
    for term in found.terms:
        assert term.atm_iv == pytest.approx(0.2, rel=1e-12)
        assert term.skew.risk_reversal == pytest.approx(0, abs=1e-12)


def test_a_skew_has_its_wings_where_delta_is_a_quarter():
    made = chain(MONTHLY, iv=smiling, step=0.25)
    term = analyze_volatility(made).terms[0]
    (put, put_iv), (call, call_iv) = term.skew.put_wing, term.skew.call_wing
    assert term.forward == pytest.approx(100 * np.exp(0.045 * term.days / 365), rel=1e-5)
    assert term.atm_iv == pytest.approx(smiling(term.forward, 0), abs=1e-5)
    assert put_iv == pytest.approx(smiling(put, 0), abs=1e-5)
    assert call_iv == pytest.approx(smiling(call, 0), abs=1e-5)
    assert term.skew.risk_reversal == pytest.approx(call_iv - put_iv)
    # d1 of a 25-delta option is ∓0.6745 (no yield here)
    years = term.days / 365
    for strike, iv, quantile in ((put, put_iv, 0.67449), (call, call_iv, -0.67449)):
        d1 = np.log(term.forward / strike) / (iv * np.sqrt(years)) + 0.5 * iv * np.sqrt(years)
        assert d1 == pytest.approx(quantile, abs=5e-3)


def test_the_expected_move_is_the_straddle():
    made = chain(NEAR)
    at = np.flatnonzero(made.strike == 100)
    by_hand = float(0.5 * (made.bid[at] + made.ask[at]).sum())
    (term,) = analyze_volatility(made).terms
    assert term.move == pytest.approx(by_hand, rel=1e-12)
    # Brenner and Subrahmanyam
    assert term.move == pytest.approx(0.8 * 100 * 0.2 * np.sqrt(term.days / 365), rel=0.01)


def test_the_move_comes_from_volatility_where_nothing_is_quoted():
    (term,) = analyze_volatility(chain(NEAR, bid=np.nan, ask=np.nan)).terms
    assert term.move == pytest.approx(0.8 * 100 * 0.2 * np.sqrt(term.days / 365), rel=1e-9)


def test_volatility_is_solved_where_none_is_stated():
    for none in (0.0, -999.0, np.nan):
        (term,) = analyze_volatility(silent(none)).terms
        assert term.atm_iv == pytest.approx(smiling(term.forward, 0), abs=2e-4)


def test_expirations_at_the_open_and_at_the_close_of_a_day_stay_apart():
    found = analyze_volatility(chain((MONTHLY, True), MONTHLY))
    assert [term.expiration.code for term in found.terms] == ["2026-12-18am", "2026-12-18"]
    assert found.terms[0].days < found.terms[1].days


def test_what_the_quotes_do_not_tell_is_not_guessed():
    made = chain(NEAR, MONTHLY, strikes=[98, 99, 100, 101])
    found = analyze_volatility(made)
    assert [term.skew for term in found.terms] == [None, None]
    assert [term.strikes for term in found.terms] == [4, 4]
    assert found.iv30 is None  # MONTHLY is 28 days away and nothing lies beyond
    one_sided = chain(NEAR, FAR)
    one_sided = replace(
        one_sided, iv=np.where(one_sided.strike < 103, np.nan, one_sided.iv), bid=one_sided.bid * np.nan
    )
    with pytest.raises(BadData, match="at the money"):
        analyze_volatility(one_sided)


def test_bad_chains_are_refused_in_words():
    made = chain(NEAR)
    with pytest.raises(BadData, match="gives no price for TEST"):
        analyze_volatility(replace(made, spot=float("nan")))
    with pytest.raises(BadData, match="No TEST option at the money has an implied volatility"):
        analyze_volatility(silent(np.nan, bid=np.nan, ask=np.nan))
    with pytest.raises(NothingExpires, match="has expired"):
        analyze_volatility(replace(made, as_of=datetime(2027, 5, 1, tzinfo=UTC)))


@given(st.lists(st.tuples(st.floats(0.1, 1000), volatilities), min_size=1, max_size=8), st.floats(0.05, 1100))
def test_interpolation_stays_between_its_neighbours_and_hits_them(pairs, days):
    terms = sorted({round(day, 3): iv for day, iv in pairs}.items())
    found = interpolated(terms, days)
    inside = len(terms) > 1 and terms[0][0] <= days <= terms[-1][0]
    assert (found is not None) == inside
    for day, iv in terms if len(terms) > 1 else ():
        assert interpolated(terms, day) == pytest.approx(iv, rel=1e-9)
    if found is not None:
        after = next(place for place, (day, _) in enumerate(terms) if day >= days) or 1
        low, high = sorted(iv for _, iv in terms[after - 1 : after + 1])
        assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)


@given(volatilities, st.floats(0.1, 29), st.floats(31, 400))
def test_one_volatility_at_both_ends_is_that_of_thirty_days(iv, before, after):
    assert interpolated([(before, iv), (after, iv)], 30.0) == pytest.approx(iv, rel=1e-12)


@given(st.floats(0.1, 29), st.floats(31, 400), volatilities, volatilities, st.floats(0.1, 10))
def test_interpolation_scales_with_volatility(before, after, low, high, factor):
    once = interpolated([(before, low), (after, high)], 30.0)
    scaled = interpolated([(before, low * factor), (after, high * factor)], 30.0)
    assert scaled == pytest.approx(once * factor, rel=1e-9)


def test_recorded_chains_give_what_is_computed_by_hand(shared_data):
    # RUT of 20 September 2023, 13 October: the vendor's IV at 1805 and 1810 around the forward, and the straddle
    made = cboe_files.read(shared_data / "cboe/rut_20230920.json").chain
    found = analyze_volatility(made)
    for term in found.terms[2:8]:
        own = (made.expiry == (term.expiration.day - date(1970, 1, 1)).days) & (
            made.am_settled == term.expiration.am_settled
        )
        below = made.strike[own & (made.strike <= term.forward)].max()
        above = made.strike[own & (made.strike > term.forward)].min()

        def vendor(strike, *, call, own=own):
            return float(made.iv[own & (made.strike == strike) & (made.is_call == call)][0])

        share = (term.forward - below) / (above - below)
        by_hand = vendor(below, call=False) * (1 - share) + vendor(above, call=True) * share
        assert term.atm_iv == pytest.approx(by_hand, rel=1e-12)
        nearest = min(set(made.strike[own].tolist()), key=lambda strike, at=term.forward: abs(strike - at))
        at = own & (made.strike == nearest)
        assert term.move == pytest.approx(float(((made.bid[at] + made.ask[at]) / 2).sum()), rel=1e-12)
    around = [(term.days, term.atm_iv) for term in found.terms if 29 < term.days < 37]
    (t1, iv1), (t2, iv2) = around
    by_hand = ((iv1**2 * t1 * (t2 - 30) + iv2**2 * t2 * (30 - t1)) / ((t2 - t1) * 30)) ** 0.5
    assert found.iv30 == pytest.approx(by_hand, rel=1e-12)
    # Cboe's own 30-day figure, which weighs all strikes: "iv30": 17.031 in the same answer
    assert found.iv30 == pytest.approx(0.17031, abs=0.005)


@pytest.mark.parametrize("name", ["spx_20221212.csv", "rut_20221212.csv", "rut_20230920.json", "spy_20250516.csv"])
def test_every_recorded_chain_has_sane_terms(shared_data, name):
    found = analyze_volatility(cboe_files.read(shared_data / "cboe" / name).chain)
    for term in found.terms:
        if term.atm_iv is not None:
            assert 0.05 < term.atm_iv < 1.0
        if term.move is not None and term.atm_iv is not None and 2 < term.days < 60:
            years = term.days / 365
            assert term.move == pytest.approx(0.8 * found.spot * term.atm_iv * np.sqrt(years), rel=0.12)
        if term.days < 200 and term.skew and term.skew.risk_reversal is not None:
            assert term.skew.risk_reversal < 0  # puts of an index are dearer than calls


def test_the_table_has_a_line_for_each_strike_and_one_for_an_expiration_without():
    found = analyze_volatility(chain(NEAR, MONTHLY, iv=smiling))
    found = replace(found, terms=(replace(found.terms[0], skew=None), found.terms[1]))
    rows = list(csv.DictReader(io.StringIO(table(found).decode())))
    first, *others = rows
    assert (first["expiry"], first["strike"], first["iv"], first["risk_reversal_25"]) == ("2026-11-27", "", "", "")
    assert [float(row["strike"]) for row in others] == found.terms[1].skew.strike.tolist()
    assert [float(row["iv"]) for row in others] == found.terms[1].skew.iv.tolist()
    assert float(others[0]["days"]) == pytest.approx((_close(MONTHLY) - AS_OF.timestamp()) / 86_400, abs=1e-3)


def _close(day):
    return datetime(day.year, day.month, day.day, 21, tzinfo=UTC).timestamp()
