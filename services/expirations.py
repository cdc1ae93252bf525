"""The expirations of a chain one by one, those at the open apart from those at the close of the same day."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

from services.clock import new_york_day
from services.errors import NothingExpires, OtherVersion
from services.expiration import Expiry, choose, day_number, day_of, is_monthly, settlement
from services.feeds.base import Chain

_AM = "am"
_NEAREST = 4


class Expiration(NamedTuple):
    """A settlement that is still to come."""

    day: date
    am_settled: bool
    at: float
    """The settlement, as seconds since 1970 UTC."""
    monthly: bool

    @property
    def code(self) -> str:
        """How it is written in custom ids: `2026-12-18`, or `2026-12-18am` where it settles at the open."""
        return f"{self.day}{_AM if self.am_settled else ''}"

    def days_left(self, as_of: datetime) -> float:
        """Return the calendar days until it settles."""
        return (self.at - as_of.timestamp()) / 86_400


def expirations(chain: Chain) -> tuple[Expiration, ...]:
    """Return the expirations that are left, nearest first; raises NothingExpires when there are none."""
    # those at the open come before those at the close
    codes = np.unique(chain.expiry.astype(np.int64) * 2 + ~chain.am_settled).tolist()
    days = {day_of(code >> 1) for code in codes}
    found = (
        Expiration(day := day_of(code >> 1), not code & 1, settlement(code >> 1, not code & 1), is_monthly(day, days))
        for code in codes
    )
    left = tuple(each for each in found if each.at > chain.as_of.timestamp())
    if not left:
        raise NothingExpires(
            f"Every {chain.symbol} option in the data of {chain.as_of:%d %b %Y} has expired. "
            "Ask again when there is a newer chain."
        )
    return left


def find(listed: Sequence[Expiration], wanted: str, symbol: str, as_of: datetime) -> Expiration:
    """Return the expiration that a code, a date or a word of `Expiry` names; of one day, that at the close.

    A week or a month is its last expiration. Raises NothingExpires with those nearby, OtherVersion for other texts.
    """
    coded = next((each for each in listed if each.code == wanted), None)
    if coded:
        return coded
    try:
        which = Expiry(wanted) if wanted in set(Expiry) else date.fromisoformat(wanted.removesuffix(_AM))
    except ValueError as error:
        raise OtherVersion from error
    days = choose(which, list(dict.fromkeys(each.day for each in listed)), as_of)
    if not days:
        raise _none_then(listed, which, symbol, as_of)
    return next(each for each in reversed(listed) if each.day == days[-1])


def part(chain: Chain, expiration: Expiration) -> Chain:
    """Return the contracts of one expiration."""
    rows = (chain.expiry == day_number(expiration.day)) & (chain.am_settled == expiration.am_settled)
    columns = ((field.name, getattr(chain, field.name)) for field in fields(chain))
    return replace(chain, **{name: column[rows] for name, column in columns if isinstance(column, np.ndarray)})


def _none_then(listed: Sequence[Expiration], which: Expiry | date, symbol: str, as_of: datetime) -> NothingExpires:
    middle = new_york_day(as_of) if isinstance(which, Expiry) else which
    wish = "on a monthly date" if isinstance(which, Expiry) else f"on {which:%a} {which.day} {which:%b %Y}"
    days = sorted(dict.fromkeys(each.day for each in listed), key=lambda day: abs(day - middle))[:_NEAREST]
    near = ", ".join(f"{day:%a} {day.day} {day:%b %Y}" for day in sorted(days))
    return NothingExpires(f"No {symbol} option expires {wish}. Nearest: {near}.")
