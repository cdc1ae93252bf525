"""Greeks against derivatives of the price at fifty digits, and the identities between calls and puts."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.greeks import Greeks, greeks

options = st.tuples(
    st.floats(5, 5000),  # spot
    st.floats(-1.5, 1.5),  # ln(strike / forward) in standard deviations
    st.floats(1 / 8760, 3),  # years
    st.floats(0.05, 1.5),  # volatility
    st.floats(-0.02, 0.08),  # rate
    st.floats(-0.02, 0.08),  # yield
)


def ours(spot, strike, years, iv, rate, yields, *, is_call) -> Greeks:
    columns = (
        spot * np.exp((rate - yields) * np.array([years])),
        np.exp(-rate * np.array([years])),
        np.array([strike]),
        np.array([years]),
        np.array([iv]),
    )
    return Greeks(*(float(column[0]) for column in greeks(spot, *columns, np.array([is_call]))))


def price(spot, strike, years, iv, rate, yields, *, is_call):
    """Black, Scholes and Merton in mpmath's own normal distribution."""
    d1 = (mpmath.log(spot / strike) + (rate - yields + iv * iv / 2) * years) / (iv * mpmath.sqrt(years))
    d2 = d1 - iv * mpmath.sqrt(years)
    sign = 1 if is_call else -1
    return sign * (
        spot * mpmath.exp(-yields * years) * mpmath.ncdf(sign * d1)
        - strike * mpmath.exp(-rate * years) * mpmath.ncdf(sign * d2)
    )


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(
    ("spot", "strike", "years", "iv", "rate", "yields"),
    [
        (100, 100, 0.25, 0.2, 0.045, 0.013),
        (3990.56, 3600, 22 / 365, 0.31, 0.045, 0.0163),
        (754.95, 760, 1 / 365, 0.09, 0.04, 0.0),
        (12.5, 25, 2.5, 0.95, 0.01, 0.05),
        (1806.12, 1805, 1 / 8760, 0.4, 0.05, 0.01),
    ],
)
def test_greeks_are_the_derivatives_of_the_price(spot, strike, years, iv, rate, yields, is_call):
    mpmath.mp.dps = 50

    def at(s=0, v=0, t=0):
        return price(
            mpmath.mpf(spot) + s,
            mpmath.mpf(strike),
            mpmath.mpf(years) + t,
            mpmath.mpf(iv) + v,
            mpmath.mpf(rate),
            mpmath.mpf(yields),
            is_call=is_call,
        )

    found = ours(spot, strike, years, iv, rate, yields, is_call=is_call)
    expected = Greeks(
        delta=mpmath.diff(lambda s: at(s=s), 0),
        gamma=mpmath.diff(lambda s: at(s=s), 0, 2),
        theta=-mpmath.diff(lambda t: at(t=t), 0) / 365,
        vega=mpmath.diff(lambda v: at(v=v), 0) / 100,
    )
    for name in Greeks._fields:
        assert getattr(found, name) == pytest.approx(float(getattr(expected, name)), rel=1e-9, abs=1e-13), name


@given(options)
def test_calls_and_puts_differ_by_the_forward_alone(option):
    spot, deviations, years, iv, rate, yields = option
    strike = spot * np.exp((rate - yields) * years + deviations * iv * np.sqrt(years))
    call, put = (ours(spot, strike, years, iv, rate, yields, is_call=side) for side in (True, False))
    assert call.delta - put.delta == pytest.approx(np.exp(-yields * years), rel=1e-12)
    assert call.gamma == put.gamma
    assert call.vega == put.vega
    parity = yields * spot * np.exp(-yields * years) - rate * strike * np.exp(-rate * years)
    assert 365 * (call.theta - put.theta) == pytest.approx(parity, rel=1e-9, abs=1e-9 * spot)


@given(options)
def test_greeks_have_their_signs_and_vega_belongs_to_gamma(option):
    spot, deviations, years, iv, rate, yields = option
    strike = spot * np.exp((rate - yields) * years + deviations * iv * np.sqrt(years))
    call = ours(spot, strike, years, iv, rate, yields, is_call=True)
    assert 0 < call.delta <= np.exp(-yields * years)
    assert call.gamma > 0
    # vega = Γ S² σ T
    assert 100 * call.vega == pytest.approx(call.gamma * spot * spot * iv * years, rel=1e-9)


def test_an_unknown_volatility_has_unknown_greeks():
    found = ours(100.0, 100.0, 0.1, float("nan"), 0.04, 0.0, is_call=True)
    assert all(np.isnan(value) for value in found)
