"""Kills the order path at a named point, lets two other processes recover, and counts what was lost or doubled."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from faults import Faulty, Memory
from trading import FRIDAY, HERE, Clock, Floor, Tape, floor_on, snowflake, spec

from db.order_models import Order, OrderState, Side, Tif
from db.pool import DatabaseUnavailable, connect
from services import execution
from services.errors import BrokerError, PreviewGone, PulseError
from services.order_states import OPEN

CASH = Decimal(100_000)
PRESS = 5
MOST_ROUNDS = 60
_users = count(10**17)


@dataclass(frozen=True)
class Story:
    """What a person does in one scenario."""

    name: str
    limit: str | None = "100.00"
    tif: Tif = Tif.DAY
    cancels: bool = False
    """Cancels while the order rests."""
    size: int | None = 4
    ends: frozenset[OrderState] = frozenset({OrderState.FILLED})
    """What it may come to when no broker refuses."""


STORIES = (
    Story("filled in three parts"),
    Story("market", limit=None, size=None),
    Story("ioc", tif=Tif.IOC, ends=frozenset({OrderState.CANCELED})),
    Story("cancelled", limit="98.00", cancels=True, ends=frozenset({OrderState.CANCELED, OrderState.VOID})),
    Story(
        "cancelled in parts",
        cancels=True,
        ends=frozenset({OrderState.CANCELED, OrderState.FILLED, OrderState.VOID}),
    ),
)


@dataclass(frozen=True)
class Scenario:
    """One story with its faults, killed when a point is reached for the nth time; no point: not killed."""

    story: Story
    faults: tuple[str, ...] = ()
    point: str | None = None
    nth: int = 0

    def __str__(self) -> str:
        killed = f", killed at '{self.point}' #{self.nth + 1}" if self.point else ""
        return f"{self.story.name}, faults {self.faults or 'none'}{killed}"


class World:
    """A database and the memory of the outside; runs scenarios in forks of this process."""

    def __init__(self, url: str, postmaster: Path) -> None:
        self.url = url
        self.postmaster = postmaster
        self.memory = Memory()
        self.killed: dict[str, int] = {}
        execution.SEND_S = 0.15  # as long as a hanging broker holds a scenario up

    def points(self, story: Story, faults: Sequence[str] = ()) -> dict[str, int]:
        """How often each point is reached when nobody kills."""
        self.memory.clear()
        user = next(_users)

        def note(point: str) -> None:
            self.memory.add(f"@{point}")

        assert self._fork(lambda: self._live(user, story, faults, note)) == 0, f"{story.name} fails without a kill"
        return {name[1:]: times for name, times in self.memory.read().items() if name.startswith("@")}

    def run(self, scenario: Scenario) -> str | None:
        """Play one scenario; returns what went wrong, None when nothing did."""
        self.memory.clear()
        user = next(_users)

        def kill(point: str) -> None:
            if point == scenario.point and self.memory.add("reached") == scenario.nth:
                os.kill(os.getpid(), signal.SIGKILL)

        outcome = self._fork(lambda: self._live(user, scenario.story, scenario.faults, kill))
        if outcome == -signal.SIGKILL:
            self.killed[scenario.point or ""] = self.killed.get(scenario.point or "", 0) + 1
        elif outcome != 0:
            return "the process failed before it was killed"
        return None if self._fork(lambda: self._recover(user, scenario)) == 0 else "see above"

    def sweep(self) -> None:
        """Put away what a failed scenario left open, so that it does not disturb the next."""

        async def put_away() -> None:
            connection = await connect(self.url, role="pulse_service")
            await connection.execute("UPDATE app.orders SET look_at = NULL")
            await connection.execute("UPDATE app.paper_orders SET state = 'canceled' WHERE state = 'working'")
            await connection.close()

        assert self._fork(put_away) == 0

    def _fork(self, life: Callable[[], Coroutine[None, None, None]]) -> int:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(life())
                code = 0
            except AssertionError as error:
                sys.stderr.write(f"    {error}\n")
            except BaseException:  # noqa: BLE001 - the child ends here, and its parent reads the code
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def run_without_postgres(self, people: int, chance: random.Random) -> str | None:
        """Kill PostgreSQL while people confirm and their orders are sent; it comes back by itself."""
        users, delay_s = [next(_users) for _ in range(people)], chance.uniform(0, 0.25)
        self.memory.clear()
        failed = self._fork(lambda: self._outage(users, delay_s))
        return f"PostgreSQL killed after {delay_s:.3f} s: see above" if failed else None

    async def _outage(self, users: list[int], delay_s: float) -> None:
        clock = Clock(FRIDAY)
        async with self._floor((), lambda _: None, clock, Tape(clock)) as floor:
            await floor.database.retry(floor.database.ping, within_s=20)
            floor.quote("SPY", "99.90", "100.00", 4)
            tickets = {user: await floor.orders.preview(user, spec(10)) for user in users}

            async def live(user: int) -> None:
                try:
                    order = await floor.orders.confirm(user, tickets[user].token, snowflake(FRIDAY, user % 4000), HERE)
                    assert isinstance(order, Order)
                    await floor.execution.settle(order.id)
                except (PulseError, DatabaseUnavailable):
                    pass  # in words for the person, and again later for the worker

            async with asyncio.TaskGroup() as group:
                for user in users:
                    group.create_task(live(user))
                await asyncio.sleep(delay_s)
                os.kill(int(self.postmaster.read_text().split()[0]), signal.SIGKILL)
            clock.advance(1)
            await floor.database.retry(floor.database.ping, within_s=20)
            for user, ticket in tickets.items():
                order = None
                while order is None:  # connections that died in the pool are met one by one
                    try:
                        order = await floor.orders.confirm(user, ticket.token, snowflake(FRIDAY, user % 4000), HERE)
                    except BrokerError:  # never DatabaseAway: that nothing was saved, nobody knows
                        continue
                assert isinstance(order, Order), f"the press was answered by {order}"
            for user, ticket in tickets.items():
                await self._trade([floor], user, ticket.token, STORIES[0])
                await _audit(floor, user, ticket.token, Scenario(STORIES[0]), 0)

    async def _live(self, user: int, story: Story, faults: Sequence[str], reached: Callable[[str], None]) -> None:
        clock = Clock(FRIDAY)
        async with self._floor(faults, reached, clock, Tape(clock)) as floor:
            floor.quote("SPY", "99.90", "100.00", story.size)
            ticket = await floor.orders.preview(user, spec(10, story.limit, story.tif, Side.BUY))
            self.memory.write(self.memory.read() | {"token": ticket.token})
            order = await floor.orders.confirm(user, ticket.token, snowflake(FRIDAY, PRESS), HERE)
            assert isinstance(order, Order)
            await floor.execution.settle(order.id)
            await self._trade([floor], user, ticket.token, story)

    async def _recover(self, user: int, scenario: Scenario) -> None:
        """Two processes start at once; Discord delivers the press again, and the person presses once more."""
        start = FRIDAY + timedelta(seconds=1)
        async with contextlib.AsyncExitStack() as stack:
            clock = Clock(start)
            opened = [self._floor(scenario.faults, lambda _: None, clock, Tape(clock)) for _ in range(2)]
            floors = [await stack.enter_async_context(each) for each in opened]
            for floor in floors:
                floor.quote("SPY", "99.90", "100.00", scenario.story.size)
            token = self.memory.read()["token"]
            presses = (snowflake(FRIDAY, PRESS), snowflake(FRIDAY, PRESS), snowflake(start, PRESS + 1))
            told = await asyncio.gather(*(self._press(f, user, token, p) for p in presses for f in floors))
            assert all(isinstance(each, Order) for each in told), f"a press was answered by {told}"
            assert len({each.id for each in told}) == 1, "two presses made two orders"
            await self._trade(floors, user, token, scenario.story)
            await _audit(floors[0], user, token, scenario, self.memory.read().get("sends", 0))

    async def _press(self, floor: Floor, user: int, token: str, press: int) -> Order | PulseError:
        try:
            return await floor.orders.confirm(user, token, press, HERE)
        except PreviewGone as gone:
            return gone

    async def _trade(self, floors: list[Floor], user: int, token: str, story: Story) -> None:
        for turn in range(MOST_ROUNDS):
            order = await floors[0].orders.get(user, token)
            if order.state not in OPEN and not await _due(floors[0], order):
                return
            if story.cancels and turn == 1:
                await floors[-1].orders.cancel(user, token)
            floors[0].clock.advance(2 if turn < 20 else 20)
            for floor in floors:
                floor.quote("SPY", "99.90", "100.00", story.size)
            await asyncio.gather(*(floor.execution.follow() for floor in floors))

    def _floor(self, faults: Sequence[str], reached: Callable[[str], None], clock: Clock, tape: Tape):
        return floor_on(
            self.url,
            clock=clock,
            tape=tape,
            cash=str(CASH),
            crash_point=reached,
            broker=lambda paper: Faulty(paper, faults, self.memory),
        )


async def _due(floor: Floor, order: Order) -> bool:
    async with floor.database.acquire() as conn:
        return bool(await conn.fetchval("SELECT look_at IS NOT NULL FROM app.orders WHERE id = $1", order.id))


async def _audit(floor: Floor, user: int, token: str, scenario: Scenario, sends: int) -> None:
    """Compare our books, the broker's, and what the person was told."""
    order = await floor.orders.get(user, token)
    async with floor.database.acquire() as conn:
        ours = await conn.fetchval("SELECT count(*) FROM app.orders WHERE user_id = $1", user)
        venue = await conn.fetch(
            """
            SELECT p.id, p.client_order_id, p.state, p.filled, p.quantity FROM app.paper_orders p
            JOIN app.accounts a ON a.id = p.account_id WHERE a.user_id = $1
            """,
            user,
        )
        executions = await conn.fetch(
            """
            SELECT 'paper-' || f.id AS id, f.quantity, f.price FROM app.paper_fills f
            JOIN app.accounts a ON a.id = f.account_id WHERE a.user_id = $1 ORDER BY f.id
            """,
            user,
        )
        fills = await conn.fetch(
            "SELECT execution_id AS id, quantity, price FROM app.fills WHERE user_id = $1 ORDER BY filled_at, id", user
        )
        cash = await conn.fetchval(
            "SELECT cash FROM app.paper_accounts p JOIN app.accounts a ON a.id = p.account_id WHERE a.user_id = $1",
            user,
        )
        told = await conn.fetch("SELECT kind, key, payload FROM app.notices WHERE user_id = $1 ORDER BY id", user)
        written = await conn.fetch(
            "SELECT event FROM app.audit WHERE user_id = $1 AND event LIKE 'order %' ORDER BY id", user
        )
    assert ours == 1, f"{ours} orders of ours"
    assert len(venue) <= 1, f"{len(venue)} orders at the broker"
    assert order.state not in OPEN, f"the order is stuck in {order.state}"
    assert order.state is not OrderState.NEEDS_REVIEW, f"nobody can tell: {order.reason}"
    if venue:
        at = venue[0]
        assert at["client_order_id"] == order.client_order_id
        assert (order.state, order.filled) == (at["state"], at["filled"]), f"we say {order.state}, the broker {at[2]}"
    else:
        assert order.state in {OrderState.REJECTED, OrderState.DENIED, OrderState.VOID, OrderState.CANCELED}, (
            f"we say {order.state}, the broker knows nothing"
        )
    assert sorted(map(tuple, executions)) == sorted(map(tuple, fills)), "executions were lost or doubled"
    cost = sum((row["quantity"] * row["price"] for row in executions), Decimal(0))
    assert (order.cost, order.filled) == (cost, sum(row["quantity"] for row in executions)), "the sums are wrong"
    assert cash == CASH - cost, "cash is lost or made"
    versions = [int(row["key"].rsplit(":", 1)[1]) for row in told]
    assert versions == list(range(1, order.version + 1)), f"versions told: {versions}, the order has {order.version}"
    assert told[-1]["key"] == f"{order.id}:{order.state}:{order.version}", "the last word was not told"
    assert [row["key"] for row in told if row["kind"] != "order"] == [], "the person was told something wrong before"
    assert sends <= order.sends, f"it left {sends} times, {order.sends} were written down before"
    assert len(written) == order.version, "the audit has gaps"
    if not set(scenario.faults) & {"reject"} and not any(f.startswith("before") for f in scenario.faults[:-1]):
        assert order.state in scenario.story.ends, f"came to {order.state}: {order.reason}"
