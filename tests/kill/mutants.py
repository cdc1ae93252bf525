"""The order path with one bug each, which the harness must catch: its permanent negative controls."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

from harness import STORIES, Scenario

from db import orders as order_rows
from db import previews
from db.order_models import OrderState
from db.pool import connect
from db.previews import Placing
from services import execution, notices
from services.brokers.base import NewOrder
from services.execution import Execution
from services.order_states import Verdict, moved
from services.orders import Orders

FILLED, MARKET, IOC, CANCELLED, IN_PARTS = STORIES
Patch = Callable[[str], contextlib.AbstractContextManager[object]]


@dataclass(frozen=True)
class Mutant:
    """A bug, and scenarios of which one must fail."""

    name: str
    bug: Patch
    scenarios: tuple[Scenario, ...]


def replacing(owner: object, name: str, value: object) -> Patch:
    return lambda _url: patch.object(owner, name, value)


_PLACE = previews.place_order
_LINE = Orders._line
_OPEN = "UPDATE app.previews SET state = $3 WHERE user_id = $1 AND token = $2"


async def _whoever_comes(conn, intent, trail, _interaction_id, stamp) -> Placing:
    await conn.execute(_OPEN, intent.order.user_id, intent.order.token, "open")
    return await _PLACE(conn, intent, trail, secrets.randbits(60), stamp)


@contextmanager
def _consumed_apart(url: str) -> Iterator[None]:
    async def consumed(self, spec):
        own = await connect(url, role="pulse_service")
        try:
            await own.execute("UPDATE app.previews SET state = 'consumed' WHERE state = 'open'")
        finally:
            await own.close()
        return await _LINE(self, spec)

    async def place(conn, intent, trail, interaction_id, stamp):
        await conn.execute(_OPEN, intent.order.user_id, intent.order.token, "open")
        return await _PLACE(conn, intent, trail, interaction_id, stamp)

    with patch.object(Orders, "_line", consumed), patch.object(previews, "place_order", place):
        yield


@contextmanager
def _sent_before_it_is_written(_url: str) -> Iterator[None]:
    prepared = Execution._prepared

    async def early(self, conn, intent, now):
        after = await prepared(self, conn, intent, now)
        if after.order.state is OrderState.SUBMITTING:
            await self._broker(after).submit(after.account, execution._new_order(after.order))
        return after

    with patch.object(Execution, "_prepared", early):
        yield


def _new_id_each_time(order) -> NewOrder:
    new = _NEW_ORDER(order)
    return new if order.sends <= 1 else replace(new, client_order_id=f"pe-{secrets.token_hex(8)}")


_NEW_ORDER = execution._new_order
_SENT = execution._sent
_ADD_FILLS = order_rows.add_fills
_SAVE = order_rows.save
_RECORD = execution.record


@contextmanager
def _new_ids(_url: str) -> Iterator[None]:
    # its comparison with the broker's answer is blinded too, as such a bug would do
    with (
        patch.object(execution, "_new_order", _new_id_each_time),
        patch.object(execution, "_mismatch", lambda *_: None),
    ):
        yield


async def _refusal_is_final(self, sent, refusal) -> None:
    async with self._database.transaction() as conn:
        intent = await order_rows.lock_order(conn, sent.order.id)
        state = OrderState.REJECTED if refusal else OrderState.UNKNOWN
        await execution.record(
            conn, intent, moved(intent, state, None if refusal else self._now(), refusal), self._now()
        )


async def _doubt_is_a_refusal(self, sent, _refusal) -> None:
    await _refusal_is_final(self, sent, "no answer")


async def _fills_counted_again(conn, order, fills):
    return await _ADD_FILLS(conn, order, [replace(fill, execution_id=secrets.token_hex(8)) for fill in fills])


@contextmanager
def told_later(url: str) -> Iterator[None]:
    tasks = set()

    async def later(conn, intent, trail=None):
        async def tell():
            await asyncio.sleep(0.01)
            own = await connect(url, role="pulse_service")
            try:
                await notices.write(own, trail.notice)
            finally:
                await own.close()

        await _SAVE(conn, intent)
        if trail:
            tasks.add(asyncio.create_task(tell()))

    with patch.object(order_rows, "save", later):
        yield


def _not_found_is_the_end(*_args, **_more) -> Verdict:
    return Verdict.GIVE_UP


async def _take_without_looking_back(self, order_id):
    """A take whose send leaves nothing to look after, yet sends."""
    async with self._database.transaction() as conn:
        intent = await order_rows.lock_order(conn, order_id)
        now = self._now()
        if intent.look_at is None or intent.look_at > now:
            return None
        after = await self._prepared(conn, intent, now)
        forgotten = after.order.state is OrderState.SUBMITTING
        after = await execution.record(conn, intent, replace(after, look_at=None) if forgotten else after, now)
    return after if after.look_at or forgotten else None


def _uncounted(intent, now):
    sent = _SENT(intent, now)
    return replace(sent, order=replace(sent.order, sends=1))


@contextmanager
def _wish_forgotten(_url: str) -> Iterator[None]:
    lock = order_rows.lock_order

    async def forgetful(conn, order_id):
        return replace(await lock(conn, order_id), cancel_asked=False)

    with patch.object(order_rows, "lock_order", forgetful):
        yield


async def _same_version(conn, before, after, now, detail=""):
    if before and before.order.version > 1:
        before = replace(before, order=replace(before.order, version=1))
        after = replace(after, order=replace(after.order, version=1))
    return await _RECORD(conn, before, after, now, detail)


def _killed(point: str, *nths: int, faults: tuple[str, ...] = (), story=FILLED) -> tuple[Scenario, ...]:
    return tuple(Scenario(story, faults, point, nth) for nth in nths or (0,))


def _faulty(*pairs: tuple[str, ...]) -> tuple[Scenario, ...]:
    return tuple(Scenario(FILLED, pair) for pair in pairs)


MUTANTS = (
    Mutant(
        "any press makes an order",
        replacing(previews, "place_order", _whoever_comes),
        _killed("before an order is placed") * 8,  # two presses must meet
    ),
    Mutant("the ticket is consumed in its own transaction", _consumed_apart, _killed("before an order is placed")),
    Mutant("sent before it is written down", _sent_before_it_is_written, _killed("before the commit of a take")),
    Mutant("a new id for each send", _new_ids, _faulty(("invisible",), ("late",), ("after",))),
    Mutant(
        "any refusal is final",
        replacing(Execution, "_settle_send", _refusal_is_final),
        _faulty(("invisible", "reject"), ("late", "reject")),
    ),
    Mutant("a doubt is a refusal", replacing(Execution, "_settle_send", _doubt_is_a_refusal), _faulty(("after",))),
    Mutant("an execution has no id", replacing(order_rows, "add_fills", _fills_counted_again), _faulty(())),
    Mutant("told after the commit", told_later, _killed("report committed", 0, 1, 2)),
    Mutant(
        "not found is the end",
        replacing(execution, "after_miss", _not_found_is_the_end),
        _faulty(("late",), ("invisible",)),
    ),
    Mutant("a send is not looked after", replacing(Execution, "_take", _take_without_looking_back), _killed("taken")),
    Mutant("a resend is not counted", replacing(execution, "_sent", _uncounted), _faulty(("invisible", "reject"))),
    Mutant("the wish to cancel is forgotten", _wish_forgotten, _killed("taken", 0, story=CANCELLED)),
    Mutant("a version is used twice", replacing(execution, "record", _same_version), _faulty(())),
)
