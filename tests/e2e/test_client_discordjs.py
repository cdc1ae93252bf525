"""discord.js as it is, in a process of its own, pointed at the stand-in by its public options alone."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from discord_spec import Description, Traffic
from standin import standin, until

CLIENTS = Path(__file__).parent / "clients"
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.fixture(scope="session")
def discordjs(node, pytestconfig):
    """The client beside its packages, which are installed once and kept in pytest's cache."""
    if (CLIENTS / "node_modules").is_dir():
        return CLIENTS / "discordjs.mjs"
    lock = (CLIENTS / "package-lock.json").read_bytes()
    home = pytestconfig.cache.mkdir(f"discordjs-{hashlib.sha256(lock).hexdigest()[:12]}")
    with (home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for name in ("package.json", "package-lock.json", "discordjs.mjs"):
            shutil.copy(CLIENTS / name, home / name)
        if not (home / "installed").exists():
            done = subprocess.run(INSTALL, cwd=home, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode:
                tell = pytest.fail if os.environ.get("PULSE_REQUIRE_CLIENTS") else pytest.skip
                tell(f"npm ci did not bring discord.js: {done.stderr.strip()[-300:]}")
            (home / "installed").touch()
    return home / "discordjs.mjs"


class Running:
    """A process of the client, and what it has said so far."""

    def __init__(self, process):
        self.process = process
        self.said = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self.process.stdout:
            self.said.append(line.decode().strip())

    async def says(self, word):
        await until(lambda: word in self.said or self._reader.done(), 15)
        assert word in self.said, self.said

    async def leave(self):
        self.process.stdin.close()
        async with asyncio.timeout(10):
            await self._reader
            assert await self.process.wait() == 0, self.said


@asynccontextmanager
async def running(server, node, script):
    pipe, out = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(node, script, server.base_url, stdin=pipe, stdout=pipe, stderr=out)
    client = Running(process)
    try:
        await client.says("ready")
        yield client
        await client.leave()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def use_everything(person):
    assert [choice["value"] for choice in await person.type("quote", symbol="sp").choices()] == ["SPY", "SPX"]
    answer = await person.command("quote", symbol="SPY").message()
    assert answer["content"] == "SPY 601.20"
    assert answer["embeds"][0]["fields"][0]["value"] == "601.19"
    assert (await person.press(answer, "Refresh").message())["content"] == "refreshed"
    assert (await person.choose(answer, "expiry", "week").message())["content"] == "expiry week"
    opened = person.press(answer, "Alert me")
    assert (await opened.modal())["title"] == "Alert"
    stored = await person.submit(opened, level="600").message()
    assert (stored["content"], stored["flags"] & 64) == ("Alert at 600", 64)
    gamma = person.command("gamma", symbol="SPX")
    picture = await gamma.message()
    assert picture["content"] == "Gamma of SPX"
    assert picture["attachments"][0]["description"] == "Gamma by strike"
    assert (await gamma.followup())["flags"] & 64


async def test_discord_js_uses_commands_components_and_modals(node, discordjs):
    async with standin(record=True) as server, running(server, node, discordjs):
        await use_everything(server.person("Mara"))
        await use_everything(server.person("Jonas", "dm"))
        assert server.unknown_requests == []
        assert {exchange.status // 100 for exchange in server.requests} == {2}


async def test_discord_js_and_the_stand_in_speak_as_described(node, discordjs, shared_specs):
    async with standin(record=True) as server, running(server, node, discordjs):
        await use_everything(server.person("Mara"))
        traffic = Traffic(Description(shared_specs / "discord" / "openapi.json"), house=False)
        problems = traffic.problems(server.requests)
        assert not problems, "\n".join(problems)


async def test_discord_js_resumes_after_a_drop_and_hears_what_it_missed(node, discordjs):
    async with standin() as server, running(server, node, discordjs) as client:
        server.fault("gateway_drop")
        missed = server.person("Mara").command("quote", symbol="SPY")
        assert (await missed.message())["content"] == "SPY 601.20"
        await client.says("resumed")
        assert server.gateway.identified == 1
