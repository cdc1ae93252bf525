"""Queries on the boards of guilds."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.models import WatchBoard
from db.pool import Connection


async def set_board(conn: Connection, board: WatchBoard) -> None:
    """Keep a channel's board, in place of what it showed before."""
    await conn.execute(
        """
        INSERT INTO app.boards (guild_id, channel_id, symbols, set_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT (guild_id, channel_id) DO UPDATE
            SET symbols = excluded.symbols, set_by = excluded.set_by, set_at = now()
        """,
        board.guild_id,
        board.channel_id,
        list(board.symbols),
        board.set_by,
    )


async def take_board(conn: Connection, guild_id: int, channel_id: int) -> WatchBoard | None:
    """Delete a channel's board and return it, or None where there was none."""
    row = await conn.fetchrow(
        """
        DELETE FROM app.boards WHERE guild_id = $1 AND channel_id = $2
        RETURNING guild_id, channel_id, symbols, set_by
        """,
        guild_id,
        channel_id,
    )
    return _board(row) if row else None


async def list_boards(conn: Connection, guild_id: int | None = None) -> Sequence[WatchBoard]:
    """Return the boards of a guild by channel, those of all guilds without one."""
    rows = await conn.fetch(
        """
        SELECT guild_id, channel_id, symbols, set_by FROM app.boards
        WHERE $1::bigint IS NULL OR guild_id = $1 ORDER BY guild_id, channel_id
        """,
        guild_id,
    )
    return [_board(row) for row in rows]


def _board(row: Mapping[str, Any]) -> WatchBoard:
    return WatchBoard(row["guild_id"], row["channel_id"], tuple(row["symbols"]), row["set_by"])
