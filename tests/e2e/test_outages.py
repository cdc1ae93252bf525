"""Discord and PostgreSQL go away, come back, and are not there at the start."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from running import product_running, sandbox_running, take_port, until

from db.models import Notice, Place, Urgency
from services import notices


async def quote_again(sandbox, person, within_s: float = 15.0):
    """The first answer after the bot is back."""
    await until(lambda: sandbox.discord.gateway.reachable, within_s)
    return await person.command("quote", symbols="SPY").message()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "gateway_drop"},
        {"kind": "gateway_reset"},
        {"kind": "reconnect"},
        {"kind": "invalid_session", "resumable": False},
        {"kind": "invalid_session", "resumable": True},
    ],
)
async def test_the_bot_returns_after_every_fault_of_the_gateway(mara, sandbox, fault):
    identified = sandbox.discord.gateway.identified
    sandbox.discord.fault(**fault)
    await asyncio.sleep(0.3)
    assert (await quote_again(sandbox, mara))["content"].startswith("**SPY**")
    resumed = sandbox.discord.gateway.identified == identified
    assert resumed == (fault.get("resumable", True)), "an IDENTIFY too many: Discord allows a thousand a day"


async def test_buttons_survive_a_restart_of_the_bot(tmp_path):
    async with sandbox_running() as sandbox:
        mara = sandbox.discord.person("Mara")
        async with product_running(sandbox.environment(), tmp_path, take_port()):
            await quote_again(sandbox, mara)
            quoted = await mara.command("quote", symbols="SPY").message()
            drawn = await mara.command("gamma", symbol="SPX").message()
        await until(lambda: not sandbox.discord.gateway.online)
        async with product_running(sandbox.environment(), tmp_path, take_port()):
            await until(lambda: sandbox.discord.gateway.reachable)
            assert (await mara.press(quoted, "Refresh").message())["id"] == quoted["id"]
            assert "monthly OPEX" in (await mara.press(drawn, "OPEX").message())["embeds"][0]["description"]


async def test_discord_may_be_away_at_the_start(tmp_path):
    async with sandbox_running() as sandbox:
        sandbox.discord.fault("gateway_away", seconds=2)
        async with product_running(sandbox.environment(), tmp_path, take_port()) as product:
            await until(lambda: "gateway" in product.services.health.parts)
            assert not product.services.health.parts["gateway"].ok
            answer = await quote_again(sandbox, sandbox.discord.person("Mara"), 30)
            assert answer["content"].startswith("**SPY**")


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


async def test_a_killed_database_is_told_and_comes_back(mara, product, home):
    theme = mara.command("gamma", symbol="SPX", theme="light")
    await theme.message()
    os.kill(postmaster(home), signal.SIGKILL)
    answer = await mara.command("gamma", symbol="SPX", theme="dark").message()
    assert answer["attachments"], "the picture needs no database"
    async with asyncio.timeout(15):
        while not all(part.ok for part in (await product.services.parts()).values()):
            await asyncio.sleep(0.1)
    again = await mara.command("gamma", symbol="SPX", theme="dark").message()
    assert "not remembered" not in again["content"]


async def test_without_a_database_the_bot_answers_and_says_what_is_missing(tmp_path):
    nowhere = f"postgresql://pulse:pulse@127.0.0.1:{take_port()}/pulse"
    async with sandbox_running() as sandbox:
        environment = {**sandbox.environment(), "DATABASE_URL": nowhere}
        async with product_running(environment, tmp_path, port := take_port()) as product:
            mara = sandbox.discord.person("Mara")
            assert (await quote_again(sandbox, mara))["content"].startswith("**SPY**")
            drawn = await mara.command("gamma", symbol="SPY", theme="light").message()
            assert drawn["attachments"]
            assert "Your theme is not remembered. Our database cannot be reached" in drawn["content"]
            status = await mara.command("status").message()
            assert {"name": "🔴 Database", "value": "cannot be reached, trying again", "inline": False} in status[
                "embeds"
            ][0]["fields"]
            assert (await mara.command("quote", symbols="APPL").message())["content"].count("**AAPL**") == 1
            ready = await sandbox.http.get(f"{product.web_url}/readyz")
            assert ready.status_code == 503
            assert ready.json()["parts"]["database"] == {"ok": False, "detail": "cannot be reached, trying again"}
            assert (await sandbox.http.get(f"http://127.0.0.1:{port}/livez")).json()["alive"]


async def test_a_token_that_is_refused_while_we_run_is_told_with_the_cure(tmp_path):
    async with sandbox_running() as sandbox, product_running(sandbox.environment(), tmp_path, take_port()) as product:
        parts, mara = product.services.health.parts, sandbox.discord.person("Mara")
        await until(lambda: (part := parts.get("delivery")) and part.ok)
        await until(lambda: sandbox.discord.gateway.reachable)
        sandbox.discord.token = "reset in the developer portal"
        told = {"channel_id": "1", "reason": "deleted"}
        notice = Notice(
            urgency=Urgency.P0, kind="channel.closed", key="1", place=Place(dm=True), payload=told, user_id=mara.id
        )
        async with product.services.database.transaction() as conn:
            await notices.write(conn, notice)
        await until(lambda: not parts["delivery"].ok)
        (shown,) = [
            field
            for field in (await mara.command("status").message())["embeds"][0]["fields"]
            if field["name"] == "🔴 Delivery"
        ]
        assert shown["value"].startswith("stopped: Discord refuses our token. Reset it in the developer portal")
        ready = await sandbox.http.get(f"{product.web_url}/readyz")
        assert ready.status_code == 503
        assert "DISCORD_TOKEN" in ready.json()["parts"]["delivery"]["detail"]


async def test_a_gateway_that_keeps_closing_is_not_stormed(tmp_path):
    async with sandbox_running() as sandbox, product_running(sandbox.environment(), tmp_path, take_port()) as product:
        await until(lambda: (part := product.services.health.parts.get("gateway")) and part.ok)
        connections = 0
        deadline = asyncio.get_running_loop().time() + 4
        while asyncio.get_running_loop().time() < deadline:
            if sandbox.discord.gateway.online and product.services.health.parts["gateway"].ok:
                connections += 1
                sandbox.discord.fault("gateway_reset")
            await asyncio.sleep(0.02)
        assert 3 <= connections <= 10
