"""The Alpaca feed against the synthetic market, on good days and on every kind of bad one."""

import asyncio
import time as clock
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import numpy as np
import pytest
from aiohttp import web
from feed_stage import FRIDAY, serving, staged

from services import gamma
from services.clock import NEW_YORK
from services.errors import FeedForbids, FeedSignedOut, FeedUnavailable, NoChain, UnknownSymbol
from services.feeds import alpaca_chain
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key, by_token
from services.feeds.upstream import Patience


@pytest.fixture
async def stage():
    async with staged() as stage:
        yield stage


@pytest.fixture
def feed(stage):
    return stage.alpaca()


async def test_quotes_say_what_the_market_says(stage, feed):
    quotes = await feed.quotes(["SPY", "BRK.B", "NOPE"])
    assert set(quotes) == {"SPY", "BRK.B"}
    spy, at = quotes["SPY"], FRIDAY.timestamp()
    day = stage.market.day(at)
    daily = stage.market.daily("SPY", day, at)
    assert float(spy.price) == pytest.approx(stage.market.price("SPY", at), rel=1e-4)
    assert isinstance(spy.price, Decimal)
    assert spy.bid < spy.ask
    assert abs(spy.price / spy.bid - 1) < Decimal("0.001")
    assert spy.previous_close == Decimal(str(stage.market.last_close("SPY", day - 1)))
    assert spy.day_low <= spy.price <= spy.day_high
    assert (spy.day_open, spy.day_high) == tuple(Decimal(str(x[0])) for x in (daily.open, daily.high))
    assert spy.volume == daily.volume[0] > 1_000_000
    assert timedelta(0) <= FRIDAY - spy.as_of < timedelta(seconds=1)
    assert (spy.source, spy.delay) == ("Alpaca IEX", timedelta(0))


async def test_an_index_has_a_price_and_no_quote(feed):
    spx = (await feed.quotes(["SPX"]))["SPX"]
    assert spx.price > 1000
    assert spx.bid is spx.ask is None


async def test_before_the_open_the_day_has_no_range_and_yesterday_is_the_previous_close(stage, feed):
    await stage.turn(jump="2026-11-23T08:00:00")
    spy = (await feed.quotes(["SPY"]))["SPY"]
    friday = stage.market.day(FRIDAY.timestamp())
    assert spy.previous_close == Decimal(str(stage.market.last_close("SPY", friday)))
    assert spy.day_open is spy.volume is None


async def test_on_the_weekend_the_change_is_that_of_friday(stage, feed):
    await stage.turn(jump="2026-11-22T12:00:00")
    spy = (await feed.quotes(["SPY"]))["SPY"]
    friday = stage.market.day(FRIDAY.timestamp())
    assert spy.previous_close == Decimal(str(stage.market.last_close("SPY", friday - 1)))
    assert spy.as_of.astimezone(NEW_YORK).date() == date(2026, 11, 20)


async def test_a_symbol_that_alpaca_cannot_read_does_not_take_the_others_down(feed):
    assert set(await feed.quotes(["SPY", "A1B2", "AAPL"])) == {"SPY", "AAPL"}
    assert await feed.quotes(["A1B2"]) == {}


@pytest.mark.parametrize(("symbol", "least", "am"), [("SPX", 3000, True), ("SPY", 1500, False), ("BRK.B", 100, False)])
async def test_a_chain_is_whole(feed, symbol, least, am):
    chain = await feed.chain(symbol)
    assert len(chain.strike) > least
    assert chain.am_settled.any() == am
    assert chain.open_interest_date == date(2026, 11, 19)
    assert np.isfinite(chain.open_interest).all()
    assert chain.open_interest.sum() > 0
    assert np.isfinite(chain.iv).mean() > 0.6
    assert timedelta(0) <= FRIDAY - chain.as_of < timedelta(seconds=2)
    assert chain.spot == float((await feed.quotes([symbol]))[symbol].price)
    assert (chain.source, chain.delay) == ("Alpaca indicative", timedelta(minutes=15))


async def test_gamma_of_a_fetched_chain_makes_sense(feed):
    for symbol in ("SPX", "SPY", "AAPL"):
        found = gamma.analyze(await feed.chain(symbol))
        assert found.put_wall < found.spot < found.call_wall
        assert found.flip == pytest.approx(found.spot, rel=0.08)
        assert found.coverage > 0.95


async def test_open_interest_is_kept_for_an_hour_and_not_over_night(stage, feed):
    await feed.chain("AAPL")
    await stage.fault(kind="status", status=500, path_contains="/contracts")
    await feed.chain("AAPL")
    with pytest.raises(FeedUnavailable):
        await feed.chain("KO")
    await stage.turn(jump="next_day")
    await feed.quotes(["SPY"])
    with pytest.raises(FeedUnavailable):
        await feed.chain("AAPL")


async def test_no_chain_and_no_symbol_are_told_apart(feed):
    with pytest.raises(NoChain):
        await feed.chain("VIX")
    with pytest.raises(UnknownSymbol):
        await feed.chain("NOPE")


async def test_spot_comes_from_parity_where_the_stock_is_not_quoted(stage, feed):
    known = (await feed.chain("SPY")).spot
    await stage.fault(kind="stale", seconds=7200, path_contains="/stocks/snapshots")
    assert (await feed.chain("SPY")).spot == pytest.approx(known, rel=5e-4)


async def test_spot_is_of_the_moment_of_the_option_quotes_though_the_stock_has_moved_since(stage, feed):
    known = (await feed.chain("SPY")).spot
    stage.market.nudge("SPY", 3.0)
    await stage.turn(jump=(FRIDAY + timedelta(minutes=5)).isoformat())
    await stage.fault(kind="stale", seconds=600, path_contains="/options/snapshots")
    assert float((await feed.quotes(["SPY"]))["SPY"].price) > known * 1.02
    assert (await feed.chain("SPY")).spot == pytest.approx(known, rel=5e-3)


async def test_listings_hold_stocks_and_indices(feed):
    names = {listing.symbol: listing.name for listing in await feed.listings()}
    assert names["BRK.B"] == "Berkshire Hathaway Inc. Class B"
    assert {"SPX", "NDX", "RUT", "VIX", "SPY"} <= set(names)


async def test_stocks_are_listed_where_the_plan_has_no_indices():
    async def assets(request):
        if request.query["asset_class"] == "us_index":
            return web.json_response({"message": "forbidden"}, status=403)
        return web.json_response([{"symbol": "KO", "name": "Coca-Cola", "tradable": True}, {"symbol": "OLD"}])

    async with serving(web.get("/v2/assets", assets)) as address, reading(address) as feed:
        assert [listing.symbol for listing in await feed.listings()] == ["KO"]


async def test_bars_come_in_pages_and_in_order(stage, feed):
    minutes = (await feed.bars("SPY", timedelta(minutes=1), FRIDAY - timedelta(days=20), FRIDAY)).bars
    assert len(minutes) > 10_000
    assert [bar.start for bar in minutes] == sorted({bar.start for bar in minutes})
    days = await feed.bars("SPY", timedelta(days=1), FRIDAY - timedelta(days=10), FRIDAY)
    assert (days.source, days.delay) == ("Alpaca IEX", timedelta(0))
    last = days.bars[-1]
    assert last.start.astimezone(NEW_YORK).date() == date(2026, 11, 20)
    assert last.low <= last.open <= last.high
    assert isinstance(last.close, Decimal)
    assert (await feed.bars("NOPE", timedelta(days=1), FRIDAY - timedelta(days=10), FRIDAY)).bars == ()
    with pytest.raises(ValueError, match="no bars"):
        await feed.bars("SPY", timedelta(minutes=2), FRIDAY, FRIDAY)


async def test_now_is_the_time_at_the_source(stage, feed):
    assert abs(feed.now() - datetime.now(UTC)) < timedelta(seconds=1)
    await feed.quotes(["SPY"])
    assert timedelta(seconds=-1) <= feed.now() - FRIDAY < timedelta(seconds=1)
    await stage.turn(jump="next_day")
    await feed.quotes(["SPY"])
    assert timedelta(seconds=-1) <= feed.now() - stage.market.now() < timedelta(seconds=1)


async def test_the_time_at_the_source_is_no_earlier_than_what_its_stream_tells(stage, feed):
    await feed.quotes(["SPY"])
    feed.heard(FRIDAY + timedelta(hours=2))
    assert feed.now() >= FRIDAY + timedelta(hours=2)
    feed.heard(FRIDAY - timedelta(hours=1))
    assert feed.now() >= FRIDAY + timedelta(hours=2)


async def test_the_open_interest_of_a_few_symbols_is_kept(feed, monkeypatch):
    monkeypatch.setattr(alpaca_chain, "_MOST_KEPT", 2)
    for symbol in ("AAPL", "MSFT", "META", "AAPL"):
        await feed.chain(symbol)
    assert list(feed._options._interest) == ["META", "AAPL"]


async def test_a_hanging_source_is_given_up_in_time(stage, feed):
    await stage.fault(kind="hang", seconds=30)
    began = clock.monotonic()
    with pytest.raises(FeedUnavailable, match=r"no answer within 0\.4 s"):
        await feed.quotes(["SPY"])
    assert clock.monotonic() - began < 1
    hasty = stage.alpaca(patience=Patience(0.4, 0.5))
    with pytest.raises(FeedUnavailable, match=r"no answer within 0\.5 s"):
        await hasty.chain("SPY")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "status", "status": 500}, "error of its own, 500"),
        ({"kind": "status", "status": 503}, "error of its own, 503"),
        ({"kind": "status", "status": 401}, "refused ours"),
        ({"kind": "status", "status": 403}, "refused ours"),
        ({"kind": "status", "status": 422}, "422: a fault of the sandbox"),
        ({"kind": "garbage"}, "answered nonsense"),
        ({"kind": "reset"}, "the connection broke"),
    ],
)
async def test_each_failure_has_its_reason(stage, feed, fault, reason):
    await stage.fault(**fault)
    for request in (feed.quotes(["SPY"]), feed.chain("AAPL"), feed.listings()):
        with pytest.raises(FeedUnavailable, match=reason):
            await request
    (await stage.desk.delete("/faults")).raise_for_status()
    assert await feed.quotes(["SPY"])


async def test_too_many_requests_say_how_long_to_wait(stage, feed):
    await stage.fault(kind="rate_limit", seconds=17)
    with pytest.raises(FeedUnavailable, match="slow down") as refusal:
        await feed.quotes(["SPY"])
    assert 15 <= refusal.value.retry_after_s <= 17


async def test_one_broken_connection_is_retried_and_not_noticed(stage, feed):
    await stage.fault(kind="reset", count=1)
    assert await feed.quotes(["SPY"])


async def test_stale_data_says_so_by_its_time(stage, feed):
    await stage.fault(kind="stale", seconds=3600)
    spy = (await feed.quotes(["SPY"]))["SPY"]
    assert feed.now() - spy.as_of > timedelta(minutes=59)
    assert feed.now() - (await feed.chain("AAPL")).as_of > timedelta(minutes=59)


async def test_nobody_listening_is_a_reason_too():
    feed = Alpaca("http://127.0.0.1:9", "http://127.0.0.1:9", by_key("key", "secret"))
    with pytest.raises(FeedUnavailable, match="cannot be reached"):
        await feed.quotes(["SPY"])
    await feed.close()


@pytest.mark.parametrize("kind", ["status", "garbage", "reset"])
async def test_half_a_chain_is_no_chain(stage, feed, kind):
    pages = 0

    async def fail_later(request: httpx.Request) -> None:
        nonlocal pages
        if "page_token" in request.url.params and "snapshots" in request.url.path:
            pages += 1
            if pages == 2:
                await stage.fault(kind=kind, path_contains="/options/snapshots")

    feed._data._client.event_hooks = {"request": [fail_later], "response": []}
    with pytest.raises(FeedUnavailable):
        await feed.chain("SPX")
    assert pages >= 2


async def test_nothing_keeps_running_after_a_failed_chain(stage, feed):
    await stage.fault(kind="status", status=500, path_contains="/contracts")
    await stage.fault(kind="hang", seconds=30, path_contains="/options/snapshots")
    before = len(asyncio.all_tasks())
    with pytest.raises(FeedUnavailable, match="error of its own"):
        await feed.chain("SPX")
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) <= before + 2  # the stand-in's own connections


QUOTE = {"t": "2026-11-20T16:07:23.123456789Z", "bp": 1.05, "ap": 0}


def odd_source(snapshots: object, contracts: object = ()):
    async def stocks(_request):
        return web.json_response({})

    async def options(_request):
        return web.json_response(snapshots)

    async def listed(_request):
        return web.json_response({"option_contracts": list(contracts)})

    return serving(
        web.get("/v2/stocks/snapshots", stocks),
        web.get("/v1beta1/options/snapshots/{symbol}", options),
        web.get("/v2/options/contracts", listed),
    )


@asynccontextmanager
async def reading(address: str, **options):
    feed = Alpaca(address, address, by_key("key", "secret"), **options)
    yield feed
    await feed.close()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ({"snapshots": {}, "next_page_token": "again"}, FeedUnavailable, "nonsense"),
        ({"snapshots": []}, FeedUnavailable, "nonsense"),
        ({"snapshots": None}, UnknownSymbol, "XYZ"),
        ({"snapshots": {"XYZ261120C00010000": {}}}, FeedUnavailable, "no quotes"),
        ({"snapshots": {"XYZ261120C00010000": {"latestQuote": QUOTE}}}, FeedUnavailable, "no price of XYZ"),
        ({"snapshots": {"XYZ1261120C00010000": {"latestQuote": QUOTE}}}, UnknownSymbol, "XYZ"),
        ({"snapshots": {"XYZ269920C00010000": {"latestQuote": QUOTE}}}, UnknownSymbol, "XYZ"),
    ],
)
async def test_odd_chains_are_refused_by_name(answer, error, says):
    async with odd_source(answer) as address, reading(address) as feed:
        with pytest.raises(error, match=says):
            await feed.chain("XYZ")


@pytest.mark.parametrize(("multiplier", "error"), [("150", UnknownSymbol), ("100", FeedUnavailable)])
async def test_contracts_that_deliver_something_else_than_a_hundred_shares_are_left_out(multiplier, error):
    name = "XYZ261120C00010000"
    contracts = [{"symbol": name, "multiplier": multiplier, "open_interest": "7"}]
    answer = {"snapshots": {name: {"latestQuote": QUOTE}}}
    async with odd_source(answer, contracts) as address, reading(address) as feed:
        with pytest.raises(error):
            await feed.chain("XYZ")


async def test_prices_are_exact_times_keep_microseconds_and_a_zero_is_no_quote():
    body = (
        '{"A":{"latestTrade":{"t":"2026-11-20T16:07:23.123456789Z","p":1234567890.12},'
        '"latestQuote":{"t":"2026-11-20T16:07:22Z","bp":0,"ap":7.10}},"B":null,"C":{},'
        '"D":{"latestTrade":{"t":"2026-11-20T16:07:23.5Z","p":0}},'
        '"E":{"latestTrade":{"t":"2026-11-20T16:07:23Z","p":7},"latestQuote":{"t":"2026-11-20T16:09:23Z","bp":0,"ap":0}}}'
    )

    async def stocks(_request):
        return web.Response(text=body, content_type="application/json")

    async with (
        serving(web.get("/v2/stocks/snapshots", stocks)) as address,
        reading(address, stock_feeds=["delayed_sip"]) as feed,
    ):
        quotes = await feed.quotes(["A", "B", "C", "D", "E"])
    assert set(quotes) == {"A", "E"}
    assert quotes["E"].as_of == datetime(2026, 11, 20, 16, 7, 23, tzinfo=UTC)
    assert quotes["E"].quoted_at is None
    assert str(quotes["A"].price) == "1234567890.12"
    assert (quotes["A"].bid, str(quotes["A"].ask)) == (None, "7.10")
    assert quotes["A"].as_of == datetime(2026, 11, 20, 16, 7, 23, 123457, UTC)
    assert quotes["A"].delay == timedelta(minutes=15)
    assert quotes["A"].previous_close is None


async def test_a_delayed_feed_is_asked_for_nothing_that_it_may_not_tell_yet():
    asked = []

    async def told(request):
        asked.append(dict(request.query))
        return web.json_response({"bars": {}, "trades": {}})

    routes = web.get("/v2/stocks/bars", told), web.get("/v2/stocks/trades", told)
    async with serving(*routes) as address, reading(address, stock_feeds=["delayed_sip"]) as feed:
        now = feed.now()
        found = await feed.bars("SPY", timedelta(minutes=1), now - timedelta(hours=1), now)
        await feed.trades(["SPY"], now - timedelta(hours=1), now)
        late = [datetime.fromisoformat(query["end"]) for query in asked]
        assert all(timedelta(minutes=14, seconds=50) < now - end < timedelta(minutes=15, seconds=10) for end in late)
        assert {query["feed"] for query in asked} == {"sip"}
        assert (found.source, found.delay) == ("Alpaca SIP", timedelta(minutes=15))
        assert (await feed.bars("SPY", timedelta(minutes=1), now - timedelta(minutes=5), now)).bars == ()
        await feed.trades(["SPY"], now - timedelta(minutes=5), now)
        early = now - timedelta(hours=1), now - timedelta(minutes=30)
        await feed.bars("SPY", timedelta(minutes=1), *early)
    assert len(asked) == 3
    assert datetime.fromisoformat(asked[2]["end"]) == early[1]


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "unauthorized.", FeedSignedOut),
        (403, "forbidden.", FeedSignedOut),
        (403, "subscription does not permit querying recent SIP data", FeedForbids),
        (403, "OPRA agreement is not signed", FeedForbids),
    ],
)
async def test_whom_alpaca_does_not_know_is_told_apart_from_what_it_does_not_sell(status, words, kind):
    async def refusing(_request):
        return web.json_response({"message": words}, status=status)

    async with serving(web.get("/v2/stocks/snapshots", refusing)) as address:
        for vendor, whose in ((by_key("key", "secret"), "refused ours"), (by_token("token"), "it refused")):
            feed = Alpaca(address, address, vendor)
            with pytest.raises(FeedUnavailable, match=whose) as refusal:
                await feed.quotes(["SPY"])
            assert type(refusal.value) is kind
            assert refusal.value.feed == vendor.name
            await feed.close()
