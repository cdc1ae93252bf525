"""The built-in paper broker: whole orders against the real market's quotes, with books of its own in PostgreSQL."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from db import paper
from db.order_models import Account, Balance, Fill, Position, Side, Tif
from db.pool import Connection, Database, DatabaseUnavailable
from services.brokers.base import Funds, NewOrder, Report, Word
from services.clock import Phase
from services.errors import BrokerRejected, BrokerUnavailable, DuplicateOrder, OutcomeUnknown
from services.market import Line, Market

T = TypeVar("T")
Row = Mapping[str, Any]


def match(side: Side, limit: Decimal, left: int, line: Line) -> tuple[int, Decimal] | None:
    """Return (shares, price) that an order gets from one quote, None where they do not meet.

    A buy pays the ask and a sell gets the bid, never worse than the limit and never more shares than the quote shows.
    Nothing trades on stale quotes or outside of the regular session.
    """
    if line.stale or line.session.phase is not Phase.OPEN:
        return None
    quote = line.quote
    price, shown = (quote.ask, quote.ask_size) if side is Side.BUY else (quote.bid, quote.bid_size)
    if price is None or (limit < price if side is Side.BUY else limit > price):
        return None
    shares = left if shown is None else min(left, shown)
    return (shares, price) if shares > 0 else None


def sell(
    lots: Sequence[tuple[int, int, Decimal]], quantity: int, price: Decimal
) -> tuple[list[tuple[int, int]], Decimal]:
    """Return which (lot, shares) a sale takes, first bought first, and the profit that it realises.

    `lots` are (id, shares held, price paid), oldest first, and hold at least `quantity`. There is no division, so that
    any split of a sale takes the same lots and realises the same money, exactly.
    """
    taken: list[tuple[int, int]] = []
    realised = Decimal(0)
    for lot, held, paid in lots:
        shares = min(held, quantity)
        if shares:
            taken.append((lot, shares))
            realised += (price - paid) * shares
            quantity -= shares
    assert quantity == 0, "what is not held is never sold"
    return taken, realised


class Paper:
    """A broker whose venue is this program: cash accounts, long only, no fees."""

    name = "paper"
    keyed = True
    quiet = timedelta(seconds=30)  # twice what PostgreSQL lets a statement take

    def __init__(
        self, database: Database, market: Market, *, crash_point: Callable[[str], None] = lambda _: None
    ) -> None:
        self._database = database
        self._market = market
        self._reached = crash_point

    async def submit(self, account: Account, order: NewOrder) -> Report:
        """Take an order in and trade it at once as far as the market allows; raises as `Broker.submit` says."""
        line = (await self._market.lines([order.symbol])).get(order.symbol)
        try:
            async with self._database.transaction() as conn:
                report = await self._accept(conn, account, order, line)
                self._reached("paper: before the commit of an order")
        except DatabaseUnavailable as error:  # its commit may have gone through
            raise OutcomeUnknown("The paper broker did not answer.") from error
        self._reached("paper: after the commit of an order")
        return report

    async def lookup(self, account: Account, client_order_id: str) -> Report | None:
        """Return an order by our id."""
        return await self._read(lambda conn: _report(conn, account.id, client_order_id))

    async def cancel(self, account: Account, client_order_id: str) -> Report | None:
        """End an order if it still waits; safe to repeat."""
        try:
            async with self._database.transaction() as conn:
                await paper.lock_account(conn, account.id)
                row = await paper.get_order(conn, account.id, client_order_id)
                if row and row["state"] == Word.WORKING:
                    await paper.set_order(conn, row["id"], Word.CANCELED, row["filled"], row["met_at"])
                return await _report(conn, account.id, client_order_id)
        except DatabaseUnavailable as error:
            raise OutcomeUnknown("The paper broker did not answer.") from error

    async def changed(self) -> Sequence[str]:
        """Let the waiting orders meet the market, and end those whose day is over."""
        waiting = await self._read(paper.list_working)
        lines = await self._market.lines({row["symbol"] for row in waiting})
        now = self._market.now()
        # looked at without a lock first, so that what rests costs nothing
        concerned = [row for row in waiting if _is_over(row, now) or _meeting(row, lines.get(row["symbol"]))]
        return [row["client_order_id"] for row in concerned if await self._meet(row, lines.get(row["symbol"]), now)]

    async def funds(self, account: Account, symbol: str) -> Funds:
        """Return the account's money and what it holds of a symbol."""
        return Funds(*await self._read(lambda conn: paper.get_funds(conn, account.id, symbol)))

    async def positions(self, account: Account) -> Sequence[Position]:
        """Return what the account holds."""
        return await self._read(lambda conn: paper.list_positions(conn, account.id))

    async def balance(self, account: Account) -> Balance:
        """Return the account's money."""
        return await self._read(lambda conn: paper.get_balance(conn, account.id))

    async def _accept(self, conn: Connection, account: Account, order: NewOrder, line: Line | None) -> Report:
        now = self._market.now()
        await paper.lock_account(conn, account.id)
        expires_at = self._market.calendar.at(now).closes_at if order.tif is Tif.DAY else None
        # before the check: an order that comes again is a duplicate, not one without buying power
        if await paper.get_order(conn, account.id, order.client_order_id):
            raise DuplicateOrder("The paper broker has this order already.")
        await self._check(conn, account, order)
        row = await paper.add_order(conn, account.id, asdict(order), expires_at, now)
        filled = await self._trade(conn, row, line)
        if order.tif is Tif.IOC and filled < order.quantity:
            await paper.set_order(conn, row["id"], Word.CANCELED, filled, None)
        report = await _report(conn, account.id, order.client_order_id)
        assert report is not None
        return report

    async def _check(self, conn: Connection, account: Account, order: NewOrder) -> None:
        if order.side is Side.BUY:
            balance = await paper.get_balance(conn, account.id)
            if order.quantity * order.limit > balance.buying_power:
                raise BrokerRejected(
                    f"insufficient buying power: {order.quantity * order.limit:,.2f} needed, "
                    f"{balance.buying_power:,.2f} available"
                )
            return
        held, offered = await paper.get_sellable(conn, account.id, order.symbol)
        if order.quantity > held - offered:
            raise BrokerRejected(f"insufficient shares: {held} {order.symbol} held, {offered} in open sell orders")

    async def _meet(self, waiting: Row, line: Line | None, now: datetime) -> bool:
        async with self._database.transaction() as conn:
            await paper.lock_account(conn, waiting["account_id"])
            row = await paper.get_order(conn, waiting["account_id"], waiting["client_order_id"])
            assert row is not None, "paper orders are never deleted"
            if row["state"] != Word.WORKING:
                return False
            if _is_over(row, now):
                await paper.set_order(conn, row["id"], Word.EXPIRED, row["filled"], row["met_at"])
                return True
            if not await self._trade(conn, row, line):
                return False
            self._reached("paper: before the commit of a fill")
        self._reached("paper: after the commit of a fill")
        return True

    async def _trade(self, conn: Connection, row: Row, line: Line | None) -> int:
        """Fill what one quote allows; returns how many shares."""
        met = _meeting(row, line)
        if line is None or met is None:
            return 0
        shares, price = met
        realised = Decimal(0)
        if row["side"] == Side.SELL:
            taken, realised = sell(await paper.list_lots(conn, row["account_id"], row["symbol"]), shares, price)
            await paper.take_lots(conn, taken)
        await paper.add_fill(conn, row, shares, price, realised, self._market.now())
        filled = row["filled"] + shares
        state = Word.FILLED if filled == row["quantity"] else Word.WORKING
        await paper.set_order(conn, row["id"], state, filled, line.quote.as_of)
        return shares

    async def _read(self, read: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            async with self._database.acquire() as conn:
                return await read(conn)
        except DatabaseUnavailable as error:
            raise BrokerUnavailable("The paper broker did not answer.") from error


def _is_over(row: Row, now: datetime) -> bool:
    return row["expires_at"] is not None and row["expires_at"] <= now


def _meeting(row: Row, line: Line | None) -> tuple[int, Decimal] | None:
    if line is None or (row["met_at"] and line.quote.as_of <= row["met_at"]):
        return None
    return match(Side(row["side"]), row["limit_price"], row["quantity"] - row["filled"], line)


async def _report(conn: Connection, account_id: int, client_order_id: str) -> Report | None:
    rows = await paper.list_order_and_fills(conn, account_id, client_order_id)
    if not rows:
        return None
    row = rows[0]
    limit, side, tif = row["limit_price"], Side(row["side"]), Tif(row["tif"])
    order = NewOrder(row["client_order_id"], row["symbol"], side, row["quantity"], limit, tif)
    fills = [
        Fill(f"paper-{each['fill_id']}", each["shares"], each["price"], each["filled_at"])
        for each in rows
        if each["fill_id"]
    ]
    return Report(order, Word(row["state"]), row["filled"], fills)
