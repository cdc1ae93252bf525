"""Watches: messages that channels keep, with quotes and gamma levels, edited in place while the market is open."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from db import boards, history
from db.models import GammaPoint, Notice, Place, Urgency, Watch
from db.pool import Database
from services import jobs, notices
from services.boards import known_symbols, levels_row, quote_row
from services.clock import Phase
from services.errors import PulseError, TooManyWatches, outages_told
from services.feeds.base import Quote
from services.gamma import Gamma
from services.gamma_series import newest_session, next_slot
from services.levels import Levels
from services.market import Line, Market
from services.notices import IN_PLACE

EVERY_MIN = (1, 5, 15, 30, 60)
MOST_WATCHES = 10
OLD_LEVELS = timedelta(days=4)
"""Over a long weekend the levels of the last close still stand."""
OUTDATED = timedelta(hours=1)
"""With nothing stored for so long of a session, its chain is asked for."""
_HOURS = {Phase.PRE: Phase.PRE.value, Phase.POST: Phase.POST.value}
_KIND = "watch"
assert _KIND in IN_PLACE

log = structlog.get_logger(__name__)


class Watches:
    """The watches of all channels, at most one each; every verb may raise DatabaseAway."""

    def __init__(self, database: Database, market: Market, levels: Levels) -> None:
        self._database, self._market, self._levels = database, market, levels

    async def put_up(
        self, channel_id: int, guild_id: int | None, user_id: int, symbols: Sequence[str], every_min: int
    ) -> Watch:
        """Keep canonical symbols in a channel; a watch that is there shows them from now on.

        Raises UnknownSymbol, TooManySymbols or TooManyWatches.
        """
        known_symbols(self._market, symbols)
        wish = Watch(channel_id, guild_id, user_id, secrets.token_hex(6), tuple(symbols), every_min)
        with outages_told():
            async with self._database.transaction() as conn:
                if await boards.count_watches(conn, wish) >= MOST_WATCHES:
                    raise TooManyWatches(MOST_WATCHES)
                watch = await boards.set_watch(conn, wish)
                await notices.reopen(conn, channel_id)
                await jobs.enqueue(conn, "watch.show", {"token": watch.token}, f"watch:{watch.token}")
        return watch

    async def stop(self, user_id: int, *, token: str | None = None, channel_id: int | None = None) -> Watch | None:
        """End a watch by its token or channel, and say so in its message; returns it, None where there was none."""
        with outages_told():
            async with self._database.transaction() as conn:
                watch = await boards.take_watch(conn, token=token, channel_id=channel_id)
                if watch:
                    about = {"ended_by": str(user_id), "symbols": watch.symbols}
                    await notices.write(conn, _notice(watch, "end", about))
        return watch

    async def get(self, token: str) -> Watch | None:
        """Return a watch by its token, None where it has ended."""
        with outages_told():
            async with self._database.transaction() as conn:
                return await boards.get_watch(conn, token)

    async def show(self, payload: Mapping[str, Any]) -> None:
        """Show one watch at once; the job `watch.show`."""
        async with self._database.transaction() as conn:
            watch = await boards.get_watch(conn, payload["token"])
        if watch:
            await self._show([watch], await self._market.lines(watch.symbols), secrets.token_hex(6))

    async def tick(self, payload: Mapping[str, Any], every_min: int | None = None) -> None:
        """Edit the watches of one pace, all of them without one; the jobs `watch.open`, `watch.close` and `watch.N`."""
        async with self._database.transaction() as conn:
            watches = await boards.list_watches(conn, every_min)
        lines = await self._market.lines({symbol for watch in watches for symbol in watch.symbols})
        if lines:  # else the messages stay as they are, and tell their age themselves
            await self._show(watches, lines, f"{every_min or 'all'} {payload['at']}")

    async def removed(self, payload: Mapping[str, Any]) -> None:
        """End a watch whose message or place is gone, and tell its owner why; the job `watch.removed`."""
        async with self._database.transaction() as conn:
            watch = await boards.take_watch(conn, token=payload["subject"])
            if watch is None:
                return
            log.info("watch removed", channel=watch.channel_id, reason=payload["reason"])
            about = {
                "channel_id": str(watch.channel_id),
                "direct": watch.guild_id is None,
                "reason": payload["reason"],
                "symbols": watch.symbols,
            }
            told = Notice(
                urgency=Urgency.P1,
                kind="watch.removed",
                key=watch.token,
                place=Place(dm=True),
                payload=about,
                user_id=watch.user_id,
            )
            await notices.write(conn, told)

    async def _show(self, watches: Sequence[Watch], lines: Mapping[str, Line], occasion: str) -> None:
        rows = {symbol: await self._row(line) for symbol, line in lines.items()}
        now = self._market.now()
        session = self._market.calendar.at(now)
        state = {
            "phase": session.phase,
            "opens_at": session.opens_at.isoformat(),
            "closes_at": session.closes_at.isoformat(),
            "half_day": session.half_day,
        }
        async with self._database.transaction() as conn:
            # the last word on a watch is that it has ended
            for watch in await boards.lock_watches(conn, [watch.token for watch in watches]):
                every = timedelta(minutes=watch.every_min)
                about = {
                    "token": watch.token,
                    "session": state,
                    "at": now.isoformat(),
                    "every_min": watch.every_min,
                    "next_at": next_slot(self._market.calendar, now, every).isoformat(),
                    "rows": [rows[symbol] for symbol in watch.symbols if symbol in rows],
                    "missing": [symbol for symbol in watch.symbols if symbol not in rows],
                }
                await notices.write(conn, _notice(watch, occasion, about))

    async def _row(self, line: Line) -> dict[str, Any]:
        quote, hours = line.quote, _HOURS.get(line.traded)
        if line.traded is Phase.POST and quote.day_close:
            # It stands all night, and until then the day's change is its fact.
            quote, hours = replace(quote, price=quote.day_close), "at the close"
        told = {**quote_row(quote, opening=False), **_told_by(quote), "stale": line.stale, "hours": hours}
        return {**told, "gamma": await self._gamma(quote.symbol)}

    async def _gamma(self, symbol: str) -> dict[str, Any] | None:
        now = self._market.now()
        async with self._database.transaction() as conn:
            point = await history.get_newest(conn, symbol, now)
        point = point if point and point.slot > now - OLD_LEVELS else None
        if point and not self._is_outdated(point):
            return _levels(point)
        try:
            return _levels(await self._levels.of(self._market, symbol))
        except PulseError as error:
            log.info("watch without gamma", symbol=symbol, reason=str(error))
            return _levels(point) if point else None

    def _is_outdated(self, point: GammaPoint) -> bool:
        now = self._market.now()
        opens_at, closes_at = newest_session(self._market.calendar, now)
        return min(now, closes_at) - max(point.slot, opens_at) > OUTDATED


def _levels(found: Gamma | GammaPoint) -> dict[str, Any]:
    return {**levels_row(found), **_told_by(found)}


def _told_by(fact: Quote | Gamma | GammaPoint) -> dict[str, Any]:
    delay_s = None if fact.delay is None else fact.delay.total_seconds()
    return {"as_of": fact.as_of.isoformat(), "source": fact.source, "delay_s": delay_s}


def _notice(watch: Watch, occasion: str, about: Mapping[str, Any]) -> Notice:
    return Notice(
        urgency=Urgency.P2,
        kind=_KIND,
        key=f"{watch.token}:{occasion}",
        subject=watch.token,
        place=Place(channel_id=watch.channel_id, guild_id=watch.guild_id),
        user_id=watch.user_id,
        private=False,
        payload=about,
    )
