"""The worker's eye on the market: follows the trades of all symbols that have alerts, and says which alerts fire."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from db import alerts
from db.listener import listening
from db.models import Pause
from db.pool import Connection, Database, DatabaseUnavailable, connect, outages
from services import firings
from services.clock import Calendar, Phase
from services.crossings import Crossings, Ladder
from services.errors import FeedUnavailable
from services.feeds.alpaca import Alpaca
from services.feeds.base import Tick
from services.feeds.stream import AlpacaStream, LiveTrades, TooManyFollowed
from services.health import Health
from services.market import CANARY
from services.missed_trades import minute_of, missed_trades
from services.tape import Tape

SILENT_S = 15.0
WRITE_EVERY_S = 2.0
LOCK_EVERY_S = 0.5
LONGEST_PAUSE_S = 30.0
MOST_AT_ONCE = 200
"""Alerts that are written in one transaction, so that the first of a burst need not wait for the last."""
SET_BACK = timedelta(minutes=10)
"""No trade comes so much too late: the source has turned its clock, as only a simulated one does."""

log = structlog.get_logger(__name__)

_Item = int | list[Tick] | None
"""The id of an alert that has changed, trades, or (None) that any alert may have changed."""


class Superseded(Exception):
    """Another worker has begun to watch."""


class _Reload(Exception):
    """What is held in memory cannot be gone on with; the database can."""


class Watch:
    """Judges alerts by every trade once, in one process at a time, and goes on where the one before has stopped."""

    def __init__(
        self,
        database: Database,
        calendar: Calendar,
        source: Alpaca,
        stream: AlpacaStream,
        health: Health,
        tape: Tape | None = None,
    ) -> None:
        self._database, self._calendar = database, calendar
        self._source, self._stream, self._health = source, stream, health
        self._tape = tape or Tape()
        self._seeding: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue()
        self._crossings = Crossings()
        self._followed: set[str] = set()
        self._quoted: set[str] = set()
        self._current: dict[str, Ladder] = {}
        """Ladders that have seen every trade."""
        self._marked: dict[str, datetime] = {}
        """Up to where symbols had been judged when they were loaded."""
        self._generation = 0
        self._write_at = 0.0
        self._heard_at = 0.0
        self._newest: datetime | None = None
        self._said: str | None = None
        self._silent = False

    async def run(self) -> None:
        """Watch until cancelled; outages of PostgreSQL and of the market are waited out."""
        pause_s = 0.1
        while True:
            try:
                async with self._alone():
                    pause_s = 0.1
                    await self._watch()
            except (DatabaseUnavailable, Superseded) as error:
                log.warning("alerts not watched", reason=str(error))
                self._health.report("alerts", ok=False, detail="waits for the database")
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(pause_s * 2, 5.0)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        connection = await connect(self._database.url, role="pulse_service")
        try:
            with outages(connection):
                while not await alerts.try_lock(connection):
                    self._health.report("alerts", ok=True, detail="another worker watches them")
                    await asyncio.sleep(LOCK_EVERY_S)
            yield
        finally:
            self._tape.on_want = lambda: None
            connection.terminate()

    async def _watch(self) -> None:
        inbox: asyncio.Queue[_Item] = asyncio.Queue()
        self._inbox = inbox
        self._tape.on_want = lambda: inbox.put_nowait([])
        async with listening(
            self._database.url,
            ("alerts",),
            on_notify=lambda _, alert_id: self._inbox.put_nowait(int(alert_id)),
            on_resync=lambda: self._inbox.put_nowait(None),
        ):
            # What is read before the first resync could be changed without our being told.
            while await self._inbox.get() is not None:
                pass
            while True:
                await self._load()
                with contextlib.suppress(_Reload):
                    await self._follow()

    async def _load(self) -> None:
        async with self._database.transaction() as conn:
            self._generation = await alerts.begin_watch(conn)
            active, marks = await alerts.list_watched(conn), await alerts.list_marks(conn)
            pause = await alerts.get_pause(conn)
        self._crossings, self._current = Crossings(active, marks), {}
        self._marked = {mark.symbol: mark.at for mark in marks}
        self._said = pause.reason if pause else None
        log.info("alerts loaded", count=len(self._crossings), symbols=len(self._crossings.ladders))

    # --- the connection

    async def _follow(self) -> None:
        failures = 0
        while True:
            if not self._busy():
                await self._say(None)
                await self._step(None)
                continue
            try:
                async with self._stream.connected() as live:
                    async for _ in self._live(live):
                        failures = 0
            except FeedUnavailable as error:
                log.warning("market stream lost", reason=error.reason)
                # What is not followed live has missed trades.
                self._current = {}
                if isinstance(error, TooManyFollowed) and self._tape.wanted():
                    self._tape.refuse()  # alerts come first
                    continue
                if failures or self._silent or error.retry_after_s:
                    await self._say(error.reason)
                    with contextlib.suppress(FeedUnavailable):
                        await self._catch_up()
                pause_s = error.retry_after_s or min(0.1 * 2**failures, LONGEST_PAUSE_S)
                failures += 1
                await self._wait(pause_s * random.uniform(0.75, 1.25))

    async def _live(self, live: LiveTrades) -> AsyncIterator[None]:
        """Work off what comes while somebody wants it; yields after each step."""
        self._followed, self._quoted, self._current, self._heard_at = set(), set(), {}, time.monotonic()
        reading = asyncio.create_task(self._read(live))
        try:
            await self._agree(live)
            await self._resume()
            while self._busy():
                await self._step(live)
                if reading.done():
                    await reading
                self._refuse_silence()
                yield
        finally:
            self._tape.forget()
            tasks = [task for task in (reading, self._seeding) if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, live: LiveTrades) -> None:
        try:
            while True:
                heard = await live.hear()
                if heard.following is not None:
                    self._tape.follow(heard.following)
                    self._inbox.put_nowait([])
                self._tape.hear(heard.ticks, heard.touches)
                if heard.ticks:
                    self._heard_at = time.monotonic()
                    self._source.heard(heard.ticks[-1].at)
                    self._inbox.put_nowait([*heard.ticks])
        finally:
            self._inbox.put_nowait([])

    def _refuse_silence(self) -> None:
        if time.monotonic() - self._heard_at > SILENT_S and self._is_open():
            self._silent = True
            raise FeedUnavailable("Alpaca", f"its stream has been silent for {SILENT_S:g} s")

    async def _resume(self) -> None:
        # A new connection proves nothing after a silence: only a trade does, or that none is to be expected.
        if not self._silent or not self._is_open():
            self._silent = False
            await self._say(None)

    def _is_open(self) -> bool:
        return self._calendar.at(self._source.now()).phase is Phase.OPEN

    async def _agree(self, live: LiveTrades) -> None:
        """Follow the symbols that have alerts or are wanted, and no others; fetch what was traded before that."""
        quoted = self._to_quote()
        followed = {*self._crossings.ladders, *quoted, CANARY}
        if (new := followed - self._followed) or quoted - self._quoted:
            await live.follow(new, quotes=quoted - self._quoted)
        if (old := self._followed - followed) or self._quoted - quoted:
            await live.leave(old, quotes=self._quoted - quoted)
        self._followed, self._quoted = followed, quoted
        await self._catch_up()

    def _to_quote(self) -> set[str]:
        wanted = self._tape.wanted()
        return {*wanted, CANARY} if wanted else wanted

    def _busy(self) -> bool:
        return bool(self._crossings.ladders or self._tape.wanted())

    # --- what comes

    async def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await self._step(None, left)

    async def _step(self, live: LiveTrades | None, within_s: float = WRITE_EVERY_S) -> None:
        """Work off everything that has come, waiting for it a moment."""
        items = await self._items(within_s)
        if None in items:
            await self._write()
            raise _Reload
        for item in items:
            if isinstance(item, list) and item:
                await self._judge(item)
                self._silent = False
        if self._crossings.urgent:
            await self._write()
        if changed := {item for item in items if isinstance(item, int)}:
            await self._take_up(changed)
            if live:
                await self._agree(live)
        if live:
            await self._serve_tape(live)
        if live and self._said:
            await self._resume()
        if time.monotonic() >= self._write_at:
            await self._write()

    async def _serve_tape(self, live: LiveTrades) -> None:
        if self._to_quote() != self._quoted:
            await self._agree(live)
        if (self._seeding is None or self._seeding.done()) and (new := self._tape.unseeded()):
            self._seeding = asyncio.create_task(self._seed(sorted(new)))

    async def _seed(self, symbols: Sequence[str]) -> None:
        with contextlib.suppress(FeedUnavailable):
            self._tape.seed((await self._source.quotes(symbols)).values())

    async def _items(self, within_s: float) -> list[_Item]:
        items: list[_Item] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                items.append(await self._inbox.get())
        while not self._inbox.empty():
            items.append(self._inbox.get_nowait())
        return items

    async def _judge(self, ticks: Iterable[Tick]) -> None:
        for tick in ticks:
            ladder = self._crossings.ladders.get(tick.symbol)
            if ladder and ladder.last and tick.at < ladder.last.at - SET_BACK:
                await self._begin_anew(tick.symbol, tick.at)
            self._crossings.feed(tick)
            self._newest = tick.at

    async def _take_up(self, changed: set[int]) -> None:
        await self._write()
        async with self._database.acquire() as conn:
            active = {alert.id: alert for alert in await alerts.list_watched(conn, list(changed))}
        for alert_id in changed:
            alert = active.get(alert_id)
            if alert is None:
                self._crossings.remove(alert_id)
            elif not (alert.known and alert_id in self._crossings) and not self._crossings.add(alert):
                raise _Reload
        self._report()

    # --- the past

    async def _catch_up(self) -> None:
        """Judge by the trades that were missed, of every symbol that is not up to date."""
        behind = {
            symbol: ladder
            for symbol, ladder in self._crossings.ladders.items()
            if self._current.get(symbol) is not ladder
        }
        if behind:
            # Answers tell the source's time, which says how far back to go.
            await self._source.quotes([CANARY])
        now = self._source.now()
        for symbol in behind:
            if symbol in self._marked and now < self._marked[symbol] - SET_BACK:
                await self._begin_anew(symbol, now)
        starts = sorted((minute_of(ladder.needed_from[0]), symbol) for symbol, ladder in behind.items())
        for minute, group in groupby(starts, key=lambda each: each[0]):
            if minute <= now:
                await self._judge(await missed_trades(self._source, [symbol for _, symbol in group], minute, now))
                if self._crossings.urgent:
                    await self._write(late=True)
        self._current |= behind

    async def _begin_anew(self, symbol: str, at: datetime) -> None:
        log.warning("the market's clock was set back", symbol=symbol, to=at.isoformat())
        async with self._database.transaction() as conn:
            await self._claim(conn)
            await alerts.begin_anew(conn, symbol, at)
        raise _Reload

    # --- the future

    async def _write(self, *, late: bool = False) -> None:
        self._write_at = time.monotonic() + WRITE_EVERY_S
        changes = self._crossings.take()
        now = self._source.now() if late else None
        for begin in range(0, len(changes.alerts), MOST_AT_ONCE):
            async with self._database.transaction() as conn:
                await self._claim(conn)
                await firings.store(conn, changes.alerts[begin : begin + MOST_AT_ONCE], now)
        async with self._database.transaction() as conn:
            await self._claim(conn)
            if changes.known:
                await alerts.set_known(conn, changes.known)
            if changes.marks:
                await alerts.set_marks(conn, changes.marks)
        self._report()

    async def _claim(self, conn: Connection) -> None:
        if not await alerts.still_watching(conn, self._generation):
            raise Superseded("another worker has begun to watch")

    async def _say(self, reason: str | None) -> None:
        """Let everybody see whether anything can fire."""
        if reason != self._said:
            async with self._database.transaction() as conn:
                await alerts.set_pause(conn, Pause(self._newest, reason) if reason else None)
            self._said = reason
            log.info("alerts paused" if reason else "alerts watched", reason=reason)
        self._report()

    def _report(self) -> None:
        count, symbols = len(self._crossings), len(self._crossings.ladders)
        detail = self._said or (f"{count} on {symbols} symbols" if count else "none are set")
        self._health.report("alerts", ok=self._said is None, detail=detail)
