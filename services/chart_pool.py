"""Processes that analyse and draw, so that pictures never hold up the event loop."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from services import charts

T = TypeVar("T")


class ChartPool:
    """Worker processes that appear on demand, are replaced when they die, and never outlive their parent."""

    def __init__(self, processes: int = 2) -> None:
        self._processes = processes
        self._executor = self._fresh()

    async def start(self) -> None:
        """Have one worker ready before the first picture is asked for."""
        await self.run(os.getpid)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return `work(*arguments)` from a worker; `work` is a module's function, and repeated once if its worker dies.

        Raises what `work` raises, and BrokenProcessPool if the repetition dies as well.
        """
        executor = self._executor
        try:
            return await asyncio.wrap_future(_submit(executor, work, *arguments))
        except BrokenProcessPool:
            if self._executor is executor:
                self._executor = self._fresh()
            return await asyncio.wrap_future(_submit(self._executor, work, *arguments))

    async def close(self) -> None:
        """End all workers; what they are drawing is finished, what waits is cancelled."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    def _fresh(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, multiprocessing.get_context("spawn"), _prepare)


def _submit(executor: ProcessPoolExecutor, work: Callable[..., T], *arguments: object) -> "Future[T]":
    # A worker started here inherits the mask: Ctrl-C reaches the whole terminal group, but is the parent's to act on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return executor.submit(work, *arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    charts.load()


def _end_with_parent() -> None:
    # The queue's pipe never closes for a worker, because the workers themselves hold its other end.
    parent = multiprocessing.parent_process()
    assert parent, "A worker has a parent"
    parent.join()
    os._exit(1)
