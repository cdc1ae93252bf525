"""New York time: the sessions of the US stock market, with holidays and half days."""

import asyncio
import json
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
PRE_MARKET_OPENS = time(4)
AFTER_HOURS = timedelta(hours=4)
A_YEAR = 370


Sessions = tuple[tuple[datetime, datetime], ...]
"""Regular sessions as (open, close) pairs, aware UTC, oldest first."""


class Phase(StrEnum):
    """The part of the trading day."""

    PRE = "pre-market"
    OPEN = "open"
    POST = "after hours"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Session:
    """What the market is doing at one moment; times are aware UTC."""

    phase: Phase
    opens_at: datetime
    """The next regular open; while open, the open of the running session."""
    closes_at: datetime
    """The close that belongs to `opens_at`."""
    half_day: bool


@dataclass(slots=True)
class Calendar:
    """The sessions that are known; whoever holds it sees those that `services.sessions` learns of later."""

    sessions: Sessions
    _running: tuple[Sessions, Session] | None = field(default=None, init=False, repr=False, compare=False)
    """The session that was open when last asked, and where it was found: most questions are about the same one."""

    def at(self, now: datetime) -> Session:
        """Return the session state at `now`; raises ValueError outside the calendar's range."""
        if self._running:
            known, running = self._running
            if known is self.sessions and running.opens_at <= now < running.closes_at:
                return running
        index = bisect_right(self.sessions, now, key=lambda s: s[1])
        if index == len(self.sessions):
            raise ValueError(f"the exchange calendar ends before {now:%d %b %Y}")
        opens, closes = self.sessions[index]
        session = Session(self._phase(now, index), opens, closes, _is_half_day(closes))
        if session.phase is Phase.OPEN:
            self._running = self.sessions, session
        return session

    def _phase(self, now: datetime, index: int) -> Phase:
        opens, _ = self.sessions[index]
        if now >= opens:
            return Phase.OPEN
        today = now.astimezone(NEW_YORK).date()
        if _on_day(opens) == today and now >= _at(today, PRE_MARKET_OPENS):
            return Phase.PRE
        if index and now < self.sessions[index - 1][1] + AFTER_HOURS:
            return Phase.POST
        return Phase.CLOSED

    def last_close(self, now: datetime) -> datetime | None:
        """Return the latest close at or before `now`, None when the calendar starts later."""
        index = bisect_right(self.sessions, now, key=lambda s: s[1])
        return self.sessions[index - 1][1] if index else None

    def is_session(self, day: date) -> bool:
        """Tell whether the exchange opens on a New York date."""
        index = bisect_left(self.sessions, day, key=lambda s: _on_day(s[0]))
        return index < len(self.sessions) and _on_day(self.sessions[index][0]) == day


def corrected(computed: Sessions, said: Sessions) -> Sessions:
    """Return the sessions with the broker's word for all days from its first to its last, half days and closures."""
    if not said:
        return computed
    first, last = _on_day(said[0][0]), _on_day(said[-1][0])
    before = tuple(session for session in computed if _on_day(session[0]) < first)
    after = tuple(session for session in computed if _on_day(session[0]) > last)
    return (*before, *said, *after)


def new_york_day(now: datetime) -> date:
    """Return the date that it is in New York."""
    return _on_day(now)


def new_york_midnight(now: datetime) -> datetime:
    """Return the moment (aware UTC) at which the New York date of `now` ends."""
    return _at(_on_day(now) + timedelta(days=1), time()).astimezone(UTC)


def load_calendar(today: date, days_back: int = A_YEAR) -> Calendar:
    """Return the NYSE calendar from a year ago, or as far back as wanted, to a year ahead.

    Imports `exchange_calendars`, which brings pandas and some 60 MB: a long-lived process asks `load_calendar_apart`.
    """
    import exchange_calendars  # noqa: PLC0415 - heavy, and only wanted in the short-lived process

    xnys = exchange_calendars.get_calendar("XNYS", start=(today - timedelta(days=days_back)).isoformat())
    opens: Sequence[datetime] = xnys.opens.dt.to_pydatetime()
    closes: Sequence[datetime] = xnys.closes.dt.to_pydatetime()
    return Calendar(tuple((o.astimezone(UTC), c.astimezone(UTC)) for o, c in zip(opens, closes, strict=True)))


async def load_calendar_apart(days_back: int = A_YEAR) -> Calendar:
    """Return `load_calendar` of today, computed in a process that ends at once and takes pandas with it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.clock", str(days_back), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the exchange calendar could not be computed (exit {process.returncode})")
    return Calendar(tuple((datetime.fromtimestamp(o, UTC), datetime.fromtimestamp(c, UTC)) for o, c in json.loads(out)))


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, NEW_YORK)


def _on_day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()


def _is_half_day(closes: datetime) -> bool:
    return closes.astimezone(NEW_YORK).time() < time(16)


if __name__ == "__main__":
    pairs = load_calendar(datetime.now(NEW_YORK).date(), int(sys.argv[1])).sessions
    sys.stdout.write(json.dumps([(int(o.timestamp()), int(c.timestamp())) for o, c in pairs]))
