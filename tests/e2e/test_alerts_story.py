"""An alert from setting it to its arrival, and what can be done with it."""

import re
from decimal import Decimal

import pytest
from running import until
from test_market_commands import fields, labels
from test_orders_story import becomes, fill_in, press, price_of, settle_down

FIRED = r"^🔔 \*\*{symbol}\*\* [▲▼] (above|below) \*\*"


@pytest.fixture
async def watcher(sandbox, product):
    """Somebody without alerts in a healed world."""
    person = sandbox.discord.person("Mara")
    yield person
    for alert in (await product.services.alerts.list(person.id)).alerts:
        await product.services.alerts.delete(person.id, alert.token)
    await sandbox.heal()


async def arrives(person, pattern: str, within_s: float = 10.0) -> dict:
    """Wait for a new message that says this."""
    before = {m["id"] for m in person.reads()}
    await until(lambda: _new(person, before, pattern), within_s)
    return _new(person, before, pattern)[0]


def _new(person, before, pattern):
    return [m for m in person.reads() if m["id"] not in before and re.search(pattern, m["content"])]


async def alert_at(product, share: str, symbol: str = "NVDA") -> str:
    return f"{await price_of(product, symbol) * Decimal(share):.2f}"


async def test_an_alert_arrives_once_when_the_price_crosses_and_leads_to_an_order(watcher, product, sandbox):
    level = await alert_at(product, "1.01")
    told = await watcher.command("alert", symbol="NVDA", condition="above", value=level, where="here").message()
    assert told["flags"] & 64
    assert told["content"].startswith(f"🔔 Alert set: **NVDA above {Decimal(level):,.2f}** · told in <#")
    assert set(fields(told)) == {"Price now", "Away"}
    seen = len(watcher.reads())
    await settle_down(sandbox, "NVDA", 2.0)
    await until(lambda: len(watcher.reads()) > seen)
    fired = watcher.reads()[-1]
    assert re.match(FIRED.format(symbol="NVDA"), fired["content"])
    assert not fired["flags"] & 64
    assert fired["embeds"][0]["color"] == 0x16C79A
    assert labels(fired) == ["Snooze 1 h", "Re-arm", "Quote", "Buy"]
    assert {"Price", "Before", "When"} <= set(fields(fired))

    quote = await press(watcher, fired, "Quote")
    assert quote["flags"] & 64
    assert quote["content"].startswith("**NVDA** ")
    jonas = sandbox.discord.person("Jonas")
    ticket = await fill_in(jonas, fired, "Buy", shares="2")
    assert ticket["flags"] & 64
    assert "Buy 2 **NVDA**" in ticket["content"]
    await press(jonas, ticket, "Confirm")
    await becomes(jonas, ticket, "Bought 2")

    sandbox.market.nudge("NVDA", -4.0)
    sandbox.market.nudge("NVDA", 4.0)
    listed = await watcher.command("alerts").message()
    assert "☑️ fired" in listed["embeds"][0]["description"]


async def test_only_its_owner_may_change_an_alert_that_everybody_sees(watcher, product, sandbox):
    level = await alert_at(product, "0.99", "AMD")
    await watcher.command("alert", symbol="AMD", condition="below", value=level, where="here").message()
    seen = len(watcher.reads())
    sandbox.market.nudge("AMD", -2.0)
    await until(lambda: len(watcher.reads()) > seen)
    fired = watcher.reads()[-1]
    assert fired["embeds"][0]["color"] == 0xF6465D
    refused = await press(sandbox.discord.person("Jonas"), fired, "Re-arm")
    assert refused["content"].startswith("⚠️ ")
    assert refused["flags"] & 64
    again = await press(watcher, fired, "Re-arm")
    assert "is armed again" in again["content"]
    later = await press(watcher, fired, "Snooze 1 h")
    assert "sleeps for an hour" in later["content"]
    assert "😴" in (await watcher.command("alerts").message())["embeds"][0]["description"]


async def test_an_alert_by_direct_message_comes_there(watcher, product, sandbox):
    level = await alert_at(product, "1.01", "AAPL")
    told = await watcher.command("alert", symbol="AAPL", condition="crosses", value=level, where="dm").message()
    assert "told by direct message" in told["content"]
    private = sandbox.discord.person("Mara", "dm")
    seen = len(private.reads())
    sandbox.market.nudge("AAPL", 2.0)
    await until(lambda: len(private.reads()) > seen)
    assert re.match(FIRED.format(symbol="AAPL"), private.reads()[-1]["content"])


async def test_a_refused_direct_message_comes_to_the_channel(product, sandbox):
    sam = sandbox.discord.person("Sam")
    level = await alert_at(product, "1.01", "TSLA")
    await sam.command("alert", symbol="TSLA", condition="above", value=level, where="dm").message()
    seen = len(sam.reads())
    sandbox.market.nudge("TSLA", 2.5)
    await until(lambda: len(sam.reads()) > seen)
    assert re.match(FIRED.format(symbol="TSLA"), sam.reads()[-1]["content"])


async def test_alerts_are_listed_opened_paused_resumed_and_deleted(watcher, product):
    assert (await watcher.command("alerts").message())["content"] == "🔕 **No alerts**"
    level = await alert_at(product, "1.2", "META")
    await watcher.command("alert", symbol="META", condition="above", value=level, repeat="always").message()
    listed = await watcher.command("alerts").message()
    assert listed["content"] == "🔔 **1 of 1 alert armed**"
    assert "every time" in listed["embeds"][0]["description"]
    token = listed["components"][0]["components"][0]["options"][0]["value"]
    opened = await watcher.choose(listed, "alerts:choose", token).message()
    assert opened["id"] == listed["id"]
    assert fields(opened)["Fired"] == "never"
    assert labels(opened) == ["Snooze 1 h", "Pause", "Delete", "All alerts"]
    paused = await press(watcher, opened, "Pause")
    assert "⏸️ paused" in paused["content"]
    resumed = await press(watcher, paused, "Resume")
    assert resumed["content"].startswith("🟢")
    empty = await press(watcher, resumed, "Delete")
    assert empty["content"] == "🔕 **No alerts**"


async def test_the_log_says_evaluated_fired_delivered(watcher, product, sandbox):
    level = await alert_at(product, "1.01", "MSFT")
    await watcher.command("alert", symbol="MSFT", condition="above", value=level, where="here").message()
    seen = len(watcher.reads())
    sandbox.market.nudge("MSFT", 2.0)
    await until(lambda: len(watcher.reads()) > seen)
    listed = await watcher.command("alerts").message()
    token = listed["components"][0]["components"][0]["options"][0]["value"]
    opened = await watcher.choose(listed, "alerts:choose", token).message()
    told = fields(opened)
    assert "<t:" in told["Evaluated"]
    assert "delivered <t:" in told["Fired"]


async def test_already_beyond_the_level_is_said(watcher, product):
    level = await alert_at(product, "0.9", "AMZN")
    told = await watcher.command("alert", symbol="AMZN", condition="above", value=level).message()
    assert "already above" in told["embeds"][0]["description"]


@pytest.mark.parametrize(("value", "words"), [("0", "⚠️"), ("-3", "⚠️"), ("soon", "I cannot read **soon**")])
async def test_a_level_that_makes_no_sense_is_refused_in_words(watcher, value, words):
    refused = await watcher.command("alert", symbol="SPY", condition="above", value=value).message()
    assert refused["content"].startswith("⚠️ ")
    assert words in refused["content"]
