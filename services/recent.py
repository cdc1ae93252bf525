"""What each person asked for last, to be offered first while they type."""

from collections import OrderedDict
from collections.abc import Sequence

from db import symbols
from db.pool import Database
from services.outage import Outage

MOST_SYMBOLS = 10
MOST_REMEMBERED = 50_000


class Recent:
    """Symbols by person, newest first; noted in memory, and brought to PostgreSQL in batches by `write`."""

    def __init__(self, database: Database, outage: Outage) -> None:
        self._database, self._outage = database, outage
        self._known: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        self._unwritten: dict[int, tuple[str, ...]] = {}

    def note(self, user_id: int, asked: Sequence[str]) -> None:
        """Remember the canonical symbols that a person asked for just now."""
        if user_id in self._known:
            self._known[user_id] = _joined(asked, self._known[user_id])
        self._unwritten[user_id] = _joined(asked, self._unwritten.get(user_id, ()))

    async def symbols(self, user_id: int) -> Sequence[str]:
        """Return what a person asked for, newest first; while PostgreSQL is away, what is known here."""
        if user_id not in self._known:

            async def read() -> list[str]:
                async with self._database.as_user(user_id) as conn:
                    return await symbols.list_recent(conn, user_id)

            stored = await self._outage.ask(read)
            if stored is None:
                return self._unwritten.get(user_id, ())
            if len(self._known) >= MOST_REMEMBERED:
                self._known.popitem(last=False)
            self._known[user_id] = _joined(self._unwritten.get(user_id, ()), stored)
        return self._known[user_id]

    async def write(self) -> None:
        """Bring to PostgreSQL what was noted; while it is away, next time."""
        batch = dict(self._unwritten)

        async def store() -> bool:
            async with self._database.acquire() as conn:
                await symbols.add_recent(conn, batch, MOST_SYMBOLS)
            return True

        written = await self._outage.ask(store) if batch else None
        if written:
            self._unwritten = {user: asked for user, asked in self._unwritten.items() if batch.get(user) != asked}


def _joined(newer: Sequence[str], older: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*newer, *older)))[:MOST_SYMBOLS]
