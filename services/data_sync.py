"""What the worker collects by the timetable: gamma levels, open interest and chain files of the symbols followed."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import structlog

from db import history
from db.models import GammaPoint, GammaSync
from db.pool import Database, DatabaseUnavailable
from services import chain_files, jobs
from services.chart_pool import ChartPool
from services.clock import NEW_YORK, new_york_day
from services.errors import FeedUnavailable, NoChain, PulseError, UnknownSymbol
from services.feeds.base import Chain
from services.gamma_history import collected, kept_since
from services.gamma_series import newest_session, record
from services.health import Part
from services.history_words import counted
from services.jobs import Again
from services.market import NEAR_CLOSE, Market
from services.storage import Storage

PACE_S = 1.0
"""Between two symbols: the largest chain takes some twenty requests, and the smallest plans allow 200 a minute."""
RETRY_S = 10.0
FRESH = timedelta(seconds=1)
CLOSE_WITHIN = timedelta(hours=2)
"""Later than this after the close, prices have gone on without the options."""
SILENT = timedelta(minutes=15)
"""Longer than this and three slots without a try, the collecting stands still."""
_NOON = time(12)

log = structlog.get_logger(__name__)


class DataSync:
    """Fills the gamma history; each slot of a symbol is a job of its own, so that none waits for another's fault."""

    def __init__(
        self,
        database: Database,
        market: Market,
        pool: ChartPool,
        storage: Storage,
        *,
        symbols: Sequence[str],
        every: timedelta,
    ) -> None:
        self._database, self._market, self._pool, self._storage = database, market, pool, storage
        self._symbols, self._every = symbols, every
        self._optionless: dict[str, date] = {}
        """The day on which the sources said of a symbol that it has no options: new ones are listed overnight."""

    async def begin(self, payload: Mapping[str, Any]) -> None:
        """Hand out a slot within the session, symbol by symbol; the job `history`."""
        await self._hand_out(datetime.fromisoformat(payload["slot"]), closing=False)

    async def begin_close(self, payload: Mapping[str, Any]) -> None:
        """Hand out the close of a day; the job `history.close`."""
        noon = datetime.combine(date.fromisoformat(payload["slot"]), _NOON, NEW_YORK)
        await self._hand_out(self._market.calendar.at(noon).closes_at, closing=True)

    async def point(self, payload: Mapping[str, Any]) -> None:
        """Store one slot of one symbol, the file first and the row last; the job `history.point`.

        What cannot be had now is tried again as long as the slot lasts; then it stays a gap.
        """
        symbol, slot, closing = payload["symbol"], datetime.fromisoformat(payload["slot"]), payload["closing"]
        async with self._database.transaction() as conn:
            if await history.has_point(conn, symbol, slot):
                return
            before = await history.get_newest(conn, symbol, slot)
        if closing and before and self._market.now() < slot + before.delay:
            raise Again(RETRY_S)
        if not self._lasts(slot, closing=closing):
            log.warning("slot of the gamma history lost", symbol=symbol, slot=payload["slot"])
            return
        try:
            await self._store(symbol, slot, before, closing=closing)
        except (UnknownSymbol, NoChain) as error:
            log.info("no gamma history", symbol=symbol, reason=str(error))
            if before is None:  # else it has options, and this is a fault of its source
                self._optionless[symbol] = new_york_day(slot)
        except PulseError as error:
            log.warning("slot of the gamma history waits", symbol=symbol, slot=payload["slot"], reason=str(error))
            away = error if isinstance(error, FeedUnavailable) else None
            reason = f"{away.feed}, {away.reason}" if away else str(error)
            async with self._database.transaction() as conn:
                await history.set_sync(conn, GammaSync(symbol, slot, reason))
            raise Again((away and away.retry_after_s) or RETRY_S) from error

    async def tidy(self, *, points: timedelta, files: timedelta) -> None:
        """Remove points within sessions and chain files that are older than these; today's count as a day."""
        now = self._market.now()
        async with self._database.transaction() as conn:
            await history.forget_points(conn, kept_since(now, points))
            await history.forget_syncs(conn, kept_since(now, points))
        first = kept_since(now, files).date()
        async for keys in self._storage.keys():
            await self._storage.delete([key for key in keys if (day := chain_files.day_of_key(key)) and day < first])

    async def part(self) -> Part:
        """Return how the collecting goes, for `/status`."""
        try:
            async with self._database.acquire() as conn:
                syncs = await history.list_syncs(conn)
        except DatabaseUnavailable:
            return Part(ok=False, detail="not known while the database is away")
        if not syncs:
            return Part(ok=True, detail="nothing collected yet: it begins with the next session")
        newest = max(sync.slot for sync in syncs)
        now = [sync for sync in syncs if sync.slot > newest - 2 * self._every]
        failed = [f"{sync.symbol}: {sync.error}" for sync in now if sync.error]
        local = newest.astimezone(NEW_YORK)
        when = f"{local.day} {local:%b %H:%M} ET"
        if self._stands_still(newest):
            return Part(ok=False, detail=f"nothing since {when}: see the worker's log")
        detail = f"{len(now) - len(failed)} of {counted(len(now), 'symbol')} at {when}"
        return Part(ok=len(failed) < len(now), detail="\n".join([detail, *failed[:5]]))

    def _stands_still(self, newest: datetime) -> bool:
        now = self._market.now()
        opens_at, closes_at = newest_session(self._market.calendar, now)
        return min(now, closes_at) - max(newest, opens_at) > max(3 * self._every, SILENT)

    async def _hand_out(self, slot: datetime, *, closing: bool) -> None:
        today = new_york_day(slot)
        async with self._database.transaction() as conn:
            symbols = [each for each in await collected(conn, self._symbols) if self._optionless.get(each) != today]
            for place, symbol in enumerate(symbols):
                about = {"symbol": symbol, "slot": slot.isoformat(), "closing": closing}
                key = f"history:{symbol}:{slot.isoformat()}"
                await jobs.enqueue(conn, "history.point", about, key, after_s=place * PACE_S)

    async def _store(self, symbol: str, slot: datetime, before: GammaPoint | None, *, closing: bool) -> None:
        chain = await self._market.chain(symbol, max_age=FRESH)
        if chain.delay is None:
            log.info("recordings are not collected", symbol=symbol)
            return
        self._refuse_other_times(chain, slot, before, closing=closing)
        point, interest, file = await self._pool.run(record, chain, slot, closing)
        await self._storage.put(chain_files.key(symbol, slot), file)
        async with self._database.transaction() as conn:
            await history.add_point(conn, point)
            if interest:
                await history.add_open_interest(conn, interest)
            await history.set_sync(conn, GammaSync(symbol, slot, None))

    def _lasts(self, slot: datetime, *, closing: bool) -> bool:
        return slot <= self._market.now() < slot + (CLOSE_WITHIN if closing else self._every)

    def _refuse_other_times(self, chain: Chain, slot: datetime, before: GammaPoint | None, *, closing: bool) -> None:
        assert chain.delay is not None, "recordings have been refused"
        if closing:
            left = slot + chain.delay - self._market.now()
            if left > timedelta() or chain.as_of < slot - NEAR_CLOSE:
                raise FeedUnavailable(chain.source, "it has not come to the close yet")
        elif chain.as_of + chain.delay < slot - self._every or (before and chain.as_of <= before.as_of):
            raise FeedUnavailable(chain.source, "it has said nothing new since the slot before")
