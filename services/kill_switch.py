"""The kill switch: for oneself, and for everybody."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from db import accounts as account_rows
from db import audit, orders
from db.order_models import TradingState
from db.pool import Connection, Database
from services.errors import outages_told
from services.execution import enqueue_settle


@dataclass(frozen=True, slots=True)
class Panic:
    """What the kill switch did."""

    state: TradingState
    cancelled: int
    """Orders whose end is on its way."""


class KillSwitch:
    """What may still be sent; every verb may raise DatabaseAway."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database, self._now = database, now

    async def panic(self, user_id: int) -> Panic:
        """Let a person open nothing new, and cancel all they have open."""
        return await self._turn(user_id, TradingState.REDUCING, "You pressed /panic.", by=user_id)

    async def panic_everyone(self, by: int) -> Panic:
        """Halt all trading and cancel every open order; `by` is the operator."""
        return await self._turn(None, TradingState.HALTED, "The operator halted trading.", by=by)

    async def resume(self, user_id: int) -> TradingState:
        """Undo a person's own /panic; returns what holds for them now."""
        with outages_told():
            async with self._database.transaction() as conn:
                await account_rows.hold_switch(conn)
                mine = await account_rows.get_own_state(conn, user_id)
                if mine is TradingState.REDUCING:  # a halt after an incident is for the operator to lift
                    await self._set_state(conn, user_id, TradingState.ACTIVE, "You resumed.", user_id)
        return await self.state(user_id)

    async def resume_everyone(self, by: int, user_id: int | None = None) -> None:
        """Let trading go on, for everybody or for one person whose account was halted; `by` is the operator."""
        with outages_told():
            async with self._database.transaction() as conn:
                await account_rows.hold_switch(conn)
                await self._set_state(conn, user_id, TradingState.ACTIVE, "The operator resumed trading.", by)

    async def state(self, user_id: int) -> TradingState:
        """Return the strictest state that holds for a person's paper account."""
        with outages_told():
            async with self._database.acquire() as conn:
                return await account_rows.get_trading_state(conn, user_id, "paper")

    async def _turn(self, user_id: int | None, state: TradingState, reason: str, by: int) -> Panic:
        with outages_told():
            async with self._database.transaction() as conn:
                await account_rows.hold_switch(conn)
                if user_id is not None:  # a halt after an incident stays one
                    state = account_rows.strictest([state, await account_rows.get_own_state(conn, user_id)])
                await self._set_state(conn, user_id, state, reason, by)
                cancelled = await orders.ask_cancel(conn, user_id, self._now())
                for order_id in cancelled:
                    await enqueue_settle(conn, order_id)
        return Panic(state, len(cancelled))

    async def _set_state(self, conn: Connection, user_id: int | None, state: TradingState, why: str, by: int) -> None:
        scope, subject = ("global", "") if user_id is None else ("user", str(user_id))
        await account_rows.set_trading_state(conn, scope, subject, state, why, by, self._now())
        await audit.add(conn, by, self._now(), "kill switch", {"scope": scope, "subject": subject, "state": state})
