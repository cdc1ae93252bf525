"""Queries on what people used; the limits are PostgreSQL's to enforce."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from db.pool import Connection

Key = tuple[int, date, str]
"""User id, day, kind."""


class Taken(NamedTuple):
    """Whether a use was allowed, and how many more are set aside for whoever asked; if not, how many others hold."""

    allowed: bool
    aside: int


async def take_use(conn: Connection, default_plan: str, key: Key, spent: int, wish: int) -> Taken:
    """Count one use, and set up to `wish` more aside while the limit of the person's plan is far.

    `spent` of what was set aside before are counted too.
    `default_plan` is that of people without one. Where a use is refused and other processes hold some, listeners of the
    channel `usage` are told the user id.
    """
    row = await conn.fetchrow(
        "SELECT allowed, aside FROM app.take_use($1, $2, $3, $4, $5, $6)", default_plan, *key, spent, wish
    )
    assert row is not None
    return Taken(row["allowed"], row["aside"])


async def count_uses(conn: Connection, default_plan: str, uses: Mapping[Key, int]) -> None:
    """Count uses that were given without asking, up to the limits."""
    people, days, kinds = map(list, zip(*uses, strict=True))
    await conn.execute(
        "SELECT app.count_uses($1, $2::bigint[], $3::date[], $4::text[], $5::integer[])",
        default_plan,
        people,
        days,
        kinds,
        list(uses.values()),
    )


async def settle(conn: Connection, spent: Mapping[Key, int], returned: Mapping[Key, int]) -> None:
    """Count uses of what was set aside, and give back what will not be used."""
    keys = sorted({*spent, *returned})
    people, days, kinds = map(list, zip(*keys, strict=True))
    await conn.execute(
        """
        WITH told AS (
            SELECT * FROM unnest($1::bigint[], $2::date[], $3::text[], $4::integer[], $5::integer[])
                AS told (user_id, day, kind, spent, returned)
        ), locked AS (
            SELECT user_id, day, kind, spent, returned FROM app.usage_counters JOIN told USING (user_id, day, kind)
            ORDER BY user_id, day, kind FOR UPDATE OF usage_counters
        )
        UPDATE app.usage_counters AS present
        SET used = used + spent, aside = greatest(0, aside - spent - returned)
        FROM locked WHERE (present.user_id, present.day, present.kind) = (locked.user_id, locked.day, locked.kind)
        """,
        people,
        days,
        kinds,
        [spent.get(key, 0) for key in keys],
        [returned.get(key, 0) for key in keys],
    )


async def list_used(conn: Connection, user_id: int, day: date) -> dict[str, int]:
    """Return a person's uses of a day by kind; runs inside `db.as_user(user_id)`."""
    rows = await conn.fetch("SELECT kind, used FROM app.usage_counters WHERE user_id = $1 AND day = $2", user_id, day)
    return {row["kind"]: row["used"] for row in rows}


async def forget_used(conn: Connection, before: date) -> None:
    """Delete the counters of days long over; PostgreSQL lets none of the last week go."""
    await conn.execute("DELETE FROM app.usage_counters WHERE day < $1", before)
