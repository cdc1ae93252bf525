"""Whatever the bot says to Discord, and whatever the stand-in answers, is as Discord describes it."""

import pytest
from discord_spec import Description, Traffic

DEFERRED = 5
SLOW = {"kind": "hang", "seconds": 1.5, "count": 20}


@pytest.fixture(scope="module")
async def traffic(product, sandbox):
    """What passes when every command and button is used, quickly and slowly."""
    mara, jonas = sandbox.discord.person("Mara"), sandbox.discord.person("Jonas", "dm")
    await mara.type("quote", symbols="sp").choices()
    await mara.type("gamma", symbol="microso").choices()
    for command in ("help", "status", "plan", "settings"):
        await mara.command(command).message()
    quote = await mara.command("quote", symbols="SPY").message()
    await mara.press(quote, "Refresh").message()
    await mara.press(quote, "Gamma").message()
    await mara.command("quote", symbols="SPY QQQ AAPL MSFT NVDA TSLA AMD AMZN META SPX").message()
    await mara.command("quote", symbols="APPL").message()
    gamma = await mara.command("gamma", symbol="SPX", theme="light").message()
    for button in ("0DTE", "Week", "OPEX", "All", "Refresh"):
        await mara.press(gamma, button).message()
    await jonas.command("gamma", symbol="SPY").message()
    await sandbox.market_fault(**SLOW)
    late = jonas.command("gamma", symbol="IWM")
    assert await late.acknowledged() == DEFERRED
    await late.message()
    await mara.press(quote, "Refresh").message()
    await sandbox.heal()
    return sandbox.discord


def test_the_bot_keeps_the_limits(traffic):
    assert traffic.unknown_requests == []
    problems = Traffic().problems(traffic.requests)
    assert not problems, "\n".join(problems)


def test_the_bot_and_the_stand_in_speak_as_described(traffic, shared_specs):
    description = Description(shared_specs / "discord" / "openapi.json")
    problems = Traffic(description).problems(traffic.requests)
    assert not problems, "\n".join(problems)
