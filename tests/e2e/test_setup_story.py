"""What those who run a server decide: the boards of its channels."""

import asyncio
import re

import pytest
from running import product_running, sandbox_running, take_port, until
from test_market_commands import labels

from sandbox.discord.rules import Refusal
from sandbox.discord.world import SEND_MESSAGES


async def test_members_do_not_see_the_command(sandbox, product):
    with pytest.raises(Refusal):
        sandbox.discord.person("Mara").command("setup board", symbols="SPY")


async def test_a_board_is_put_up_listed_and_taken_down(sandbox, product):
    sam = sandbox.discord.person("Sam")
    assert "No boards" in (await sam.command("setup board").message())["content"]
    put_up = await sam.command("setup board", symbols="SPY QQQ").message()
    assert re.match(r"📌 Board of <#\d+>: \*\*SPY, QQQ\*\*$", put_up["content"])
    assert put_up["flags"] & 64
    listed = await sam.command("setup board").message()
    assert listed["content"] == "📌 **1 board**"
    remove = next(label for label in labels(listed) if label.startswith("Remove #"))
    gone = await sam.press(listed, remove).message()
    assert "No boards" in gone["content"]


async def test_unknown_symbols_have_no_board(sandbox, product):
    refused = await sandbox.discord.person("Sam").command("setup board", symbols="SPYY").message()
    assert "I do not know **SPYY**" in refused["content"]


async def test_a_channel_where_we_may_not_write_has_no_board(sandbox, product):
    sam = sandbox.discord.person("Sam")
    channel = sandbox.discord.world.channel("alerts-feed")
    bot = sandbox.discord.world.bot
    channel.overwrites[bot.id] = (0, SEND_MESSAGES)
    try:
        refused = await sandbox.discord.person("Sam", "alerts-feed").command("setup board", symbols="SPY").message()
    finally:
        del channel.overwrites[bot.id]
    assert "I lack Send Messages" in refused["content"]
    assert "No boards" in (await sam.command("setup board").message())["content"]


async def test_the_closing_summary_comes_after_the_close_and_the_levels_after_the_open(tmp_path):
    """In a world of its own, because its clock jumps."""
    async with sandbox_running() as world, product_running(world.environment(), tmp_path, take_port()) as own:
        await until(lambda: (part := own.services.health.parts.get("gateway")) and part.ok)
        await until(lambda: len(own.services.market.directory))
        sam = world.discord.person("Sam", "gamma-levels")
        await sam.command("setup board", symbols="SPY QQQ").message()
        world.market.jump("close")
        world.market.clock.turn(speed=60)
        closing = await posted(sam, "🏁 **Close**")
        assert re.search(r"\*\*SPY\*\* [\d.,]+ [▲▼•] ", closing["content"])
        assert "range" in closing["embeds"][0]["description"]
        world.market.jump("open")
        opening = await posted(sam, "🔔 **Open**")
        assert "call wall" in opening["embeds"][0]["description"]
        assert not opening["flags"] & 64


async def posted(person, start: str) -> dict:
    async with asyncio.timeout(30):
        while True:
            for message in person.reads():
                if message["content"].startswith(start):
                    return message
            await asyncio.sleep(0.5)
