"""Every feed that speaks HTTP, on every kind of bad day."""

import asyncio
import time as clock
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from feed_stage import FRIDAY, HASTY, Ticking, serving, staged

from sandbox import market_api
from sandbox.face import ALPACA, TRADIER
from services.errors import FeedUnavailable
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.feeds.base import Offer
from services.feeds.cboe import Cboe
from services.feeds.tradier import Tradier
from services.feeds.upstream import Patience

FEEDS = ("alpaca", "tradier", "cboe")


@pytest.fixture
async def stage():
    async with staged() as stage:
        yield stage


@pytest.fixture
def ticking():
    return Ticking()


@pytest.fixture(params=FEEDS)
def feed(stage, ticking, request):
    return getattr(stage, request.param)(clock=ticking)


def requests_of(feed):
    yield lambda: feed.quotes(["SPY"])
    yield lambda: feed.chain("KO")
    if Offer.BARS in feed.offers:
        yield lambda: feed.bars("SPY", timedelta(days=1), FRIDAY - timedelta(days=5), FRIDAY)
        yield lambda: feed.bars("SPY", timedelta(minutes=5), FRIDAY - timedelta(hours=5), FRIDAY)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "status", "status": 500}, "error of its own, 500"),
        ({"kind": "status", "status": 503}, "error of its own, 503"),
        ({"kind": "status", "status": 401}, "refused ours"),
        ({"kind": "status", "status": 422}, "422"),
        ({"kind": "rate_limit", "seconds": 17}, "slow down"),
        ({"kind": "rate_limit", "headers": False}, "slow down"),
        ({"kind": "garbage"}, "answered nonsense"),
        ({"kind": "wrong"}, "answered nonsense"),
        ({"kind": "half"}, "the connection broke"),
        ({"kind": "reset"}, "the connection broke"),
        ({"kind": "hang", "seconds": 30}, "no answer within"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_each_failure_has_its_reason_and_an_end(stage, feed, ticking, fault, reason):
    feed._patience = Patience(0.15, 0.15) if fault["kind"] == "hang" else HASTY
    await stage.fault(**fault)
    for request in requests_of(feed):
        with pytest.raises(FeedUnavailable, match=reason):
            await request()
        ticking.seconds += 400
    await stage.heal()
    feed._patience = HASTY
    for request in requests_of(feed):
        assert await request()
    assert all(access.rest_s is None and not access.quiet_s for access in feed.access())


async def test_a_hanging_source_is_given_up_in_time(stage, feed):
    feed._patience = Patience(0.2, 0.2)
    await stage.fault(kind="hang", seconds=30)
    began = clock.monotonic()
    with pytest.raises(FeedUnavailable, match=r"no answer within 0\.2 s"):
        await feed.quotes(["SPY"])
    assert clock.monotonic() - began < 0.6


async def test_one_broken_connection_is_retried_and_not_noticed(stage, feed):
    await stage.fault(kind="reset", count=1)
    assert await feed.quotes(["SPY"])


async def test_a_refusal_with_a_moment_is_kept_to_without_another_request(stage, feed, ticking):
    await stage.fault(kind="rate_limit", seconds=17)
    with pytest.raises(FeedUnavailable):
        await feed.quotes(["SPY"])
    await stage.heal()
    asked = await stage.asked()
    with pytest.raises(FeedUnavailable, match="rate limit is used up") as refusal:
        await feed.quotes(["SPY"])
    assert await stage.asked() == asked
    # Cboe tells no limit
    assert refusal.value.retry_after_s == pytest.approx(2 if feed.name == "cboe" else 17, abs=1.1)
    assert "Try again in" in str(refusal.value)
    ticking.seconds += 18
    assert await feed.quotes(["SPY"])


async def test_refusals_without_a_moment_make_it_wait_longer_each_time(stage, feed, ticking):
    await stage.fault(kind="rate_limit", headers=False)
    waits = []
    for _ in range(4):
        with pytest.raises(FeedUnavailable) as refusal:
            await feed.quotes(["SPY"])
        waits.append(refusal.value.retry_after_s)
        ticking.seconds += waits[-1]
    assert waits == [2, 4, 8, 16]
    await stage.heal()
    assert await feed.quotes(["SPY"])
    await stage.fault(kind="rate_limit", headers=False)
    with pytest.raises(FeedUnavailable) as refusal:
        await feed.quotes(["KO"])
    assert refusal.value.retry_after_s == 2


async def test_a_source_that_fails_is_left_in_peace_and_tried_by_one_request(stage, feed, ticking):
    await stage.fault(kind="status", status=502)
    for _ in range(5):
        with pytest.raises(FeedUnavailable, match="502"):
            await feed.quotes(["SPY"])
    asked = await stage.asked()
    with pytest.raises(FeedUnavailable, match="left in peace") as refusal:
        await feed.quotes(["SPY"])
    assert refusal.value.retry_after_s == 5
    assert await stage.asked() == asked
    assert feed.access()[0].rest_s == 5
    ticking.seconds += 5
    askers = [feed.quotes([symbol]) for symbol in ("SPY", "KO", "QQQ", "AAPL", "MSFT")]
    assert {type(each) for each in await asyncio.gather(*askers, return_exceptions=True)} == {FeedUnavailable}
    assert await stage.asked() == asked + 1
    await stage.heal()
    ticking.seconds += 10
    askers = [feed.quotes([symbol]) for symbol in ("SPY", "KO", "QQQ", "AAPL", "MSFT")]
    assert all(await asyncio.gather(*askers))
    assert feed.access()[0].rest_s is None


async def test_no_chain_uses_up_what_is_left_to_quotes(monkeypatch, ticking):
    monkeypatch.setattr(market_api, "ALPACA", replace(ALPACA, a_minute=60))
    monkeypatch.setattr(market_api, "TRADIER", replace(TRADIER, a_minute=60))
    async with staged() as stage:
        for feed in (stage.alpaca(clock=ticking), stage.tradier(clock=ticking)):
            refused = 0
            while refused < 24:
                (found,) = await asyncio.gather(feed.chain("SPX"), return_exceptions=True)
                refused += "rate limit is used up" in str(found)
            for _ in range(3):
                assert await feed.quotes(["SPY"])
            with pytest.raises(FeedUnavailable, match="rate limit is used up"):
                await feed.quotes(["SPY"])
            for _ in range(3):
                assert await feed.quotes_for_orders(["SPY"]), "the last ones are for orders"


@pytest.mark.parametrize(("name", "path"), [("alpaca", "options/snapshots"), ("tradier", "options/chains")])
async def test_quotes_do_not_wait_for_the_chains_of_others(stage, name, path):
    feed = getattr(stage, name)()
    await stage.fault(kind="hang", seconds=30, count=100, path_contains=path)
    chains = [asyncio.create_task(feed.chain(symbol)) for symbol in ("SPX", "SPY", "QQQ", "AAPL", "NDX", "RUT")]
    await asyncio.sleep(0.2)
    assert await feed.quotes(["KO"])
    for chain in chains:
        chain.cancel()
    await asyncio.gather(*chains, return_exceptions=True)


async def test_options_that_fail_do_not_take_the_quotes_with_them(stage):
    feed = stage.alpaca()
    await stage.fault(kind="status", status=503, path_contains="options")
    chains = [await asyncio.gather(feed.chain("KO"), return_exceptions=True) for _ in range(8)]
    assert "left in peace" in str(chains[-1])
    assert await feed.quotes(["KO"])


async def test_nonsense_is_a_failure_like_others(stage, feed):
    await stage.fault(kind="wrong")
    for _ in range(5):
        with pytest.raises(FeedUnavailable, match="nonsense"):
            await feed.quotes(["SPY"])
    with pytest.raises(FeedUnavailable, match="left in peace"):
        await feed.quotes(["SPY"])


async def test_a_whole_chain_can_be_the_one_that_finds_the_source_back(stage, feed, ticking):
    await stage.fault(kind="status", status=502, path_contains="/")
    for _ in range(5):
        with pytest.raises(FeedUnavailable):
            await feed.quotes(["SPY"])
    await stage.heal()
    ticking.seconds += 5
    assert len((await feed.chain("KO")).strike)


async def test_stale_data_says_so_by_its_time(stage, feed):
    await stage.fault(kind="stale", seconds=3600)
    spy = (await feed.quotes(["SPY"]))["SPY"]
    assert feed.now() - spy.as_of > timedelta(minutes=59)
    assert feed.now() - (await feed.chain("AAPL")).as_of > timedelta(minutes=59)


@pytest.mark.parametrize("feed_class", [Alpaca, Tradier, Cboe])
async def test_nobody_listening_is_a_reason_too(feed_class):
    nowhere = "http://127.0.0.1:9"
    arguments = {Alpaca: (nowhere, nowhere, by_key("key", "secret")), Tradier: (nowhere, "token"), Cboe: (nowhere,)}
    feed = feed_class(*arguments[feed_class])
    with pytest.raises(FeedUnavailable, match="cannot be reached"):
        await feed.quotes(["SPY"])
    await feed.close()


async def test_the_age_that_a_cache_adds_belongs_to_the_time(ticking):
    async def cached(_request):
        headers = {"Date": "Fri, 20 Nov 2026 16:00:00 GMT", "Age": "40"}
        return web.Response(status=403, headers=headers)

    async with serving(web.get("/api/global/delayed_quotes/options/{name}", cached)) as address:
        feed = Cboe(address, clock=ticking)
        assert await feed.quotes(["NOPE"]) == {}
        assert f"{feed.now():%H:%M:%S}" == "16:00:40"
        ticking.seconds += 5
        assert f"{feed.now():%H:%M:%S}" == "16:00:45"
        await feed.close()
