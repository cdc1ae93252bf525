"""The real web server and links, between a stand-in Discord, stand-in brokers, and browsers without a screen."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from aiohttp import web
from feed_stage import serving, sessions

from db.models import Place
from db.pool import Database
from sandbox import market_api
from sandbox.brokers import Brokers
from sandbox.discord import server
from sandbox.discord.server import Discord
from sandbox.grants import Client as Registered
from sandbox.market import Market
from services.broker_oauth import AlpacaOAuth, Client, TradierOAuth
from services.discord_oauth import DiscordApp, DiscordOAuth
from services.links import Links
from services.settings import Settings
from services.vault import Vault, make_key
from services.web_sessions import WebSessions
from web.app import build, runner
from web.session import BROWSERS

TABLES = "web_sessions", "sign_ins", "link_requests", "user_broker_connections", "notices"
CLIENT = Client("pulse", "sandbox-secret")


class Clock:
    """The present, or later."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Stage:
    """The product at `url`, the world at `world`."""

    url: str
    world: str
    discord: Discord
    brokers: Brokers
    database: Database
    links: Links
    sessions: WebSessions
    clock: Clock
    app: web.Application
    browsers: list["Browser"] = field(default_factory=list)

    def browser(self) -> "Browser":
        """A browser that nobody has used yet."""
        self.browsers.append(Browser(self))
        return self.browsers[-1]

    async def tidy(self) -> None:
        """Leave nothing to the next test."""
        for browser in self.browsers:
            await browser.http.aclose()
        self.browsers.clear()
        self.discord.faults.clear()
        self.clock.ahead = timedelta()
        for pace in self.app[BROWSERS].paces:
            pace.forget()
        async with self.database.acquire() as conn:
            for table in TABLES:
                await conn.execute(f"DELETE FROM app.{table}")

    def person(self, name: str) -> int:
        """The id of somebody of the world."""
        return int(self.discord.world.user(name).id)

    async def link(self, name: str = "Mara", broker: str = "alpaca") -> str:
        """What `/link` gives to this person."""
        return await self.links.start(self.person(name), broker, Place(dm=True), "en-GB")

    async def rows(self, query: str) -> list[tuple]:
        async with self.database.acquire() as conn:
            return [tuple(row.values()) for row in await conn.fetch(query)]

    async def made(self, name: str) -> list[tuple[str, str]]:
        return [(each.broker, each.state) for each in await self.links.list(self.person(name))]


class Browser:
    """A browser without a screen: it has cookies, submits forms, and goes where it is sent, one step at a time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.http = httpx.AsyncClient(headers={"Accept": "text/html,*/*"})

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get("pulse")

    async def open(self, url: str, **options) -> httpx.Response:
        return await self.http.get(httpx.URL(self.stage.url).join(url), **options)

    async def press(self, page: httpx.Response, action: str = "", fields=None, **headers) -> httpx.Response:
        """Press the button of the page's first form, or of the one with this action."""
        forms = re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
        target, inside = next(form for form in forms if action in form[0])
        filled = dict(re.findall(r'name="(\w+)" value="([^"]*)"', inside)) | (fields or {})
        sent = {"Origin": self.stage.url, "Sec-Fetch-Site": "same-origin"} | headers
        return await self.http.post(
            httpx.URL(self.stage.url).join(unescape(target)),
            data={name: value for name, value in filled.items() if value is not None},
            headers={name.replace("_", "-"): value for name, value in sent.items() if value is not None},
        )

    async def answer(self, page: httpx.Response | str, person: str = "Mara", decision: str = "allow", **fields) -> str:
        """Answer a page of the stand-in, or the one that we are sent to; returns where it sends the browser back to."""
        if isinstance(page, httpx.Response):
            assert page.status_code == 303, page.text
            page = page.headers["Location"]
        assert (await self.http.get(page)).status_code == 200
        back = await self.http.post(page, data={"decision": decision, "person": person.lower()} | fields)
        assert back.status_code == 302, back.text
        return back.headers["Location"]

    async def sign_in(self, link: str, person: str = "Mara") -> httpx.Response:
        """Open a link and sign in; returns the answer to Discord's redirect."""
        return await self.open(await self.answer(await self.press(await self.open(link)), person))

    async def consent(self, link: str, person: str = "Mara") -> httpx.Response:
        """The consent page."""
        arrived = await self.sign_in(link, person)
        assert arrived.headers["Location"] == "/connect/consent", arrived.headers
        return await self.open("/connect/consent")

    async def way(self, person: str = "Mara", broker: str = "alpaca", **fields) -> httpx.Response:
        """The whole way, up to the answer to the broker's redirect."""
        page = await self.consent(await self.stage.link(person, broker), person)
        return await self.open(await self.answer(await self.press(page, "initiate"), person, **fields))


@asynccontextmanager
async def staged(database: Database) -> AsyncIterator[Stage]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, clock = f"http://127.0.0.1:{port}", Clock()
    registered = Registered(redirects=(f"{url}/broker-oauth/callback/tradier",))
    market, discord, brokers = Market(sessions()), Discord(), Brokers(tradier=registered)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(discord.close)
        stack.push_async_callback(market.close)
        world = await stack.enter_async_context(serving(*server.routes(discord), *market_api.routes(market, brokers)))
        oauth = DiscordOAuth(
            DiscordApp(f"{world}/api/v10", discord.world.application_id, "x", f"{url}/auth/discord/callback")
        )
        stack.push_async_callback(oauth.close)
        alpaca = f"{world}/alpaca"
        offered = {
            "alpaca": AlpacaOAuth(
                CLIENT, f"{alpaca}/oauth/authorize", f"{alpaca}/live/oauth/token", f"{alpaca}/live", f"{alpaca}/paper"
            ),
            "tradier": TradierOAuth(CLIENT, f"{world}/tradier/v1"),
        }
        links = Links(database, Vault.of(make_key()), offered, url)
        stack.push_async_callback(links.close)
        settings = Settings(_env_file=None, discord_api_url=f"{world}/api/v10", public_url=url)
        signed_in = WebSessions(database, oauth, clock)
        services = SimpleNamespace(settings=settings, links=links, web_sessions=signed_in)
        app = build(services)
        served = runner(app, shutdown_timeout=0.5)
        await served.setup()
        stack.push_async_callback(served.cleanup)
        await web.TCPSite(served, "127.0.0.1", port).start()
        yield Stage(url, world, discord, brokers, database, links, signed_in, clock, app)


@pytest.fixture(scope="module", name="running")
async def running_stage(database_of_file):
    async with staged(database_of_file) as running:
        yield running


@pytest.fixture(name="stage")
async def tidy_stage(running):
    yield running
    await running.tidy()


@pytest.fixture(name="browser")
async def new_browser(stage):
    return stage.browser()


def leads_to(answer, place):
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].split("?")[0] == place


def query(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
