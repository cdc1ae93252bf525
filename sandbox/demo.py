"""`pulse demo`: the real product beside a stand-in for all that lies outside."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
from aiohttp import web

from sandbox.app import build
from sandbox.brokers import Brokers
from sandbox.discord.server import Discord
from sandbox.discord.world import opening_bell
from sandbox.grants import Client
from sandbox.market import DAYS_BACK, Market
from services.clock import load_calendar_apart
from services.errors import PulseError
from services.vault import make_key

HOST = "127.0.0.1"
READY_WITHIN_S = 60.0
POLL_S = 0.05
STOP_WITHIN_S = 15.0


def run(port: int) -> int:
    """Run until Ctrl-C or SIGTERM; raises PulseError when something is in the way or the product ends by itself."""
    home = Path(os.environ.get("PULSE_HOME") or "~/.pulse").expanduser().absolute()
    log = home / f"demo-{port}.log"
    try:
        home.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise PulseError(
            f"PULSE_HOME {home} cannot be used ({error.strerror}): set PULSE_HOME to a folder of your own"
        ) from error
    if asyncio.run(_run(_listen(port), port, home, log)):
        return 0
    raise PulseError(f"the product ended by itself; the end of {log}:\n{_tail(log)}")


async def _run(listener: socket.socket, port: int, home: Path, log: Path) -> bool:
    """Tell whether the demo was stopped, and did not end by itself."""
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    web_port = _web_port()
    token = f"demo.{secrets.token_urlsafe(24)}"
    async with AsyncExitStack() as stack:
        environment = {**_surroundings(port, web_port, token, home), "PULSE_HOME": str(home)}
        product = await _start(environment, log)
        stack.push_async_callback(_stop, product)
        discord = Discord(
            token=token,
            base_url=f"http://{HOST}:{port}",
            client_secret=environment.get("DISCORD_CLIENT_SECRET"),
            redirects=(f"{environment['PUBLIC_URL'].rstrip('/')}/auth/discord/callback",),
            elsewhere="DISCORD_TOKEN" in os.environ,
        )
        market = Market((await load_calendar_apart(DAYS_BACK)).sessions)
        await stack.enter_async_context(_sandbox(listener, discord, market, _brokers(environment, home)))
        # First to go, so that it can take its leave of the others.
        stack.push_async_callback(_stop, product)
        ended = asyncio.create_task(product.wait())
        stopped = asyncio.create_task(stop.wait())
        if await _ready(web_port, ended, stopped, log):
            print(_greeting(port, log), flush=True)
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    return stop.is_set()


def _surroundings(port: int, web_port: int, token: str, home: Path) -> dict[str, str]:
    """Return the environment that points the product at the sandbox, except for what the caller has set."""
    here = f"http://{HOST}:{port}"
    given = {name: value for name, value in os.environ.items() if value}
    defaults = {
        "ALPACA_DATA_KEY": token,
        "ALPACA_DATA_SECRET": token,
        "ALPACA_DATA_URL": f"{here}/alpaca/data",
        "ALPACA_PAPER_API_URL": f"{here}/alpaca/paper",
        "ALPACA_STREAM_URL": f"ws://{HOST}:{port}/alpaca/data",
        "TRADIER_DATA_TOKEN": token,
        "TRADIER_API_URL": f"{here}/tradier/v1",
        "CBOE_URL": f"{here}/cboe",
        "FEEDS": "alpaca",
        "PUBLIC_URL": f"http://{HOST}:{web_port}",
    }
    if "DISCORD_TOKEN" not in given:
        defaults |= {
            "DISCORD_TOKEN": token,
            "DISCORD_API_URL": f"{here}/api/v10",
            "DISCORD_APPLICATION_ID": opening_bell().application_id,
            "DISCORD_CLIENT_SECRET": token,
        }
    # Whoever links an account signs in with Discord first, which takes the application's own secret.
    if "DISCORD_CLIENT_SECRET" in defaults | given:
        defaults |= _links(here, token) | ({} if "SECRET_KEYS" in given else {"SECRET_KEYS": _secret_keys(home)})
    return {**defaults, **given, "WEB_PORT": str(web_port)}


def _links(here: str, token: str) -> dict[str, str]:
    return {
        "ALPACA_CLIENT_ID": "sandbox",
        "ALPACA_CLIENT_SECRET": token,
        "ALPACA_AUTHORIZE_URL": f"{here}/alpaca/oauth/authorize",
        "ALPACA_TOKEN_URL": f"{here}/alpaca/live/oauth/token",
        "ALPACA_API_URL": f"{here}/alpaca/live",
        "TRADIER_CLIENT_ID": "sandbox",
        "TRADIER_CLIENT_SECRET": token,
    }


def _secret_keys(home: Path) -> str:
    """Return the keys that this folder's tokens are encrypted with, made at first."""
    kept = home / "secret-keys"
    if not kept.exists():
        fresh = kept.with_suffix(".new")
        fresh.touch(0o600)
        fresh.write_text(make_key())
        fresh.replace(kept)
    return kept.read_text()


def _brokers(environment: dict[str, str], home: Path) -> Brokers:
    def client(broker: str) -> Client:
        back = f"{environment['PUBLIC_URL'].rstrip('/')}/broker-oauth/callback/{broker}"
        name = broker.upper()
        return Client(environment.get(f"{name}_CLIENT_ID"), environment.get(f"{name}_CLIENT_SECRET"), (back,))

    return Brokers(
        keys={environment["ALPACA_DATA_KEY"], environment["TRADIER_DATA_TOKEN"]},
        alpaca=client("alpaca"),
        tradier=client("tradier"),
        kept=home / "demo-links.json",
    )


def _listen(port: int) -> socket.socket:
    """Return a listening socket, so that whoever connects early waits instead of failing."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise PulseError(f"port {port} is taken; choose another one, e.g. `make demo PORT={port + 10}`") from error
    listener.listen(128)
    return listener


def _web_port() -> int:
    given = os.environ.get("WEB_PORT") or "0"
    if not (given.isdecimal() and int(given) <= 65535):
        raise PulseError(f"WEB_PORT {given} is not a port: choose a number up to 65535; 0 or nothing takes a free one")
    return int(given) or _free_port()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def _start(environment: dict[str, str], log: Path) -> Process:
    """Start bot, web and worker in one process of their own, which ends when this one is gone."""
    # the product brings only the embedded server to the newest schema by itself
    commands = ("migrate", "run") if environment.get("DATABASE_URL") else ("run",)
    with log.open("wb") as out:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox.tether", *commands, stdin=PIPE, stdout=out, stderr=out, env=environment
        )


async def _stop(product: Process) -> None:
    if product.stdin:
        product.stdin.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(product.wait(), STOP_WITHIN_S)
    if product.returncode is None:
        product.kill()
        await product.wait()


@asynccontextmanager
async def _sandbox(listener: socket.socket, discord: Discord, market: Market, brokers: Brokers) -> AsyncIterator[None]:
    runner = web.AppRunner(build(discord, market, brokers), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await discord.close()
        await market.close()
        await runner.cleanup()


async def _ready(web_port: int, ended: "asyncio.Task[int]", stopped: "asyncio.Task[bool]", log: Path) -> bool:
    """Wait until the product says that it is; False when it ended or was stopped before."""
    reasons = "it does not answer"
    try:
        async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient(timeout=2.0) as client:
            while not (ended.done() or stopped.done()):
                with suppress(httpx.HTTPError, ValueError, KeyError):  # not ours, if it answers something else
                    answer = await client.get(f"http://{HOST}:{web_port}/readyz")
                    if answer.is_success:
                        return True
                    reasons = _reasons(answer)
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise PulseError(f"the product was not ready within {READY_WITHIN_S:g} s: {reasons}. Log: {log}") from error
    return False


def _reasons(answer: httpx.Response) -> str:
    parts = answer.json()["parts"]
    return "; ".join(f"{name} {part['detail']}" for name, part in parts.items() if not part["ok"])


def _greeting(port: int, log: Path) -> str:
    here = f"http://{HOST}:{port}"
    type_this = "/quote symbols:SPY, /gamma symbol:SPX or /help"
    end = f"Ctrl-C stops everything. Log: {log}"
    if os.environ.get("DISCORD_TOKEN"):
        return (
            f"{here} holds the market's controls.\nPulseEngine is online on your Discord: type {type_this} there. {end}"
        )
    return f"{here}\nOpen it and type {type_this}. {end}"


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    complaint = next((number for number, line in enumerate(lines) if line.startswith("pulse: ")), -15)
    return "\n".join(lines[complaint:])
