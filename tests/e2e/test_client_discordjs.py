"""discord.js as it is, in a process of its own, pointed at the stand-in by its public options alone."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from client_session import use_everything
from discord_spec import Description, Traffic
from npm_packages import CLIENTS, installed
from standin import standin, until

SCRIPT = "discordjs.mjs"


@pytest.fixture(scope="session")
def discordjs(node, pytestconfig):
    """The client beside its packages."""
    script = installed(CLIENTS, "discord.js", pytestconfig) / SCRIPT
    with suppress(FileExistsError):
        script.symlink_to(CLIENTS / SCRIPT)
    return script


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
    # The packages lie beside the link to the script, not beside the script.
    command = (node, "--preserve-symlinks-main", script, server.base_url)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=out)
    client = Running(process)
    try:
        await client.says("ready")
        yield client
        await client.leave()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_discord_js_uses_commands_components_and_modals(node, discordjs):
    async with standin(record=True) as server, running(server, node, discordjs):
        await use_everything(server.person("Mara"))
        await use_everything(server.person("Jonas", "dm"))
        assert server.unknown_requests == []
        assert {exchange.status // 100 for exchange in server.requests} == {2}


async def test_discord_js_and_the_stand_in_speak_as_described(node, discordjs, shared_specs):
    async with standin(record=True) as server, running(server, node, discordjs):
        await use_everything(server.person("Mara"))
        traffic = Traffic(Description(shared_specs / "discord" / "openapi.json"), ours=False)
        problems = traffic.problems(server.requests)
        assert not problems, "\n".join(problems)


async def test_discord_js_resumes_after_a_drop_and_hears_what_it_missed(node, discordjs):
    async with standin() as server, running(server, node, discordjs) as client:
        server.fault("gateway_drop")
        missed = server.person("Mara").command("quote", symbol="SPY")
        assert (await missed.message())["content"] == "SPY 601.20"
        await client.says("resumed")
        assert server.gateway.identified == 1
