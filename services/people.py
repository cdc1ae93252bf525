"""People: what each of them chose to be remembered, and the plan they have."""

from dataclasses import replace

from db import users
from db.models import Person, Preferences, Theme
from db.pool import Database
from services.errors import outages_told
from services.outage import Outage
from services.plans import Plan

MOST_REMEMBERED = 50_000


class People:
    """What the database holds of each person, kept in memory until it says that it changed."""

    def __init__(self, database: Database, outage: Outage) -> None:
        self._database, self._outage = database, outage
        self._known: dict[int, Person] = {}
        self._current: set[int] = set()
        self._forgotten = 0

    async def preferences(self, user_id: int) -> Preferences:
        """Return what a person chose; the defaults where they chose nothing, or while the database is away."""
        return (await self._person(user_id)).preferences

    def remembered(self, user_id: int) -> Preferences:
        """Return what `preferences` found last, without asking the database."""
        return self._known.get(user_id, _stranger(user_id)).preferences

    async def theme(self, user_id: int) -> Theme:
        """Return the theme a person chose; dark when they chose none, or while the database is away."""
        return (await self.preferences(user_id)).theme

    async def plan(self, user_id: int) -> Plan | None:
        """Return the plan that a person was given; None where it is the default one, or while the database is away."""
        plan = (await self._person(user_id)).plan
        return Plan(plan) if plan else None

    async def choose_theme(self, user_id: int, theme: Theme, locale: str) -> None:
        """Remember a theme for good; raises DatabaseAway."""
        await self.choose(user_id, locale, theme=theme)

    async def choose(
        self,
        user_id: int,
        locale: str,
        *,
        theme: Theme | None = None,
        numbers: str | None = None,
        private: bool | None = None,
    ) -> Preferences:
        """Remember for good what is given, and return everything chosen; `numbers` is a locale, "" that of Discord.

        `locale` is the person's at Discord. Raises DatabaseAway.
        """

        async def write() -> Preferences:
            async with self._database.as_user(user_id) as conn:
                return await users.set_preferences(conn, user_id, locale, theme=theme, numbers=numbers, private=private)

        with outages_told():
            chosen = await self._database.retry(write, within_s=1.0)
        self._known[user_id] = replace(self._known.get(user_id, _stranger(user_id)), preferences=chosen)
        return chosen

    def forget(self, user_id: int | None = None) -> None:
        """Read what is known of a person anew at the next use; of everybody without an id."""
        self._forgotten += 1
        if user_id is None:
            self._current.clear()
        else:
            self._current.discard(user_id)

    async def _person(self, user_id: int) -> Person:
        if user_id in self._current:
            return self._known[user_id]

        async def read() -> Person:
            async with self._database.as_user(user_id) as conn:
                return await users.get_person(conn, user_id) or _stranger(user_id)

        forgotten = self._forgotten
        found = await self._outage.ask(read)
        if found is None:
            return self._known.get(user_id, _stranger(user_id))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
            self._current.clear()
        self._known[user_id] = found
        if forgotten == self._forgotten:  # else it may have changed while it was read
            self._current.add(user_id)
        return found


def _stranger(user_id: int) -> Person:
    return Person(Preferences(user_id, Theme.DARK), plan=None)
