"""The list of known symbols: fetched by the worker, kept in PostgreSQL, read by every bot."""

import structlog

from db import symbols
from db.pool import Database, DatabaseUnavailable
from services.errors import FeedUnavailable
from services.feeds.base import Feed, Listing
from services.market import Market
from services.symbols import Directory

log = structlog.get_logger(__name__)


async def sync(feed: Feed, database: Database) -> int:
    """Store what a feed lists, in place of what it listed before; returns how many.

    Raises FeedUnavailable or DatabaseUnavailable, and then nothing has changed.
    """
    listings = await feed.listings()
    async with database.transaction() as conn:
        await symbols.set_symbols(conn, feed.name, [(listing.symbol, listing.name) for listing in listings])
    log.info("symbols stored", feed=feed.name, count=len(listings))
    return len(listings)


async def read(market: Market, database: Database) -> None:
    """Give the market its directory: the stored list, or the feeds' own while nothing is stored."""
    try:
        async with database.acquire() as conn:
            rows = await symbols.list_symbols(conn, [feed.name for feed in market.feeds])
    except DatabaseUnavailable:
        rows = []
    found = [Listing(symbol, name) for symbol, name in rows] or await _from_feeds(market)
    if found:
        market.directory = Directory(found)


async def _from_feeds(market: Market) -> list[Listing]:
    found: dict[str, Listing] = {}
    for feed in reversed(market.feeds):
        try:
            found |= {listing.symbol: listing for listing in await feed.listings()}
        except FeedUnavailable as error:
            log.warning("symbols unread", feed=feed.name, reason=error.reason)
    return list(found.values())
