import asyncio
import os
import subprocess
import sys

import asyncpg
import pytest

from db.embedded import embedded
from db.migrate import MIGRATIONS, MigrationError, migrate, read_migrations, schema_current
from db.pool import connect
from services.errors import PulseError
from services.settings import Settings
from services.wiring import migrate as migrate_by_settings


@pytest.fixture
def folder(tmp_path):
    """Migrations of one's own."""

    def write(**files):
        for name, sql in files.items():
            (tmp_path / f"{name.lstrip('_')}.sql").write_text(sql)
        return tmp_path

    return write


async def fetch(url, query, role=None):
    conn = await connect(url, role=role)
    try:
        return await conn.fetchval(query)
    finally:
        await conn.close()


async def current(url):
    conn = await connect(url, role="pulse_service")
    try:
        return await schema_current(conn)
    finally:
        await conn.close()


async def test_a_new_database_gets_every_migration_once(empty_database_url):
    assert not await current(empty_database_url)
    assert await migrate(empty_database_url) == [migration.name for migration in read_migrations()]
    assert await current(empty_database_url)
    assert await migrate(empty_database_url) == []


async def test_two_runs_at_once_apply_everything_once(empty_database_url):
    one, two = await asyncio.gather(migrate(empty_database_url), migrate(empty_database_url))
    assert sorted([one, two], key=len) == [[], [migration.name for migration in read_migrations()]]


async def test_a_server_without_the_roles_gets_them(own_server):
    assert await current(own_server.url)


async def test_a_newer_schema_counts_as_current(empty_database_url, folder):
    for path in MIGRATIONS.glob("*.sql"):
        folder(**{path.stem: path.read_text()})
    newest = len(read_migrations()) + 1
    await migrate(empty_database_url, folder(**{f"{newest:04d}_from_the_future": "SELECT 1;"}))
    assert await current(empty_database_url)
    assert await migrate(empty_database_url) == []


async def test_a_changed_file_is_named(empty_database_url, folder):
    await migrate(empty_database_url, folder(_0001_first="SELECT 1;", _0002_second="SELECT 2;"))
    with pytest.raises(MigrationError, match=r"0001_first\.sql was changed"):
        await migrate(empty_database_url, folder(_0001_first="SELECT 3;"))


@pytest.mark.parametrize("name", ["0003_skips_one", "0001_is_a_double", "first", "02_short"])
async def test_numbers_without_order_are_named(empty_database_url, folder, name):
    with pytest.raises(MigrationError, match="expected number 000"):
        await migrate(empty_database_url, folder(**{"0001_first": "SELECT 1;", name: "SELECT 2;"}))


async def test_a_gap_in_what_was_applied_is_an_error(empty_database_url, folder):
    files = folder(_0001_first="SELECT 1;", _0002_second="DELETE FROM app.migrations WHERE version = 1;")
    await migrate(empty_database_url, files)
    with pytest.raises(MigrationError, match="has gaps"):
        await migrate(empty_database_url, files)


async def test_a_failing_file_leaves_nothing_behind(empty_database_url, folder):
    files = folder(
        _0001_first="CREATE TABLE app.a (id int);", _0002_second="CREATE TABLE app.b (id int); SELECT 1 / 0;"
    )
    with pytest.raises(MigrationError, match=r"0002_second\.sql: division by zero"):
        await migrate(empty_database_url, files)
    assert await fetch(
        empty_database_url, "SELECT to_regclass('app.a') IS NOT NULL AND to_regclass('app.b') IS NULL", "pulse_owner"
    )
    folder(_0002_second="CREATE TABLE app.b (id int);")
    assert await migrate(empty_database_url, files) == ["0002_second"]


async def test_an_index_can_be_built_concurrently(empty_database_url, folder):
    index = (
        "-- no transaction\nDROP INDEX IF EXISTS app.a_id;\nCREATE INDEX CONCURRENTLY a_id ON app.a (id);\n-- done\n"
    )
    await migrate(empty_database_url, folder(_0001_table="CREATE TABLE app.a (id int);", _0002_index=index))
    assert await fetch(
        empty_database_url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.a_id'::regclass", "pulse_owner"
    )


async def test_a_lock_held_by_others_is_waited_for_for_four_seconds(empty_database_url, folder):
    await migrate(empty_database_url, folder(_0001_note="CREATE TABLE app.a AS SELECT current_setting('lock_timeout')"))
    assert await fetch(empty_database_url, "SELECT * FROM app.a", "pulse_owner") == "4s"


async def test_everything_belongs_to_the_owner_role(database_url):
    owners = "SELECT array_agg(DISTINCT relowner::regrole::text) FROM pg_class WHERE relnamespace = 'app'::regnamespace"
    assert await fetch(database_url, owners) == ["pulse_owner"]
    assert (
        await fetch(database_url, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'app'")
        == "pulse_owner"
    )


async def test_the_service_cannot_touch_the_schema(database_url):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(database_url, "CREATE TABLE app.mine (id int)", role="pulse_service")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await fetch(database_url, "DELETE FROM app.migrations", role="pulse_service")


async def test_a_login_without_rights_is_told_the_sql_that_helps(tmp_path):
    async with embedded(tmp_path) as server:
        superuser = await connect(server.superuser_url)
        await superuser.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
        plain = server.url.replace(server.url.partition("@")[0], "postgresql://plain:x")
        with pytest.raises(MigrationError, match='GRANT pulse_owner, pulse_service TO "plain"') as told:
            await migrate(plain)
        await superuser.execute(str(told.value).partition("\n\n")[2])
        assert await migrate(plain) == [migration.name for migration in read_migrations()]
        assert await current(plain)

        await superuser.execute("ALTER ROLE pulse_service BYPASSRLS")
        with pytest.raises(MigrationError, match="does not bind pulse_service"):
            await migrate(plain)
        await superuser.close()


async def test_a_superuser_login_is_bound_by_its_role(empty_database_url, postgres):
    login = postgres.superuser_url.partition("@")[0]
    url = empty_database_url.replace(empty_database_url.partition("@")[0], login)
    await migrate(url)
    assert await current(url)
    assert not await fetch(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", role="pulse_service")


async def test_an_older_server_is_refused_in_words(empty_database_url, monkeypatch):
    monkeypatch.setattr("db.migrate._OLDEST", 99)
    with pytest.raises(PulseError, match=r"is PostgreSQL \d+; 99 or newer is needed"):
        await migrate_by_settings(Settings(_env_file=None, database_url=empty_database_url))


async def test_a_database_that_takes_no_writes_is_refused_in_words(empty_database_url, superuser):
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    await superuser.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(MigrationError, match="in a read-only transaction"):
        await migrate(empty_database_url)


def pulse_migrate(url):
    environment = {**os.environ, "DATABASE_URL": url}
    command = [sys.executable, "-m", "pulse", "migrate"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


async def test_the_command_tells_what_it_did_and_nothing_the_second_time(empty_database_url):
    first, second = [await asyncio.to_thread(pulse_migrate, empty_database_url) for _ in range(2)]
    assert first.stdout.split() == [migration.name for migration in read_migrations()]
    assert (first.returncode, second.returncode, second.stdout) == (0, 0, "")


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("postgresql://pulse:hunter2@127.0.0.1:1/pulse", "PostgreSQL cannot be reached"),
        ("postgresql://pulse:hunter2@host:port/pulse", "Check DATABASE_URL"),
        (None, 'database "missing" does not exist. Check DATABASE_URL: its login and its database must exist'),
    ],
    ids=["away", "nonsense", "missing"],
)
async def test_the_command_complains_in_a_sentence(url_of, address, complaint):
    ended = await asyncio.to_thread(pulse_migrate, address or url_of("missing"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("pulse: ")
    assert complaint in ended.stderr
    for word in ("Traceback", "hunter2", "pulse migrate"):
        assert word not in ended.stderr
