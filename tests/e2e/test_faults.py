import asyncio
import re
import time

import pytest

from services.feeds.base import Offer

FEED_HANGS = {"kind": "hang", "seconds": 30, "count": 50}


async def test_a_hanging_feed_is_answered_in_time_and_in_words(mara, sandbox):
    await sandbox.market_fault(**FEED_HANGS)
    asked = mara.command("quote", symbols="NFLX")
    await asked.acknowledged()
    assert asked.answered_after_s < 3
    answer = await asked.message()
    assert "Market data from Alpaca is not available" in answer["content"]
    assert "/status" in answer["content"]


async def test_a_hanging_feed_is_shown_by_status_and_recovers(mara, sandbox):
    await sandbox.market_fault(kind="status", status=503, count=50)
    await mara.command("quote", symbols="META").message()
    status = await mara.command("status").message()
    assert any(field["name"] == "🔴 Feed alpaca" for field in status["embeds"][0]["fields"])
    assert status["embeds"][0]["title"] == "Something is not working"
    await sandbox.heal()
    assert (await mara.command("quote", symbols="META").message())["content"].startswith("**META**")


@pytest.mark.parametrize(
    "fault",
    [{"kind": "garbage"}, {"kind": "reset"}, {"kind": "rate_limit", "seconds": 1}, {"kind": "status", "status": 401}],
)
async def test_every_fault_of_the_feed_is_told_in_words(mara, sandbox, fault):
    await sandbox.market_fault(count=50, **fault)
    answer = await mara.command("gamma", symbol="IWM").message()
    assert answer["content"].startswith("⚠️ Market data from Alpaca is not available")


async def test_a_failing_refresh_leaves_the_message_and_tells_the_presser(mara, sandbox):
    answer = await mara.command("quote", symbols="DIA").message()
    await sandbox.source_fault(kind="status", status=500, count=50)
    await asyncio.sleep(1.1)
    refusal = await mara.press(answer, "Refresh").message()
    assert refusal["id"] != answer["id"]
    assert refusal["flags"] & 64
    still = next(m for m in mara.reads() if m["id"] == answer["id"])
    assert still["content"] == answer["content"]


async def test_a_duplicated_interaction_is_answered_once(mara, sandbox):
    before = len(mara.reads())
    sandbox.discord.requests.clear()
    sandbox.discord.fault("duplicate_interactions", count=1)
    await mara.command("quote", symbols="SPY").message()
    await asyncio.sleep(0.3)
    assert len(mara.reads()) == before + 1
    assert sum("callback" in exchange.path for exchange in sandbox.discord.requests) == 1


async def test_a_server_error_on_the_first_answer_is_tried_again_in_time(mara, sandbox):
    sandbox.discord.fault("callback_refuse", status=500, count=1)
    asked = mara.command("quote", symbols="SPY")
    assert (await asked.message())["content"].startswith("**SPY**")
    assert asked.answered_after_s < 3


async def test_an_answer_cut_off_in_the_middle_is_not_doubled(mara, sandbox):
    before = len(mara.reads())
    sandbox.discord.fault("abort", count=1, path_contains="callback")
    await mara.command("quote", symbols="SPY").message()
    await asyncio.sleep(0.5)
    assert len(mara.reads()) == before + 1


async def test_a_rate_limit_on_an_edit_is_waited_for(mara, sandbox):
    sandbox.discord.fault("rate_limit", scope="user", retry_after=0.3, count=1, path_contains="@original")
    await sandbox.market_fault(kind="hang", seconds=1.3, count=1)
    started = time.monotonic()
    assert (await mara.command("quote", symbols="KO").message())["content"].startswith("**KO**")
    assert time.monotonic() - started > 1.3


async def test_a_late_callback_is_logged_and_the_next_one_works(mara, sandbox):
    sandbox.discord.fault("expire_tokens")
    assert (await mara.command("quote", symbols="SPY").message())["content"].startswith("**SPY**")


@pytest.mark.parametrize(("symbols", "place"), [("SPY", "fields"), ("SPY QQQ", "description")])
async def test_stale_prices_are_called_stale(mara, sandbox, symbols, place):
    await sandbox.source_fault(kind="stale", seconds=630, count=50)
    await asyncio.sleep(1.1)
    answer = await mara.command("quote", symbols=symbols).message()
    embed = answer["embeds"][0]
    assert "⚠️ **Stale**: nothing new for 10 min. Do not trade on it." in embed["fields"][-1]["value"]
    assert place == "fields" or "⚠️ stale" in embed["description"]


async def test_a_list_without_symbols_is_told(mara):
    answer = await mara.command("quote", symbols=" , ").message()
    assert "Type at least one symbol" in answer["content"]


class Broken:
    """A feed with a bug."""

    name = "broken"
    offers = frozenset(Offer)

    async def quotes(self, _symbols):
        return 1 / 0


async def test_an_unexpected_error_gets_a_reference_that_is_in_the_log(mara, product, monkeypatch, capsys):
    monkeypatch.setattr(product.services.market, "_feeds", [Broken()])
    answer = await mara.command("quote", symbols="XOM").message()
    reference = re.search(r"Something broke on our side.*\*\*([0-9a-f]{8})\*\*", answer["content"])[1]
    logged = capsys.readouterr()
    line = next(line for line in (logged.out + logged.err).splitlines() if "unexpected error" in line)
    assert reference in line
    assert "ZeroDivisionError" in logged.out + logged.err
    assert answer["flags"] & 64


async def test_a_command_that_this_process_does_not_know_is_told(mara, sandbox):
    stranger = {"id": "1", "name": "vanished", "type": 1, "description": "Gone", "options": []}
    known = next(iter(sandbox.discord.commands.values()))
    sandbox.discord.commands["1"] = {**known, **stranger}
    answer = await mara.command("vanished").message()
    del sandbox.discord.commands["1"]
    assert "That command has just changed" in answer["content"]


async def test_a_button_of_another_version_is_told(mara, sandbox):
    answer = await mara.command("quote", symbols="SPY").message()
    message = next(m for m in sandbox.discord.messages_in(mara.channel).values() if m.id == answer["id"])
    message.wire["components"][0]["components"][0]["custom_id"] = "quote:of:another:version"
    refusal = await mara.press(
        {**answer, "components": message.wire["components"]}, "quote:of:another:version"
    ).message()
    assert "This button is from another version" in refusal["content"]


async def test_a_refusal_cut_off_in_the_middle_is_told_once(mara, sandbox):
    answer = await mara.command("quote", symbols="SPY").message()
    before = len(mara.reads())
    await sandbox.source_fault(kind="status", status=500, count=50)
    await asyncio.sleep(1.1)
    sandbox.discord.fault("abort", count=1, path_contains="callback")
    mara.press(answer, "Refresh")
    await asyncio.sleep(1.5)
    assert len(mara.reads()) == before + 1
