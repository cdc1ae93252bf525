"""Points, series and a chain for the tests of the gamma history."""

from datetime import UTC, datetime, timedelta

import numpy as np

from db.models import GammaPoint
from services.clock import Calendar
from services.feeds.base import Chain
from services.gamma_series import Series

EVERY = timedelta(minutes=5)
CALENDAR = Calendar(
    tuple(
        (datetime(2026, 11, day, 14, 30, tzinfo=UTC), datetime(2026, 11, day, hour, tzinfo=UTC))
        for day, hour in ((18, 21), (19, 21), (20, 21), (23, 21), (24, 21), (25, 21), (27, 18), (30, 21))
    )
)  # the 26th is Thanksgiving, the 27th a half day


def point(slot, *, closing=False, spot=6000.0, net=1e9, flip=5990.5, call_wall=6100.0, put_wall=5900.0):
    return GammaPoint(
        symbol="SPX",
        slot=slot,
        closing=closing,
        as_of=slot - timedelta(minutes=15),
        source="Alpaca indicative",
        delay=timedelta(minutes=15),
        spot=spot,
        net=net,
        gross=4e9,
        flip=flip,
        call_wall=call_wall,
        put_wall=put_wall,
        abs_gamma=call_wall,
        max_pain=6000.0,
        expected_move=40.0,
        zero_dte=0.25,
        coverage=0.99,
    )


def series(*, days=(), today=(), session=CALENDAR.sessions[3]):
    opens_at, closes_at = session
    return Series(
        symbol="SPX",
        days=tuple(days),
        today=tuple(today),
        opens_at=opens_at,
        closes_at=closes_at,
        since=CALENDAR.sessions[0][1],
        next_at=opens_at + EVERY,
        every=EVERY,
        collected=True,
    )


def chain():
    ones = np.ones(3)
    return Chain(
        symbol="SPX",
        spot=6000.12,
        as_of=datetime(2026, 11, 20, 15, tzinfo=UTC),
        source="Alpaca indicative",
        delay=timedelta(minutes=15),
        open_interest_date=None,
        strike=np.array([5900.0, 6000.0, 6100.0]),
        expiry=np.array([20777, 20777, 20780], np.int32),
        is_call=np.array([True, False, True]),
        am_settled=np.array([False, False, True]),
        bid=ones,
        ask=ones * 1.1,
        iv=ones * 0.2,
        gamma=ones * np.nan,
        delta=ones * 0.5,
        open_interest=ones * 10,
        volume=ones * 0,
    )
