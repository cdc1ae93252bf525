"""Members who have linked their brokers, and the market as each of them may read it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import httpx
from feed_stage import FRIDAY, Ticking, serving, sessions

from db import links as stored
from db.link_models import LinkedAccount
from db.listener import listening
from db.models import Place
from sandbox import market_api
from sandbox.brokers import Brokers
from sandbox.market import Market as Synthetic
from services.clock import Calendar
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.feeds.cboe import Cboe
from services.link_tokens import seal
from services.market import Market
from services.outage import Outage
from services.own_sources import OwnSources
from services.people import People
from services.plans import Kind, Plan
from services.readers import Readers
from services.settings import Settings
from services.usage import Usage
from services.vault import make_key
from services.wiring import _links, _own_feeds, open_vault

MARA, JONAS, NOBODY = 80351110224678912, 80351110224678913, 80351110224678999
KEY = make_key()


def settings_at(address: str) -> Settings:
    return Settings(
        _env_file=None,
        public_url="http://127.0.0.1:8081",
        discord_application_id=1,
        discord_client_secret="secret",
        secret_keys=KEY,
        alpaca_client_id="ours",
        alpaca_client_secret="secret",
        alpaca_data_url=f"{address}/alpaca/data",
        alpaca_api_url=f"{address}/alpaca/live",
        alpaca_paper_api_url=f"{address}/alpaca/paper",
        tradier_client_id="ours",
        tradier_client_secret="secret",
        tradier_api_url=f"{address}/tradier/v1",
    )


async def here(work, *arguments):
    """Work that else goes to another process."""
    return work(*arguments)


class OwnStage:
    """Everything between the members and the brokers of the sandbox."""

    def __init__(self, database, brokers, settings, shared, stack):
        self.database, self.brokers, self.settings, self.market = database, brokers, settings, shared
        self.vault, self.links, self.clock = open_vault(settings), _links(settings, database), Ticking()
        self.opened, self.heard, self._before = [], Counter(), None
        open_feed = _own_feeds(settings, stack, here)

        def counting(access):
            self.opened.append((access.connection_id, access.token))
            return open_feed(access)

        self.own = OwnSources(self.links, counting, shared, self.clock)
        outage = Outage()
        usage = Usage(database, outage, People(database, outage), Plan.ELITE, lambda: FRIDAY)
        self.readers = Readers(shared, usage, self.own)

    async def link(self, user_id=MARA, broker="tradier", person="mara", mode="live") -> int:
        """Let somebody link their account, and activate it; returns the id."""
        grants, heard = getattr(self.brokers, broker), self.heard[user_id]
        scopes = ("data",) if broker == "alpaca" else ("read", "market")
        grant = grants.redeem(grants.permit(person, scopes, mode=mode, redirect=None), None, None)
        place = Place(channel_id=5)
        async with self.database.transaction() as conn:
            number = await stored.next_id(conn)
            account = LinkedAccount(
                number, user_id, broker, f"VA{number}", mode.upper(), "••1234", scopes, b"", None, None
            )
            sealed = replace(account, tokens=seal(self.vault, account, grant.access, None))
            await stored.set_connection(conn, sealed, place)
        await self.links.activate(user_id, number)
        await until(lambda: self.heard[user_id] >= heard + 2)
        return number

    async def reader(self, user_id=MARA, *, alone=True, kind=Kind.CHAIN):
        return await self.readers.spend(user_id, kind, alone=alone)

    async def fault(self, **fault) -> None:
        (await self.desk.post("/faults", json=fault)).raise_for_status()

    async def heal(self) -> None:
        (await self.desk.delete("/faults")).raise_for_status()

    async def asked(self, path_contains="") -> int:
        return sum(count for path, count in (await self._requests()).items() if path_contains in path)

    async def _requests(self) -> Counter:
        counts = Counter((await self.desk.get("/requests")).json())
        if self._before is None:
            self._before = counts
        return counts - self._before


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def outside() -> AsyncIterator[tuple[str, Brokers]]:
    """Yield the address of the vendors, whose clock stands still, and the brokers."""
    synthetic, brokers = Synthetic(sessions(), start=FRIDAY), Brokers()
    synthetic.clock.turn(paused=True)
    async with serving(*market_api.routes(synthetic, brokers)) as address:
        yield address, brokers


@asynccontextmanager
async def staged(database, database_url, address, brokers) -> AsyncIterator[OwnStage]:
    async with AsyncExitStack() as stack:
        alpaca = Alpaca(f"{address}/alpaca/data", f"{address}/alpaca/paper", by_key("key", "secret"))
        feeds = [alpaca, Cboe(f"{address}/cboe/")]
        shared = Market(feeds, Calendar(tuple(sessions())))
        stage = OwnStage(database, brokers, settings_at(address), shared, stack)
        stage.desk = await stack.enter_async_context(httpx.AsyncClient(base_url=f"{address}/sandbox/market"))
        for each in (*feeds, stage.links):
            stack.push_async_callback(each.close)
        stack.push_async_callback(stage.heal)
        await stage.asked()
        ready = asyncio.Event()

        def hear(_channel, payload):
            stage.own.forget(int(payload))
            stage.heard[int(payload)] += 1

        def resync():
            stage.own.forget()
            ready.set()

        await stack.enter_async_context(listening(database_url, ["links"], on_notify=hear, on_resync=resync))
        await ready.wait()
        yield stage
