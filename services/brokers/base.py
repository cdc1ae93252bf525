"""What every broker can be asked for, and the shapes of its answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from db.order_models import Account, Balance, Fill, Position, Side, Tif


class Word(StrEnum):
    """What a broker says of an order."""

    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What leaves for a broker: always a limit order, under our own id."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: int
    limit: Decimal
    tif: Tif


@dataclass(frozen=True, slots=True)
class Report:
    """A broker's present word on one order."""

    order: NewOrder
    word: Word
    filled: int
    """By the broker's own count; the sum of `fills` must agree."""
    fills: Sequence[Fill]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Funds:
    """The account's money, and the shares that it holds of one symbol."""

    balance: Balance
    held: int


class Broker(Protocol):
    """One broker. Reads raise BrokerUnavailable; nothing here ever repeats a request by itself."""

    name: str
    keyed: bool
    """It refuses a second order under the same id, so that sending again is safe."""
    quiet: timedelta
    """How long after a send "not found" may still mean "on its way"."""

    async def submit(self, account: Account, order: NewOrder) -> Report:
        """Send an order once.

        Raises BrokerRejected for a refusal that the venue proved, DuplicateOrder where our id exists already, and
        BrokerUnavailable or OutcomeUnknown for everything else, an answer that cannot be read included.
        """

    async def lookup(self, account: Account, client_order_id: str) -> Report | None:
        """Return an order by our id, None where the broker does not know it."""

    async def cancel(self, account: Account, client_order_id: str) -> Report | None:
        """Ask for the end of an order; safe to repeat. Returns its state afterwards, None where it is not known."""

    async def changed(self) -> Sequence[str]:
        """Return our ids of orders with news since the last call; a missed one is found by looking it up."""

    async def funds(self, account: Account, symbol: str) -> Funds:
        """Return what a new order in a symbol is judged by."""

    async def positions(self, account: Account) -> Sequence[Position]:
        """Return what the account holds."""

    async def balance(self, account: Account) -> Balance:
        """Return the account's money."""
