"""Chains for tests: a smooth smile at known volatilities, and the price of every contract from it."""

from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import numpy as np

from services.expiration import day_number, day_of, settlement
from services.feeds.base import Chain

AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
YEAR = 365 * 86_400


def chain(
    *expiries, spot=100.0, iv=lambda _strike, _years: 0.2, strikes=None, rate=0.045, step=None, **columns
) -> Chain:
    """A chain of dates, or (date, True) for those at the open; quotes a cent around the Black price without yield."""
    strikes = np.arange(80.0, 121.0, step or 1.0) if strikes is None else np.asarray(strikes, float)
    rows = []
    for each in expiries:
        day, am = each if isinstance(each, tuple) else (each, False)
        years = (settlement(day_number(day), am) - AS_OF.timestamp()) / YEAR
        rows += [(day_number(day), am, side, strike, years) for strike in strikes for side in (True, False)]
    expiry, am, is_call, strike, years = (np.array(column) for column in zip(*rows, strict=True))
    volatility = np.array([iv(k, t) for k, t in zip(strike, years, strict=True)])
    mid = black(spot, strike, years, volatility, rate, is_call)
    values = {
        "strike": strike.astype(float),
        "expiry": expiry.astype(np.int32),
        "is_call": is_call,
        "am_settled": am,
        "bid": mid - 0.005,
        "ask": mid + 0.005,
        "iv": volatility,
        "gamma": np.full(len(strike), np.nan),
        "delta": np.full(len(strike), np.nan),
        "open_interest": np.full(len(strike), 100.0),
        "volume": np.full(len(strike), 7.0),
    }
    values |= {
        name: np.full(len(strike), value, float) if np.isscalar(value) else value for name, value in columns.items()
    }
    return Chain(
        symbol="TEST",
        spot=spot,
        as_of=AS_OF,
        source="a test",
        delay=timedelta(0),
        open_interest_date=day_of(day_number(AS_OF.date()) - 1),
        **values,
    )


def black(spot, strike, years, iv, rate, is_call):
    """The price of European options, from the normal distribution of the standard library."""
    below = np.vectorize(NormalDist().cdf)
    deviation = iv * np.sqrt(years)
    d1 = np.log(spot * np.exp(rate * years) / strike) / deviation + deviation / 2
    sign = np.where(is_call, 1, -1)
    return sign * (spot * below(sign * d1) - strike * np.exp(-rate * years) * below(sign * (d1 - deviation)))
