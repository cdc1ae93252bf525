"""What people hold, and what it is worth now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from db import accounts as account_rows
from db import audit, orders
from db.order_models import Account, Balance, Position
from db.pool import Connection, Database
from services.accounts import Accounts
from services.brokers.base import Broker
from services.errors import OrderRefused, outages_told
from services.execution import enqueue_settle
from services.market import Line, Market


@dataclass(frozen=True, slots=True)
class Holding:
    """A position at the market; `price` is None where there is no quote."""

    position: Position
    price: Decimal | None
    as_of: datetime | None

    @property
    def value(self) -> Decimal | None:
        """What it is worth now."""
        return None if self.price is None else self.price * self.position.quantity

    @property
    def unrealised(self) -> Decimal | None:
        """Profit since it was bought."""
        return None if self.value is None else self.value - self.position.cost


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account with everything in it."""

    account: Account
    balance: Balance
    holdings: tuple[Holding, ...]


class Portfolios:
    """People's accounts with positions and money; every verb may raise DatabaseAway and BrokerUnavailable."""

    def __init__(
        self,
        database: Database,
        market: Market,
        accounts: Accounts,
        brokers: Mapping[str, Broker],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._database, self._market, self._accounts, self._brokers = database, market, accounts, brokers
        self._now = now

    async def of(self, user_id: int) -> Portfolio:
        """Return what a person's paper account holds, at the market's prices."""
        with outages_told():
            account = await self._accounts.paper(user_id, self._now())
        broker = self._brokers[account.broker]
        held, balance = await broker.positions(account), await broker.balance(account)
        lines = await self._market.lines({position.symbol for position in held})
        return Portfolio(account, balance, tuple(_holding(position, lines.get(position.symbol)) for position in held))

    async def balance(self, user_id: int) -> tuple[Account, Balance]:
        """Return a person's paper account and its money."""
        with outages_told():
            account = await self._accounts.paper(user_id, self._now())
        return account, await self._brokers[account.broker].balance(account)

    async def reset_paper(self, user_id: int, account_id: int) -> Account:
        """Close the paper account that was shown and open a new one; twice is once.

        Open orders are cancelled first: raises OrderRefused until the last of them has ended.
        """
        with outages_told():
            account = await self._accounts.paper(user_id, self._now())
            if account.id != account_id:
                return account
            async with self._database.transaction() as conn:
                await account_rows.lock_person(conn, user_id)
                ending = await orders.list_open(conn, account)
                opened = None if ending else await self._reopen(conn, account)
                for order_id in await orders.ask_cancel(conn, user_id, self._now()) if ending else ():
                    await enqueue_settle(conn, order_id)
        if ending:
            count = "An open order is" if len(ending) == 1 else f"{len(ending)} open orders are"
            raise OrderRefused([f"{count} being cancelled first. Reset again in a moment."])
        return opened or await self._accounts.paper(user_id, self._now())

    async def _reopen(self, conn: Connection, account: Account) -> Account | None:
        if not await account_rows.close_account(conn, account.user_id, account.id, self._now()):
            return None
        await audit.add(conn, account.user_id, self._now(), "paper account reset", {"account_id": account.id})
        return await self._accounts.open_paper(conn, account.user_id, self._now())


def _holding(position: Position, line: Line | None) -> Holding:
    return Holding(position, line.quote.price, line.quote.as_of) if line else Holding(position, None, None)
