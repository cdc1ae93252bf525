"""Links to members' own brokers: from `/link` through the browser to an account that its owner activates.

What the way defends against: a link that somebody sends to somebody else. It is bound to who typed `/link`, to the one
browser session that opened it, and to the broker; and what comes of it is used only after a press in Discord.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from db import link_requests, links
from db.link_models import AuthorizedLink, BrokerConnection, LinkedAccount, LinkRequest, LinkState
from db.models import Place
from db.pool import Connection, Database
from services.broker_oauth import BrokerAccount, BrokerOAuth, GrantEnded, Tokens
from services.errors import (
    AccountTaken,
    BrokerNotOffered,
    LinkDenied,
    LinkExpired,
    NotLinked,
    WrongPerson,
    outages_told,
)
from services.link_notices import tell_activated, tell_late, tell_made, tell_misuse, tell_removed, tell_taken
from services.link_tokens import LinkTokens, life, seal, unseal
from services.vault import Vault

LINK_LIVES = timedelta(minutes=5)
CONSENT_LIVES = timedelta(minutes=10)
AUTHORIZATION_LIVES = timedelta(minutes=10)
PENDING_LIVES = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class DataAccess:
    """What a person's own market data is read with."""

    connection_id: int
    broker: str
    mode: str
    label: str
    token: str = field(repr=False)


class Links:
    """Everybody's links; every verb may raise DatabaseAway."""

    def __init__(
        self, database: Database, vault: Vault, brokers: Mapping[str, BrokerOAuth], public_address: str
    ) -> None:
        self._database, self._vault, self._address = database, vault, public_address
        self._scopes = {name: broker.data_scope for name, broker in brokers.items()}
        self._tokens = LinkTokens(database, vault, brokers)
        self.brokers = brokers
        self.offered = tuple(brokers)
        """The brokers that the operator has set up, in a fixed order."""

    async def start(self, user_id: int, broker: str, place: Place, locale: str) -> str:
        """Return the address that begins a person's way to a broker; one that was open before is void.

        `place` is that of the `/link`, `locale` the person's at Discord. Raises BrokerNotOffered.
        """
        if broker not in self.brokers:
            raise BrokerNotOffered(self.offered)
        token = secrets.token_urlsafe(32)

        async def write() -> None:
            async with self._database.transaction() as conn:
                await link_requests.set_request(conn, user_id, locale, broker, _hash(token), place, LINK_LIVES)

        with outages_told():
            await self._database.retry(write, within_s=1.0)
        return f"{self._address}/connect/s/{token}"

    async def open(self, token: str) -> LinkRequest:
        """Return what a link is for and change nothing; raises LinkExpired."""
        with outages_told():
            async with self._database.acquire() as conn:
                request = await link_requests.get_request(conn, _hash(token))
        return self._still(request)

    async def claim(self, token: str, user_id: int, session: bytes) -> LinkRequest:
        """Use a link, once, and bind it to the browser session of a signed-in person; `session` is a hash.

        Raises LinkExpired. Opened by somebody else it is void, both are told, and WrongPerson is raised.
        """
        with outages_told():
            async with self._database.transaction() as conn:
                request = await link_requests.claim_request(conn, _hash(token), user_id, session, CONSENT_LIVES)
                misused = None if request else await link_requests.take_misused(conn, _hash(token), user_id)
                if misused:
                    await tell_misuse(conn, *misused, user_id)
        if misused:
            raise WrongPerson
        return self._still(request)

    async def claimed(self, user_id: int, session: bytes) -> LinkRequest:
        """Return what the consent page is about; raises LinkExpired."""
        with outages_told():
            async with self._database.acquire() as conn:
                request = await link_requests.get_claimed(conn, user_id, session)
        return self._still(request)

    async def authorize(self, user_id: int, session: bytes, request_id: int) -> str:
        """Return the broker's page for the request that its owner has consented to.

        What was begun there for it before is void. Raises LinkExpired, also where the session holds another request.
        """
        request = await self.claimed(user_id, session)
        if request.id != request_id:
            raise LinkExpired
        state, redirect_uri = secrets.token_urlsafe(32), self.redirect_uri(request.broker)
        with outages_told():
            async with self._database.transaction() as conn:
                begun = await link_requests.set_state(
                    conn, request, session, _hash(state), redirect_uri, AUTHORIZATION_LIVES
                )
        if not begun:
            raise LinkExpired
        return self.brokers[request.broker].authorize_url(state, redirect_uri)

    def redirect_uri(self, broker: str) -> str:
        """Return where a broker sends people back to; each broker has its own."""
        return f"{self._address}/broker-oauth/callback/{broker}"

    async def finish(self, broker: str, session: bytes, user_id: int, answer: Mapping[str, str]) -> BrokerConnection:
        """Make a link of what came back from a broker; `answer` is the query of the callback.

        It waits for its owner's press in Discord, unless the same account was active before. Raises LinkExpired,
        LinkDenied, AccountTaken, BrokerUnavailable or BrokerRejected; the way has to be begun anew after any of them.
        """
        with outages_told():
            async with self._database.transaction() as conn:
                back = await link_requests.take_authorized(conn, _hash(answer.get("state", "")))
        if back is None or not self._belongs(back, broker, session, user_id):
            raise LinkExpired
        oauth = self.brokers[broker]
        if "iss" in answer and not oauth.is_issuer(answer["iss"]):
            raise LinkExpired
        if "error" in answer or not answer.get("code"):
            raise LinkDenied(broker, answer.get("error", ""))
        try:
            tokens = await oauth.exchange(answer["code"], back.redirect_uri)
        except GrantEnded as error:
            raise LinkExpired from error
        account = await oauth.account(tokens.access)
        return await self._keep(back, tokens, account)

    async def list(self, user_id: int) -> tuple[BrokerConnection, ...]:
        """Return a person's links: the first that `gives_data` is the one that `data_access` finds."""
        with outages_told():
            async with self._database.as_user(user_id) as conn:
                return await links.list_connections(conn, user_id)

    async def activate(self, user_id: int, connection_id: int) -> BrokerConnection:
        """Let a pending link be used; one that is active stays so. Raises NotLinked, also after 15 minutes."""
        with outages_told():
            async with self._database.transaction() as conn:
                link = await links.activate(conn, user_id, connection_id, PENDING_LIVES)
                if link:
                    await tell_activated(conn, link)
                    return link.connection
        for present in await self.list(user_id):
            if present.id == connection_id and present.state is LinkState.ACTIVE:
                return present
        raise NotLinked

    async def discard(self, user_id: int, connection_id: int) -> BrokerConnection:
        """Remove a pending link with its tokens; raises NotLinked."""
        return await self._remove(user_id, connection_id, "discarded")

    async def unlink(self, user_id: int, connection_id: int) -> BrokerConnection:
        """Remove a link with its tokens, whatever its state; raises NotLinked.

        Neither Alpaca nor Tradier documents an address that revokes a token: people end it on the broker's own pages.
        """
        return await self._remove(user_id, connection_id, "unlinked")

    async def data_access(self, user_id: int) -> DataAccess | None:
        """Return what a person's own market data is read with, of the newest active link that allows it.

        Raises TokenUnreadable where its key is missing.
        """
        with outages_told():
            async with self._database.acquire() as conn:
                link = await links.get_for_data(conn, user_id, self._scopes)
        if link is None:
            return None
        found = link.connection
        return DataAccess(found.id, found.broker, found.mode, found.label, unseal(self._vault, link).access)

    async def owners(self) -> frozenset[int]:
        """Return the people who have `data_access`."""
        with outages_told():
            async with self._database.acquire() as conn:
                return frozenset(await links.list_owners(conn, self._scopes))

    def gives_data(self, link: BrokerConnection) -> bool:
        """Tell whether market data can be read with a link; of several the newest one is asked."""
        return link.state is LinkState.ACTIVE and self._scopes.get(link.broker) in link.scopes

    async def refused(self, connection_id: int, token: str) -> None:
        """Have a link renewed, or end it, because its broker answered 401 to this token; may be told twice."""
        await self._tokens.refused(connection_id, token)

    async def refresh(self, payload: Mapping[str, Any]) -> None:
        """Renew or end every link whose time has come; the job `links.refresh`."""
        await self._tokens.renew(payload)

    async def tidy(self, _payload: Mapping[str, Any]) -> None:
        """Remove links that nobody has activated, with their tokens, and ways that ended; the job `links.tidy`."""
        async with self._database.transaction() as conn:
            await link_requests.forget_requests(conn)
            await _drop_late(conn)

    async def close(self) -> None:
        """Close the connections to all brokers."""
        await asyncio.gather(*(broker.close() for broker in self.brokers.values()))

    def _still(self, request: LinkRequest | None) -> LinkRequest:
        if request is None or request.broker not in self.brokers:
            raise LinkExpired
        return request

    def _belongs(self, back: AuthorizedLink, broker: str, session: bytes, user_id: int) -> bool:
        mine = back.request.user_id == user_id and compare_digest(back.session, session)
        return mine and not back.late and back.request.broker == broker and broker in self.brokers

    async def _keep(self, back: AuthorizedLink, tokens: Tokens, account: BrokerAccount) -> BrokerConnection:
        async def write() -> BrokerConnection | None:
            async with self._database.transaction() as conn:
                return await self._stored(conn, back, tokens, account)

        with outages_told():
            # a second try finds what the first may have committed: the same account of the same person
            kept = await self._database.retry(write, within_s=3.0)
        if kept is None:
            raise AccountTaken(back.request.broker)
        return kept

    async def _stored(
        self, conn: Connection, back: AuthorizedLink, tokens: Tokens, account: BrokerAccount
    ) -> BrokerConnection | None:
        user_id, broker = back.request.user_id, back.request.broker
        await links.lock_account(conn, broker, account.number)
        await _drop_late(conn, (broker, account.number))
        present = await links.get_of_account(conn, broker, account.number)
        if present and present.user_id != user_id:
            await tell_taken(conn, back, present)
            return None
        lasts, due_after = life(tokens)
        linked = LinkedAccount(
            id=present.id if present else await links.next_id(conn),
            user_id=user_id,
            broker=broker,
            number=account.number,
            mode=account.mode,
            label=account.label,
            scopes=tokens.scopes,
            tokens=b"",
            lasts=lasts,
            due_after=due_after,
        )
        sealed = seal(self._vault, linked, tokens.access, tokens.refresh)
        link = await links.set_connection(conn, replace(linked, tokens=sealed), back.place)
        await tell_made(conn, link)
        return link.connection

    async def _remove(self, user_id: int, connection_id: int, what: str) -> BrokerConnection:
        with outages_told():
            async with self._database.transaction() as conn:
                gone = await links.take_connection(conn, user_id, connection_id, pending=what == "discarded")
                if gone is None:
                    raise NotLinked
                link, place = gone
                await tell_removed(conn, link, place, what)
        return link


def _hash(secret: str) -> bytes:
    return sha256(secret.encode(errors="replace")).digest()


async def _drop_late(conn: Connection, account: tuple[str, str] | None = None) -> None:
    for link in await links.take_late(conn, PENDING_LIVES, account):
        await tell_late(conn, link)
