"""Ticks: when they are due, and that any number of workers make one of each."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from db.pool import Database
from services.clock import Calendar
from services.timetable import Moment, Timetable, at_close, at_open, every

DAYS = tuple(
    (datetime(2026, 11, day, 14, 30, tzinfo=UTC), datetime(2026, 11, day, hour, tzinfo=UTC))
    for day, hour in ((20, 21), (23, 21), (24, 21), (25, 21), (27, 18), (30, 21))  # 26 is Thanksgiving, 27 a half day
)
CALENDAR = Calendar(DAYS)


def moment(text):
    at = datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC)
    return Moment(at, at, CALENDAR)


@pytest.mark.parametrize(
    ("at", "slot"),
    [
        ("23 14:30:59", None),
        ("23 14:31:00", "2026-11-23"),
        ("23 15:00:59", "2026-11-23"),  # a worker that comes a little late catches up
        ("23 15:01:00", None),
        ("22 14:31:00", None),  # Sunday
        ("26 14:31:00", None),  # Thanksgiving
        ("27 14:31:00", "2026-11-27"),
    ],
)
def test_the_opening_ticks_on_trading_days(at, slot):
    assert at_open("board.open", after=timedelta(minutes=1)).slot(moment(at)) == slot


@pytest.mark.parametrize(
    ("at", "slot"),
    [
        ("23 21:00:59", None),
        ("23 21:01:00", "2026-11-23"),
        ("23 23:01:00", None),
        ("27 18:01:00", "2026-11-27"),  # the half day closes early
        ("27 21:01:00", None),
        ("26 21:01:00", None),
    ],
)
def test_the_close_ticks_on_trading_days(at, slot):
    assert at_close("board.close", after=timedelta(minutes=1)).slot(moment(at)) == slot


def test_periods_tick_once_each_and_anew_for_other_contents():
    entry = every("symbols", 3600)
    assert entry.slot(moment("23 14:00:00")) == entry.slot(moment("23 14:59:59"))
    assert entry.slot(moment("23 15:00:00")) != entry.slot(moment("23 14:59:59"))
    assert every("symbols", 3600, of="a").slot(moment("23 14:00:00")) != entry.slot(moment("23 14:00:00"))


async def waiting(database):
    async with database.acquire() as conn:
        return [(r["name"], r["payload"]) for r in await conn.fetch("SELECT name, payload FROM app.jobs ORDER BY id")]


async def test_many_workers_make_one_tick_of_each_slot(database_url):
    now = moment("23 14:30:00")
    databases = [await Database.open(database_url, max_size=2) for _ in range(5)]
    entry = at_open("board.open")
    workers = [Timetable(database, [entry], lambda: now) for database in databases]
    try:
        for text in ("23 14:30:00", "23 14:30:01", "24 14:30:00", "24 14:31:00"):
            now = moment(text)
            await asyncio.gather(*(worker.look(entry) for worker in workers for _ in range(3)))
        assert await waiting(databases[0]) == [
            ("board.open", '{"at": "2026-11-23T14:30:00+00:00", "slot": "2026-11-23"}'),
            ("board.open", '{"at": "2026-11-24T14:30:00+00:00", "slot": "2026-11-24"}'),
        ]
    finally:
        for database in databases:
            await database.close()


async def test_a_tick_missed_while_postgresql_was_away_is_made_afterwards(own_server, kill):
    database = await Database.open(own_server.url)
    entry = at_open("board.open")
    table = Timetable(database, [entry], lambda: moment("23 14:30:00"))
    try:
        await waiting(database)
        kill(own_server)
        await table.look(entry)
        await Database.retry(lambda: waiting(database), within_s=20)
        await table.look(entry)
        assert len(await waiting(database)) == 1
    finally:
        await database.close()


async def test_the_clock_of_a_worker_follows_a_market_that_runs_faster(database):
    began = asyncio.get_running_loop().time()
    opens = DAYS[1][0]

    def now():
        market = opens - timedelta(minutes=10) + timedelta(seconds=600 * (asyncio.get_running_loop().time() - began))
        return Moment(datetime.now(UTC), market, CALENDAR)

    async with Timetable(database, [at_open("board.open"), every("second", 1)], now).running():
        await asyncio.sleep(2.6)
    names = [name for name, _ in await waiting(database)]
    assert names.count("board.open") == 1
    assert 3 <= names.count("second") <= 4
