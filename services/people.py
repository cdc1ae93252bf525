"""People: what each of them chose to be remembered."""

import structlog

from db import users
from db.models import Theme
from db.pool import Database, DatabaseUnavailable
from services.errors import DatabaseAway

MOST_REMEMBERED = 50_000

log = structlog.get_logger(__name__)


class People:
    """Preferences, kept in memory until the database says that they changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._themes: dict[int, Theme] = {}

    async def theme(self, user_id: int) -> Theme:
        """Return the theme a person chose; dark when they chose none, or while the database is away."""
        if user_id in self._themes:
            return self._themes[user_id]
        try:
            async with self._database.as_user(user_id) as conn:
                found = await users.get_preferences(conn, user_id)
        except DatabaseUnavailable as error:
            log.warning("preferences unread", error=str(error))
            return Theme.DARK
        return self._remember(user_id, found.theme if found else Theme.DARK)

    async def choose_theme(self, user_id: int, theme: Theme, locale: str) -> None:
        """Remember a theme for good; raises DatabaseAway."""

        async def write() -> None:
            async with self._database.as_user(user_id) as conn:
                await users.set_theme(conn, user_id, theme, locale)

        try:
            await self._database.retry(write, within_s=1.0)
        except DatabaseUnavailable as error:
            raise DatabaseAway from error
        self._remember(user_id, theme)

    def forget(self, user_id: int | None = None) -> None:
        """Read a person's preferences anew at the next use; everybody's without an id."""
        if user_id is None:
            self._themes.clear()
        else:
            self._themes.pop(user_id, None)

    def _remember(self, user_id: int, theme: Theme) -> Theme:
        if len(self._themes) >= MOST_REMEMBERED:
            self._themes.clear()
        self._themes[user_id] = theme
        return theme
