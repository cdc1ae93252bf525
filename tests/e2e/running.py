"""The real bot, web server and worker in this process, against the sandbox over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from aiohttp import web
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.app import serve as serve_bot
from sandbox.app import build
from sandbox.brokers import Brokers
from sandbox.discord.server import Discord
from sandbox.grants import Client
from sandbox.market import DAYS_BACK, Market
from services.clock import Sessions, load_calendar_apart
from services.settings import Settings
from services.wiring import Services, open_services
from services.worker import serve as serve_worker
from web.app import serve as serve_web

TOKEN = "test.token"
_computed: list[Sessions] = []
SECRET_KEYS = "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Sandbox:
    """The outside world on an address of its own."""

    discord: Discord
    market: Market
    brokers: Brokers
    url: str
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    def environment(self) -> dict[str, str]:
        """The settings that point the product at this world."""
        return {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": f"{self.url}/api/v10",
            "ALPACA_DATA_KEY": "sandbox-key",
            "ALPACA_DATA_SECRET": "sandbox-secret",
            "ALPACA_DATA_URL": f"{self.url}/alpaca/data",
            "ALPACA_PAPER_API_URL": f"{self.url}/alpaca/paper",
            "ALPACA_STREAM_URL": f"{self.url.replace('http', 'ws', 1)}/alpaca/data",
            "TRADIER_DATA_TOKEN": "sandbox-token",
            "TRADIER_API_URL": f"{self.url}/tradier/v1",
            "CBOE_URL": f"{self.url}/cboe",
            "FEEDS": "alpaca",
            "DISCORD_APPLICATION_ID": self.discord.world.application_id,
            "DISCORD_CLIENT_SECRET": "discord-secret",
            "ALPACA_CLIENT_ID": "alpaca-client",
            "ALPACA_CLIENT_SECRET": "alpaca-secret",
            "ALPACA_AUTHORIZE_URL": f"{self.url}/alpaca/oauth/authorize",
            "ALPACA_TOKEN_URL": f"{self.url}/alpaca/live/oauth/token",
            "ALPACA_API_URL": f"{self.url}/alpaca/live",
            "TRADIER_CLIENT_ID": "tradier-client",
            "TRADIER_CLIENT_SECRET": "tradier-secret",
            "SECRET_KEYS": SECRET_KEYS,
            "TRUSTED_PROXIES": "127.0.0.1",  # so that visitors have addresses, and limits, of their own
        }

    def register(self, product: str) -> None:
        """Have the brokers know the product at this address, and no other, as the one to send people back to."""
        for name, grants in (("alpaca", self.brokers.alpaca), ("tradier", self.brokers.tradier)):
            back = f"{product}/broker-oauth/callback/{name}"
            grants.client = Client(f"{name}-client", f"{name}-secret", (back,))

    async def market_fault(self, **fault: object) -> None:
        (await self.http.post(f"{self.url}/sandbox/market/faults", json=fault)).raise_for_status()

    async def source_fault(self, **fault: object) -> None:
        """Have it with requests and, whatever it is, no stream that could stand in for them."""
        await self.market_fault(kind="drop", count=10_000)
        await self.market_fault(**fault)

    async def heal(self) -> None:
        """Take every fault away."""
        (await self.http.delete(f"{self.url}/sandbox/market/faults")).raise_for_status()
        (await self.http.delete(f"{self.url}/sandbox/faults")).raise_for_status()


async def _sessions() -> Sessions:
    # computed in a process of its own for a second, and the same for every world
    if not _computed:
        _computed.append((await load_calendar_apart(DAYS_BACK)).sessions)
    return _computed[0]


@asynccontextmanager
async def sandbox_running(**discord_options: object) -> AsyncIterator[Sandbox]:
    """A fresh world on a free port."""
    market = Market(await _sessions())
    discord = Discord(token=TOKEN, client_secret="discord-secret", **discord_options)
    brokers = Brokers(keys={"sandbox-key", "sandbox-token"})
    runner = web.AppRunner(build(discord, market, brokers), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    url = f"http://{host}:{port}"
    discord.base_url = url
    sandbox = Sandbox(discord, market, brokers, url)
    try:
        yield sandbox
    finally:
        await sandbox.http.aclose()
        await discord.close()
        await market.close()
        await runner.cleanup()


@dataclass
class Product:
    """The running product."""

    services: Services
    web_url: str


@asynccontextmanager
async def product_running(environment: dict[str, str], home: Path, free_port: int) -> AsyncIterator[Product]:
    """Bot, web and worker as `pulse run` starts them."""
    settings = Settings(
        _env_file=None,
        **{k.lower(): v for k, v in {**environment, "PULSE_HOME": str(home), "WEB_PORT": str(free_port)}.items()},
    )
    stop = asyncio.Event()
    # discord.py keeps these addresses for the whole process; another product may be running in it.
    addresses = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        parts = [asyncio.create_task(part(services, stop)) for part in (serve_bot, serve_web, serve_worker)]
        try:
            yield Product(services, f"http://127.0.0.1:{free_port}")
        finally:
            stop.set()
            await asyncio.gather(*parts)
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = addresses


def take_port() -> int:
    """A port that was free a moment ago."""
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until(condition, within_s: float = 10.0) -> None:
    """Wait for something that happens by itself."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)
