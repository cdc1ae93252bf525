"""Queries on the list of known symbols."""

from collections.abc import Sequence

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
