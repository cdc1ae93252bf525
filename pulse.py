"""The command `pulse`: one word for each thing that this product can be told to do."""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

# Everything else is imported where it is needed: helper processes import this module and must stay small.
if TYPE_CHECKING:
    from services.settings import Settings
    from services.wiring import Services

    Part = Callable[[Services, asyncio.Event], Coroutine[Any, Any, None]]

SERVING = {
    "bot": "speak Discord: commands, buttons, pictures",
    "web": "speak HTTP: health, callbacks, webhooks",
    "worker": "do the work that nobody waits for",
    "run": "bot, web and worker in one process",
}


def main(argv: Sequence[str] | None = None, *, env_file: str | None = ".env") -> int:
    """Run one command; returns the exit status, 2 for what the caller can mend."""
    arguments = _parser().parse_args(argv, argparse.Namespace(env_file=env_file))
    from pydantic import ValidationError

    from db.embedded import EmbeddedError
    from services.errors import PulseError

    try:
        status: int = arguments.command(arguments)
    except ValidationError as error:
        return _complain(*(_setting_error(dict(e)) for e in error.errors()))
    except (PulseError, EmbeddedError, OSError) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    from services import gamma_cli, jobs_cli, plan_cli, vault_cli

    parser = argparse.ArgumentParser(
        prog="pulse", description="A self-hosted trading assistant for Discord communities."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, words in SERVING.items():
        commands.add_parser(name, help=words).set_defaults(command=_serve, parts=name)
    commands.add_parser("migrate", help="bring the database to the newest schema").set_defaults(command=_migrate)
    demo = commands.add_parser("demo", help="the whole product on this machine, without any account")
    demo.add_argument("--port", type=_port, default=8080, help="port of the page (default 8080)")
    demo.set_defaults(command=_demo)
    jobs = commands.add_parser("jobs", help="work that was given up, and its replay")
    jobs_cli.add_arguments(jobs)
    jobs.set_defaults(command=_jobs)
    plan = commands.add_parser("plan", help="which plan a person has, or give them another one")
    plan_cli.add_arguments(plan)
    plan.set_defaults(command=_plan)
    vault = commands.add_parser("vault", help="keys for members' broker tokens")
    vault_cli.add_arguments(vault)
    vault.set_defaults(command=_vault)
    gamma = commands.add_parser("gamma", help="gamma levels of a symbol or of a recorded chain")
    gamma_cli.add_arguments(gamma)
    gamma.set_defaults(command=_gamma)
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not a port: choose a number from 1 to 65535")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    parts = _parts()
    chosen = list(parts.values()) if arguments.parts == "run" else [parts[arguments.parts]]
    asyncio.run(_until_stopped(settings, chosen))
    return 0


def _parts() -> "dict[str, Part]":
    from bot.app import serve as bot
    from services.worker import serve as worker
    from web.app import serve as web

    return {"bot": bot, "web": web, "worker": worker}


async def _until_stopped(settings: "Settings", parts: "Sequence[Part]") -> None:
    from services.wiring import open_services

    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with open_services(settings) as services:
        # What is loaded now stays: sweeping it again and again would hold up answers by some 15 ms each time.
        gc.collect()
        gc.freeze()
        running = [asyncio.create_task(part(services, stop)) for part in parts]
        try:
            await asyncio.gather(*running)
        finally:
            stop.set()
            await asyncio.gather(*running, return_exceptions=True)


def _migrate(arguments: argparse.Namespace) -> int:
    from services.wiring import migrate

    for name in asyncio.run(migrate(_settings(arguments))):
        print(name)
    return 0


def _jobs(arguments: argparse.Namespace) -> int:
    from services import jobs_cli
    from services.wiring import open_database

    async def run() -> str:
        async with open_database(_settings(arguments)) as database:
            return await jobs_cli.run(arguments, database)

    print(asyncio.run(run()))
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from services import plan_cli
    from services.wiring import open_database

    async def run() -> str:
        settings = _settings(arguments)
        async with open_database(settings) as database:
            return await plan_cli.run(arguments, database, settings.default_plan)

    print(asyncio.run(run()))
    return 0


def _vault(arguments: argparse.Namespace) -> int:
    from services import vault_cli
    from services.link_tokens import rotate
    from services.vault import make_key
    from services.wiring import open_database, open_vault

    async def run() -> str:
        settings = _settings(arguments)
        vault = open_vault(settings)
        async with open_database(settings) as database:
            done = await rotate(database, vault)
        return vault_cli.told(vault.key, done.sealed, done.unreadable)

    # a first key is wanted before the settings are complete
    print(make_key() if arguments.action == "key" else asyncio.run(run()))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from sandbox.demo import run

    return run(arguments.port)


def _gamma(arguments: argparse.Namespace) -> int:
    from services import gamma_cli
    from services.wiring import load_chain

    return gamma_cli.run(arguments, lambda symbol: asyncio.run(load_chain(_settings(arguments), symbol)))


def _settings(arguments: argparse.Namespace) -> "Settings":
    from services.log import setup_logging
    from services.settings import Settings

    settings = Settings(_env_file=arguments.env_file)  # type: ignore[call-arg]  # BaseSettings takes it
    setup_logging(settings.log_format, settings.log_level, settings.secrets())
    return settings


def _setting_error(error: dict[str, object]) -> str:
    place = error["loc"]
    name = str(place[0]).upper() if isinstance(place, tuple) and place else ""
    words = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {words}" if name else words


def _complain(*lines: str) -> int:
    print(*(f"pulse: {line}" for line in lines), sep="\n", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
