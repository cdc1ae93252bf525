"""A gamma history from nothing to days of it, with its replay, over two simulated days."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from running import product_running, sandbox_running, take_port, until
from test_market_commands import fields, labels


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    """A world of its own, because its clock jumps and runs."""
    home = tmp_path_factory.mktemp("history")
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(sandbox_running())
        # short slots and one symbol, so that a fast clock leaves each slot seconds of real time
        settings = {**world.environment(), "WATCH_SYMBOLS": "SPX", "HISTORY_EVERY_MIN": "2"}
        own = await stack.enter_async_context(product_running(settings, home, take_port()))
        await until(lambda: (part := own.services.health.parts.get("gateway")) and part.ok)
        await until(lambda: len(own.services.market.directory))
        world.product = own.services
        yield world


async def history(world, symbol="SPX", **options):
    return await world.discord.person("Sam").command("gamma-history", symbol=symbol, **options).message()


async def stored(world):
    async with world.product.database.acquire() as conn:
        return await conn.fetchval("SELECT count(*) FROM app.gamma_history WHERE symbol = 'SPX'")


async def collected(world, more, within_s=40):
    """Let the clock run until so many more points are stored."""
    enough = await stored(world) + more
    async with asyncio.timeout(within_s):
        while await stored(world) < enough:
            # a quote tells the product what the market's time is
            await world.discord.person("Sam").command("quote", symbols="SPY").message()
            await asyncio.sleep(0.1)


def press(world, message, button):
    return world.discord.person("Sam").press(message, button).message()


def buttons(message):
    return [b.get("label") or b["emoji"]["name"] for row in message["components"] for b in row["components"]]


async def test_two_days_from_nothing_to_a_replay(world):
    empty = await history(world)
    assert empty["content"] == "📭 **SPX** has no gamma history yet"
    words = empty["embeds"][0]["description"]
    assert re.search(r"every 2 minutes .* The first point comes <t:\d+:f> \(<t:\d+:R>\)", words)
    assert "I do not know **SPZ**" in (await history(world, "SPZ"))["content"]
    stranger = await history(world, "AAPL")
    assert "`/watch symbols:AAPL`" in stranger["embeds"][0]["description"]

    world.market.jump("open")
    world.market.clock.turn(speed=60)
    await collected(world, 2)
    first = await history(world)
    told = fields(first)
    assert re.match(r"\*\*SPX\*\* call wall \*\*[\d,]+\*\* · gamma flip \*\*[\d,.]+\*\* · put wall ", first["content"])
    assert set(told) == {"Call wall", "Gamma flip", "Put wall", "As of", "Stored"}
    assert re.match(r"since <t:\d+:D> · \d points? of <t:\d+:d> · next <t:\d+:t> \(<t:\d+:R>\)", told["Stored"])
    assert "Alpaca indicative, delayed 15 min" in told["As of"]
    assert first["attachments"][0]["filename"] == "history.png"
    assert "Gamma history of SPX" in first["attachments"][0]["description"]
    assert labels(first)[:5] == ["1 W", "1 M", "3 M", "1 Y", "Replay"]

    world.market.clock.turn(speed=1)
    world.market.jump("close")
    # the source is 15 minutes late, so the close comes then
    world.market.clock.turn(to=world.market.now() + timedelta(minutes=16))
    await collected(world, 1)
    world.market.jump("open")
    world.market.clock.turn(speed=60)
    await collected(world, 2)
    world.market.clock.turn(speed=1)
    second = await history(world, days=5)
    assert "closes of 1 of 1 trading day before" in fields(second)["Stored"]
    assert re.search(r"\d on <t:\d+:d>|as on <t:\d+:d>", fields(second)["Gamma flip"])
    await replayed(world, second)
    await other_views(world, second)
    status = fields(await world.discord.person("Sam").command("status").message())
    assert re.match(r"1 of 1 symbol at \d+ \w+ \d\d:\d\d ET", status["🟢 Gamma history"])


async def replayed(world, message):
    """Step through the frames of both days, in the same message."""
    frame = await press(world, message, "Replay")
    assert frame["id"] == message["id"]
    assert re.search(r"-# Replay · 1 of \d · <t:(\d+):f>$", frame["content"])
    assert buttons(frame)[:5] == ["⏮️", "◀️", "▶️", "⏭️", "Days"]
    assert frame["attachments"][0]["filename"] == "replay.png"
    back = await press(world, frame, custom_id(frame, "back"))
    moments = [int(re.search(r"<t:(\d+):f>$", m["content"])[1]) for m in (back, frame)]
    assert moments[0] < moments[1], "the close of the day before"
    again = await press(world, back, custom_id(back, "on"))
    assert again["content"] == frame["content"]
    days = await press(world, again, "Days")
    assert days["content"] == message["content"]


async def other_views(world, message):
    light = await press(world, message, "Light")
    assert light["attachments"][0]["size"] != message["attachments"][0]["size"]
    table = await press(world, light, "CSV")
    assert table["flags"] & 64
    body = (await world.http.get(table["attachments"][0]["url"])).text.splitlines()
    assert body[0].startswith("slot,as_of,delay_s,symbol,closing,source,spot,net,")
    assert len(body) > 2
    offered = await press(world, light, "Alert me")
    assert any(label.startswith("Call wall") for label in labels(offered))


def custom_id(message, slot):
    ids = [b["custom_id"] for row in message["components"] for b in row["components"]]
    return next(each for each in ids if f":{slot}:history:" in each)
