"""`pulse jobs`: the jobs that were given up, and their replay."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC

from db import jobs
from db.models import HeldJob
from db.pool import Database
from services.errors import outages_told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pulse jobs`."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    actions = parser.add_subparsers(dest="action", metavar="replay")
    replay = actions.add_parser("replay", help="let held jobs start again from the beginning")
    replay.add_argument("ids", nargs="+", metavar="ID", type=_number, help="numbers of held jobs, or `all`")


async def run(arguments: argparse.Namespace, database: Database) -> str:
    """Return what `pulse jobs` prints. Raises DatabaseAway."""
    with outages_told():
        async with database.transaction() as conn:
            if arguments.action == "replay":
                ids = None if None in arguments.ids else arguments.ids
                return _replayed(await jobs.replay_held(conn, ids), ids)
            held = await jobs.list_held(conn)
    return _as_json(held) if arguments.json else _as_text(held)


def _number(text: str) -> int | None:
    return None if text == "all" else int(text)


def _replayed(replayed: Sequence[int], asked: Sequence[int] | None) -> str:
    lines = [f"{job_id} starts again" for job_id in replayed]
    lines += [f"{job_id} is not held" for job_id in asked or () if job_id not in replayed]
    return "\n".join(lines) or "No job is held."


def _as_text(held: Sequence[HeldJob]) -> str:
    if not held:
        return "No job is held."
    lines = [
        f"{job.id}  {job.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC  {job.name}  {json.dumps(dict(job.payload))}\n"
        f"    {job.starts} starts; {job.error}"
        for job in held
    ]
    return "\n".join(
        [*lines, f"`pulse jobs replay {held[0].id}` starts one again, `pulse jobs replay all` all of them."]
    )


def _as_json(held: Sequence[HeldJob]) -> str:
    rows = [
        {
            "id": job.id,
            "name": job.name,
            "payload": dict(job.payload),
            "starts": job.starts,
            "error": job.error,
            "created_at": job.created_at.isoformat(),
        }
        for job in held
    ]
    return json.dumps(rows, indent=2)
