import asyncio
import os
import signal
import time

import pytest

from db import users
from db.embedded import embedded
from db.listener import listening
from db.migrate import migrate
from db.models import Theme
from db.pool import Database, connect


class Heard:
    """What a listener was told, to be waited for."""

    def __init__(self):
        self.notes = []
        self.resyncs = 0

    def note(self, channel, payload):
        self.notes.append((channel, payload))

    def resync(self):
        self.resyncs += 1

    async def until(self, condition, within_s=10):
        async with asyncio.timeout(within_s):
            while not condition(self):
                await asyncio.sleep(0.01)

    def listening(self, url, *channels, **options):
        return listening(url, channels, on_notify=self.note, on_resync=self.resync, **options)


@pytest.fixture
def heard():
    return Heard()


async def test_a_changed_preference_is_told_with_the_user(heard, database, database_url):
    async with heard.listening(database_url, "preferences"):
        await heard.until(lambda h: h.resyncs == 1)
        for theme in (Theme.LIGHT, Theme.DARK):
            async with database.as_user(42) as conn:
                await users.set_preferences(conn, 42, "de", theme=theme)
        await heard.until(lambda h: len(h.notes) == 2)
    assert heard.notes == [("preferences", "42")] * 2


async def test_channels_are_told_apart(heard, database, database_url):
    async with heard.listening(database_url, "one", "two"):
        await heard.until(lambda h: h.resyncs == 1)
        async with database.acquire() as conn:
            await conn.execute("NOTIFY two, 'b'; NOTIFY one, 'a'; NOTIFY three, 'c'")
        await heard.until(lambda h: len(h.notes) == 2)
    assert heard.notes == [("two", "b"), ("one", "a")]


async def test_closing_leaves_no_connection_behind(heard, superuser, database_url):
    name = database_url.partition("?")[0].rpartition("/")[2]
    async with heard.listening(database_url, "preferences"):
        await heard.until(lambda h: h.resyncs == 1)
        assert await superuser.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name) == 1
    async with asyncio.timeout(5):
        connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        while await superuser.fetchval(connected, name):
            await asyncio.sleep(0.01)


async def test_a_cut_connection_is_replaced_and_resynced(heard, superuser, database, database_url):
    name = database_url.partition("?")[0].rpartition("/")[2]
    async with heard.listening(database_url, "preferences"):
        for times in range(1, 4):
            await heard.until(lambda h, times=times: h.resyncs == times)
            await superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await heard.until(lambda h: h.resyncs == 4)
        async with database.acquire() as conn:
            await conn.execute("NOTIFY preferences, 'still here'")
        await heard.until(lambda h: h.notes == [("preferences", "still here")])


async def test_a_killed_server_is_followed_again(heard, own_server, kill):
    database = await Database.open(own_server.url)

    async def tell():
        async with database.acquire() as conn:
            await conn.execute("NOTIFY preferences, 'hello'")

    async with heard.listening(own_server.url, "preferences"):
        await heard.until(lambda h: h.resyncs == 1)
        kill(own_server)
        await heard.until(lambda h: h.resyncs == 2)
        await database.retry(tell)
        await heard.until(lambda h: h.notes == [("preferences", "hello")])
    await database.close()


async def test_a_server_that_hangs_is_given_up_after_the_heartbeat(heard, own_server):
    async with heard.listening(own_server.url, "preferences", heartbeat_s=0.2):
        await heard.until(lambda h: h.resyncs == 1)
        superuser = await connect(own_server.superuser_url)
        pid = await superuser.fetchval("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        await superuser.close()
        os.kill(pid, signal.SIGSTOP)
        try:
            await heard.until(lambda h: h.resyncs == 2)
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_a_listener_may_start_before_the_server(heard, tmp_path):
    async with embedded(tmp_path) as server:
        url = server.url
    started = time.monotonic()
    async with heard.listening(url, "preferences"):
        assert time.monotonic() - started < 0.1
        await asyncio.sleep(0.2)
        async with embedded(tmp_path) as server:
            await migrate(server.url)
            await heard.until(lambda h: h.resyncs == 1)
