"""Queries on the way from `/link` to a broker; PostgreSQL's clock is the only one that counts."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from db.link_models import AuthorizedLink, LinkRequest
from db.models import Place
from db.notices import place_json, place_of
from db.pool import Connection

_REQUEST = "id, user_id, broker, expires_at"


async def set_request(
    conn: Connection, user_id: int, locale: str, broker: str, token: bytes, place: Place, lasts: timedelta
) -> None:
    """Begin a person's way to a broker; one that was open ends. `token` is the hash of the link's."""
    await conn.execute(
        """
        WITH profile AS (
            INSERT INTO app.profiles (user_id, locale) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING
        )
        INSERT INTO app.link_requests (user_id, broker, token, place, expires_at)
        VALUES ($1, $3, $4, $5, now() + $6::interval)
        ON CONFLICT (user_id) DO UPDATE SET
            id = excluded.id, broker = excluded.broker, token = excluded.token, place = excluded.place,
            expires_at = excluded.expires_at, session = NULL, state = NULL, redirect_uri = NULL
        """,
        user_id,
        locale,
        broker,
        token,
        json.dumps(place_json(place)),
        lasts,
    )


async def get_request(conn: Connection, token: bytes) -> LinkRequest | None:
    """Return what a link that nobody has used is for."""
    row = await conn.fetchrow(
        f"SELECT {_REQUEST} FROM app.link_requests WHERE token = $1 AND session IS NULL AND expires_at > now()",  # noqa: S608 a constant of ours
        token,
    )
    return _request(row) if row else None


async def claim_request(
    conn: Connection, token: bytes, user_id: int, session: bytes, lasts: timedelta
) -> LinkRequest | None:
    """Bind a person's request to the browser session that used its link; None where none is open to it."""
    row = await conn.fetchrow(
        f"""
        UPDATE app.link_requests SET session = $3,
            expires_at = CASE WHEN session IS NULL THEN now() + $4::interval ELSE expires_at END
        WHERE token = $1 AND user_id = $2 AND (session IS NULL OR session = $3) AND expires_at > now()
        RETURNING {_REQUEST}
        """,  # noqa: S608 a constant of ours
        token,
        user_id,
        session,
        lasts,
    )
    return _request(row) if row else None


async def take_misused(conn: Connection, token: bytes, user_id: int) -> tuple[LinkRequest, Place] | None:
    """Remove an open request that somebody else than its owner has opened."""
    row = await conn.fetchrow(
        f"""
        DELETE FROM app.link_requests WHERE token = $1 AND user_id <> $2 AND session IS NULL AND expires_at > now()
        RETURNING {_REQUEST}, place
        """,  # noqa: S608 a constant of ours
        token,
        user_id,
    )
    return (_request(row), place_of(json.loads(row["place"]))) if row else None


async def get_claimed(conn: Connection, user_id: int, session: bytes) -> LinkRequest | None:
    """Return what a person's browser session is about to link."""
    row = await conn.fetchrow(
        f"SELECT {_REQUEST} FROM app.link_requests WHERE user_id = $1 AND session = $2 AND expires_at > now()",  # noqa: S608 a constant of ours
        user_id,
        session,
    )
    return _request(row) if row else None


async def set_state(
    conn: Connection, request: LinkRequest, session: bytes, state: bytes, redirect_uri: str, lasts: timedelta
) -> bool:
    """Begin the broker's part of a claimed request; an earlier state of it is void. False where it has ended."""
    return bool(
        await conn.fetchval(
            """
            UPDATE app.link_requests SET state = $4, redirect_uri = $5, expires_at = now() + $6::interval
            WHERE user_id = $1 AND id = $2 AND session = $3 AND expires_at > now() RETURNING true
            """,
            request.user_id,
            request.id,
            session,
            state,
            redirect_uri,
            lasts,
        )
    )


async def take_authorized(conn: Connection, state: bytes) -> AuthorizedLink | None:
    """Remove the request that a state belongs to, whoever brings it: a state is good once."""
    row = await conn.fetchrow(
        f"""
        DELETE FROM app.link_requests WHERE state = $1
        RETURNING {_REQUEST}, session, redirect_uri, place, expires_at <= now() AS late
        """,  # noqa: S608 a constant of ours
        state,
    )
    if row is None:
        return None
    place = place_of(json.loads(row["place"]))
    return AuthorizedLink(_request(row), row["session"], row["redirect_uri"], place, row["late"])


async def forget_requests(conn: Connection) -> None:
    """Remove requests that have ended."""
    await conn.execute("DELETE FROM app.link_requests WHERE expires_at <= now()")


def _request(row: Mapping[str, Any]) -> LinkRequest:
    return LinkRequest(row["id"], row["user_id"], row["broker"], row["expires_at"])
