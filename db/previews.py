"""Queries on tickets, and on what a new order is judged by; they run as `pulse_service`, the owner in the WHERE."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.accounts import SWITCH, account_of, strictest
from db.models import Account, Limits, Preview, PreviewState, Side, Spec, Tif, TradingState
from db.pool import Connection

_HISTORY = """
open AS (
    SELECT symbol, side, quantity, filled, worst, state FROM app.orders
    WHERE user_id = $10 AND account_id = $1 AND state IN
        ('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review')
), minute AS (
    SELECT symbol, side, quantity, state FROM app.orders
    WHERE account_id = $1 AND created_at > $5::timestamptz - interval '1 minute'
), latest AS (
    SELECT quantity * worst AS money FROM app.orders WHERE account_id = $1 ORDER BY created_at DESC LIMIT 50
)
"""
_HISTORY_COLUMNS = """
EXISTS (SELECT FROM app.accounts WHERE id = $1 AND closed_at IS NULL) AS open_account,
    (SELECT array_agg(state) FROM app.trading_states WHERE scope = 'global'
        OR (scope = 'broker' AND subject = $8) OR (scope = 'user' AND subject = $9)) AS trading,
    (SELECT count(*) FROM minute) AS last_minute,
    EXISTS (SELECT FROM minute WHERE symbol = $2 AND side = $3 AND quantity = $4::numeric
        AND state NOT IN ('denied', 'rejected', 'canceled', 'expired')) AS twin,
    (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY money) FROM latest HAVING count(*) >= 5) AS usual,
    (SELECT coalesce(sum(cost), 0) FROM app.orders
        WHERE account_id = $1 AND created_at >= $6 AND side = 'buy')
    + (SELECT coalesce(sum((quantity - filled) * worst), 0) FROM open WHERE side = 'buy') AS bought_today,
    EXISTS (SELECT FROM open WHERE symbol = $2 AND side = $7) AS opposite,
    EXISTS (SELECT FROM open WHERE symbol = $2 AND side = $3
        AND state IN ('unknown', 'needs_review')) AS unsettled,
    (SELECT coalesce(sum(quantity * worst), 0) FROM open
        WHERE side = 'buy' AND state IN ('confirmed', 'submitting', 'unknown')) AS in_flight_money,
    (SELECT coalesce(sum(quantity - filled), 0) FROM open
        WHERE side = 'sell' AND symbol = $2) AS in_flight_shares
"""


@dataclass(frozen=True, slots=True)
class History:
    """What the orders of an account say about a new one, as `services.risk.Facts` explains."""

    open_account: bool
    trading: TradingState
    last_minute: int
    twin: bool
    usual: Decimal | None
    bought_today: Decimal
    opposite: bool
    unsettled: bool
    in_flight_money: Decimal
    in_flight_shares: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A ticket that is consumed: what its order is judged by, and the id that it is to have."""

    order_id: int
    history: History
    limits: Limits


async def add_preview(conn: Connection, preview: Preview, now: datetime) -> None:
    """Store an open ticket."""
    spec = preview.spec
    await conn.execute(
        """
        INSERT INTO app.previews (user_id, token, account_id, client_order_id, symbol, side, quantity, limit_price, tif,
            worst, bid, ask, accepted, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        """,
        preview.user_id,
        preview.token,
        preview.account_id,
        preview.client_order_id,
        spec.symbol,
        spec.side,
        spec.quantity,
        spec.limit,
        spec.tif,
        preview.worst,
        preview.bid,
        preview.ask,
        list(preview.accepted),
        now,
        preview.expires_at,
    )


async def get_preview(conn: Connection, user_id: int, token: str) -> tuple[Preview, Account, Limits] | None:
    """Return a person's ticket with its account and their limits."""
    row = await conn.fetchrow(
        """
        SELECT p.token, p.user_id, p.account_id, p.client_order_id, p.symbol, p.side, p.quantity, p.limit_price, p.tif,
            p.worst, p.bid, p.ask, p.accepted, p.state, p.expires_at, a.id, a.broker, a.label, a.mode,
            l.max_order, l.max_day, l.drift_bp, coalesce(l.collar_bp, 50) AS collar_bp
        FROM app.previews p JOIN app.accounts a ON a.id = p.account_id LEFT JOIN app.limits l ON l.user_id = p.user_id
        WHERE p.user_id = $1 AND p.token = $2
        """,
        user_id,
        token,
    )
    if row is None:
        return None
    preview = Preview(
        token=row["token"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        client_order_id=row["client_order_id"],
        spec=spec_of(row),
        worst=row["worst"],
        bid=row["bid"],
        ask=row["ask"],
        accepted=tuple(row["accepted"]),
        state=PreviewState(row["state"]),
        expires_at=row["expires_at"],
    )
    return preview, account_of(row), _limits(row, user_id)


async def end_preview(conn: Connection, user_id: int, token: str, state: PreviewState) -> bool:
    """Give an open ticket its end; False where it had one."""
    ended = await conn.fetchval(
        "UPDATE app.previews SET state = $3 WHERE user_id = $1 AND token = $2 AND state = 'open' RETURNING true",
        user_id,
        token,
        state,
    )
    return bool(ended)


def gate(user_id: int) -> str:
    """Return the statement after which no other order of the person is placed and the kill switch does not turn.

    It holds until the end of the transaction.
    """
    return f"SELECT pg_advisory_xact_lock_shared({SWITCH}), pg_advisory_xact_lock({user_id:d})"


async def take_preview(
    conn: Connection, preview: Preview, account: Account, interaction_id: int, now: datetime, today: datetime
) -> Taken | None:
    """Consume a living ticket for one press; None for whoever comes second, by whichever way.

    Behind the `gate` what it returns is true until the end of the transaction.
    """
    query = f"""
        WITH press AS (
            INSERT INTO app.presses (interaction_id, user_id, token, pressed_at) VALUES ($11, $10, $12, $5)
            ON CONFLICT (user_id, interaction_id) DO NOTHING RETURNING token
        ), taken AS (
            UPDATE app.previews SET state = 'consumed' FROM press
            WHERE user_id = $10 AND previews.token = $12 AND state = 'open' AND expires_at > $5 RETURNING true
        ), {_HISTORY}
        SELECT {_HISTORY_COLUMNS}, nextval('app.orders_id_seq') AS order_id,
            max_order, max_day, drift_bp, coalesce(collar_bp, 50) AS collar_bp
        FROM taken LEFT JOIN app.limits ON limits.user_id = $10
        """  # noqa: S608 - constants of this file
    arguments = _history_arguments(account, preview.spec, now, today)
    row = await conn.fetchrow(query, *arguments, interaction_id, preview.token)
    return Taken(row["order_id"], _history(row), _limits(row, preview.user_id)) if row else None


async def get_history(conn: Connection, account: Account, spec: Spec, now: datetime, today: datetime) -> History:
    """Return what an account's orders say about a new one; `today` is when the New York day began."""
    query = f"WITH {_HISTORY} SELECT {_HISTORY_COLUMNS}"
    row = await conn.fetchrow(query, *_history_arguments(account, spec, now, today))
    assert row is not None
    return _history(row)


def _history_arguments(account: Account, spec: Spec, now: datetime, today: datetime) -> tuple[object, ...]:
    return (
        account.id,
        spec.symbol,
        spec.side,
        Decimal(spec.quantity),  # what was typed may be larger than any integer of the database
        now,
        today,
        Side.SELL if spec.side is Side.BUY else Side.BUY,
        account.broker,
        str(account.user_id),
        account.user_id,
    )


def _history(row: Mapping[str, Any]) -> History:
    known = {name: row[name] for name in History.__dataclass_fields__}
    trading, shares = strictest(row["trading"] or ()), int(row["in_flight_shares"])
    return History(**known | {"trading": trading, "in_flight_shares": shares})


def _limits(row: Mapping[str, Any], user_id: int) -> Limits:
    return Limits(user_id, row["max_order"], row["max_day"], row["drift_bp"], row["collar_bp"])


def spec_of(row: Mapping[str, Any]) -> Spec:
    """Return what a ticket or an order is about."""
    return Spec(row["symbol"], Side(row["side"]), row["quantity"], row["limit_price"], Tif(row["tif"]))
