"""A gamma history as a series: what is kept of a chain, and the days and points between which nothing is invented."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np

from db.models import GammaPoint, OpenInterest
from services import chain_files
from services.clock import Calendar, Phase, new_york_day
from services.feeds.base import Chain
from services.gamma import analyze
from services.smile import held


@dataclass(frozen=True, slots=True)
class Day:
    """One trading day; without a close where none was stored, and then nothing is drawn."""

    date: date
    close: GammaPoint | None


@dataclass(frozen=True, slots=True)
class Series:
    """What is stored of a symbol: the closes of trading days, oldest first, then the points of the newest session."""

    symbol: str
    days: tuple[Day, ...]
    """Those before the newest session."""
    today: tuple[GammaPoint, ...]
    opens_at: datetime
    closes_at: datetime
    """The session that `today` belongs to."""
    since: datetime | None
    """When the symbol was first stored; None where it never was."""
    next_at: datetime
    """When the next point is shown."""
    every: timedelta
    collected: bool
    """Further points will come."""

    @property
    def points(self) -> list[GammaPoint]:
        """Every point there is, oldest first."""
        return [*(day.close for day in self.days if day.close), *self.today]

    @property
    def missing(self) -> int:
        """How many of the days have no close."""
        return sum(day.close is None for day in self.days)

    @property
    def gaps(self) -> set[int]:
        """The places in `today` before which points are missing."""
        slots = [point.slot for point in self.today]
        late = (n for n, (before, slot) in enumerate(pairwise(slots), 1) if slot - before > 1.5 * self.every)
        begun = [0] if slots and slots[0] - self.opens_at > 1.5 * self.every else []
        return {*begun, *late}


def next_slot(calendar: Calendar, now: datetime, every: timedelta) -> datetime:
    """Return when the next point is due: each `every` after the open, and at the close."""
    session = calendar.at(now)
    if session.phase is not Phase.OPEN:
        return session.opens_at + every
    passed = (now - session.opens_at) // every
    return min(session.opens_at + (passed + 1) * every, session.closes_at)


def newest_session(calendar: Calendar, now: datetime) -> tuple[datetime, datetime]:
    """Return open and close of the session that has begun last; raises ValueError outside the calendar's range."""
    session = calendar.at(now)
    if session.phase is not Phase.OPEN and (closed := calendar.last_close(now)):
        session = calendar.at(closed - timedelta(seconds=1))
    return session.opens_at, session.closes_at


def trading_days(calendar: Calendar, first: date, last: date) -> list[date]:
    """Return the days with a session from `first` to `last`, both included, in New York dates."""
    count = (last - first).days + 1
    return [day for n in range(count) if calendar.is_session(day := first + timedelta(days=n))]


def record(chain: Chain, slot: datetime, closing: bool) -> tuple[GammaPoint, OpenInterest | None, bytes]:
    """Return what is kept of a chain: its levels, its open interest where that is dated, and its file.

    Raises BadData or NothingExpires where levels would be a guess; some 100 ms of pure computing.
    """
    assert chain.delay is not None, "recordings are not collected"
    gamma = analyze(chain)
    point = GammaPoint(
        symbol=chain.symbol,
        slot=slot,
        closing=closing,
        as_of=chain.as_of,
        source=chain.source,
        delay=chain.delay,
        spot=gamma.spot,
        net=gamma.total,
        gross=gamma.gross,
        flip=gamma.flip,
        call_wall=gamma.call_wall,
        put_wall=gamma.put_wall,
        abs_gamma=gamma.abs_gamma,
        max_pain=gamma.max_pain,
        expected_move=gamma.expected_move,
        zero_dte=gamma.zero_dte,
        coverage=gamma.coverage,
    )
    return point, open_interest(chain), chain_files.write(chain)


def open_interest(chain: Chain) -> OpenInterest | None:
    """Return a chain's open contracts in total and by strike, None where the source does not date them."""
    if chain.open_interest_date is None:
        return None
    counts = np.rint(held(chain.open_interest))
    strikes, place = np.unique(chain.strike, return_inverse=True)
    calls, puts = (np.bincount(place, weights=counts * side) for side in (chain.is_call, ~chain.is_call))
    some = (calls > 0) | (puts > 0)
    return OpenInterest(
        symbol=chain.symbol,
        day=chain.open_interest_date,
        source=chain.source,
        calls=int(calls.sum()),
        puts=int(puts.sum()),
        strikes=tuple(strikes[some].tolist()),
        call_oi=tuple(calls[some].astype(np.int64).tolist()),
        put_oi=tuple(puts[some].astype(np.int64).tolist()),
    )


def series_csv(series: Series) -> bytes:
    """Return the points of a series as CSV; empty where a level does not exist."""
    names = [name for name in GammaPoint.__slots__ if name not in {"slot", "as_of", "delay"}]
    lines = [",".join(("slot", "as_of", "delay_s", *names))]
    for point in series.points:
        values = [getattr(point, name) for name in names]
        texts = ["" if value is None else str(value) for value in values]
        times = (point.slot.isoformat(), point.as_of.isoformat(), f"{point.delay.total_seconds():g}")
        lines.append(",".join((*times, *texts)))
    return "\n".join([*lines, ""]).encode()


def days_of(
    calendar: Calendar, closes: Sequence[GammaPoint], last_close: datetime | None, most: int
) -> tuple[Day, ...]:
    """Return the last `most` trading days from the first of `closes` to `last_close`, each with its own if stored."""
    if not closes or last_close is None:
        return ()
    found = {new_york_day(point.slot): point for point in closes}
    listed = trading_days(calendar, min(found), new_york_day(last_close))
    return tuple(Day(day, found.get(day)) for day in listed[-most:])
