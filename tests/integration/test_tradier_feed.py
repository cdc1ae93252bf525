"""The Tradier feed against the synthetic market, and against the shapes that only Tradier has."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from aiohttp import web
from feed_stage import FRIDAY, Ticking, serving, staged

from sandbox import market_api
from sandbox.face import TRADIER
from services import gamma
from services.clock import NEW_YORK
from services.errors import FeedUnavailable, NoChain, UnknownSymbol
from services.feeds import tradier_chain
from services.feeds.tradier import Tradier

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
async def stage():
    async with staged() as stage:
        yield stage


@pytest.fixture
def feed(stage):
    return stage.tradier()


@asynccontextmanager
async def odd(**answers):
    """A feed whose addresses answer what is given, by the last part of their path."""

    async def answer(request):
        body = answers[request.match_info["what"]]
        return web.Response(text=body if isinstance(body, str) else json.dumps(body), content_type="application/json")

    async with serving(web.get("/{path:.*}/{what}", answer)) as address:
        feed = Tradier(f"{address}/v1", "token")
        yield feed
        await feed.close()


async def test_quotes_say_what_the_market_says(stage, feed):
    quotes = await feed.quotes(["SPY", "BRK.B", "SPX", "NOPE"])
    assert set(quotes) == {"SPY", "BRK.B", "SPX"}
    spy, at = quotes["SPY"], FRIDAY.timestamp()
    day = stage.market.day(at)
    daily = stage.market.daily("SPY", day, at)
    assert float(spy.price) == pytest.approx(stage.market.price("SPY", at), rel=1e-4)
    assert isinstance(spy.price, Decimal)
    assert spy.bid < spy.ask
    assert spy.previous_close == Decimal(str(stage.market.last_close("SPY", day - 1)))
    assert (spy.day_open, spy.day_high) == tuple(Decimal(str(x[0])) for x in (daily.open, daily.high))
    assert spy.volume == daily.volume[0]
    assert spy.name == "SPDR S&P 500 ETF Trust"
    assert timedelta(0) <= FRIDAY - spy.as_of < timedelta(seconds=1)
    assert (spy.source, spy.delay) == ("Tradier", timedelta(0))
    # whether they are shares or hundreds of them is not settled
    assert spy.bid_size is spy.ask_size is None
    assert quotes["SPX"].bid is quotes["SPX"].ask is None


async def test_one_symbol_and_none_are_read_like_many(feed):
    assert set(await feed.quotes(["SPY"])) == {"SPY"}
    assert await feed.quotes(["NOPE"]) == {}
    assert await feed.quotes(["NOPE", "NADA"]) == {}


async def test_before_the_open_the_day_has_no_range(stage, feed):
    await stage.turn(jump="2026-11-23T08:00:00")
    spy = (await feed.quotes(["SPY"]))["SPY"]
    friday = stage.market.day(FRIDAY.timestamp())
    assert spy.previous_close == Decimal(str(stage.market.last_close("SPY", friday)))
    assert spy.day_open is spy.volume is None


async def test_the_sandbox_host_is_late_by_contract():
    feed = Tradier("https://sandbox.tradier.com/v1", "token")
    assert (feed._source, feed._delay) == ("Tradier sandbox", timedelta(minutes=15))
    await feed.close()


@pytest.mark.parametrize(("symbol", "least", "am"), [("SPX", 3000, True), ("SPY", 1500, False), ("BRK.B", 100, False)])
async def test_a_chain_is_whole_with_all_roots(stage, feed, symbol, least, am):
    chain, other = await feed.chain(symbol), await stage.alpaca().chain(symbol)
    assert len(chain.strike) == len(other.strike) > least
    assert chain.am_settled.any() == am
    assert chain.open_interest.sum() == other.open_interest.sum()
    assert (chain.iv > 0).sum() == np.isfinite(other.iv).sum()
    assert set(chain.expiry) == set(other.expiry)
    assert timedelta(0) <= FRIDAY - chain.as_of < timedelta(seconds=2)
    assert (chain.source, chain.delay, chain.open_interest_date) == ("Tradier", timedelta(0), None)


async def test_gamma_of_a_fetched_chain_is_that_of_the_same_market(stage, feed):
    for symbol in ("SPX", "AAPL"):
        ours, other = gamma.analyze(await feed.chain(symbol)), gamma.analyze(await stage.alpaca().chain(symbol))
        assert (ours.call_wall, ours.put_wall) == (other.call_wall, other.put_wall)
        assert ours.total == pytest.approx(other.total, rel=0.02)


async def test_no_chain_and_no_symbol_are_told_apart(feed):
    with pytest.raises(NoChain):
        await feed.chain("VIX")
    with pytest.raises(UnknownSymbol):
        await feed.chain("NOPE")


async def test_half_a_chain_is_no_chain(stage, feed):
    await stage.fault(kind="status", status=500, count=1, path_contains="/options/chains")
    with pytest.raises(FeedUnavailable, match="500"):
        await feed.chain("SPY")
    assert len((await feed.chain("SPY")).strike)


async def test_a_chain_that_the_rate_limit_cannot_pay_for_is_not_begun(stage):
    clock = Ticking()
    feed = stage.tradier(clock=clock)
    for _ in range(4):
        await feed.chain("SPX")
    left = feed.access()[0].left
    asked = await stage.asked("/options/chains")
    with pytest.raises(FeedUnavailable, match="rate limit is used up") as refusal:
        await feed.chain("SPX")
    assert 0 < refusal.value.retry_after_s <= 61
    assert await stage.asked("/options/chains") == asked
    assert 0 < left < 40
    assert feed.access()[0].limit == 120
    assert await feed.quotes(["SPY"])


async def test_a_chain_that_its_rate_limit_never_allows_says_so(monkeypatch):
    monkeypatch.setattr(market_api, "TRADIER", replace(TRADIER, a_minute=20))
    async with staged() as stage:
        with pytest.raises(FeedUnavailable, match=r"at once, and it allows 18\). The operator can"):
            await stage.tradier().chain("SPX")
        assert await stage.asked("/options/chains") == 0


async def test_bars_come_in_order_with_extended_hours(stage, feed):
    minutes = await feed.bars("SPY", MINUTE, FRIDAY - timedelta(hours=5), FRIDAY)
    assert (minutes.source, minutes.delay) == ("Tradier", timedelta(0))
    starts = [bar.start for bar in minutes.bars]
    assert starts == sorted(set(starts))
    assert min(starts) < FRIDAY - timedelta(hours=4)
    other = (await stage.alpaca().bars("SPY", MINUTE, FRIDAY - timedelta(hours=5), FRIDAY)).bars
    assert [(bar.start, bar.high, bar.volume) for bar in minutes.bars] == [
        (bar.start, bar.high, bar.volume) for bar in other
    ]
    quarters = (await feed.bars("SPY", 15 * MINUTE, FRIDAY - timedelta(hours=3), FRIDAY)).bars
    assert {(bar.start.minute % 15, bar.start.second) for bar in quarters} == {(0, 0)}
    hours = (await feed.bars("SPY", timedelta(hours=1), FRIDAY - timedelta(hours=5), FRIDAY)).bars
    assert {bar.start.minute for bar in hours} == {0}
    assert (await feed.bars("NOPE", MINUTE, FRIDAY - DAY, FRIDAY)).bars == ()
    assert (await feed.bars("NOPE", DAY, FRIDAY - DAY, FRIDAY)).bars == ()
    with pytest.raises(ValueError, match="no bars"):
        await feed.bars("SPY", 2 * MINUTE, FRIDAY, FRIDAY)


@pytest.mark.parametrize("days", [10, 2, 1])
async def test_days_are_new_yorks_whether_many_or_one(stage, feed, days):
    bars = (await feed.bars("SPY", DAY, FRIDAY - days * DAY, FRIDAY)).bars
    assert bars[-1].start.astimezone(NEW_YORK) == datetime(2026, 11, 20, tzinfo=NEW_YORK)
    assert [(bar.start, bar.open, bar.close) for bar in bars] == [
        (bar.start, bar.open, bar.close)
        for bar in (await stage.alpaca().bars("SPY", DAY, FRIDAY - days * DAY, FRIDAY)).bars
    ]


@pytest.mark.parametrize("nothing", [{"quotes": None}, {"quotes": "null"}, {"quotes": {"quote": "null"}}, {}])
async def test_every_spelling_of_nothing_is_no_quote(nothing):
    async with odd(quotes=nothing) as feed:
        assert await feed.quotes(["SPY"]) == {}
        with pytest.raises(UnknownSymbol):
            await feed.chain("SPY")


QUOTE = {"quotes": {"quote": {"symbol": "XYZ", "last": 10.1, "trade_date": 1795190400000, "bid_date": 0, "bid": None}}}
NOTHINGS = [{"expirations": None}, {"expirations": "null"}, {"expirations": {"date": "null"}}, {"expirations": {}}]


@pytest.mark.parametrize("nothing", NOTHINGS)
async def test_every_spelling_of_no_expiry_is_no_chain(nothing):
    async with odd(quotes=QUOTE, expirations=nothing) as feed:
        with pytest.raises(NoChain):
            await feed.chain("XYZ")


def contract(**changes):
    return {
        "symbol": "XYZ261218C00010000",
        "root_symbol": "XYZ",
        "strike": 10.0,
        "option_type": "call",
        "expiration_date": "2026-12-18",
        "bid": 1.0,
        "ask": 1.2,
        "bid_date": 1795190400000,
        "greeks": {"delta": 0.5, "gamma": 0.1, "mid_iv": 0.4, "smv_vol": 0.41},
    } | changes


@pytest.mark.parametrize(
    ("changes", "iv"),
    [
        ({}, 0.4),
        ({"greeks": None}, None),
        ({"greeks": "null"}, None),
        ({"greeks": {"mid_iv": 0.0, "smv_vol": 0.41}}, 0.41),
        ({"greeks": {"mid_iv": -999.0, "gamma": -999.0}}, None),
        ({"greeks": {"mid_iv": -999.0, "smv_vol": 0.41}}, 0.41),
    ],
)
async def test_greeks_may_be_missing_in_every_way(changes, iv):
    answers = {"expirations": {"expirations": {"date": "2026-12-18"}}, "quotes": QUOTE}
    async with odd(**answers, chains={"options": {"option": contract(**changes)}}) as feed:
        chain = await feed.chain("XYZ")
    assert chain.spot == 10.1
    assert np.isnan(chain.iv[0]) if iv is None else chain.iv[0] == iv
    assert np.isnan(chain.open_interest[0])
    assert chain.as_of == datetime.fromtimestamp(1795190400, UTC)


@pytest.mark.parametrize("changes", [{"root_symbol": "XYZ1"}, {"contract_size": 10}])
async def test_adjusted_contracts_are_left_out(changes):
    answers = {"expirations": {"expirations": {"expiration": {"date": "2026-12-18"}}}, "quotes": QUOTE}
    chains = {"options": {"option": [contract(), contract(**changes)]}}
    async with odd(**answers, chains=chains) as feed:
        assert len((await feed.chain("XYZ")).strike) == 1


async def test_contracts_without_any_moment_are_no_quotes():
    answers = {"expirations": {"expirations": {"date": ["2026-12-18"]}}, "quotes": QUOTE}
    async with odd(**answers, chains={"options": {"option": contract(bid_date=0)}}) as feed:
        with pytest.raises(FeedUnavailable, match="no quotes of XYZ options"):
            await feed.chain("XYZ")


async def test_errors_with_status_200_are_told_in_its_words():
    async with odd(quotes={"errors": {"error": ["Not today.", "Sorry"]}}) as feed:
        with pytest.raises(FeedUnavailable, match=r"it says: Not today\. Sorry"):
            await feed.quotes(["SPY"])


async def test_a_day_without_prices_is_no_candle():
    nothing = dict.fromkeys(("open", "high", "low", "close"), "NaN")
    traded = dict.fromkeys(("open", "high", "low", "close"), 10.25)
    days = [{"date": "2026-11-18", **nothing, "volume": 0}, {"date": "2026-11-19", **traded, "volume": 5}]
    async with odd(history={"history": {"day": days}}) as feed:
        bars = (await feed.bars("XYZ", DAY, FRIDAY - 9 * DAY, FRIDAY)).bars
    assert [(bar.close, bar.volume) for bar in bars] == [(Decimal("10.25"), 5)]


def test_the_documented_chain_is_read(shared_specs):
    rows = tradier_chain.table((shared_specs / "tradier" / "chain.json").read_bytes())
    strike, _expiry, is_call, *_, volume, _quoted = rows[0]
    assert (strike, is_call, volume) == (16.0, 0, 0)
    assert rows[0][6] == 0.380002


def test_the_stand_in_speaks_as_documented(shared_specs):
    documented = json.loads((shared_specs / "tradier" / "chain.json").read_text())["options"]["option"][0]
    from feed_stage import sessions  # noqa: PLC0415

    from sandbox.alpaca import MarketData  # noqa: PLC0415
    from sandbox.market import Market  # noqa: PLC0415
    from sandbox.option_chain import Chains  # noqa: PLC0415
    from sandbox.tradier_market import TradierMarket  # noqa: PLC0415

    market = Market(sessions(), start=FRIDAY)
    chains = Chains(market)
    stand_in = TradierMarket(market, chains, MarketData(market, chains))
    query = {"symbol": "KO", "expiration": "2026-12-18", "greeks": "true"}
    ours = stand_in.chains(query, FRIDAY.timestamp())["options"]["option"][0]
    assert list(ours) == list(documented)
    assert set(ours["greeks"]) == set(documented["greeks"])
    days = json.loads((shared_specs / "tradier" / "expirations.json").read_text())["expirations"]["expiration"][0]
    query = {"symbol": "KO", "includeAllRoots": "true", "strikes": "true"}
    ours = stand_in.expirations(query, FRIDAY.timestamp())["expirations"]["expiration"][0]
    assert list(ours) == list(days)
