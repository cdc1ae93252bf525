"""Queries on durable jobs and on the timetable's ticks; PostgreSQL's clock is the only one that counts."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from db.models import HeldJob, StartedJob
from db.pool import Connection

MOST_STARTS = 5

_CLAIMING = 0x6A6F6273  # "jobs"
_MAY_START = """
state <> 'held' AND (state = 'started' OR NOT EXISTS (
    SELECT FROM app.jobs AS twin WHERE twin.dedupe_key = job.dedupe_key AND twin.state = 'started'
))
"""


async def add_job(
    conn: Connection, name: str, payload: Mapping[str, Any], dedupe_key: str | None, after: timedelta
) -> None:
    """Add a job, or make the waiting one with the same key due no later."""
    await conn.execute("SELECT app.enqueue($1, $2, $3, $4)", name, json.dumps(payload), dedupe_key, after)


async def claim_jobs(
    conn: Connection, room: Mapping[str, int], worker: UUID, most: int, lease: timedelta
) -> list[StartedJob]:
    """Start up to `most` due jobs, of each name as many as there is room for, oldest first.

    Runs in a transaction of its own. Of several jobs with one key only one is started. Held are those whose fifth start
    ended without a word.
    """
    # one after the other: two claims at once could start two jobs of one key, and the index would refuse both
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _CLAIMING)
    await conn.execute(
        """
        UPDATE app.jobs SET state = 'held', worker = NULL, error = coalesce(error, 'its worker died at work')
        WHERE state = 'started' AND due_at <= now() AND starts >= $1
        """,
        MOST_STARTS,
    )
    rows = await conn.fetch(
        f"""
        WITH due AS MATERIALIZED (
            SELECT picked.id
            FROM unnest($1::text[], $2::int[]) AS known (name, room)
            CROSS JOIN LATERAL (
                SELECT id, due_at FROM app.jobs AS job
                WHERE job.name = known.name AND due_at <= now() AND {_MAY_START}
                ORDER BY due_at LIMIT known.room FOR UPDATE SKIP LOCKED
            ) AS picked
            ORDER BY picked.due_at LIMIT $3
        )
        UPDATE app.jobs SET state = 'started', starts = starts + 1, worker = $4, due_at = now() + $5::interval
        FROM due WHERE jobs.id = due.id
        RETURNING jobs.id, name, payload, starts
        """,  # noqa: S608 a constant of ours
        list(room),
        list(room.values()),
        most,
        worker,
        lease,
    )
    return [StartedJob(row["id"], row["name"], json.loads(row["payload"]), row["starts"]) for row in rows]


async def seconds_to_next(conn: Connection, names: Sequence[str]) -> float | None:
    """Return when the next of these jobs may start, in seconds from now; None when there is none."""
    seconds = await conn.fetchval(
        f"""
        SELECT extract(epoch FROM min(due_at) - now())::float FROM app.jobs AS job
        WHERE name = ANY ($1::text[]) AND {_MAY_START}
        """,  # noqa: S608 a constant of ours
        list(names),
    )
    return None if seconds is None else float(seconds)


async def renew_leases(conn: Connection, worker: UUID, ids: Sequence[int], lease: timedelta) -> set[int]:
    """Keep started jobs; returns those of `ids` that are still the worker's."""
    rows = await conn.fetch(
        """
        UPDATE app.jobs SET due_at = now() + $3
        WHERE worker = $1 AND state = 'started' AND id = ANY ($2::bigint[]) RETURNING id
        """,
        worker,
        list(ids),
        lease,
    )
    return {row["id"] for row in rows}


async def finish_job(conn: Connection, job_id: int, worker: UUID) -> None:
    """Remove a job that is done, unless another worker has taken it over."""
    await conn.execute(
        """
        WITH gone AS (DELETE FROM app.jobs WHERE id = $1 AND worker = $2 RETURNING dedupe_key)
        SELECT pg_notify('jobs', waiting.name) FROM gone JOIN app.jobs AS waiting USING (dedupe_key)
        WHERE waiting.state = 'waiting'
        """,
        job_id,
        worker,
    )


async def set_back(
    conn: Connection, job_id: int, worker: UUID, starts: int, after: timedelta, error: str | None
) -> None:
    """Let a started job start again after a while, with `starts` behind it."""
    await conn.execute(
        """
        UPDATE app.jobs SET worker = NULL, starts = $3, due_at = now() + $4, error = $5
        WHERE id = $1 AND worker = $2
        """,
        job_id,
        worker,
        starts,
        after,
        error,
    )


async def hold_job(conn: Connection, job_id: int, worker: UUID, error: str) -> None:
    """Keep a job from starting until somebody replays it."""
    await conn.execute(
        "UPDATE app.jobs SET state = 'held', worker = NULL, error = $3 WHERE id = $1 AND worker = $2",
        job_id,
        worker,
        error,
    )


async def list_held(conn: Connection) -> list[HeldJob]:
    """Return the held jobs, oldest first."""
    rows = await conn.fetch(
        "SELECT id, name, payload, starts, error, created_at FROM app.jobs WHERE state = 'held' ORDER BY id"
    )
    return [
        HeldJob(r["id"], r["name"], json.loads(r["payload"]), r["starts"], r["error"], r["created_at"]) for r in rows
    ]


async def replay_held(conn: Connection, ids: Sequence[int] | None = None) -> list[int]:
    """Let held jobs, all without `ids`, start again from the beginning; returns their ids.

    One whose key waits anyway is dropped: the waiting one does its work.
    """
    rows = await conn.fetch(
        """
        WITH chosen AS MATERIALIZED (
            SELECT id, name, payload, dedupe_key FROM app.jobs
            WHERE state = 'held' AND ($1::bigint[] IS NULL OR id = ANY ($1)) FOR UPDATE
        ), replayed AS (
            SELECT id, app.enqueue(name, payload, dedupe_key, interval '0') FROM chosen
        ), gone AS (
            DELETE FROM app.jobs USING chosen WHERE jobs.id = chosen.id
        )
        SELECT id FROM replayed ORDER BY id
        """,
        None if ids is None else list(ids),
    )
    return [row["id"] for row in rows]


async def claim_tick(conn: Connection, name: str, slot: str) -> bool:
    """Tell whether this is the first claim of a tick."""
    return bool(
        await conn.fetchval(
            "INSERT INTO app.ticks (name, slot) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true", name, slot
        )
    )


async def forget_ticks(conn: Connection, older_than: timedelta) -> None:
    """Remove ticks that nobody can claim any more."""
    await conn.execute("DELETE FROM app.ticks WHERE claimed_at < now() - $1::interval", older_than)
