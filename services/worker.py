"""The work that nobody waits for; today, keeping the list of symbols."""

import asyncio
import contextlib

import structlog

from db.pool import DatabaseUnavailable
from services import listings
from services.errors import FeedUnavailable
from services.wiring import Services

SYNC_EVERY_S = 24 * 3600.0
RETRY_S = 60.0

log = structlog.get_logger(__name__)


async def serve(services: Services, stop: asyncio.Event) -> None:
    """Work until `stop`."""
    services.health.report("worker", ok=True, detail="working")
    while not stop.is_set():
        pause_s = await _sync_symbols(services)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s)


async def _sync_symbols(services: Services) -> float:
    """Store every feed's symbols; returns the seconds to the next time."""
    pause_s = SYNC_EVERY_S
    for feed in services.market.feeds:
        try:
            await listings.sync(feed, services.database)
        except (FeedUnavailable, DatabaseUnavailable) as error:
            log.warning("symbols not stored", feed=feed.name, error=str(error))
            pause_s = RETRY_S
    return pause_s
