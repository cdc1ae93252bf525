"""A message that a channel keeps: put up, edited in place, changed, replaced, ended."""

import asyncio
import re

import pytest
from running import product_running, sandbox_running, take_port, until
from test_market_commands import fields, labels

from sandbox.discord.rules import Refusal
from sandbox.discord.world import MANAGE_MESSAGES, SEND_MESSAGES, VIEW_CHANNEL


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    """A world of its own, because its clock jumps and runs."""
    home = tmp_path_factory.mktemp("watch")
    async with sandbox_running() as world, product_running(world.environment(), home, take_port()) as own:
        await until(lambda: (part := own.services.health.parts.get("gateway")) and part.ok)
        await until(lambda: len(own.services.market.directory))
        world.market.jump("open")
        await tell_the_time(world)
        yield world


async def tell_the_time(world):
    # A quote tells the product what the time is in a market whose clock has just been turned.
    await world.discord.person("Sam").command("quote", symbols="SPY").message()


@pytest.fixture
async def sam(world):
    person = world.discord.person("Sam", "gamma-levels")
    yield person
    await world.heal()
    await person.command("watch", symbols="stop").message()
    world.market.clock.turn(speed=1)


def kept(person):
    return [m for m in person.reads() if m["content"].startswith("👁️") and not m["flags"] & 64]


async def put_up(person, symbols="SPY QQQ", **options):
    before = {m["id"] for m in kept(person)}
    told = await person.command("watch", symbols=symbols, **options).message()
    assert told["flags"] & 64
    await until(lambda: [m for m in kept(person) if m["id"] not in before])
    return kept(person)[-1]


def now(person, message):
    return next((m for m in person.reads() if m["id"] == message["id"]), None)


async def edited(world, person, message, condition=bool, within_s=20):
    """Wait for an edit of a message while the clock runs."""
    before = now(person, message)["edited_timestamp"]
    async with asyncio.timeout(within_s):
        while not ((m := now(person, message)) and m["edited_timestamp"] != before and condition(m)):
            await tell_the_time(world)
            await asyncio.sleep(0.25)
    return now(person, message)


async def test_a_watch_shows_prices_levels_session_and_age_and_is_edited_in_place(world, sam):
    message = await put_up(sam)
    # the first second of a session knows no price of its own yet
    assert re.match(r"👁️ \*\*SPY\*\* [\d.,]+( pre-market)? [▲▼•] \S+ · \*\*QQQ\*\* ", message["content"])
    levels = r"-# call wall [\d,.]+ · put wall [\d,.]+ · flip [\d,.]+ · <t:\d+:R>"
    assert re.search(levels, message["embeds"][0]["description"])
    told = fields(message)
    assert "Open" in told["Market"]
    assert re.match(r"Alpaca IEX · real time · <t:\d+:T> \(<t:\d+:R>\)", told["Data"])
    assert told["This message"].startswith("edited every 5 min · next <t:")
    assert labels(message) == ["Stop"]
    assert message["embeds"][0].get("footer") is None
    world.market.nudge("SPY", 2.0)
    world.market.clock.turn(speed=60)
    later = await edited(world, sam, message, lambda m: m["content"] != message["content"])
    assert [m["id"] for m in kept(sam)][-1] == message["id"], "no second message"
    assert later["content"].split(" · ")[0] != message["content"].split(" · ")[0]


async def test_the_last_edit_comes_at_the_close_and_the_next_after_the_open(world, sam):
    message = await put_up(sam)
    world.market.jump("close")
    world.market.clock.turn(speed=60)
    closed = await edited(world, sam, message, lambda m: "After hours" in fields(m)["Market"])
    assert "again after <t:" in fields(closed)["This message"]
    world.market.jump("open")
    opened = await edited(world, sam, message, lambda m: "Open" in fields(m)["Market"])
    assert opened["id"] == message["id"]


async def test_again_changes_the_same_message(world, sam):
    message = await put_up(sam, "SPY")
    told = await sam.command("watch", symbols="SPY AAPL", every=15).message()
    assert "**SPY, AAPL**" in told["content"]
    assert "every 15 min" in told["embeds"][0]["description"]
    await until(lambda: "AAPL" in now(sam, message)["content"])
    assert "every 15 min" in fields(now(sam, message))["This message"]


async def test_stopped_by_its_button_or_by_the_command(world, sam):
    message = await put_up(sam)
    jonas = world.discord.person("Jonas", "gamma-levels")
    refused = await jonas.press(message, "Stop").message()
    assert refused["flags"] & 64
    assert "Only its owner" in refused["content"]
    ended = await sam.press(message, "Stop").message()
    assert ended["id"] == message["id"]
    assert ended["content"] == f"⏹️ **Watch ended** · SPY, QQQ · stopped by <@{sam.id}>"
    assert not ended["components"]
    again = await put_up(sam, "QQQ")
    assert again["id"] != message["id"]
    told = await sam.command("watch", symbols="stop").message()
    assert told["content"].startswith("⏹️ **Watch ended** · QQQ")
    await until(lambda: now(sam, again)["content"].startswith("⏹️"))
    assert "No watch" in (await sam.command("watch", symbols="stop").message())["content"]


@pytest.fixture
async def mara(world, sam):
    """Somebody who takes direct messages, allowed to manage messages in one channel."""
    person, channel = world.discord.person("Mara", "gamma-levels"), world.discord.world.channel("gamma-levels")
    channel.overwrites[str(person.id)] = (MANAGE_MESSAGES, 0)
    yield person
    del channel.overwrites[str(person.id)]


async def told_privately(world, person, seen):
    async with asyncio.timeout(20):
        while len(person.reads()) == seen:
            await tell_the_time(world)
            await asyncio.sleep(0.25)
    return person.reads()[-1]


async def test_deleted_by_hand_it_ends_and_its_owner_is_told(world, sam, mara):
    private = world.discord.person("Mara", "dm")
    message = await put_up(mara, every=1)
    seen = len(private.reads())
    sam.delete(message)
    world.market.clock.turn(speed=60)
    told = await told_privately(world, private, seen)
    assert re.match(r"👁️ Your watch of \*\*SPY, QQQ\*\* in <#\d+> has ended", told["content"])
    assert "its message was deleted" in told["embeds"][0]["description"]
    assert not [m for m in kept(sam) if m["id"] > message["id"]]


async def test_too_many_edits_of_an_old_message_begin_a_new_one(world, sam):
    message = await put_up(sam, every=1)
    fault = {"kind": "old_edits", "count": 5, "path_contains": message["id"]}
    await world.http.post(f"{world.url}/sandbox/faults", json=fault)
    world.market.clock.turn(speed=60)
    async with asyncio.timeout(60):  # discord.py tries an edit five times, with pauses
        while now(sam, message):
            await tell_the_time(world)
            await asyncio.sleep(0.25)
    replaced = kept(sam)[-1]
    assert replaced["id"] != message["id"]
    assert (await edited(world, sam, replaced))["id"] == replaced["id"]


async def test_a_place_that_refuses_has_no_watch_or_loses_it_with_the_reason(world, sam, mara):
    private = world.discord.person("Mara", "dm")
    channel, bot = world.discord.world.channel("gamma-levels"), world.discord.world.bot
    assert "I do not know **NOPE**" in (await sam.command("watch", symbols="NOPE").message())["content"]
    await put_up(mara, every=1)
    seen = len(private.reads())
    channel.overwrites[bot.id] = (0, SEND_MESSAGES)
    try:
        assert "I lack Send Messages" in (await sam.command("watch", symbols="SPY").message())["content"]
        channel.overwrites[bot.id] = (0, VIEW_CHANNEL)
        world.market.clock.turn(speed=60)
        told = await told_privately(world, private, seen)
    finally:
        del channel.overwrites[bot.id]
    assert "has ended" in told["content"]
    assert "I have stopped it" in told["embeds"][0]["description"]


async def test_members_may_not_keep_one_in_a_server_but_in_their_own_direct_messages(world):
    with pytest.raises(Refusal):
        world.discord.person("Mara").command("watch", symbols="SPY")
    mara = world.discord.person("Mara", "dm")
    message = await put_up(mara, "SPY")
    ended = await mara.press(message, "Stop").message()
    assert ended["content"].startswith("⏹️")
