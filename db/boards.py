"""Queries on the boards of guilds, and on the messages that channels keep."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.models import Watch, WatchBoard
from db.pool import Connection

_WATCH = "channel_id, guild_id, user_id, token, symbols, every_min"


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


async def set_watch(conn: Connection, watch: Watch) -> Watch:
    """Keep a channel's watch and return it; where there is one, what it shows changes, but not whose it is."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO app.watches ({_WATCH}) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (channel_id) DO UPDATE SET symbols = excluded.symbols, every_min = excluded.every_min
        RETURNING {_WATCH}
        """,  # noqa: S608 a constant of ours
        watch.channel_id,
        watch.guild_id,
        watch.user_id,
        watch.token,
        list(watch.symbols),
        watch.every_min,
    )
    assert row, "an upsert returns its row"
    return _watch(row)


async def take_watch(conn: Connection, *, token: str | None = None, channel_id: int | None = None) -> Watch | None:
    """Delete a watch by its token or channel and return it, or None where there was none."""
    row = await conn.fetchrow(
        f"DELETE FROM app.watches WHERE token = $1 OR channel_id = $2 RETURNING {_WATCH}",  # noqa: S608
        token,
        channel_id,
    )
    return _watch(row) if row else None


async def get_watch(conn: Connection, token: str) -> Watch | None:
    """Return a watch by its token."""
    row = await conn.fetchrow(f"SELECT {_WATCH} FROM app.watches WHERE token = $1", token)  # noqa: S608
    return _watch(row) if row else None


async def count_watches(conn: Connection, watch: Watch) -> int:
    """Return how many other channels of its guild keep a watch; of its person's direct messages without a guild."""
    count: int = await conn.fetchval(
        """
        SELECT count(*) FROM app.watches WHERE channel_id <> $3
            AND (guild_id = $1::bigint OR ($1::bigint IS NULL AND guild_id IS NULL AND user_id = $2))
        """,
        watch.guild_id,
        watch.user_id,
        watch.channel_id,
    )
    return count


async def lock_watches(conn: Connection, tokens: Sequence[str]) -> Sequence[Watch]:
    """Return the watches that are still there, and let none of them end before the transaction does."""
    rows = await conn.fetch(
        f"SELECT {_WATCH} FROM app.watches WHERE token = ANY ($1::text[]) ORDER BY channel_id FOR SHARE",  # noqa: S608
        list(tokens),
    )
    return [_watch(row) for row in rows]


async def list_watches(conn: Connection, every_min: int | None = None) -> Sequence[Watch]:
    """Return the watches of one pace, all of them without one."""
    rows = await conn.fetch(
        f"SELECT {_WATCH} FROM app.watches WHERE $1::int IS NULL OR every_min = $1 ORDER BY channel_id",  # noqa: S608
        every_min,
    )
    return [_watch(row) for row in rows]


def _watch(row: Mapping[str, Any]) -> Watch:
    return Watch(
        row["channel_id"], row["guild_id"], row["user_id"], row["token"], tuple(row["symbols"]), row["every_min"]
    )


def _board(row: Mapping[str, Any]) -> WatchBoard:
    return WatchBoard(row["guild_id"], row["channel_id"], tuple(row["symbols"]), row["set_by"])
