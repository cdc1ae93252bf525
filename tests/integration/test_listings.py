"""The list of symbols: from several feeds, each of which may fail, and kept for those who start without any."""

import pytest

from services import listings
from services.clock import Calendar
from services.errors import FeedUnavailable
from services.feeds.base import Feed, Listing, Offer
from services.market import Market


class Lister(Feed):
    """A feed that lists what the test says, or fails."""

    offers = frozenset(Offer)

    def __init__(self, name, *symbols):
        self.name, self.symbols, self.away = name, symbols, False

    async def listings(self):
        if self.away:
            raise FeedUnavailable(self.name, "away")
        return [Listing(symbol, f"{symbol} of {self.name}") for symbol in self.symbols]


@pytest.fixture
def feeds():
    return [Lister("one", "SPY", "QQQ"), Lister("two", "SPY", "SPX")]


async def directory(feeds, database):
    market = Market(feeds, Calendar(()))
    await listings.read(market, database)
    return market.directory


async def test_the_first_feed_that_lists_a_symbol_names_it(database, feeds):
    assert await listings.sync(feeds, database) == []
    found = await directory(feeds, database)
    assert {symbol: found.name(symbol) for symbol in ("SPY", "QQQ", "SPX")} == {
        "SPY": "SPY of one",
        "QQQ": "QQQ of one",
        "SPX": "SPX of two",
    }


async def test_a_feed_that_fails_keeps_its_list_and_the_others_are_stored(database, feeds):
    await listings.sync(feeds, database)
    feeds[0].away, feeds[1].symbols = True, ("NDX",)
    assert [failure.feed for failure in await listings.sync(feeds, database)] == ["one"]
    found = await directory(feeds, database)
    assert [symbol for symbol in ("SPY", "QQQ", "SPX", "NDX") if symbol in found] == ["SPY", "QQQ", "NDX"]


async def test_an_empty_list_wipes_nothing_out(database, feeds):
    await listings.sync(feeds, database)
    feeds[0].symbols = ()
    assert [failure.reason for failure in await listings.sync(feeds, database)] == ["it lists no symbols"]
    assert "QQQ" in await directory(feeds, database)


async def test_before_anything_is_stored_the_feeds_are_asked_themselves(database, feeds):
    feeds[0].away = True
    found = await directory(feeds, database)
    assert "SPX" in found
    assert "QQQ" not in found


async def test_a_feed_that_is_not_configured_any_more_is_left_out(database, feeds):
    await listings.sync(feeds, database)
    assert "SPX" not in await directory(feeds[:1], database)
