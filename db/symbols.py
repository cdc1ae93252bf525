"""Queries on the list of known symbols."""

from collections.abc import Mapping, Sequence

from db.pool import Connection


async def set_symbols(conn: Connection, feed: str, rows: Sequence[tuple[str, str]]) -> None:
    """Replace everything that a feed lists by (symbol, name) rows, and tell the listeners."""
    await conn.execute(
        "DELETE FROM app.symbols WHERE feed = $1 AND symbol <> ALL ($2::text[])", feed, [symbol for symbol, _ in rows]
    )
    await conn.execute(
        """
        INSERT INTO app.symbols (feed, symbol, name)
        SELECT $1, symbol, name FROM unnest($2::text[], $3::text[]) AS listed (symbol, name)
        ON CONFLICT (feed, symbol) DO UPDATE SET name = excluded.name WHERE symbols.name <> excluded.name
        """,
        feed,
        [symbol for symbol, _ in rows],
        [name for _, name in rows],
    )
    await conn.execute("SELECT pg_notify('symbols', $1)", feed)


async def list_symbols(conn: Connection, feeds: Sequence[str]) -> list[tuple[str, str]]:
    """Return (symbol, name) of what the feeds list; where several do, the first one's name."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (symbol) symbol, name FROM app.symbols
        WHERE feed = ANY ($1::text[]) ORDER BY symbol, array_position($1::text[], feed)
        """,
        list(feeds),
    )
    return [(row["symbol"], row["name"]) for row in rows]


async def list_recent(conn: Connection, user_id: int) -> list[str]:
    """Return what a person asked for last, newest first; runs inside `db.as_user(user_id)`."""
    found: list[str] | None = await conn.fetchval("SELECT symbols FROM app.recent_symbols WHERE user_id = $1", user_id)
    return found or []


async def add_recent(conn: Connection, asked: Mapping[int, Sequence[str]], most: int) -> None:
    """Put symbols (newest first) by user id in front of those stored, keeping `most`, each once."""
    await conn.execute(
        """
        INSERT INTO app.recent_symbols AS present (user_id, symbols)
        SELECT user_id, string_to_array(symbols, ' ') FROM unnest($1::bigint[], $2::text[]) AS asked (user_id, symbols)
        ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET symbols = ARRAY(
            SELECT symbol FROM unnest(excluded.symbols || present.symbols) WITH ORDINALITY AS every (symbol, place)
            GROUP BY symbol ORDER BY min(place) LIMIT $3
        )
        """,
        list(asked),
        [" ".join(symbols) for symbols in asked.values()],
        most,
    )
