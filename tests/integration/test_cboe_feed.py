"""The Cboe feed against the synthetic market, and against a recorded answer of Cboe."""

import asyncio
import json
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from aiohttp import web
from feed_stage import FRIDAY, Ticking, serving, staged

from services import gamma
from services.chart_pool import ChartPool
from services.errors import FeedUnavailable, NoChain, UnknownSymbol
from services.feeds.cboe import Cboe
from services.feeds.cboe_files import read_live

QUARTER = timedelta(minutes=15)


@pytest.fixture
async def stage():
    async with staged() as stage:
        yield stage


@pytest.fixture
def feed(stage):
    return stage.cboe()


async def test_quotes_are_those_of_a_quarter_of_an_hour_ago_and_say_so(stage, feed):
    quotes = await feed.quotes(["SPY", "SPX", "NOPE"])
    assert set(quotes) == {"SPY", "SPX"}
    spy, then = quotes["SPY"], FRIDAY - QUARTER
    assert float(spy.price) == pytest.approx(stage.market.price("SPY", then.timestamp()), rel=1e-4)
    assert (spy.source, spy.delay, spy.as_of) == ("Cboe delayed", QUARTER, then)
    assert spy.bid < spy.ask
    assert quotes["SPX"].bid is quotes["SPX"].ask is None


async def test_a_chain_has_all_roots_and_holds_for_the_moment_of_its_prices(stage, feed):
    chain, other = await feed.chain("SPX"), await stage.alpaca().chain("SPX")
    assert len(chain.strike) == len(other.strike) > 3000
    assert chain.am_settled.any()
    assert not chain.am_settled.all()
    assert (chain.source, chain.delay, chain.as_of) == ("Cboe delayed", QUARTER, FRIDAY - QUARTER)
    assert chain.open_interest_date == other.open_interest_date
    assert chain.open_interest.sum() == other.open_interest.sum()
    ours = gamma.analyze(chain)
    assert ours.put_wall < ours.spot < ours.call_wall


async def test_no_chain_and_no_symbol_are_told_apart(feed):
    with pytest.raises(NoChain):
        await feed.chain("VIX")
    with pytest.raises(UnknownSymbol):
        await feed.chain("NOPE")


async def test_a_quote_and_a_chain_of_the_same_moment_are_one_request(stage):
    clock = Ticking()
    feed = stage.cboe(clock=clock)
    await asyncio.gather(*(feed.quotes(["SPY"]) for _ in range(50)), *(feed.chain("SPY") for _ in range(50)))
    assert await stage.asked("/SPY.json") == 1
    clock.seconds += 6
    await feed.chain("SPY")
    assert await stage.asked("/SPY.json") == 2


def test_a_recorded_answer_holds_for_the_last_trade_of_its_index(shared_data):
    recording = read_live(shared_data / "cboe" / "rut_20230920.json", "RUT")
    assert recording.quote.as_of == recording.chain.as_of == datetime(2023, 9, 20, 20, 15, 4, tzinfo=UTC)
    assert recording.quote.price == Decimal("1806.1193")
    assert len(recording.chain.strike) == 6680
    assert np.isfinite(recording.chain.bid).all()


def test_the_stand_in_speaks_as_recorded(shared_data):
    from feed_stage import sessions  # noqa: PLC0415

    from sandbox.alpaca import MarketData  # noqa: PLC0415
    from sandbox.cboe import Delayed  # noqa: PLC0415
    from sandbox.market import Market  # noqa: PLC0415
    from sandbox.option_chain import Chains  # noqa: PLC0415

    recorded = json.loads((shared_data / "cboe" / "rut_20230920.json").read_text())
    market = Market(sessions(), start=FRIDAY)
    chains = Chains(market)
    ours = Delayed(market, chains, MarketData(market, chains)).options({"name": "_RUT"}, FRIDAY.timestamp())
    assert set(ours) == set(recorded)
    assert set(ours["data"]) == set(recorded["data"])
    assert list(ours["data"]["options"][0]) == list(recorded["data"]["options"][0])


async def serve_bytes(body: bytes):
    async def answer(_request):
        return web.Response(body=body, content_type="application/json")

    return web.get("/api/global/delayed_quotes/options/{name}", answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"timestamp":"soon","symbol":"A","data":{"current_price":1,"options":[]}}',
        b'{"timestamp":"2026-11-20 16:00:00","symbol":"A","data":{"current_price":0,"options":[]}}',
        b'{"timestamp":"2026-11-20 16:00:00","symbol":"A","data":{"current_price":1,"options":[{"option":7}]}}',
    ],
)
async def test_odd_answers_are_nonsense(body):
    async with serving(await serve_bytes(body)) as address:
        feed = Cboe(address)
        with pytest.raises(FeedUnavailable, match="nonsense"):
            await feed.chain("A")
        await feed.close()


async def test_an_answer_that_does_not_tell_its_last_trade_is_taken_to_be_as_late_as_it_may():
    body = (
        b'{"timestamp":"2026-11-20 16:00:00","symbol":"A","data":{"current_price":1,"options":'
        b'[{"option":"A261218C00001000","bid":1,"ask":2}]}}'
    )
    async with serving(await serve_bytes(body)) as address:
        feed = Cboe(address)
        assert (await feed.chain("A")).as_of == datetime(2026, 11, 20, 15, 45, tzinfo=UTC)
        await feed.close()


async def test_seven_megabytes_are_read_in_another_process_that_gets_their_place_only(shared_data):
    answer = json.loads((shared_data / "cboe" / "rut_20230920.json").read_text())
    answer["data"]["options"] *= 3
    body = json.dumps(answer, separators=(",", ":")).encode()
    assert len(body) > 7_000_000
    handed = []
    pool = ChartPool(1)

    async def apart(work, *arguments):
        handed.append(len(pickle.dumps((work, arguments))))
        return await pool.run(work, *arguments)

    async with serving(await serve_bytes(body)) as address:
        feed = Cboe(address, apart=apart)
        assert len((await feed.chain("RUT")).strike) == 3 * 6680
        await feed.close()
    await pool.close()
    assert max(handed) < 1000
