"""Usage: what each person may still ask for today."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from db import usage
from db.pool import Database
from services.clock import new_york_day, new_york_midnight
from services.errors import LimitReached
from services.outage import Outage
from services.people import People
from services.plans import PLANS, WORDS, Kind, Plan, Terms

MOST_ASIDE = 25
PAUSES_S = (0.05, 0.2, 0.5, 0.0)

_Key = tuple[int, date, str]


@dataclass(frozen=True, slots=True)
class Today:
    """What a person has used since midnight in New York; `resets_at` is aware UTC."""

    terms: Terms
    used: Mapping[Kind, int]
    resets_at: datetime
    complete: bool
    """False while PostgreSQL is away: then only what this process has not written yet is known."""


class Usage:
    """Counts uses by person and New York day: a day that ended at midnight UTC would end in after-hours trading.

    Far from a limit PostgreSQL sets some uses aside for this process, which answers from them without asking, and
    `write` counts them once a second; near it each use is asked for by itself. So any number of processes together stay
    within the limit, and one that needs a use which another holds gets it. A killed process loses the counts of a
    second, and what it held (a tenth of the limit at most) is missing until the day ends.

    Where the plan has no limit uses are only counted. While PostgreSQL is away everybody is answered, and counted later
    up to the limit.
    """

    def __init__(
        self, database: Database, outage: Outage, people: People, default: Plan, now: Callable[[], datetime]
    ) -> None:
        self._database, self._outage, self._people, self._now = database, outage, people, now
        self._default = default
        self._unasked: Counter[_Key] = Counter()
        self._aside: Counter[_Key] = Counter()
        self._spent: Counter[_Key] = Counter()
        self._returned: Counter[_Key] = Counter()
        self._day = date.min
        self.due = asyncio.Event()
        """Set when `write` should not wait: somebody else needs what is held here."""

    async def spend(self, user_id: int, kind: Kind) -> Terms:
        """Count one use and return the person's terms. Raises LimitReached."""
        terms, now = await self.terms(user_id), self._now()
        key = (user_id, new_york_day(now), kind)
        most = terms.most[kind]
        if most is None:
            self._unasked[key] += 1
        elif not (self._from_aside(key) or await self._taken(key)):
            raise LimitReached(terms.plan, f"{most:,}", WORDS[kind], new_york_midnight(now))
        return terms

    async def terms(self, user_id: int) -> Terms:
        """Return what a person's plan includes; the default one's while the database is away."""
        return PLANS[await self._people.plan(user_id) or self._default]

    async def today(self, user_id: int) -> Today:
        """Return what a person has used today."""
        terms, now = await self.terms(user_id), self._now()
        day = new_york_day(now)

        async def read() -> dict[str, int]:
            async with self._database.as_user(user_id) as conn:
                return await usage.list_used(conn, user_id, day)

        stored = await self._outage.ask(read)
        keys = {kind: (user_id, day, kind) for kind in Kind}
        here = {kind: self._unasked[key] + self._spent[key] for kind, key in keys.items()}
        used = {kind: (stored or {}).get(kind, 0) + here[kind] for kind in Kind}
        return Today(terms, used, new_york_midnight(now), complete=stored is not None)

    def release(self, user_id: int | None = None) -> None:
        """Give back what is set aside for a person; for everybody without an id."""
        held = {key: number for key, number in self._aside.items() if number and user_id in {None, key[0]}}
        self._aside -= Counter(held)
        self._returned += Counter(held)
        self.due.set()

    async def write(self) -> None:
        """Bring to PostgreSQL what was counted here; while it is away, next time."""
        self.due.clear()
        today = new_york_day(self._now())
        if today != self._day:  # what was set aside for a day that is over is of no use
            self._aside, self._day = Counter({k: n for k, n in self._aside.items() if k[1] >= today}), today
        unasked, self._unasked = self._unasked, Counter()
        if unasked and not await self._outage.ask(lambda: self._count(unasked)):
            self._unasked += unasked
        (spent, returned), self._spent, self._returned = (self._spent, self._returned), Counter(), Counter()
        if (spent or returned) and not await self._outage.ask(lambda: self._settle(spent, returned)):
            # It may have been stored after all: a use counted twice is a pity, one returned twice passes the limit.
            self._spent += spent

    async def _count(self, unasked: Counter[_Key]) -> bool:
        async with self._database.acquire() as conn:
            await usage.count_uses(conn, self._default, unasked)
        return True

    async def _settle(self, spent: Counter[_Key], returned: Counter[_Key]) -> bool:
        async with self._database.acquire() as conn:
            await usage.settle(conn, spent, returned)
        return True

    def _from_aside(self, key: _Key) -> bool:
        if not self._aside[key]:
            return False
        self._aside[key] -= 1
        self._spent[key] += 1
        return True

    async def _taken(self, key: _Key) -> bool:
        """Count a use that nothing is set aside for; where others hold some, they are given a moment to return it."""
        for pause_s in PAUSES_S:
            taken = await self._take(key)
            if taken.allowed or self._from_aside(key):
                return True
            if not taken.aside:
                break
            await asyncio.sleep(pause_s)
        return False

    async def _take(self, key: _Key) -> usage.Taken:
        spent = self._spent.pop(key, 0)

        async def take() -> usage.Taken:
            async with self._database.acquire() as conn:
                return await usage.take_use(conn, self._default, key, spent, MOST_ASIDE)

        taken = await self._outage.ask(take)
        if taken is None:
            self._spent[key] += spent
            self._unasked[key] += 1
            return usage.Taken(allowed=True, aside=0)
        if taken.allowed:
            self._aside[key] += taken.aside
        return taken
