"""Kills the watch of alerts at every step, and compares what fired and was told with a replay of the whole tape."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from alert_oracle import replay
from alert_stage import Stage, staged
from mortal import Scenario, Told, Victim, mouth
from standin import standin

from bot.replies import Reply
from db.models import Alert, Condition, Place
from db.pool import Database
from sandbox.tape import Tape
from services import watch
from services.feeds.alpaca_wire import Trade

SPEED = 60.0
CHANNELS = ("trading-floor", "gamma-levels", "alerts-feed")
LEAST = 4
UP, DOWN = 1.0, -0.99
PAUSE_S = 0.05
"""Long enough for some trades at the new price."""


@dataclass(frozen=True)
class Story:
    """Moves of the price in percent, while five alerts are set: three before the watch begins, two after."""

    name: str
    moves: tuple[float, ...]
    unseen: bool = False
    """What is left of the moves when the watch is dead happens before anybody watches again."""
    silence: bool = False
    """Before the first move the stream falls silent, until people are told that nothing can fire."""


STORIES = (
    Story("up, down, up", (UP, DOWN, UP)),
    Story("down, up, down", (DOWN, UP, DOWN), unseen=True),
    Story("silence, then up, down, up", (UP, DOWN, UP), unseen=True, silence=True),
)
ALERTS = (
    (0.5, Condition.ABOVE, False),
    (0.5, Condition.ABOVE, True),
    (-0.5, Condition.CROSSES, True),
    (-0.4, Condition.BELOW, True),
    (0.4, Condition.CROSSES, False),
)
BEFORE = 3
TABLES = ("alerts", "alert_firings", "alert_marks", "notices")


class Firings(Told):
    """Watches that are killed while alerts fire; a market and a Discord of its own for each scenario."""

    stories = STORIES

    def __init__(self, *where) -> None:
        super().__init__(*where)
        watch.WRITE_EVERY_S = watch.LOCK_EVERY_S = 0.05
        watch.SILENT_S, watch.LONGEST_PAUSE_S = 0.4, 0.2

    async def play(self, scenario: Scenario) -> bool:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(self.emptied(*TABLES))
            stage = await stack.enter_async_context(staged(database, speed=SPEED))
            world = await stack.enter_async_context(standin(rate_limits=False))
            begun = stage.synthetic.now().timestamp()
            alerts, moves, killed = await self._until_killed(stage, world, scenario)
            for _ in range(2):
                await stack.enter_async_context(stage.watching())
            for percent in moves:
                await _move(stage, percent)
            ended = stage.synthetic.now().timestamp()
            stage.synthetic.clock.turn(paused=True)
            expected = _replayed(stage, alerts, begun, ended)
            await stack.enter_async_context(mouth(world.base_url, database, RENDER))
            async with asyncio.timeout(self.patience_s):
                await _told(database, len(expected))
            await _audit(stage, world, expected)
            return killed

    async def _until_killed(self, stage: Stage, world, scenario: Scenario) -> tuple[list[Alert], list[float], bool]:
        """Return the alerts, the moves that are left for those who watch afterwards, and whether anybody was killed."""
        alerts = [await _alert(stage, world, number) for number in range(BEFORE)]
        victim = Victim(lambda: self._watch(stage.address, scenario))
        try:
            await victim.until(lambda: _known(stage.database, BEFORE), self.patience_s)
            alerts += [await _alert(stage, world, number) for number in range(BEFORE, len(ALERTS))]
            await victim.until(lambda: _known(stage.database, len(ALERTS)), self.patience_s)
            if scenario.story.silence:
                await stage.fault(kind="silent")
                await victim.until(lambda: _paused(stage.database), self.patience_s)
                await stage.heal()
            moves = list(scenario.story.moves)
            while moves and (victim.alive or scenario.story.unseen):
                await _move(stage, moves.pop(0))
        finally:
            killed = victim.end()
        return alerts, moves, killed

    async def _watch(self, address: str, scenario: Scenario) -> None:
        await Stage(address, await self.victim_database(scenario)).watch().run()


def _by_key(notice, _locale) -> Reply:
    return Reply(notice.key)


RENDER = {"alert": _by_key}


async def _alert(stage: Stage, world, number: int) -> Alert:
    percent, condition, always = ALERTS[number]
    level = round(await stage.price() * (1 + Decimal(str(percent)) / 100), 2)
    place = Place(channel_id=int(world.channel(CHANNELS[number % len(CHANNELS)], None).id))
    return (await stage.alerts.add(number + 1, "SPY", condition, level, place, always=always)).alert


async def _move(stage: Stage, percent: float) -> None:
    stage.nudge(percent)
    await asyncio.sleep(PAUSE_S)


async def _known(database: Database, count: int) -> bool:
    async with database.acquire() as conn:
        return await conn.fetchval("SELECT count(*) FROM app.alerts WHERE known") == count


async def _paused(database: Database) -> bool:
    async with database.acquire() as conn:
        return bool(await conn.fetchval("SELECT paused FROM app.alert_watch"))


async def _told(database: Database, count: int) -> None:
    async with database.acquire() as conn:
        while await conn.fetchval("SELECT count(*) FROM app.notices WHERE state = 'sent'") < count:
            await asyncio.sleep(0.01)


def _replayed(stage: Stage, alerts: Sequence[Alert], begun: float, ended: float) -> list[str]:
    """The keys of all firings, by the rule in its simplest form over every trade."""
    tape = [
        msgspec.convert(trade | {"p": str(trade["p"])}, Trade, strict=False).tick("SPY")
        for trade, _ in Tape(stage.synthetic).between("SPY", begun, ended)
    ]
    return [f"{alert.token}:{at.isoformat()}:{number}" for alert in alerts for _, (at, number) in replay(alert, tape)]


async def _audit(stage: Stage, world, expected: Sequence[str]) -> None:
    assert len(expected) >= LEAST, f"only {len(expected)} alerts were to fire"
    async with stage.database.acquire() as conn:
        fired = [row["key"] for row in await conn.fetch("SELECT key FROM app.alert_firings")]
        written = [row["key"] for row in await conn.fetch("SELECT key FROM app.notices")]
    read = [message["content"] for channel in CHANNELS for message in world.messages(channel, "Mara")]
    for what, found in (("fired", fired), ("written", written), ("read", read)):
        assert sorted(found) == sorted(expected), f"{what}: {len(found)} of {len(expected)}, {len(set(found))} unlike"
