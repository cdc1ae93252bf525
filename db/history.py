"""Queries on the gamma history, on daily open interest, and on what is collected."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from db.models import GammaPoint, GammaSync, OpenInterest
from db.pool import Connection

_COLUMNS = """
symbol, slot, closing, as_of, source, delay, spot, net, gross, flip, call_wall, put_wall, abs_gamma, max_pain,
expected_move, zero_dte, coverage
"""


async def add_point(conn: Connection, point: GammaPoint) -> bool:
    """Keep a point; tells whether it is the first of its symbol and slot, and changes nothing where it is not."""
    return bool(
        await conn.fetchval(
            f"""
            INSERT INTO app.gamma_history ({_COLUMNS})
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
            ON CONFLICT DO NOTHING RETURNING true
            """,  # noqa: S608 a constant of ours
            *asdict(point).values(),
        )
    )


async def has_point(conn: Connection, symbol: str, slot: datetime) -> bool:
    """Tell whether a slot of a symbol is stored."""
    return bool(await conn.fetchval("SELECT true FROM app.gamma_history WHERE symbol = $1 AND slot = $2", symbol, slot))


async def list_closes(conn: Connection, symbol: str, until: datetime, most: int) -> list[GammaPoint]:
    """Return the last `most` closes of a symbol up to a moment, oldest first."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM app.gamma_history WHERE symbol = $1 AND closing AND slot <= $2
        ORDER BY slot DESC LIMIT $3
        """,  # noqa: S608 a constant of ours
        symbol,
        until,
        most,
    )
    return [_point(row) for row in reversed(rows)]


async def list_points(conn: Connection, symbol: str, since: datetime, until: datetime) -> list[GammaPoint]:
    """Return all points of a symbol between two moments, both included, oldest first."""
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM app.gamma_history WHERE symbol = $1 AND slot BETWEEN $2 AND $3 ORDER BY slot",  # noqa: S608
        symbol,
        since,
        until,
    )
    return [_point(row) for row in rows]


async def get_newest(conn: Connection, symbol: str, until: datetime) -> GammaPoint | None:
    """Return the newest point of a symbol up to a moment, None where there is none."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM app.gamma_history WHERE symbol = $1 AND slot <= $2 ORDER BY slot DESC LIMIT 1",  # noqa: S608
        symbol,
        until,
    )
    return _point(row) if row else None


async def get_first_slot(conn: Connection, symbol: str) -> datetime | None:
    """Return since when a symbol has points."""
    slot: datetime | None = await conn.fetchval("SELECT min(slot) FROM app.gamma_history WHERE symbol = $1", symbol)
    return slot


async def forget_points(conn: Connection, before: datetime) -> None:
    """Remove the points within sessions before a moment; those of closes stay."""
    await conn.execute("DELETE FROM app.gamma_history WHERE NOT closing AND slot < $1", before)


async def add_open_interest(conn: Connection, interest: OpenInterest) -> None:
    """Keep a day's open interest unless it is kept already."""
    await conn.execute(
        """
        INSERT INTO app.open_interest (symbol, day, source, calls, puts, strikes, call_oi, put_oi)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
        """,
        *asdict(interest).values(),
    )


async def list_followed(conn: Connection) -> list[str]:
    """Return the symbols of boards, then of watches, then of active alerts, each once."""
    rows = await conn.fetch(
        """
        SELECT symbol FROM (
            SELECT unnest(symbols) AS symbol, 1 AS turn FROM app.boards
            UNION ALL SELECT unnest(symbols), 2 FROM app.watches
            UNION ALL SELECT symbol, 3 FROM app.alerts WHERE state = 'active'
        ) AS followed
        GROUP BY symbol ORDER BY min(turn), symbol
        """
    )
    return [row["symbol"] for row in rows]


async def set_sync(conn: Connection, sync: GammaSync) -> None:
    """Keep what came of a slot unless a newer one of its symbol is kept."""
    await conn.execute(
        """
        INSERT INTO app.gamma_syncs AS kept (symbol, slot, error) VALUES ($1, $2, $3)
        ON CONFLICT (symbol) DO UPDATE SET slot = excluded.slot, error = excluded.error
            WHERE kept.slot <= excluded.slot
        """,
        sync.symbol,
        sync.slot,
        sync.error,
    )


async def list_syncs(conn: Connection) -> list[GammaSync]:
    """Return what came of the newest slot of every symbol."""
    rows = await conn.fetch("SELECT symbol, slot, error FROM app.gamma_syncs ORDER BY symbol")
    return [GammaSync(row["symbol"], row["slot"], row["error"]) for row in rows]


async def forget_syncs(conn: Connection, before: datetime) -> None:
    """Remove what is not collected any more."""
    await conn.execute("DELETE FROM app.gamma_syncs WHERE slot < $1", before)


def _point(row: Mapping[str, Any]) -> GammaPoint:
    return GammaPoint(**row)
