"""The recorded chains in the channel, as an operator with REPLAY_DIR sees them."""

import pytest
from running import product_running, sandbox_running, take_port, until


@pytest.fixture(scope="module")
async def replaying(shared_data, tmp_path_factory):
    async with sandbox_running() as sandbox:
        environment = {**sandbox.environment(), "FEEDS": "replay", "REPLAY_DIR": str(shared_data)}
        async with product_running(environment, tmp_path_factory.mktemp("replay"), take_port()) as product:
            await until(lambda: sandbox.discord.gateway.reachable)
            await until(lambda: len(product.services.market.directory))
            yield sandbox.discord.person("Mara")


def fields(message) -> dict[str, str]:
    return {field["name"]: field["value"] for field in message["embeds"][0]["fields"]}


async def test_the_recorded_quote_says_when_it_was(replaying):
    answer = await replaying.command("quote", symbols="SPX").message()
    assert answer["content"] == "**SPX** 3,990.56 ▲ +1.43%"
    assert "recording** of <t:1670895000:f>" in fields(answer)["Data"]


async def test_the_recorded_chain_is_drawn_with_its_reference_levels(replaying):
    answer = await replaying.command("gamma", symbol="$SPX").message()
    told = fields(answer)
    assert told["Net GEX"] == "−$1.18 bn"
    assert told["Gamma flip"].startswith("3,996.6")
    assert told["Call wall"].startswith("4,100 ")
    assert told["Put wall"].startswith("3,800 ")
    assert "<t:1670895000:f>" in told["As of"]
    assert answer["attachments"][0]["filename"] == "gamma.png"


async def test_several_recordings_show_the_age_of_the_oldest(replaying):
    for symbols in ("SPX RUT SPY", "SPY RUT SPX"):
        answer = await replaying.command("quote", symbols=symbols).message()
        assert "recording** of <t:1670895000:f>" in fields(answer)["Data"]


async def test_the_newest_recording_wins(replaying):
    answer = await replaying.command("gamma", symbol="RUT").message()
    told = fields(answer)
    assert told["Net GEX"] == "−$1.28 bn"
    assert told["Gamma flip"].startswith("1,906.6")
    assert told["Call wall"].startswith("1,910 ")
    assert told["Put wall"].startswith("1,700 ")


async def test_bars_alone_make_a_quote_but_no_gamma(replaying):
    assert (await replaying.command("quote", symbols="AAPL").message())["content"].startswith("**AAPL** 178.46")
    refused = await replaying.command("gamma", symbol="AAPL").message()
    assert "no option chain" in refused["content"]


async def test_only_what_is_recorded_completes(replaying):
    assert {choice["value"] for choice in await replaying.type("gamma", symbol="").choices()} >= {
        "SPX",
        "RUT",
        "SPY",
        "AAPL",
    }
