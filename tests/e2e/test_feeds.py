"""Other sources than Alpaca in the channel, as an operator with FEEDS sees them."""

from contextlib import asynccontextmanager

import pytest
from running import product_running, sandbox_running, take_port, until


@asynccontextmanager
async def fed(home, **settings):
    async with (
        sandbox_running() as sandbox,
        product_running({**sandbox.environment(), **settings}, home, take_port()) as product,
    ):
        await until(lambda: sandbox.discord.gateway.reachable and sandbox.discord.commands)
        yield sandbox, product


@pytest.fixture(scope="module")
async def two(tmp_path_factory):
    async with fed(tmp_path_factory.mktemp("two"), FEEDS="tradier,alpaca") as running:
        yield running


@pytest.fixture(scope="module")
async def cboe(tmp_path_factory):
    async with fed(tmp_path_factory.mktemp("cboe"), FEEDS="cboe", CBOE_LICENSED="true") as running:
        yield running


def fields(message) -> dict[str, str]:
    return {field["name"]: field["value"] for field in message["embeds"][0]["fields"]}


async def test_tradier_answers_first_and_is_named(two):
    sandbox, _ = two
    mara = sandbox.discord.person("Mara")
    answer = await mara.command("quote", symbols="SPY BRK.B").message()
    assert "**BRK.B**" in answer["content"]
    assert "Tradier · real time" in fields(answer)["Data"]
    picture = await mara.command("gamma", symbol="SPX").message()
    assert picture["attachments"][0]["filename"].endswith(".png")
    assert "Tradier" in str(picture["embeds"])


async def test_alpaca_answers_where_tradier_cannot_and_the_message_says_so(two):
    sandbox, _ = two
    mara = sandbox.discord.person("Mara")
    await sandbox.market_fault(kind="status", status=503, path_contains="/tradier/")
    answer = await mara.command("quote", symbols="NVDA").message()
    told = fields(answer)
    assert "Alpaca IEX" in told["Data"]
    assert "error of its own, 503" in told["⚠️ Tradier is away"]
    picture = await mara.command("gamma", symbol="NVDA").message()
    assert "Alpaca indicative" in str(picture["embeds"])
    for symbol in ("AMD", "MU", "KO", "BAC"):
        await mara.command("quote", symbols=symbol).message()
    status = fields(await mara.command("status").message())
    assert "left in peace" in status["🔴 Feed tradier"]
    assert "requests left" in status["🔴 Feed tradier"]
    assert "requests left" in status["🟢 Feed alpaca"]
    await sandbox.heal()
    tradier = two[1].services.market.feeds[0]
    await until(lambda: not tradier.access()[0].rest_s)
    assert "Tradier" in fields(await mara.command("quote", symbols="F").message())["Data"]


async def test_cboe_is_a_quarter_of_an_hour_late_and_says_so(cboe):
    sandbox, _ = cboe
    mara = sandbox.discord.person("Mara")
    told = fields(await mara.command("quote", symbols="SPY").message())
    assert "Cboe delayed · delayed 15 min" in told["Data"]
    assert "Stale" not in told["Data"]
    picture = await mara.command("gamma", symbol="SPX").message()
    assert picture["attachments"][0]["filename"].endswith(".png")
    assert "Cboe delayed" in str(picture["embeds"])
    refused = await mara.command("quote", symbols="NOPE").message()
    assert "I do not know **NOPE**" in refused["content"]
    await sandbox.market_fault(kind="half", path_contains="/cboe/")
    answer = await mara.command("quote", symbols="KO").message()
    assert answer["content"].startswith("⚠️ Market data from Cboe is not available right now (the connection broke)")
