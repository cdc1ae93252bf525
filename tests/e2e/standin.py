"""A stand-in Discord on an ephemeral port, an unmodified discord.py client pointed at it, and a bare gateway client."""

import asyncio
import time
from contextlib import asynccontextmanager

import aiohttp
import discord
import msgspec
import yarl
from aiohttp import WSMsgType, web
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from sandbox.discord.gateway import GUILDS
from sandbox.discord.server import Discord, routes


@asynccontextmanager
async def standin(**settings):
    """Serve a Discord; yield it with `base_url` set."""
    server = Discord(**settings)
    app = web.Application()
    app.add_routes(routes(server))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await server.close()
        await runner.cleanup()


class Client(discord.Client):
    """A bare client with a command tree; `connects` counts IDENTIFYs, `resumes` is set by a RESUME."""

    def __init__(self, **options):
        super().__init__(intents=discord.Intents(guilds=True, messages=True), **options)
        self.tree = app_commands.CommandTree(self)
        self.resumes = asyncio.Event()
        self.known = asyncio.Event()
        self.connects = 0

    async def before_identify_hook(self, shard_id, *, initial=False):
        """Do without the five seconds that discord.py waits before it identifies again."""

    async def on_connect(self):
        self.connects += 1

    async def on_socket_event_type(self, event):
        if event == "GUILD_CREATE":
            self.known.set()

    async def on_resumed(self):
        self.resumes.set()


@asynccontextmanager
async def pointed_at(server):
    """Point discord.py at the stand-in, and back afterwards."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE = f"{server.base_url}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.base_url.replace("http", "ws") + "/gateway/")
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


@asynccontextmanager
async def connected(server, client, *, token="sandbox-token"):
    """Run the client until the block ends; its commands are registered and its guilds known."""
    async with pointed_at(server), client:
        await client.login(token)
        if client.tree.get_commands():
            await client.tree.sync()
        runner = asyncio.create_task(client.connect())
        try:
            async with asyncio.timeout(5):
                await client.known.wait()
            yield client
        finally:
            await client.close()
            await asyncio.wait([runner])


async def until(condition, seconds=5.0):
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


PROPERTIES = {"os": "linux", "browser": "test", "device": "test"}


class Socket:
    """A client that speaks JSON and remembers the last sequence."""

    def __init__(self, socket, decompress=None):
        self.socket = socket
        self.decompress = decompress
        self.sequence = None

    async def send(self, op, d=None):
        await self.socket.send_json({"op": op, "d": d})

    async def receive(self):
        message = await self.socket.receive(timeout=3)
        if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING}:
            return self.socket.close_code
        payload = msgspec.json.decode(self.decompress(message.data) if self.decompress else message.data)
        self.sequence = payload["s"] or self.sequence
        return payload

    async def event(self, name):
        while (payload := await self.receive())["t"] != name:
            pass
        return payload["d"]

    async def identify(self, **changes):
        await self.send(2, {"token": "t", "intents": GUILDS, "properties": PROPERTIES} | changes)

    async def ready(self, **changes):
        assert (await self.receive())["op"] == 10
        await self.identify(**changes)
        return await self.event("READY")


@asynccontextmanager
async def socket_to(server, query="v=10&encoding=json", decompress=None):
    url = f"{server.base_url.replace('http', 'ws')}/gateway/?{query}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        yield Socket(socket, decompress)
