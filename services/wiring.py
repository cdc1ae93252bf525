"""The composition root: the only file that names concrete classes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import structlog

from db import migrate as migrations
from db.embedded import embedded
from db.listener import listening
from db.pool import Database, DatabaseRefused, DatabaseUnavailable
from services import listings
from services.accounts import Accounts
from services.alerts import Alerts
from services.boards import Boards
from services.broker_oauth import AlpacaOAuth, BrokerOAuth, Client, TradierOAuth
from services.brokers.paper import Paper
from services.chart_pool import ChartPool
from services.clock import load_calendar_apart
from services.data_sync import DataSync
from services.discord_oauth import DiscordApp, DiscordOAuth
from services.errors import PulseError
from services.execution import Execution
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key, by_token
from services.feeds.base import Apart, Chain, Feed
from services.feeds.cboe import Cboe
from services.feeds.replay import Replay
from services.feeds.stream import AlpacaStream
from services.feeds.tradier import Tradier
from services.gamma_history import GammaHistory
from services.health import Health, Part
from services.kill_switch import KillSwitch
from services.levels import Levels
from services.links import DataAccess, Links
from services.market import Market
from services.options import Options
from services.orders import Orders
from services.outage import Outage
from services.own_sources import OwnSources
from services.people import People
from services.portfolios import Portfolios
from services.price_history import PriceHistory
from services.readers import Readers
from services.recent import Recent
from services.risk import HouseRules
from services.sessions import Keeper
from services.settings import BrokerName, FeedName, Settings
from services.storage import open_storage
from services.symbols import canonical
from services.usage import Usage
from services.vault import Vault
from services.watch import Watch
from services.watches import Watches
from services.web_sessions import WebSessions

WRITE_EVERY_S = 1.0
MEMBERS_CONNECTIONS = 40

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that commands, pages and jobs may call."""

    settings: Settings
    database: Database
    market: Market
    levels: Levels
    options: Options
    price_history: PriceHistory
    readers: Readers
    people: People
    usage: Usage
    recent: Recent
    accounts: Accounts
    links: Links
    web_sessions: WebSessions
    orders: Orders
    portfolios: Portfolios
    kill_switch: KillSwitch
    execution: Execution
    alerts: Alerts
    boards: Boards
    watches: Watches
    data_sync: DataSync
    gamma_history: GammaHistory
    watch: Watch | None
    """None where no configured feed streams trades."""
    health: Health

    async def parts(self) -> dict[str, Part]:
        """Return how every part of this process is doing, the database asked this moment."""
        return {**self.health.parts, "database": await self._database()}

    async def _database(self) -> Part:
        try:
            seconds = await self.database.ping()
            async with self.database.acquire() as connection:
                current = await migrations.schema_current(connection)
            writable = await self.database.writable()
        except DatabaseRefused as error:
            log.warning("database refused", error=str(error))
            return Part(ok=False, detail="refuses us: check DATABASE_URL and run `pulse migrate`")
        except DatabaseUnavailable as error:
            log.warning("database away", error=str(error))
            return Part(ok=False, detail="cannot be reached, trying again")
        if not current:
            return Part(ok=False, detail="its schema is older than this program: run `pulse migrate`")
        if not writable:
            return Part(ok=False, detail="takes no writes at the moment")
        return Part(ok=True, detail=f"answers in {seconds * 1000:.1f} ms")


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything that the settings name, and close it in the opposite order."""
    async with AsyncExitStack() as stack:
        pool = ChartPool()
        stack.push_async_callback(pool.close)
        url, calendar, _ = await asyncio.gather(_database_url(settings, stack), load_calendar_apart(), pool.start())
        database = await Database.open(url)
        stack.push_async_callback(database.close)
        market = Market(_feeds(settings, stack, pool.run), calendar)
        links = _links(settings, database)
        stack.push_async_callback(links.close)
        discord = _discord(settings)
        stack.push_async_callback(discord.close)
        own_sources = OwnSources(links, _own_feeds(settings, stack, pool.run), market)
        outage = Outage()
        people, recent = People(database, outage), Recent(database, outage)
        usage = Usage(database, outage, people, settings.default_plan, _now)
        await stack.enter_async_context(_following(url, market, database, people, outage, usage, own_sources))
        await stack.enter_async_context(_beside(_keeper(market).run()))
        await stack.enter_async_context(_beside(own_sources.run()))
        await stack.enter_async_context(_writing_behind(usage, recent))
        brokers = {"paper": Paper(database, market)}
        rules = HouseRules(most_money=settings.most_order_value)
        accounts, levels, health = Accounts(database, settings.paper_cash), Levels(pool), Health()
        followed = tuple(canonical(symbol) for symbol in settings.watch_symbols)
        storage, every = open_storage(settings), timedelta(minutes=settings.history_every_min)
        files = timedelta(days=settings.chain_files_days)
        yield Services(
            settings=settings,
            database=database,
            market=market,
            levels=levels,
            options=Options(pool),
            price_history=PriceHistory(levels, pool),
            readers=Readers(market, usage, own_sources),
            people=people,
            usage=usage,
            recent=recent,
            accounts=accounts,
            links=links,
            web_sessions=WebSessions(database, discord, _now),
            orders=Orders(database, market, accounts, brokers, now=_now, rules=rules),
            portfolios=Portfolios(database, market, accounts, brokers, now=_now),
            kill_switch=KillSwitch(database, now=_now),
            execution=Execution(database, market, brokers, now=_now),
            alerts=Alerts(database, market),
            boards=Boards(database, market, levels),
            watches=Watches(database, market, levels),
            data_sync=DataSync(database, market, pool, storage, symbols=followed, every=every),
            gamma_history=GammaHistory(database, market, pool, storage, symbols=followed, every=every, files=files),
            watch=_watch(settings, database, market, health),
            health=health,
        )


async def migrate(settings: Settings) -> Sequence[str]:
    """Bring the database to the newest schema; returns the names of the migrations that were applied.

    Raises PulseError where that cannot be done.
    """
    if settings.database_url:
        return await _migrate(settings.database_url.get_secret_value())
    async with embedded(settings.pulse_home) as server:
        return await _migrate(server.url)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database alone, for commands that need nothing else."""
    async with AsyncExitStack() as stack:
        database = await Database.open(await _database_url(settings, stack))
        stack.push_async_callback(database.close)
        yield database


def open_vault(settings: Settings) -> Vault:
    """Return what encrypts and decrypts with the keys of the settings."""
    return Vault.of(settings.secret_keys.get_secret_value() if settings.secret_keys else None)


async def load_chain(settings: Settings, symbol: str) -> Chain:
    """Return a symbol's chain from the first configured feed that has it; for use without a chat."""
    async with AsyncExitStack() as stack:
        market = Market(_feeds(settings, stack, asyncio.to_thread), await load_calendar_apart())
        return await market.chain(symbol)


async def _database_url(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.database_url:
        return settings.database_url.get_secret_value()
    server = await stack.enter_async_context(embedded(settings.pulse_home))
    await _migrate(server.url)
    return server.url


async def _migrate(url: str) -> Sequence[str]:
    try:
        return await migrations.migrate(url)
    except (migrations.MigrationError, DatabaseUnavailable) as error:
        raise PulseError(str(error)) from error


def _feeds(settings: Settings, stack: AsyncExitStack, apart: Apart) -> list[Feed]:
    if not settings.feed_order:
        raise PulseError(
            "no market data is configured: set ALPACA_DATA_KEY and ALPACA_DATA_SECRET, TRADIER_DATA_TOKEN, or "
            "REPLAY_DIR; `pulse demo` needs none of them"
        )
    feeds = [_feed(name, settings, apart) for name in settings.feed_order]
    for feed in feeds:
        stack.push_async_callback(feed.close)
    return feeds


def _feed(name: FeedName, settings: Settings, apart: Apart) -> Feed:
    if name == "replay":
        assert settings.replay_dir, "Settings refuses replay without a folder"
        return Replay(settings.replay_dir)
    if name == "cboe":
        return Cboe(str(settings.cboe_url), apart=apart)
    if name == "tradier":
        assert settings.tradier_data_token, "Settings refuses tradier without a token"
        return Tradier(str(settings.tradier_api_url), settings.tradier_data_token.get_secret_value(), apart=apart)
    assert settings.alpaca_data_key, "Settings refuses alpaca without a key"
    assert settings.alpaca_data_secret, "likewise"
    vendor = by_key(settings.alpaca_data_key.get_secret_value(), settings.alpaca_data_secret.get_secret_value())
    return Alpaca(str(settings.alpaca_data_url), str(settings.alpaca_paper_api_url), vendor)


def _own_feeds(settings: Settings, stack: AsyncExitStack, apart: Apart) -> Callable[[DataAccess], Feed]:
    """Return what opens a member's own feed; all those of a broker share so many connections and no more."""
    limits = httpx.Limits(max_connections=MEMBERS_CONNECTIONS, keepalive_expiry=30)
    pools = {name: httpx.AsyncHTTPTransport(limits=limits) for name in settings.brokers}
    for pool in pools.values():
        stack.push_async_callback(pool.aclose)

    def open_feed(access: DataAccess) -> Feed:
        if access.broker == "tradier":
            url, pool = str(settings.tradier_api_url), pools["tradier"]
            return Tradier(url, access.token, members_pool=pool, apart=apart)
        trading_url = settings.alpaca_paper_api_url if access.mode == "PAPER" else settings.alpaca_api_url
        return Alpaca(
            str(settings.alpaca_data_url),
            str(trading_url),
            by_token(access.token),
            stock_feeds=("sip", "iex"),
            option_feeds=("opra", "indicative"),
            pool=pools["alpaca"],
        )

    return open_feed


def _discord(settings: Settings) -> DiscordOAuth:
    secret = settings.discord_client_secret
    return DiscordOAuth(
        DiscordApp(
            str(settings.discord_api_url),
            str(settings.discord_application_id or ""),
            secret.get_secret_value() if secret else "",
            f"{settings.public_address}/auth/discord/callback",
        )
    )


def _links(settings: Settings, database: Database) -> Links:
    brokers: dict[str, BrokerOAuth] = {name: _broker_oauth(name, settings) for name in settings.brokers}
    return Links(database, open_vault(settings), brokers, settings.public_address)


def _broker_oauth(name: BrokerName, settings: Settings) -> BrokerOAuth:
    client = Client(*settings.broker_client(name))
    if name == "tradier":
        return TradierOAuth(client, str(settings.tradier_api_url))
    authorize, token = str(settings.alpaca_authorize_url), str(settings.alpaca_token_url)
    live, paper = str(settings.alpaca_api_url), str(settings.alpaca_paper_api_url)
    return AlpacaOAuth(client, authorize, token, live_url=live, paper_url=paper)


def _watch(settings: Settings, database: Database, market: Market, health: Health) -> Watch | None:
    source = next((feed for feed in market.feeds if isinstance(feed, Alpaca)), None)
    if source is None:
        return None
    assert settings.alpaca_data_key, "the feed has one"
    assert settings.alpaca_data_secret, "likewise"
    key, secret = settings.alpaca_data_key.get_secret_value(), settings.alpaca_data_secret.get_secret_value()
    stream = AlpacaStream(str(settings.alpaca_stream_url), key, secret)
    # only the words of the source that is asked first may stand in for its answers
    tape = market.tape if source is market.feeds[0] else None
    return Watch(database, market.calendar, source, stream, health, tape)


def _keeper(market: Market) -> Keeper:
    source = next((feed for feed in market.feeds if isinstance(feed, Alpaca)), None)
    return Keeper(market.calendar, source.sessions if source else None)


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _following(
    url: str,
    market: Market,
    database: Database,
    people: People,
    outage: Outage,
    usage: Usage,
    own_sources: OwnSources,
) -> AsyncIterator[None]:
    """Keep what is held in memory in step with the database."""
    changed = asyncio.Event()
    changed.set()

    def hear(channel: str, payload: str) -> None:
        if channel == "preferences":
            people.forget(int(payload))
            usage.release(int(payload))  # the plan may be another one now
        elif channel == "usage":
            usage.release(int(payload))
        elif channel == "links":
            own_sources.forget(int(payload))
        else:
            changed.set()

    def resync() -> None:
        outage.end()
        people.forget()
        usage.release()
        own_sources.forget()
        changed.set()

    async def read_symbols() -> None:
        while await changed.wait():
            changed.clear()
            await listings.read(market, database)

    channels = "links", "preferences", "symbols", "usage"
    async with _beside(read_symbols()), listening(url, channels, on_notify=hear, on_resync=resync):
        yield


@asynccontextmanager
async def _writing_behind(usage: Usage, recent: Recent) -> AsyncIterator[None]:
    """Bring to the database what is counted in memory, each second and at the end."""
    stop = asyncio.Event()

    async def write() -> None:
        await usage.write()
        await recent.write()

    async def again_and_again() -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(usage.due.wait(), WRITE_EVERY_S)
            await write()

    writer = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        stop.set()
        usage.release()
        await writer
        await write()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something endless until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
