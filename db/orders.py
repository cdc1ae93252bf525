"""Queries on tickets, orders and fills; everything that changes one runs as `pulse_service`, its owner in the WHERE."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.accounts import SWITCH, account_of, strictest
from db.models import (
    Account,
    Fill,
    Limits,
    Order,
    OrderState,
    Place,
    Preview,
    PreviewState,
    Side,
    Spec,
    Tif,
    TradingState,
)
from db.notices import place_json, place_of
from db.pool import Connection

_ORDER = """
o.id, o.token, o.user_id, o.account_id, o.client_order_id, o.symbol, o.side, o.quantity, o.limit_price, o.tif, o.worst,
o.state, o.filled, o.cost, o.version, o.sends, o.reason, o.created_at, o.updated_at, a.label, a.mode
"""
_INTENT = _ORDER + ", a.broker, o.place, o.cancel_asked, o.sent_at, o.misses, o.deadline, o.look_at"
_FROM = "FROM app.orders o JOIN app.accounts a ON a.id = o.account_id"


@dataclass(frozen=True, slots=True)
class Intent:
    """An order with all that its way to the broker needs."""

    order: Order
    broker: str
    place: Place
    cancel_asked: bool
    sent_at: datetime | None
    misses: int
    """How often the broker did not know the order since it was last sent."""
    deadline: datetime
    look_at: datetime | None
    """From when on anybody may take the order up; ahead while somebody works on it, None when nothing is left to do."""

    @property
    def account(self) -> Account:
        """The account that it trades in."""
        order = self.order
        return Account(order.account_id, order.user_id, self.broker, order.label, order.mode)


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
        spec=_spec(row),
        worst=row["worst"],
        bid=row["bid"],
        ask=row["ask"],
        accepted=tuple(row["accepted"]),
        state=PreviewState(row["state"]),
        expires_at=row["expires_at"],
    )
    limits = Limits(user_id, row["max_order"], row["max_day"], row["drift_bp"], row["collar_bp"])
    return preview, account_of(row), limits


async def end_preview(conn: Connection, user_id: int, token: str, state: PreviewState) -> bool:
    """Give an open ticket its end; False where it had one."""
    ended = await conn.fetchval(
        "UPDATE app.previews SET state = $3 WHERE user_id = $1 AND token = $2 AND state = 'open' RETURNING true",
        user_id,
        token,
        state,
    )
    return bool(ended)


async def take_preview(conn: Connection, user_id: int, token: str, interaction_id: int, now: datetime) -> bool:
    """Consume a living ticket for one press; False for whoever comes second, by whichever way.

    Until the end of the transaction no other order of the person is placed, and the kill switch does not turn.
    """
    taken = await conn.fetchval(
        """
        WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared($5), pg_advisory_xact_lock($1)),
        press AS (
            INSERT INTO app.presses (interaction_id, user_id, token, pressed_at) SELECT $3, $1, $2, $4 FROM gate
            ON CONFLICT (user_id, interaction_id) DO NOTHING RETURNING token
        )
        UPDATE app.previews SET state = 'consumed' FROM press
        WHERE user_id = $1 AND previews.token = $2 AND state = 'open' AND expires_at > $4 RETURNING true
        """,
        user_id,
        token,
        interaction_id,
        now,
        SWITCH,
    )
    return bool(taken)


async def get_history(conn: Connection, account: Account, spec: Spec, now: datetime, today: datetime) -> History:
    """Return what an account's orders say about a new one; `today` is when the New York day began."""
    row = await conn.fetchrow(
        """
        WITH open AS (
            SELECT symbol, side, quantity, filled, worst, state FROM app.orders
            WHERE user_id = $10 AND account_id = $1 AND state IN
                ('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review')
        ), minute AS (
            SELECT symbol, side, quantity, state FROM app.orders
            WHERE account_id = $1 AND created_at > $5::timestamptz - interval '1 minute'
        ), latest AS (
            SELECT quantity * worst AS money FROM app.orders WHERE account_id = $1 ORDER BY created_at DESC LIMIT 50
        )
        SELECT EXISTS (SELECT FROM app.accounts WHERE id = $1 AND closed_at IS NULL) AS open_account,
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
        """,
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
    assert row is not None
    return History(
        **{**row, "trading": strictest(row["trading"] or ()), "in_flight_shares": int(row["in_flight_shares"])}
    )


async def add_order(conn: Connection, preview: Preview, place: Place, now: datetime, deadline: datetime) -> Intent:
    """Make the order of a consumed ticket; a second one of the same ticket is impossible."""
    spec = preview.spec
    row = await conn.fetchrow(
        f"""
        WITH o AS (
            INSERT INTO app.orders (user_id, token, account_id, client_order_id, symbol, side, quantity, limit_price,
                tif, worst, state, place, deadline, look_at, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'confirmed', $11, $12, $13, $13, $13) RETURNING *
        )
        SELECT {_INTENT} FROM o JOIN app.accounts a ON a.id = o.account_id
        """,  # noqa: S608 - constants of this file
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
        json.dumps(place_json(place)),
        deadline,
        now,
    )
    assert row is not None
    return _intent(row)


async def get_order(conn: Connection, user_id: int, token: str) -> Order | None:
    """Return a person's order."""
    row = await conn.fetchrow(f"SELECT {_ORDER} {_FROM} WHERE o.user_id = $1 AND o.token = $2", user_id, token)
    return _order(row) if row else None


async def list_orders(conn: Connection, user_id: int, most: int) -> list[Order]:
    """Return a person's open orders and their latest ones, newest first."""
    query = f"""
        SELECT {_ORDER} {_FROM} WHERE o.user_id = $1 AND (
            o.id IN (SELECT id FROM app.orders WHERE user_id = $1 ORDER BY id DESC LIMIT $2) OR o.state IN
            ('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review')
        ) ORDER BY o.id DESC
        """  # noqa: S608 - constants of this file
    return [_order(row) for row in await conn.fetch(query, user_id, most)]


async def list_open(conn: Connection, account: Account) -> list[str]:
    """Return the tokens of an account's orders that have no end yet."""
    rows = await conn.fetch(
        """
        SELECT token FROM app.orders WHERE user_id = $1 AND account_id = $2 AND state IN
            ('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review')
        """,
        account.user_id,
        account.id,
    )
    return [row["token"] for row in rows]


async def ask_cancel(conn: Connection, user_id: int | None, now: datetime) -> list[int]:
    """Want the end of every open order, of a person or of everybody; returns their ids.

    Those on their way keep the time of their lease: whoever sends them sees the wish afterwards.
    """
    rows = await conn.fetch(
        """
        UPDATE app.orders SET cancel_asked = true,
            look_at = CASE WHEN state IN ('submitting', 'unknown') THEN look_at ELSE $2 END
        WHERE state IN ('confirmed', 'submitting', 'unknown', 'working', 'partial')
            AND ($1::bigint IS NULL OR user_id = $1)
        RETURNING id
        """,
        user_id,
        now,
    )
    return [row["id"] for row in rows]


async def list_due(conn: Connection, now: datetime, most: int) -> list[int]:
    """Return the ids of orders that somebody should take up, the longest due first."""
    rows = await conn.fetch("SELECT id FROM app.orders WHERE look_at <= $1 ORDER BY look_at LIMIT $2", now, most)
    return [row["id"] for row in rows]


async def wake(conn: Connection, client_order_ids: Sequence[str], now: datetime) -> None:
    """Make orders at the broker due, because it has news of them."""
    await conn.execute(
        """
        UPDATE app.orders SET look_at = $2
        WHERE client_order_id = ANY ($1) AND state IN ('working', 'partial', 'pending_cancel')
        """,
        list(client_order_ids),
        now,
    )


async def lock_order(conn: Connection, order_id: int) -> Intent:
    """Hold one order until the end of the transaction, and return it as it is now."""
    row = await conn.fetchrow(f"SELECT {_INTENT} {_FROM} WHERE o.id = $1 FOR UPDATE OF o", order_id)
    assert row is not None, "orders are never deleted"
    return _intent(row)


async def lock_order_of(conn: Connection, user_id: int, token: str) -> Intent | None:
    """Hold a person's order until the end of the transaction."""
    query = f"SELECT {_INTENT} {_FROM} WHERE o.user_id = $1 AND o.token = $2 FOR UPDATE OF o"
    row = await conn.fetchrow(query, user_id, token)
    return _intent(row) if row else None


async def save(conn: Connection, intent: Intent) -> None:
    """Write everything of a held order that may change."""
    order = intent.order
    await conn.execute(
        """
        UPDATE app.orders SET state = $2, filled = $3, cost = $4, version = $5, sends = $6, reason = $7,
            updated_at = $8, cancel_asked = $9, sent_at = $10, misses = $11, look_at = $12, place = $13
        WHERE id = $1
        """,
        order.id,
        order.state,
        order.filled,
        order.cost,
        order.version,
        order.sends,
        order.reason,
        order.updated_at,
        intent.cancel_asked,
        intent.sent_at,
        intent.misses,
        intent.look_at,
        json.dumps(place_json(intent.place)),
    )


async def add_fills(conn: Connection, order: Order, fills: Sequence[Fill]) -> tuple[int, Decimal]:
    """Record executions, each once by its id; returns all shares filled so far and their exact cost."""
    for fill in fills:
        await conn.execute(
            """
            INSERT INTO app.fills (account_id, execution_id, user_id, order_id, quantity, price, filled_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, execution_id) DO NOTHING
            """,
            order.account_id,
            fill.execution_id,
            order.user_id,
            order.id,
            fill.quantity,
            fill.price,
            fill.at,
        )
    row = await conn.fetchrow(
        """
        SELECT coalesce(sum(quantity), 0) AS filled, coalesce(sum(quantity * price), 0) AS cost
        FROM app.fills WHERE order_id = $1
        """,
        order.id,
    )
    assert row is not None
    return int(row["filled"]), row["cost"]


def _spec(row: Mapping[str, Any]) -> Spec:
    return Spec(row["symbol"], Side(row["side"]), row["quantity"], row["limit_price"], Tif(row["tif"]))


def _order(row: Mapping[str, Any]) -> Order:
    return Order(
        id=row["id"],
        token=row["token"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        client_order_id=row["client_order_id"],
        spec=_spec(row),
        worst=row["worst"],
        state=OrderState(row["state"]),
        filled=row["filled"],
        cost=row["cost"],
        version=row["version"],
        sends=row["sends"],
        reason=row["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        label=row["label"],
        mode=row["mode"],
    )


def _intent(row: Mapping[str, Any]) -> Intent:
    return Intent(
        _order(row),
        row["broker"],
        place_of(json.loads(row["place"])),
        row["cancel_asked"],
        row["sent_at"],
        row["misses"],
        row["deadline"],
        row["look_at"],
    )
