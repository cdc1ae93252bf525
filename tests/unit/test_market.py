import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.clock import NEW_YORK, Calendar, Phase
from services.directory import Directory
from services.errors import BadData, FeedUnavailable, NoBars, NoChain, NoSymbols, TooManySymbols, UnknownSymbol
from services.feeds.base import Bar, Bars, Chain, Feed, Listing, Offer, Quote, Tick
from services.market import Market
from services.tape import Tape

OPEN = datetime(2026, 11, 20, 10, 30, tzinfo=NEW_YORK).astimezone(UTC)
CLOSED = datetime(2026, 11, 22, 12, 0, tzinfo=NEW_YORK).astimezone(UTC)


def session(day: int) -> tuple[datetime, datetime]:
    opens = datetime(2026, 11, day, 9, 30, tzinfo=NEW_YORK).astimezone(UTC)
    return opens, opens + timedelta(hours=6.5)


OPENED = session(20)[0]
CALENDAR = Calendar((session(19), session(20), session(23)))


class Source(Feed):
    """A feed that answers from a dictionary, counts its requests and can be slow or down."""

    offers = frozenset(Offer)

    def __init__(self, name="first", prices=None, now=OPEN, delay=timedelta(0), age=timedelta(seconds=1)):
        self.name, self.prices, self._now, self.delay, self.age = name, prices or {}, now, delay, age
        self.requests = 0
        self.down: FeedUnavailable | None = None

    async def listings(self):
        return [Listing(symbol, symbol) for symbol in self.prices]

    async def quotes(self, symbols):
        self.requests += 1
        await asyncio.sleep(0.01)
        if self.down:
            raise self.down
        return {
            s: Quote(s, Decimal(self.prices[s]), self._now - self.age, self.name, self.delay)
            for s in symbols
            if s in self.prices
        }

    async def chain(self, symbol):
        self.requests += 1
        await asyncio.sleep(0.01)
        if self.down:
            raise self.down
        if symbol not in self.prices:
            raise UnknownSymbol(symbol)
        if symbol == "BARE":
            raise NoChain(symbol)
        none = ()
        return Chain(symbol, 1.0, self._now - self.age, self.name, self.delay, date(2026, 11, 19), *[none] * 11)

    async def bars(self, symbol, _interval, start, _end):
        self.requests += 1
        if self.down:
            raise self.down
        price = Decimal(self.prices.get(symbol, 0))
        bars = (Bar(start, price, price, price, price, 1),) if price else ()
        return Bars(symbol, bars, self.name, self.delay, self._now)

    def now(self):
        return self._now

    async def close(self):
        pass


async def test_quotes_come_in_the_order_asked():
    market = Market([Source(prices={"SPY": "600.5", "QQQ": "500"})], CALENDAR)
    board = await market.quotes(("QQQ", "SPY"))
    assert [line.quote.symbol for line in board.lines] == ["QQQ", "SPY"]
    assert not board.missing
    assert board.lines[0].session.phase is Phase.OPEN


async def test_a_hundred_askers_are_one_request():
    source = Source(prices={"SPY": "1"})
    market = Market([source], CALENDAR)
    await asyncio.gather(*(market.quotes(("SPY",)) for _ in range(100)))
    assert source.requests == 1


async def test_an_asker_who_gives_up_does_not_take_the_answer_from_others():
    market = Market([Source(prices={"SPY": "1"})], CALENDAR)
    first = asyncio.create_task(market.quotes(("SPY",)))
    second = asyncio.create_task(market.quotes(("SPY",)))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).lines


async def test_the_next_source_answers_for_what_the_first_does_not_know():
    first, second = Source("first", {"SPY": "1"}), Source("second", {"SPY": "2", "SPX": "3"})
    board = await Market([first, second], CALENDAR).quotes(("SPX", "SPY"))
    assert [(line.quote.symbol, line.quote.source) for line in board.lines] == [("SPX", "second"), ("SPY", "first")]


async def test_the_next_source_answers_while_the_first_is_down():
    first, second = Source("first", {"SPY": "1"}), Source("second", {"SPY": "2"})
    first.down = FeedUnavailable("first", "no answer within 2 s")
    market = Market([first, second], CALENDAR)
    assert (await market.quotes(("SPY",))).lines[0].quote.source == "second"
    assert (await market.chain("SPY")).source == "second"
    assert [(feed.name, feed.ok) for feed in market.health()] == [("first", False), ("second", True)]


async def test_what_the_next_source_says_is_as_old_as_its_own_clock_tells():
    first, second = Source("first"), Source("second", {"SPY": "2"}, now=OPEN + timedelta(minutes=4))
    (line,) = (await Market([first, second], CALENDAR).quotes(("SPY",))).lines
    assert line.age == timedelta(seconds=1)


async def test_that_there_is_no_chain_is_said_only_when_every_source_has_answered():
    first, second = Source("first", {"BARE": "1"}), Source("second")
    market = Market([first, second], CALENDAR)
    with pytest.raises(NoChain):
        await market.chain("BARE")
    second.down = FeedUnavailable("second", "refused")
    with pytest.raises(FeedUnavailable, match="second"):
        await market.chain("BARE")


async def test_orders_ask_before_everybody_else_and_share_no_answer_with_them():
    source, urgent = Source(prices={"SPY": "1"}), []

    async def quotes_for_orders(symbols):
        urgent.append(symbols)
        return await Source.quotes(source, symbols)

    source.quotes_for_orders = quotes_for_orders
    market = Market([source], CALENDAR)
    asked = [market.quotes(("SPY",)), *(market.quotes(("SPY",), anew=True) for _ in range(5))]
    assert all(board.lines for board in await asyncio.gather(*asked))
    assert (source.requests, urgent) == (2, [["SPY"]])
    await market.quotes(("SPY",), anew=True)
    assert source.requests == 3, "none that is kept either"


async def test_live_quotes_are_for_those_whose_plan_has_them():
    source, tape = Source(prices={"SPY": "1"}), Tape()
    market = Market([source], CALENDAR, tape)
    tape.follow(["SPY"])
    await market.quotes(("SPY",))
    tape.hear([Tick("SPY", OPEN, 1, Decimal(2))], [])
    assert (await market.quotes(("SPY",))).lines[0].quote.price == 2
    assert (await market.quotes(("SPY",), max_age=timedelta(minutes=1), anew=True)).lines[0].quote.price == 2
    assert (await market.quotes(("SPY",), max_age=timedelta(minutes=1))).lines[0].quote.price == 1
    assert source.requests == 1


async def test_a_failure_is_not_kept():
    source = Source(prices={"SPY": "1"})
    source.down = FeedUnavailable("first", "refused")
    market = Market([source], CALENDAR)
    with pytest.raises(FeedUnavailable):
        await market.quotes(("SPY",))
    source.down = None
    assert (await market.quotes(("SPY",))).lines
    assert market.health()[0].ok


async def test_an_unknown_symbol_names_the_nearest():
    market = Market([Source(prices={"SPY": "1"})], CALENDAR)
    market.directory = Directory([Listing("AAPL", "Apple Inc."), Listing("SPY", "SPDR S&P 500")])
    with pytest.raises(UnknownSymbol, match=r"AAPL"):
        await market.quotes(("APPL",))
    with pytest.raises(UnknownSymbol, match=r"AAPL"):
        await market.chain("APPL")


async def test_one_unknown_symbol_does_not_hide_the_others():
    board = await Market([Source(prices={"SPY": "1"})], CALENDAR).quotes(("SPY", "NOPE"))
    assert [line.quote.symbol for line in board.lines] == ["SPY"]
    assert "NOPE" in str(board.missing["NOPE"])


async def test_more_than_ten_symbols_are_refused():
    with pytest.raises(TooManySymbols, match="up to 10"):
        await Market([], CALENDAR).quotes(tuple("ABCDEFGHIJK"))


async def test_a_symbol_without_options_says_so():
    with pytest.raises(NoChain, match="no option chain"):
        await Market([Source(prices={"BARE": "1"})], CALENDAR).chain("BARE")


@pytest.mark.parametrize(
    ("now", "delay", "age", "stale"),
    [
        (OPEN, timedelta(0), timedelta(seconds=90), False),
        (OPEN, timedelta(0), timedelta(minutes=3), True),
        (OPEN, timedelta(minutes=15), timedelta(minutes=16), False),
        (OPEN, timedelta(minutes=15), timedelta(minutes=18), True),
        (OPEN, None, timedelta(days=900), False),  # a recording is old, not stale
        (CLOSED, timedelta(0), timedelta(days=2), False),  # nothing trades
        (OPENED + timedelta(minutes=16), timedelta(minutes=15), timedelta(hours=17), False),  # it still tells of before
        (OPENED + timedelta(minutes=18), timedelta(minutes=15), timedelta(hours=17), True),
        (OPENED + timedelta(minutes=3), timedelta(0), timedelta(hours=17), True),
        (OPENED + timedelta(hours=6.5, minutes=1), timedelta(0), timedelta(minutes=5), False),  # nothing trades again
    ],
)
async def test_a_quote_is_stale_when_the_source_breaks_its_word(now, delay, age, stale):
    board = await Market([Source(prices={"SPY": "1"}, now=now, delay=delay, age=age)], CALENDAR).quotes(("SPY",))
    assert board.lines[0].stale is stale


async def test_a_stale_chain_is_named_instead_of_drawn():
    with pytest.raises(BadData, match="too old to draw"):
        await Market([Source(prices={"SPY": "1"}, age=timedelta(hours=1))], CALENDAR).chain("SPY")
    with pytest.raises(BadData):
        await Market([Source(prices={"SPY": "1"}, now=CLOSED, age=timedelta(days=2, hours=1))], CALENDAR).chain("SPY")


@pytest.mark.parametrize(("minutes", "drawn"), [(44, True), (46, False)])
async def test_the_contract_delay_of_a_chain_is_no_staleness(minutes, drawn):
    source = Source(prices={"SPY": "1"}, delay=timedelta(minutes=15), age=timedelta(minutes=minutes))
    market = Market([source], CALENDAR)
    answer = await asyncio.gather(market.chain("SPY"), return_exceptions=True)
    assert isinstance(answer[0], Chain) is drawn
    assert market.health()[0].ok is drawn


@pytest.mark.parametrize(("minutes", "delay", "drawn"), [(1, 0, True), (3, 0, False), (16, 15, True), (18, 15, False)])
async def test_after_the_open_the_chain_of_the_close_before_is_good_for_as_long_as_the_source_is_late(
    minutes, delay, drawn
):
    now, delay = OPENED + timedelta(minutes=minutes), timedelta(minutes=delay)
    source = Source(prices={"SPY": "1"}, now=now, delay=delay, age=now - session(19)[1])
    answer = await asyncio.gather(Market([source], CALENDAR).chain("SPY"), return_exceptions=True)
    assert isinstance(answer[0], Chain) is drawn


async def test_old_data_shows_in_the_health_of_the_source():
    source = Source(prices={"SPY": "1"}, age=timedelta(minutes=3))
    market = Market([source], CALENDAR)
    await market.quotes(("SPY",))
    assert (market.health()[0].ok, market.health()[0].detail) == (False, "sends old data")


async def test_of_two_failing_sources_the_first_is_named():
    first, second = Source("first", {"SPY": "1"}), Source("second", {"SPY": "2"})
    first.down, second.down = FeedUnavailable("first", "refused"), FeedUnavailable("second", "refused")
    with pytest.raises(FeedUnavailable, match="from first"):
        await Market([first, second], CALENDAR).quotes(("SPY",))


async def test_no_symbol_at_all_is_told():
    with pytest.raises(NoSymbols, match="at least one"):
        await Market([], CALENDAR).quotes(())


async def test_after_the_close_the_closing_chain_is_good():
    chain = await Market([Source(prices={"SPY": "1"}, now=CLOSED, age=timedelta(days=1, hours=20))], CALENDAR).chain(
        "SPY"
    )
    assert chain.symbol == "SPY"
    assert (
        await Market([Source(prices={"SPY": "1"}, age=timedelta(days=999), delay=None)], CALENDAR).chain("SPY")
    ).spot


@pytest.mark.parametrize(
    ("now", "delay", "before_close", "holds_at_close"),
    [
        (CLOSED, 0, timedelta(seconds=1), True),
        (CLOSED, 0, timedelta(minutes=5), True),
        (CLOSED, 0, timedelta(minutes=6), False),
        (CLOSED, 0, -timedelta(minutes=15), False),
        (session(20)[1] + timedelta(minutes=14), 15, timedelta(minutes=2), False),  # it does not tell of the close yet
        (session(20)[1] + timedelta(minutes=15), 15, timedelta(minutes=2), True),
        (CLOSED, None, timedelta(seconds=1), False),
    ],
)
async def test_the_last_quotes_of_a_session_hold_at_its_close(now, delay, before_close, holds_at_close):
    close = session(20)[1]
    delay = None if delay is None else timedelta(minutes=delay)
    source = Source(prices={"SPY": "1"}, now=now, delay=delay, age=now - close + before_close)
    found = (await Market([source], CALENDAR).chain("SPY")).as_of
    assert found == (close if holds_at_close else close - before_close)


async def test_age_is_measured_by_the_sources_clock_and_never_negative():
    board = await Market([Source(prices={"SPY": "1"}, age=timedelta(seconds=-5))], CALENDAR).quotes(("SPY",))
    assert board.lines[0].age == timedelta(0)


async def test_a_quote_asked_for_anew_is_not_a_kept_one():
    source = Source(prices={"SPY": "1"})
    market = Market([source], CALENDAR)
    await market.quotes(("SPY",))
    source.prices["SPY"] = "2"
    assert (await market.quotes(("SPY",))).lines[0].quote.price == 1
    assert (await market.quotes(("SPY",), anew=True)).lines[0].quote.price == 2


async def test_a_preferred_source_that_is_away_is_named_beside_the_answer():
    first, second = Source("first", {"SPY": "1"}), Source("second", {"SPY": "2"})
    first.down = FeedUnavailable("first", "no answer within 2 s")
    market = Market([first, second], CALENDAR)
    assert [failure.feed for failure in (await market.quotes(("SPY",))).away] == ["first"]
    first.down = None
    assert (await market.quotes(("SPY",), anew=True)).away == ()


async def test_each_symbol_that_could_not_be_had_has_its_reason():
    first, second = Source("first", {"SPY": "1"}), Source("second", {"SPX": "3"})
    second.down = FeedUnavailable("second", "refused")
    board = await Market([first, second], CALENDAR).quotes(("SPX", "SPY"))
    assert [line.quote.symbol for line in board.lines] == ["SPY"]
    assert list(board.missing) == ["SPX"]
    assert "from second" in str(board.missing["SPX"])


async def test_only_sources_that_offer_it_are_asked():
    class Quoting(Source):
        offers = frozenset({Offer.QUOTES})

    first, second = Quoting("first", {"SPY": "1"}), Source("second", {"SPY": "2"})
    market = Market([first, second], CALENDAR)
    assert (await market.chain("SPY")).source == "second"
    assert (await market.bars("SPY", timedelta(days=1), OPEN, OPEN)).source == "second"
    assert first.requests == 0
    with pytest.raises(NoBars, match="has bars"):
        await Market([first], CALENDAR).bars("SPY", timedelta(days=1), OPEN, OPEN)


async def test_where_the_first_source_has_an_old_chain_the_next_one_is_asked():
    old, fresh = Source("old", {"SPY": "1"}, age=timedelta(hours=1)), Source("fresh", {"SPY": "2"})
    assert (await Market([old, fresh], CALENDAR).chain("SPY")).source == "fresh"


async def test_ages_of_kept_quotes_are_those_of_the_moment_they_are_shown():
    source = Source(prices={"SPY": "1"})
    market = Market([source], CALENDAR)
    minute = timedelta(minutes=1)
    assert (await market.quotes(("SPY",), max_age=minute)).lines[0].age == timedelta(seconds=1)
    source._now += timedelta(seconds=150)
    line = (await market.quotes(("SPY",), max_age=minute)).lines[0]
    assert (line.age, line.stale) == (timedelta(seconds=151), True)
    assert source.requests == 1


async def test_a_chain_is_kept_for_as_long_as_the_asker_allows():
    source = Source(prices={"SPY": "1"})
    market = Market([source], CALENDAR)
    await market.chain("SPY")
    await market.chain("SPY", max_age=timedelta(minutes=15))
    assert source.requests == 1
    await market.chain("SPY", max_age=timedelta(0))
    assert source.requests == 2


async def test_bars_come_from_the_first_source_that_has_some():
    empty, full = Source("empty"), Source("full", {"SPX": "7"})
    market = Market([empty, full], CALENDAR)
    market.directory = Directory([Listing("SPX", "S&P 500"), Listing("KO", "Coca-Cola")])
    day = timedelta(days=1)
    assert (await market.bars("SPX", day, OPEN - day, OPEN)).source == "full"
    assert (await market.bars("KO", day, OPEN - day, OPEN)).bars == ()
    with pytest.raises(UnknownSymbol, match="SPX"):
        await market.bars("SPXX", day, OPEN - day, OPEN)
    full.down = FeedUnavailable("full", "refused")
    with pytest.raises(FeedUnavailable):
        await market.bars("KO", day, OPEN - 2 * day, OPEN)


async def test_bars_of_the_same_minutes_are_one_request():
    source = Source(prices={"SPY": "1"})
    market = Market([source], CALENDAR)
    seconds = [timedelta(seconds=s) for s in (1, 20, 59)]
    found = await asyncio.gather(*(market.bars("SPY", timedelta(days=1), OPEN, OPEN + s) for s in seconds))
    assert source.requests == 1
    assert {bars.bars[0].start for bars in found} == {OPEN}
