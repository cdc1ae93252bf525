"""A broker that fails in all the ways that leave doubt, in front of the real paper broker."""

import asyncio
import contextlib
import json
import mmap
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal

from db.order_models import Account, Balance, Position, Side, Tif
from services.brokers.base import Broker, Funds, NewOrder, Report
from services.errors import BrokerRejected, BrokerUnavailable, OutcomeUnknown

FAULTS = ("none", "before", "after", "reject", "hang before", "hang after", "late", "invisible")
LATE_AT_LOOKUP = 2
INVISIBLE_FOR = 2


class Memory:
    """What the outside world remembers while our processes are killed: shared by every fork."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 4096)
        self.clear()

    def clear(self) -> None:
        self.write({})

    def read(self) -> dict:
        return json.loads(self._page[:].rstrip(b"\0") or b"{}")

    def write(self, kept: dict) -> None:
        self._page[:] = json.dumps(kept).encode().ljust(len(self._page), b"\0")

    def add(self, name: str) -> int:
        """Count one more and return how many there were before."""
        kept = self.read()
        count = kept.get(name, 0)
        self.write(kept | {name: count + 1})
        return count


class Faulty:
    """Gives each send the next fault of a list, and none after its end."""

    name = "paper"
    keyed = True
    quiet = timedelta(seconds=30)

    def __init__(self, venue: Broker, faults: Sequence[str], memory: Memory) -> None:
        self._venue, self._faults, self._memory = venue, faults, memory

    async def submit(self, account: Account, order: NewOrder) -> Report:
        count = self._memory.add("sends")
        fault = self._faults[count] if count < len(self._faults) else "none"
        match fault:
            case "before":
                raise BrokerUnavailable("connection refused")
            case "reject":
                raise BrokerRejected("not today")
            case "hang before":
                await asyncio.sleep(9)
            case "late":
                late = {k: str(v) for k, v in asdict(order).items()}
                self._memory.write(self._memory.read() | {"late": late, "late_after": LATE_AT_LOOKUP})
                raise OutcomeUnknown("reset while waiting")
        report = await self._venue.submit(account, order)
        match fault:
            case "after":
                raise OutcomeUnknown("the answer cannot be read")
            case "hang after":
                await asyncio.sleep(9)
            case "invisible":
                self._memory.write(self._memory.read() | {"invisible": INVISIBLE_FOR})
                raise OutcomeUnknown("reset while waiting")
        return report

    async def lookup(self, account: Account, client_order_id: str) -> Report | None:
        kept = self._memory.read()
        if kept.get("invisible", 0) > 0:
            self._memory.write(kept | {"invisible": kept["invisible"] - 1})
            return None
        await self._arrive(account, kept)
        return await self._venue.lookup(account, client_order_id)

    async def _arrive(self, account: Account, kept: dict) -> None:
        if "late" not in kept:
            return
        if kept["late_after"] > 0:
            self._memory.write(kept | {"late_after": kept["late_after"] - 1})
            return
        late = kept.pop("late")
        self._memory.write(kept)
        order = NewOrder(
            late["client_order_id"],
            late["symbol"],
            Side(late["side"]),
            int(late["quantity"]),
            Decimal(late["limit"]),
            Tif(late["tif"]),
        )
        with contextlib.suppress(OutcomeUnknown):  # a resend was faster, and the id stopped this one
            await self._venue.submit(account, order)

    async def cancel(self, account: Account, client_order_id: str) -> Report | None:
        return await self._venue.cancel(account, client_order_id)

    async def changed(self) -> Sequence[str]:
        return await self._venue.changed()

    async def funds(self, account: Account, symbol: str) -> Funds:
        return await self._venue.funds(account, symbol)

    async def positions(self, account: Account) -> Sequence[Position]:
        return await self._venue.positions(account)

    async def balance(self, account: Account) -> Balance:
        return await self._venue.balance(account)
