"""Option chains and volatility as people see them: the commands, each button, a restart in between, what goes wrong."""

import csv
import gzip
import io
import re

import pytest
from running import product_running, sandbox_running, take_port, until

from bot.commands.export import fitting
from bot.replies import Attachment
from services import chain_csv
from services.errors import UserError

SIDES = ["Calls", "Puts", "Both", "Greeks", "Alert me"]
PAGING = ["▲ Higher", "▼ Lower", "Money", "Refresh", "CSV"]
VIEWS = ["Skew", "Term structure", "Expected move"]
TOOLS = ["Refresh", "Light", "Colours", "CSV", "Alert me"]


def current(message) -> list[str]:
    return [button["label"] for button in buttons(message) if button.get("style") == 1]


def buttons(message) -> list[dict]:
    return [part for row in message["components"] for part in row["components"] if part["type"] == 2]


def labels(message) -> list[str]:
    return [button["label"] for button in buttons(message)]


def select(message) -> dict:
    return next(part for row in message["components"] for part in row["components"] if part["type"] == 3)


def shown(message) -> str:
    return message["embeds"][0]["description"]


def strikes(message) -> list[float]:
    found = re.findall(r"^\*\*([\d,.]+)(?: [CP])?\*\*", shown(message), re.MULTILINE)
    return list(dict.fromkeys(float(strike.replace(",", "")) for strike in found))


async def file_of(sandbox, message) -> bytes:
    answer = await sandbox.http.get(message["attachments"][0]["url"])
    return answer.content


async def test_a_chain_lists_both_sides_around_the_money(mara):
    answer = await mara.command("chain", symbol="SPY").message()
    assert re.match(
        r"\*\*SPY\*\* \d{3}\.\d\d · straddle \d+\.\d\d by \w{3} \d+ \w{3} · IV at the money \d+\.\d%$",
        answer["content"],
    )
    assert re.match(r"\w{3} \d+ \w{3} \d{4} · (today|tomorrow|in \d days)", answer["embeds"][0]["title"])
    lines = shown(answer).split("\n")
    assert re.match(r"-# Alpaca indicative · delayed 15 min · <t:\d+:f> \(<t:\d+:R>\)$", lines[0])
    assert sum("· the money" in line for line in lines) == 1
    calls = [line for line in lines if re.match(r"C [\d.]+ / [\d.]+ · mid [\d.]+$", line)]
    assert len(calls) == 6
    interest = r"-# IV \d+\.\d% · Δ [−\d.]+ · OI [\d,]+ · vol [\d,]+$"
    assert sum(bool(re.match(interest, line)) for line in lines) == 12
    price = float(re.search(r"[\d.]{6}", answer["content"])[0])
    assert strikes(answer) == sorted(strikes(answer), reverse=True)
    assert sum(strike > price for strike in strikes(answer)) == 3
    assert labels(answer) == [*SIDES, *PAGING]
    assert current(answer) == ["Both"]
    assert all(len(button["custom_id"]) <= 100 for button in buttons(answer))
    assert answer["embeds"][0]["footer"]["text"].startswith("OI of ")


async def test_no_line_of_a_chain_is_wider_than_a_phone(mara):
    for symbol in ("SPX", "SPY", "KO"):
        for side in ("calls", "both"):
            answer = await mara.command("chain", symbol=symbol, side=side).message()
            lines = shown(answer).split("\n")[1:]
            assert all(len(line.replace("**", "").replace("-# ", "")) <= 48 for line in lines), lines


async def test_sides_and_greeks_are_a_press_away_in_the_same_message(mara):
    answer = await mara.command("chain", symbol="SPX").message()
    puts = await mara.press(answer, "Puts").message()
    assert puts["id"] == answer["id"]
    assert current(puts) == ["Puts"]
    assert len(re.findall(r" P\*\* ", shown(puts))) == 10
    greeks = await mara.press(puts, "Greeks").message()
    assert current(greeks) == ["Puts", "Greeks"]
    assert re.search(r"Δ −0\.\d\d · Γ 0\.\d{4} · Θ −?[\d.]+ · vega [\d.]+", shown(greeks))
    assert "Θ, vega computed from IV" in greeks["embeds"][0]["footer"]["text"]
    back = await mara.press(greeks, "Greeks").message()
    assert current(back) == ["Puts"]
    assert "OI" in shown(back)


async def test_the_strikes_are_paged_without_gaps_and_end(mara):
    answer = await mara.command("chain", symbol="SPY", side="calls").message()
    above = await mara.press(answer, "▲ Higher").message()
    assert min(strikes(above)) > max(strikes(answer))
    again = await mara.press(above, "▼ Lower").message()
    assert strikes(again) == strikes(answer)
    seen, page = set(strikes(again)), again
    for _ in range(40):
        down = next(button for button in buttons(page) if button["label"] == "▼ Lower")
        if down.get("disabled"):
            break
        page = await mara.press(page, "▼ Lower").message()
        seen |= set(strikes(page))
    assert down["disabled"]
    assert min(seen) == min(strikes(page))
    home = await mara.press(page, "Money").message()
    assert strikes(home) == strikes(answer)


async def test_an_expiration_is_chosen_from_a_list_that_tells_its_kind(mara):
    answer = await mara.command("chain", symbol="SPX").message()
    options = select(answer)["options"]
    assert len(options) <= 25
    assert any("monthly" in option["description"] for option in options)
    assert any("weekly" in option["description"] for option in options)
    assert all(re.search(r"^in \d+ days|^today|^tomorrow|^to ", option["description"]) for option in options)
    other = options[3]
    chosen = await mara.choose(answer, "Expiration …", other["value"]).message()
    assert chosen["embeds"][0]["title"].startswith(other["label"])
    later = next(option for option in options if "Later" in option["label"])
    turned = await mara.choose(chosen, "Expiration …", later["value"]).message()
    assert "Earlier" in select(turned)["options"][0]["label"]


@pytest.mark.parametrize("typed", ["0dte", "weekly", "monthly", "next friday"])
async def test_an_expiration_may_be_typed_in_words(mara, typed):
    answer = await mara.command("chain", symbol="SPY", expiration=typed).message()
    assert answer["embeds"], answer["content"]
    wanted = {"0dte": "20 Nov", "weekly": "Fri", "monthly": "· monthly", "next friday": "Fri 27 Nov"}
    assert wanted[typed] in answer["embeds"][0]["title"]


async def test_what_is_no_expiration_is_refused_with_what_there_is(mara):
    odd = await mara.command("chain", symbol="SPY", expiration="soonish").message()
    assert odd["content"].startswith("⚠️ I cannot read **soonish** as an expiration. Type it like `27 Nov`")
    never = await mara.command("chain", symbol="SPY", expiration="29 nov 2026").message()
    assert "No SPY option expires on Sun 29 Nov 2026. Nearest: " in never["content"]
    assert never["flags"] & 64


async def test_expirations_complete_from_the_chain_in_memory(mara):
    await mara.command("chain", symbol="QQQ").message()
    choices = await mara.type("chain", symbol="QQQ", expiration="27 nov").choices()
    assert [choice["value"] for choice in choices] == ["2026-11-27"]
    assert re.match(r"Fri 27 Nov 2026 · in \d days · weekly$", choices[0]["name"])
    assert (await mara.type("chain", symbol="QQQ", expiration="next friday").choices())[0]["value"] == "2026-11-27"
    assert 1 < len(await mara.type("iv", symbol="QQQ", expiration="").choices()) <= 25
    assert await mara.type("chain", symbol="XLF", expiration="").choices() == []
    assert await mara.type("chain", symbol="!!", expiration="n").choices() == []


async def test_a_chain_as_csv_reads_back(mara, sandbox):
    answer = await mara.command("chain", symbol="SPY", side="calls").message()
    given = await mara.press(answer, "CSV").message()
    assert given["flags"] & 64
    assert re.match(r"\*\*SPY\*\* options of \w{3} \d+ \w{3} 2026, \d+ contracts, <t:\d+:f> · Alpaca", given["content"])
    chain = chain_csv.read(await file_of(sandbox, given))
    assert chain.symbol == "SPY"
    assert len(set(chain.expiry.tolist())) == 1
    assert set(strikes(answer)) <= set(chain.strike.tolist())


async def test_the_whole_chain_is_exported_privately(mara, sandbox, product):
    answer = await mara.command("export chain", symbol="SPX").message()
    assert answer["flags"] & 64
    written = chain_csv.read(await file_of(sandbox, answer))
    kept = product.services.market.kept_chain("SPX")
    assert written.as_of == kept.as_of
    for name in ("strike", "expiry", "bid", "ask", "iv", "open_interest"):
        assert getattr(written, name).tolist() == pytest.approx(getattr(kept, name).tolist(), rel=0, abs=0, nan_ok=True)
    one = await mara.command("export chain", symbol="SPX", expiration="monthly").message()
    assert len(set(chain_csv.read(await file_of(sandbox, one)).expiry.tolist())) == 1


async def test_a_file_too_large_is_compressed_or_refused():
    file = Attachment("SPX-chain.csv", b"605.0,1.25\n" * 10_000, "words")
    assert await fitting(file, 200_000) == file
    packed = await fitting(file, 50_000)
    assert packed.filename == "SPX-chain.csv.gz"
    assert gzip.decompress(packed.data) == file.data
    with pytest.raises(UserError, match="Choose one expiration"):
        await fitting(file, 100)


async def test_volatility_is_a_picture_with_the_move_in_the_first_line(mara, sandbox):
    answer = await mara.command("iv", symbol="SPY").message()
    assert re.match(
        r"\*\*SPY\*\* 30-day IV \*\*\d+\.\d%\*\*, expected ±\d+\.\d\d \(\d\.\d%\) by \w{3} \d+ \w{3}$",
        answer["content"],
    )
    assert labels(answer) == [*VIEWS, *TOOLS]
    assert current(answer) == ["Skew"]
    picture = answer["attachments"][0]
    assert (picture["content_type"], picture["width"], picture["height"]) == ("image/png", 1200, 800)
    assert "Volatility skew of SPY" in picture["description"]
    assert re.search(r"25-delta put \d+\.\d% at [\d.]+, call", picture["description"])
    lines = shown(answer).split("\n")
    assert all(re.match(r"(\*\*)?\w{3} \d+ \w{3}.* ±[\d.]+ \(\d+\.\d%\) · \d+\.\d%$", line) for line in lines[:10])
    assert (await file_of(sandbox, answer)).startswith(b"\x89PNG")


async def test_each_view_expiration_and_colour_edits_the_same_message(mara, sandbox):
    answer = await mara.command("iv", symbol="SPX", expiration="monthly").message()
    assert "monthly" in next(o for o in select(answer)["options"] if o.get("default"))["description"]
    for view, words in (("Term structure", "term structure of SPX"), ("Expected move", "Expected move of SPX")):
        turned = await mara.press(answer, view).message()
        assert turned["id"] == answer["id"]
        assert current(turned) == [view]
        assert words in turned["attachments"][0]["description"]
    other = select(turned)["options"][2]
    chosen = await mara.choose(turned, "Expiration …", other["value"]).message()
    assert current(chosen) == ["Expected move"]
    light = await mara.press(chosen, "Light").message()
    assert await file_of(sandbox, light) != await file_of(sandbox, chosen)
    assert (await mara.press(light, "Refresh").message())["id"] == answer["id"]


async def test_volatility_as_csv_has_every_expiration(mara, sandbox):
    answer = await mara.command("iv", symbol="AAPL").message()
    given = await mara.press(answer, "CSV").message()
    rows = list(csv.DictReader(io.StringIO((await file_of(sandbox, given)).decode())))
    assert {row["expiry"] for row in rows} >= {option["value"] for option in select(answer)["options"][:5]}
    assert all(0.05 < float(row["iv"]) < 2 for row in rows if row["iv"])


async def test_an_alert_at_the_edges_of_the_move_is_one_press_away(mara, product):
    answer = await mara.command("iv", symbol="QQQ").message()
    offered = await mara.press(answer, "Alert me").message()
    assert [label.split(" by ")[0] for label in labels(offered)] == ["High", "Low", "Other price …"]
    made = await mara.press(offered, labels(offered)[0]).message()
    assert "Alert set: **QQQ" in made["content"]
    for alert in (await product.services.alerts.list(mara.id)).alerts:
        await product.services.alerts.delete(mara.id, alert.token)


async def test_what_has_no_options_or_is_away_is_told_in_words(mara, sandbox):
    for command in ("chain", "iv", "export chain"):
        answer = await mara.command(command, symbol="VIX").message()
        assert "**VIX** has no option chain at our data sources" in answer["content"]
        assert "I do not know **APPL**" in (await mara.command(command, symbol="APPL").message())["content"]
    await sandbox.market_fault(kind="status", status=503, path_contains="options")
    away = await mara.command("iv", symbol="IWM").message()
    assert "Market data from Alpaca is not available right now" in away["content"]


async def test_numbers_follow_the_reader(sandbox, mara):
    jonas = sandbox.discord.person("Jonas")
    answer = await jonas.command("chain", symbol="SPX", side="calls").message()
    assert re.search(r"\d\.\d{3} C\*\* \d+,\d\d / ", shown(answer))
    volatility = await jonas.command("iv", symbol="SPX").message()
    assert re.search(r"\d+,\d\s%", volatility["content"])


async def test_buttons_outlive_a_restart(tmp_path):
    async with sandbox_running() as sandbox:
        person = sandbox.discord.person("Mara")
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: sandbox.discord.gateway.reachable and len(product.services.market.directory))
            chain = await person.command("chain", symbol="SPY").message()
            volatility = await person.command("iv", symbol="SPY").message()
        async with product_running(sandbox.environment(), tmp_path, take_port()):
            await until(lambda: sandbox.discord.gateway.reachable)
            lower = await person.press(chain, "▼ Lower").message()
            assert lower["id"] == chain["id"]
            assert max(strikes(lower)) < min(strikes(chain))
            expiration = select(chain)["options"][2]
            turned = await person.choose(lower, "Expiration …", expiration["value"]).message()
            assert turned["embeds"][0]["title"].startswith(expiration["label"])
            drawn = await person.press(volatility, "Term structure").message()
            assert "term structure" in drawn["attachments"][0]["description"]
