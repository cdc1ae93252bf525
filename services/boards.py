"""Boards: the channels where a guild sees the levels of the open and the summary of the close."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import structlog

from db import boards
from db.models import GammaPoint, Notice, Place, Urgency, WatchBoard
from db.pool import Database
from services import notices
from services.clock import NEW_YORK
from services.errors import PulseError, TooManySymbols, UnknownSymbol, outages_told
from services.feeds.base import Quote
from services.gamma import Gamma
from services.jobs import Again
from services.levels import Levels
from services.market import MOST_SYMBOLS, Market

RETRY_S = 20.0
TOO_LATE = timedelta(minutes=30)
_NOON = time(12)
"""Inside of every session, half days included."""

Row = dict[str, Any]

log = structlog.get_logger(__name__)


class Boards:
    """The boards of all guilds; every verb may raise DatabaseAway."""

    def __init__(self, database: Database, market: Market, levels: Levels) -> None:
        self._database, self._market, self._levels = database, market, levels

    async def set_board(self, guild_id: int, channel_id: int, symbols: Sequence[str], by: int) -> WatchBoard:
        """Show canonical symbols in a channel, in place of what it showed; raises UnknownSymbol or TooManySymbols."""
        known_symbols(self._market, symbols)
        board = WatchBoard(guild_id, channel_id, tuple(symbols), by)
        with outages_told():
            async with self._database.transaction() as conn:
                await boards.set_board(conn, board)
                await notices.reopen(conn, channel_id)
        return board

    async def remove(self, guild_id: int, channel_id: int) -> WatchBoard | None:
        """Take a channel's board down; returns it, or None where there was none."""
        with outages_told():
            async with self._database.transaction() as conn:
                return await boards.take_board(conn, guild_id, channel_id)

    async def list(self, guild_id: int) -> Sequence[WatchBoard]:
        """Return the boards of a guild."""
        with outages_told():
            async with self._database.transaction() as conn:
                return await boards.list_boards(conn, guild_id)

    async def opening(self, payload: Mapping[str, Any]) -> None:
        """Tell every board's channel with which levels the day begins; the job `board.open`."""
        await self._tell("board.open", payload)

    async def closing(self, payload: Mapping[str, Any]) -> None:
        """Tell every board's channel how the day ended; the job `board.close`."""
        await self._tell("board.close", payload)

    async def _tell(self, kind: str, payload: Mapping[str, Any]) -> None:
        async with self._database.transaction() as conn:
            everyone = await boards.list_boards(conn)
        rows = await self._rows(
            {symbol for board in everyone for symbol in board.symbols}, opening=kind == "board.open"
        )
        if everyone and not rows:
            if self._market.now() < datetime.fromisoformat(payload["at"]) + TOO_LATE:
                raise Again(RETRY_S)
            log.warning("board given up for want of data", kind=kind, day=payload["slot"])
            return
        session = self._market.calendar.at(datetime.combine(date.fromisoformat(payload["slot"]), _NOON, NEW_YORK))
        day = {"day": payload["slot"], "half_day": session.half_day, "closes_at": session.closes_at.isoformat()}
        async with self._database.transaction() as conn:
            for board in everyone:
                await notices.write(conn, _notice(kind, board, day, rows))

    async def _rows(self, symbols: set[str], *, opening: bool) -> dict[str, Row]:
        lines = await self._market.lines(symbols)
        rows = {symbol: quote_row(line.quote, opening=opening) for symbol, line in lines.items()}
        if opening:
            found = await asyncio.gather(*(self._gamma(symbol) for symbol in rows))
            for row, gamma in zip(rows.values(), found, strict=True):
                row["gamma"] = gamma
        return rows

    async def _gamma(self, symbol: str) -> dict[str, str | None] | None:
        try:
            gamma = await self._levels.of(self._market, symbol)
        except PulseError as error:
            log.info("board without gamma", symbol=symbol, reason=str(error))
            return None
        return levels_row(gamma)


def known_symbols(market: Market, symbols: Sequence[str]) -> None:
    """Refuse symbols that a board cannot show: raises UnknownSymbol or TooManySymbols."""
    if len(symbols) > MOST_SYMBOLS:
        raise TooManySymbols(len(symbols), MOST_SYMBOLS)
    known = market.directory
    for symbol in symbols:
        if len(known) and symbol not in known:
            raise UnknownSymbol(symbol, known.nearest(symbol))


def levels_row(levels: Gamma | GammaPoint) -> dict[str, str | None]:
    """Return walls and flip as a notice carries them."""
    named = {"call_wall": levels.call_wall, "put_wall": levels.put_wall, "flip": levels.flip}
    return {name: None if level is None else f"{level:.2f}" for name, level in named.items()}


def quote_row(quote: Quote, *, opening: bool) -> Row:
    """Return a quote as a notice carries it; at the opening its price is that of the open."""
    price = quote.day_open if opening and quote.day_open else quote.price
    change = (price / quote.previous_close - 1) * 100 if quote.previous_close else None
    return {
        "symbol": quote.symbol,
        "name": quote.name,
        "price": str(price),
        "previous_close": _text(quote.previous_close),
        "change_percent": None if change is None else f"{change:.2f}",
        "open": _text(quote.day_open),
        "low": _text(quote.day_low),
        "high": _text(quote.day_high),
        "volume": None if quote.volume is None else str(quote.volume),
    }


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)


def _notice(kind: str, board: WatchBoard, day: Mapping[str, Any], rows: Mapping[str, Row]) -> Notice:
    key = f"{board.channel_id}:{day['day']}"
    return Notice(
        urgency=Urgency.P2,
        kind=kind,
        key=key,
        subject=key,
        place=Place(channel_id=board.channel_id, guild_id=board.guild_id),
        user_id=board.set_by,
        private=False,
        payload={
            **day,
            "rows": [rows[symbol] for symbol in board.symbols if symbol in rows],
            "missing": [symbol for symbol in board.symbols if symbol not in rows],
        },
    )
