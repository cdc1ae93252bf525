"""Implied volatility against a slow implementation with sixty digits."""

import math
from decimal import Decimal, getcontext

import mpmath
import numpy as np
import py_lets_be_rational
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.implied_volatility import erfcx, implied_volatility

getcontext().prec = 60
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def erfc(z: Decimal) -> Decimal:
    """Series up to four, continued fraction beyond."""
    if z < 0:
        return 2 - erfc(-z)
    if z < 4:
        total = term = z
        n = 0
        while abs(term) > Decimal("1e-58"):
            n += 1
            term = -term * z * z / n
            total += term / (2 * n + 1)
        return 1 - 2 * total / PI.sqrt()
    fraction = z
    for n in range(250, 0, -1):
        fraction = z + Decimal(n) / 2 / fraction
    return (-z * z).exp() / fraction / PI.sqrt()


def black(forward: Decimal, strike: Decimal, deviation: Decimal, is_call: bool) -> Decimal:
    d1 = (forward / strike).ln() / deviation + deviation / 2
    root = Decimal(2).sqrt()
    if is_call:
        return (forward * erfc(-d1 / root) - strike * erfc((deviation - d1) / root)) / 2
    return (strike * erfc((d1 - deviation) / root) - forward * erfc(d1 / root)) / 2


def slow_volatility(price: float, forward: float, strike: float, years: float, is_call: bool) -> Decimal:
    """Bisection, every step with sixty digits, on exactly the numbers that the fast one is given."""
    low, high = Decimal("1e-6"), Decimal(20)
    for _ in range(60):
        middle = (low + high) / 2
        value = black(Decimal(forward), Decimal(strike), middle, is_call)
        low, high = (middle, high) if value < Decimal(price) else (low, middle)
    return (low + high) / 2 / Decimal(years).sqrt()


def fast_volatility(price, forward, strike, years, is_call) -> float:
    columns = (np.array([float(value)]) for value in (price, forward, strike, years))
    return float(implied_volatility(*columns, np.array([is_call]))[0])


@settings(max_examples=20, deadline=None)
@given(
    log_moneyness=st.floats(-0.6, 0.6),
    years=st.floats(1 / 8760, 3),
    iv=st.floats(0.03, 3),
)
def test_volatility_agrees_to_twelve_digits(log_moneyness, years, iv):
    strike = 100 * math.exp(log_moneyness)
    is_call = strike >= 100
    price = float(black(Decimal(100), Decimal(strike), Decimal(iv * math.sqrt(years)), is_call))
    assume(price > 1e-100)
    expected = slow_volatility(price, 100.0, strike, years, is_call)
    assert fast_volatility(price, 100.0, strike, years, is_call) == pytest.approx(float(expected), rel=1e-12)


def test_a_whole_column_agrees_with_lets_be_rational():
    random = np.random.default_rng(8)
    strike = 100 * np.exp(random.uniform(-0.7, 0.7, 3000))
    years, iv = np.exp(random.uniform(math.log(1 / 8760), math.log(3), 3000)), random.uniform(0.05, 2, 3000)
    is_call = strike >= 100
    sign = np.where(is_call, 1.0, -1.0)
    asked = zip(strike.tolist(), iv.tolist(), years.tolist(), sign.tolist(), strict=True)
    price = np.array([py_lets_be_rational.black(100.0, k, sigma, t, q) for k, sigma, t, q in asked])
    worth = price > 1e-200
    assert worth.sum() > 2500
    columns = (price[worth], np.full(worth.sum(), 100.0), strike[worth], years[worth])
    found = implied_volatility(*columns, is_call[worth])
    invert = py_lets_be_rational.implied_volatility_from_a_transformed_rational_guess
    rows = zip(*(column.tolist() for column in columns), sign[worth].tolist(), strict=True)
    expected = [invert(p, f, k, t, q) for p, f, k, t, q in rows]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("moneyness", "deviation"), [(0.0, 0.01), (0.01, 0.02), (0.05, 0.1), (-0.3, 0.25), (0.5, 2.0)])
def test_fifty_digits_of_mpmath_agree(moneyness, deviation):
    with mpmath.workdps(50):
        forward, strike = mpmath.mpf(100), mpmath.mpf(float(100 * math.exp(moneyness)))
        sign = 1 if moneyness >= 0 else -1

        def worth(s):
            d1 = mpmath.log(forward / strike) / s + s / 2
            return sign * (forward * mpmath.ncdf(sign * d1) - strike * mpmath.ncdf(sign * (d1 - s)))

        price = float(worth(mpmath.mpf(deviation)))
        expected = float(mpmath.findroot(lambda s: worth(s) - mpmath.mpf(price), deviation))
    assert fast_volatility(price, 100.0, float(strike), 1.0, sign > 0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("deviation", [1e-4, 0.01, 0.2, 1.0, 3.0, 8.0])
def test_at_the_money_too(deviation):
    price = float(black(Decimal(100), Decimal(100), Decimal(deviation), True))
    assert fast_volatility(price, 100, 100, 1, True) == pytest.approx(deviation, rel=1e-11)


def test_in_the_money_prices_are_turned_over():
    price = float(black(Decimal(100), Decimal(90), Decimal("0.2"), True))
    assert fast_volatility(price, 100, 90, 1, True) == pytest.approx(0.2, rel=1e-11)


@pytest.mark.parametrize("price", [0.0, -1.0, 100.001, 150.0, math.nan, math.inf])
def test_no_volatility_gives_an_impossible_price(price):
    assert math.isnan(fast_volatility(price, 100, 110, 1, True))


def test_below_intrinsic_value_there_is_none():
    assert math.isnan(fast_volatility(9.0, 100, 90, 1, True))
    assert math.isnan(fast_volatility(9.0, 100, 110, 1, False))


def test_a_column_of_hopeless_prices_is_a_column_of_nan():
    nothing = np.zeros(3)
    assert np.isnan(implied_volatility(nothing, nothing, nothing, nothing, np.array([True] * 3))).all()


@pytest.mark.parametrize("z", [0.0, 1e-9, 0.3, 1.0, 2.5, 3.75, 5.0])
def test_erfcx_has_all_digits(z):
    expected = erfc(Decimal(z)) * (Decimal(z) ** 2).exp()
    assert float(erfcx(np.array([z]))[0]) == pytest.approx(float(expected), rel=6e-16, abs=0)


def test_erfcx_far_out():
    assert float(erfcx(np.array([1e8]))[0]) == pytest.approx(1e-8 / math.sqrt(math.pi), rel=1e-15)
