import asyncio
import math
import socket
import time
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.embedded import embedded
from db.migrate import migrate
from db.pool import Database, DatabaseRefused, DatabaseUnavailable
from services.health import Health
from services.settings import Settings
from services.wiring import Services
from web.app import build


async def one(database: Database) -> int:
    async with database.acquire() as conn:
        return await conn.fetchval("SELECT 1")


async def test_money_and_instants_come_back_as_they_went(database):
    @given(
        st.decimals(allow_nan=False, allow_infinity=False),
        st.datetimes(timezones=st.timezones(), allow_imaginary=False),
    )
    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    def check(money, instant):
        coroutine = conn.fetchrow("SELECT $1::numeric AS money, $2::timestamptz AS instant", money, instant)
        examples.append((money, instant, coroutine))

    examples: list = []
    async with database.acquire() as conn:
        check()
        for money, instant, coroutine in examples:
            row = await coroutine
            assert row["money"] == money
            assert row["instant"] == instant.astimezone(UTC)  # in an hour that comes twice, nothing equals another zone
            assert row["instant"].tzinfo is UTC


async def test_lists_of_money_go_through_the_same_codec(database):
    async with database.acquire() as conn:
        assert await conn.fetchval("SELECT $1::numeric[]", [Decimal("0.10"), None]) == [Decimal("0.10"), None]
        with pytest.raises(asyncpg.DataError, match="floats lose cents"):
            await conn.fetchval("SELECT $1::numeric[]", [0.1])


@pytest.mark.parametrize("value", [0.1, 1, math.nan, Decimal("NaN"), "0.1"])
async def test_numeric_takes_nothing_but_a_finite_decimal(database, value):
    async with database.acquire() as conn:
        with pytest.raises(asyncpg.DataError, match="takes a finite Decimal"):
            await conn.fetchval("SELECT $1::numeric", value)


async def test_timestamptz_refuses_a_naive_time(database):
    async with database.acquire() as conn:
        with pytest.raises(asyncpg.DataError, match="takes an aware datetime"):
            await conn.fetchval("SELECT $1::timestamptz", datetime(2026, 1, 2))  # noqa: DTZ001 that is the point
        tokyo = datetime(2026, 1, 2, 9, tzinfo=timezone(timedelta(hours=9)))
        assert await conn.fetchval("SELECT $1::timestamptz", tokyo) == datetime(2026, 1, 2, tzinfo=UTC)


async def test_a_transaction_is_rolled_back_when_its_block_raises(database):
    async def fail():
        async with database.as_user(1) as conn:
            await conn.execute("INSERT INTO app.profiles (user_id, locale) VALUES (1, 'de')")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with database.as_user(1) as conn:
        assert await conn.fetch("SELECT user_id FROM app.profiles") == []


async def test_a_swallowed_error_does_not_pass_for_a_commit(database):
    async def swallow():
        async with database.transaction() as conn:
            with pytest.raises(asyncpg.UndefinedTableError):
                await conn.execute("SELECT FROM app.nowhere")

    with pytest.raises(RuntimeError, match="rolled all of it back"):
        await swallow()


async def test_a_cancelled_block_leaves_a_usable_connection(database_url):
    database = await Database.open(database_url, max_size=1)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), database.transaction() as conn:
                await conn.execute("SELECT pg_sleep(5)")
        assert await one(database) == 1
    finally:
        await database.close()


async def test_ping_is_in_seconds_and_writing_is_possible(database):
    assert 0 < await database.ping() < 1
    assert await database.writable()


async def test_a_read_only_server_is_seen(superuser, database_url, database):
    name = database_url.partition("?")[0].rpartition("/")[2]
    await superuser.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert not await database.writable()


async def test_a_read_only_database_is_not_ready(superuser, database_url, database):
    name = database_url.partition("?")[0].rpartition("/")[2]
    rest = {field.name: None for field in fields(Services)}
    services = Services(**{**rest, "settings": Settings(_env_file=None), "database": database, "health": Health()})
    async with TestClient(TestServer(build(services))) as client:
        assert (await client.get("/readyz")).status == 200
    await superuser.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    services = replace(services, database=await Database.open(database_url))
    async with TestClient(TestServer(build(services))) as client:
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert (await answer.json())["parts"]["database"] == {"ok": False, "detail": "takes no writes at the moment"}
    await services.database.close()


async def test_misuse_stays_visible(database):
    async with database.acquire() as conn:
        with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress"):
            await asyncio.gather(conn.execute("SELECT pg_sleep(0.1)"), conn.execute("SELECT 1"))
        await asyncio.sleep(0.2)


async def test_an_exhausted_pool_says_so_within_a_second_or_so(database_url):
    database = await Database.open(database_url, max_size=1)
    try:
        async with database.acquire():
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                await one(database)
            assert time.monotonic() - started < 2
    finally:
        await database.close()


@pytest.mark.parametrize("url", ["postgresql://a:b@127.0.0.1:1/x", "postgresql://a:b@/x?host=/nonexistent", "x://y"])
async def test_a_server_that_is_away_fails_fast(url):
    database = await Database.open(url)
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await one(database)
    assert time.monotonic() - started < 2
    await database.close()


async def test_a_server_that_accepts_and_stays_silent_fails_fast():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = await Database.open(f"postgresql://a:b@127.0.0.1:{port}/x")
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await one(database)
        assert time.monotonic() - started < 2
        await database.close()


async def test_a_wrong_password_is_told_apart_and_shown_nowhere(url_of):
    database = await Database.open(url_of("pulse", "pulse", "hunter2"))
    with pytest.raises(DatabaseRefused, match="password authentication failed") as refused:
        await one(database)
    assert "hunter2" not in str(refused.value)
    await database.close()


async def test_a_pool_opened_before_the_server_works_when_it_comes(tmp_path):
    async with embedded(tmp_path) as server:
        url = server.url
    database = await Database.open(url)
    with pytest.raises(DatabaseUnavailable):
        await one(database)
    async with embedded(tmp_path):
        with pytest.raises(DatabaseRefused, match="pulse migrate"):
            await one(database)
        await migrate(url)
        assert await one(database) == 1
        await database.close()


async def test_the_pool_survives_a_killed_server(own_server, kill):
    database = await Database.open(own_server.url)

    async def work_on_a_dying_server():
        async with database.transaction() as conn:
            kill(own_server)
            await conn.execute("SELECT pg_sleep(5)")

    try:
        with pytest.raises(DatabaseUnavailable):
            await work_on_a_dying_server()
        assert await database.retry(lambda: one(database)) == 1
        assert await one(database) == 1
    finally:
        await database.close()


async def test_retry_gives_up_in_time_and_repeats_nothing_else():
    attempts = []

    async def away() -> None:
        attempts.append(1)
        raise DatabaseUnavailable("gone")

    async def broken() -> None:
        attempts.append(1)
        raise KeyError

    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await Database.retry(away, within_s=0.5)
    assert time.monotonic() - started < 1
    assert len(attempts) > 2
    attempts.clear()
    with pytest.raises(KeyError):
        await Database.retry(broken)
    assert len(attempts) == 1
