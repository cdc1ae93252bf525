"""Gamma as people see it: the picture, every button under it, the levels in words, alerts at them, and restarts."""

import csv
import io
import re

import pytest
from running import product_running, sandbox_running, take_port, until
from test_market_commands import fields, labels

FILTERS = ["0DTE", "Week", "OPEX", "94 days", "All"]
TOOLS = ["Refresh", "Light", "Colours", "CSV", "Alert me"]


def buttons(message) -> list[str]:
    return [part["label"] for row in message["components"] for part in row["components"] if "label" in part]


def current(message) -> list[str]:
    parts = [part for row in message["components"] for part in row["components"]]
    return [part["label"] for part in parts if part.get("style") == 1]


def theme_of(message) -> str:
    return message["components"][0]["components"][0]["custom_id"].split(":")[4]


def days_of(message) -> list[dict]:
    return message["components"][1]["components"][0]["options"]


async def file_of(sandbox, message) -> bytes:
    return (await sandbox.http.get(message["attachments"][0]["url"])).content


def carry(person, message, button) -> None:
    """Let the first button of a message, here and at Discord, be this one, as an earlier version wrote it."""
    stored = person.state.messages_in(person.channel)[message["id"]].wire
    for components in (message["components"], stored["components"]):
        components[0]["components"][0]["custom_id"] = button


async def test_gamma_opens_from_a_quote_as_a_new_message(mara):
    answer = await mara.command("quote", symbols="SPY").message()
    picture = await mara.press(answer, "Gamma").message()
    assert picture["id"] != answer["id"]
    assert picture["attachments"][0]["filename"] == "gamma.png"


async def test_gamma_is_a_picture_and_the_same_facts_in_words(mara, sandbox):
    answer = await mara.command("gamma", symbol="SPX").message()
    told = fields(answer)
    assert {"Net GEX", "Gross GEX", "Gamma flip", "Call wall", "Put wall", "Expected move"} < set(told)
    assert {"Most gamma", "By expiry", "Vanna and charm", "As of"} < set(told)
    assert "of open interest with an implied volatility" in told["As of"]
    assert re.search(r"Max pain [\d,]+ on ", told["Most gamma"])
    assert re.search(r"0DTE: [\d.]+% of gross", told["By expiry"])
    assert re.match(r"\*\*SPX\*\* gamma \*\*[+−]\$[\d.]+ bn\*\* per 1 % move", answer["content"])
    picture = answer["attachments"][0]
    assert (picture["content_type"], picture["width"], picture["height"]) == ("image/png", 1200, 800)
    assert "SPX" in picture["description"]
    assert "call wall" in picture["description"].lower()
    assert buttons(answer) == [*FILTERS, *TOOLS]
    assert (await file_of(sandbox, answer)).startswith(b"\x89PNG")


async def test_the_filters_redraw_in_place(mara):
    answer = await mara.command("gamma", symbol="SPY").message()
    assert current(answer) == ["All"]
    words = {"0DTE": r"0DTE|next expiry", "Week": "this week", "OPEX": "monthly OPEX", "94 days": "the next 94 days"}
    for label, pattern in words.items():
        shown = await mara.press(answer, label).message()
        assert shown["id"] == answer["id"]
        assert current(shown) == [label]
        assert re.search(pattern, shown["embeds"][0]["description"])
        assert len(shown["attachments"]) == 1
    everything = await mara.press(shown, "All").message()
    assert "all expiries" in everything["embeds"][0]["description"]


async def test_a_single_expiry_is_chosen_from_those_that_are_left(mara):
    answer = await mara.command("gamma", symbol="SPY").message()
    day = days_of(answer)[2]
    shown = await mara.choose(answer, "One expiry …", day["value"]).message()
    assert shown["id"] == answer["id"]
    assert f"expiry {day['label']}" in shown["embeds"][0]["description"]
    assert [each["value"] for each in days_of(shown) if each.get("default")] == [day["value"]]
    assert current(shown) == []
    assert len(days_of(shown)) == len(days_of(answer)), "the others can still be chosen"


async def test_light_and_colours_change_this_message_only(mara):
    answer = await mara.command("gamma", symbol="AAPL").message()
    assert theme_of(answer) == "d"
    light = await mara.press(answer, "Light").message()
    both = await mara.press(light, "Colours").message()
    dark = await mara.press(both, "Dark").message()
    again = await mara.press(dark, "Colours").message()
    assert [theme_of(m) for m in (light, both, dark, again)] == ["l", "cl", "cd", "d"]
    assert {m["id"] for m in (light, both, dark, again)} == {answer["id"]}
    assert theme_of(await mara.command("gamma", symbol="AAPL").message()) == "d"


async def test_a_theme_that_is_chosen_is_remembered_for_the_person_only(mara, sandbox):
    jonas = sandbox.discord.person("Jonas")
    light = await mara.command("gamma", symbol="AAPL", theme="light").message()
    later = await mara.command("gamma", symbol="AAPL").message()
    others = await jonas.command("gamma", symbol="AAPL").message()
    assert [theme_of(m) for m in (light, later, others)] == ["l", "l", "d"]
    await mara.command("gamma", symbol="AAPL", theme="dark").message()


async def test_every_option_has_its_say_and_the_buttons_keep_it(mara):
    options = {"shape": "portrait", "counting": "volume", "per": "point", "definitions": "gflows", "expiry": "94d"}
    answer = await mara.command("gamma", symbol="SPY", **options).message()
    assert (answer["attachments"][0]["width"], answer["attachments"][0]["height"]) == (1080, 1350)
    for message in (answer, await mara.press(answer, "Refresh").message(), await mara.press(answer, "All").message()):
        assert "per point" in message["content"]
        assert "volume of the day" in message["embeds"][0]["footer"]["text"]
        assert "gflows" in message["attachments"][0]["description"]
        assert message["attachments"][0]["height"] == 1350


async def test_the_numbers_come_as_a_private_file(mara, sandbox):
    answer = await mara.command("gamma", symbol="SPY").message()
    file = await mara.press(answer, "CSV").message()
    assert file["flags"] & 64
    assert re.match(r"SPY-gamma-\d{8}-\d{4}\.csv$", file["attachments"][0]["filename"])
    assert re.match(r"\*\*SPY\*\* gamma by strike, \d+ strikes, <t:\d+:f> · Alpaca", file["content"])
    rows = list(csv.DictReader(io.StringIO((await file_of(sandbox, file)).decode())))
    assert list(rows[0]) == ["strike", "call_gex_usd_per_1pct", "put_gex_usd_per_1pct", "net_gex_usd_per_1pct"]
    wall = max(rows, key=lambda row: float(row["net_gex_usd_per_1pct"]))["strike"]
    assert fields(answer)["Call wall"].startswith(f"{float(wall):g} (")


async def test_an_alert_at_a_level_is_two_presses_away_and_fires(mara, product, sandbox):
    answer = await mara.command("gamma", symbol="META").message()
    jonas = sandbox.discord.person("Jonas")
    offered = await jonas.press(answer, "Alert me").message()
    assert offered["flags"] & 64
    names = " ".join(buttons(offered))
    for name in ("Call wall", "Put wall", "Max pain", "Expected high", "Other price …"):
        assert name in names
    level = next(label for label in buttons(offered) if "Expected high" in label)
    made = await jonas.press(offered, level).message()
    assert "Alert set: **META through " in made["content"]
    assert made["flags"] & 64
    seen = len(jonas.reads())
    sandbox.market.nudge("META", 12.0)
    await until(lambda: len(jonas.reads()) > seen)
    assert re.match(r"🔔 \*\*META\*\* ▲ above \*\*", jonas.reads()[-1]["content"])
    sandbox.market.nudge("META", -11.0)
    await _forget_alerts(product, jonas)


async def test_another_price_is_asked_for_in_a_form(mara, product):
    answer = await mara.command("levels", symbol="MSFT").message()
    offered = await mara.press(answer, "Alert me").message()
    opened = mara.press(offered, "Other price …")
    await opened.modal()
    spot = re.search(r"\*\* ([\d,.]+) ", answer["content"])[1].replace(",", "")
    made = await mara.submit(opened, price=f"{float(spot) * 1.1:.2f}").message()
    assert "Alert set: **MSFT through" in made["content"]
    opened = mara.press(offered, "Other price …")
    await opened.modal()
    refused = await mara.submit(opened, price="soon").message()
    assert refused["content"].startswith("⚠️ I cannot read **soon** as a number.")
    await _forget_alerts(product, mara)


async def _forget_alerts(product, person) -> None:
    for alert in (await product.services.alerts.list(person.id)).alerts:
        await product.services.alerts.delete(person.id, alert.token)


async def test_levels_are_lines_whose_first_is_a_push_notification(mara):
    answer = await mara.command("levels", symbol="SPX").message()
    assert re.match(
        r"\*\*SPX\*\* [\d,.]+ · call wall [\d,]+ · put wall [\d,]+( · flip [\d,.]+)?$", answer["content"]
    ), answer["content"]
    lines = answer["embeds"][0]["description"].splitlines()
    starts = ("Call wall", "Put wall", "Gamma flip", "Absolute gamma", "Max pain", "Expected move", "0DTE", "Net gamma")
    for line, start in zip(lines, starts, strict=False):
        assert line.startswith(f"**{start}** ")
    assert "Alpaca" in answer["embeds"][0]["footer"]["text"]
    assert "<t:" in lines[-2]
    assert labels(answer) == ["Picture", "Refresh", "Alert me"]
    again = await mara.press(answer, "Refresh").message()
    assert again["id"] == answer["id"]
    picture = await mara.press(answer, "Picture").message()
    assert picture["id"] != answer["id"]
    assert picture["attachments"][0]["filename"] == "gamma.png"


async def test_numbers_and_dates_follow_the_readers_language(mara, sandbox):
    answer = await sandbox.discord.person("Jonas").command("levels", symbol="SPX").message()
    assert re.search(r"\*\*SPX\*\* \d\.\d{3},\d\d · call wall \d\.\d{3}", answer["content"])


async def test_what_is_drawn_once_is_not_drawn_again(mara, product):
    kept = product.services.levels._kept._made

    def made():
        return {key: task for key, task in kept.items() if (chain := key[0]()) and chain.symbol == "GOOGL"}

    await mara.command("gamma", symbol="GOOGL").message()
    first = made()
    await mara.command("gamma", symbol="GOOGL").message()
    light = await mara.command("gamma", symbol="GOOGL", shape="portrait").message()
    assert light["attachments"][0]["height"] == 1350
    later = made()
    assert len(first) == 2, "the facts and the picture"
    assert len(later) == 3, "the same facts, and a second picture"
    assert all(later[key] is task for key, task in first.items())


async def test_a_symbol_without_options_is_told(mara):
    plain = await mara.command("gamma", symbol="ZZZZ").message()
    assert "I do not know **ZZZZ**" in plain["content"]
    assert "VIX" in (await mara.command("levels", symbol="VIX").message())["content"]


@pytest.mark.parametrize("button", ["gamma:show:SPY:week:light", "gamma:refresh:SPY:all:dark"])
async def test_buttons_of_earlier_versions_still_answer(mara, button):
    answer = await mara.command("gamma", symbol="SPY").message()
    carry(mara, answer, button)
    shown = await mara.press(answer, button).message()
    assert shown["id"] == answer["id"]
    assert buttons(shown) == [*FILTERS, "Refresh", "Dark" if "light" in button else "Light", *TOOLS[2:]]


@pytest.mark.parametrize(
    "button", ["pic:show::nothing:d:SPY:all:", "pic:show::gamma:d:SPY:someday:", "pic:csv:gamma:d:"]
)
async def test_a_button_that_means_nothing_any_more_says_so(mara, button):
    answer = await mara.command("gamma", symbol="SPY").message()
    carry(mara, answer, button)
    refused = await mara.press(answer, button).message()
    assert refused["content"] == "⚠️ This button is from another version of me. Run its command again."
    assert refused["flags"] & 64


async def test_the_buttons_outlive_a_restart(tmp_path):
    async with sandbox_running() as sandbox:
        person = sandbox.discord.person("Mara")
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: (part := product.services.health.parts.get("gateway")) and part.ok)
            await until(lambda: len(product.services.market.directory))
            answer = await person.command("gamma", symbol="SPY", theme="light").message()
            offered = await person.press(answer, "Alert me").message()
            opened = person.press(offered, "Other price …")
            await opened.modal()
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: (part := product.services.health.parts.get("gateway")) and part.ok)
            dark = await person.press(answer, "Dark").message()
            assert dark["id"] == answer["id"]
            week = await person.press(dark, "Week").message()
            assert current(week) == ["Week"]
            chosen = await person.choose(week, "One expiry …", days_of(answer)[1]["value"]).message()
            assert current(chosen) == []
            assert (await person.press(chosen, "CSV").message())["attachments"]
            assert "Alert set" in (await person.submit(opened, price="500").message())["content"]
            level = next(label for label in buttons(offered) if label.startswith("Call wall"))
            assert "Alert set" in (await person.press(offered, level).message())["content"]
