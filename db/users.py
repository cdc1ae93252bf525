"""Profiles and preferences of people; every query runs inside `db.as_user(user_id)`."""

from db.models import Preferences, Theme
from db.pool import Connection


async def get_preferences(conn: Connection, user_id: int) -> Preferences | None:
    """Return what the person chose, or None where nothing was chosen yet."""
    row = await conn.fetchrow("SELECT user_id, theme FROM app.preferences WHERE user_id = $1", user_id)
    return None if row is None else Preferences(user_id=row["user_id"], theme=Theme(row["theme"]))


async def set_theme(conn: Connection, user_id: int, theme: Theme, locale: str) -> Preferences:
    """Remember the theme, and the person with their Discord locale; safe to repeat.

    Listeners of the channel `preferences` are told the user id.
    """
    row = await conn.fetchrow(
        """
        WITH profile AS (
            INSERT INTO app.profiles (user_id, locale) VALUES ($1, $2)
            ON CONFLICT (user_id) DO UPDATE SET locale = excluded.locale
            RETURNING user_id
        )
        INSERT INTO app.preferences (user_id, theme) SELECT user_id, $3 FROM profile
        ON CONFLICT (user_id) DO UPDATE SET theme = excluded.theme, updated_at = now()
        RETURNING user_id, theme
        """,
        user_id,
        locale,
        theme,
    )
    assert row is not None
    return Preferences(user_id=row["user_id"], theme=Theme(row["theme"]))
