"""What is fetched of trades that nobody followed live."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.feeds.base import Bar, Bars, Feed, Tick
from services.missed_trades import minute_of, missed_trades

NOW = datetime(2026, 11, 20, 17, 30, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Recorder(Feed):
    """A trade at 10.00 in the middle of each minute, as trades and as bars."""

    name = "recorder"

    def __init__(self):
        self.asked = []

    async def trades(self, symbols, start, end):
        self.asked.append(("trades", start, end))
        return [Tick(s, at + MINUTE / 2, 7, Decimal(10)) for s in symbols for at in minutes(start, end)]

    async def bars(self, symbol, interval, start, end):
        assert interval == MINUTE
        self.asked.append(("bars", start, end))
        prices = (Decimal(10), Decimal(13), Decimal(8), Decimal(11))
        bars = tuple(Bar(at, *prices, 100) for at in minutes(start, end + MINUTE))
        return Bars(symbol, bars, "Recorder", timedelta(), NOW)


def minutes(start, end):
    first = minute_of(start) if start == minute_of(start) else minute_of(start) + MINUTE
    return [first + n * MINUTE for n in range(max(int((end - first) / MINUTE), 0))]


async def test_bars_do_for_what_is_longer_ago_than_a_quarter_of_an_hour():
    for ago, asked in ((14, ["trades"]), (16, ["trades", "bars", "trades"])):
        source = Recorder()
        await missed_trades(source, ["SPY"], minute_of(NOW) - ago * MINUTE, NOW)
        assert [what for what, *_ in source.asked] == asked


async def test_minutes_ago_every_trade_is_fetched_and_some_more_for_clocks_that_differ():
    source = Recorder()
    start = minute_of(NOW) - 14 * MINUTE
    found = await missed_trades(source, ["SPY", "QQQ"], start, NOW)
    assert source.asked == [("trades", start, NOW + MINUTE)]
    assert len(found) == 2 * 15


async def test_of_hours_ago_the_first_minute_and_the_last_quarter_are_trades_and_between_them_bars():
    source = Recorder()
    start = minute_of(NOW) - 120 * MINUTE
    recent = minute_of(NOW) - 15 * MINUTE
    found = await missed_trades(source, ["SPY"], start, NOW)
    assert source.asked == [
        ("trades", start, start + MINUTE),
        ("bars", start + MINUTE, recent - MINUTE),
        ("trades", recent, NOW + MINUTE),
    ]
    assert [tick.at for tick in found] == sorted(tick.at for tick in found)
    covered = {minute_of(tick.at) for tick in found}
    assert covered == set(minutes(start, NOW)) | {minute_of(NOW)}, "no minute is left out"


@pytest.mark.parametrize(
    ("prices", "path"),
    [
        ((10, 13, 8, 11), (10, 8, 13, 11)),
        ((10, 11, 7, 8), (10, 11, 7, 8)),
    ],
)
async def test_a_bar_goes_to_the_nearer_extreme_first(prices, path):
    class Candle(Recorder):
        async def bars(self, symbol, interval, start, end):  # noqa: ARG002  # as a feed is asked
            bar = Bar(start, *(Decimal(price) for price in prices), 100)
            return Bars(symbol, (bar,), "Recorder", timedelta(), NOW)

        async def trades(self, symbols, start, end):  # noqa: ARG002
            return []

    found = await missed_trades(Candle(), ["SPY"], minute_of(NOW) - 60 * MINUTE, NOW)
    assert [tick.price for tick in found] == [Decimal(price) for price in path]
    assert [tick.at.second for tick in found] == [0, 15, 30, 45]
