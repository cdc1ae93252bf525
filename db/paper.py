"""Queries on the books of the paper broker."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.order_models import Balance, Position, Side
from db.pool import Connection


async def lock_account(conn: Connection, account_id: int) -> None:
    """Hold an account's books until the end of the transaction."""
    await conn.execute("SELECT FROM app.paper_accounts WHERE account_id = $1 FOR UPDATE", account_id)


async def add_order(
    conn: Connection, account_id: int, order: Mapping[str, Any], expires_at: datetime | None, now: datetime
) -> Mapping[str, Any]:
    """Take an order in and return its row."""
    row = await conn.fetchrow(
        """
        INSERT INTO app.paper_orders
            (account_id, client_order_id, symbol, side, quantity, limit_price, tif, state, expires_at, accepted_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'working', $8, $9)
        RETURNING id, account_id, symbol, side, quantity, limit_price, tif, state, filled, expires_at, met_at
        """,
        account_id,
        order["client_order_id"],
        order["symbol"],
        order["side"],
        order["quantity"],
        order["limit"],
        order["tif"],
        expires_at,
        now,
    )
    assert row is not None
    return row


async def get_order(conn: Connection, account_id: int, client_order_id: str) -> Mapping[str, Any] | None:
    """Return one order's row."""
    return await conn.fetchrow(
        """
        SELECT id, account_id, symbol, side, quantity, limit_price, tif, state, filled, expires_at, met_at
        FROM app.paper_orders WHERE account_id = $1 AND client_order_id = $2
        """,
        account_id,
        client_order_id,
    )


async def list_order_and_fills(conn: Connection, account_id: int, client_order_id: str) -> list[Mapping[str, Any]]:
    """Return an order once for each of its fills, oldest first, or once without any; nothing where it is not known."""
    # one statement, so that the order's count and its fills are of the same moment
    return await conn.fetch(
        """
        SELECT o.client_order_id, o.symbol, o.side, o.quantity, o.limit_price, o.tif, o.state, o.filled,
            f.id AS fill_id, f.quantity AS shares, f.price, f.filled_at
        FROM app.paper_orders o LEFT JOIN app.paper_fills f ON f.order_id = o.id
        WHERE o.account_id = $1 AND o.client_order_id = $2 ORDER BY f.id
        """,
        account_id,
        client_order_id,
    )


async def set_order(conn: Connection, order_id: int, state: str, filled: int, met_at: datetime | None) -> None:
    """Write down what became of an order."""
    await conn.execute(
        "UPDATE app.paper_orders SET state = $2, filled = $3, met_at = $4 WHERE id = $1",
        order_id,
        state,
        filled,
        met_at,
    )


async def list_working(conn: Connection) -> list[Mapping[str, Any]]:
    """Return what waits for the market, the oldest first."""
    return await conn.fetch(
        """
        SELECT account_id, client_order_id, symbol, side, quantity, limit_price, filled, expires_at, met_at
        FROM app.paper_orders WHERE state = 'working' ORDER BY id
        """
    )


async def list_lots(conn: Connection, account_id: int, symbol: str) -> list[tuple[int, int, Decimal]]:
    """Return (id, shares still held, price) of the buys of a symbol, oldest first."""
    rows = await conn.fetch(
        "SELECT id, held, price FROM app.paper_fills WHERE account_id = $1 AND symbol = $2 AND held > 0 ORDER BY id",
        account_id,
        symbol,
    )
    return [(row["id"], row["held"], row["price"]) for row in rows]


async def take_lots(conn: Connection, taken: Sequence[tuple[int, int]]) -> None:
    """Take sold shares out of the lots, given as (id, shares)."""
    await conn.execute(
        """
        UPDATE app.paper_fills SET held = held - sold.shares
        FROM unnest($1::bigint[], $2::integer[]) AS sold (id, shares) WHERE paper_fills.id = sold.id
        """,
        [lot for lot, _ in taken],
        [shares for _, shares in taken],
    )


async def add_fill(
    conn: Connection, order: Mapping[str, Any], quantity: int, price: Decimal, realised: Decimal, at: datetime
) -> None:
    """Book one execution and move the cash."""
    bought = order["side"] == Side.BUY
    await conn.execute(
        """
        WITH fill AS (
            INSERT INTO app.paper_fills (order_id, account_id, symbol, side, quantity, price, held, realised, filled_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        )
        UPDATE app.paper_accounts SET cash = cash + $10 WHERE account_id = $2
        """,
        order["id"],
        order["account_id"],
        order["symbol"],
        order["side"],
        quantity,
        price,
        quantity if bought else 0,
        realised,
        at,
        -price * quantity if bought else price * quantity,
    )


async def get_sellable(conn: Connection, account_id: int, symbol: str) -> tuple[int, int]:
    """Return (shares held, shares in open sell orders)."""
    row = await conn.fetchrow(
        """
        SELECT (SELECT coalesce(sum(held), 0) FROM app.paper_fills
                WHERE account_id = $1 AND symbol = $2 AND held > 0) AS held,
            (SELECT coalesce(sum(quantity - filled), 0) FROM app.paper_orders
                WHERE account_id = $1 AND symbol = $2 AND side = 'sell' AND state = 'working') AS offered
        """,
        account_id,
        symbol,
    )
    assert row is not None
    return int(row["held"]), int(row["offered"])


async def get_balance(conn: Connection, account_id: int) -> Balance:
    """Return an account's money."""
    balance, _ = await get_funds(conn, account_id, "")
    return balance


async def get_funds(conn: Connection, account_id: int, symbol: str) -> tuple[Balance, int]:
    """Return an account's money, and the shares that it holds of a symbol."""
    row = await conn.fetchrow(
        """
        SELECT cash,
            (SELECT coalesce(sum((quantity - filled) * limit_price), 0) FROM app.paper_orders
                WHERE account_id = $1 AND state = 'working' AND side = 'buy') AS reserved,
            (SELECT coalesce(sum(held * price), 0) FROM app.paper_fills WHERE account_id = $1 AND held > 0) AS at_cost,
            (SELECT coalesce(sum(realised), 0) FROM app.paper_fills WHERE account_id = $1) AS realised,
            (SELECT coalesce(sum(held), 0) FROM app.paper_fills
                WHERE account_id = $1 AND symbol = $2 AND held > 0) AS shares
        FROM app.paper_accounts WHERE account_id = $1
        """,
        account_id,
        symbol,
    )
    assert row is not None, "a paper account is opened together with its books"
    return Balance(row["cash"], row["reserved"], row["at_cost"], row["realised"]), int(row["shares"])


async def list_positions(conn: Connection, account_id: int) -> list[Position]:
    """Return what an account holds, by symbol."""
    rows = await conn.fetch(
        """
        SELECT symbol, sum(held) AS held, sum(held * price) AS cost, sum(realised) AS realised
        FROM app.paper_fills WHERE account_id = $1 GROUP BY symbol HAVING sum(held) > 0 ORDER BY symbol
        """,
        account_id,
    )
    return [Position(row["symbol"], int(row["held"]), row["cost"], row["realised"]) for row in rows]
