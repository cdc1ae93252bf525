"""The list of known symbols: fetched by the worker, kept in PostgreSQL, read by every bot."""

import asyncio
from collections.abc import Iterable

import structlog

from db import symbols
from db.pool import Database, DatabaseUnavailable
from services.directory import Directory
from services.errors import FeedUnavailable
from services.feeds.base import Feed, Listing, Offer
from services.market import Market

log = structlog.get_logger(__name__)


async def sync(feeds: Iterable[Feed], database: Database) -> list[FeedUnavailable]:
    """Store what each feed lists, in place of what it listed before; returns the failures.

    What a feed that fails listed before stays, and the others are stored all the same. Raises DatabaseUnavailable.
    """
    failures = []
    for feed in feeds:
        try:
            await _store(feed, database)
        except FeedUnavailable as error:
            log.warning("symbols not stored", feed=feed.name, reason=error.reason)
            failures.append(error)
    return failures


async def _store(feed: Feed, database: Database) -> None:
    listings = await feed.listings()
    if not listings:
        raise FeedUnavailable(feed.name, "it lists no symbols")
    async with database.transaction() as conn:
        await symbols.set_symbols(conn, feed.name, [(listing.symbol, listing.name) for listing in listings])
    log.info("symbols stored", feed=feed.name, count=len(listings))


async def read(market: Market, database: Database) -> None:
    """Give the market its directory: the stored list, or the feeds' own while nothing is stored."""
    try:
        async with database.acquire() as conn:
            rows = await symbols.list_symbols(conn, [feed.name for feed in market.feeds])
    except DatabaseUnavailable:
        rows = []
    found = [Listing(symbol, name) for symbol, name in rows] or await _from_feeds(market)
    if found:
        # It takes a tenth of a second, in which answers go on.
        market.directory = await asyncio.to_thread(Directory, found)


async def _from_feeds(market: Market) -> list[Listing]:
    found: dict[str, Listing] = {}
    for feed in reversed(market.offering(Offer.LISTINGS)):
        try:
            found |= {listing.symbol: listing for listing in await feed.listings()}
        except FeedUnavailable as error:
            log.warning("symbols unread", feed=feed.name, reason=error.reason)
    return list(found.values())
