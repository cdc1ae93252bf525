"""Queries on orders and fills; everything that changes one runs as `pulse_service`, its owner in the WHERE."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.models import Notice, Place
from db.notices import place_json, place_of
from db.order_models import Account, Fill, Order, OrderState, Side, Spec, Tif
from db.pool import Connection

_ORDER = """
o.id, o.token, o.user_id, o.account_id, o.client_order_id, o.symbol, o.side, o.quantity, o.limit_price, o.tif, o.worst,
o.state, o.filled, o.cost, o.version, o.sends, o.reason, o.created_at, o.updated_at, a.label, a.mode
"""
_INTENT = _ORDER + ", a.broker, o.place, o.cancel_asked, o.sent_at, o.misses, o.deadline, o.look_at"
_FROM = "FROM app.orders o JOIN app.accounts a ON a.id = o.account_id"
_TRAIL = """
app.add_audit($2, $3, $4, $1, $5), app.add_notice($6, $7, $8, $2, $9, $10, $11, $12, '0')
"""
_CHANGING = (
    *("state", "filled", "cost", "version", "sends", "reason", "updated_at"),
    *("cancel_asked", "sent_at", "misses", "look_at", "place"),
)


def _update(first: int) -> str:
    changes = ", ".join(f"{column} = ${number}" for number, column in enumerate(_CHANGING, first))
    return f"UPDATE app.orders SET {changes} WHERE id = $1"  # noqa: S608 - constants of this file


_SAVE = _update(2)
_SAVE_AND_TELL = f"WITH saved AS ({_update(13)}) SELECT {_TRAIL}"
OPEN_STATES = "('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review')"
"""Those of orders that have no end yet, as SQL; `services.order_states.OPEN` are the same."""
SETTLE = "settle"
"""The job that brings an order forward."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What a change of an order leaves behind for its person."""

    at: datetime
    detail: Mapping[str, Any]
    """The audit entry as JSON, money as strings."""
    notice: Notice


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


async def get_order(conn: Connection, user_id: int, token: str) -> Order | None:
    """Return a person's order."""
    row = await conn.fetchrow(f"SELECT {_ORDER} {_FROM} WHERE o.user_id = $1 AND o.token = $2", user_id, token)
    return _order(row) if row else None


async def list_orders(conn: Connection, user_id: int, most: int) -> list[Order]:
    """Return a person's open orders and their latest ones, newest first."""
    query = f"""
        SELECT {_ORDER} {_FROM} WHERE o.user_id = $1 AND (
            o.id IN (SELECT id FROM app.orders WHERE user_id = $1 ORDER BY id DESC LIMIT $2) OR o.state IN {OPEN_STATES}
        ) ORDER BY o.id DESC
        """  # noqa: S608 - constants of this file
    return [_order(row) for row in await conn.fetch(query, user_id, most)]


async def list_open(conn: Connection, account: Account) -> list[str]:
    """Return the tokens of an account's orders that have no end yet."""
    rows = await conn.fetch(
        f"SELECT token FROM app.orders WHERE user_id = $1 AND account_id = $2 AND state IN {OPEN_STATES}",  # noqa: S608
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


async def save(conn: Connection, intent: Intent, trail: Trail | None = None) -> None:
    """Write everything of a held order that may change, and the trail of a change that its person sees."""
    order = intent.order
    query, before = (_SAVE_AND_TELL, _trail(order, trail)) if trail else (_SAVE, (order.id,))
    await conn.execute(
        query,
        *before,
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


def spec_of(row: Mapping[str, Any]) -> Spec:
    """Return what a ticket or an order is about."""
    return Spec(row["symbol"], Side(row["side"]), row["quantity"], row["limit_price"], Tif(row["tif"]))


def settle_key(order_id: int) -> str:
    """Return the key under which one job at a time settles an order."""
    return f"settle:{order_id}"


def _trail(order: Order, trail: Trail) -> tuple[object, ...]:
    notice = trail.notice
    return (
        order.id,
        order.user_id,
        trail.at,
        f"order {order.state}",
        json.dumps(trail.detail),
        notice.urgency,
        notice.kind,
        notice.key,
        notice.subject,
        notice.private,
        json.dumps(place_json(notice.place)),
        json.dumps(notice.payload),
    )


def _order(row: Mapping[str, Any]) -> Order:
    return Order(
        id=row["id"],
        token=row["token"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        client_order_id=row["client_order_id"],
        spec=spec_of(row),
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
