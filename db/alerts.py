"""Queries on alerts: those of people run inside `db.as_user(user_id)`, those of the worker as the service.

Every change by a person tells the channel `alerts` the alert's id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.models import Alert, AlertState, Condition, Firing, Mark, Pause, Place
from db.pool import Connection

_COLUMNS = """
    id, token, user_id, symbol, condition, level, always, channel_id, guild_id, dm, state, armed, after_at, after_id,
    reference, version, known, created_at
"""
_COUNTING, _WATCHING = 0x616C7274, 0x77617463  # "alrt", "watc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An alert that is about to be made; fields as in `Alert`."""

    token: str
    user_id: int
    symbol: str
    condition: Condition
    level: Decimal
    always: bool
    place: Place
    after: datetime
    reference: Decimal | None


async def add_alert(conn: Connection, draft: Draft, most: int) -> Alert | None:
    """Add an alert, or return None when its owner has `most` already."""
    await conn.execute("SELECT pg_advisory_xact_lock($1, $2)", _COUNTING, draft.user_id % 2**31)
    row = await conn.fetchrow(
        f"""
        INSERT INTO app.alerts
            (token, user_id, symbol, condition, level, always, channel_id, guild_id, dm, after_at, reference)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
        WHERE (SELECT count(*) FROM app.alerts WHERE user_id = $2) < $12
        RETURNING {_COLUMNS}, pg_notify('alerts', id::text)
        """,  # noqa: S608 - a constant
        draft.token,
        draft.user_id,
        draft.symbol,
        draft.condition,
        draft.level,
        draft.always,
        draft.place.channel_id,
        draft.place.guild_id,
        draft.place.dm,
        draft.after,
        draft.reference,
        most,
    )
    return _alert(row) if row else None


async def list_alerts(conn: Connection, user_id: int) -> list[Alert]:
    """Return a person's alerts, oldest first."""
    rows = await conn.fetch(f"SELECT {_COLUMNS} FROM app.alerts WHERE user_id = $1 ORDER BY id", user_id)  # noqa: S608
    return [_alert(row) for row in rows]


async def get_alert(conn: Connection, user_id: int, token: str) -> Alert | None:
    """Return a person's alert, or None."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM app.alerts WHERE user_id = $1 AND token = $2",  # noqa: S608 - a constant
        user_id,
        token,
    )
    return _alert(row) if row else None


async def set_paused(conn: Connection, user_id: int, token: str) -> Alert | None:
    """Stop watching an alert; returns it, or None."""
    return await _change(conn, user_id, token, "state = 'paused'")


async def set_active(conn: Connection, user_id: int, token: str, after: datetime, *, armed: bool) -> Alert | None:
    """Watch an alert anew by the trades after a moment; returns it, or None."""
    return await _change(
        conn,
        user_id,
        token,
        "state = 'active', known = false, after_id = 0, reference = NULL, after_at = $3, armed = $4",
        after,
        armed,
    )


async def take_alert(conn: Connection, user_id: int, token: str) -> Alert | None:
    """Delete an alert with its log; returns it, or None."""
    row = await conn.fetchrow(
        f"""
        DELETE FROM app.alerts WHERE user_id = $1 AND token = $2
        RETURNING {_COLUMNS}, pg_notify('alerts', id::text)
        """,  # noqa: S608 - a constant
        user_id,
        token,
    )
    return _alert(row) if row else None


async def list_firings(conn: Connection, alert_id: int, most: int) -> list[Firing]:
    """Return when an alert went off, newest first."""
    rows = await conn.fetch(
        """
        SELECT key, at, price, before, late_s, gap FROM app.alert_firings
        WHERE alert_id = $1 ORDER BY at DESC LIMIT $2
        """,
        alert_id,
        most,
    )
    return [Firing(**row) for row in rows]


async def get_mark(conn: Connection, symbol: str) -> Mark | None:
    """Return the last trade of a symbol that alerts have been judged by."""
    row = await conn.fetchrow("SELECT symbol, at, trade_id, price FROM app.alert_marks WHERE symbol = $1", symbol)
    return Mark(**row) if row else None


async def get_pause(conn: Connection) -> Pause | None:
    """Return why nothing fires at the moment, or None when market data is flowing."""
    row = await conn.fetchrow("SELECT since, reason FROM app.alert_watch WHERE paused")
    return Pause(**row) if row else None


# --- the worker


async def try_lock(conn: Connection) -> bool:
    """Become the one who watches, for as long as the connection lives; False while somebody else is."""
    return bool(await conn.fetchval("SELECT pg_try_advisory_lock($1, 0)", _WATCHING))


async def begin_watch(conn: Connection) -> int:
    """Return a new generation; whoever watched before can write no more."""
    return int(await conn.fetchval("UPDATE app.alert_watch SET generation = generation + 1 RETURNING generation"))


async def still_watching(conn: Connection, generation: int) -> bool:
    """Tell whether nobody has begun to watch since, and let nobody begin before the end of the transaction."""
    query = "SELECT true FROM app.alert_watch WHERE generation = $1 FOR SHARE"
    return bool(await conn.fetchval(query, generation))


async def set_pause(conn: Connection, pause: Pause | None) -> None:
    """Say why nothing fires at the moment, or with None that market data is flowing."""
    await conn.execute(
        "UPDATE app.alert_watch SET paused = $1, since = $2, reason = $3",
        pause is not None,
        pause.since if pause else None,
        pause.reason if pause else "",
    )


async def list_watched(conn: Connection, ids: Sequence[int] | None = None) -> list[Alert]:
    """Return the active alerts, or those of `ids` that are active."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM app.alerts WHERE state = 'active' AND ($1::bigint[] IS NULL OR id = ANY ($1))
        """,  # noqa: S608 - a constant
        None if ids is None else list(ids),
    )
    return [_alert(row) for row in rows]


async def list_marks(conn: Connection) -> list[Mark]:
    """Return the last judged trade of every symbol."""
    return [Mark(**row) for row in await conn.fetch("SELECT symbol, at, trade_id, price FROM app.alert_marks")]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What has become of one alert, by the trade (`at`, `trade_id`)."""

    alert: Alert
    state: AlertState
    armed: bool
    at: datetime
    trade_id: int
    price: Decimal


async def set_judged(conn: Connection, judged: Sequence[Judgement]) -> set[int]:
    """Write what became of alerts; returns the ids of those that their owners have not changed meanwhile."""
    rows = await conn.fetch(
        """
        UPDATE app.alerts SET state = now.state, armed = now.armed, after_at = now.at, after_id = now.trade_id,
            reference = now.price, known = true
        FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bool[], $5::timestamptz[], $6::bigint[], $7::numeric[])
            AS now (id, version, state, armed, at, trade_id, price)
        WHERE alerts.id = now.id AND alerts.version = now.version AND alerts.state = 'active'
            AND (alerts.after_at, alerts.after_id) < (now.at, now.trade_id)
        RETURNING alerts.id
        """,
        [each.alert.id for each in judged],
        [each.alert.version for each in judged],
        [each.state for each in judged],
        [each.armed for each in judged],
        [each.at for each in judged],
        [each.trade_id for each in judged],
        [each.price for each in judged],
    )
    return {row["id"] for row in rows}


async def set_known(conn: Connection, known: Sequence[Alert]) -> None:
    """Remember which alerts have been taken up, unless their owners have changed them meanwhile."""
    await conn.execute(
        """
        UPDATE app.alerts SET known = true FROM unnest($1::bigint[], $2::int[]) AS now (id, version)
        WHERE alerts.id = now.id AND alerts.version = now.version
        """,
        [alert.id for alert in known],
        [alert.version for alert in known],
    )


async def set_marks(conn: Connection, marks: Sequence[Mark]) -> None:
    """Remember the last judged trade of symbols."""
    await conn.execute(
        """
        INSERT INTO app.alert_marks (symbol, at, trade_id, price)
        SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::numeric[])
        ON CONFLICT (symbol) DO UPDATE SET at = excluded.at, trade_id = excluded.trade_id, price = excluded.price
        """,
        [mark.symbol for mark in marks],
        [mark.at for mark in marks],
        [mark.trade_id for mark in marks],
        [mark.price for mark in marks],
    )


async def add_firings(conn: Connection, firings: Sequence[tuple[Alert, Firing]]) -> None:
    """Log that alerts went off."""
    await conn.execute(
        """
        INSERT INTO app.alert_firings (alert_id, user_id, key, at, price, before, late_s, gap)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::numeric[], $6::numeric[],
            $7::float8[], $8::bool[])
        """,
        [alert.id for alert, _ in firings],
        [alert.user_id for alert, _ in firings],
        [firing.key for _, firing in firings],
        [firing.at for _, firing in firings],
        [firing.price for _, firing in firings],
        [firing.before for _, firing in firings],
        [firing.late_s for _, firing in firings],
        [firing.gap for _, firing in firings],
    )


async def begin_anew(conn: Connection, symbol: str, at: datetime) -> None:
    """Forget the past of a symbol whose source has set its clock back to `at`."""
    await conn.execute("DELETE FROM app.alert_marks WHERE symbol = $1", symbol)
    await conn.execute(
        """
        UPDATE app.alerts SET after_at = $2, after_id = 0, reference = NULL, known = false
        WHERE symbol = $1 AND state = 'active'
        """,
        symbol,
        at,
    )


async def _change(conn: Connection, user_id: int, token: str, change: str, *values: object) -> Alert | None:
    row = await conn.fetchrow(
        f"""
        UPDATE app.alerts SET version = version + 1, {change} WHERE user_id = $1 AND token = $2
        RETURNING {_COLUMNS}, pg_notify('alerts', id::text)
        """,  # noqa: S608 - constants
        user_id,
        token,
        *values,
    )
    return _alert(row) if row else None


def _alert(row: Mapping[str, Any]) -> Alert:
    return Alert(
        id=row["id"],
        token=row["token"],
        user_id=row["user_id"],
        symbol=row["symbol"],
        condition=Condition(row["condition"]),
        level=row["level"],
        always=row["always"],
        place=Place(channel_id=row["channel_id"], guild_id=row["guild_id"], dm=row["dm"]),
        state=AlertState(row["state"]),
        armed=row["armed"],
        after=row["after_at"],
        after_id=row["after_id"],
        reference=row["reference"],
        version=row["version"],
        known=row["known"],
        created_at=row["created_at"],
    )
