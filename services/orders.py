"""What a person does with orders: see a ticket, press Confirm, cancel, look."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from db import audit, orders, previews
from db.models import Place
from db.order_models import Account, Order, Preview, PreviewState, Spec
from db.orders import Intent
from db.pool import Database, DatabaseUnavailable
from db.previews import Placing, Standing
from services.accounts import Accounts
from services.brokers.base import Broker, Funds
from services.clock import NEW_YORK
from services.errors import OrderRefused, OutcomeUnknown, PreviewGone, UnknownOrder, UserError, outages_told
from services.execution import enqueue_settle, record, trail_of
from services.market import Line, Market
from services.order_states import OPEN, S, cancelling
from services.risk import HouseRules, check, worst_price
from services.tickets import Ticket, facts_of, gone, has_moved, refuse, shown, ticket_of, touch

TICKET_LIVES = timedelta(seconds=60)
LATE_PRESS = timedelta(seconds=10)
SEND_WITHIN = timedelta(seconds=30)
DISCORD_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
TOUCHED_AT_MOST_S = 2.0
BUSY_S = 5.0
"""How long a press is judged anew, each time that other orders of the person come in between."""


class _Lost(Exception):
    """Another press was first, or the ticket's time was over."""


class _LookAgain(Exception):
    """The press is not enough: the person must see something first, and accepts these warnings by the next one."""

    def __init__(self, why: str, codes: Sequence[str] = ()) -> None:
        self.why = why
        self.codes = tuple(codes)


@dataclass(frozen=True, slots=True)
class _Shown:
    preview: Preview
    account: Account
    known: tuple[Standing, Funds] | None = None


class Orders:
    """The verbs of a person; they raise UserError in words, DatabaseAway, and FeedUnavailable without a quote."""

    def __init__(
        self,
        database: Database,
        market: Market,
        accounts: Accounts,
        brokers: Mapping[str, Broker],
        *,
        now: Callable[[], datetime],
        rules: HouseRules | None = None,
        crash_point: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._market = market
        self._accounts = accounts
        self._brokers = brokers
        self._now = now
        self.rules = rules or HouseRules()
        self._reached = crash_point
        self._shown: dict[str, _Shown] = {}
        """Living tickets that this process has shown, so that a press need not read them again."""

    async def preview(self, user_id: int, spec: Spec) -> Ticket:
        """Return a ticket of a minute's life; raises OrderRefused with every guard that says no."""
        with outages_told():
            return await self._draft(await self._accounts.paper(user_id, self._now()), spec)

    async def change_quantity(self, user_id: int, token: str, quantity: int) -> Ticket:
        """Replace an open ticket by one of another size; raises PreviewGone when it is not open any more."""
        return await self._change(user_id, token, lambda spec: replace(spec, quantity=quantity))

    async def change_limit(self, user_id: int, token: str, limit: Decimal | None) -> Ticket:
        """Replace an open ticket by one with another limit, None for "market"; raises PreviewGone."""
        return await self._change(user_id, token, lambda spec: replace(spec, limit=limit))

    async def spec_of(self, user_id: int, token: str) -> Spec | None:
        """Return what a ticket of the person is about."""
        with outages_told():
            async with self._database.acquire() as conn:
                found = await previews.get_preview(conn, user_id, token)
        return found[0].spec if found else None

    async def confirm(self, user_id: int, token: str, interaction_id: int, place: Place) -> Order | Ticket:
        """Make a ticket's order, or return the one that it has become by another press.

        A fresh Ticket means that nothing was sent: the press was late, the price has moved, or a warning wants a second
        press. Raises PreviewGone for a ticket that has ended, OrderRefused, and OutcomeUnknown when the database went
        away in the middle; pressing again is safe then.
        """
        try:
            return await self._confirm(user_id, token, interaction_id, place)
        except DatabaseUnavailable as error:
            return await self._after_outage(user_id, token, error)

    async def cancel_preview(self, user_id: int, token: str) -> PreviewState:
        """End an open ticket; returns its state afterwards, which is another one where it had ended already."""
        with outages_told():
            return await self._end(user_id, token, PreviewState.CANCELLED)

    async def ended(self, user_id: int, token: str) -> PreviewState:
        """Return a ticket's state, EXPIRED from the moment that its time is over."""
        with outages_told():
            return await self._ended(user_id, token)

    async def get(self, user_id: int, token: str) -> Order:
        """Return a person's order; raises UnknownOrder."""
        with outages_told():
            async with self._database.as_user(user_id) as conn:
                order = await orders.get_order(conn, user_id, token)
        if order is None:
            raise UnknownOrder
        return order

    async def list(self, user_id: int, *, most: int = 25) -> Sequence[Order]:
        """Return a person's orders: the open ones, then the latest, newest first."""
        with outages_told():
            async with self._database.as_user(user_id) as conn:
                found = await orders.list_orders(conn, user_id, most)
        return sorted(found, key=lambda order: order.state not in OPEN)[:most]

    async def cancel(self, user_id: int, token: str, place: Place | None = None) -> Order:
        """Want the end of an order and return it as it stands then; its result is told at `place`. UnknownOrder."""
        with outages_told():
            async with self._database.transaction() as conn:
                held = await orders.lock_order_of(conn, user_id, token)
                if held is None:
                    raise UnknownOrder
                now = self._now()
                after = cancelling(held, now) if held.order.state in OPEN else held
                after = await record(conn, held, replace(after, place=place or held.place), now)
                if after.order.state is S.PENDING_CANCEL:
                    await enqueue_settle(conn, after.order.id)
                self._reached("before the commit of a cancel")
        self._reached("cancel committed")
        return after.order

    async def _ticket(self, user_id: int, token: str) -> tuple[Preview, Account]:
        async with self._database.acquire() as conn:
            found = await previews.get_preview(conn, user_id, token)
        if found is None:
            raise PreviewGone("This is not a ticket of yours: only the person who opened it can press its buttons.")
        return found

    async def _draft(
        self,
        account: Account,
        spec: Spec,
        *,
        replaces: str | None = None,
        why: str | None = None,
        accepted: Sequence[str] = (),
    ) -> Ticket:
        line, known = await asyncio.gather(self._line(spec), self._look(account, spec))
        standing, funds = known
        bid, ask = touch(line)
        facts = facts_of(standing.history, funds)
        worst = worst_price(spec, bid, ask, standing.limits.collar_bp)
        warnings = refuse(standing.history, check(spec, worst, line, facts, standing.limits, self.rules))
        now = self._now()
        preview = Preview(
            token=secrets.token_urlsafe(16),
            user_id=account.user_id,
            account_id=account.id,
            client_order_id=f"pe-{secrets.token_hex(16)}",
            spec=spec,
            worst=worst,
            bid=bid,
            ask=ask,
            accepted=tuple(accepted),
            state=PreviewState.OPEN,
            expires_at=now + TICKET_LIVES,
        )
        async with self._database.transaction() as conn:
            if replaces and not await previews.end_preview(conn, account.user_id, replaces, PreviewState.SUPERSEDED):
                raise _Lost
            await previews.add_preview(conn, preview, now)
            await audit.add(conn, account.user_id, now, "ticket shown", shown(preview))
        self._shown = {token: drawn for token, drawn in self._shown.items() if drawn.preview.expires_at > now}
        self._shown[preview.token] = _Shown(preview, account, known)
        return ticket_of(preview, account, line, facts, standing.limits, warnings, why)

    async def _fresh(self, old: Preview, account: Account, why: str, accepted: Sequence[str] = ()) -> Order | Ticket:
        accepted = tuple(dict.fromkeys((*old.accepted, *accepted)))
        try:
            return await self._draft(account, old.spec, replaces=old.token, why=why, accepted=accepted)
        except _Lost:
            return await self._present(old.user_id, old.token)

    async def _change(self, user_id: int, token: str, change: Callable[[Spec], Spec]) -> Ticket:
        with outages_told():
            preview, account = await self._ticket(user_id, token)
            if preview.state is not PreviewState.OPEN:
                raise gone(preview.state)
            try:
                return await self._draft(account, change(preview.spec), replaces=token)
            except _Lost:
                raise gone((await self._ticket(user_id, token))[0].state) from None

    async def _line(self, spec: Spec) -> Line:
        return (await self._market.quotes((spec.symbol,), anew=True)).lines[0]

    async def _look(self, account: Account, spec: Spec) -> tuple[Standing, Funds]:
        async def standing() -> Standing:
            async with self._database.acquire() as conn:
                return await previews.get_standing(conn, account, spec, self._now(), self._today())

        # the standing first: what changes between the two changes its stamp
        return await standing(), await self._brokers[account.broker].funds(account, spec.symbol)

    async def _confirm(self, user_id: int, token: str, interaction_id: int, place: Place) -> Order | Ticket:
        shown = self._shown.get(token) or _Shown(*await self._ticket(user_id, token))
        preview, account = shown.preview, shown.account
        if preview.user_id != user_id or preview.state is not PreviewState.OPEN or preview.expires_at <= self._now():
            return await self._present(user_id, token)
        if self._now() - _pressed_at(interaction_id) > LATE_PRESS:
            return await self._fresh(preview, account, "The press reached us late, so nothing was sent.")
        try:
            order = await self._place(shown, await self._line(preview.spec), interaction_id, place)
        except _Lost:
            return await self._present(user_id, token)
        except _LookAgain as again:
            return await self._fresh(preview, account, again.why, again.codes)
        self._reached("order committed")
        return order

    async def _place(self, shown: _Shown, line: Line, interaction_id: int, place: Place) -> Order:
        """Make the order, judged by what held when the ticket was shown if that has not changed, else by what does."""
        known, begun = shown.known, time.monotonic()
        while time.monotonic() < begun + BUSY_S:
            judged_anew = known is None
            standing, funds = known or await self._look(shown.account, shown.preview.spec)
            known = None
            try:
                self._judge(shown.preview, line, standing, funds)
            except (UserError, _LookAgain):
                if judged_anew:
                    raise
                continue
            now, until = self._now(), _pressed_at(interaction_id) + SEND_WITHIN
            intent = _intent(standing.order_id, shown.preview, shown.account, place, now, until)
            trail = trail_of(intent, now, f"interaction {interaction_id}")
            self._reached("before an order is placed")
            async with self._database.acquire() as conn:
                outcome = await previews.place_order(conn, intent, trail, interaction_id, standing.stamp)
            if outcome is Placing.PLACED:
                return intent.order
            if outcome is Placing.GONE:
                raise _Lost
        raise OrderRefused(["Your account is busy with other orders. Nothing was sent; press Confirm again."])

    def _judge(self, preview: Preview, line: Line, standing: Standing, funds: Funds) -> None:
        if moved := has_moved(preview, line, standing.limits):
            raise _LookAgain(moved)
        objections = check(
            preview.spec, preview.worst, line, facts_of(standing.history, funds), standing.limits, self.rules
        )
        codes = [warning.code for warning in refuse(standing.history, objections)]
        if not set(codes) <= set(preview.accepted):
            raise _LookAgain("Nothing was sent yet. Read the warnings, then press Confirm once more.", codes)

    async def _present(self, user_id: int, token: str) -> Order:
        """Return what a ticket has become; raises PreviewGone where that is no order."""
        async with self._database.acquire() as conn:
            order = await orders.get_order(conn, user_id, token)
        if order:
            return order
        raise gone(await self._ended(user_id, token))

    async def _after_outage(self, user_id: int, token: str, error: DatabaseUnavailable) -> Order:
        try:
            return await self._database.retry(lambda: self._committed(user_id, token), within_s=TOUCHED_AT_MOST_S)
        except (DatabaseUnavailable, UnknownOrder):
            # the commit may still arrive: the same ticket may be pressed again, another must not be opened
            raise OutcomeUnknown(
                "Our database went away while your order was being saved. Do not enter it again: press Confirm once "
                "more, or see `/orders`."
            ) from error

    async def _committed(self, user_id: int, token: str) -> Order:
        async with self._database.acquire() as conn:
            order = await orders.get_order(conn, user_id, token)
        if order is None:
            raise UnknownOrder
        return order

    async def _ended(self, user_id: int, token: str) -> PreviewState:
        preview, _ = await self._ticket(user_id, token)
        if preview.state is PreviewState.OPEN and preview.expires_at <= self._now():
            return await self._end(user_id, token, PreviewState.EXPIRED)
        return preview.state

    async def _end(self, user_id: int, token: str, state: PreviewState) -> PreviewState:
        async with self._database.transaction() as conn:
            ended = await previews.end_preview(conn, user_id, token, state)
        return state if ended else (await self._ticket(user_id, token))[0].state

    def _today(self) -> datetime:
        return datetime.combine(self._now().astimezone(NEW_YORK).date(), datetime.min.time(), NEW_YORK)


def _intent(
    order_id: int, preview: Preview, account: Account, place: Place, now: datetime, deadline: datetime
) -> Intent:
    order = Order(
        id=order_id,
        token=preview.token,
        user_id=preview.user_id,
        account_id=preview.account_id,
        client_order_id=preview.client_order_id,
        spec=preview.spec,
        worst=preview.worst,
        state=S.CONFIRMED,
        filled=0,
        cost=Decimal(0),
        version=1,
        sends=0,
        reason=None,
        created_at=now,
        updated_at=now,
        label=account.label,
        mode=account.mode,
    )
    return Intent(
        order, account.broker, place, cancel_asked=False, sent_at=None, misses=0, deadline=deadline, look_at=now
    )


def _pressed_at(interaction_id: int) -> datetime:
    return DISCORD_EPOCH + timedelta(milliseconds=interaction_id >> 22)
