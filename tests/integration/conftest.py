"""A real PostgreSQL: one server per test session, shared by xdist's workers, and a fresh database per test."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from db.embedded import Server, embedded
from db.migrate import migrate
from db.pool import Connection, Database, connect


@pytest.fixture(scope="session")
async def postgres(request, tmp_path_factory) -> AsyncIterator[Server]:
    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent
    async with embedded(base / "postgres-of-session") as server:
        yield server


@pytest.fixture(scope="session")
async def superuser(postgres) -> AsyncIterator[Connection]:
    connection = await connect(postgres.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def url_of(postgres) -> Callable[..., str]:
    """Address of another database of the server, for another login where one is given."""

    def address(database: str, login: str = "", password: str = "") -> str:
        url = urlsplit(postgres.url)._replace(path=f"/{database}")
        return (url._replace(netloc=f"{login}:{password}@") if login else url).geturl()

    return address


@pytest.fixture(scope="session")
async def template(superuser, url_of) -> str:
    await superuser.execute("SELECT pg_advisory_lock(1)")  # workers make it once
    try:
        if not await superuser.fetchval("SELECT true FROM pg_database WHERE datname = 'pulse_template'"):
            await superuser.execute("CREATE DATABASE pulse_template OWNER pulse")
            await migrate(url_of("pulse_template"))
    finally:
        await superuser.execute("SELECT pg_advisory_unlock(1)")
    return "pulse_template"


@contextlib.asynccontextmanager
async def _fresh(superuser: Connection, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    await superuser.execute(f"CREATE DATABASE {name} OWNER pulse TEMPLATE {template}")
    yield name
    await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(superuser, template, url_of) -> AsyncIterator[str]:
    """A migrated database of one's own."""
    async with _fresh(superuser, template) as name:
        yield url_of(name)


@pytest.fixture
async def empty_database_url(template, superuser, url_of) -> AsyncIterator[str]:
    """A database without a schema; the roles of the server exist, because `template` is there."""
    async with _fresh(superuser, "template1") as name:
        yield url_of(name)


@pytest.fixture
async def database(database_url) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def database_of_file(superuser, template, url_of) -> AsyncIterator[Database]:
    """One database for all tests of a file, which leave nothing to each other."""
    async with _fresh(superuser, template) as name:
        opened = await Database.open(url_of(name))
        yield opened
        await opened.close()


@pytest.fixture
async def own_server(tmp_path) -> AsyncIterator[Server]:
    """A migrated server that a test may kill."""
    async with embedded(tmp_path / "home") as server:
        await migrate(server.url)
        yield server


@pytest.fixture
def kill() -> Callable[[Server, signal.Signals], None]:
    """Send a signal to the postmaster of a server."""

    def send(server: Server, number: signal.Signals = signal.SIGKILL) -> None:
        pid = (Path(server.log).parent / "data" / "postmaster.pid").read_text().splitlines()[0]
        os.kill(int(pid), number)

    return send
