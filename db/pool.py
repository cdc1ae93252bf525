"""Connections to PostgreSQL as the product's roles: the only file that knows asyncpg."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, Self, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types; `Connection` below is what we use of it

T = TypeVar("T")

PostgresError = asyncpg.PostgresError

_CONNECT_S = 1.0
_COMMAND_S = 10.0
_SESSION = {
    "application_name": "pulse",
    "statement_timeout": "15s",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "30s",
    "plan_cache_mode": "force_generic_plan",
}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # of PostgreSQL's wire format
_OUTAGES = (
    OSError,  # refused, reset, timed out
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
_FAILURES = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)  # ValueError: an address such as h:x


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be reached or went away; a write in flight may or may not have been committed."""


class DatabaseRefused(DatabaseUnavailable):
    """PostgreSQL answers but does not let us in: a wrong password or database, or roles that are not there yet."""


class Connection(Protocol):
    """What we use of an asyncpg connection."""

    async def execute(self, query: str, *args: object, timeout: float = ...) -> str: ...  # noqa: ASYNC109 asyncpg's
    async def fetch(self, query: str, *args: object) -> list[Mapping[str, Any]]: ...
    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    async def add_listener(self, channel: str, callback: Callable[[object, int, str, str], None]) -> None: ...
    def add_termination_listener(self, callback: Callable[[object], None]) -> None: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


class Database:
    """A pool of connections as `pulse_service` that fails fast while PostgreSQL is away, and recovers by itself.

    Everything raises DatabaseUnavailable when PostgreSQL cannot be reached or goes away in the middle.
    """

    def __init__(self, pool: Any, url: str) -> None:
        self._pool = pool
        self.url = url
        """The address, with its password: for a connection of one's own, as LISTEN needs it."""

    @classmethod
    async def open(cls, url: str, *, max_size: int = 10) -> Self:
        """Return at once, also while the server is away: connections are made on demand."""
        options = _options("pulse_service")
        pool = asyncpg.create_pool(url, min_size=0, max_size=max_size, init=_set_codecs, reset=_leave, **options)
        return cls(await pool, url)

    async def close(self) -> None:
        """Wait up to five seconds for work in progress, then cut the rest off."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Lend a connection for single statements; the block holds queries and nothing else that can time out."""
        try:
            async with self._acquired() as connection:
                with outages(connection):
                    yield connection
        except (*_OUTAGES, asyncpg.InternalClientError) as error:  # of giving it back
            raise DatabaseUnavailable(f"PostgreSQL went away: {_reason(error)}") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Run the block in one transaction as `pulse_service`: committed at its end, rolled back when it raises."""
        async with self._begun("BEGIN") as connection:
            yield connection

    @asynccontextmanager
    async def as_user(self, user_id: int) -> AsyncIterator[Connection]:
        """Run the block in one transaction as `pulse_user`, who has the rows of `user_id` (Discord id) only."""
        # one round trip; :d lets only an integer pass
        begin = f"BEGIN; SET LOCAL ROLE pulse_user; SET LOCAL app.user_id = '{user_id:d}'"
        async with self._begun(begin) as connection:
            yield connection

    async def ping(self) -> float:
        """Return the seconds that a round trip takes, including getting a connection."""
        started = time.perf_counter()
        async with self.acquire() as connection:
            await connection.execute("SELECT 1")
        return time.perf_counter() - started

    async def writable(self) -> bool:
        """Tell whether PostgreSQL takes writes: False on a standby or in read-only mode."""
        async with self.acquire() as connection:
            return bool(await connection.fetchval("SELECT current_setting('transaction_read_only') = 'off'"))

    @staticmethod
    async def retry(work: Callable[[], Awaitable[T]], *, within_s: float = 3.0) -> T:
        """Repeat `work` over short outages; for reads and upserts only, because a failed write may have been committed.

        The last DatabaseUnavailable is raised when the next attempt would begin after `within_s` seconds.
        """
        deadline, pause = time.monotonic() + within_s, 0.05
        while True:
            try:
                return await work()
            except DatabaseUnavailable:
                wait_s = pause * random.uniform(0.5, 1.5)
                if time.monotonic() + wait_s > deadline:
                    raise
            await asyncio.sleep(wait_s)
            pause = min(pause * 2, 1.0)

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Connection]:
        try:
            connection = await self._pool.acquire(timeout=_CONNECT_S)
        except _FAILURES as error:
            raise _unavailable(error, "pulse_service") from error
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def _begun(self, begin: str) -> AsyncIterator[Connection]:
        async with self.acquire() as connection:
            try:
                await connection.execute(begin)
                yield connection
            except BaseException:
                if not _lost(connection):
                    await connection.execute("ROLLBACK")
                raise
            if await connection.execute("COMMIT") != "COMMIT":
                raise RuntimeError("An error was caught inside the transaction: PostgreSQL has rolled all of it back.")


async def connect(url: str, *, role: str | None = None, timeout_s: float = _CONNECT_S) -> Connection:
    """Open a single connection with the pool's codecs, as `role` where one is given, else as the login of `url`.

    Raises DatabaseUnavailable, or DatabaseRefused where PostgreSQL answers but does not let us in.
    """
    try:
        connection: Connection = await asyncpg.connect(url, **_options(role) | {"timeout": timeout_s})
        await _set_codecs(connection)
    except _FAILURES as error:
        raise _unavailable(error, role) from error
    return connection


@contextmanager
def outages(connection: Connection) -> Iterator[None]:
    """Turn what asyncpg raises when PostgreSQL goes away during the block into DatabaseUnavailable."""
    try:
        yield
    except _OUTAGES as error:
        raise DatabaseUnavailable(f"PostgreSQL went away: {_reason(error)}") from error
    except asyncpg.InternalClientError as error:  # asyncpg's confusion over a server that dies in mid-sentence
        connection.terminate()
        raise DatabaseUnavailable(f"PostgreSQL went away: {_reason(error)}") from error
    except asyncpg.InterfaceError as error:  # also raised for misuse, which must stay visible
        if _lost(connection):
            raise DatabaseUnavailable(f"PostgreSQL went away: {_reason(error)}") from error
        raise


def _lost(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has taken the broken one back already
        return True


def _options(role: str | None) -> dict[str, Any]:
    settings = _SESSION | ({"role": role} if role else {})
    return {"timeout": _CONNECT_S, "command_timeout": _COMMAND_S, "server_settings": settings}


def _unavailable(error: Exception, role: str | None) -> DatabaseUnavailable:
    closing = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    if closing or isinstance(error, _OUTAGES):
        return DatabaseUnavailable(f"PostgreSQL cannot be reached: {_reason(error)}")
    # without a role it is the migration itself that asks
    cure = ", or run `pulse migrate`" if role else ": its login and its database must exist on that server"
    return DatabaseRefused(f"PostgreSQL refuses the connection: {_reason(error)}. Check DATABASE_URL{cure}.")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _leave(connection: Connection) -> None:
    # Settings are local to transactions and nothing is listened to or locked for longer, so that asyncpg's own reset, a
    # round trip after each use, has nothing to do.
    if connection.is_in_transaction():
        connection.terminate()


async def _set_codecs(connection: Any) -> None:
    codecs = {"numeric": (_numeric, Decimal, "text"), "timestamptz": (_microseconds, _instant, "tuple")}
    for name, (encoder, decoder, wire) in codecs.items():
        await connection.set_type_codec(name, schema="pg_catalog", encoder=encoder, decoder=decoder, format=wire)


def _numeric(value: object) -> str:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise TypeError(f"numeric takes a finite Decimal, not {value!r}: floats lose cents")
    return str(value)


def _microseconds(value: object) -> tuple[int]:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"timestamptz takes an aware datetime, not {value!r}: say which zone it is in")
    return ((value - _EPOCH) // timedelta(microseconds=1),)


def _instant(wire: tuple[int]) -> datetime:
    return _EPOCH + timedelta(microseconds=wire[0])
