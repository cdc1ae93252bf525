"""Durable jobs on a real PostgreSQL, with workers in this process and in processes that are killed."""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from db import jobs as stored
from db.pool import Database
from services import jobs, jobs_cli
from services.jobs import Again, Job, Worker

ROOT = Path(__file__).parents[2]
ALICE = 80351110224678912

# A worker process of its own: writes a line for each start, then behaves as its first argument says.
CHILD = """
import asyncio, os, sys
from datetime import timedelta
from db.pool import Database
from services import jobs

async def main(url, behaviour, lease_s):
    if float(lease_s):
        jobs.LEASE, jobs.RENEW_S = timedelta(seconds=float(lease_s)), float(lease_s) / 4
    async def run(payload):
        print("start", flush=True)
        if behaviour == "crash":
            os._exit(9)
        await asyncio.sleep(3600)
    await jobs.Worker(await Database.open(url), {"work": jobs.Job(run)}).run(asyncio.Event())

asyncio.run(main(*sys.argv[1:]))
"""


def child(url, behaviour, lease_s=0.0):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, url, behaviour, str(lease_s)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@asynccontextmanager
async def working(database, **known):
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(database, known).run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await worker


async def add(database, name="work", payload=None, key=None, **options):
    async with database.transaction() as conn:
        await jobs.enqueue(conn, name, payload or {}, key, **options)


async def kept(database):
    async with database.acquire() as conn:
        return [
            (row["name"], row["state"], row["starts"])
            for row in await conn.fetch("SELECT name, state, starts FROM app.jobs ORDER BY id")
        ]


async def until(condition, within_s=10.0):
    async with asyncio.timeout(within_s):
        while not (await condition() if asyncio.iscoroutinefunction(condition) else condition()):
            await asyncio.sleep(0.01)


async def test_a_job_exists_only_with_the_commit_of_its_fact(database):
    async def undone():
        async with database.transaction() as conn:
            await jobs.enqueue(conn, "work", {})
            raise KeyError

    with pytest.raises(KeyError):
        await undone()
    assert await kept(database) == []


async def test_a_person_s_transaction_may_enqueue_but_not_read(database):
    done = asyncio.Event()

    async def work(payload):
        assert payload == {"order": 7}
        done.set()

    async with database.as_user(ALICE) as conn:
        await jobs.enqueue(conn, "work", {"order": 7}, "order:7")
        assert not await conn.fetchval("SELECT has_table_privilege('pulse_user', 'app.jobs', 'SELECT')")
    async with working(database, work=Job(work)):
        await asyncio.wait_for(done.wait(), 5)
    assert await kept(database) == []


async def test_a_committed_job_starts_at_once(database):
    started = asyncio.get_running_loop().create_future()

    async def work(_payload):
        started.set_result(time.perf_counter())

    async with working(database, work=Job(work)):
        await asyncio.sleep(0.3)
        begun = time.perf_counter()
        await add(database)
        assert await asyncio.wait_for(started, 5) - begun < 0.25


async def test_a_delayed_job_starts_when_it_is_due(database):
    started = asyncio.Event()

    async def work(_payload):
        started.set()

    await add(database, after_s=0.6)
    async with working(database, work=Job(work)):
        await asyncio.sleep(0.4)
        assert not started.is_set()
        await asyncio.wait_for(started.wait(), 2)


async def test_a_failing_job_is_held_after_five_starts_and_can_be_replayed(database, monkeypatch):
    monkeypatch.setattr(jobs, "backoff", lambda _starts: timedelta(milliseconds=20))
    starts, broken = [], True

    async def work(payload):
        starts.append(payload)
        if broken:
            raise ZeroDivisionError("no more")

    await add(database, payload={"n": 1}, key="n:1")
    async with working(database, work=Job(work)):

        async def held():
            return [state for _, state, _ in await kept(database)] == ["held"]

        await until(held)
        assert len(starts) == 5
        listed = await jobs_cli.run(argparse.Namespace(action=None, json=False), database)
        assert 'work  {"n": 1}' in listed
        assert "5 starts; ZeroDivisionError: no more" in listed
        (row,) = json.loads(await jobs_cli.run(argparse.Namespace(action=None, json=True), database))
        broken = False
        parser = argparse.ArgumentParser()
        jobs_cli.add_arguments(parser)
        replay = parser.parse_args(["replay", str(row["id"]), "999999"])
        assert await jobs_cli.run(replay, database) == f"{row['id']} starts again\n999999 is not held"

        async def gone():
            return not await kept(database)

        await until(gone)
        assert await jobs_cli.run(parser.parse_args(["replay", "all"]), database) == "No job is held."
    assert len(starts) == 6


def test_pauses_between_tries_double():
    for starts, most in ((1, 1), (2, 2), (3, 4), (4, 8)):
        assert most * 0.75 <= jobs.backoff(starts).total_seconds() <= most


async def test_a_job_that_kills_its_worker_is_held_after_five_starts(database, database_url):
    await add(database)
    for _ in range(5):
        process = await asyncio.to_thread(child, database_url, "crash", 0.3)
        out, _ = await asyncio.to_thread(process.communicate, timeout=20)
        assert (process.returncode, out) == (9, "start\n")
    started = asyncio.Event()

    async def work(_payload):
        started.set()

    async with working(database, work=Job(work)):

        async def held():
            return await kept(database) == [("work", "held", 5)]

        await until(held)
    assert not started.is_set()
    (job,) = await list_held(database)
    assert job.error == "its worker died at work"


async def list_held(database):
    async with database.acquire() as conn:
        return await stored.list_held(conn)


async def test_the_job_of_a_killed_worker_starts_again_within_ten_seconds(database, database_url):
    await add(database)
    process = await asyncio.to_thread(child, database_url, "hang")
    assert await asyncio.to_thread(process.stdout.readline) == "start\n"
    again = asyncio.Event()

    async def work(_payload):
        again.set()

    async with working(database, work=Job(work)):
        await asyncio.sleep(2)  # leases are renewed: nobody else takes it while its worker lives
        assert not again.is_set()
        process.send_signal(signal.SIGKILL)
        killed = time.perf_counter()
        await asyncio.wait_for(again.wait(), 10)
    process.wait()
    process.stdout.close()
    print(f"started again after {time.perf_counter() - killed:.1f} s")


async def test_the_worker_outlives_a_restart_of_postgresql(own_server, kill):
    database = await Database.open(own_server.url)
    runs = Counter()
    inside = asyncio.Event()

    async def work(payload):
        runs[payload["n"]] += 1
        inside.set()
        if payload["n"] == 1 and runs[1] == 1:
            await asyncio.sleep(1.5)  # PostgreSQL dies and comes back meanwhile

    try:
        await add(database, payload={"n": 1})
        async with working(database, work=Job(work)) as worker:
            await inside.wait()
            kill(own_server)
            await asyncio.sleep(0.2)
            await Database.retry(lambda: add(database, payload={"n": 2}), within_s=20)

            async def done():
                return not await kept(database)

            await asyncio.sleep(1.5)
            await until(done, 20)
            assert not worker.done()
        assert runs[2] == 1
        assert runs[1] >= 1
    finally:
        await database.close()


async def test_a_wake_up_during_the_work_is_never_lost_and_one_key_never_runs_twice_at_once(database):
    seen, at_work, most_at_work, truth = [], 0, 0, 0

    async def work(_payload):
        nonlocal at_work, most_at_work
        at_work += 1
        most_at_work = max(most_at_work, at_work)
        seen.append(truth)
        await asyncio.sleep(0.02)
        at_work -= 1

    stop = asyncio.Event()
    workers = [asyncio.create_task(Worker(database, {"work": Job(work)}).run(stop)) for _ in range(3)]
    for _ in range(40):
        truth += 1
        await add(database, key="one")
        await asyncio.sleep(0.007)

    async def done():
        return not await kept(database)

    await until(done)
    stop.set()
    await asyncio.gather(*workers)
    assert seen[-1] == truth
    assert most_at_work == 1
    assert len(seen) < 40  # those that waited were merged


async def test_a_waiting_job_does_not_start_before_those_who_count_on_it_have_committed(database):
    async def claim():
        async with database.transaction() as other:
            return len(await stored.claim_jobs(other, {"work": 9}, uuid4(), 9, timedelta(seconds=9)))

    await add(database, key="one")
    async with database.transaction() as conn:
        await jobs.enqueue(conn, "work", {}, "one")
        assert await claim() == 0
    assert await claim() == 1


async def test_long_work_is_not_taken_by_another_worker(database, monkeypatch):
    monkeypatch.setattr(jobs, "LEASE", timedelta(seconds=0.4))
    monkeypatch.setattr(jobs, "RENEW_S", 0.1)
    starts = 0

    async def work(_payload):
        nonlocal starts
        starts += 1
        await asyncio.sleep(1.5)

    await add(database)
    async with working(database, work=Job(work)), working(database, work=Job(work)):

        async def done():
            return not await kept(database)

        await until(done)
    assert starts == 1


async def test_many_workers_run_each_job_once(database):
    runs = Counter()

    async def work(payload):
        runs[payload["n"]] += 1

    async with database.transaction() as conn:
        for n in range(200):
            await jobs.enqueue(conn, "work", {"n": n})
    stop = asyncio.Event()
    workers = [asyncio.create_task(Worker(database, {"work": Job(work)}).run(stop)) for _ in range(4)]

    async def done():
        return not await kept(database)

    await until(done, 20)
    stop.set()
    await asyncio.gather(*workers)
    assert runs == Counter(range(200))


async def test_a_job_may_be_limited_to_a_number_at_once(database):
    running, most, ended = 0, 0, 0

    async def work(_payload):
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        ended += 1

    for _ in range(6):
        await add(database)
    async with working(database, work=Job(work, at_once=2)):
        await until(lambda: ended == 6)
    assert most == 2


async def test_again_is_not_a_failure(database):
    starts = 0

    async def work(_payload):
        nonlocal starts
        starts += 1
        if starts < 8:
            raise Again(0.01)

    await add(database)
    async with working(database, work=Job(work)):
        await until(lambda: starts == 8)
    assert await kept(database) == []


async def test_a_stopped_worker_lets_its_work_end_and_gives_back_what_does_not(database, monkeypatch):
    monkeypatch.setattr(jobs, "FAREWELL_S", 0.3)
    ended = []
    inside = asyncio.Event()

    async def work(payload):
        inside.set()
        await asyncio.sleep(payload["s"])
        ended.append(payload["s"])

    await add(database, payload={"s": 0.2})
    await add(database, payload={"s": 60})
    async with working(database, work=Job(work)):
        await asyncio.sleep(0.1)
        await inside.wait()
    assert ended == [0.2]
    assert await kept(database) == [("work", "started", 0)]
    inside.clear()
    async with working(database, work=Job(work)):
        await asyncio.wait_for(inside.wait(), 2)  # at once, not after the lease


async def test_a_worker_that_lost_a_job_cannot_touch_it(database):
    await add(database)
    old, new = uuid4(), uuid4()
    async with database.transaction() as conn:
        (job,) = await stored.claim_jobs(conn, {"work": 1}, old, 1, timedelta(0))
    async with database.transaction() as conn:
        assert await stored.claim_jobs(conn, {"work": 1}, new, 1, timedelta(seconds=9)) == [
            type(job)(job.id, "work", {}, 2)
        ]
        await stored.finish_job(conn, job.id, old)
        await stored.hold_job(conn, job.id, old, "late")
        await stored.set_back(conn, job.id, old, 0, timedelta(0), None)
        assert await stored.renew_leases(conn, old, [job.id], timedelta(0)) == set()
    assert await kept(database) == [("work", "started", 2)]


async def test_unknown_names_wait_for_a_worker_that_knows_them(database):
    await add(database, name="of the next version")
    async with working(database, work=Job(asyncio.sleep)):
        await asyncio.sleep(0.2)
    assert await kept(database) == [("of the next version", "waiting", 0)]


async def test_the_claim_reads_indexes_only(database):
    async with database.transaction() as conn:
        await conn.execute(
            "INSERT INTO app.jobs (name, payload, due_at) SELECT 'later', '{}', now() + interval '1 day' "
            "FROM generate_series(1, 5000)"
        )
        await conn.execute("SET LOCAL enable_seqscan = off")
        plan = await conn.fetch(
            "EXPLAIN SELECT id FROM app.jobs AS job WHERE name = 'work' AND due_at <= now() AND "
            + stored._MAY_START
            + "ORDER BY due_at LIMIT 8 FOR UPDATE SKIP LOCKED"
        )
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "jobs_name_due_at_idx" in text
    assert "jobs_started_key" in text
    assert "Seq Scan" not in text
