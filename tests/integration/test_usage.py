"""Usage in the database: limits that hold under concurrency, whoever counts, and who may see and change what."""

import asyncio
import contextlib
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from db import usage as stored
from db import users
from db.listener import listening
from db.pool import Database
from services.errors import LimitReached
from services.outage import Outage
from services.people import People
from services.plans import PLANS, Kind, Plan
from services.recent import Recent
from services.usage import Usage
from services.wiring import _writing_behind

ALICE, BOB = 80351110224678912, 80351110224678913
NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
TODAY = date(2026, 11, 20)
FREE_CHAINS = PLANS[Plan.FREE].most[Kind.CHAIN]


class Process:
    """What one process of the product holds of usage."""

    def __init__(self, database, default=Plan.FREE, now=NOON):
        self.now = now
        self.outage = Outage()
        self.people = People(database, self.outage)
        self.usage = Usage(database, self.outage, self.people, default, lambda: self.now)

    async def spent(self, times, kind=Kind.CHAIN, user=ALICE):
        """How many of so many concurrent uses were allowed."""
        done = await asyncio.gather(*(self.usage.spend(user, kind) for _ in range(times)), return_exceptions=True)
        assert all(isinstance(each, LimitReached) for each in done if isinstance(each, BaseException))
        return sum(not isinstance(each, BaseException) for each in done)


async def used(database, user=ALICE, kind=Kind.CHAIN, day=TODAY):
    async with database.as_user(user) as conn:
        return (await stored.list_used(conn, user, day)).get(kind, 0)


async def give(database, user, plan):
    async with database.acquire() as conn:
        await users.set_plan(conn, user, plan)


async def count(database, *uses, default=Plan.FREE):
    async with database.acquire() as conn:
        await stored.count_uses(conn, default, {use[:3]: use[3] for use in uses})


async def test_the_table_in_the_database_is_the_one_in_the_code(database):
    async with database.acquire() as conn:
        rows = await conn.fetch("SELECT plan, kind, most FROM app.tier_limits")
    assert {(row["plan"], row["kind"]): row["most"] for row in rows} == {
        (plan, kind): most for plan, terms in PLANS.items() for kind, most in terms.most.items()
    }


async def aside(database, user=ALICE, kind=Kind.CHAIN):
    async with database.acquire() as conn:
        return await conn.fetchval(
            "SELECT sum(aside) FROM app.usage_counters WHERE user_id = $1 AND kind = $2", user, kind
        )


@contextlib.asynccontextmanager
async def listening_to(database, *processes):
    """Processes as wiring runs them: what one needs and another holds is given back."""

    def hear(_channel, user):
        for process in processes:
            process.usage.release(int(user))

    ready = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        for process in processes:
            recent = Recent(database, process.outage)
            await stack.enter_async_context(_writing_behind(process.usage, recent))
        await stack.enter_async_context(listening(database.url, ("usage",), on_notify=hear, on_resync=ready.set))
        await ready.wait()
        yield


async def test_fifty_uses_at_once_near_the_limit_are_counted_to_exactly_the_limit(database):
    await count(database, (ALICE, TODAY, Kind.CHAIN, FREE_CHAINS - 7))
    assert await Process(database).spent(50) == 7
    assert await used(database) == FREE_CHAINS


async def test_two_processes_together_stay_within_the_limit_and_reach_it(database, database_url):
    other = await Database.open(database_url)
    try:
        one, two = Process(database), Process(other)
        async with listening_to(database, one, two):
            assert await one.spent(3) == 3
            assert await aside(database) > 0
            assert sum(await asyncio.gather(one.spent(40), two.spent(40))) == FREE_CHAINS - 3
        assert (await used(database), await aside(database)) == (FREE_CHAINS, 0)
    finally:
        await other.close()


async def test_what_another_process_holds_is_given_back_to_who_needs_it(database, database_url):
    other = await Database.open(database_url)
    try:
        one, two = Process(database), Process(other)
        assert await one.spent(1) == 1
        async with listening_to(database, one, two):
            assert await two.spent(FREE_CHAINS) == FREE_CHAINS - 1
        assert await one.spent(1) == 0
    finally:
        await other.close()


async def test_a_killed_process_takes_a_tenth_of_a_limit_along_at_most(database):
    dead = Process(database)
    assert await dead.spent(30) == 30
    held = await aside(database)
    assert 0 < held <= FREE_CHAINS / 10
    assert await Process(database).spent(FREE_CHAINS) >= FREE_CHAINS - 30 - held
    assert await used(database) + await aside(database) <= FREE_CHAINS


async def test_far_from_the_limit_most_uses_ask_nobody(database):
    process = Process(database, Plan.PRO)
    asked = []
    take, process.usage._take = process.usage._take, lambda key: asked.append(key) or take(key)
    for _ in range(200):
        await process.usage.spend(ALICE, Kind.CHAIN)
    assert len(asked) == 8
    await process.usage.write()
    assert await used(database) == 200


async def test_who_stops_gives_back_what_it_held(database):
    process = Process(database)
    await process.spent(1)
    process.usage.release()
    assert process.usage.due.is_set()
    await process.usage.write()
    assert (await used(database), await aside(database)) == (1, 0)


async def test_the_refusal_says_which_limit_and_when_it_ends(database):
    process = Process(database)
    await process.spent(FREE_CHAINS)
    with pytest.raises(LimitReached, match=r"50 gamma and option answers .* \*\*FREE\*\* .* <t:1795237200:R>") as no:
        await process.usage.spend(ALICE, Kind.CHAIN)
    assert no.value.resets_at == datetime(2026, 11, 21, 5, tzinfo=UTC)  # midnight in New York
    assert (await process.usage.spend(ALICE, Kind.QUOTE)).plan is Plan.FREE  # its own limit
    assert await process.spent(1, user=BOB) == 1


async def test_a_day_ends_at_midnight_in_new_york(database):
    process = Process(database)
    assert await process.spent(FREE_CHAINS + 1) == FREE_CHAINS
    process.now = datetime(2026, 11, 21, 4, 59, 59, tzinfo=UTC)
    assert await process.spent(1) == 0
    process.now += timedelta(seconds=1)
    assert await process.spent(FREE_CHAINS + 1) == FREE_CHAINS
    assert (await process.usage.today(ALICE)).used[Kind.CHAIN] == FREE_CHAINS


async def test_without_a_limit_uses_are_counted_in_memory_and_written_in_batches(database):
    process = Process(database, Plan.ELITE)
    assert await process.spent(300) == 300
    assert await used(database) == 0
    assert (await process.usage.today(ALICE)).used[Kind.CHAIN] == 300
    await process.usage.write()
    assert await used(database) == 300
    await process.usage.write()
    today = await process.usage.today(ALICE)
    assert (today.used[Kind.CHAIN], today.complete, today.terms.plan) == (300, True, Plan.ELITE)


async def test_a_plan_counts_from_the_moment_it_is_given(database):
    process = Process(database)
    assert await process.spent(FREE_CHAINS + 5) == FREE_CHAINS
    await give(database, ALICE, Plan.PRO)
    process.people.forget(ALICE)  # as the listener does
    terms = await process.usage.spend(ALICE, Kind.CHAIN)
    assert (terms.plan, terms.chain_age) == (Plan.PRO, timedelta(minutes=1))
    await give(database, ALICE, None)
    process.people.forget(ALICE)
    process.usage.release(ALICE)
    assert await process.spent(1) == 0


async def test_while_the_database_is_away_everybody_is_answered_and_counted_later(own_server, kill):
    database = await Database.open(own_server.url)
    try:
        process = Process(database)
        assert await process.spent(FREE_CHAINS - 1) == FREE_CHAINS - 1
        await process.usage.write()
        await give(database, BOB, Plan.PRO)  # waits for the disk, and so do the counts before it
        kill(own_server)
        async with asyncio.timeout(10):
            while not process.outage:
                await process.spent(1, user=BOB)
        assert await process.spent(30) == 30
        assert process.outage
        today = await process.usage.today(ALICE)
        assert (today.used[Kind.CHAIN], today.complete) == (30, False)
        async with asyncio.timeout(20):
            while process.outage:
                process.outage.end()
                await process.usage.write()
                await asyncio.sleep(0.05)
        assert await used(database) == FREE_CHAINS
        assert await process.spent(1) == 0
    finally:
        await database.close()


async def test_what_was_given_without_the_database_is_counted_up_to_the_limit_only(database):
    await count(database, (ALICE, TODAY, Kind.CHAIN, 999), (BOB, TODAY, Kind.QUOTE, 3))
    assert await used(database) == FREE_CHAINS
    await count(database, (ALICE, TODAY, Kind.CHAIN, 5))
    assert await used(database) == FREE_CHAINS
    assert await used(database, BOB, Kind.QUOTE) == 3


async def test_no_writer_passes_the_limit_not_even_with_sql_of_its_own(database):
    await count(database, (ALICE, TODAY, Kind.EXPORT, 1))
    async with database.acquire() as conn:
        await conn.execute("UPDATE app.usage_counters SET used = 1000")
        await conn.execute(
            "INSERT INTO app.usage_counters (user_id, day, kind, used) VALUES ($1, $2, 'export', 70)", BOB, TODAY
        )
    assert await used(database, ALICE, Kind.EXPORT) == PLANS[Plan.FREE].most[Kind.EXPORT]
    assert await used(database, BOB, Kind.EXPORT) == PLANS[Plan.FREE].most[Kind.EXPORT]


@pytest.mark.parametrize("change", ["SET used = used - 1", "SET used = 0", "SET user_id = 5", "SET day = day - 1"])
async def test_not_even_the_service_takes_a_use_back(database, change):
    await count(database, (ALICE, TODAY, Kind.CHAIN, 5))
    async with database.acquire() as conn:
        with pytest.raises(asyncpg.PostgresError, match=r"what was used stays used|permission denied"):
            await conn.execute(f"UPDATE app.usage_counters {change}")
        await conn.execute("DELETE FROM app.usage_counters WHERE day > current_date - 7")
    assert await used(database) == 5


async def test_old_days_are_forgotten(database):
    old = datetime.now(UTC).date() - timedelta(days=40)
    await count(database, (ALICE, old, Kind.CHAIN, 5), (ALICE, old + timedelta(days=39), Kind.CHAIN, 2))
    async with database.acquire() as conn:
        await stored.forget_used(conn, old + timedelta(days=10))
        assert await conn.fetchval("SELECT sum(used) FROM app.usage_counters") == 2


async def test_people_see_their_own_counters_and_change_none(database):
    await count(database, (ALICE, TODAY, Kind.CHAIN, 5), (BOB, TODAY, Kind.CHAIN, 9))
    async with database.as_user(ALICE) as conn:
        assert [row["used"] for row in await conn.fetch("SELECT used FROM app.usage_counters")] == [5]
        assert await stored.list_used(conn, BOB, TODAY) == {}
    for sql in (
        "UPDATE app.usage_counters SET used = 0",
        "DELETE FROM app.usage_counters",
        f"INSERT INTO app.usage_counters VALUES ({ALICE}, current_date, 'quote', 0)",
        "UPDATE app.tier_limits SET most = NULL",
        "UPDATE app.usage_counters SET aside = 0",
        f"SELECT app.count_uses('elite', '{{{ALICE}}}', '{{2026-11-20}}', '{{chain}}', '{{1}}')",
        f"SELECT app.take_use('elite', {ALICE}, '2026-11-20', 'chain', 0, 1)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.as_user(ALICE) as conn:
                await conn.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE app.profiles SET plan = 'elite'",
        f"INSERT INTO app.profiles (user_id, locale, plan) VALUES ({ALICE}, 'de', 'elite')",
        f"INSERT INTO app.profiles AS p VALUES ({ALICE}, 'de') ON CONFLICT (user_id) DO UPDATE SET plan = 'elite'",
    ],
)
async def test_people_cannot_give_themselves_a_plan(database, sql):
    await give(database, ALICE, Plan.FREE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.as_user(ALICE) as conn:
            await conn.execute(sql)


async def test_each_query_has_its_index(database):
    async with database.acquire() as conn:
        await conn.execute(
            "INSERT INTO app.usage_counters SELECT n, current_date - n % 9, 'quote', 1 FROM generate_series(1, 5000) n"
        )
    queries = {
        "usage_counters_pkey": "SELECT kind, used FROM app.usage_counters WHERE user_id = 7 AND day = current_date",
        "usage_counters_day_idx": "DELETE FROM app.usage_counters WHERE day < current_date - 30",
    }
    async with database.acquire() as conn:
        for index, query in queries.items():
            plan = "\n".join(row["QUERY PLAN"] for row in await conn.fetch(f"EXPLAIN {query}"))
            assert index in plan, plan
