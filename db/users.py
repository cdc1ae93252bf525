"""Profiles, preferences and plans of people."""

from collections.abc import Mapping
from typing import Any

from db.models import Person, Preferences, Theme
from db.pool import Connection


async def get_person(conn: Connection, user_id: int) -> Person | None:
    """Return what is known of a person, or None of a stranger; runs inside `db.as_user(user_id)`."""
    row = await conn.fetchrow(
        """
        SELECT user_id, plan, coalesce(theme, 'dark') AS theme, numbers, coalesce(private, false) AS private
        FROM app.profiles LEFT JOIN app.preferences USING (user_id) WHERE user_id = $1
        """,
        user_id,
    )
    return None if row is None else Person(_preferences(row), row["plan"])


async def set_preferences(
    conn: Connection,
    user_id: int,
    locale: str,
    *,
    theme: Theme | None = None,
    numbers: str | None = None,
    private: bool | None = None,
) -> Preferences:
    """Remember what is given (`numbers` "" takes a choice back), and the person's Discord locale; safe to repeat.

    Runs inside `db.as_user(user_id)`. Listeners of the channel `preferences` are told the user id.
    """
    row = await conn.fetchrow(
        """
        WITH profile AS (
            INSERT INTO app.profiles (user_id, locale) VALUES ($1, $2)
            ON CONFLICT (user_id) DO UPDATE SET locale = excluded.locale
            RETURNING user_id
        )
        INSERT INTO app.preferences AS present (user_id, theme, numbers, private)
        SELECT user_id, coalesce($3, 'dark'), nullif($4, ''), coalesce($5, false) FROM profile
        ON CONFLICT (user_id) DO UPDATE SET
            theme = coalesce($3, present.theme),
            numbers = CASE WHEN $4 IS NULL THEN present.numbers ELSE nullif($4, '') END,
            private = coalesce($5, present.private),
            updated_at = now()
        RETURNING user_id, theme, numbers, private
        """,
        user_id,
        locale,
        theme,
        numbers,
        private,
    )
    assert row is not None
    return _preferences(row)


async def set_plan(conn: Connection, user_id: int, plan: str | None) -> None:
    """Give a person a plan, None for the default one; runs as the service, never as the person.

    Listeners of the channel `preferences` are told the user id.
    """
    await conn.execute(
        """
        INSERT INTO app.profiles (user_id, locale, plan) VALUES ($1, 'en-US', $2)
        ON CONFLICT (user_id) DO UPDATE SET plan = excluded.plan
        """,
        user_id,
        plan,
    )


def _preferences(row: Mapping[str, Any]) -> Preferences:
    return Preferences(row["user_id"], Theme(row["theme"]), row["numbers"], row["private"])
