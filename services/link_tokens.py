"""The tokens behind links to brokers: kept sealed, renewed in time, forgotten when the broker has ended them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID, uuid4

import msgspec
import structlog

from db import links
from db.link_models import BrokerConnection, LinkedAccount, SealedLink
from db.pool import Connection, Database
from services import jobs
from services.broker_oauth import BrokerOAuth, GrantEnded, Tokens
from services.errors import BrokerRejected, BrokerUnavailable, TokenUnreadable, outages_told
from services.jobs import Again
from services.link_notices import tell_signed_out
from services.vault import Vault

TABLE = "user_broker_connections"
RENEW_AT = 0.8
"""Of a token's life, where it can be renewed."""
LEASE = timedelta(seconds=40)
"""Longer than a broker may take to answer, and we to store what it said: nobody else may use up its refresh token."""
REREAD_AFTER_S = 1.0
AGAIN_AFTER = timedelta(minutes=4)
STORE_WITHIN_S = 20.0
BATCH = 100

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct):
    """What is sealed in a row."""

    access: str
    refresh: str | None = None

    def __repr__(self) -> str:
        """Say nothing of what it holds."""
        return "Kept()"


@dataclass(frozen=True, slots=True)
class Rotation:
    """What came of encrypting everything under the first key."""

    sealed: int
    unreadable: list[int] = field(default_factory=list)
    """Ids of links whose key we do not have."""


def life(tokens: Tokens) -> tuple[timedelta | None, timedelta | None]:
    """Return after how long tokens end, and after how long something is to be done about that."""
    if tokens.lasts_s is None:
        return None, None
    lasts = timedelta(seconds=tokens.lasts_s)
    return lasts, lasts * RENEW_AT if tokens.refresh else lasts


def seal(vault: Vault, link: BrokerConnection | LinkedAccount, access: str, refresh: str | None) -> bytes:
    """Return tokens as they may lie in the row of a link, and in no other."""
    return vault.close(msgspec.json.encode(Kept(access, refresh)), TABLE, link.id, link.user_id, link.broker)


def unseal(vault: Vault, link: SealedLink) -> Kept:
    """Return the tokens of a link; raises TokenUnreadable."""
    owner = link.connection
    return msgspec.json.decode(vault.open(link.tokens, TABLE, owner.id, owner.user_id, owner.broker), type=Kept)


async def rotate(database: Database, vault: Vault) -> Rotation:
    """Encrypt under the first key what is under another, in small steps; may be cut short and run again.

    Nobody waits meanwhile: each row is replaced only if it still holds what was read. Raises DatabaseAway.
    """
    sealed, unreadable, seen, again = 0, set[int](), 0, False
    while True:
        with outages_told():
            async with database.transaction() as conn:
                batch = await links.list_sealed_otherwise(conn, vault.head, seen, BATCH)
                for link in batch:
                    seen = link.connection.id
                    try:
                        kept = unseal(vault, link)
                    except TokenUnreadable:
                        unreadable.add(seen)
                        continue
                    done = await links.reseal(conn, link, seal(vault, link.connection, kept.access, kept.refresh))
                    sealed += done
                    again |= not done  # renewed meanwhile, by a process that may have another order of keys
        if not batch and not again:
            return Rotation(sealed, sorted(unreadable))
        if not batch:
            seen, again = 0, False


class LinkTokens:
    """Keeps tokens good for as long as their brokers let it."""

    def __init__(self, database: Database, vault: Vault, brokers: Mapping[str, BrokerOAuth]) -> None:
        self._database, self._vault, self._brokers = database, vault, brokers

    async def refused(self, connection_id: int, token: str) -> None:
        """Have a link renewed, or end it, because its broker answered 401 to this token; raises DatabaseAway.

        Nothing is done for a token that is not the present one any more, so it may be told twice.
        """
        with outages_told():
            async with self._database.transaction() as conn:
                link = await links.lock_active(conn, connection_id)
                if link is None:
                    return
                try:
                    kept = unseal(self._vault, link)
                except TokenUnreadable:
                    return
                if not compare_digest(kept.access.encode(), token.encode()):
                    return
                # one that is refused as soon as it is new would be renewed for ever
                if kept.refresh and not link.just_renewed:
                    await links.set_due(conn, connection_id)
                    # a key of its own: the timetable's job may be waiting for a lease
                    await jobs.enqueue(conn, "links.refresh", {}, f"links.refresh:{connection_id}")
                else:
                    await _sign_out(conn, link, "refused")

    async def renew(self, _payload: Mapping[str, Any]) -> None:
        """Renew or end every link whose time has come; the job `links.refresh`.

        A link that another worker has leased is looked at again when its lease is over.
        """
        brokers, lease = list(self._brokers), uuid4()
        while link := await self._claim(brokers, lease):
            try:
                done = await self._renewed(link)
            except BrokerUnavailable:
                done = False
                brokers.remove(link.connection.broker)  # its other links wait for the next time too
            if not done:
                async with self._database.transaction() as conn:
                    await links.set_back(conn, link.connection.id, lease, AGAIN_AFTER)
        async with self._database.acquire() as conn:
            wait_s = await links.seconds_to_lease(conn, brokers)
        if wait_s is not None:
            raise Again(wait_s + 0.1)

    async def _claim(self, brokers: Sequence[str], lease: UUID) -> SealedLink | None:
        async with self._database.transaction() as conn:
            return await links.claim_due(conn, brokers, lease, LEASE)

    async def _renewed(self, link: SealedLink) -> bool:
        try:
            kept = unseal(self._vault, link)
        except TokenUnreadable:
            log.exception("link cannot be read", link=link.connection.id)
            return False
        if kept.refresh is None:
            await self._end(link, "expired")
            return True
        try:
            fresh = await self._brokers[link.connection.broker].refresh(kept.refresh)
        except GrantEnded:
            # somebody whose lease ran out may be storing what this token was given for
            await asyncio.sleep(REREAD_AFTER_S)
            await self._end(link, "ended")
            return True
        except BrokerRejected as error:
            log.warning("link not renewed", link=link.connection.id, error=str(error))
            if link.ended:
                await self._end(link, "expired")
            return link.ended
        await self._store(link, fresh, fresh.refresh or kept.refresh)
        return True

    async def _store(self, link: SealedLink, fresh: Tokens, refresh: str) -> None:
        sealed = seal(self._vault, link.connection, fresh.access, refresh)
        lasts, _ = life(fresh)

        async def write() -> None:
            async with self._database.transaction() as conn:
                if not await links.renew_tokens(conn, link, sealed, lasts, lasts and lasts * RENEW_AT):
                    log.info("link changed while it was renewed", link=link.connection.id)

        # the broker may have ended the old token already
        await self._database.retry(write, within_s=STORE_WITHIN_S)

    async def _end(self, link: SealedLink, why: str) -> None:
        async with self._database.transaction() as conn:
            await _sign_out(conn, link, why)


async def _sign_out(conn: Connection, link: SealedLink, why: str) -> None:
    if ended := await links.sign_out(conn, link):
        await tell_signed_out(conn, ended, link.version, why)
