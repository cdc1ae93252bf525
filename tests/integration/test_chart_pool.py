"""The pool of drawing processes: it answers, survives its workers, and leaves nobody behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest

from services.chart_pool import ChartPool

DEADLINE_S = 30
PARENT = """
import asyncio, signal, sys
from services.chart_pool import ChartPool
import math, os, time

async def main():
    signal.signal(signal.SIGINT, lambda *_: None)
    pool = ChartPool()
    await pool.start()
    both = asyncio.gather(pool.run(time.sleep, 0.2), pool.run(time.sleep, 0.2))
    await both
    print(await pool.run(os.getpid), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(await pool.run(math.sqrt, 16.0), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""

DRAWING = """
import asyncio, sys
from services.chart_pool import ChartPool

async def main():
    pool = ChartPool()
    await pool.start()
    print(*await pool.run(eval, "list(__import__('sys').modules)"))
    print(await pool.run(eval, "__import__('services.canvas').canvas.Font(21).width('words')"))
    print(*sys.modules)
    await pool.close()

asyncio.run(main())
"""


@pytest.fixture
async def pool():
    pool = ChartPool()
    await pool.start()
    yield pool
    await pool.close()


@pytest.fixture
def parent():
    """A process that owns a pool with two workers; everything in its session is ended afterwards."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.stdout.readline().strip().isdigit()
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()


def die_once(mark):
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second time"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse():
    raise ValueError("not today")


def workers(pool):
    """Its processes; this one may have children of other tests too."""
    return [psutil.Process(pid) for pid in pool._executor._processes]


async def test_one_worker_is_ready_and_the_second_appears_on_demand(pool):
    assert len(workers(pool)) == 1
    pids = await asyncio.gather(*(pool.run(pid_after, 0.5) for _ in range(4)))
    assert set(pids) == {worker.pid for worker in workers(pool)}
    assert len(set(pids)) == 2


async def test_errors_of_the_work_come_back(pool):
    with pytest.raises(ValueError, match="not today"):
        await pool.run(refuse)


async def test_work_lost_with_its_worker_is_done_again(pool, tmp_path):
    assert await pool.run(die_once, str(tmp_path / "died")) == "second time"


async def test_everything_in_flight_survives_a_killed_worker(pool):
    tasks = [asyncio.ensure_future(pool.run(pid_after, 0.2)) for _ in range(6)]
    await asyncio.sleep(0.1)
    victim = workers(pool)[0].pid
    os.kill(victim, signal.SIGKILL)
    pids = await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE_S)
    assert len(pids) == 6
    assert victim not in {worker.pid for worker in workers(pool)}


async def test_work_that_always_kills_its_worker_fails_and_the_pool_lives_on(pool):
    with pytest.raises(BrokenProcessPool):
        await pool.run(die)
    assert await pool.run(os.getpid)


async def test_close_leaves_no_worker():
    pool = ChartPool()
    await asyncio.gather(*(pool.run(pid_after, 0.2) for _ in range(2)))
    mine = workers(pool)
    assert mine
    await pool.close()
    assert not psutil.wait_procs(mine, DEADLINE_S)[1]


async def test_a_pool_that_was_never_used_closes():
    await ChartPool().close()


def test_ctrl_c_is_left_to_the_parent(parent):
    before = {child.pid for child in psutil.Process(parent.pid).children()}
    os.killpg(parent.pid, signal.SIGINT)
    parent.stdin.write("\n")
    parent.stdin.flush()
    assert parent.stdout.readline().strip() == "4.0"
    assert {child.pid for child in psutil.Process(parent.pid).children()} == before


def test_workers_end_when_their_parent_is_killed(parent):
    parent.kill()
    # The pipe closes when the last process that inherited it has gone.
    assert parent.communicate(timeout=DEADLINE_S)[0] == ""


@pytest.fixture(params=["no home", "a home that takes nothing"])
def drawing(request, tmp_path):
    """The lines and complaints of a process whose worker never saw matplotlib's list of fonts and cannot keep one."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "TMPDIR"}}
    home = tmp_path / "home"
    home.touch()
    homes = {"HOME": str(home)} if request.param.startswith("a") else {"XDG_CACHE_HOME": str(home)}
    command = [sys.executable, "-c", DRAWING]
    done = subprocess.run(command, env=kept | homes, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return done.stdout.splitlines(), done.stderr


def test_a_ready_worker_has_what_it_draws_with_and_little_else(drawing):
    (loaded, width, in_parent), complaints = drawing
    assert complaints == ""
    assert "services.gamma_chart" in loaded.split()
    assert float(width) > 21
    for name in ("discord", "pandas", "pydantic", "structlog", "rapidfuzz", "aiohttp", "scipy", "matplotlib.pyplot"):
        assert name not in loaded.split()
    assert "matplotlib" not in in_parent.split()
