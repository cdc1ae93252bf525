"""Accounts that people trade in: the paper account is opened at its first use."""

from datetime import datetime
from decimal import Decimal

from db import accounts
from db.order_models import Account, Limits
from db.pool import Connection, Database
from services.errors import UserError, outages_told

MOST_COLLAR_BP = 200
MOST_DRIFT_BP = 500


class Accounts:
    """Who trades where, and within which limits of their own."""

    def __init__(self, database: Database, paper_cash: Decimal) -> None:
        self._database = database
        self._paper_cash = paper_cash

    async def paper(self, user_id: int, now: datetime) -> Account:
        """Return a person's paper account, opened with the operator's cash at its first use; raises DatabaseAway."""

        async def read_or_open() -> Account:
            async with self._database.transaction() as conn:
                account = await accounts.get_account(conn, user_id, "paper")
                account = account or await self.open_paper(conn, user_id, now)
                # None: somebody else has opened it a moment ago, and the next statement sees it
                account = account or await accounts.get_account(conn, user_id, "paper")
            assert account is not None, "an account that cannot be opened twice is open"
            return account

        with outages_told():
            return await self._database.retry(read_or_open, within_s=1.0)

    async def open_paper(self, conn: Connection, user_id: int, now: datetime) -> Account | None:
        """Open a paper account in the caller's transaction; None where one is open."""
        return await accounts.add_paper_account(conn, user_id, self._paper_cash, now)

    async def get_limits(self, user_id: int) -> Limits:
        """Return what a person allows themself; raises DatabaseAway."""
        with outages_told():
            async with self._database.as_user(user_id) as conn:
                return await accounts.get_limits(conn, user_id)

    async def set_limits(self, limits: Limits) -> Limits:
        """Remember a person's limits; raises UserError for impossible ones, DatabaseAway."""
        _check(limits)

        async def write() -> None:
            async with self._database.as_user(limits.user_id) as conn:
                await accounts.set_limits(conn, limits)

        with outages_told():
            await self._database.retry(write, within_s=1.0)
        return limits


def _check(limits: Limits) -> None:
    if any(cap is not None and cap <= 0 for cap in (limits.max_order, limits.max_day)):
        raise UserError("A limit of money must be above $0. Leave it out to have none of your own.")
    if not 1 <= limits.collar_bp <= MOST_COLLAR_BP:
        raise UserError(f"The collar of market orders can be 0.01 % to {MOST_COLLAR_BP / 100:.0f} %.")
    if limits.drift_bp is not None and not 0 <= limits.drift_bp <= MOST_DRIFT_BP:
        raise UserError(f"The allowed drift can be 0 % to {MOST_DRIFT_BP / 100:.0f} %.")
