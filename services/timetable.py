"""What happens by the clock: each tick is claimed in the database, so any number of workers make one of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # it ships no types

from db import jobs as ticks
from db.pool import Database, DatabaseUnavailable
from services import jobs
from services.clock import NEW_YORK, Calendar

LOOK_AT_MARKET_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks: people's, and the market's, which a demo may run faster; aware UTC."""

    wall: datetime
    market: datetime
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timetable: the job `name` is enqueued once for each value that `slot` takes."""

    name: str
    look_every_s: float
    slot: Callable[[Moment], str | None]
    """Names the tick that is due at a moment, None while nothing is."""


def every(name: str, seconds: float, *, of: str = "") -> Entry:
    """Return an entry that ticks in each period of `seconds` of the wall clock, anew when `of` changes."""

    def slot(moment: Moment) -> str:
        begun = datetime.fromtimestamp(moment.wall.timestamp() // seconds * seconds, UTC).isoformat()
        return f"{of} {begun}" if of else begun

    return Entry(name, seconds, slot)


def at_open(name: str, after: timedelta = timedelta(), grace: timedelta = timedelta(minutes=30)) -> Entry:
    """Return an entry that ticks on trading days, `after` the open; a worker that comes within `grace` catches up."""

    def slot(moment: Moment) -> str | None:
        opens = moment.calendar.at(moment.market - after - grace).opens_at
        return _day(opens) if opens + after <= moment.market < opens + after + grace else None

    return Entry(name, LOOK_AT_MARKET_S, slot)


def at_close(name: str, after: timedelta = timedelta(), grace: timedelta = timedelta(hours=2)) -> Entry:
    """Return an entry that ticks on trading days, `after` the close; a worker that comes within `grace` catches up."""

    def slot(moment: Moment) -> str | None:
        closed = moment.calendar.last_close(moment.market - after)
        return _day(closed) if closed and moment.market < closed + after + grace else None

    return Entry(name, LOOK_AT_MARKET_S, slot)


def while_open(name: str, period: timedelta) -> Entry:
    """Return an entry that ticks in each `period` of a session but the first; whoever comes late makes the newest."""

    def slot(moment: Moment) -> str | None:
        session = moment.calendar.at(moment.market)
        passed = (moment.market - session.opens_at) // period
        return (session.opens_at + passed * period).isoformat() if passed > 0 else None

    return Entry(name, LOOK_AT_MARKET_S, slot)


class Timetable:
    """The local clock of a worker."""

    def __init__(self, database: Database, entries: Sequence[Entry], now: Callable[[], Moment]) -> None:
        self._database = database
        self._entries = entries
        self._now = now
        self._claimed: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tick until the block ends; while PostgreSQL is away, a tick waits for the next look within its slot."""
        clock = AsyncIOScheduler(timezone=UTC)
        for entry in self._entries:
            clock.add_job(
                self.look,
                "interval",
                args=[entry],
                seconds=entry.look_every_s,
                next_run_time=datetime.now(UTC),
                coalesce=True,
                misfire_grace_time=None,
            )
        clock.start()
        try:
            yield
        finally:
            clock.shutdown(wait=False)

    async def look(self, entry: Entry) -> None:
        """Enqueue the entry's job if its tick is due and nobody has claimed it yet."""
        moment = self._now()
        slot = entry.slot(moment)
        if slot is None or self._claimed.get(entry.name) == slot:
            return
        try:
            async with self._database.transaction() as conn:
                if await ticks.claim_tick(conn, entry.name, slot):
                    await jobs.enqueue(conn, entry.name, {"slot": slot, "at": moment.market.isoformat()})
        except DatabaseUnavailable as error:
            log.warning("tick not claimed", entry=entry.name, slot=slot, error=str(error))
            return
        self._claimed[entry.name] = slot


def _day(moment: datetime) -> str:
    return moment.astimezone(NEW_YORK).date().isoformat()
