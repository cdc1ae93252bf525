"""The way of a confirmed order to its broker and back: durable before it is sent, never sent twice on a guess.

An order is taken up by whoever finds it due (`look_at`), which moves that time ahead: a crash anywhere leaves an
order that becomes due again. A broker's silence is a third outcome, not a refusal. The states are in `order_states`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog

from db import accounts, audit, orders
from db.models import Notice, Urgency
from db.order_models import Account, Order, OrderState, Side, Spec, Tif, TradingState
from db.orders import SETTLE, Intent, Trail, settle_key
from db.pool import Connection, Database, DatabaseUnavailable
from services import jobs, notices
from services.brokers.base import Broker, NewOrder, Report, Word
from services.clock import Phase
from services.errors import BrokerError, BrokerRejected
from services.market import Market
from services.order_states import (
    AT_BROKER,
    ENOUGH_MISSES,
    MOVES,
    ON_THE_WAY,
    OPEN,
    S,
    Verdict,
    after_miss,
    believe,
    cancelling,
    moved,
)

SEND_S = 2.5
LEASE = timedelta(seconds=6)
"""Longer than a send can take, so that an order is in one pair of hands."""
SOON = timedelta(seconds=2)
OPEN_CHECK = timedelta(seconds=10)
SECOND_THOUGHT = timedelta(minutes=10)
MOST_DUE = 100
AT_ONCE = 4

_MISCOUNTED = "The broker's count of shares does not agree with its executions."

log = structlog.get_logger(__name__)


async def record(conn: Connection, before: Intent, after: Intent, now: datetime, detail: str = "") -> Intent:
    """Write a held order, and where its person sees a change, the next version with its audit entry and notice.

    All in the caller's transaction.
    """
    order = after.order
    if (before.order.state, before.order.filled) == (order.state, order.filled):
        await orders.save(conn, after)
        return after
    assert order.state in MOVES[before.order.state], f"{before.order.state} never becomes {order.state}"
    order = replace(order, version=order.version + 1, updated_at=now)
    after = replace(after, order=order)
    await orders.save(conn, after, trail_of(after, now, detail, corrects=before.order.state not in OPEN))
    return after


def trail_of(intent: Intent, now: datetime, detail: str, *, corrects: bool = False) -> Trail:
    """Return what a change of an order leaves behind; one that `corrects` undoes an end that its person was told."""
    order, facts = intent.order, order_json(intent.order)
    notice = Notice(
        urgency=Urgency.P0,
        kind="order.correction" if corrects else "order",
        key=f"{order.id}:{order.state}:{order.version}",
        place=intent.place,
        payload=facts,
        user_id=order.user_id,
        subject=order.token,
    )
    return Trail(now, facts | {"detail": detail} if detail else facts, notice)


async def enqueue_settle(conn: Connection, order_id: int) -> None:
    """Have an order brought forward after the caller's transaction."""
    await jobs.enqueue(conn, SETTLE, {"order_id": order_id}, settle_key(order_id))


def order_json(order: Order) -> dict[str, Any]:
    """Return an order as JSON, money as strings."""
    flat = {name: getattr(part, name) for part in (order, order.spec) for name in part.__dataclass_fields__}
    del flat["spec"]
    return {name: str(value) if isinstance(value, Decimal | datetime) else value for name, value in flat.items()}


def order_of(payload: Mapping[str, Any]) -> Order:
    """Return the order that `order_json` made."""
    p = payload
    limit = None if p["limit"] is None else Decimal(p["limit"])
    return Order(
        id=p["id"],
        token=p["token"],
        user_id=p["user_id"],
        account_id=p["account_id"],
        client_order_id=p["client_order_id"],
        spec=Spec(p["symbol"], Side(p["side"]), p["quantity"], limit, Tif(p["tif"])),
        worst=Decimal(p["worst"]),
        state=OrderState(p["state"]),
        filled=p["filled"],
        cost=Decimal(p["cost"]),
        version=p["version"],
        sends=p["sends"],
        reason=p["reason"],
        created_at=datetime.fromisoformat(p["created_at"]),
        updated_at=datetime.fromisoformat(p["updated_at"]),
        label=p["label"],
        mode=p["mode"],
    )


class Execution:
    """Brings orders to their brokers and the brokers' words back; any number of these may run at once."""

    def __init__(
        self,
        database: Database,
        market: Market,
        brokers: Mapping[str, Broker],
        *,
        now: Callable[[], datetime],
        crash_point: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._market = market
        self._brokers = brokers
        self._now = now
        self._reached = crash_point

    async def settle(self, order_id: int) -> None:
        """Do for one order whatever is due; safe at any time, anywhere at once. Raises DatabaseUnavailable."""
        while intent := await self._take(order_id):
            self._reached("taken")
            await self._advance(intent)

    async def reconcile(self) -> int:
        """Settle every order that is due, however it came to be; returns how many. Raises DatabaseUnavailable."""
        async with self._database.acquire() as conn:
            due = await orders.list_due(conn, self._now(), MOST_DUE)
        for some in (due[i : i + AT_ONCE] for i in range(0, len(due), AT_ONCE)):
            outcomes = await asyncio.gather(*map(self.settle, some), return_exceptions=True)
            for order_id, outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, DatabaseUnavailable):
                    raise outcome
                if outcome is not None:  # an order that cannot be settled must not keep the others waiting
                    log.error("order not settled", order=order_id, exc_info=outcome)
        return len(due)

    async def follow(self) -> None:
        """Ask the brokers for news, and settle what is due. Raises DatabaseUnavailable."""
        for broker in self._brokers.values():
            try:
                changed = await broker.changed()
            except BrokerError as error:
                log.warning("broker away", broker=broker.name, error=str(error))
                continue
            if changed:
                async with self._database.transaction() as conn:
                    await orders.wake(conn, changed, self._now())
        await self.reconcile()

    async def _take(self, order_id: int) -> Intent | None:
        """Take up an order that is due, with the durable step that comes before speaking to its broker."""
        async with self._database.transaction() as conn:
            await accounts.pass_switch(conn)  # first the switch, then the order, as the kill switch itself does
            intent = await orders.lock_order(conn, order_id)
            now = self._now()
            fresh = intent.order.state is S.CONFIRMED  # due at once, whatever the clock of the process that made it
            if intent.look_at is None or (intent.look_at > now and not fresh):
                return None
            after = await self._prepared(conn, intent, now)
            after = await record(conn, intent, after, now)
            self._reached("before the commit of a take")
        return after if after.look_at else None

    async def _prepared(self, conn: Connection, intent: Intent, now: datetime) -> Intent:
        state, leased = intent.order.state, now + LEASE
        if intent.cancel_asked and state in {S.CONFIRMED, S.WORKING, S.PARTIAL}:
            intent = cancelling(intent, leased)
            return intent if intent.order.state is S.CANCELED else replace(intent, look_at=leased)
        if state is S.CONFIRMED:
            refusal = await self._refusal(conn, intent, now)
            return moved(intent, S.DENIED, None, refusal) if refusal else _sent(intent, now)
        if state is S.SUBMITTING:  # whoever sent it never came back
            return moved(intent, S.UNKNOWN, leased)
        return replace(intent, look_at=leased)

    async def _refusal(self, conn: Connection, intent: Intent, now: datetime) -> str | None:
        if now >= intent.deadline:
            return "It could not be sent within 30 seconds of the press, so it was not sent."
        trading = await accounts.get_trading_state(conn, intent.order.user_id, intent.broker)
        if trading is TradingState.HALTED or (trading is TradingState.REDUCING and intent.order.spec.side is Side.BUY):
            return "The kill switch was turned before it was sent."
        return None

    async def _advance(self, intent: Intent) -> None:
        if intent.order.state is S.SUBMITTING:
            await self._send(intent)
        elif intent.order.state is S.PENDING_CANCEL:
            await self._ask(intent, self._broker(intent).cancel)
        else:
            await self._ask(intent, self._broker(intent).lookup)

    async def _send(self, intent: Intent) -> None:
        """The one path to `submit`: `sends` is committed, and nothing here or below repeats it."""
        order = intent.order
        try:
            async with asyncio.timeout(SEND_S):
                report = await self._broker(intent).submit(intent.account, _new_order(order))
        except BrokerRejected as refusal:
            self._reached("refused")
            await self._settle_send(intent, str(refusal))
        except (BrokerError, TimeoutError) as doubt:
            log.warning("order in doubt", order=order.id, error=repr(doubt))
            self._reached("in doubt")
            await self._settle_send(intent, None)
        else:
            self._reached("answered")
            await self._apply(order.id, report)

    async def _ask(self, intent: Intent, question: Callable[[Account, str], Awaitable[Report | None]]) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                report = await question(intent.account, intent.order.client_order_id)
        except (BrokerError, TimeoutError) as error:
            log.warning("broker away", order=intent.order.id, error=repr(error))
            await self._later(intent)
            return
        self._reached("asked")
        if report:
            await self._apply(intent.order.id, report)
        else:
            await self._missed(intent)

    async def _settle_send(self, sent: Intent, refusal: str | None) -> None:
        """Record a refusal or a doubt, unless better knowledge has come meanwhile."""
        async with self._database.transaction() as conn:
            intent = await orders.lock_order(conn, sent.order.id)
            now = self._now()
            if intent.order.state not in ON_THE_WAY or intent.order.sends != sent.order.sends:
                return
            # a refusal is final only as the answer to a first send: an earlier one may have arrived
            if refusal is not None and intent.order.sends == 1:
                after = moved(intent, S.REJECTED, None, refusal)
            else:
                # ask at once after the first send; a broker that stays away is not hammered
                after = moved(intent, S.UNKNOWN, now if intent.order.sends == 1 else now + SOON)
            await record(conn, intent, after, now, refusal or "")
            self._reached("before the commit of an outcome")
        self._reached("outcome committed")

    async def _apply(self, order_id: int, report: Report) -> None:
        """Take over a broker's word on an order, whatever we believed before."""
        async with self._database.transaction() as conn:
            intent = await orders.lock_order(conn, order_id)
            now = self._now()
            wrong = _mismatch(intent.order, report)
            if wrong:
                await self._stop(conn, intent, moved(intent, S.NEEDS_REVIEW, None, wrong), wrong, now)
                return
            filled, cost = await orders.add_fills(conn, intent.order, report.fills)
            state = believe(intent.order.state, intent.order.spec.quantity, filled, report.word)
            order = replace(intent.order, state=state, filled=filled, cost=cost, reason=report.reason)
            after = replace(intent, order=order, look_at=_next_look(state, now), misses=0)
            if intent.cancel_asked:
                after = cancelling(after, now)
            if filled > order.spec.quantity or filled < report.filled:
                what = "More was filled than ordered." if filled > order.spec.quantity else _MISCOUNTED
                await self._stop(conn, intent, after, what, now)
            else:
                await record(conn, intent, after, now)
            self._reached("before the commit of a report")
        self._reached("report committed")

    async def _missed(self, asked: Intent) -> None:
        """Record that the broker does not know an order, and send it again where that cannot double it."""
        async with self._database.transaction() as conn:
            await accounts.pass_switch(conn)
            intent = await orders.lock_order(conn, asked.order.id)
            now = self._now()
            if (intent.order.state, intent.order.sends) != (asked.order.state, asked.order.sends):
                return
            after = await self._after_miss(conn, intent, now)
            await record(conn, intent, after, now)
            self._reached("before the commit of a miss")
        self._reached("miss committed")
        if after.order.state is S.SUBMITTING:
            await self._send(after)

    async def _after_miss(self, conn: Connection, intent: Intent, now: datetime) -> Intent:
        state, missed = intent.order.state, replace(intent, misses=intent.misses + 1)
        if state is S.VOID:
            return replace(missed, look_at=None)
        if state is not S.UNKNOWN:  # it was there
            if missed.misses < ENOUGH_MISSES:
                return replace(missed, look_at=now + SOON)
            return moved(missed, S.NEEDS_REVIEW, None, "The broker does not know this order any more.")
        broker = self._broker(intent)
        may_send = not intent.cancel_asked and self._waits_or_trades(intent.order.spec)
        may_send = may_send and await self._refusal(conn, intent, now) is None
        verdict = after_miss(intent, keyed=broker.keyed, quiet=broker.quiet, now=now, may_send=may_send)
        if verdict is Verdict.SEND_AGAIN:
            return _sent(intent, now)
        if verdict is Verdict.GIVE_UP:
            wish = "It was cancelled, and it" if intent.cancel_asked else "It"
            return moved(missed, S.VOID, now + SECOND_THOUGHT, f"{wish} never arrived at the broker.")
        return replace(missed, look_at=now + SOON)

    async def _later(self, intent: Intent) -> None:
        async with self._database.transaction() as conn:
            held = await orders.lock_order(conn, intent.order.id)
            if held.look_at == intent.look_at:
                await orders.save(conn, replace(held, look_at=self._now() + SOON))

    async def _stop(self, conn: Connection, before: Intent, after: Intent, what: str, now: datetime) -> None:
        """Record what must not happen, and let the person's account do nothing but cancel until somebody has looked."""
        order = after.order
        log.error("incident", order=order.id, what=what)
        await accounts.set_trading_state(conn, "user", str(order.user_id), TradingState.HALTED, what, 0, now)
        await audit.add(conn, order.user_id, now, "incident", {"what": what}, order.id)
        after = await record(conn, before, after, now, what)
        incident = Notice(
            urgency=Urgency.P0,
            kind="incident",
            key=f"{order.id}:{after.order.version}",
            place=after.place,
            payload={"order": order_json(after.order), "what": what},
            user_id=order.user_id,
        )
        await notices.write(conn, incident)

    def _waits_or_trades(self, spec: Spec) -> bool:
        waits = spec.limit is not None and spec.tif is not Tif.IOC
        return waits or self._market.calendar.at(self._market.now()).phase is Phase.OPEN

    def _broker(self, intent: Intent) -> Broker:
        return self._brokers[intent.broker]


def _sent(intent: Intent, now: datetime) -> Intent:
    order = replace(intent.order, sends=intent.order.sends + 1)
    return moved(replace(intent, order=order, sent_at=now, misses=0), S.SUBMITTING, now + LEASE)


def _next_look(state: OrderState, now: datetime) -> datetime | None:
    if state is S.PENDING_CANCEL:
        return now + SOON
    return now + OPEN_CHECK if state in AT_BROKER else None


def _new_order(order: Order) -> NewOrder:
    spec = order.spec
    return NewOrder(order.client_order_id, spec.symbol, spec.side, spec.quantity, order.worst, spec.tif)


def _mismatch(order: Order, report: Report) -> str | None:
    if report.order != _new_order(order):
        return "The broker has another order under this order's id."
    short = report.word is Word.FILLED and report.filled < order.spec.quantity
    return _MISCOUNTED if short or report.filled != sum(fill.quantity for fill in report.fills) else None
