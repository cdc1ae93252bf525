"""`pulse plan`: which plan a person has, and giving them another one."""

import argparse

from db import users
from db.pool import Database
from services.errors import outages_told
from services.plans import Plan

DEFAULT = "default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pulse plan`."""
    parser.add_argument("user_id", metavar="USER_ID", type=_user_id, help="Discord id of the person")
    words = f"{', '.join(Plan)}, or `{DEFAULT}` for that of DEFAULT_PLAN; left out, the present one is shown"
    parser.add_argument(
        "plan", metavar="PLAN", nargs="?", choices=[*(plan.value for plan in Plan), DEFAULT], help=words
    )


async def run(arguments: argparse.Namespace, database: Database, default: Plan) -> str:
    """Return what `pulse plan` prints; every bot knows of a change at once. Raises DatabaseAway."""
    user_id: int = arguments.user_id
    with outages_told():
        if arguments.plan:
            async with database.transaction() as conn:
                await users.set_plan(conn, user_id, None if arguments.plan == DEFAULT else arguments.plan)
        async with database.as_user(user_id) as conn:
            person = await users.get_person(conn, user_id)
    plan = person.plan if person else None
    return f"{user_id} has the plan {plan or f'{default} (the default)'}"


def _user_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text} is not a Discord id: a number of 17 to 19 digits")
    return int(text)
