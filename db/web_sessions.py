"""Browsers that people are signed in with, and sign-ins under way; cookies and states are known by their hashes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from db.pool import Connection


async def add_sign_in(conn: Connection, state: bytes, browser: bytes, sealed: bytes, expires_at: datetime) -> None:
    """Store a sign-in that has begun."""
    await conn.execute(
        "INSERT INTO app.sign_ins (state, browser, sealed, expires_at) VALUES ($1, $2, $3, $4)",
        state,
        browser,
        sealed,
        expires_at,
    )


async def take_sign_in(conn: Connection, state: bytes, browser: bytes, now: datetime) -> bytes | None:
    """Remove a browser's sign-in and return what it sealed, None where it has none of this state that is in time."""
    sealed: bytes | None = await conn.fetchval(
        "DELETE FROM app.sign_ins WHERE state = $1 AND browser = $2 AND expires_at > $3 RETURNING sealed",
        state,
        browser,
        now,
    )
    return sealed


async def add_session(conn: Connection, session: bytes, user_id: int, name: str, now: datetime) -> None:
    """Store a session that begins now."""
    await conn.execute(
        "INSERT INTO app.web_sessions (id, user_id, name, created_at, used_at) VALUES ($1, $2, $3, $4, $4)",
        session,
        user_id,
        name,
        now,
    )


async def use_session(
    conn: Connection, session: bytes, now: datetime, used_after: datetime, created_after: datetime
) -> Mapping[str, Any] | None:
    """Take note that a session is in use and return its `user_id` and `name`; None where it is unknown or over."""
    return await conn.fetchrow(
        """
        UPDATE app.web_sessions SET used_at = $2 WHERE id = $1 AND used_at > $3 AND created_at > $4
        RETURNING user_id, name
        """,
        session,
        now,
        used_after,
        created_after,
    )


async def delete_session(conn: Connection, session: bytes) -> None:
    """End a session, if there is one."""
    await conn.execute("DELETE FROM app.web_sessions WHERE id = $1", session)


async def forget_ended(conn: Connection, now: datetime, used_before: datetime, created_before: datetime) -> None:
    """Delete the sessions and the sign-ins whose time is over."""
    await conn.execute(
        "DELETE FROM app.web_sessions WHERE used_at <= $1 OR created_at <= $2", used_before, created_before
    )
    await conn.execute("DELETE FROM app.sign_ins WHERE expires_at <= $1", now)
