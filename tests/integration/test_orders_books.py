"""Cash, positions and fills through random sequences of orders, cancels and quotes, on the real books."""

import random
from decimal import Decimal
from itertools import pairwise

import pytest
from trading import MARA, floor_on, spec

from db.order_models import OrderState, Side, Tif
from services.errors import OrderRefused
from services.order_states import OPEN
from services.risk import HouseRules
from services.tickets import Ticket

CASH = Decimal(100_000)
FREE = HouseRules(equity_share=Decimal(1), a_minute=10_000, limit_band=Decimal("0.10"))


async def conserved(floor) -> None:
    """What was paid in is there: as cash, as shares at their cost, less what was earned."""
    portfolio = await floor.portfolios.of(MARA)
    balance, holdings = portfolio.balance, portfolio.holdings
    assert balance.cash + sum(h.position.cost for h in holdings) - balance.realised == CASH
    assert balance.at_cost == sum(h.position.cost for h in holdings)
    assert balance.cash >= 0
    assert balance.buying_power >= 0


async def same_on_both_sides(floor) -> None:
    """Our orders say the same as the broker's, and our fills are its executions."""
    async with floor.database.acquire() as conn:
        differing = await conn.fetch(
            """
            SELECT o.id, o.state, p.state FROM app.orders o JOIN app.paper_orders p USING (client_order_id)
            WHERE o.filled <> p.filled OR o.state NOT IN (p.state, 'partial', 'denied')
                OR o.cost <> (SELECT coalesce(sum(quantity * price), 0) FROM app.paper_fills WHERE order_id = p.id)
            """
        )
        ours = await conn.fetchrow("SELECT count(*), coalesce(sum(quantity * price), 0) FROM app.fills")
        venue = await conn.fetchrow("SELECT count(*), coalesce(sum(quantity * price), 0) FROM app.paper_fills")
    assert differing == []
    assert tuple(ours) == tuple(venue)


async def act(floor, chance: random.Random) -> None:
    """One thing that a person or the market does."""
    match chance.randrange(4):
        case 0:
            symbol, mid = chance.choice([("SPY", 100), ("QQQ", 37)])
            bid = Decimal(mid) + Decimal(chance.randint(-200, 200)) / 100
            floor.quote(
                symbol, str(bid), str(bid + Decimal(chance.randint(1, 9)) / 100), chance.choice([None, 1, 3, 50])
            )
            await floor.execution.follow()
        case 1 | 2:
            try:
                order = await place(floor, chance)
            except OrderRefused:
                return
            if chance.random() < 0.8:
                await floor.execution.settle(order.id)
        case 3:
            waiting = [order for order in await floor.orders.list(MARA) if order.state in OPEN]
            if waiting:
                await floor.orders.cancel(MARA, chance.choice(waiting).token)


async def place(floor, chance: random.Random):
    symbol = chance.choice(["SPY", "QQQ"])
    quote = floor.tape.quoted[symbol]
    limit = None if chance.random() < 0.3 else str(quote.ask + Decimal(chance.randint(-60, 60)) / 100)
    wanted = spec(chance.randint(1, 60), limit, chance.choice(list(Tif)), chance.choice(list(Side)), symbol)
    told = await floor.confirm(await floor.orders.preview(MARA, wanted))
    return await floor.confirm(told) if isinstance(told, Ticket) else told


@pytest.mark.parametrize("seed", range(8))
async def test_money_and_shares_conserve_through_any_sequence(database_url, seed):
    chance = random.Random(seed)
    async with floor_on(database_url) as floor:
        floor.orders.rules = FREE
        floor.quote("QQQ", "36.99", "37.00")
        await floor.buy(40, None)
        for _ in range(50):
            floor.clock.advance(chance.choice([0, 1, 7]))
            for symbol, quote in list(floor.tape.quoted.items()):
                floor.quote(symbol, str(quote.bid), str(quote.ask), quote.ask_size)
            await act(floor, chance)
            await conserved(floor)
        for _ in range(3):
            floor.advance(10)
            await floor.execution.follow()
        await same_on_both_sides(floor)
        await conserved(floor)
        async with floor.database.acquire() as conn:
            traded = await conn.fetch("SELECT side, count(*) FROM app.paper_fills GROUP BY side")
        assert sum(times for _, times in traded) >= 10, f"nothing much happened: {traded}"
        assert len(traded) == 2


def split(chance: random.Random) -> list[int]:
    """Twelve shares in parts of any size and number."""
    cuts = [0, *sorted(chance.sample(range(1, 12), chance.randrange(12))), 12]
    return [after - before for before, after in pairwise(cuts)]


SPLITS = ([12], [1] * 12, *map(split, map(random.Random, range(10))))


async def test_any_split_of_fills_gives_the_same_quantity_average_and_cash(database_url):
    """The same two orders, filled in different parts, end in the same books to the last digit."""
    outcomes = set()
    async with floor_on(database_url) as floor:
        for user, sizes in enumerate(SPLITS, start=100):
            for side, price in ((Side.BUY, "100.01"), (Side.SELL, "103.37")):
                bid = price if side is Side.SELL else "99.99"
                ask = price if side is Side.BUY else "103.99"
                floor.quote("SPY", bid, ask, sizes[0])
                order = await floor.buy(12, price, side=side, user=user)
                for size in sizes[1:]:
                    floor.quote("SPY", bid, ask, size)
                    await floor.execution.follow()
                order = await floor.again(order)
                assert order.state is OrderState.FILLED
                async with floor.database.acquire() as conn:
                    fills = await conn.fetchval("SELECT count(*) FROM app.fills WHERE order_id = $1", order.id)
                assert fills == len(sizes)
                assert order.average_price == Decimal(price)
                if side is Side.BUY:
                    (held,) = (await floor.portfolios.of(user)).holdings
                    assert held.position.average_cost == Decimal(price)
                _, balance = await floor.portfolios.balance(user)
                outcomes.add((side, order.filled, order.average_price, order.cost, balance))
    assert len(outcomes) == 2
