"""Which part of the trading day a price is of."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.clock import NEW_YORK, Phase, load_calendar
from services.feeds.base import Quote, Tick
from services.market import Market
from services.tape import Tape

CALENDAR = load_calendar(date(2026, 11, 22), 500)


def part_of(text: str, delay=timedelta(0), **changes) -> Phase:
    at = datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)
    return Market([], CALENDAR)._part_of(Quote("SPY", Decimal(1), at, "Alpaca IEX", delay, **changes))


@pytest.mark.parametrize(
    ("moment", "part"),
    [
        ("2026-11-20T04:00:00", Phase.PRE),
        ("2026-11-20T09:29:59", Phase.PRE),
        ("2026-11-20T09:30:00", Phase.OPEN),
        ("2026-11-20T15:59:59", Phase.OPEN),
        ("2026-11-20T16:00:08", Phase.OPEN),  # the closing auction
        ("2026-11-20T16:01:00", Phase.POST),
        ("2026-11-20T19:59:59", Phase.POST),
        ("2025-11-28T13:00:30", Phase.OPEN),  # a half day
        ("2025-11-28T13:30:00", Phase.POST),
        ("2026-03-09T09:29:00", Phase.PRE),  # after the clocks were changed
        ("2025-11-03T16:30:00", Phase.POST),
    ],
)
def test_a_price_is_of_the_hours_it_was_traded_in(moment, part):
    assert part_of(moment) is part


def test_what_counts_is_when_the_price_was_traded_and_not_its_newest_bid():
    traded = datetime(2026, 11, 20, 20, 59, 59, tzinfo=UTC)
    assert part_of("2026-11-20T18:00:00", traded_at=traded) is Phase.OPEN


def test_a_recording_is_of_no_part():
    assert part_of("2026-11-20T18:00:00", delay=None) is Phase.OPEN


def test_a_trade_of_a_new_day_never_stands_on_the_close_before_the_last():
    evening = datetime(2026, 11, 21, 0, 59, tzinfo=UTC)  # 19:59 in New York on the 20th
    tape = Tape()
    tape.follow({"SPY"})
    tape.seed([Quote("SPY", Decimal(762), evening, "Alpaca IEX", timedelta(0), traded_at=evening)])
    tape.hear([Tick("SPY", evening + timedelta(seconds=30), 1, Decimal(763))], [])
    assert [quote.price for quote in tape.quotes(["SPY"])] == [763]
    tape.hear([Tick("SPY", datetime(2026, 11, 23, 9, 0, tzinfo=UTC), 2, Decimal(764))], [])
    assert tape.quotes(["SPY"]) is None
