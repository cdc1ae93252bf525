import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from trading import CALENDAR, FRIDAY, MARA, Clock, floor_on

from db.models import Place
from db.order_models import Fill, OrderState, Side, Tif, TradingState
from services import execution
from services.brokers.base import Report, Word
from services.errors import BrokerRejected, BrokerUnavailable, OutcomeUnknown, UserError
from services.execution import order_of

S = OrderState


class Moody:
    """The paper broker, with what a test puts in front of it."""

    name, keyed, quiet = "paper", True, timedelta(seconds=30)

    def __init__(self, venue):
        self.venue = venue
        self.on_submit = self.on_lookup = None
        self.sends = []

    async def submit(self, account, order):
        self.sends.append(order)
        return await (self.on_submit or self.venue.submit)(account, order)

    async def lookup(self, account, client_order_id):
        return await (self.on_lookup or self.venue.lookup)(account, client_order_id)

    def __getattr__(self, name):
        return getattr(self.venue, name)


@pytest.fixture
async def floor(database_url):
    async with floor_on(database_url, broker=Moody) as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(execution, "SEND_S", 0.05)


async def told(floor) -> list:
    """What the person was told, oldest first."""
    async with floor.database.acquire() as conn:
        rows = await conn.fetch("SELECT kind, payload::json ->> 'state' AS state FROM app.notices ORDER BY id")
    return [(row["kind"], row["state"]) for row in rows]


async def sold_out(*_):
    raise BrokerRejected("not today")


async def away(*_):
    raise BrokerUnavailable("connection refused")


async def nothing(*_):
    return None


async def test_fills_in_parts_are_told_one_by_one(floor):
    floor.quote("SPY", "99.90", "100.00", 4)
    order = await floor.buy(10)
    assert (order.state, order.filled, order.average_price) == (S.PARTIAL, 4, 100)
    await floor.execution.follow()
    assert (await floor.again(order)).filled == 4  # the same quote cannot be taken twice
    floor.quote("SPY", "99.80", "99.90", 4)
    await floor.execution.follow()
    floor.quote("SPY", "99.70", "99.80", 400)
    await floor.execution.follow()
    order = await floor.again(order)
    assert (order.state, order.filled) == (S.FILLED, 10)
    assert order.cost == 4 * Decimal("100.00") + 4 * Decimal("99.90") + 2 * Decimal("99.80")
    states = ["confirmed", "submitting", "partial", "partial", "filled"]
    assert await told(floor) == [("order", state) for state in states]


async def test_a_limit_that_is_not_reached_rests_and_fills_later(floor):
    order = await floor.buy(10, "98.00")
    assert order.state is S.WORKING
    _, balance = await floor.portfolios.balance(MARA)
    assert (balance.cash, balance.reserved, balance.buying_power) == (100_000, 980, 99_020)
    floor.advance(3600)
    floor.quote("SPY", "97.50", "97.60")
    await floor.execution.follow()
    order = await floor.again(order)
    assert (order.state, order.average_price) == (S.FILLED, Decimal("97.60"))


async def test_ioc_takes_what_is_there_and_no_more(floor):
    floor.quote("SPY", "99.90", "100.00", 4)
    order = await floor.buy(10, "100.00", Tif.IOC)
    assert (order.state, order.filled) == (S.CANCELED, 4)
    missed = await floor.buy(5, "99.95", Tif.IOC)
    assert (missed.state, missed.filled) == (S.CANCELED, 0)


async def test_a_day_order_ends_with_the_session_and_gtc_stays(floor):
    day, gtc = await floor.buy(10, "98.00"), await floor.buy(5, "98.00", Tif.GTC)
    floor.clock.now = CALENDAR.at(FRIDAY).closes_at
    await floor.execution.follow()
    assert ((await floor.again(day)).state, (await floor.again(gtc)).state) == (S.EXPIRED, S.WORKING)
    floor.clock.now = CALENDAR.at(FRIDAY + timedelta(days=2)).opens_at + timedelta(minutes=5)
    floor.quote("SPY", "97.00", "97.10")
    await floor.execution.follow()
    assert (await floor.again(gtc)).average_price == Decimal("97.10")


async def test_an_order_in_the_evening_waits_for_the_open(database_url):
    clock = Clock(FRIDAY.replace(hour=23))
    async with floor_on(database_url, clock=clock) as floor:
        order = await floor.buy(10)
        assert order.state is S.WORKING
        clock.now = CALENDAR.at(clock()).opens_at + timedelta(seconds=1)
        floor.quote("SPY", "99.90", "100.00")
        await floor.execution.follow()
        assert (await floor.again(order)).state is S.FILLED


async def test_cancelling_a_resting_order(floor):
    order = await floor.buy(10, "98.00")
    elsewhere = Place(channel_id=9, token="other")
    assert (await floor.orders.cancel(MARA, order.token, elsewhere)).state is S.PENDING_CANCEL
    await floor.execution.settle(order.id)
    assert (await floor.again(order)).state is S.CANCELED
    assert (await floor.orders.cancel(MARA, order.token)).state is S.CANCELED
    async with floor.database.acquire() as conn:
        places = await conn.fetch("SELECT place ->> 'channel_id' AS channel FROM app.notices ORDER BY id")
    assert [row["channel"] for row in places] == ["7", "7", "7", "9", "9"]


async def test_a_fill_before_the_cancel_wins(floor):
    order = await floor.buy(10, "98.00")
    floor.quote("SPY", "97.00", "97.10")
    await floor.broker.changed()  # the venue has filled it, and we have not heard yet
    await floor.orders.cancel(MARA, order.token)
    await floor.execution.settle(order.id)
    assert (await floor.again(order)).state is S.FILLED


async def test_cancelling_before_it_is_sent_sends_nothing(floor):
    order = await floor.confirm(await floor.ticket())
    assert (await floor.orders.cancel(MARA, order.token)).state is S.CANCELED
    await floor.execution.settle(order.id)
    assert floor.broker.sends == []


async def test_twenty_hands_send_once(floor):
    order = await floor.confirm(await floor.ticket())
    await asyncio.gather(*(floor.execution.settle(order.id) for _ in range(20)))
    assert len(floor.broker.sends) == 1


async def test_a_worker_whose_clock_is_behind_sends_at_once(floor):
    order = await floor.confirm(await floor.ticket())
    floor.clock.advance(-3)
    await floor.execution.settle(order.id)
    assert (await floor.again(order)).state is S.FILLED


async def test_a_lost_job_is_found_by_the_reconciler(floor):
    order = await floor.confirm(await floor.ticket())
    assert await floor.execution.reconcile() == 1
    assert (await floor.again(order)).state is S.FILLED
    assert await floor.execution.reconcile() == 0


async def test_what_could_not_be_sent_in_time_is_not_sent_at_all(floor):
    order = await floor.confirm(await floor.ticket())
    floor.advance(31)
    await floor.execution.reconcile()
    order = await floor.again(order)
    assert (order.state, floor.broker.sends) == (S.DENIED, [])
    assert "was not sent" in order.reason


async def test_a_refusal_of_the_first_send_is_final(floor):
    floor.broker.on_submit = sold_out
    order = await floor.buy(10)
    assert (order.state, order.reason) == (S.REJECTED, "not today")
    floor.advance(60)
    assert await floor.execution.reconcile() == 0


async def test_a_refusal_of_a_later_send_proves_nothing(floor):
    async def swallow(account, order):
        await floor.broker.venue.submit(account, order)
        floor.broker.on_submit, floor.broker.on_lookup = sold_out, nothing
        raise OutcomeUnknown("reset")

    floor.broker.on_submit = swallow
    order = await floor.confirm(await floor.ticket())
    await floor.execution.settle(order.id)
    assert ((await floor.again(order)).state, len(floor.broker.sends)) == (S.UNKNOWN, 2)
    floor.broker.on_lookup = None
    floor.advance(2)
    await floor.execution.reconcile()
    assert (await floor.again(order)).state is S.FILLED
    assert {state for _, state in await told(floor)} == {"confirmed", "submitting", "unknown", "filled"}


async def test_a_hanging_broker_is_a_doubt_within_three_seconds(floor, impatient):
    async def hang(account, order):
        await floor.broker.venue.submit(account, order)
        await asyncio.sleep(9)

    floor.broker.on_submit, floor.broker.on_lookup = hang, away
    order = await floor.buy(10)
    assert order.state is S.UNKNOWN
    with pytest.raises(UserError, match="not confirmed yet"):
        await floor.ticket(3)  # the same account, symbol and side
    floor.broker.on_lookup = None
    floor.advance(2)
    await floor.execution.reconcile()
    assert (await floor.again(order)).state is S.FILLED


async def test_an_order_that_never_arrived_is_void_after_the_quiet_time(floor):
    floor.broker.on_submit = away
    order = await floor.confirm(await floor.ticket())
    for _ in range(35):
        await floor.execution.reconcile()
        floor.advance(2)
        if (await floor.again(order)).state is S.VOID:
            break
    order = await floor.again(order)
    assert (order.state, order.filled) == (S.VOID, 0)
    sent = {order.client_order_id for order in floor.broker.sends}
    assert len(sent) == 1 < len(floor.broker.sends)
    async with floor.database.acquire() as conn:
        last = await conn.fetchval("SELECT sent_at FROM app.orders")
    assert order.updated_at - last >= floor.broker.quiet


async def test_an_order_that_turns_up_after_all_is_corrected(floor):
    floor.broker.on_submit = away
    order = await floor.confirm(await floor.ticket())
    for _ in range(35):
        await floor.execution.reconcile()
        floor.advance(2)
    assert (await floor.again(order)).state is S.VOID
    await floor.broker.venue.submit((await floor.ticket(3)).account, floor.broker.sends[0])
    floor.advance(600)
    await floor.execution.reconcile()
    assert (await floor.again(order)).state is S.FILLED
    assert (await told(floor))[-1] == ("order.correction", "filled")


async def test_a_broker_without_keys_is_never_sent_to_twice(floor, monkeypatch):
    monkeypatch.setattr(floor.broker.__class__, "keyed", False)
    floor.broker.on_submit = away
    order = await floor.confirm(await floor.ticket())
    for _ in range(35):
        await floor.execution.reconcile()
        floor.advance(2)
    assert ((await floor.again(order)).state, len(floor.broker.sends)) == (S.VOID, 1)


async def test_another_order_under_our_id_stops_the_account(floor):
    async def other(account, order):
        return await floor.broker.venue.submit(account, replace(order, quantity=3))

    floor.broker.on_submit = other
    order = await floor.buy(10)
    assert order.state is S.NEEDS_REVIEW
    assert await floor.kill_switch.state(MARA) is TradingState.HALTED
    assert ("incident", None) in await told(floor)
    assert await floor.kill_switch.resume(MARA) is TradingState.HALTED  # not one's own to lift
    assert (await floor.kill_switch.panic(MARA)).state is TradingState.HALTED  # nor to soften
    assert await floor.kill_switch.resume(MARA) is TradingState.HALTED
    await floor.kill_switch.resume_everyone(1, MARA)
    assert await floor.kill_switch.state(MARA) is TradingState.ACTIVE


@pytest.mark.parametrize(
    ("word", "filled", "shares", "state"),
    [
        (Word.WORKING, 5, 4, S.NEEDS_REVIEW),  # its count and its executions disagree
        (Word.FILLED, 4, 4, S.NEEDS_REVIEW),  # filled, yet not
        (Word.FILLED, 11, 11, S.FILLED),  # more than ordered: true, and an incident
    ],
)
async def test_a_broker_that_contradicts_itself_is_an_incident(floor, word, filled, shares, state):
    async def contradict(_account, order):
        return Report(order, word, filled, [Fill("x-1", shares, Decimal(100), FRIDAY)])

    floor.broker.on_submit = contradict
    order = await floor.buy(10)
    assert order.state is state
    assert await floor.kill_switch.state(MARA) is TradingState.HALTED


async def test_an_execution_is_counted_once_however_often_it_is_told(floor):
    reports = []

    async def remember(account, order):
        reports.append(await floor.broker.venue.submit(account, order))
        return reports[0]

    floor.broker.on_submit = remember
    order = await floor.buy(10)
    await asyncio.gather(*(floor.execution._apply(order.id, reports[0]) for _ in range(10)))
    again = await floor.again(order)
    assert (again.filled, again.cost, again.version) == (10, 1000, order.version)


async def test_an_older_report_does_not_undo_a_newer_one(floor):
    floor.quote("SPY", "99.90", "100.00", 4)
    order = await floor.buy(10)
    older = await floor.broker.lookup((await floor.ticket(3)).account, order.client_order_id)
    floor.quote("SPY", "99.90", "100.00", 400)
    await floor.execution.follow()
    await floor.execution._apply(order.id, older)
    assert ((await floor.again(order)).state, (await floor.again(order)).filled) == (S.FILLED, 10)


async def test_an_order_that_the_broker_forgets_needs_a_person(floor):
    order = await floor.buy(10, "98.00")
    floor.broker.on_lookup = nothing
    for _ in range(6):
        floor.advance(10)
        await floor.execution.reconcile()
    assert (await floor.again(order)).state is S.NEEDS_REVIEW


async def test_panic_stops_what_is_on_its_way_and_what_rests(floor):
    resting = await floor.buy(10, "98.00")
    waiting = await floor.confirm(await floor.ticket(5))
    done = await floor.kill_switch.panic(MARA)
    assert (done.state, done.cancelled) == (TradingState.REDUCING, 2)
    await floor.execution.reconcile()
    assert [(await floor.again(order)).state for order in (resting, waiting)] == [S.CANCELED, S.CANCELED]
    assert len(floor.broker.sends) == 1


async def test_panic_reaches_an_order_that_is_being_sent(floor):
    sending, go = asyncio.Event(), asyncio.Event()

    async def slow(account, order):
        sending.set()
        await go.wait()
        return await floor.broker.venue.submit(account, order)

    floor.broker.on_submit = slow
    order = await floor.confirm(await floor.ticket(10, "98.00"))
    settling = asyncio.create_task(floor.execution.settle(order.id))
    await sending.wait()
    assert (await floor.kill_switch.panic(MARA)).cancelled == 1
    go.set()
    await settling
    assert (await floor.again(order)).state is S.CANCELED


async def test_confirm_and_panic_at_once_leave_nothing_open(floor):
    """Whichever is first: no order stays at the broker after the kill switch."""
    for quantity in range(1, 8):
        ticket = await floor.ticket(quantity, "98.00")
        told, _ = await asyncio.gather(floor.confirm(ticket), floor.kill_switch.panic(MARA), return_exceptions=True)
        await floor.execution.reconcile()
        assert isinstance(told, UserError) or (await floor.again(told)).state in {S.CANCELED, S.DENIED}
        await floor.kill_switch.resume(MARA)


async def test_the_operator_stops_everybody(floor):
    orders = [await floor.buy(10, "98.00", user=user) for user in (11, 12, 13)]
    done = await floor.kill_switch.panic_everyone(by=1)
    assert done.cancelled == 3
    await floor.execution.reconcile()
    assert {(await floor.again(order)).state for order in orders} == {S.CANCELED}


async def test_reducing_lets_sales_through(floor):
    await floor.buy(10)
    await floor.kill_switch.panic(MARA)
    assert (await floor.sell(10)).state is S.FILLED


async def test_a_feed_that_is_away_leaves_orders_resting(floor):
    order = await floor.confirm(await floor.ticket())
    floor.tape.quoted.clear()
    floor.market._quotes._kept.clear()
    await floor.execution.settle(order.id)
    assert (await floor.again(order)).state is S.WORKING
    floor.quote("SPY", "99.90", "100.00")
    await floor.execution.follow()
    assert (await floor.again(order)).state is S.FILLED


async def test_an_order_that_cannot_be_settled_does_not_hold_up_the_others(floor):
    broken, healthy = await floor.confirm(await floor.ticket(5)), await floor.confirm(await floor.ticket(6))

    async def stumble(account, order):
        if order.quantity == 5:
            raise KeyError("a bug")
        return await floor.broker.venue.submit(account, order)

    floor.broker.on_submit = stumble
    await floor.execution.reconcile()
    assert (await floor.again(healthy)).state is S.FILLED
    assert (await floor.again(broken)).state is S.SUBMITTING
    floor.broker.on_submit = None
    floor.advance(7)
    await floor.execution.reconcile()  # nobody knew whether it had arrived
    assert (await floor.again(broken)).state is S.FILLED


async def test_two_workers_following_at_once_fill_once(floor, database_url):
    floor.quote("SPY", "99.90", "100.00", 3)
    async with floor_on(database_url, clock=floor.clock, tape=floor.tape) as other:
        orders = [await floor.buy(quantity) for quantity in (10, 11, 12)]
        for _ in range(5):
            floor.quote("SPY", "99.90", "100.00", 3)
            other.market._quotes._kept.clear()
            await asyncio.gather(*(each.execution.follow() for each in (floor, other) * 3))
        for order in orders:
            assert ((await floor.again(order)).state, (await floor.again(order)).cost) == (
                S.FILLED,
                100 * order.spec.quantity,
            )


async def test_a_notice_carries_the_whole_order(floor):
    order = await floor.buy(10)
    async with floor.database.acquire() as conn:
        payload = await conn.fetchval("SELECT payload FROM app.notices ORDER BY id DESC LIMIT 1")
    assert order_of(json.loads(payload)) == order


async def test_sell_side_of_the_book(floor):
    await floor.buy(10)
    floor.quote("SPY", "101.00", "101.10", 4)
    order = await floor.sell(10, None)
    assert (order.spec.side, order.state, order.filled, order.average_price) == (Side.SELL, S.PARTIAL, 4, 101)
    assert order.worst == Decimal("100.50")
    _, balance = await floor.portfolios.balance(MARA)
    assert (balance.realised, balance.cash, balance.at_cost) == (4, 99_404, 600)
