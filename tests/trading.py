"""A trading floor for tests: the real order path and paper broker, with a clock and a tape that the test turns."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from db.models import Place
from db.order_models import Order, Side, Spec, Tif
from db.pool import Database
from services.accounts import Accounts
from services.brokers.base import Broker
from services.brokers.paper import Paper
from services.clock import NEW_YORK, Calendar
from services.execution import Execution
from services.feeds.base import Feed, Listing, Offer, Quote
from services.kill_switch import KillSwitch
from services.market import Market
from services.orders import DISCORD_EPOCH, Orders
from services.portfolios import Portfolios
from services.tickets import Ticket

MARA, OTTO = 80351110224678912, 80351110224678913
HERE = Place(channel_id=7, token="interaction-token")
FRIDAY = datetime(2026, 11, 20, 10, 30, tzinfo=NEW_YORK).astimezone(UTC)


def session(day: int) -> tuple[datetime, datetime]:
    opens = datetime(2026, 11, day, 9, 30, tzinfo=NEW_YORK).astimezone(UTC)
    return opens, opens + timedelta(hours=6.5)


CALENDAR = Calendar(tuple(session(day) for day in (18, 19, 20, 23, 24)))


class Clock:
    """One time for people and market, which only the test moves."""

    def __init__(self, now: datetime = FRIDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Tape(Feed):
    """A feed whose quotes the test sets."""

    name = "tape"
    offers = frozenset({Offer.LISTINGS, Offer.QUOTES})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.quoted: dict[str, Quote] = {}

    def set(self, symbol: str, bid: str, ask: str, size: int | None = None) -> None:
        ticks = timedelta(microseconds=len(self.quoted) + 1)
        last = self.quoted.get(symbol)
        as_of = max(self._clock(), last.as_of + ticks if last else self._clock())
        self.quoted[symbol] = Quote(
            symbol,
            Decimal(ask),
            as_of,
            "Tape",
            timedelta(0),
            bid=Decimal(bid),
            ask=Decimal(ask),
            bid_size=size,
            ask_size=size,
        )

    async def listings(self):
        return [Listing(symbol, symbol) for symbol in self.quoted]

    async def quotes(self, symbols):
        return {symbol: self.quoted[symbol] for symbol in symbols if symbol in self.quoted}

    def now(self):
        return self._clock()

    async def close(self):
        pass


@dataclass
class Floor:
    """Everything of one process; several on one database are several processes."""

    database: Database
    clock: Clock
    tape: Tape
    market: Market
    accounts: Accounts
    broker: Broker
    orders: Orders
    execution: Execution
    portfolios: Portfolios
    kill_switch: KillSwitch
    presses: int = 0

    def quote(self, symbol: str, bid: str, ask: str, size: int | None = None) -> None:
        self.tape.set(symbol, bid, ask, size)
        self.market._quotes._kept.clear()

    def advance(self, seconds: float) -> None:
        """Let time pass, with every quote confirmed at its end."""
        self.clock.advance(seconds)
        for symbol, quote in list(self.tape.quoted.items()):
            self.quote(symbol, str(quote.bid), str(quote.ask), quote.ask_size)

    def press(self, ago_s: float = 0) -> int:
        """The id of a new interaction."""
        self.presses += 1
        return snowflake(self.clock() - timedelta(seconds=ago_s), self.presses)

    async def ticket(self, quantity: int = 10, limit: str | None = "100.00", tif: Tif = Tif.DAY, **more) -> Ticket:
        return await self.orders.preview(more.get("user", MARA), spec(quantity, limit, tif, more.get("side", Side.BUY)))

    async def confirm(self, ticket: Ticket, **more) -> Order | Ticket:
        user = more.get("user", MARA)
        return await self.orders.confirm(user, ticket.token, more.get("press") or self.press(), HERE)

    async def buy(self, quantity: int = 10, limit: str | None = "100.00", tif: Tif = Tif.DAY, **more) -> Order:
        """An order confirmed, sent and settled as far as it goes."""
        order = await self.confirm(await self.ticket(quantity, limit, tif, **more), **more)
        if isinstance(order, Ticket):  # a warning wants a second press
            order = await self.confirm(order, **more)
        assert isinstance(order, Order)
        await self.execution.settle(order.id)
        return await self.orders.get(order.user_id, order.token)

    async def sell(self, quantity: int = 10, limit: str | None = "99.90", tif: Tif = Tif.DAY, **more) -> Order:
        return await self.buy(quantity, limit, tif, side=Side.SELL, **more)

    async def again(self, order: Order) -> Order:
        return await self.orders.get(order.user_id, order.token)


def spec(quantity=10, limit: str | None = "100.00", tif=Tif.DAY, side=Side.BUY, symbol="SPY") -> Spec:
    return Spec(symbol, side, quantity, None if limit is None else Decimal(limit), tif)


def snowflake(at: datetime, count: int) -> int:
    return ((at - DISCORD_EPOCH) // timedelta(milliseconds=1) << 22) + count


@asynccontextmanager
async def floor_on(
    url: str,
    *,
    clock: Clock | None = None,
    tape: Tape | None = None,
    cash: str = "100000",
    crash_point: Callable[[str], None] = lambda _: None,
    broker: Callable[[Paper], Broker] = lambda paper: paper,
):
    """One process on a migrated database; SPY is 99.90 bid, 100.00 ask."""
    clock = clock or Clock()
    database = await Database.open(url)
    if tape is None:
        tape = Tape(clock)
        tape.set("SPY", "99.90", "100.00")
    market = Market([tape], CALENDAR)
    accounts = Accounts(database, Decimal(cash))
    venue = broker(Paper(database, market, crash_point=crash_point))
    brokers = {"paper": venue}
    orders = Orders(database, market, accounts, brokers, now=clock, crash_point=crash_point)
    execution = Execution(database, market, brokers, now=clock, crash_point=crash_point)
    portfolios = Portfolios(database, market, accounts, brokers, now=clock)
    switch = KillSwitch(database, now=clock)
    try:
        yield Floor(database, clock, tape, market, accounts, venue, orders, execution, portfolios, switch)
    finally:
        await database.close()
