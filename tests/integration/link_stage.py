"""Both brokers as one small server whose answers a test chooses, and links that go there."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from db.models import Place
from services.broker_oauth import AlpacaOAuth, Client, TradierOAuth
from services.links import Links
from services.vault import Vault, make_key

ALICE, BOB = 80351110224678912, 80351110224678913
CHROME, FIREFOX = b"c" * 32, b"f" * 32
ADDRESS = "https://pulse.example.com"
PLACE = Place(channel_id=5, guild_id=6, token="interaction", token_expires_at=datetime(2030, 1, 1, tzinfo=UTC))
OLD, NEW = make_key(), make_key()


class Broker:
    """What the brokers answer, and what they were asked."""

    def __init__(self):
        self.asked = []
        self.token = {"access_token": "alpaca-token", "token_type": "bearer", "scope": "data"}
        self.renewed = (200, {"access_token": "tradier-2", "refresh_token": "refresh-2", "expires_in": 86400})
        self.failing = None
        self.live, self.paper = 401, 200
        self.account = {"account_number": "PA3XYZ1234"}
        self.profile = {"profile": {"account": {"account_number": "6YA01234", "status": "active"}}}
        self.slow_refresh = asyncio.Event()
        self.slow_refresh.set()

    def app(self):
        app = web.Application()
        app.add_routes(
            [
                web.post("/alpaca/token", self._exchange),
                web.get("/live/v2/account", self._live),
                web.get("/paper/v2/account", self._paper),
                web.post("/tradier/oauth/accesstoken", self._exchange),
                web.post("/tradier/oauth/refreshtoken", self._refresh),
                web.get("/tradier/user/profile", self._profile),
            ]
        )
        return app

    async def _note(self, request):
        self.asked.append((request.path, dict(request.headers), dict(await request.post())))

    async def _exchange(self, request):
        await self._note(request)
        status, body = self.failing or (200, self.token)
        return web.json_response(body, status=status)

    async def _refresh(self, request):
        await self._note(request)
        await self.slow_refresh.wait()
        status, body = self.renewed
        return web.json_response(body, status=status)

    async def _live(self, request):
        await self._note(request)
        return web.json_response(self.account, status=self.live)

    async def _paper(self, request):
        await self._note(request)
        return web.json_response(self.account, status=self.paper)

    async def _profile(self, request):
        await self._note(request)
        return web.json_response(self.profile)

    def paths(self):
        return [path for path, _, _ in self.asked]


@asynccontextmanager
async def serving():
    """Yield a broker and its address."""
    broker = Broker()
    runner = web.AppRunner(broker.app())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield broker, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        broker.slow_refresh.set()
        await runner.cleanup()


def oauth(url):
    client = Client("our-id", "our-secret")
    return {
        "alpaca": AlpacaOAuth(client, f"{url}/authorize", f"{url}/alpaca/token", f"{url}/live", f"{url}/paper"),
        "tradier": TradierOAuth(client, f"{url}/tradier"),
    }


@asynccontextmanager
async def linking(database, url, keys=OLD, brokers=None):
    links = Links(database, Vault.of(keys), oauth(url) if brokers is None else brokers, ADDRESS)
    try:
        yield links
    finally:
        await links.close()


async def emptied(database):
    """Leave nothing to the next test; the audit alone stays for ever."""
    async with database.transaction() as conn:
        for table in ("user_broker_connections", "link_requests", "notices", "jobs"):
            await conn.execute(f"DELETE FROM app.{table}")


def token_of(link):
    return link.rpartition("/")[2]


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def authorized(links, user=ALICE, session=CHROME, broker="alpaca"):
    """Walk to the broker's page, and return the state that it would bring back."""
    token = token_of(await links.start(user, broker, PLACE, "de"))
    request = await links.claim(token, user, session)
    return query_of(await links.authorize(user, session, request.id))["state"]


async def linked(links, user=ALICE, session=CHROME, broker="alpaca", *, active=False):
    state = await authorized(links, user, session, broker)
    made = await links.finish(broker, session, user, {"code": "the-code", "state": state})
    return await links.activate(user, made.id) if active else made


async def told(database, user=None):
    """Return kind, payload and place of each notice, oldest first."""
    async with database.acquire() as conn:
        rows = await conn.fetch(
            "SELECT kind, payload, place, urgency, private FROM app.notices WHERE $1::bigint IS NULL OR user_id = $1 "
            "ORDER BY id",
            user,
        )
    assert all(row["urgency"] == "P0" and row["private"] for row in rows)
    return [(row["kind"], json.loads(row["payload"]), json.loads(row["place"])) for row in rows]


async def row_of(database, connection_id):
    async with database.acquire() as conn:
        return await conn.fetchrow("SELECT * FROM app.user_broker_connections WHERE id = $1", connection_id)


async def age(database, what, by=timedelta(minutes=16)):
    """Let time pass for the rows of a table."""
    columns = {
        "link_requests": ("expires_at",),
        "user_broker_connections": ("created_at", "expires_at", "due_at", "leased_until", "renewed_at"),
    }[what]
    changes = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
    async with database.acquire() as conn:
        await conn.execute(f"UPDATE app.{what} SET {changes}", by)
