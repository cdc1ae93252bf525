"""The whole way, from the tape to the notices, with everything that can break breaking: no alert lost, none doubled."""

import asyncio
import random
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path

import msgspec
import pytest
from alert_oracle import replay
from alert_stage import staged, until

from db.models import Condition
from sandbox.tape import Tape
from services.feeds.alpaca_wire import Trade
from services.health import Health

SYMBOLS = ("SPY", "QQQ", "AAPL")
STEPS = 30
WORKER = Path(__file__).with_name("alert_worker.py")


class Task:
    """A worker in this process, cut off wherever it is."""

    async def start(self, stage):
        self._running = asyncio.create_task(stage.watch().run())

    async def kill(self):
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


class Process:
    """A worker in a process of its own, ended by SIGKILL."""

    async def start(self, stage):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), stage.database.url, stage.address, stdout=DEVNULL, stderr=DEVNULL
        )

    async def kill(self):
        self._process.kill()
        await self._process.wait()


@pytest.mark.parametrize(("worker", "seed"), [(Task(), 1), (Process(), 2)], ids=["cancelled", "killed"])
async def test_every_crossing_is_told_exactly_once(database, monkeypatch, worker, seed):
    monkeypatch.setattr("services.watch.SILENT_S", 0.5)
    monkeypatch.setattr("services.watch.LONGEST_PAUSE_S", 0.5)
    rng = random.Random(seed)
    made = []
    async with staged(database, speed=20.0) as stage:
        started = stage.synthetic.now().timestamp()
        await worker.start(stage)

        async def make():
            for _ in range(3):
                condition, always = rng.choice(list(Condition)), rng.random() < 0.5
                percent, symbol = rng.uniform(-0.6, 0.6), rng.choice(SYMBOLS)
                made.append(await stage.alert(percent, condition, symbol, len(made) + 1, always=always))

        async def kill():
            await worker.kill()
            if rng.random() < 0.5:
                await asyncio.sleep(0.2)
            await worker.start(stage)
            if isinstance(worker, Process):
                await asyncio.sleep(rng.uniform(0.5, 1.5))

        async def refuse():
            await stage.fault(kind="drop", count=1)
            await stage.fault(kind="status", status=503, count=2, path_contains="/trades")

        async def silence():
            await stage.fault(kind="silent")
            await asyncio.sleep(0.7)
            await stage.heal()

        async def drop():
            await stage.fault(kind="drop", count=1)

        for _ in range(STEPS):
            await rng.choice([make, make, make, kill, refuse, silence, drop])()
            stage.nudge(rng.uniform(-0.7, 0.7), rng.choice(SYMBOLS))
            await asyncio.sleep(rng.uniform(0, 0.15))
        await stage.heal()
        ended = stage.synthetic.now()
        stage.synthetic.clock.turn(paused=True)
        await worker.kill()

        # the last one goes on to the end of the tape, whose clock ran ahead of what its last answer had told
        await stage.price()
        stage.health = Health()
        async with stage.watching():
            await until(lambda: (part := stage.health.parts.get("alerts")) and part.ok, 20)
        tape = Tape(stage.synthetic)
        ticks = [
            msgspec.convert(trade | {"p": str(trade["p"])}, Trade, strict=False).tick(symbol)
            for symbol in SYMBOLS
            for trade, _ in tape.between(symbol, started, ended.timestamp())
        ]
        expected = [(life.id, at.isoformat(), number) for life in made for _, (at, number) in replay(life, ticks)]
        async with database.acquire() as conn:
            rows = await conn.fetch("SELECT alert_id, key FROM app.alert_firings")
        found = [(row["alert_id"], *row["key"].split(":", 1)[1].rsplit(":", 1)) for row in rows]
        assert expected
        assert sorted((i, at, int(number)) for i, at, number in found) == sorted(expected)
        told = [notice["key"] for notice in await stage.notices()]
        assert sorted(told) == sorted(row["key"] for row in rows)
