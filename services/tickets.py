"""Tickets: what a person sees before they press Confirm. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from db.order_models import Account, Limits, Preview, PreviewState, Side, Spec
from db.previews import History
from services.brokers.base import Funds
from services.clock import Session
from services.errors import OrderRefused, PreviewGone
from services.market import Line
from services.risk import Facts, Objection, drift, drift_allowed

_GONE = {
    PreviewState.OPEN: "This ticket has just ended. Nothing was sent; enter the order again.",
    PreviewState.CONSUMED: "This ticket was used. `/orders` shows its order.",
    PreviewState.CANCELLED: "This ticket was cancelled. Nothing was sent.",
    PreviewState.EXPIRED: "This ticket was only good for a minute. Nothing was sent; enter the order again.",
    PreviewState.SUPERSEDED: "A newer ticket has replaced this one. If you do not see it, enter the order again.",
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """All that a person sees before they press Confirm; money in dollars."""

    token: str
    expires_at: datetime
    account: Account
    spec: Spec
    worst: Decimal
    """The limit that would be sent: no share can cost more, or bring less."""
    collar_bp: int | None
    """How far `worst` is from the quote, for a "market" order."""
    bid: Decimal
    ask: Decimal
    as_of: datetime
    age: timedelta
    source: str
    session: Session
    cost: Decimal
    """Quantity × worst."""
    buying_power: Decimal
    buying_power_after: Decimal
    warnings: tuple[str, ...]
    why: str | None
    """Why a press gave this ticket instead of an order."""
    again: bool
    """The warnings want a second press, and this ticket is for it."""


def ticket_of(
    preview: Preview,
    account: Account,
    line: Line,
    facts: Facts,
    limits: Limits,
    warnings: Sequence[Objection],
    why: str | None,
) -> Ticket:
    """Return what a stored ticket shows."""
    cost = preview.worst * preview.spec.quantity
    power = facts.balance.buying_power - facts.in_flight_money
    after = power - cost if preview.spec.side is Side.BUY else power + cost
    return Ticket(
        token=preview.token,
        expires_at=preview.expires_at,
        account=account,
        spec=preview.spec,
        worst=preview.worst,
        collar_bp=limits.collar_bp if preview.spec.limit is None else None,
        bid=preview.bid,
        ask=preview.ask,
        as_of=line.quote.as_of,
        age=line.age,
        source=line.quote.source,
        session=line.session,
        cost=cost,
        buying_power=power,
        buying_power_after=after,
        warnings=tuple(warning.words for warning in warnings),
        why=why,
        again=bool(preview.accepted),
    )


def shown(preview: Preview) -> dict[str, Any]:
    """Return a ticket for the audit, money as strings."""
    spec = preview.spec
    return {
        "token": preview.token,
        "symbol": spec.symbol,
        "side": spec.side,
        "quantity": spec.quantity,
        "limit": None if spec.limit is None else str(spec.limit),
        "tif": spec.tif,
        "worst": str(preview.worst),
        "bid": str(preview.bid),
        "ask": str(preview.ask),
    }


def touch(line: Line) -> tuple[Decimal, Decimal]:
    """Return the best bid and ask; raises OrderRefused where a side is missing, as for an index."""
    bid, ask = line.quote.bid, line.quote.ask
    if not bid or not ask:
        raise OrderRefused([f"{line.quote.symbol} has no bid and ask at the moment, so it cannot be traded."])
    return bid, ask


def has_moved(preview: Preview, line: Line, limits: Limits) -> str | None:
    """Return in words that the price has left what the ticket showed, None while it has not."""
    before = preview.bid, preview.ask
    moved, allowed = drift(preview.spec.side, before, touch(line)), drift_allowed(before, limits.drift_bp)
    if moved <= allowed:
        return None
    return f"The price has moved {moved:.2%} since the ticket was shown ({allowed:.2%} is allowed). Nothing was sent."


def facts_of(history: History, funds: Funds) -> Facts:
    """Return what the guards judge by."""
    known = asdict(history)
    del known["open_account"]
    return Facts(balance=funds.balance, held=funds.held, **known)


def refuse(history: History, objections: Sequence[Objection]) -> list[Objection]:
    """Return the objections that a second press overcomes; raises OrderRefused for the others, all at once."""
    if not history.open_account:
        raise PreviewGone("This account was reset. Nothing was sent; enter the order again.")
    refusals = [objection.words for objection in objections if not objection.ask_again]
    if refusals:
        raise OrderRefused(refusals)
    return list(objections)


def gone(state: PreviewState) -> PreviewGone:
    """Return the words for a ticket that cannot be used any more."""
    return PreviewGone(_GONE[state])
