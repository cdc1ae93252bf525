"""Follow NOTIFY channels on a connection of its own that comes back after every outage."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from db.pool import Connection, DatabaseUnavailable, connect, outages

_log = logging.getLogger(__name__)

# Whoever committed in this process is on its way to answer a person: what follows from it comes after that.
_BEHIND_S = 0.005


@asynccontextmanager
async def listening(
    url: str,
    channels: Sequence[str],
    *,
    on_notify: Callable[[str, str], None],
    on_resync: Callable[[], None],
    heartbeat_s: float = 10.0,
) -> AsyncIterator[None]:
    """Call `on_notify(channel, payload)` for each NOTIFY, and `on_resync()` after every connect.

    What is sent while the connection is away is lost, so `on_resync` takes everything that the channels tell about as
    changed. Both are called on the event loop and must not block. Entering never waits for PostgreSQL. A connection
    that does not answer a heartbeat within `heartbeat_s` is given up; the pause between attempts grows from 0.1 to 5 s.
    """
    task = asyncio.create_task(_follow(url, channels, on_notify, on_resync, heartbeat_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _follow(
    url: str,
    channels: Sequence[str],
    on_notify: Callable[[str, str], None],
    on_resync: Callable[[], None],
    heartbeat_s: float,
) -> None:
    pause = 0.1
    while True:
        try:
            connection = await connect(url, role="pulse_service")
            try:
                with outages(connection):
                    lost = await _subscribe(connection, channels, on_notify)
                    asyncio.get_running_loop().call_soon(on_resync)
                    pause = 0.1
                    await _beat(connection, lost, heartbeat_s)
            finally:
                connection.terminate()
        except DatabaseUnavailable as error:
            _log.warning("Listener lost PostgreSQL: %s", error)
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(pause * 2, 5.0)


async def _subscribe(
    connection: Connection, channels: Sequence[str], on_notify: Callable[[str, str], None]
) -> asyncio.Event:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    loop = asyncio.get_running_loop()

    def hear(_connection: object, _pid: int, name: str, payload: str) -> None:
        loop.call_later(_BEHIND_S, on_notify, name, payload)

    for channel in channels:
        await connection.add_listener(channel, hear)
    return lost


async def _beat(connection: Connection, lost: asyncio.Event, heartbeat_s: float) -> None:
    while not lost.is_set():
        try:
            async with asyncio.timeout(heartbeat_s):
                await lost.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=heartbeat_s)
