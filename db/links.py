"""Queries on links to brokers; PostgreSQL's clock is the only one that counts."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from db.link_models import BrokerConnection, LinkedAccount, LinkState, SealedLink
from db.models import Place
from db.notices import place_json, place_of
from db.pool import Connection

_CONNECTION = "id, user_id, broker, mode, label, scopes, state, created_at, activated_at, expires_at"
_SEALED = f"""
{_CONNECTION}, tokens, version, place, coalesce(expires_at <= now(), false) AS ended,
coalesce(renewed_at > now() - interval '1 minute', false) AS just_renewed
"""


async def lock_account(conn: Connection, broker: str, account: str) -> None:
    """Let those who link one account follow one another until the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 11))", f"{broker} {account}")


async def get_of_account(conn: Connection, broker: str, account: str) -> BrokerConnection | None:
    """Return the link of a broker's account, whosever it is, and hold it."""
    row = await conn.fetchrow(
        f"""
        SELECT {_CONNECTION} FROM app.user_broker_connections WHERE broker = $1 AND broker_account = $2 FOR UPDATE
        """,  # noqa: S608 a constant of ours
        broker,
        account,
    )
    return _connection(row) if row else None


async def next_id(conn: Connection) -> int:
    """Return the id of a link that is to be added: its tokens are sealed for it."""
    return int(await conn.fetchval("SELECT nextval('app.user_broker_connections_id_seq')"))


async def set_connection(conn: Connection, account: LinkedAccount, place: Place) -> SealedLink:
    """Store a link as it came from the broker; one of that id keeps its state, and is active where it was before."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO app.user_broker_connections AS present (
            id, user_id, broker, broker_account, mode, label, scopes, state, tokens, place, expires_at, due_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, now() + $10::interval, now() + $11::interval)
        ON CONFLICT (id) DO UPDATE SET
            mode = excluded.mode, label = excluded.label, scopes = excluded.scopes, tokens = excluded.tokens,
            place = excluded.place, expires_at = excluded.expires_at, due_at = excluded.due_at,
            created_at = CASE WHEN present.activated_at IS NULL THEN now() ELSE present.created_at END,
            activated_at = CASE WHEN present.activated_at IS NOT NULL THEN now() END,
            state = CASE WHEN present.activated_at IS NULL THEN 'pending' ELSE 'active' END,
            version = present.version + 1, renewed_at = NULL, lease = NULL, leased_until = NULL
        RETURNING {_SEALED}
        """,  # noqa: S608 a constant of ours
        account.id,
        account.user_id,
        account.broker,
        account.number,
        account.mode,
        account.label,
        list(account.scopes),
        account.tokens,
        json.dumps(place_json(place)),
        account.lasts,
        account.due_after,
    )
    assert row is not None
    return _sealed(row)


async def list_connections(conn: Connection, user_id: int) -> tuple[BrokerConnection, ...]:
    """Return a person's links, pending and newly activated ones first; runs inside `db.as_user(user_id)`."""
    rows = await conn.fetch(
        f"""
        SELECT {_CONNECTION} FROM app.user_broker_connections
        WHERE user_id = $1 ORDER BY activated_at DESC NULLS FIRST, id DESC
        """,  # noqa: S608 a constant of ours
        user_id,
    )
    return tuple(map(_connection, rows))


async def activate(conn: Connection, user_id: int, connection_id: int, within: timedelta) -> SealedLink | None:
    """Make a person's pending link active; None where it is not pending, or was left for too long."""
    row = await conn.fetchrow(
        f"""
        UPDATE app.user_broker_connections SET state = 'active', activated_at = now(), version = version + 1
        WHERE user_id = $1 AND id = $2 AND state = 'pending' AND created_at > now() - $3::interval
        RETURNING {_SEALED}
        """,  # noqa: S608 a constant of ours
        user_id,
        connection_id,
        within,
    )
    return _sealed(row) if row else None


async def take_connection(
    conn: Connection, user_id: int, connection_id: int, *, pending: bool
) -> tuple[BrokerConnection, Place] | None:
    """Remove a person's link with its tokens; with `pending` only one that was never activated."""
    row = await conn.fetchrow(
        f"""
        DELETE FROM app.user_broker_connections WHERE user_id = $1 AND id = $2 AND (NOT $3 OR state = 'pending')
        RETURNING {_CONNECTION}, place
        """,  # noqa: S608 a constant of ours
        user_id,
        connection_id,
        pending,
    )
    return (_connection(row), place_of(json.loads(row["place"]))) if row else None


async def take_late(
    conn: Connection, after: timedelta, account: tuple[str, str] | None = None
) -> list[BrokerConnection]:
    """Remove with their tokens the links that nobody has activated in time, of one broker's account or all."""
    broker, number = account or (None, None)
    rows = await conn.fetch(
        f"""
        DELETE FROM app.user_broker_connections WHERE state = 'pending' AND created_at <= now() - $1::interval
            AND ($2::text IS NULL OR (broker = $2 AND broker_account = $3))
        RETURNING {_CONNECTION}
        """,  # noqa: S608 a constant of ours
        after,
        broker,
        number,
    )
    return [_connection(row) for row in rows]


async def get_for_data(conn: Connection, user_id: int, scopes: Mapping[str, str]) -> SealedLink | None:
    """Return a person's newest active link that lets market data be read; `scopes` names by broker what that needs."""
    row = await conn.fetchrow(
        f"""
        SELECT {_SEALED} FROM app.user_broker_connections AS link
        JOIN unnest($2::text[], $3::text[]) AS offered (of, scope) ON of = broker AND scope = ANY (scopes)
        WHERE user_id = $1 AND state = 'active' ORDER BY activated_at DESC, id DESC LIMIT 1
        """,  # noqa: S608 a constant of ours
        user_id,
        list(scopes),
        list(scopes.values()),
    )
    return _sealed(row) if row else None


async def list_owners(conn: Connection, scopes: Mapping[str, str]) -> list[int]:
    """Return the people for whom `get_for_data` finds a link."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT user_id FROM app.user_broker_connections
        JOIN unnest($1::text[], $2::text[]) AS offered (of, scope) ON of = broker AND scope = ANY (scopes)
        WHERE state = 'active'
        """,
        list(scopes),
        list(scopes.values()),
    )
    return [row["user_id"] for row in rows]


async def lock_active(conn: Connection, connection_id: int) -> SealedLink | None:
    """Return an active link and hold it until the end of the transaction."""
    row = await conn.fetchrow(
        f"SELECT {_SEALED} FROM app.user_broker_connections WHERE id = $1 AND state = 'active' FOR UPDATE",  # noqa: S608 a constant of ours
        connection_id,
    )
    return _sealed(row) if row else None


async def set_due(conn: Connection, connection_id: int) -> None:
    """Let an active link be renewed now."""
    await conn.execute(
        "UPDATE app.user_broker_connections SET due_at = now() WHERE id = $1 AND state = 'active'", connection_id
    )


async def set_back(conn: Connection, connection_id: int, lease: UUID, after: timedelta) -> None:
    """Give up the lease on a link, and let it be claimed again after a while."""
    await conn.execute(
        """
        UPDATE app.user_broker_connections SET due_at = now() + $3::interval, lease = NULL, leased_until = NULL
        WHERE id = $1 AND lease = $2
        """,
        connection_id,
        lease,
        after,
    )


async def claim_due(conn: Connection, brokers: Sequence[str], lease: UUID, lasts: timedelta) -> SealedLink | None:
    """Lease the active link whose time has come first; other workers pass it by meanwhile."""
    row = await conn.fetchrow(
        f"""
        UPDATE app.user_broker_connections SET lease = $2, leased_until = now() + $3::interval
        WHERE id = (
            SELECT id FROM app.user_broker_connections
            WHERE state = 'active' AND due_at <= now() AND broker = ANY ($1::text[])
                AND (leased_until IS NULL OR leased_until <= now())
            ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        RETURNING {_SEALED}
        """,  # noqa: S608 a constant of ours
        list(brokers),
        lease,
        lasts,
    )
    return _sealed(row) if row else None


async def seconds_to_lease(conn: Connection, brokers: Sequence[str]) -> float | None:
    """Return in how many seconds a link that is due can be claimed from another worker; None where none is leased."""
    seconds = await conn.fetchval(
        """
        SELECT extract(epoch FROM min(leased_until) - now())::float FROM app.user_broker_connections
        WHERE state = 'active' AND due_at <= now() AND leased_until > now() AND broker = ANY ($1::text[])
        """,
        list(brokers),
    )
    return None if seconds is None else float(seconds)


async def renew_tokens(
    conn: Connection, link: SealedLink, tokens: bytes, lasts: timedelta | None, due_after: timedelta | None
) -> bool:
    """Store new tokens; False where the link was changed or ended since it was read."""
    return bool(
        await conn.fetchval(
            """
            UPDATE app.user_broker_connections SET tokens = $3, expires_at = now() + $4::interval,
                due_at = now() + $5::interval, renewed_at = now(), version = version + 1,
                lease = NULL, leased_until = NULL
            WHERE id = $1 AND version = $2 AND state = 'active' RETURNING true
            """,
            link.connection.id,
            link.version,
            tokens,
            lasts,
            due_after,
        )
    )


async def sign_out(conn: Connection, link: SealedLink) -> BrokerConnection | None:
    """End an active link and forget its tokens; None where it was changed or ended since it was read."""
    row = await conn.fetchrow(
        f"""
        UPDATE app.user_broker_connections SET state = 'signed_out', tokens = NULL, due_at = NULL, expires_at = NULL,
            version = version + 1, lease = NULL, leased_until = NULL
        WHERE id = $1 AND version = $2 AND state = 'active' RETURNING {_CONNECTION}
        """,  # noqa: S608 a constant of ours
        link.connection.id,
        link.version,
    )
    return _connection(row) if row else None


async def list_sealed_otherwise(conn: Connection, head: bytes, after_id: int, most: int) -> list[SealedLink]:
    """Return links, by id from the one after `after_id`, whose tokens do not begin like this."""
    rows = await conn.fetch(
        f"""
        SELECT {_SEALED} FROM app.user_broker_connections
        WHERE id > $2 AND tokens IS NOT NULL AND substring(tokens FROM 1 FOR $3) <> $1 ORDER BY id LIMIT $4
        """,  # noqa: S608 a constant of ours
        head,
        after_id,
        len(head),
        most,
    )
    return [_sealed(row) for row in rows]


async def reseal(conn: Connection, link: SealedLink, tokens: bytes) -> bool:
    """Store the same tokens, sealed anew; False where they are other ones by now."""
    return bool(
        await conn.fetchval(
            "UPDATE app.user_broker_connections SET tokens = $3 WHERE id = $1 AND tokens = $2 RETURNING true",
            link.connection.id,
            link.tokens,
            tokens,
        )
    )


def _connection(row: Mapping[str, Any]) -> BrokerConnection:
    return BrokerConnection(
        id=row["id"],
        user_id=row["user_id"],
        broker=row["broker"],
        mode=row["mode"],
        label=row["label"],
        scopes=tuple(row["scopes"]),
        state=LinkState(row["state"]),
        created_at=row["created_at"],
        activated_at=row["activated_at"],
        expires_at=row["expires_at"],
    )


def _sealed(row: Mapping[str, Any]) -> SealedLink:
    place = place_of(json.loads(row["place"]))
    return SealedLink(_connection(row), row["tokens"], row["version"], place, row["ended"], row["just_renewed"])
