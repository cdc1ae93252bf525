"""Queries on accounts, personal limits and the kill switch."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.order_models import Account, Limits, TradingState
from db.pool import Connection

# Whoever lets an order go holds this lock shared, whoever turns the kill switch holds it alone: what the switch stopped
# cannot have been let through a moment later.
SWITCH = 5_270_314_001


async def get_account(conn: Connection, user_id: int, broker: str) -> Account | None:
    """Return a person's open account at a broker."""
    row = await conn.fetchrow(
        """
        SELECT id, user_id, broker, label, mode FROM app.accounts
        WHERE user_id = $1 AND broker = $2 AND closed_at IS NULL
        """,
        user_id,
        broker,
    )
    return account_of(row) if row else None


async def add_paper_account(conn: Connection, user_id: int, cash: Decimal, now: datetime) -> Account | None:
    """Open a paper account with its books; None where one is open already."""
    row = await conn.fetchrow(
        """
        INSERT INTO app.accounts (user_id, broker, label, mode, opened_at) VALUES ($1, 'paper', 'Paper', 'PAPER', $2)
        ON CONFLICT (user_id, broker) WHERE closed_at IS NULL DO NOTHING RETURNING id, user_id, broker, label, mode
        """,
        user_id,
        now,
    )
    if row is None:
        return None
    await conn.execute(
        "INSERT INTO app.paper_accounts (account_id, opening_cash, cash) VALUES ($1, $2, $2)", row["id"], cash
    )
    return account_of(row)


async def close_account(conn: Connection, user_id: int, account_id: int, now: datetime) -> bool:
    """Close an account; False where it was not open. Its history stays."""
    closed = await conn.fetchval(
        "UPDATE app.accounts SET closed_at = $3 WHERE user_id = $1 AND id = $2 AND closed_at IS NULL RETURNING true",
        user_id,
        account_id,
        now,
    )
    return bool(closed)


async def get_limits(conn: Connection, user_id: int) -> Limits:
    """Return a person's limits; the defaults where they set none."""
    row = await conn.fetchrow(
        "SELECT user_id, max_order, max_day, drift_bp, collar_bp FROM app.limits WHERE user_id = $1", user_id
    )
    return Limits(**row) if row else Limits(user_id)


async def set_limits(conn: Connection, limits: Limits) -> None:
    """Remember a person's limits."""
    await conn.execute(
        """
        INSERT INTO app.limits (user_id, max_order, max_day, drift_bp, collar_bp) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (user_id) DO UPDATE SET max_order = excluded.max_order, max_day = excluded.max_day,
            drift_bp = excluded.drift_bp, collar_bp = excluded.collar_bp, updated_at = now()
        """,
        limits.user_id,
        limits.max_order,
        limits.max_day,
        limits.drift_bp,
        limits.collar_bp,
    )


async def lock_person(conn: Connection, user_id: int) -> None:
    """Make the transactions that place orders for a person, or close an account, follow one another."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", user_id)


async def pass_switch(conn: Connection) -> None:
    """Hold the kill switch still until the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock_shared($1)", SWITCH)


async def hold_switch(conn: Connection) -> None:
    """Wait for every order that is being let through, and let no other pass until the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", SWITCH)


async def set_trading_state(
    conn: Connection, scope: str, subject: str, state: TradingState, reason: str, by: int, now: datetime
) -> None:
    """Turn the kill switch; `by` is the Discord id of whoever did, 0 for the product itself."""
    await conn.execute(
        """
        INSERT INTO app.trading_states (scope, subject, state, reason, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (scope, subject) DO UPDATE SET state = excluded.state, reason = excluded.reason,
            set_by = excluded.set_by, set_at = excluded.set_at
        """,
        scope,
        subject,
        state,
        reason,
        by,
        now,
    )


async def get_trading_state(conn: Connection, user_id: int, broker: str) -> TradingState:
    """Return the strictest state that holds for a person at a broker."""
    rows = await conn.fetch(
        """
        SELECT state FROM app.trading_states
        WHERE scope = 'global' OR (scope = 'broker' AND subject = $1) OR (scope = 'user' AND subject = $2)
        """,
        broker,
        str(user_id),
    )
    return strictest(row["state"] for row in rows)


async def get_own_state(conn: Connection, user_id: int) -> TradingState:
    """Return what was set for one person alone."""
    state = await conn.fetchval(
        "SELECT state FROM app.trading_states WHERE scope = 'user' AND subject = $1", str(user_id)
    )
    return TradingState(state) if state else TradingState.ACTIVE


def strictest(states: Iterable[str]) -> TradingState:
    """Return the strictest of some states, ACTIVE where there are none."""
    order = list(TradingState)
    return max((TradingState(state) for state in states), key=order.index, default=TradingState.ACTIVE)


def account_of(row: Mapping[str, Any]) -> Account:
    """Return the account of a row."""
    return Account(row["id"], row["user_id"], row["broker"], row["label"], row["mode"])
