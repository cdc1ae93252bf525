"""Processes that die by SIGKILL where a scenario wants it, and the commits that they tell of on the way there."""

import asyncio
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import discord
from discord.http import Route
from faults import Memory

from bot.delivery import Delivery
from db import pool
from db.pool import Database, DatabaseUnavailable, PostgresError, connect
from services.notices import Outbox

UNDER_WAY_S = 0.002
_CHANGED = """
SELECT string_agg(relname, ', ' ORDER BY relname), pg_stat_force_next_flush() FROM pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""  # without the flush, what a connection wrote before would be counted again

Reached = Callable[[str], None]


class Mortal(Database):
    """Tells before and after each commit that changes something who commits what."""

    reached: Reached = staticmethod(lambda _: None)

    def transaction(self, *first):
        who = sys._getframe(1).f_code.co_qualname
        return self._watched(super().transaction(*first), who.replace(".<locals>.write", ""))

    @asynccontextmanager
    async def _watched(self, block, who):
        async with block as conn:
            yield conn
            changed = await conn.fetchval(_CHANGED)
            if changed:
                self.reached(f"before the commit of {who}: {changed}")
        if changed:
            self.reached(f"after the commit of {who}: {changed}")


@asynccontextmanager
async def mouth(url: str, database: Database, render, reached: Reached = lambda _: None):
    """A bot that delivers notices to the Discord at `url`."""
    Route.BASE = f"{url}/api/v10"
    async with discord.Client(intents=discord.Intents.none()) as client:
        delivery = Delivery(client, Outbox(database), render)

        async def sent(_session, _context, request) -> None:
            if request.method != "GET":
                asyncio.get_running_loop().call_later(UNDER_WAY_S, reached, f"while a {request.method} is under way")

        async def answered(_session, _context, request) -> None:
            if request.method != "GET":
                reached(f"when a {request.method} is answered")

        client.http.http_trace.on_request_headers_sent.append(sent)
        client.http.http_trace.on_request_end.append(answered)
        await client.login("sandbox-token")
        async with delivery.running():
            yield delivery


class Victim:
    """A process of its own that lives `life` until it is killed, by itself or by us."""

    def __init__(self, life: Callable[[], Coroutine[None, None, None]]) -> None:
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                asyncio.run(life())
            except BaseException:  # noqa: BLE001 - the child ends here, and its parent reads the code
                traceback.print_exc()
            finally:
                os._exit(1)

    @property
    def alive(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status is None

    async def until(self, condition: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
        """Wait until something has happened, or until this process is dead."""
        async with asyncio.timeout(within_s):
            while self.alive and not await condition():
                await asyncio.sleep(0.01)

    def end(self) -> bool:
        """End the process if it still lives; tells whether it had been killed at its point."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert self._status in {-signal.SIGTERM, -signal.SIGKILL}, "the process failed before it was killed"
        return self._status == -signal.SIGKILL


def killing(point: str | None, nth: int, memory: Memory) -> Reached:
    """Return what dies when the point is reached for the nth time; without one it writes down what is reached."""

    def reached(name: str) -> None:
        if point is None:
            memory.add(f"@{name}")
        elif name == point and memory.add("reached") == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


@dataclass(frozen=True)
class Scenario:
    """One story of a world, with a process that is killed when a point is reached for the nth time."""

    story: Any
    point: str | None = None
    nth: int = 0

    def __str__(self) -> str:
        return f"{self.story.name}, killed at '{self.point}' #{self.nth + 1}"


class Told:
    """A database on which processes come and go, with stories of what people are told on it."""

    stories: Sequence[Any] = ()

    def __init__(self, runner: asyncio.Runner, url: str, superuser_url: str) -> None:
        self._runner, self._url, self._superuser_url = runner, url, superuser_url
        self.memory = Memory()
        self.killed: Counter[str | None] = Counter()
        self.played = 0
        self.patience_s = 10.0
        pool._CONNECT_S = self.patience_s  # a machine that is busy killing takes its time

    def points(self, story: Any) -> dict[str, int]:
        """How often each point is reached when nobody kills."""
        assert (wrong := self.run(Scenario(story))) is None, f"{story.name} fails without a kill: {wrong}"
        return {name[1:]: times for name, times in self.memory.read().items() if name.startswith("@")}

    def run(self, scenario: Scenario) -> str | None:
        """Play one scenario; returns what went wrong, None when nothing did."""
        self.memory.clear()
        self.played += 1
        try:
            self.killed[scenario.point] += self._runner.run(self.play(scenario))
        except (AssertionError, TimeoutError, PostgresError, DatabaseUnavailable) as error:
            return str(error) or "it never came to an end"
        return None

    async def play(self, scenario: Scenario) -> bool:
        """Play one scenario; tells whether its process was killed. What was lost or doubled is an AssertionError."""
        raise NotImplementedError

    async def victim_database(self, scenario: Scenario) -> Mortal:
        """The database as the process has it that is killed."""
        database = await Mortal.open(self._url)
        database.reached = killing(scenario.point, scenario.nth, self.memory)
        return database

    @asynccontextmanager
    async def emptied(self, *tables: str):
        """The database without what an earlier scenario has left in some tables."""
        superuser = await connect(self._superuser_url, timeout_s=self.patience_s)
        await superuser.execute(f"TRUNCATE {', '.join(f'app.{table}' for table in tables)}")
        await superuser.close()
        database = await Database.open(self._url)
        try:
            yield database
        finally:
            await database.close()
