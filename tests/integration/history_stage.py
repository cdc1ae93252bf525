"""A source whose clock stands where a test puts it, and what collects from it; as a program, a worker that dies."""

import asyncio
import os
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
from obstore.store import LocalStore

from db.pool import Database
from services import jobs
from services.chart_pool import ChartPool
from services.clock import Calendar
from services.data_sync import DataSync
from services.errors import NoChain, UnknownSymbol
from services.expiration import day_number
from services.feeds.base import Chain, Feed, Offer, Quote
from services.jobs import Job, Worker
from services.market import Market
from services.storage import Storage

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
CALENDAR = Calendar(
    tuple(
        (datetime(2026, 11, day, 14, 30, tzinfo=UTC), datetime(2026, 11, day, 21, tzinfo=UTC))
        for day in (18, 19, 20, 23, 24, 25)
    )
)
OPENS, CLOSES = CALENDAR.sessions[2]
SLOT = OPENS + timedelta(minutes=35)
EVERY = timedelta(minutes=5)
LATE = timedelta(minutes=15)


class Source(Feed):
    """Chains of every symbol in `spots`, `LATE` behind its clock."""

    name = "stage"
    offers = frozenset(Offer)

    def __init__(self, at=SLOT, delay=LATE):
        self.at, self.delay = at, delay
        self.spots = {"SPY": 600.0, "QQQ": 500.0}
        self.wrong = {}
        self.asked = []
        self.stuck = None
        self.day_close = None

    async def listings(self):
        return ()

    async def quotes(self, symbols):
        known = [symbol for symbol in symbols if symbol in self.spots]
        return {
            s: Quote(
                s,
                Decimal(str(self.spots[s])),
                self.at,
                "Stage",
                timedelta(),
                previous_close=Decimal(400),
                day_close=self.day_close,
            )
            for s in known
        }

    async def chain(self, symbol):
        self.asked.append(symbol)
        await asyncio.sleep(0)
        if symbol in self.wrong:
            raise self.wrong[symbol]
        if symbol == "BARE":
            raise NoChain(symbol)
        if symbol not in self.spots:
            raise UnknownSymbol(symbol)
        return chain(symbol, self.spots[symbol], self.stuck or self.at - (self.delay or timedelta()), self.delay)

    def now(self):
        return self.at


def chain(symbol, spot, as_of, delay=LATE):
    """A small chain around spot: today's, Monday's and December's expiries, more calls above and more puts below."""
    strikes = spot * np.linspace(0.9, 1.1, 21)
    strike = np.repeat(np.round(strikes), 6)
    is_call = np.tile([True, False], 63)
    expiry = np.tile(np.repeat([day_number(FRIDAY), day_number(MONDAY), day_number(date(2026, 12, 18))], 2), 21)
    above = strike > spot
    ones = np.ones(126)
    return Chain(
        symbol=symbol,
        spot=spot,
        as_of=as_of,
        source="Stage",
        delay=delay,
        open_interest_date=date(2026, 11, 19),
        strike=strike,
        expiry=expiry.astype(np.int32),
        is_call=is_call,
        am_settled=np.zeros(126, bool),
        bid=ones,
        ask=ones * 1.2,
        iv=ones * 0.2,
        gamma=ones * np.nan,
        delta=ones * np.nan,
        open_interest=np.where(is_call == above, 900.0, 300.0),
        volume=ones * 10,
    )


class Stage:
    """A source and the data sync over it."""

    def __init__(self, database, pool, storage, source=None):
        self.database, self.pool, self.storage = database, pool, storage
        self.source = source or Source()
        self.market = Market([self.source], CALENDAR)
        self.sync = self.worker_like()

    def worker_like(self, symbols=("SPY", "QQQ")):
        """Another worker's data sync, with memories of its own."""
        market = Market([self.source], CALENDAR)
        return DataSync(self.database, market, self.pool, self.storage, symbols=symbols, every=EVERY)

    def jobs(self, sync=None):
        sync = sync or self.sync
        return {"history": Job(sync.begin), "history.close": Job(sync.begin_close), "history.point": Job(sync.point)}

    async def point(self, symbol="SPY", slot=SLOT, closing=False):
        # another clock is another moment, so nothing is kept from the one before
        await self.worker_like().point({"symbol": symbol, "slot": slot.isoformat(), "closing": closing})

    async def stored(self, columns="symbol, slot"):
        async with self.database.acquire() as conn:
            return [
                tuple(row.values())
                for row in await conn.fetch(f"SELECT {columns} FROM app.gamma_history ORDER BY 1, 2")
            ]

    async def handed_out(self):
        """Take the symbols whose slots wait to be collected, first to last."""
        async with self.database.acquire() as conn:
            rows = await conn.fetch("DELETE FROM app.jobs RETURNING payload::jsonb ->> 'symbol' AS symbol, due_at")
        return [row["symbol"] for row in sorted(rows, key=lambda row: row["due_at"])]

    async def files(self):
        return sorted([key async for some in self.storage.keys() for key in some])  # noqa: SIM118 - no dictionary


class Dying(Storage):
    """Its process ends when the file is there and the row is not."""

    async def put(self, key, data):
        await super().put(key, data)
        print("kept", key, flush=True)
        os._exit(9)


async def main(url, folder):
    jobs.LEASE, jobs.RENEW_S = timedelta(seconds=0.5), 0.1
    stage = Stage(await Database.open(url), ChartPool(), Dying(LocalStore(Path(folder))))
    await Worker(stage.database, stage.jobs()).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
