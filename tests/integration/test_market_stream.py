"""The stand-in's stream speaks Alpaca's protocol, and shows the very trades that requests show afterwards."""

import asyncio
import time
from datetime import timedelta

import aiohttp
import pytest
from alert_stage import FRIDAY, staged

from services.errors import FeedUnavailable
from services.feeds.stream import AlpacaStream

AUTH = {"action": "auth", "key": "key", "secret": "secret"}


@pytest.fixture
async def stage():
    async with staged(None) as stage:
        yield stage


@pytest.fixture
async def socket(stage):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{stage.address}/alpaca/data/v2/iex") as socket:
        assert await socket.receive_json() == [{"T": "success", "msg": "connected"}]
        yield socket


async def test_who_has_given_a_key_may_subscribe_to_trades_and_quotes(socket):
    await socket.send_json(AUTH)
    assert await socket.receive_json() == [{"T": "success", "msg": "authenticated"}]
    await socket.send_json({"action": "subscribe", "trades": ["SPY"], "quotes": ["AAPL"], "bars": []})
    (subscription,) = await socket.receive_json()
    assert (subscription["T"], subscription["trades"], subscription["quotes"]) == ("subscription", ["SPY"], ["AAPL"])
    found = {}
    while len(found) < 2:
        found |= {message["T"]: message for message in await socket.receive_json()}
    assert (found["t"]["S"], set(found["t"])) == ("SPY", {"T", "S", "i", "x", "p", "s", "c", "t", "z"})
    assert (found["q"]["S"], set(found["q"])) == ("AAPL", {"T", "S", "bx", "bp", "bs", "ax", "ap", "as", "c", "t", "z"})
    await socket.send_json({"action": "unsubscribe", "trades": ["SPY"]})
    while (message := (await socket.receive_json())[0])["T"] != "subscription":
        pass
    assert message["trades"] == []


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ({"action": "subscribe", "trades": ["SPY"]}, 401, "not authenticated"),
        ({"action": "auth", "key": "", "secret": "x"}, 402, "auth failed"),
        ([], 400, "invalid syntax"),
    ],
)
async def test_who_does_not_introduce_himself_is_refused(socket, said, code, words):
    await socket.send_json(said)
    assert await socket.receive_json() == [{"T": "error", "code": code, "msg": words}]
    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("said", "code"), [(AUTH, 403), ({"action": "dance"}, 400), ({"action": "dance", "trades": ["SPY"]}, 400)]
)
async def test_nonsense_ends_the_connection(socket, said, code):
    await socket.send_json(AUTH)
    await socket.receive_json()
    await socket.send_json(said)
    assert (await socket.receive_json())[0]["code"] == code


async def test_a_second_connection_is_one_too_many(stage):
    async with stage.stream.connected():
        with pytest.raises(FeedUnavailable, match="another connection"):
            async with stage.stream.connected():
                pass
    async with stage.stream.connected():
        pass


async def test_what_was_live_is_what_requests_answer_afterwards(stage):
    stage.synthetic.clock.turn(speed=60)
    live = []
    async with stage.stream.connected() as trades:
        await trades.follow(["SPY", "AAPL", "SPX"])
        stage.nudge(1)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            live += (await trades.hear()).ticks
    first, last = min(tick.at for tick in live), max(tick.at for tick in live)
    assert last - first > timedelta(minutes=1)
    later = await stage.source.trades(["SPY", "AAPL", "SPX"], first, last)
    assert sorted(later, key=lambda tick: (tick.at, tick.symbol)) == sorted(live, key=lambda t: (t.at, t.symbol))


async def test_pages_of_trades_join_without_gap_or_repetition(stage):
    address = f"{stage.address}/alpaca/data/v2/stocks/trades"
    keys = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
    query = {"symbols": "SPY,AAPL", "start": (FRIDAY - timedelta(minutes=1)).isoformat(), "end": FRIDAY.isoformat()}
    whole = (await stage.http.get(address, params=query, headers=keys)).json()["trades"]
    assert len(whole["SPY"]) == 120
    found, token = {"AAPL": [], "SPY": []}, ""
    while token is not None:
        page = {"limit": "7"} | ({"page_token": token} if token else {})
        answer = (await stage.http.get(address, params=query | page, headers=keys)).json()
        for symbol, trades in answer["trades"].items():
            found[symbol] += trades
        token = answer["next_page_token"]
    assert found == whole


async def test_nothing_trades_while_the_market_is_closed(stage):
    stage.synthetic.jump("2026-11-21T12:00:00")
    async with stage.stream.connected() as trades:
        await trades.follow(["SPY"])
        assert (await trades.hear()).ticks == []  # that we follow it
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trades.hear(), 0.5)
    night = await stage.source.trades(["SPX"], FRIDAY, FRIDAY + timedelta(days=1))
    assert max(tick.at for tick in night).isoformat() < "2026-11-20T21:00:01"


async def test_trades_that_make_no_last_price_do_not_count(stage):
    from services.feeds.alpaca_wire import Trade  # noqa: PLC0415

    def counts(**fields):
        return Trade(t=FRIDAY, p=1, **fields).counts

    assert counts(c=["@", "I"])
    assert counts(c=["@", "F", "T"], u="corrected")
    assert not counts(c=["@", "Z"])
    assert not counts(c=["W"])
    assert not counts(u="canceled")


async def test_an_address_where_nobody_listens_is_said_in_words(stage):
    for url, words in (("ws://127.0.0.1:9", "cannot be reached"), (stage.address, "cannot be reached")):
        with pytest.raises(FeedUnavailable, match=words):
            async with AlpacaStream(url, "key", "secret").connected():
                pass
