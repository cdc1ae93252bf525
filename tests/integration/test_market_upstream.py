"""The market over real feeds: how often the sources are really asked, counted where they are."""

import asyncio

import pytest
from feed_stage import FRIDAY, sessions, staged

from services.clock import Calendar
from services.errors import FeedUnavailable
from services.market import Market


@pytest.fixture
async def stage():
    async with staged() as stage:
        yield stage


@pytest.mark.parametrize("name", ["alpaca", "tradier", "cboe"])
async def test_a_hundred_askers_of_a_cold_symbol_are_one_request(stage, name):
    market = Market([getattr(stage, name)()], Calendar(tuple(sessions())))
    boards = await asyncio.gather(*(market.quotes(("KO",)) for _ in range(100)))
    assert len({board.lines[0].quote for board in boards}) == 1
    assert await stage.asked() == 1


@pytest.mark.parametrize("name", ["alpaca", "tradier", "cboe"])
async def test_a_hundred_askers_of_a_cold_chain_cost_no_more_than_one(stage, name):
    calendar = Calendar(tuple(sessions()))
    await Market([getattr(stage, name)()], calendar).chain("KO")
    once = await stage.asked()
    chains = await asyncio.gather(*(_hundred(Market([getattr(stage, name)()], calendar))))
    assert len({id(chain) for chain in chains}) == 1
    assert await stage.asked() == 2 * once


def _hundred(market):
    return [market.chain("KO") for _ in range(100)]


async def test_each_symbol_falls_back_by_itself_and_names_its_source(stage):
    market = Market([stage.tradier(), stage.alpaca(), stage.cboe()], Calendar(tuple(sessions())))
    await stage.fault(kind="status", status=500, path_contains="/tradier/")
    board = await market.quotes(("SPY", "KO"))
    assert {line.quote.source for line in board.lines} == {"Alpaca IEX"}
    assert [failure.feed for failure in board.away] == ["Tradier"]
    assert (await market.chain("KO")).source == "Alpaca indicative"
    await stage.fault(kind="hang", path_contains="/alpaca/")
    board = await market.quotes(("AAPL", "SPX"))
    assert {line.quote.source for line in board.lines} == {"Cboe delayed"}
    assert board.lines[0].age.total_seconds() == pytest.approx(900, abs=2)
    assert not any(line.stale for line in board.lines)
    assert [(health.name, health.ok) for health in market.health()] == [
        ("tradier", False),
        ("alpaca", False),
        ("cboe", True),
    ]
    await stage.fault(kind="reset", path_contains="/cboe/")
    with pytest.raises(FeedUnavailable, match="from Tradier"):
        await market.quotes(("MSFT",))


async def test_health_tells_budget_and_breaker(stage):
    market = Market([stage.tradier()], Calendar(tuple(sessions())))
    await market.quotes(("SPY",))
    access, orders, rest = market.health()[0].access
    assert (access.limit, access.left, access.rest_s, access.quiet_s) == (120, 119, None, 0)
    assert (rest.limit, rest.left) == (120, 119)
    await stage.fault(kind="status", status=500)
    for symbol in ("A", "B", "C", "D", "E"):
        with pytest.raises(FeedUnavailable):
            await market.quotes((symbol,))
    access, orders, rest = market.health()[0].access
    assert rest.rest_s is None, "what is not urgent may still work"
    assert orders.rest_s is None, "nor does a ticket rest because quotes do"
    assert 4 < access.rest_s <= 5
    assert not market.health()[0].ok
    assert market.now() >= FRIDAY
