"""`pulse vault`: keys for what is kept encrypted, and encrypting it anew under the first of them."""

import argparse
from collections.abc import Sequence

from services.errors import PulseError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pulse vault`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="key|rotate")
    actions.add_parser("key", help="print a new key for SECRET_KEYS")
    actions.add_parser("rotate", help="encrypt anew what is not under the first key; everything goes on meanwhile")


def told(key: str, sealed: int, unreadable: Sequence[int]) -> str:
    """Return what `pulse vault rotate` prints, `key` being the first key's id; raises PulseError where one is missing.

    `unreadable` has the ids of links that no key opens.
    """
    if unreadable:
        numbers = ", ".join(map(str, unreadable))
        raise PulseError(
            f"{sealed} encrypted anew under {key or 'no key'}, but no key in SECRET_KEYS opens the links {numbers}: "
            "put the missing one back at the end and run this again, or their owners have to link anew."
        )
    return f"{sealed} encrypted anew; everything is under {key or 'no key'} now, and the other keys may go."
