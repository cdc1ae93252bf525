"""Durable jobs: enqueued in the transaction of the fact they follow from, run at least once, held after five starts.

A job is a row; starting one is an update that counts the start and takes a lease. The worker renews its leases while
the work runs, so the job of a killed worker is due again when the lease ends. Every later write names the worker: one
that has lost a job cannot touch it any more.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog

from db import jobs
from db.jobs import MOST_STARTS
from db.listener import listening
from db.models import StartedJob
from db.pool import Connection, Database, DatabaseUnavailable, PostgresError

LEASE = timedelta(seconds=6)
RENEW_S = 1.5
LONGEST_SLEEP_S = 2.0
AWAY_S = 0.5
FAREWELL_S = 8.0

log = structlog.get_logger(__name__)

Work = Callable[[Mapping[str, Any]], Awaitable[None]]


class Again(Exception):
    """Raised by a job that has more to do later: not a failure, and its count of starts begins anew."""

    def __init__(self, after_s: float) -> None:
        self.after = timedelta(seconds=after_s)
        super().__init__(f"again in {after_s} s")


@dataclass(frozen=True, slots=True)
class Job:
    """What is done for a name; it must be safe to repeat."""

    run: Work
    at_once: int = 0
    """At most so many at work in one worker, 0 for the worker's own limit."""


async def enqueue(
    conn: Connection, name: str, payload: Mapping[str, Any], dedupe_key: str | None = None, *, after_s: float = 0
) -> None:
    """Add a job to the caller's transaction, as `pulse_service` or as a person; it starts after the commit.

    While a job of the same key waits, it does for this call too. One that is at work already does not: the new one
    starts when that has ended, so nothing that was written before this call is overlooked. `payload` is JSON.
    """
    await jobs.add_job(conn, name, payload, dedupe_key, timedelta(seconds=after_s))


def backoff(starts: int) -> timedelta:
    """Return the pause after the `starts`-th failure: 1, 2, 4, 8 s, less up to a quarter."""
    return timedelta(seconds=2.0 ** (starts - 1) * random.uniform(0.75, 1))


class Worker:
    """Runs the jobs it knows, over any outage of PostgreSQL, until told to stop."""

    def __init__(self, database: Database, known: Mapping[str, Job], *, most: int = 8) -> None:
        self._database = database
        self._known = known
        self._most = most
        self._id = uuid4()
        self._woken = asyncio.Event()
        self._running: dict[int, tuple[str, asyncio.Task[None]]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; jobs at work get a few seconds to end, the rest start again elsewhere."""
        renewing = asyncio.create_task(self._renew())
        watching = asyncio.create_task(self._wake_at(stop))
        try:
            async with listening(self._database.url, ("jobs",), on_notify=self._notified, on_resync=self._woken.set):
                while not stop.is_set():
                    await self._sleep(await self._start_due())
                await self._finish_running()
        finally:
            for task in (renewing, watching):
                task.cancel()
            await asyncio.wait({renewing, watching})

    def _notified(self, _channel: str, _name: str) -> None:
        self._woken.set()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _start_due(self) -> float:
        """Start what is due and there is room for; returns the seconds to sleep if nothing wakes us."""
        self._woken.clear()
        room = self._room()
        if not room:
            return LONGEST_SLEEP_S
        try:
            async with self._database.transaction() as conn:
                started = await jobs.claim_jobs(conn, room, self._id, self._most - len(self._running), LEASE)
                pause = 0.0 if started else await jobs.seconds_to_next(conn, list(room))
        except (DatabaseUnavailable, PostgresError) as error:
            # also when the claim was committed: its leases end, and the jobs start again
            log.warning("jobs away", error=str(error))
            return AWAY_S
        for job in started:
            self._begin(job)
        return LONGEST_SLEEP_S if pause is None else min(max(pause, 0.02), LONGEST_SLEEP_S)

    def _room(self) -> dict[str, int]:
        running = [name for name, _ in self._running.values()]
        left = self._most - len(running)
        room = {n: min(left, job.at_once - running.count(n) if job.at_once else left) for n, job in self._known.items()}
        return {name: most for name, most in room.items() if most > 0}

    def _begin(self, job: StartedJob) -> None:
        task = asyncio.create_task(self._perform(job))
        self._running[job.id] = (job.name, task)
        task.add_done_callback(lambda _: self._ended(job.id))

    def _ended(self, job_id: int) -> None:
        self._running.pop(job_id, None)
        self._woken.set()

    async def _perform(self, job: StartedJob) -> None:
        with structlog.contextvars.bound_contextvars(job=job.name, job_id=job.id):
            try:
                await self._known[job.name].run(job.payload)
            except Again as again:
                after = again.after
                await self._write(lambda conn: jobs.set_back(conn, job.id, self._id, 0, after, None))
            except asyncio.CancelledError:
                await self._give_back(job, timedelta())
                raise
            except DatabaseUnavailable as error:
                log.warning("job interrupted", error=str(error))  # an outage is no fault of the job
                await self._give_back(job, backoff(1))
            except Exception as error:
                log.exception("job failed", starts=job.starts)
                await self._fail(job, f"{type(error).__name__}: {error}")
            else:
                await self._write(lambda conn: jobs.finish_job(conn, job.id, self._id))

    async def _give_back(self, job: StartedJob, after: timedelta) -> None:
        await self._write(lambda conn: jobs.set_back(conn, job.id, self._id, job.starts - 1, after, None))

    async def _fail(self, job: StartedJob, error: str) -> None:
        if job.starts >= MOST_STARTS:
            log.error("job held", starts=job.starts)
            await self._write(lambda conn: jobs.hold_job(conn, job.id, self._id, error))
        else:
            after = backoff(job.starts)
            await self._write(lambda conn: jobs.set_back(conn, job.id, self._id, job.starts, after, error))

    async def _write(self, change: Callable[[Connection], Awaitable[None]]) -> None:
        async def write() -> None:
            async with self._database.transaction() as conn:
                await change(conn)

        try:
            await self._database.retry(write, within_s=30.0)
        except (DatabaseUnavailable, PostgresError) as error:
            log.warning("job's end not stored, it will start again", error=str(error))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            if not self._running:
                continue
            ids = list(self._running)
            try:
                async with self._database.transaction() as conn:
                    ours = await jobs.renew_leases(conn, self._id, ids, LEASE)
            except (DatabaseUnavailable, PostgresError) as error:
                log.warning("leases of jobs not renewed", error=str(error))
                continue
            for job_id in set(ids) - ours:
                self._abandon(job_id)

    def _abandon(self, job_id: int) -> None:
        if job_id in self._running:
            log.warning("job lost to another worker", job=job_id)
            self._running[job_id][1].cancel()

    async def _finish_running(self) -> None:
        tasks = [task for _, task in self._running.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=FAREWELL_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=FAREWELL_S)
