"""Bring a database to the newest schema: numbered plain SQL files, forward only, each applied once."""

import asyncio
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

from db.pool import Connection, PostgresError, connect, outages

MIGRATIONS = Path(__file__).with_name("migrations")

_ROLES = Path(__file__).with_name("roles.sql")
_LOCK = 0x70756C7365  # "pulse"
_LOCK_WAIT_S = 60
_STATEMENT_S = 3600
_OLDEST = 16  # the first PostgreSQL with GRANT … WITH INHERIT FALSE
_NOT_ALLOWED = "42501"
_NOT_THERE = {"3F000", "42P01", _NOT_ALLOWED}  # no schema, no table, no grant yet
_TABLE = """
CREATE TABLE IF NOT EXISTS app.migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_TOO_STRONG = """
SELECT rolname FROM pg_roles
WHERE rolname IN ('pulse_owner', 'pulse_service', 'pulse_user') AND (rolsuper OR rolbypassrls)
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; the text names the file or the missing right and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`; `checksum` is the SHA-256 of its text in hex."""

    version: int
    name: str
    sql: str
    checksum: str


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """Return the files of `folder` in order; MigrationError where the numbers have gaps or doubles."""
    migrations = []
    for expected, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        number = re.fullmatch(r"(\d{4})_\w+", path.stem)
        if number is None or int(number[1]) != expected:
            raise MigrationError(
                f"{path.name}: expected number {expected:04d}. Migrations are numbered 0001, 0002 … without gaps."
            )
        sql = path.read_text(encoding="utf-8")
        migrations.append(Migration(expected, path.stem, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return migrations


async def migrate(url: str, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and return the names; concurrent runs wait for each other.

    The login of `url` must be able to become `pulse_owner`, or to create it. Raises MigrationError or
    DatabaseUnavailable.
    """
    migrations = read_migrations(folder)
    connection = await connect(url, timeout_s=5)
    try:
        with outages(connection):
            await connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            await _take_lock(connection)
            await _become_owner(connection)
            applied = await _applied(connection)
            _compare(migrations, applied)
            pending = migrations[len(applied) :]
            for migration in pending:
                await _apply(connection, migration)
    finally:
        await connection.close()  # releases the lock
    return [migration.name for migration in pending]


async def schema_current(connection: Connection) -> bool:
    """Tell whether every migration of this program is applied; a newer schema counts as current."""
    try:
        return (await _applied(connection)).items() >= {m.version: m.checksum for m in read_migrations()}.items()
    except PostgresError as error:
        if error.sqlstate in _NOT_THERE:
            return False
        raise


async def _take_lock(connection: Connection) -> None:
    # polled, because a waiting pg_advisory_lock() deadlocks with CREATE INDEX CONCURRENTLY
    deadline = time.monotonic() + _LOCK_WAIT_S
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if time.monotonic() > deadline:
            raise MigrationError(
                f"Another `pulse migrate` has been running for {_LOCK_WAIT_S} s; wait for it or end it."
            )
        await asyncio.sleep(0.1)


async def _become_owner(connection: Connection) -> None:
    login = await connection.fetchval("SELECT session_user")
    database = await connection.fetchval("SELECT current_database()")
    version = await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000")
    if version < _OLDEST:
        raise MigrationError(f"The server of DATABASE_URL is PostgreSQL {version}; {_OLDEST} or newer is needed.")
    roles = _ROLES.read_text(encoding="utf-8")
    try:
        await connection.execute(roles)
        await connection.execute("SET ROLE pulse_owner")
        await connection.execute(_TABLE)
    except PostgresError as error:
        if error.sqlstate != _NOT_ALLOWED:
            raise MigrationError(f"PostgreSQL did not take the roles and the schema: {error}.") from error
        raise MigrationError(
            f'The login "{login}" may not create the roles and the schema ({error}). Have an administrator run this in'
            f' the database "{database}", then try again:\n\n{roles}\nGRANT pulse_owner, pulse_service TO "{login}";'
        ) from error
    if too_strong := await connection.fetch(_TOO_STRONG):
        names = ", ".join(row["rolname"] for row in too_strong)
        raise MigrationError(
            f"Row-level security does not bind {names}: run ALTER ROLE … NOSUPERUSER NOBYPASSRLS for each."
        )


async def _applied(connection: Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT version, checksum FROM app.migrations ORDER BY version")
    return {row["version"]: row["checksum"] for row in rows}


def _compare(migrations: list[Migration], applied: dict[int, str]) -> None:
    if list(applied) != list(range(1, len(applied) + 1)):
        raise MigrationError(f"app.migrations has gaps: {list(applied)}. Restore a backup of the database.")
    for migration in migrations[: len(applied)]:
        if migration.checksum != applied[migration.version]:
            raise MigrationError(
                f"{migration.name}.sql was changed after it had been applied: undo that and add a new migration."
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        if migration.sql.startswith("-- no transaction"):
            # one by one, because PostgreSQL runs several statements of one message in a transaction
            statements = re.split(r";\s*\n", re.sub(r"(?m)^--.*", "", migration.sql))
            for statement in filter(str.strip, statements):
                await connection.execute(statement, timeout=_STATEMENT_S)
            await _record(connection, migration)
        else:
            await connection.execute("BEGIN")
            await connection.execute(migration.sql, timeout=_STATEMENT_S)
            await _record(connection, migration)
            await connection.execute("COMMIT")
    except PostgresError as error:
        raise MigrationError(f"{migration.name}.sql: {error}") from error


async def _record(connection: Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO app.migrations (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )
