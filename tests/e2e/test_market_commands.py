import asyncio
import re

import pytest


def fields(message) -> dict[str, str]:
    return {field["name"]: field["value"] for field in message["embeds"][0].get("fields", [])}


def labels(message) -> list[str]:
    return [button["label"] for row in message["components"] for button in row["components"]]


async def test_a_quote_tells_price_change_spread_range_volume_session_and_age(mara):
    answer = await mara.command("quote", symbols="SPY").message()
    assert re.match(r"\*\*SPY\*\* \d{2,3}\.\d\d [▲▼•] [+−]?\d+\.\d\d%", answer["content"])
    told = fields(answer)
    assert set(told) == {"Price", "Change", "Bid / ask", "Day range", "Volume", "Market", "Data"}
    assert "Open" in told["Market"]
    assert "Alpaca IEX" in told["Data"]
    assert "old when shown" in told["Data"]
    assert labels(answer) == ["Refresh", "Gamma"]
    assert answer["embeds"][0]["title"].startswith("SPY · ")


async def test_ten_symbols_by_space_or_comma_are_one_list(mara):
    answer = await mara.command("quote", symbols="SPY, qqq aapl;MSFT NVDA tsla AMD AMZN META $spx").message()
    rows = answer["embeds"][0]["description"]
    assert rows.count("bid") == 10
    assert "**SPX**" in rows
    assert "7 more" in answer["content"]


async def test_eleven_symbols_are_too_many(mara):
    answer = await mara.command("quote", symbols="A B C D E F G H I J K").message()
    assert "up to 10" in answer["content"]
    assert answer["flags"] & 64


async def test_an_unknown_symbol_gets_the_nearest_matches_privately(mara, sandbox):
    answer = await mara.command("quote", symbols="APPL").message()
    assert "I do not know **APPL**" in answer["content"]
    assert "**AAPL**" in answer["content"]
    assert answer["flags"] & 64
    assert answer["id"] not in {m["id"] for m in sandbox.discord.person("Jonas").reads()}


async def test_one_unknown_symbol_among_known_ones_is_named(mara):
    answer = await mara.command("quote", symbols="SPY APPL").message()
    assert "I do not know **APPL**" in fields(answer)["No quote of APPL"]


@pytest.mark.parametrize("typed", ["!!", "<@123>", "DROP TABLE", "123456"])
async def test_what_is_no_symbol_is_refused_in_words(mara, typed):
    answer = await mara.command("quote", symbols=typed).message()
    assert answer["content"].startswith("⚠️ I do not know")


async def test_typing_completes_by_symbol_and_by_name(mara):
    choices = await mara.type("quote", symbols="sp").choices()
    assert choices[0]["value"] in {"SPX", "SPY"}
    assert (await mara.type("quote", symbols="appl").choices())[0]["value"] == "AAPL"
    assert (await mara.type("quote", symbols="SPY, microso").choices())[0]["value"] == "SPY, MSFT"
    assert (await mara.type("gamma", symbol="ru").choices())[0]["value"] == "RUT"


async def test_refresh_edits_the_same_message_with_a_new_price(mara, sandbox):
    answer = await mara.command("quote", symbols="SPY").message()
    sandbox.market.nudge("SPY", 3.0)
    await asyncio.sleep(1.1)
    again = await mara.press(answer, "Refresh").message()
    assert again["id"] == answer["id"]
    before, after = (float(re.search(r"([\d,.]+) [▲▼•]", m["content"])[1].replace(",", "")) for m in (answer, again))
    assert after == pytest.approx(before * 1.03, rel=0.005)


async def test_numbers_follow_the_readers_language(mara, sandbox):
    answer = await sandbox.discord.person("Jonas").command("quote", symbols="SPX").message()
    assert re.search(r"\d\.\d{3},\d\d ", answer["content"])


async def test_commands_work_in_direct_messages(mara, sandbox):
    private = sandbox.discord.person("Mara", "dm")
    assert (await private.command("quote", symbols="SPY").message())["content"].startswith("**SPY**")
    assert (await private.command("gamma", symbol="SPY").message())["attachments"]


async def test_help_names_every_command_and_is_private(mara, sandbox):
    answer = await mara.command("help").message()
    registered = {c["name"]: c["id"] for c in sandbox.discord.commands.values()}
    for name, number in registered.items():
        assert re.search(rf"</{name}( [a-z]+)?:{number}>", answer["embeds"][0]["description"])
    assert answer["flags"] & 64


async def test_status_tells_gateway_database_and_feeds(mara):
    await mara.command("quote", symbols="SPY").message()
    told = fields(await mara.command("status").message())
    assert {"🟢 Gateway", "🟢 Database", "🟢 Worker", "🟢 Feed alpaca"} <= set(told)
    assert "newest data" in told["🟢 Feed alpaca"]


async def test_every_command_is_installable_everywhere_and_described_shortly(mara, sandbox):
    for command in sandbox.discord.commands.values():
        in_servers_only = command["name"] == "setup"
        assert command["integration_types"] == ([0] if in_servers_only else [0, 1])
        assert sorted(command["contexts"]) == ([0] if in_servers_only else [0, 1, 2])
        assert 0 < len(command["description"]) < 60
        assert not command["description"].endswith(".")
        assert all(option["description"] for option in command.get("options", []))
