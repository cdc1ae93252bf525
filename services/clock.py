"""New York time: the sessions of the US stock market, with holidays and half days."""

import asyncio
import json
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
PRE_MARKET_OPENS = time(4)
POST_MARKET_CLOSES = time(20)


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


@dataclass(frozen=True, slots=True)
class Calendar:
    """Regular sessions as (open, close) pairs, aware UTC, oldest first."""

    sessions: tuple[tuple[datetime, datetime], ...]

    def at(self, now: datetime) -> Session:
        """Return the session state at `now`; raises ValueError outside the calendar's range."""
        index = bisect_right(self.sessions, now, key=lambda s: s[1])
        if index == len(self.sessions):
            raise ValueError(f"the exchange calendar ends before {now:%d %b %Y}")
        opens, closes = self.sessions[index]
        return Session(self._phase(now, index), opens, closes, _is_half_day(closes))

    def _phase(self, now: datetime, index: int) -> Phase:
        opens, _ = self.sessions[index]
        today = now.astimezone(NEW_YORK).date()
        if now >= opens:
            return Phase.OPEN
        if _on_day(opens) == today and now >= _at(today, PRE_MARKET_OPENS):
            return Phase.PRE
        if index and _on_day(self.sessions[index - 1][1]) == today and now < _at(today, POST_MARKET_CLOSES):
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


def load_calendar(today: date) -> Calendar:
    """Return the NYSE calendar from a year ago to a year ahead.

    Imports `exchange_calendars`, which brings pandas and some 60 MB: a long-lived process asks `load_calendar_apart`.
    """
    import exchange_calendars  # noqa: PLC0415 - heavy, and only wanted in the short-lived process

    xnys = exchange_calendars.get_calendar("XNYS", start=(today - timedelta(days=370)).isoformat())
    opens: Sequence[datetime] = xnys.opens.dt.to_pydatetime()
    closes: Sequence[datetime] = xnys.closes.dt.to_pydatetime()
    return Calendar(tuple((o.astimezone(UTC), c.astimezone(UTC)) for o, c in zip(opens, closes, strict=True)))


async def load_calendar_apart() -> Calendar:
    """Return `load_calendar(today)` computed in a process that ends at once and takes pandas with it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.clock", stdout=asyncio.subprocess.PIPE
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
    pairs = load_calendar(datetime.now(NEW_YORK).date()).sessions
    sys.stdout.write(json.dumps([(int(o.timestamp()), int(c.timestamp())) for o, c in pairs]))
