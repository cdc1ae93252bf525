import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from trading import CALENDAR, FRIDAY, HERE, MARA, OTTO, Clock, floor_on, snowflake, spec

from db.order_models import Limits, Order, OrderState, PreviewState, Side, Tif, TradingState
from services.errors import OrderRefused, PreviewGone, UnknownOrder, UnknownSymbol, UserError
from services.tickets import Ticket


@pytest.fixture
async def floor(database_url):
    async with floor_on(database_url) as opened:
        yield opened


async def count(floor, table: str) -> int:
    async with floor.database.acquire() as conn:
        return await conn.fetchval(f"SELECT count(*) FROM app.{table}")


async def test_a_ticket_says_all_that_a_person_needs(floor):
    ticket = await floor.ticket(10, None)
    assert (ticket.account.mode, ticket.account.label) == ("PAPER", "Paper")
    assert (ticket.bid, ticket.ask, ticket.worst, ticket.collar_bp) == (
        Decimal("99.90"),
        Decimal("100.00"),
        Decimal("100.50"),
        50,
    )
    assert (ticket.cost, ticket.buying_power, ticket.buying_power_after) == (1005, 100_000, 98_995)
    assert (ticket.expires_at - floor.clock()).total_seconds() == 60
    assert (ticket.warnings, ticket.why, ticket.again) == ((), None, False)
    assert ticket.session == CALENDAR.at(FRIDAY)


async def test_a_press_writes_order_audit_job_and_notice_at_once(floor):
    order = await floor.confirm(await floor.ticket())
    assert (order.state, order.version, order.sends) == (OrderState.CONFIRMED, 1, 0)
    async with floor.database.acquire() as conn:
        job = await conn.fetchrow("SELECT name, payload::text, dedupe_key FROM app.jobs")
        notice = await conn.fetchrow("SELECT urgency, kind, key, subject, user_id, private FROM app.notices")
        events = await conn.fetch("SELECT event FROM app.audit ORDER BY id")
    assert tuple(job) == ("settle", f'{{"order_id": {order.id}}}', f"settle:{order.id}")
    assert tuple(notice) == ("P0", "order", f"{order.id}:confirmed:1", order.token, MARA, True)
    assert [event["event"] for event in events] == ["ticket shown", "order confirmed"]


async def test_fifty_presses_delivered_three_times_over_two_processes_make_one_order(floor, database_url):
    async with floor_on(database_url, clock=floor.clock, tape=floor.tape) as other:
        ticket = await floor.ticket()
        presses = [floor.press() for _ in range(50)] * 3
        told = await asyncio.gather(
            *(
                each.orders.confirm(MARA, ticket.token, press, HERE)
                for press, each in zip(presses, (floor, other) * 75, strict=True)
            )
        )
        assert all(isinstance(order, Order) for order in told)
        assert {order.id for order in told} == {told[0].id}
        await asyncio.gather(*(each.execution.settle(told[0].id) for each in (floor, other) * 10))
    assert [await count(floor, table) for table in ("orders", "paper_orders", "fills", "paper_fills", "jobs")] == [
        1
    ] * 5
    assert (await floor.again(told[0])).sends == 1


async def test_losers_see_what_became_of_the_order(floor):
    ticket = await floor.ticket()
    order = await floor.confirm(ticket)
    await floor.execution.settle(order.id)
    assert (await floor.confirm(ticket)).state is OrderState.FILLED


async def test_a_press_after_a_restart_works(floor, database_url):
    ticket = await floor.ticket()
    async with floor_on(database_url, clock=floor.clock, tape=floor.tape) as restarted:
        assert isinstance(await restarted.confirm(ticket), Order)


async def test_a_press_older_than_ten_seconds_gives_a_fresh_ticket(floor):
    ticket = await floor.ticket()
    floor.advance(15)
    fresh = await floor.confirm(ticket, press=floor.press(ago_s=11))
    assert isinstance(fresh, Ticket)
    assert "late" in fresh.why
    assert await count(floor, "orders") == 0
    with pytest.raises(PreviewGone, match="newer ticket"):
        await floor.confirm(ticket)
    assert isinstance(await floor.confirm(fresh), Order)


@pytest.mark.parametrize(("ask", "sent"), [("100.25", True), ("100.26", False), ("99.75", True), ("99.74", False)])
async def test_a_price_that_has_moved_gives_a_fresh_ticket(floor, ask, sent):
    ticket = await floor.ticket(limit="101.00")
    floor.quote("SPY", str(Decimal(ask) - Decimal("0.10")), ask)
    told = await floor.confirm(ticket)
    assert isinstance(told, Order) is sent
    if not sent:
        assert "moved" in told.why
        assert told.ask == Decimal(ask)


async def test_a_person_may_allow_more_drift(floor):
    await floor.accounts.set_limits(Limits(MARA, drift_bp=100))
    ticket = await floor.ticket(limit="101.00")
    floor.quote("SPY", "100.80", "100.90")
    assert isinstance(await floor.confirm(ticket), Order)


async def test_a_market_order_keeps_the_worst_price_that_was_shown(floor):
    ticket = await floor.ticket(limit=None)
    floor.quote("SPY", "100.10", "100.20")
    assert (await floor.confirm(ticket)).worst == ticket.worst == Decimal("100.50")


async def test_only_the_owner_may_press(floor):
    ticket = await floor.ticket()
    with pytest.raises(PreviewGone, match="not a ticket of yours"):
        await floor.confirm(ticket, user=OTTO)
    with pytest.raises(PreviewGone):
        await floor.orders.cancel_preview(OTTO, ticket.token)
    assert await floor.orders.spec_of(OTTO, ticket.token) is None
    order = await floor.confirm(ticket)
    with pytest.raises(UnknownOrder):
        await floor.orders.get(OTTO, order.token)
    with pytest.raises(UnknownOrder):
        await floor.orders.cancel(OTTO, order.token)


async def test_a_ticket_ends_after_a_minute(floor):
    ticket = await floor.ticket()
    assert await floor.orders.ended(MARA, ticket.token) is PreviewState.OPEN
    floor.advance(61)
    with pytest.raises(PreviewGone, match="only good for a minute"):
        await floor.confirm(ticket)
    assert await floor.orders.ended(MARA, ticket.token) is PreviewState.EXPIRED


async def test_a_cancelled_ticket_makes_no_order(floor):
    ticket = await floor.ticket()
    assert await floor.orders.cancel_preview(MARA, ticket.token) is PreviewState.CANCELLED
    with pytest.raises(PreviewGone, match="cancelled"):
        await floor.confirm(ticket)
    used = await floor.ticket()
    await floor.confirm(used)
    assert await floor.orders.cancel_preview(MARA, used.token) is PreviewState.CONSUMED


async def test_cancel_and_confirm_at_once_have_one_winner(floor):
    for _ in range(10):
        ticket = await floor.ticket(limit="98.00", quantity=floor.presses + 1)
        ended, told = await asyncio.gather(
            floor.orders.cancel_preview(MARA, ticket.token), floor.confirm(ticket), return_exceptions=True
        )
        assert (ended is PreviewState.CANCELLED) == isinstance(told, PreviewGone)
        assert (ended is PreviewState.CONSUMED) == isinstance(told, Order)
        floor.clock.advance(30)
        floor.quote("SPY", "99.90", "100.00")


async def test_changes_replace_the_ticket(floor):
    ticket = await floor.ticket()
    bigger = await floor.orders.change_quantity(MARA, ticket.token, 20)
    market = await floor.orders.change_limit(MARA, bigger.token, None)
    assert market.spec == spec(20, None)
    assert await floor.orders.spec_of(MARA, market.token) == spec(20, None)
    for old in (ticket, bigger):
        with pytest.raises(PreviewGone, match="newer"):
            await floor.orders.change_quantity(MARA, old.token, 5)
    with pytest.raises(OrderRefused, match="1 to 10,000"):
        await floor.orders.change_quantity(MARA, market.token, 0)
    assert isinstance(await floor.confirm(market), Order)


async def test_the_same_order_again_wants_a_second_press(floor):
    await floor.buy()
    ticket = await floor.ticket()
    assert ["same order" in words for words in ticket.warnings] == [True]
    again = await floor.confirm(ticket)
    assert isinstance(again, Ticket)
    assert again.again
    assert await count(floor, "orders") == 1
    assert isinstance(await floor.confirm(again), Order)
    floor.advance(61)
    assert (await floor.ticket()).warnings == ()


async def test_an_unusually_large_order_wants_a_second_press(floor):
    for quantity in range(1, 6):
        await floor.buy(quantity)
    assert "usual order" in (await floor.ticket(30)).warnings[0]
    assert (await floor.ticket(29)).warnings == ()


async def test_guards_are_asked_again_at_the_press(floor):
    ticket = await floor.ticket()
    await floor.accounts.set_limits(Limits(MARA, max_order=Decimal(500)))
    with pytest.raises(OrderRefused, match="your own limit"):
        await floor.confirm(ticket)
    assert await count(floor, "orders") == 0
    assert await floor.orders.ended(MARA, ticket.token) is PreviewState.OPEN  # a smaller size can still be chosen


async def spend(there):
    for quantity in (242, 243, 244, 245):
        await there.buy(quantity)


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (lambda there: there.accounts.set_limits(Limits(MARA, max_order=Decimal(500))), "limit"),
        (lambda there: there.kill_switch.panic(MARA), "kill switch is on"),
        (lambda there: there.kill_switch.panic_everyone(by=1), "halted"),
        (spend, "buying power"),
    ],
    ids=["limits tightened", "own kill switch", "operator's kill switch", "money spent"],
)
async def test_what_another_process_did_after_the_ticket_counts_at_the_press(floor, database_url, happens, words):
    tickets = [await floor.ticket(quantity) for quantity in (240, 241)]
    async with floor_on(database_url, clock=floor.clock) as there:
        there.quote("SPY", "99.90", "100.00")
        there.presses = 100  # no interaction of the first process has these ids
        await happens(there)
    with pytest.raises(OrderRefused, match=words):
        await floor.confirm(tickets[0])
    assert await floor.orders.ended(MARA, tickets[1].token) is PreviewState.OPEN


async def test_eleven_orders_a_minute_are_one_too_many(floor):
    for quantity in range(1, 11):
        await floor.buy(quantity)
    with pytest.raises(OrderRefused, match="10 is the most"):
        await floor.ticket(11)
    floor.advance(61)
    await floor.ticket(11)


async def test_parallel_tickets_cannot_outrun_the_rate(floor):
    tickets = [await floor.ticket(quantity) for quantity in range(1, 16)]
    told = await asyncio.gather(*map(floor.confirm, tickets), return_exceptions=True)
    assert sum(isinstance(each, Order) for each in told) == 10
    assert sum(isinstance(each, OrderRefused) for each in told) == 5


async def test_parallel_tickets_cannot_outspend_the_account(floor):
    """Each may cost a quarter of the equity; the fifth has no money left."""
    tickets = [await floor.ticket(quantity, "100.00") for quantity in (246, 247, 248, 249, 250)]
    told = await asyncio.gather(*map(floor.confirm, tickets), return_exceptions=True)
    assert sum(isinstance(each, Order) for each in told) == 4
    assert ["buying power" in str(each) for each in told if not isinstance(each, Order)] == [True]


async def test_trading_with_oneself_is_refused(floor):
    await floor.buy(5)
    await floor.sell(5, "101.00")
    with pytest.raises(OrderRefused, match="open sell order"):
        await floor.ticket(3)


async def test_what_is_not_held_cannot_be_sold(floor):
    await floor.buy(5)
    with pytest.raises(OrderRefused, match="You can sell 5 SPY"):
        await floor.ticket(6, "99.90", side=Side.SELL)
    await floor.sell(4, "101.00")
    with pytest.raises(OrderRefused, match="You can sell 1 SPY"):
        await floor.ticket(2, "99.90", side=Side.SELL)


async def test_a_closed_market_takes_orders_that_can_wait(database_url):
    async with floor_on(database_url, clock=Clock(FRIDAY.replace(hour=23))) as floor:
        with pytest.raises(OrderRefused, match="opens <t:"):
            await floor.ticket(10, None)
        with pytest.raises(OrderRefused):
            await floor.ticket(10, "100.00", Tif.IOC)
        assert (await floor.buy()).state is OrderState.WORKING


async def test_a_stale_quote_refuses(floor):
    floor.clock.advance(150)
    floor.market._quotes._kept.clear()
    with pytest.raises(OrderRefused, match="2 minutes old"):
        await floor.ticket()


async def test_a_symbol_without_two_sides_is_refused(floor):
    floor.quote("VIX", "15.00", "15.10")
    floor.tape.quoted["VIX"] = replace(floor.tape.quoted["VIX"], bid=None, ask=None)
    with pytest.raises(OrderRefused, match="cannot be traded"):
        await floor.orders.preview(MARA, spec(symbol="VIX"))
    with pytest.raises(UnknownSymbol):
        await floor.orders.preview(MARA, spec(symbol="NOPE"))


async def test_each_person_has_an_account_of_their_own(floor):
    await floor.buy(5)
    await floor.buy(7, user=OTTO)
    mara, otto = await floor.portfolios.of(MARA), await floor.portfolios.of(OTTO)
    assert [portfolio.holdings[0].position.quantity for portfolio in (mara, otto)] == [5, 7]
    assert mara.account.id != otto.account.id
    opened = await asyncio.gather(*(floor.accounts.paper(99, floor.clock()) for _ in range(10)))
    assert len(set(opened)) == 1


async def test_profit_is_counted_at_the_market(floor):
    await floor.buy(10)
    floor.quote("SPY", "104.90", "105.00")
    (holding,) = (await floor.portfolios.of(MARA)).holdings
    assert (holding.value, holding.unrealised) == (1050, 50)
    floor.tape.quoted.clear()
    floor.market._quotes._kept.clear()
    (holding,) = (await floor.portfolios.of(MARA)).holdings
    assert (holding.value, holding.unrealised) == (None, None)


async def test_a_reset_opens_a_new_account_once_and_keeps_the_history(floor):
    order = await floor.buy(10)
    account, balance = await floor.portfolios.balance(MARA)
    assert balance.cash == 99_000
    old_ticket = await floor.ticket(3)
    opened = await asyncio.gather(*(floor.portfolios.reset_paper(MARA, account.id) for _ in range(5)))
    assert len({each.id for each in opened}) == 1
    assert opened[0].id != account.id
    portfolio = await floor.portfolios.of(MARA)
    assert (portfolio.account, portfolio.balance.cash, portfolio.holdings) == (opened[0], 100_000, ())
    assert (await floor.orders.list(MARA))[0].id == order.id
    with pytest.raises(PreviewGone, match="reset"):
        await floor.confirm(old_ticket)


async def test_a_reset_cancels_what_is_open_first(floor):
    order = await floor.buy(10, "98.00")
    account, _ = await floor.portfolios.balance(MARA)
    with pytest.raises(OrderRefused, match="being cancelled first"):
        await floor.portfolios.reset_paper(MARA, account.id)
    await floor.execution.follow()
    assert (await floor.again(order)).state is OrderState.CANCELED
    assert (await floor.portfolios.reset_paper(MARA, account.id)).id != account.id


async def test_open_orders_are_listed_first(floor):
    resting = await floor.buy(1, "98.00")
    for quantity in range(2, 6):
        await floor.buy(quantity)
    listed = await floor.orders.list(MARA, most=3)
    assert [order.spec.quantity for order in listed] == [1, 5, 4]
    assert listed[0].token == resting.token


async def test_limits_must_make_sense(floor):
    for wrong in (Limits(MARA, max_order=Decimal(0)), Limits(MARA, collar_bp=201), Limits(MARA, drift_bp=501)):
        with pytest.raises(UserError):
            await floor.accounts.set_limits(wrong)
    kept = Limits(MARA, Decimal(500), Decimal(900), 40, 20)
    await floor.accounts.set_limits(kept)
    assert await floor.accounts.get_limits(MARA) == kept
    assert await floor.accounts.get_limits(OTTO) == Limits(OTTO)


async def test_a_press_needs_no_clock_of_discord(floor):
    """A snowflake a little in our future is a press of now."""
    ticket = await floor.ticket()
    early = snowflake(floor.clock().replace(second=2), 1)
    assert isinstance(await floor.confirm(ticket, press=early), Order)


async def test_the_kill_switch_refuses_tickets_in_words(floor):
    ticket = await floor.ticket()
    assert (await floor.kill_switch.panic(MARA)).state is TradingState.REDUCING
    with pytest.raises(OrderRefused, match="kill switch"):
        await floor.confirm(ticket)
    await floor.ticket(user=OTTO)
    await floor.kill_switch.panic_everyone(by=1)
    with pytest.raises(OrderRefused, match="halted"):
        await floor.ticket(user=OTTO)
    assert await floor.kill_switch.resume(MARA) is TradingState.HALTED
    await floor.kill_switch.resume_everyone(by=1)
    assert await floor.kill_switch.state(MARA) is TradingState.ACTIVE
    assert isinstance(await floor.confirm(ticket), Order)
