"""Quotes from the stream: the same as a request would answer, and only while the stream is well."""

import time

import pytest
from alert_stage import staged, until


@pytest.fixture
async def stage(database):
    async with staged(database) as stage:
        yield stage


async def live(stage, symbol="SPY"):
    await stage.market.quotes((symbol,))
    await until(lambda: stage.tape.quotes([symbol]))


async def test_a_quote_asked_for_at_this_moment_comes_from_the_stream(stage):
    async with stage.watching():
        await live(stage)
        stage.nudge(2)
        before = await stage.price()
        await until(lambda: stage.tape.quotes(["SPY"])[0].quoted_at > stage.source.now().replace(microsecond=0))
        await stage.fault(kind="status", status=500)  # no request would be answered now
        (line,) = (await stage.market.quotes(("SPY",), anew=True)).lines
        assert abs(line.quote.price / before - 1) < 0.002
        assert line.quote.bid < line.quote.ask
        assert line.age.total_seconds() < 2
        assert not line.stale


async def test_the_stream_and_a_request_say_the_same(stage):
    async with stage.watching():
        await live(stage)
        stage.synthetic.clock.turn(paused=True)
        await until(lambda: time.monotonic() - stage.tape._heard_at > 0.2)
        (heard,) = stage.tape.quotes(["SPY"])
        asked = (await stage.source.quotes(["SPY"]))["SPY"]
        assert (heard.price, heard.bid, heard.ask) == (asked.price, asked.bid, asked.ask)


@pytest.mark.parametrize("kind", ["silent", "drop"])
async def test_a_stream_that_is_not_well_is_not_believed(stage, kind):
    async with stage.watching():
        await live(stage)
        await stage.fault(kind=kind, count=1000)
        await until(lambda: stage.tape.quotes(["SPY"]) is None)
        (line,) = (await stage.market.quotes(("SPY",), anew=True)).lines
        assert line.quote.bid
        await stage.heal()
        await until(lambda: stage.tape.quotes(["SPY"]))


async def test_wanting_quotes_never_takes_the_place_of_alerts(stage):
    await stage.alert(0.5, symbol="QQQ")
    async with stage.watching():
        await until(lambda: stage.tape._heard_at > 0)  # the alert's symbol is followed
        await stage.fault(kind="symbol_limit", count=1)
        await stage.market.quotes(("AAPL",))
        await until(lambda: not stage.tape.wanted())
        stage.nudge(2, "QQQ")
        await stage.fired(1)


async def test_nobody_is_followed_for_ever(stage, monkeypatch):
    monkeypatch.setattr("services.tape.WANTED_S", 0.5)
    async with stage.watching():
        await live(stage)
        await until(lambda: not stage.tape.wanted(), 15)
        await until(lambda: stage.tape.quotes(["SPY"]) is None, 15)
