"""Days of the synthetic market that are too long ago to be walked step by step."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from sandbox.listings import LISTED
from sandbox.market import DAYS_BACK, Market
from services.clock import load_calendar

NOW = datetime(2026, 11, 20, 17, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(load_calendar(date(2026, 11, 22), DAYS_BACK).sessions)


@pytest.mark.parametrize("symbol", ["SPY", "AAPL", "VIX"])
def test_they_open_and_close_where_the_walk_does(market, symbol):
    day = market._long_ago - 30
    rough = market._rough_day(LISTED[symbol], day)
    walked = market._session(symbol, day, float(market._closes[day]))
    for name in ("start", "open", "close"):
        assert getattr(rough, name)[0] == getattr(walked, name)[0], name


def test_five_years_are_candles_without_a_seam(market):
    last = market.day(NOW)
    found = market.dailies("SPY", last - 1300, last, NOW)
    assert len(found) == 1301
    assert (found.low <= np.minimum(found.open, found.close)).all()
    assert (found.high >= np.maximum(found.open, found.close)).all()
    assert (found.volume > 0).all()
    assert np.abs(np.diff(np.log(found.close))).max() < 0.06


def test_a_longer_calendar_leaves_prices_as_they_are(market):
    short = Market(load_calendar(date(2026, 11, 22)).sessions)
    assert short.price("AAPL", NOW) == market.price("AAPL", NOW)
