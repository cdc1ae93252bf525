"""Orders and what they are made of: accounts, tickets, fills, positions and money, without a line of business logic."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """What an order does."""

    BUY = "buy"
    SELL = "sell"


class Tif(StrEnum):
    """How long an order may wait: until the close, until it is cancelled, not at all."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class PreviewState(StrEnum):
    """What became of a ticket."""

    OPEN = "open"
    CONSUMED = "consumed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class OrderState(StrEnum):
    """Where an order stands; `services.orders.MOVES` says what may follow what."""

    CONFIRMED = "confirmed"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    WORKING = "working"
    PARTIAL = "partial"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    DENIED = "denied"
    VOID = "void"
    NEEDS_REVIEW = "needs_review"


class TradingState(StrEnum):
    """What the kill switch lets through: everything, only what makes a position smaller, nothing but cancels."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Account:
    """One account at one broker; `mode` is PAPER or LIVE and is always shown."""

    id: int
    user_id: int
    broker: str
    label: str
    mode: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What a person wants; a `limit` of None asks for "market"."""

    symbol: str
    side: Side
    quantity: int
    limit: Decimal | None
    tif: Tif


@dataclass(frozen=True, slots=True)
class Preview:
    """A ticket as it was shown: it can become one order until `expires_at`."""

    token: str
    user_id: int
    account_id: int
    client_order_id: str
    spec: Spec
    worst: Decimal
    """The price that the order can never leave outside of."""
    bid: Decimal
    ask: Decimal
    accepted: tuple[str, ...]
    """Codes of the warnings that a press has accepted already."""
    state: PreviewState
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """A confirmed order as we know it; the broker's word always wins."""

    id: int
    token: str
    user_id: int
    account_id: int
    client_order_id: str
    spec: Spec
    worst: Decimal
    state: OrderState
    filled: int
    cost: Decimal
    """The exact sum of quantity × price over the fills."""
    version: int
    sends: int
    reason: str | None
    created_at: datetime
    updated_at: datetime
    label: str
    mode: str

    @property
    def average_price(self) -> Decimal | None:
        """Return the mean price of the fills, unrounded; None before the first."""
        return self.cost / self.filled if self.filled else None


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, by the broker's own id."""

    execution_id: str
    quantity: int
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """What an account holds of one symbol; first bought is first sold."""

    symbol: str
    quantity: int
    cost: Decimal
    """The exact sum paid for what is still held."""
    realised: Decimal

    @property
    def average_cost(self) -> Decimal:
        """Return the mean price paid for what is held, unrounded."""
        return self.cost / self.quantity if self.quantity else Decimal(0)


@dataclass(frozen=True, slots=True)
class Balance:
    """The money of an account; `reserved` is set aside for open buys."""

    cash: Decimal
    reserved: Decimal
    at_cost: Decimal
    """What is held, at the prices paid for it."""
    realised: Decimal

    @property
    def buying_power(self) -> Decimal:
        """Return what new buys may cost."""
        return self.cash - self.reserved

    @property
    def equity(self) -> Decimal:
        """Return cash and holdings, at cost."""
        return self.cash + self.at_cost


@dataclass(frozen=True, slots=True)
class Limits:
    """What a person allows themself; None means that only the house's rules hold."""

    user_id: int
    max_order: Decimal | None = None
    """Most money in one order."""
    max_day: Decimal | None = None
    """Most money bought in one New York day."""
    drift_bp: int | None = None
    """How far the price may move between ticket and press, in 1/100 %."""
    collar_bp: int = 50
    """How far a "market" order may pay up, in 1/100 %."""
