"""Plans, settings and what is remembered of a person, from the first command to the next day and the next start."""

import asyncio
import os
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from running import product_running, sandbox_running, take_port, until

from db import usage as stored
from services.clock import new_york_day
from services.plans import PLANS, Kind, Plan

FREE_QUOTES = PLANS[Plan.FREE].most[Kind.QUOTE]
PRIVATE = 64


@pytest.fixture(scope="module")
async def world():
    async with sandbox_running() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
async def free(world, tmp_path_factory):
    """The product where everybody is on the free plan, as whole processes see it."""
    environment = {**world.environment(), "DEFAULT_PLAN": "free"}
    home = tmp_path_factory.mktemp("plans")
    async with product_running(environment, home, take_port()) as product:
        await until(lambda: world.discord.gateway.reachable and len(product.services.market.directory))
        yield product, environment, home


async def use(product, person, number, kind=Kind.QUOTE):
    day = new_york_day(datetime.now(UTC))
    async with product.services.database.acquire() as conn:
        await stored.count_uses(conn, "free", {(person.id, day, kind): number})


async def pulse(environment, home, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pulse", "plan", *arguments),
        env={**os.environ, **environment, "PULSE_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


def labels(message):
    return [button.get("label") for row in message["components"] for button in row["components"]]


def fields(message):
    return {field["name"]: field["value"] for field in message["embeds"][0].get("fields", [])}


async def test_the_last_use_is_answered_and_the_next_refused_kindly_with_the_way_on(world, free):
    product, *_ = free
    mara = world.discord.person("Mara")
    await use(product, mara, FREE_QUOTES - 1)
    quoted = await mara.command("quote", symbols="SPY").message()
    assert quoted["content"].startswith("**SPY**")
    refused = await mara.command("quote", symbols="SPY").message()
    assert re.fullmatch(
        r"⚠️ You have used the 200 quotes that a day of the \*\*FREE\*\* plan includes. They are back <t:\d+:R>.",
        refused["content"],
    )
    assert refused["flags"] & PRIVATE
    assert labels(refused) == ["See plans"]
    again = await mara.press(quoted, "Refresh").message()
    assert again["id"] != quoted["id"], "the quote stays as it was"
    assert labels(again) == ["See plans"]
    plans = await mara.press(again, "See plans").message()
    assert plans["flags"] & PRIVATE
    assert plans["content"] == "**FREE** plan · 200 of 200 quotes used today"
    told = fields(plans)
    assert told["Quotes today"] == "▰▰▰▰▰▰▰▰▰▰ 200 of 200 · none left"
    assert told["Exports today"] == "▱▱▱▱▱▱▱▱▱▱ 0 of 5 · 5 left"
    assert "midnight in New York" in told["The next day begins"]
    assert "**FREE** (yours): 200 quotes" in told["What the plans include"]
    assert "**ELITE**: no limits; quotes and options live" in told["What the plans include"]


async def test_only_the_one_who_asked_has_used_something(world, free):
    assert (await world.discord.person("Jonas").command("quote", symbols="SPY").message())["content"].startswith(
        "**SPY"
    )


async def test_gamma_and_levels_share_a_limit_and_the_picture_stays(world, free):
    product, *_ = free
    jonas = world.discord.person("Jonas")
    await use(product, jonas, PLANS[Plan.FREE].most[Kind.CHAIN] - 1, Kind.CHAIN)
    drawn = await jonas.command("gamma", symbol="SPY").message()
    assert drawn["attachments"]
    for refused in (jonas.command("levels", symbol="SPY"), jonas.press(drawn, "Week")):
        message = await refused.message()
        assert "the 50 gamma and option answers that a day of the **FREE** plan" in message["content"]
        assert labels(message) == ["See plans"]


async def test_the_next_day_begins_anew(world, free):
    product, *_ = free
    mara, usage = world.discord.person("Mara"), product.services.usage
    await use(product, mara, FREE_QUOTES)
    assert "FREE" in (await mara.command("quote", symbols="SPY").message())["content"]
    today, usage._now = usage._now, lambda: datetime.now(UTC) + timedelta(days=1)
    try:
        assert (await mara.command("quote", symbols="SPY").message())["content"].startswith("**SPY**")
        assert "1 of 200 quotes" in (await mara.command("plan").message())["content"]
    finally:
        usage._now = today


async def test_the_operator_gives_a_plan_and_it_holds_at_once(world, free):
    product, environment, home = free
    mara = world.discord.person("Mara")
    await use(product, mara, FREE_QUOTES)
    assert await pulse(environment, home, str(mara.id)) == f"{mara.id} has the plan free (the default)"
    assert await pulse(environment, home, str(mara.id), "pro") == f"{mara.id} has the plan pro"
    async with asyncio.timeout(2):
        while not (await mara.command("quote", symbols="SPY").message())["content"].startswith("**SPY**"):
            await asyncio.sleep(0.05)
    plan = await mara.command("plan").message()
    assert plan["content"] == "**PRO** plan · 201 of 5,000 quotes used today"
    assert await pulse(environment, home, str(mara.id), "elite") == f"{mara.id} has the plan elite"
    async with asyncio.timeout(2):
        while (await mara.command("plan").message())["content"] != "**ELITE** plan · no limits":
            await asyncio.sleep(0.05)
    await pulse(environment, home, str(mara.id), "default")


async def test_a_free_quote_is_kept_for_a_minute_and_says_how_old_it_is(world, free):
    jonas = world.discord.person("Jonas")
    first = await jonas.command("quote", symbols="QQQ").message()
    world.market.nudge("QQQ", 3.0)
    await asyncio.sleep(1.2)
    second = await jonas.command("quote", symbols="QQQ").message()
    assert second["content"] == first["content"]
    assert re.search(r"\d s old when shown", fields(second)["Data"])


async def test_settings_are_shown_changed_and_outlive_a_restart(tmp_path):
    async with sandbox_running() as sandbox:
        mara, jonas = sandbox.discord.person("Mara"), sandbox.discord.person("Jonas")
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: sandbox.discord.gateway.reachable and len(product.services.market.directory))
            shown = await mara.command("settings").message()
            assert shown["content"] == (
                "⚙️ **Dark** pictures · numbers like **1,234.56** · market answers **for everybody to see**"
            )
            assert shown["flags"] & PRIVATE
            changed = await mara.choose(shown, "settings:numbers", "de").message()
            assert changed["id"] == shown["id"]
            assert "**1.234,56**" in changed["content"]
            changed = await mara.choose(changed, "settings:theme", "colour-blind-light").message()
            changed = await mara.press(changed, "Answer me privately").message()
            assert changed["content"] == (
                "⚙️ **Colour-blind, light** pictures · numbers like **1.234,56** · market answers **for you alone**"
            )
            quoted = await mara.command("quote", symbols="SPX").message()
            assert re.search(r"\d\.\d{3},\d\d ", quoted["content"])
            assert quoted["flags"] & PRIVATE
            assert quoted["id"] not in {message["id"] for message in jonas.reads()}
            balance = await mara.command("balance").message()
            assert "$100.000,00" in balance["content"]
            alert = await mara.command("alert", symbol="SPX", condition="above", value="9.999,5").message()
            assert "9.999,50" in alert["content"]
        await until(lambda: not sandbox.discord.gateway.online)
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: sandbox.discord.gateway.reachable and len(product.services.market.directory))
            quoted = await mara.command("quote", symbols="SPX").message()
            assert re.search(r"\d\.\d{3},\d\d ", quoted["content"])
            assert quoted["flags"] & PRIVATE
            assert (await mara.type("quote", symbols="").choices())[0]["value"] == "SPX"
            back = await mara.command("settings", numbers="discord", market_answers="everybody").message()
            assert "**1,234.56** · market answers **for everybody to see**" in back["content"]
            assert not (await mara.command("quote", symbols="SPX").message())["flags"] & PRIVATE
            assert "1.234,56" in (await jonas.command("settings").message())["content"], "as his Discord, in German"


async def test_a_slow_answer_is_private_too_for_whoever_wants_it_so(world, free):
    mara = world.discord.person("Mara")
    await mara.command("settings", market_answers="me").message()
    try:
        await world.market_fault(kind="hang", seconds=1.6)
        asked = mara.command("quote", symbols="TSLA")
        assert (await asked.message())["flags"] & PRIVATE
    finally:
        await world.heal()
        await mara.command("settings", market_answers="everybody").message()


async def test_what_was_asked_for_lately_is_offered_first(world, free):
    lena = world.discord.person("Jonas", "dm")
    await lena.command("quote", symbols="NVDA TSLA").message()
    await lena.command("quote", symbols="GLD").message()
    offered = [choice["value"] for choice in await lena.type("quote", symbols="").choices()]
    assert offered[:3] == ["GLD", "NVDA", "TSLA"]
    assert (await lena.type("quote", symbols="t").choices())[0]["value"] == "TSLA"
    assert (await lena.type("quote", symbols="GLD, ").choices())[0]["value"] == "GLD, NVDA"


@pytest.mark.parametrize("typed", ["AAPL  270115C00265000", "O:AAPL270115C00265000", ".AAPL270115C265"])
@pytest.mark.parametrize("line", ["quote", "gamma", "buy"])
async def test_an_option_symbol_is_told_apart_from_its_underlying(world, free, line, typed):
    mara = world.discord.person("Mara")
    options = {"symbols": typed} if line == "quote" else {"symbol": typed}
    if line == "buy":
        options["quantity"] = 1
    answer = await mara.command(line, **options).message()
    assert answer["content"].startswith("⚠️ **AAPL 15 Jan 2027 265 call** is an option;")
    assert answer["flags"] & PRIVATE


async def test_an_adjusted_root_is_refused_with_the_reason(world, free):
    answer = await world.discord.person("Mara").command("gamma", symbol="AAPL1").message()
    assert "something else than 100 shares" in answer["content"]
