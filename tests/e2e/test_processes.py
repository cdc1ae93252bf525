"""Whole processes as people start and stop them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from running import sandbox_running, take_port, until

import sandbox.demo
from db.embedded import embedded
from services.errors import PulseError

READY_S = 30


def product_environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DISCORD", "ALPACA", "FEEDS", "REPLAY", "DATABASE"))
    }
    return {**kept, "PULSE_HOME": str(home), **more}


@contextmanager
def demo(home: Path, port: int, cwd: Path | None = None, **more: str):
    command = [sys.executable, "-m", "pulse", "demo", "--port", str(port)]
    environment = product_environment(home) | more
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def of_this_demo(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if str(home) in " ".join(process.info["cmdline"] or ()) or process.environ().get("PULSE_HOME") == str(home):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def wait_for(condition, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def ask(port: int, command: str, **options: str) -> dict:
    """Type a command as the page does, and return the message that answers."""
    here = f"http://127.0.0.1:{port}"
    state = httpx.get(f"{here}/sandbox/state").json()
    known = next(c for c in state["commands"] if c["name"] == command)
    channel, user = state["guilds"][0]["channels"][0]["id"], state["users"][0]["id"]
    given = [{"name": name, "type": 3, "value": value} for name, value in options.items()]
    body = {
        "user": user,
        "channel_id": channel,
        "type": 2,
        "nonce": "1",
        "data": {"id": known["id"], "name": command, "type": 1, "options": given},
    }
    httpx.post(f"{here}/sandbox/interactions", json=body).raise_for_status()
    answers: list[dict] = []

    def answered() -> bool:
        messages = httpx.get(f"{here}/sandbox/channels/{channel}/messages", params={"user": user}).json()
        answers[:] = [m for m in messages if m["author"].get("bot") and not m["flags"] & 128]
        return bool(answers)

    wait_for(answered, 10)
    return answers[-1]


def test_the_demo_answers_stops_cleanly_and_starts_again_after_a_kill(tmp_path):
    home, port = tmp_path / "home", take_port()
    with demo(home, port) as process:
        assert process.stdout.readline() == f"http://127.0.0.1:{port}\n"
        assert "/quote symbols:SPY" in process.stdout.readline()
        assert ask(port, "quote", symbols="SPY")["content"].startswith("**SPY**")
        assert len(of_this_demo(home)) >= 3
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    wait_for(lambda: not of_this_demo(home), 5)
    keys = (home / "secret-keys").read_text()

    with demo(home, port) as process:
        assert process.stdout.readline()
        process.kill()
        process.wait()
        wait_for(lambda: not of_this_demo(home), 15)

    with demo(home, port) as process:
        assert process.stdout.readline().startswith("http"), "a killed demo broke the next start"
        assert ask(port, "gamma", symbol="SPX")["attachments"]
        assert (home / "secret-keys").read_text() == keys, "what is encrypted would be lost"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    wait_for(lambda: not of_this_demo(home), 5)


def test_a_taken_port_is_told_with_the_cure(tmp_path):
    import socket  # noqa: PLC0415

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(tmp_path / "home", port) as process:
            assert process.wait(15) == 2
            assert f"port {port} is taken; choose another one" in process.stderr.read()


@pytest.mark.parametrize(
    ("port", "environment", "complaint"),
    [
        (99999, {}, "99999 is not a port"),
        (0, {"WEB_PORT": "abc"}, "pulse: WEB_PORT abc is not a port"),
        (
            0,
            {"PULSE_HOME": f"{__file__}/home"},
            f"pulse: PULSE_HOME {__file__}/home cannot be used (Not a directory): set",
        ),
        (0, {"REPLAY_DIR": "/no/such/folder"}, "pulse: REPLAY_DIR /no/such/folder is not a folder"),
        (0, {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/x"}, "pulse: PostgreSQL cannot be reached"),
    ],
    ids=["port", "web port", "home", "setting", "database"],
)
def test_what_is_in_the_demos_way_is_told_in_a_sentence(tmp_path, port, environment, complaint):
    with demo(tmp_path / "home", port or take_port(), **environment) as process:
        assert process.wait(READY_S) == 2
        told = process.stderr.read()
    assert complaint in told
    assert "Traceback" not in told
    assert "Fatal" not in told


async def test_the_demo_tells_what_was_not_ready_in_time(tmp_path, monkeypatch):
    async def away(_request: web.Request) -> web.Response:
        parts = {"feed": {"ok": True, "detail": "fine"}, "database": {"ok": False, "detail": "cannot be reached"}}
        return web.json_response({"ready": False, "parts": parts}, status=503)

    monkeypatch.setattr(sandbox.demo, "READY_WITHIN_S", 0.5)
    never = asyncio.get_running_loop().create_future()
    application = web.Application()
    application.add_routes([web.get("/readyz", away)])
    async with TestServer(application) as server:
        with pytest.raises(PulseError, match=r"not ready within 0.5 s: database cannot be reached\. Log: .*demo\.log"):
            await sandbox.demo._ready(server.port, never, never, tmp_path / "demo.log")


def test_the_demo_goes_by_the_environment_and_not_by_an_env_file(tmp_path):
    (tmp_path / ".env").write_text(
        "DATABASE_URL=postgresql://a:b@127.0.0.1:1/real\nDISCORD_TOKEN=real\nDISCORD_API_URL=http://127.0.0.1:1\n"
        "FEEDS=replay\nREPLAY_DIR=/no/such/folder\n"
    )
    port = take_port()
    with demo(tmp_path, port, cwd=tmp_path) as process:
        assert process.stdout.readline() == f"http://127.0.0.1:{port}\n"
        assert ask(port, "quote", symbols="SPY")["content"].startswith("**SPY**")
        assert (tmp_path / f"demo-{port}.log").exists()
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0


async def test_the_demo_prepares_the_database_that_it_is_given(tmp_path):
    port = take_port()
    async with embedded(tmp_path / "server") as server:
        with demo(tmp_path / "home", port, DATABASE_URL=server.url) as process:
            assert (await asyncio.to_thread(process.stdout.readline)).startswith("http")
            assert (await asyncio.to_thread(ask, port, "quote", symbols="SPY"))["content"].startswith("**SPY**")
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 15) == 0
        assert not (tmp_path / "home" / "postgres").exists()


async def test_the_demo_shows_itself_on_another_discord(tmp_path):
    async with sandbox_running() as elsewhere:
        given = {name: elsewhere.environment()[name] for name in ("DISCORD_TOKEN", "DISCORD_API_URL")}
        with demo(tmp_path / "home", take_port(), **given) as process:
            await until(lambda: elsewhere.discord.gateway.reachable, READY_S)
            answer = await elsewhere.discord.person("Mara").command("gamma", symbol="SPX").message()
            assert answer["attachments"]
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, 15)


@pytest.mark.parametrize("part", ["bot", "web", "worker", "run"])
async def test_each_part_runs_by_itself_and_ends_cleanly_on_sigterm(tmp_path, part):
    async with sandbox_running() as sandbox:
        port = take_port()
        environment = product_environment(
            tmp_path / "home", **sandbox.environment(), WEB_PORT=str(port), LOG_FORMAT="json"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pulse", part, env=environment, stderr=asyncio.subprocess.PIPE
        )
        try:
            if part in {"bot", "run"}:
                await until(lambda: sandbox.discord.gateway.reachable, READY_S)
                await until(lambda: sandbox.discord.commands)
                assert (await sandbox.discord.person("Mara").command("quote", symbols="SPY").message())["content"]
            elif part == "web":
                await _answers(sandbox.http, f"http://127.0.0.1:{port}/readyz")
            else:
                assert process.stderr
                while b"symbols stored" not in await asyncio.wait_for(process.stderr.readline(), READY_S):
                    pass
            process.send_signal(signal.SIGTERM)
            _, errors = await asyncio.wait_for(process.communicate(), 15)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0
        lines = [json.loads(line) for line in errors.splitlines()]
        assert not [line for line in lines if line["level"] in {"error", "critical"}]


async def _answers(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "no market data is configured"),
        ({"FEEDS": "replay"}, "set REPLAY_DIR"),
        ({"REPLAY_DIR": "."}, "DISCORD_TOKEN is not set"),
    ],
)
def test_what_is_not_set_is_told_in_a_sentence(tmp_path, environment, complaint):
    command = [sys.executable, "-m", "pulse", "bot"]
    ended = subprocess.run(
        command,
        env=product_environment(tmp_path, **environment),
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_refused_token_is_told_with_the_cure(tmp_path):
    async with sandbox_running() as sandbox:
        environment = product_environment(tmp_path, **{**sandbox.environment(), "DISCORD_TOKEN": "wrong"})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pulse", "bot", env=environment, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(process.communicate(), READY_S)
    assert process.returncode == 2
    assert b"Discord refused DISCORD_TOKEN" in errors
    assert b"Traceback" not in errors
