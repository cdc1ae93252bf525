"""Queries on tickets, and on what a new order is judged by; they run as `pulse_service`, the owner in the WHERE."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from db.accounts import SWITCH, account_of, strictest
from db.notices import place_json
from db.order_models import Account, Limits, Preview, PreviewState, Side, Spec, TradingState
from db.orders import OPEN_STATES, Intent, Trail, spec_of
from db.pool import Connection

_HISTORY = f"""
open AS (
    SELECT symbol, side, quantity, filled, worst, state FROM app.orders
    WHERE user_id = $10 AND account_id = $1 AND state IN {OPEN_STATES}
), minute AS (
    SELECT symbol, side, quantity, state FROM app.orders
    WHERE account_id = $1 AND created_at > $5::timestamptz - interval '1 minute'
), latest AS (
    SELECT quantity * worst AS money FROM app.orders WHERE account_id = $1 ORDER BY created_at DESC LIMIT 50
)
"""  # noqa: S608 - a constant of `db.orders`
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
class Standing:
    """What a new order is judged by, as it stood at one moment."""

    history: History
    limits: Limits
    stamp: str
    """Another one as soon as anything of this has changed."""
    order_id: int
    """An id that the order may have."""


class Placing(StrEnum):
    """What became of the wish to make a ticket's order."""

    PLACED = "placed"
    GONE = "gone"
    """Another press was first, or the ticket's time was over."""
    CHANGED = "changed"
    """What the order was judged by is not true any more."""


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


async def get_preview(conn: Connection, user_id: int, token: str) -> tuple[Preview, Account] | None:
    """Return a person's ticket with its account."""
    row = await conn.fetchrow(
        """
        SELECT p.token, p.user_id, p.account_id, p.client_order_id, p.symbol, p.side, p.quantity, p.limit_price, p.tif,
            p.worst, p.bid, p.ask, p.accepted, p.state, p.expires_at, a.id, a.broker, a.label, a.mode
        FROM app.previews p JOIN app.accounts a ON a.id = p.account_id
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
    return preview, account_of(row)


async def end_preview(conn: Connection, user_id: int, token: str, state: PreviewState) -> bool:
    """Give an open ticket its end; False where it had one."""
    ended = await conn.fetchval(
        "UPDATE app.previews SET state = $3 WHERE user_id = $1 AND token = $2 AND state = 'open' RETURNING true",
        user_id,
        token,
        state,
    )
    return bool(ended)


async def get_standing(conn: Connection, account: Account, spec: Spec, now: datetime, today: datetime) -> Standing:
    """Return what a new order in an account is judged by; `today` is when the New York day began."""
    query = f"""
        WITH {_HISTORY}
        SELECT {_HISTORY_COLUMNS}, app.order_stamp($10, $1) AS stamp, nextval('app.orders_id_seq') AS order_id,
            max_order, max_day, drift_bp, coalesce(collar_bp, 50) AS collar_bp
        FROM (VALUES (1)) AS one LEFT JOIN app.limits ON limits.user_id = $10
        """  # noqa: S608 - constants of this file
    row = await conn.fetchrow(query, *_history_arguments(account, spec, now, today))
    assert row is not None
    return Standing(_history(row), _limits(row, account.user_id), row["stamp"], row["order_id"])


async def place_order(conn: Connection, intent: Intent, trail: Trail, interaction_id: int, stamp: str) -> Placing:
    """Make the order of a living ticket with all that belongs to it, in this one statement, or nothing at all.

    The ticket is consumed; the same press, or another one, makes no second order of it.
    """
    order = intent.order
    outcome = await conn.fetchval(
        "SELECT app.place_order($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        order.user_id,
        order.token,
        interaction_id,
        order.created_at,
        stamp,
        SWITCH,
        order.id,
        json.dumps(place_json(intent.place)),
        intent.deadline,
        json.dumps(trail.detail),
        json.dumps(trail.notice.payload),
        trail.notice.kind,
        trail.notice.key,
    )
    return Placing(outcome)


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
