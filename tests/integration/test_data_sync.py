"""The gamma history as it is collected: each slot once, faults tried again, gaps left as gaps."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from history_stage import CALENDAR, CLOSES, EVERY, LATE, OPENS, SLOT, Source, Stage
from obstore.store import LocalStore

from db import history
from db.pool import Database
from services import data_sync, gamma_history, jobs
from services.chart_pool import ChartPool
from services.errors import FeedUnavailable, NoChain, StorageUnavailable, UserError
from services.gamma_history import GammaHistory
from services.jobs import Again, Worker
from services.plans import PLANS, Plan
from services.storage import Storage
from services.timetable import Moment, Timetable, while_open


@pytest.fixture(scope="module")
async def pool():
    opened = ChartPool(1)
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
def stage(database, pool, tmp_path):
    return Stage(database, pool, Storage(LocalStore(tmp_path / "files", mkdir=True)))


@asynccontextmanager
async def working(database, *known):
    stop = asyncio.Event()
    workers = [asyncio.create_task(Worker(database, each).run(stop)) for each in known]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*workers)


async def until(condition, within_s=15):
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_slot_is_kept_as_file_row_and_open_interest_and_once_only(stage):
    await stage.point()
    assert await stage.stored() == [("SPY", SLOT)]
    assert await stage.files() == ["SPY/2026-11-20/1005.csv.gz"]
    stage.source.spots["SPY"] = 610.0
    await stage.point()
    await stage.point()
    [(_, as_of, spot, closing, zero_dte)] = await stage.stored("symbol, as_of, spot, closing, zero_dte")
    assert (as_of, spot, closing) == (SLOT - LATE, 600.0, False)
    assert 0 < zero_dte < 1
    assert stage.source.asked == ["SPY"], "what is stored is not asked for again"
    async with stage.database.acquire() as conn:
        [interest] = await conn.fetch("SELECT day, calls, puts, strikes, call_oi, put_oi FROM app.open_interest")
    assert interest["day"] == date(2026, 11, 19)
    assert interest["calls"] == sum(interest["call_oi"]) == 3 * (10 * 900 + 11 * 300)
    assert interest["puts"] == sum(interest["put_oi"]) == 3 * (10 * 300 + 11 * 900)
    assert len(interest["strikes"]) == 21


async def test_two_workers_make_one_point_of_each_symbol_and_slot(stage, monkeypatch):
    monkeypatch.setattr(data_sync, "PACE_S", 0.01)
    entry = while_open("history", EVERY)
    now = lambda: Moment(datetime.now(UTC), SLOT, CALENDAR)  # noqa: E731
    tables = [Timetable(stage.database, [entry], now) for _ in range(2)]
    async with working(stage.database, stage.jobs(), stage.jobs(stage.worker_like())):
        await asyncio.gather(*(table.look(entry) for table in tables for _ in range(3)))

        async def done():
            async with stage.database.acquire() as conn:
                return not await conn.fetchval("SELECT count(*) FROM app.jobs")

        await until(done)
    assert await stage.stored() == [("QQQ", SLOT), ("SPY", SLOT)]
    assert sorted(stage.source.asked) == ["QQQ", "SPY"]


async def test_a_symbol_that_fails_does_not_stop_the_others_and_is_named(stage, monkeypatch):
    monkeypatch.setattr(data_sync, "PACE_S", 0.01)
    monkeypatch.setattr(data_sync, "RETRY_S", 0.05)
    stage.source.wrong["SPY"] = FeedUnavailable("Stage", "on strike")
    async with working(stage.database, stage.jobs()):
        await stage.sync.begin({"slot": SLOT.isoformat()})

        async def one():
            return await stage.stored() == [("QQQ", SLOT)] and stage.source.asked.count("SPY") > 2

        await until(one)
        part = await stage.sync.part()
        assert part.ok
        assert part.detail.splitlines()[0] == "1 of 2 symbols at 20 Nov 10:05 ET"
        assert "SPY: Stage, on strike" in part.detail
        del stage.source.wrong["SPY"]

        async def both():
            return len(await stage.stored()) == 2

        await until(both)
    assert (await stage.sync.part()).detail == "2 of 2 symbols at 20 Nov 10:05 ET"


async def test_a_vendor_that_names_a_pause_is_given_it(stage):
    stage.source.wrong["SPY"] = FeedUnavailable("Stage", "too many requests", retry_after_s=41)
    with pytest.raises(Again) as again:
        await stage.point()
    assert again.value.after == timedelta(seconds=41)


class Flaky(Storage):
    """Refuses so many files before it takes one."""

    refusals = 2

    async def put(self, key, data):
        if self.refusals:
            self.refusals -= 1
            raise StorageUnavailable
        await super().put(key, data)


async def test_a_storage_that_fails_loses_nothing(database, pool, tmp_path, monkeypatch):
    monkeypatch.setattr(data_sync, "RETRY_S", 0.05)
    stage = Stage(database, pool, Flaky(LocalStore(tmp_path)))
    async with working(database, stage.jobs()):
        async with database.transaction() as conn:
            about = {"symbol": "SPY", "slot": SLOT.isoformat(), "closing": False}
            await jobs.enqueue(conn, "history.point", about)

        async def done():
            return await stage.stored() == [("SPY", SLOT)]

        await until(done)
    assert await stage.files() == ["SPY/2026-11-20/1005.csv.gz"]


async def test_a_worker_killed_between_file_and_row_leaves_both_to_the_next(database, database_url, pool, tmp_path):
    async with database.transaction() as conn:
        await jobs.enqueue(
            conn, "history.point", {"symbol": "SPY", "slot": SLOT.isoformat(), "closing": False}, "history:SPY"
        )
    stage = Stage(database, pool, Storage(LocalStore(tmp_path)))
    command = [sys.executable, str(Path(__file__).with_name("history_stage.py")), database_url, str(tmp_path)]
    root = str(Path(__file__).parents[2])
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=root, env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 9, ended.stderr
    assert await stage.stored() == []
    assert await stage.files() == ["SPY/2026-11-20/1005.csv.gz"], "an orphan, which harms nobody"
    assert (await reader(stage).series("SPY", 5, LIVE)).points == []
    async with working(database, stage.jobs()):

        async def done():
            return await stage.stored() == [("SPY", SLOT)]

        await until(done)
    assert await stage.files() == ["SPY/2026-11-20/1005.csv.gz"]


LIVE = PLANS[Plan.ELITE]


def reader(stage, files=7):
    return GammaHistory(
        stage.database,
        stage.market,
        stage.pool,
        stage.storage,
        symbols=("SPY", "QQQ"),
        every=EVERY,
        files=timedelta(days=files),
    )


async def test_each_slot_asks_for_its_own_chain(stage, monkeypatch):
    monkeypatch.setattr(data_sync, "FRESH", timedelta())
    for slot in (SLOT, SLOT + EVERY):
        stage.source.at = slot
        await stage.sync.point({"symbol": "SPY", "slot": slot.isoformat(), "closing": False})
    assert len(await stage.stored()) == 2


@pytest.mark.parametrize(
    ("newest", "now", "stands_still"),
    [
        (SLOT, SLOT + timedelta(minutes=15), False),
        (SLOT, SLOT + timedelta(minutes=16), True),
        (SLOT, CLOSES + timedelta(hours=9), True),
        (CLOSES - EVERY, CLOSES + timedelta(hours=9), False),
        (CLOSES, CALENDAR.sessions[3][0] + timedelta(minutes=15), False),
        (CLOSES, CALENDAR.sessions[3][0] + timedelta(minutes=16), True),
    ],
)
async def test_a_collecting_that_stands_still_is_not_shown_as_fine(stage, newest, now, stands_still):
    async with stage.database.transaction() as conn:
        await history.set_sync(conn, history.GammaSync("SPY", newest, None))
    stage.source.at = now
    part = await stage.sync.part()
    assert part.ok is not stands_still
    assert part.detail.startswith("nothing since 20 Nov ") is stands_still


async def test_a_symbol_that_is_followed_no_more_does_not_count(stage):
    async with stage.database.transaction() as conn:
        await history.set_sync(conn, history.GammaSync("OLD", SLOT - 2 * EVERY, "on strike"))
        await history.set_sync(conn, history.GammaSync("QQQ", SLOT - EVERY, None))
        await history.set_sync(conn, history.GammaSync("SPY", SLOT, None))
    assert (await stage.sync.part()).detail == "2 of 2 symbols at 20 Nov 10:05 ET"


async def test_followed_symbols_are_collected_up_to_a_bound(stage, monkeypatch):
    monkeypatch.setattr(gamma_history, "MOST_SYMBOLS", 3)
    async with stage.database.transaction() as conn:
        await conn.execute(
            """
            INSERT INTO app.watches (channel_id, user_id, token, symbols, every_min)
            VALUES (4, 5, 'a', '{DIA,IWM}', 5)
            """
        )
    await stage.sync.begin({"slot": SLOT.isoformat()})
    assert await stage.handed_out() == ["SPY", "QQQ", "DIA"]
    assert (await reader(stage).series("DIA", 5, LIVE)).collected
    assert not (await reader(stage).series("IWM", 5, LIVE)).collected


async def test_a_day_has_its_close_once_and_days_before_have_theirs(stage):
    for day in (1, 2):
        stage.source.at = CALENDAR.sessions[day][1] + LATE
        await stage.point(slot=CALENDAR.sessions[day][1], closing=True)
    series = await reader(stage).series("SPY", 1, LIVE)
    assert [(day.date.day, day.close is not None) for day in series.days] == [(19, True)]
    assert [point.slot for point in series.today] == [CLOSES]


async def test_a_close_of_the_afternoon_or_of_hours_later_is_none(stage):
    stage.source.at, stage.source.stuck = CLOSES + LATE, CLOSES - timedelta(minutes=6)
    with pytest.raises(Again):
        await stage.point(slot=CLOSES, closing=True)
    stage.source.stuck, stage.source.at = CLOSES, CLOSES + timedelta(hours=2)
    await stage.point(slot=CLOSES, closing=True)
    assert await stage.stored() == []


@pytest.mark.parametrize("late_by", [EVERY, -EVERY])
async def test_a_slot_that_is_over_or_to_come_stays_a_gap(stage, late_by):
    stage.source.at = SLOT + late_by
    await stage.point()
    assert await stage.stored() == []
    assert stage.source.asked == []


async def test_old_news_is_no_point(stage):
    await stage.point()
    stage.source.stuck, stage.source.at = SLOT - LATE, SLOT + EVERY
    with pytest.raises(Again):
        await stage.point(slot=SLOT + EVERY)
    stage.source.stuck = OPENS - timedelta(days=1)
    with pytest.raises(Again):
        await stage.point("QQQ", slot=SLOT + EVERY)
    assert await stage.stored() == [("SPY", SLOT)]


async def test_recordings_and_symbols_without_options_are_not_collected(database, pool, tmp_path):
    stage = Stage(database, pool, Storage(LocalStore(tmp_path)), Source(delay=None))
    await stage.point()
    await stage.point("BARE")
    await stage.point("NOPE")
    assert await stage.stored() == []
    assert (await stage.sync.part()).detail.startswith("nothing collected yet")


async def test_a_symbol_without_options_is_asked_for_once_a_day(stage):
    sync = stage.worker_like(symbols=("BARE", "NOPE", "SPY"))
    await sync.begin({"slot": SLOT.isoformat()})
    assert await stage.handed_out() == ["BARE", "NOPE", "SPY"]
    for symbol in ("BARE", "NOPE", "SPY"):
        await sync.point({"symbol": symbol, "slot": SLOT.isoformat(), "closing": False})
    await sync.begin({"slot": (SLOT + EVERY).isoformat()})
    assert await stage.handed_out() == ["SPY"]
    await sync.begin_close({"slot": "2026-11-20"})
    assert await stage.handed_out() == ["SPY"]
    await sync.begin({"slot": (CALENDAR.sessions[3][0] + EVERY).isoformat()})
    assert await stage.handed_out() == ["BARE", "NOPE", "SPY"], "new options are listed overnight"


async def test_a_symbol_that_has_had_options_is_asked_for_at_each_slot(stage):
    await stage.point()
    stage.source.at = SLOT + EVERY
    stage.source.wrong["SPY"] = NoChain("SPY")
    await stage.sync.point({"symbol": "SPY", "slot": stage.source.at.isoformat(), "closing": False})
    assert stage.source.asked == ["SPY", "SPY"]
    await stage.sync.begin({"slot": (SLOT + 2 * EVERY).isoformat()})
    assert await stage.handed_out() == ["SPY", "QQQ"]


async def test_the_close_waits_until_its_source_has_come_to_it(stage):
    await stage.point()
    stage.source.at = CLOSES + timedelta(minutes=1)
    asked = len(stage.source.asked)
    with pytest.raises(Again):
        await stage.point(slot=CLOSES, closing=True)
    assert len(stage.source.asked) == asked, "how late it is was known"
    stage.source.at = CLOSES + LATE
    await stage.point(slot=CLOSES, closing=True)
    assert await stage.stored("slot, closing, as_of") == [(SLOT, False, SLOT - LATE), (CLOSES, True, CLOSES)]
    assert await stage.files() == ["SPY/2026-11-20/1005.csv.gz", "SPY/2026-11-20/1600.csv.gz"]


async def test_what_boards_watches_and_alerts_name_is_collected_after_the_settings_symbols(stage):
    async with stage.database.transaction() as conn:
        await conn.execute(
            "INSERT INTO app.boards (guild_id, channel_id, symbols, set_by) VALUES (1, 2, '{IWM,SPY}', 3)"
        )
        await conn.execute(
            "INSERT INTO app.watches (channel_id, user_id, token, symbols, every_min) VALUES (4, 5, 'a', '{DIA}', 5)"
        )
    async with stage.database.as_user(7) as conn:
        await conn.execute(
            """
            INSERT INTO app.alerts (token, user_id, symbol, condition, level, always, dm, after_at, state)
            VALUES ('a', 7, 'NVDA', 'above', 1, false, true, now(), 'active'),
                ('b', 7, 'AMD', 'above', 1, false, true, now(), 'fired')
            """
        )
    await stage.sync.begin_close({"slot": "2026-11-20"})
    async with stage.database.acquire() as conn:
        rows = await conn.fetch(
            "SELECT payload::jsonb ->> 'symbol', payload ->> 'slot', due_at FROM app.jobs ORDER BY due_at"
        )
    assert [(row[0], row[1]) for row in rows] == [
        (symbol, CLOSES.isoformat()) for symbol in ("SPY", "QQQ", "IWM", "DIA", "NVDA")
    ]
    waits = [(row["due_at"] - rows[0]["due_at"]).total_seconds() for row in rows]
    assert waits == pytest.approx([0, 1, 2, 3, 4], abs=0.1)


async def test_old_points_and_files_go_and_closes_stay(stage):
    for day in range(3):
        stage.source.at = CALENDAR.sessions[day][0] + timedelta(minutes=35)
        await stage.point(slot=stage.source.at)
        stage.source.at = CALENDAR.sessions[day][1] + LATE
        await stage.point(slot=CALENDAR.sessions[day][1], closing=True)
    await stage.storage.put("README", b"not ours")
    await stage.sync.tidy(points=timedelta(days=2), files=timedelta(days=1))
    assert await stage.stored("slot::date, closing") == [
        (date(2026, 11, 18), True),
        (date(2026, 11, 19), False),
        (date(2026, 11, 19), True),
        (date(2026, 11, 20), False),
        (date(2026, 11, 20), True),
    ]
    assert await stage.files() == ["README", "SPY/2026-11-20/1005.csv.gz", "SPY/2026-11-20/1600.csv.gz"]


async def test_a_plan_shows_no_point_that_is_younger_than_its_chains(stage):
    slots = [SLOT + n * EVERY for n in range(4)]
    for slot in slots:
        stage.source.at = stage.source.stuck = slot
        await stage.point(slot=slot)
    stage.source.at, read = slots[3] + timedelta(seconds=1), reader(stage)
    for plan, last in ((Plan.ELITE, 3), (Plan.PRO, 2), (Plan.FREE, 0)):
        terms = PLANS[plan]
        series = await read.series("SPY", 5, terms)
        assert [point.slot for point in series.today] == slots[: last + 1], plan
        late = timedelta(0) if plan is Plan.ELITE else terms.chain_age
        assert series.next_at == slots[last] + EVERY + late > stage.source.at, "when it is shown, not when it is stored"
        frame = await read.frame("SPY", slots[3], "dark", terms)
        assert (frame.point.slot, frame.next, frame.last) == (slots[last], None, slots[last])
    stage.source.at = slots[0] + timedelta(minutes=14)
    hidden = await read.series("SPY", 5, PLANS[Plan.FREE])
    assert (hidden.today, hidden.since) == ((), None)


async def test_a_replay_steps_over_days_and_says_when_a_file_is_gone(stage):
    slots = []
    for day in (1, 2):
        for minutes in (5, 10):
            stage.source.at = CALENDAR.sessions[day][0] + timedelta(minutes=minutes)
            stage.source.stuck = stage.source.at
            await stage.point(slot=stage.source.at)
            slots.append(stage.source.at)
    read = reader(stage)
    begin = await read.frame("SPY", None, "dark", LIVE)
    assert (begin.point.slot, begin.previous, begin.next, begin.number, begin.of) == (
        slots[2],
        slots[1],
        slots[3],
        1,
        2,
    )
    assert (begin.first, begin.last) == (slots[2], slots[3])
    assert begin.picture.gamma.as_of == slots[2]
    first = await read.frame("SPY", slots[0], "dark", LIVE)
    assert (first.previous, first.next, first.number) == (None, slots[1], 1)
    end = await read.frame("SPY", slots[3] + timedelta(minutes=3), "light", LIVE)
    assert (end.point.slot, end.next) == (slots[3], None)
    with pytest.raises(UserError, match="replays go back 7 days"):
        await read.frame("SPY", slots[0] - EVERY, "dark", LIVE)
    await stage.storage.delete(await stage.files())
    with pytest.raises(Exception, match="replays go back 7 days"):
        await read.frame("SPY", None, "dark", LIVE)
    await stage.storage.put("SPY/2026-11-20/0935.csv.gz", b"\x1f\x8bnonsense")
    with pytest.raises(Exception, match="damaged"):
        await read.frame("SPY", None, "dark", LIVE)


async def test_every_query_has_its_index(database):
    async with database.transaction() as conn:
        await conn.execute(
            """
            INSERT INTO app.gamma_history
            (symbol, slot, closing, as_of, source, delay, spot, net, gross, zero_dte, coverage)
            SELECT 'S' || n % 20, timestamptz '2026-01-01' + n * interval '5 minutes', n % 79 = 0, now(),
                'x', '0', 1, 1, 1, 0, 1
            FROM generate_series(1, 20000) AS n
            """
        )
        await conn.execute("SET LOCAL enable_seqscan = off")
        queries = {
            "gamma_history_closes": "SELECT slot FROM app.gamma_history WHERE symbol = 'S1' AND closing "
            "AND slot <= now() ORDER BY slot DESC LIMIT 20",
            "gamma_history_pkey": "SELECT slot FROM app.gamma_history WHERE symbol = 'S1' "
            "AND slot BETWEEN '2026-02-01' AND '2026-02-02' ORDER BY slot",
            "gamma_history_intraday": "DELETE FROM app.gamma_history WHERE NOT closing AND slot < '2026-01-02'",
            "open_interest_pkey": "SELECT calls FROM app.open_interest WHERE symbol = 'SPY' AND day = '2026-11-19'",
            "gamma_syncs_pkey": "SELECT slot FROM app.gamma_syncs WHERE symbol = 'SPY'",
            "watches_token_key": "SELECT 1 FROM app.watches WHERE token = 'a'",
            "watches_of_guild": "SELECT count(*) FROM app.watches WHERE guild_id = 1",
        }
        for index, query in queries.items():
            plan = "\n".join(row["QUERY PLAN"] for row in await conn.fetch(f"EXPLAIN {query}"))
            assert index in plan, plan


async def test_a_newer_slots_news_is_not_overwritten_by_an_older_one(database):
    newer = history.GammaSync("SPY", SLOT + EVERY, None)
    async with database.transaction() as conn:
        await history.set_sync(conn, newer)
        await history.set_sync(conn, history.GammaSync("SPY", SLOT, "late"))
        assert await history.list_syncs(conn) == [newer]


async def test_people_cannot_read_the_history_nor_write_it(database):
    for statement in (
        "SELECT * FROM app.gamma_history",
        "DELETE FROM app.open_interest",
        "SELECT * FROM app.gamma_syncs",
    ):
        with pytest.raises(Exception, match="permission denied"):
            async with database.as_user(7) as conn:
                await conn.execute(statement)


async def test_while_the_database_is_away_the_status_says_so(pool, tmp_path):
    database = await Database.open("postgresql://nobody@127.0.0.1:1/none")
    stage = Stage(database, pool, Storage(LocalStore(tmp_path)))
    part = await stage.sync.part()
    assert (part.ok, part.detail) == (False, "not known while the database is away")
    await database.close()
