from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot import embeds
from bot.numbers import locale_of
from services.clock import Phase, Session
from services.feeds.base import Quote
from services.market import Board, Line

NOW = datetime(2026, 11, 20, 17, tzinfo=UTC)
ENGLISH = locale_of("en-US")


def line(
    symbol="SPY",
    *,
    phase=Phase.OPEN,
    age=timedelta(seconds=2),
    delay=timedelta(0),
    traded=None,
    price="101",
    source="Alpaca IEX",
    part=Phase.OPEN,
    day_close=None,
):
    session = Session(phase, NOW, NOW + timedelta(hours=4), half_day=False)
    quote = Quote(
        symbol,
        Decimal(price),
        NOW - age,
        source,
        delay,
        traded_at=traded,
        previous_close=Decimal(100),
        day_close=day_close and Decimal(day_close),
    )
    return Line(quote, age, stale=False, session=session, traded=part)


def data(*lines: Line) -> str:
    _, embed = embeds.board(Board(lines, {}), ENGLISH)
    return next(field.value for field in embed.fields if field.name == "Data")


def test_a_price_older_than_its_quote_says_when_it_was_traded():
    traded = NOW - timedelta(hours=20)
    assert f"last trade <t:{int(traded.timestamp())}:R>" in data(line(traded=traded))
    assert "last trade" not in data(line(traded=NOW - timedelta(seconds=30)))


def test_a_delayed_source_says_so():
    assert "delayed 15 min" in data(line(delay=timedelta(minutes=15)))
    assert "real time" in data(line())


def test_when_nothing_trades_the_last_price_is_called_that():
    told = data(line(phase=Phase.CLOSED, age=timedelta(days=2)))
    assert "last price of the session" in told
    assert "real time" not in told


def test_of_several_symbols_the_oldest_of_each_source_is_told():
    for lines in ((line("A", age=timedelta(hours=3)), line("B")), (line("B"), line("A", age=timedelta(hours=3)))):
        assert "3 h old when shown" in data(*lines)


def test_an_unmoved_price_has_neither_arrow_nor_sign():
    headline, _ = embeds.board(Board((line(price="100.0001"),), {}), ENGLISH)
    assert headline == "**SPY** 100.00 • 0.00%"


def test_more_than_three_symbols_are_counted_in_the_headline():
    headline, _ = embeds.board(Board(tuple(line(s) for s in "ABCDE"), {}), ENGLISH)
    assert headline.endswith(" · 2 more")


def told(found: Line) -> dict[str, str]:
    _, embed = embeds.board(Board((found,), {}), ENGLISH)
    return {field.name: field.value for field in embed.fields}


def test_before_the_open_the_price_is_called_pre_market_and_measured_from_the_last_close():
    early = line(price="102", phase=Phase.PRE, part=Phase.PRE)
    headline, embed = embeds.board(Board((early,), {}), ENGLISH)
    assert headline == "**SPY** 102.00 pre-market ▲ +2.00%"
    assert embed.colour == embeds.GREEN
    assert told(early)["Price"] == "**102.00** pre-market"
    assert told(early)["Change"] == "▲ +2.00 (+2.00%)\n-# since the close at 100.00"


def test_after_hours_the_change_is_measured_from_the_close_of_the_day():
    late = line(price="102", phase=Phase.POST, part=Phase.POST, day_close="104")
    headline, embed = embeds.board(Board((late,), {}), ENGLISH)
    assert headline == "**SPY** 102.00 after hours ▼ −1.92%"
    assert embed.colour == embeds.RED
    assert told(late)["Change"] == "▼ −2.00 (−1.92%)\n-# since the close at 104.00, itself ▲ +4.00 (+4.00%)"


def test_a_source_that_tells_no_close_is_measured_from_the_one_before():
    late = line(price="102", phase=Phase.POST, part=Phase.POST)
    assert told(late)["Change"] == "▲ +2.00 (+2.00%)\n-# since the close at 100.00"


def test_what_trades_in_regular_hours_only_keeps_its_change_of_the_day():
    index = line("SPX", price="104", phase=Phase.POST, part=Phase.OPEN, day_close="104")
    headline, _ = embeds.board(Board((index,), {}), ENGLISH)
    assert headline == "**SPX** 104.00 ▲ +4.00%"


def test_each_of_several_quotes_says_how_old_it_is_and_which_part_of_the_day_it_is_of():
    both = (line("A", age=timedelta(hours=3), part=Phase.PRE), line("B"))
    _, embed = embeds.board(Board(both, {}), ENGLISH)
    first, second = embed.description.split("**B**")
    assert "pre-market" in first
    assert first.strip().endswith("· 3 h old")
    assert "pre-market" not in second
    assert second.endswith("· 2 s old")
