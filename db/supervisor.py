"""Keep the embedded PostgreSQL running, in a process of its own, for as long as any process holds `users.lock`."""

# Started by `db.embedded` as a script (`python -I -S supervisor.py FOLDER BINARIES`) with the standard library only: it
# has to outlive a killed parent, start in milliseconds and cost little memory. What it prints goes to postgres.log.

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "io_method": "sync",
    "jit": "off",
    "autovacuum_max_workers": "1",
    "max_worker_processes": "1",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "fsync": "on",
    "synchronous_commit": "on",
}


ROOT_ADVICE = (
    "PostgreSQL does not run as root but as the account nobody: run as a normal user, install setpriv (package"
    " util-linux) and leave root its capabilities, or put PULSE_HOME and the virtual environment into folders that all"
    " may enter (chmod o+x)."
)


def main(folder: Path, binaries: Path) -> None:
    supervisor = lock(folder / "supervisor.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if supervisor is None:
        return  # another one does it already
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    account = Account(folder, binaries)
    held = stop_orphan(folder)
    if not (folder / "data").exists():
        create_cluster(folder, binaries, account, held)
    os.close(held)
    if not (folder / "secrets.json").exists():
        sys.exit(f"{folder}/secrets.json is missing: put it back, or remove {folder} to start with an empty database")
    sockets = socket_folder(folder)
    if os.fork():
        os._exit(0)  # tells the caller that the server is on its way
    try:
        supervise(folder, sockets, binaries, account)
    finally:
        with contextlib.suppress(OSError):
            sockets.rmdir()
        os.close(supervisor)  # before `users.lock` goes with the process: who gets that one must be able to supervise


def lock(path: Path, operation: int) -> int | None:
    """Take a flock and return its descriptor, or None where LOCK_NB finds it held by another process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class Account:
    """Who runs the server: the caller, or `nobody` in place of root, which PostgreSQL refuses."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.prefix: list[str] = []
        self.options: dict[str, Any] = {}
        if self.uid:
            return
        nobody = pwd.getpwnam("nobody")
        self.uid, self.gid = nobody.pw_uid, nobody.pw_gid
        closed = [
            parent
            for path in (folder, binaries)
            for parent in (path, *path.parents)
            if not parent.stat().st_mode & stat.S_IXOTH
        ]
        setpriv = shutil.which("setpriv")
        if not closed:
            self.options = {"user": self.uid, "group": self.gid, "extra_groups": []}
        elif setpriv:
            # a checkout below /root or a private PULSE_HOME: the server may pass closed folders, and their modes stay
            identity = (f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups")
            capability = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
            # PostgreSQL looks for its programs with access(2), which heeds the capability with this bit only
            self.prefix = [setpriv, *identity, *capability, "--securebits=+no_setuid_fixup", "--"]
        else:
            sys.exit(f"The account nobody cannot enter {closed[-1]}, and setpriv is not installed. {ROOT_ADVICE}")

    def start(self, held: int, *command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        arguments = [*self.prefix, *command]
        options |= self.options | {"pass_fds": [held], "cwd": "/", "env": {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}}
        try:
            return subprocess.Popen(arguments, **options)  # noqa: S603 the binaries of the wheel
        except PermissionError as error:
            sys.exit(f"{command[0]}: {error}. {ROOT_ADVICE if os.geteuid() == 0 else ''}")

    def run(self, held: int, *command: str | Path, script: str = "") -> None:
        with self.start(held, *command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            process.communicate(script.encode())
        if process.returncode:
            sys.exit(f"{command[0]} ended with {process.returncode}. {ROOT_ADVICE if os.geteuid() == 0 else ''}")


def stop_orphan(folder: Path) -> int:
    # all that we start inherits `server.lock`, so it tells, without trusting a pid, whether some of it is still there
    while (held := lock(folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / "data" / "postmaster.pid").read_text().partition("\n")[0]), signal.SIGINT)
        time.sleep(0.05)
    return held


def create_cluster(folder: Path, binaries: Path, account: Account, held: int) -> None:
    new = folder / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    os.chown(new, account.uid, account.gid)
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
    # "trust" lasts until the next lines: nothing can connect before the folder is renamed
    options = ("--username=postgres", "--auth=trust", "--data-checksums", "--no-instructions", *locale)
    account.run(held, binaries / "initdb", "-D", new, *options)
    (new / "pg_hba.conf").write_text("local all all scram-sha-256\n")
    secrets = {name: os.urandom(24).hex() for name in ("superuser", "pulse", "socket")}
    script = (
        f"ALTER ROLE postgres PASSWORD '{secrets['superuser']}'\n"
        f"CREATE ROLE pulse LOGIN CREATEROLE PASSWORD '{secrets['pulse']}'\n"
        "CREATE DATABASE pulse OWNER pulse\n"
    )
    single = ("--single", "-D", new, "-c", "log_checkpoints=off", "-c", "exit_on_error=on", "postgres")
    account.run(held, binaries / "postgres", *single, script=script)
    kept = folder / "secrets.new"
    kept.touch(mode=0o600)
    with kept.open("w") as file:
        json.dump(secrets, file)
        file.flush()
        os.fsync(file.fileno())
    kept.rename(folder / "secrets.json")
    new.rename(folder / "data")


def socket_folder(folder: Path) -> Path:
    """Return where the server of `folder` has its socket: inside, or below a short path where that one is too long."""
    inside = folder / "sockets"
    fits = len(os.fsencode(inside / ".s.PGSQL.5432")) <= 103  # on macOS; Linux takes 107
    if fits and not {",", '"'} & set(str(inside)):
        return inside
    name = json.loads((folder / "secrets.json").read_text())["socket"]
    return Path(f"/tmp/pulse-{name[:12]}")  # noqa: S108 a random name, and a folder of our own with mode 0700


def supervise(folder: Path, sockets: Path, binaries: Path, account: Account) -> None:
    settings = SETTINGS | {"unix_socket_directories": f'"{sockets}"'}
    options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
    pause = 0.0
    while True:
        held = lock(folder / "server.lock", fcntl.LOCK_EX)  # waits for the last process of a killed server
        assert held is not None
        clear_leftovers(folder, sockets, account)
        started = time.monotonic()
        server = account.start(held, binaries / "postgres", "-D", folder / "data", *options, stdin=subprocess.DEVNULL)
        os.close(held)
        if wait(server, folder / "users.lock"):
            return
        if server.returncode > 0 and not pause:  # the first start; later ones may fail for a while, as on a full disk
            sys.exit(f"postgres ended with {server.returncode}")
        sys.stderr.write(f"postgres ended with {server.returncode}; starting it again\n")
        pause = 0.05 if time.monotonic() - started > 10 else min(max(pause * 2, 0.05), 5)
        time.sleep(pause)


def clear_leftovers(folder: Path, sockets: Path, account: Account) -> None:
    # postgres takes a recycled pid in the leftovers of a killed server for a live one; `server.lock` knows better
    (folder / "data" / "postmaster.pid").unlink(missing_ok=True)
    sockets.mkdir(mode=0o700, exist_ok=True)
    status = sockets.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), account.uid}:
        sys.exit(f"{sockets} is not our folder; remove it")
    for leftover in sockets.iterdir():
        leftover.unlink()
    os.chown(sockets, account.uid, account.gid)


def wait(server: subprocess.Popen[bytes], users: Path) -> bool:
    # True: nobody used it any more, and it was stopped. The lock stays taken until this process ends.
    try:
        while server.poll() is None:
            if lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB) is not None:
                return True
            time.sleep(0.1)
        return False
    finally:
        if server.poll() is None:
            stop(server)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
