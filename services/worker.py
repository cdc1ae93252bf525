"""The work that nobody waits for: jobs, the timetable, and what follows the market second by second."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from db import jobs as stored_jobs
from db import notices as stored_notices
from db import usage as stored_usage
from db.pool import DatabaseUnavailable
from services import listings
from services.feeds.base import Offer
from services.jobs import Again, Job, Worker
from services.notices import IN_PLACE, KEPT
from services.timetable import Entry, Moment, Timetable, at_close, at_open, every, while_open
from services.watches import EVERY_MIN
from services.wiring import Services

DAY_S = 24 * 3600.0
LINKS_EVERY_S = 300.0
RETRY_S = 60.0
FOLLOW_EVERY_S = 1.0
MARKET_TIME_EVERY_S = 10.0
MINUTE = timedelta(minutes=1)
TICKS_KEPT = timedelta(days=7)
REPLACED_KEPT = timedelta(days=1)
COUNTERS_KEPT = timedelta(days=35)

log = structlog.get_logger(__name__)


async def serve(services: Services, stop: asyncio.Event) -> None:
    """Work until `stop`."""

    def now() -> Moment:
        return Moment(datetime.now(UTC), services.market.now(), services.market.calendar)

    services.health.report("worker", ok=True, detail="working")
    following = [
        asyncio.create_task(_again_and_again("orders", services.execution.follow)),
        asyncio.create_task(_again_and_again("market time", services.market.keep_time, MARKET_TIME_EVERY_S)),
    ]
    if services.watch:
        following.append(asyncio.create_task(_again_and_again("alerts", services.watch.run)))
    try:
        async with Timetable(services.database, timetable(services), now).running():
            await Worker(services.database, known_jobs(services)).run(stop)
    finally:
        for task in following:
            task.cancel()
        await asyncio.wait(following)


async def _again_and_again(what: str, work: Callable[[], Awaitable[None]], every_s: float = FOLLOW_EVERY_S) -> None:
    while True:
        try:
            await work()
        except DatabaseUnavailable as error:
            log.warning("not followed", what=what, error=str(error))
        except Exception:
            log.exception("not followed", what=what)
        await asyncio.sleep(every_s)


def known_jobs(services: Services) -> dict[str, Job]:
    """Return every job by its name."""

    async def store_symbols(_payload: Mapping[str, Any]) -> None:
        if failures := await listings.sync(services.market.offering(Offer.LISTINGS), services.database):
            raise Again(RETRY_S) from failures[0]

    async def tidy(_payload: Mapping[str, Any]) -> None:
        async with services.database.transaction() as conn:
            await stored_jobs.forget_ticks(conn, TICKS_KEPT)
            await stored_notices.forget_delivered(conn, KEPT)
            await stored_notices.forget_replaced(conn, list(IN_PLACE), REPLACED_KEPT)
            await stored_usage.forget_used(conn, datetime.now(UTC).date() - COUNTERS_KEPT)
        settings = services.settings
        await services.data_sync.tidy(
            points=timedelta(days=settings.history_days), files=timedelta(days=settings.chain_files_days)
        )

    async def settle(payload: Mapping[str, Any]) -> None:
        await services.execution.settle(payload["order_id"])

    return {
        "settle": Job(settle),
        "links.refresh": Job(services.links.refresh, at_once=1),
        "links.tidy": Job(services.links.tidy, at_once=1),
        "board.open": Job(services.boards.opening, at_once=1),
        "board.close": Job(services.boards.closing, at_once=1),
        **{f"watch.{minutes}": Job(partial(services.watches.tick, every_min=minutes)) for minutes in EVERY_MIN},
        "watch.open": Job(services.watches.tick),
        "watch.close": Job(services.watches.tick),
        "watch.show": Job(services.watches.show),
        "watch.removed": Job(services.watches.removed),
        "history": Job(services.data_sync.begin),
        "history.close": Job(services.data_sync.begin_close),
        "history.point": Job(services.data_sync.point, at_once=1),
        "symbols": Job(store_symbols, at_once=1),
        "tidy": Job(tidy, at_once=1),
    }


def timetable(services: Services) -> Sequence[Entry]:
    """Return what happens by the clock, each line the name of a job."""
    feeds = ",".join(feed.name for feed in services.market.feeds)
    return [
        at_open("board.open", after=MINUTE),
        at_close("board.close", after=MINUTE),
        *(while_open(f"watch.{minutes}", timedelta(minutes=minutes)) for minutes in EVERY_MIN),
        at_open("watch.open", after=MINUTE),
        at_close("watch.close", after=MINUTE),
        while_open("history", timedelta(minutes=services.settings.history_every_min)),
        at_close("history.close"),
        every("links.refresh", LINKS_EVERY_S),
        every("links.tidy", LINKS_EVERY_S),
        every("symbols", DAY_S, of=feeds),
        every("tidy", DAY_S),
    ]
