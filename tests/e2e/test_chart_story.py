"""Price charts as people see them: the command, each button, a restart in between, and what goes wrong."""

import asyncio
import csv
import io
import re
from contextlib import suppress
from datetime import timedelta

import pytest
from running import product_running, sandbox_running, take_port, until
from test_market_commands import fields, labels

from services.errors import LimitReached
from services.plans import Kind

RANGES = ["1D", "5D", "1M", "6M", "1Y"]
TOOLS = ["Refresh", "Light", "Colours", "CSV", "Alert me"]


def current(message) -> list[str]:
    buttons = [button for row in message["components"] for button in row["components"]]
    return [button["label"] for button in buttons if button["style"] == 1]


async def at_once(sandbox, market, moment: str) -> None:
    """Turn the market's clock, and wait until the product has heard of it."""
    sandbox.market.jump(moment)
    # An answer that was on its way before counts as new.
    async with asyncio.timeout(10):
        while (await market.quotes(["SPY"], anew=True)).lines[0].quote.as_of < sandbox.market.now() - timedelta(
            minutes=1
        ):
            await asyncio.sleep(0.05)


async def file_of(sandbox, message) -> bytes:
    answer = await sandbox.http.get(message["attachments"][0]["url"])
    return answer.content


async def test_a_chart_is_a_picture_and_the_same_facts_in_words(mara, sandbox):
    answer = await mara.command("chart", symbol="SPY").message()
    assert re.match(r"\*\*SPY\*\* \d{3}\.\d\d [▲▼•] [+−]?\d+\.\d\d% since the previous close$", answer["content"])
    told = fields(answer)
    assert {"Change", "High / low", "Previous close", "Averages", "Gamma levels", "Data"} == set(told)
    assert re.match(r"EMA 9 [\d.]+ · EMA 21 [\d.]+ · VWAP [\d.]+$", told["Averages"])
    assert "Alpaca IEX · real time · " in told["Data"]
    assert "old when shown · <t:" in told["Data"]
    assert "Gamma levels of " in answer["embeds"][0]["footer"]["text"]
    assert labels(answer) == [*RANGES, *TOOLS]
    assert current(answer) == ["1D"]
    picture = answer["attachments"][0]
    assert (picture["content_type"], picture["width"], picture["height"]) == ("image/png", 1200, 800)
    for fact in ("Candles of 5 min of SPY over 1 day", "Previous close", "VWAP", "Call wall", "Alpaca IEX, real time"):
        assert fact in picture["description"]
    assert (await file_of(sandbox, answer)).startswith(b"\x89PNG")


async def test_every_range_is_a_button_away_in_the_same_message(mara):
    answer = await mara.command("chart", symbol="AAPL").message()
    for reach, words in zip(RANGES[1:], ("5 days", "1 month", "6 months", "1 year"), strict=True):
        shown = await mara.press(answer, reach).message()
        assert shown["id"] == answer["id"]
        assert current(shown) == [reach]
        assert f"in {words}" in shown["content"]
        assert words in shown["embeds"][0]["description"]


async def test_long_ranges_have_their_own_averages(mara):
    year = fields(await mara.command("chart", symbol="AAPL", range="1Y").message())
    assert re.match(r"SMA 20 [\d.]+ · SMA 50 [\d.]+ · SMA 200 [\d.]+$", year["Averages"])
    answer = await mara.command("chart", symbol="AAPL", range="5Y").message()
    assert re.match(r"SMA 10 [\d.]+ · SMA 40 [\d.]+$", fields(answer)["Averages"])
    assert "5 years, candles of 1 week" in answer["embeds"][0]["description"]
    assert current(answer) == []


async def test_light_colours_and_refresh_keep_what_is_shown(mara):
    answer = await mara.command("chart", symbol="SPY", range="1M", interval="1d").message()
    light = await mara.press(answer, "Light").message()
    assert "1 month, candles of 1 day" in light["embeds"][0]["description"]
    assert "Dark" in labels(light)
    colours = await mara.press(light, "Colours").message()
    assert colours["attachments"][0]["id"] != light["attachments"][0]["id"]
    again = await mara.press(colours, "Refresh").message()
    assert again["id"] == answer["id"]
    assert "1 month, candles of 1 day" in again["embeds"][0]["description"]


async def test_refresh_shows_the_new_price(mara, sandbox, product):
    answer = await mara.command("chart", symbol="TSLA").message()
    sandbox.market.nudge("TSLA", 4.0)
    # Candles are kept for some seconds, but not into another minute.
    await at_once(sandbox, product.services.market, (sandbox.market.now() + timedelta(minutes=1)).isoformat())
    again = await mara.press(answer, "Refresh").message()
    before, after = (float(re.search(r"\*\* ([\d,.]+)", m["content"])[1].replace(",", "")) for m in (answer, again))
    assert after == pytest.approx(before * 1.04, rel=0.01)


async def test_the_candles_come_as_a_private_file(mara, sandbox):
    answer = await mara.command("chart", symbol="SPY", range="5D").message()
    file = await mara.press(answer, "CSV").message()
    assert file["flags"] & 64
    assert file["attachments"][0]["filename"] == "SPY-5D-15m.csv"
    assert re.match(r"\*\*SPY\*\* 5 days, \d+ candles of 15 min to <t:\d+:f> · Alpaca IEX, real time", file["content"])
    rows = list(csv.DictReader(io.StringIO((await file_of(sandbox, file)).decode())))
    assert list(rows[0]) == ["start", "open", "high", "low", "close", "volume", "EMA 9", "EMA 21", "VWAP"]
    assert 4 * 26 < len(rows) <= 5 * 26 + 16
    assert all(float(row["low"]) <= float(row["close"]) <= float(row["high"]) for row in rows)
    assert f"{float(rows[-1]['close']):,.2f}" in answer["content"]


async def test_an_alert_at_a_level_is_one_press_away(mara, product):
    answer = await mara.command("chart", symbol="QQQ").message()
    offered = await mara.press(answer, "Alert me").message()
    assert offered["flags"] & 64
    names = [re.sub(r" [\d,.]+$", "", label) for label in labels(offered)]
    assert {"Day high", "Day low", "Previous close", "Call wall", "Put wall"} <= set(", ".join(names).split(", "))
    level = next(label for label in labels(offered) if label.startswith("Previous close"))
    made = await mara.press(offered, level).message()
    assert "Alert set: **QQQ" in made["content"]
    for alert in (await product.services.alerts.list(mara.id)).alerts:
        await product.services.alerts.delete(mara.id, alert.token)


async def test_an_index_has_neither_volume_nor_vwap_and_says_so(mara):
    answer = await mara.command("chart", symbol="VIX").message()
    assert "VWAP" not in fields(answer)["Averages"]
    alt = answer["attachments"][0]["description"]
    assert "no volume from this source, so no VWAP" in alt
    assert answer["embeds"][0]["footer"]["text"] == "No gamma levels: no options at our sources"


async def test_a_chart_comes_without_levels_while_the_options_are_away(mara, sandbox):
    await sandbox.market_fault(kind="status", status=503, path_contains="options")
    answer = await mara.command("chart", symbol="MSFT").message()
    assert answer["embeds"][0]["footer"]["text"] == "No gamma levels: the options are not available right now"
    assert answer["attachments"][0]["filename"] == "chart.png"


async def test_an_impossible_pair_is_refused_with_what_is_possible(mara):
    answer = await mara.command("chart", symbol="SPY", range="1Y", interval="5m").message()
    assert answer["content"] == (
        "⚠️ Candles of 5 min do not fit a chart of 1 year. For `1Y` choose `1d` or `1w`; `5m` goes with `1D` or `5D`."
    )
    assert answer["flags"] & 64


async def test_an_unknown_symbol_and_a_source_that_is_away_are_told_in_words(mara, sandbox):
    unknown = await mara.command("chart", symbol="APPL").message()
    assert "I do not know **APPL**" in unknown["content"]
    shown = await mara.command("chart", symbol="KO").message()
    await sandbox.market_fault(kind="status", status=503, path_contains="bars")
    away = await mara.press(shown, "6M").message()
    assert "Market data from Alpaca is not available right now" in away["content"]
    assert away["flags"] & 64


async def test_a_restart_and_the_hours_around_the_session(tmp_path):
    async with sandbox_running() as sandbox:
        person = sandbox.discord.person("Mara")
        sandbox.market.jump("2026-11-20T11:00")
        environment = {**sandbox.environment(), "DEFAULT_PLAN": "free"}
        async with product_running(environment, tmp_path, take_port()) as product:
            await until(lambda: sandbox.discord.gateway.reachable and len(product.services.market.directory))
            answer = await person.command("chart", symbol="SPY").message()
            await _used_up_gamma(person, product.services.usage)
        await until(lambda: not sandbox.discord.gateway.online)
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: sandbox.discord.gateway.reachable)
            shown = await person.press(answer, "1Y").message()
            assert shown["id"] == answer["id"]
            assert "in 1 year" in shown["content"]
            await _after_hours_and_before_the_open(person, sandbox, product.services.market)


async def _used_up_gamma(person, usage) -> None:
    with suppress(LimitReached):
        while True:
            await usage.spend(person.id, Kind.CHAIN)
    answer = await person.command("chart", symbol="AAPL").message()
    words = "No gamma levels: today's gamma answers of your plan are used up"
    assert answer["embeds"][0]["footer"]["text"] == words
    assert answer["attachments"][0]["filename"] == "chart.png"


async def _after_hours_and_before_the_open(person, sandbox, market) -> None:
    await at_once(sandbox, market, "2026-11-20T17:30")
    quoted = await person.command("quote", symbols="SPY").message()
    assert re.match(r"\*\*SPY\*\* [\d.]+ after hours [▲▼•] [+−]?\d+\.\d\d%$", quoted["content"])
    close = sandbox.market.last_close("SPY", sandbox.market.day(sandbox.market.now().timestamp()))
    assert f"since the close at {close:,.2f}, itself " in fields(quoted)["Change"]
    drawn = await person.command("chart", symbol="SPY").message()
    assert re.match(r"\*\*SPY\*\* [\d.]+ after hours [▲▼•] ", drawn["content"])
    assert "17:30 ET · after hours" in drawn["attachments"][0]["description"]
    index = await person.command("quote", symbols="SPX").message()
    assert "after hours" not in index["content"]

    await at_once(sandbox, market, "2026-11-23T08:00")
    both = await person.command("quote", symbols="SPY SPX").message()
    assert re.match(r"\*\*SPY\*\* [\d.]+ pre-market .* · \*\*SPX\*\* [\d,.]+ [▲▼•]", both["content"])
    early = await person.command("quote", symbols="SPY").message()
    assert f"since the close at {close:,.2f}" in fields(early)["Change"]
    assert "🟡 Pre-market" in fields(early)["Market"]
    drawn = await person.command("chart", symbol="SPY", interval="15m").message()
    assert " pre-market " in drawn["content"]
    assert f"Previous close {close:,.2f}" in drawn["attachments"][0]["description"]
