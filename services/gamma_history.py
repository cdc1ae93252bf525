"""The gamma history: how levels moved over days and within one, and the stored chains behind them."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from db import history
from db.models import GammaPoint, Theme
from db.pool import Connection, Database, DatabaseUnavailable
from services import chain_files
from services.boards import known_symbols
from services.chart_pool import ChartPool
from services.charts import Picture, draw_history, draw_stored
from services.clock import NEW_YORK, new_york_day
from services.errors import DatabaseAway, UserError
from services.gamma_series import Series, days_of, newest_session, next_slot
from services.market import Market
from services.plans import LIVE_CHAIN, Terms
from services.storage import Storage

MOST_DAYS = 252
"""A year of trading days."""
MOST_SYMBOLS = 100
"""Collected at most: each takes a second of every slot, and a folder of chain files, some 50 MB a day for SPX."""


@dataclass(frozen=True, slots=True)
class HistoryPicture:
    """A series and its drawing (PNG), None where there is nothing to draw."""

    series: Series
    png: bytes | None


@dataclass(frozen=True, slots=True)
class Frame:
    """The gamma picture of one stored moment, and the moments around it."""

    point: GammaPoint
    picture: Picture
    first: datetime
    """Of the same day, as `last`; slots of the timetable."""
    previous: datetime | None
    next: datetime | None
    last: datetime
    number: int
    """Counts from 1 within the day."""
    of: int


class GammaHistory:
    """Reads what `DataSync` has stored; every verb may raise DatabaseAway."""

    def __init__(
        self,
        database: Database,
        market: Market,
        pool: ChartPool,
        storage: Storage,
        *,
        symbols: Sequence[str],
        every: timedelta,
        files: timedelta,
    ) -> None:
        self._database, self._market, self._pool, self._storage = database, market, pool, storage
        self._symbols, self._every, self._files = symbols, every, files

    async def series(self, symbol: str, days: int, terms: Terms) -> Series:
        """Return the last `days` trading days that could have a close, and the newest session's points.

        Without what is younger than the plan's chains may be. Raises UnknownSymbol where nothing is stored and no
        source knows the symbol.
        """
        late, calendar = _late(terms), self._market.calendar
        now = self._market.now() - late
        opens_at, closes_at = newest_session(calendar, now)
        async with self._transaction() as conn:
            closes = await history.list_closes(conn, symbol, opens_at, days)
            today = await history.list_points(conn, symbol, opens_at, min(now, closes_at))
            since = await history.get_first_slot(conn, symbol)
            symbols = await collected(conn, self._symbols)
        if since is None:
            known_symbols(self._market, [symbol])
        return Series(
            symbol=symbol,
            days=days_of(calendar, closes, calendar.last_close(opens_at), days),
            today=tuple(today),
            opens_at=opens_at,
            closes_at=closes_at,
            since=since if since and since <= now else None,
            next_at=next_slot(calendar, now, self._every) + late,
            every=self._every,
            collected=symbol in symbols,
        )

    async def picture(self, symbol: str, days: int, theme: Theme, terms: Terms) -> HistoryPicture:
        """Return the series as a picture."""
        series = await self.series(symbol, days, terms)
        png = await self._pool.run(draw_history, series, theme) if series.points else None
        return HistoryPicture(series, png)

    async def frame(self, symbol: str, slot: datetime | None, theme: Theme, terms: Terms) -> Frame:
        """Return the gamma picture of a stored chain: of a slot or the last before it, else of the newest day's first.

        Raises UserError where nothing is kept, BadData where the file is damaged, and StorageUnavailable.
        """
        points = await self._frames(symbol, self._market.now() - _late(terms))
        if not points:
            raise _not_kept(self._files)
        slots = [point.slot for point in points]
        if slot and slot < slots[0]:
            raise _not_kept(self._files)
        days = [new_york_day(each) for each in slots]
        at = days.index(days[-1]) if slot is None else bisect_right(slots, slot) - 1
        point = points[at]
        data = await self._storage.get(chain_files.key(symbol, point.slot))
        if data is None:
            raise _not_kept(self._files)
        same = [each for each, day in zip(slots, days, strict=True) if day == days[at]]
        return Frame(
            point=point,
            picture=await self._pool.run(draw_stored, data, theme),
            first=same[0],
            previous=slots[at - 1] if at else None,
            next=slots[at + 1] if at + 1 < len(slots) else None,
            last=same[-1],
            number=same.index(point.slot) + 1,
            of=len(same),
        )

    async def _frames(self, symbol: str, now: datetime) -> list[GammaPoint]:
        async with self._transaction() as conn:
            return await history.list_points(conn, symbol, kept_since(now, self._files), now)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with self._database.transaction() as conn:
                yield conn
        except DatabaseUnavailable as error:
            raise DatabaseAway from error


async def collected(conn: Connection, named: Sequence[str]) -> Sequence[str]:
    """Return what is collected: the symbols that the settings name, then those of boards, watches and alerts."""
    return list(dict.fromkeys([*named, *await history.list_followed(conn)]))[:MOST_SYMBOLS]


def kept_since(now: datetime, kept: timedelta) -> datetime:
    """Return the midnight in New York from which something is kept for `kept`, today included."""
    first = new_york_day(now) - kept + timedelta(days=1)
    return datetime.combine(first, datetime.min.time(), NEW_YORK)


def _late(terms: Terms) -> timedelta:
    """Return how much later than it is stored a plan shows a point."""
    return terms.chain_age if terms.chain_age > LIVE_CHAIN else timedelta(0)


def _not_kept(files: timedelta) -> UserError:
    return UserError(
        f"The chain of that moment is not kept: replays go back {files.days} day{'s' if files.days > 1 else ''}. "
        "`/gamma-history` still shows its levels."
    )
