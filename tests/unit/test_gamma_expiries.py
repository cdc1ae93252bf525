"""When options settle: the closes of the exchange, half days included."""

from datetime import date, datetime, time, timedelta

import exchange_calendars
import numpy as np
import pytest

from services.clock import NEW_YORK
from services.errors import NothingExpires
from services.expiration import close, day_number, settlement
from services.feeds.base import Chain
from services.gamma import Expiry, Lens, analyze


def test_the_rule_gives_the_close_of_every_session_since_2004():
    calendar = exchange_calendars.get_calendar("XNYS", start="2004-01-02")
    seen = {closes.tz_convert(NEW_YORK).date(): closes.tz_convert(NEW_YORK).time() for closes in calendar.closes}
    wrong = {day: at for day, at in seen.items() if close(day) != at}
    assert wrong == {}
    assert sum(at == time(13) for at in seen.values()) > 40


@pytest.mark.parametrize(
    ("day", "at"),
    [
        (date(2026, 11, 27), time(13)),
        (date(2026, 11, 20), time(16)),
        (date(2029, 11, 30), time(16)),  # Thanksgiving is the 22nd
        (date(2027, 7, 2), time(16)),
        (date(2028, 7, 3), time(13)),
    ],
)
def test_half_days_of_years_to_come(day, at):
    assert close(day) == at


def test_options_that_settle_at_the_open_do_so_on_half_days_too():
    number = day_number(date(2026, 11, 27))
    opens, closes = (datetime.fromtimestamp(settlement(number, am), NEW_YORK).time() for am in (True, False))
    assert (opens, closes) == (time(9, 30), time(13))


HALF_DAY, MONDAY, FRIDAY = date(2026, 11, 27), date(2026, 11, 30), date(2026, 12, 4)


def chain_at(hour, minute, days=(HALF_DAY, MONDAY, FRIDAY)) -> Chain:
    rows = [(day, strike, call) for day in days for strike in range(95, 106) for call in (True, False)]
    nothing = np.full(len(rows), np.nan)
    return Chain(
        symbol="TEST",
        spot=100.0,
        as_of=datetime(2026, 11, 27, hour, minute, tzinfo=NEW_YORK),
        source="test",
        delay=timedelta(minutes=15),
        open_interest_date=None,
        strike=np.array([strike for _, strike, _ in rows], float),
        expiry=np.array([day_number(day) for day, _, _ in rows], np.int32),
        is_call=np.array([call for _, _, call in rows]),
        am_settled=np.zeros(len(rows), bool),
        bid=nothing,
        ask=nothing,
        iv=np.full(len(rows), 0.3),
        gamma=nothing,
        delta=nothing,
        open_interest=np.full(len(rows), 100.0),
        volume=nothing,
    )


@pytest.mark.parametrize(
    ("hour", "minute", "expiry", "expected"),
    [
        (12, 30, Expiry.ZERO_DTE, (HALF_DAY,)),
        (12, 59, Expiry.WEEK, (HALF_DAY,)),
        (13, 0, Expiry.WEEK, (MONDAY, FRIDAY)),
        (13, 5, Expiry.ZERO_DTE, (MONDAY,)),
        (13, 5, Expiry.ALL, (MONDAY, FRIDAY)),
    ],
)
def test_on_a_half_day_what_expires_is_gone_at_one(hour, minute, expiry, expected):
    gamma = analyze(chain_at(hour, minute), Lens(expiry=expiry))
    assert gamma.expiries == expected
    assert gamma.delay == timedelta(minutes=15)


def test_after_the_early_close_of_its_last_day_a_chain_has_expired():
    with pytest.raises(NothingExpires, match="has expired"):
        analyze(chain_at(13, 5, days=(HALF_DAY,)))
