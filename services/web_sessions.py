"""Web sessions: browsers that somebody has signed in with, through Discord.

The cookie is a secret that only the browser keeps; what is stored is its hash. Everybody who opens a page has a cookie,
and a session only who has signed in, under a new cookie: one that was planted before opens nothing.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from db import web_sessions
from db.pool import Database
from services.discord_oauth import DiscordOAuth, DiscordUser
from services.errors import SignInDenied, SignInExpired, outages_told

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
SIGN_IN_LASTS = timedelta(minutes=10)

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_NONCE = 12


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser with somebody in front of it whom Discord has recognised."""

    session: bytes
    """The hash of its cookie."""
    user_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who has just signed in: the cookie their browser gets now, and the short link they came for."""

    cookie: str = field(repr=False)
    person: SignedIn
    link: str = field(repr=False)


class _Purpose(msgspec.Struct):
    """What a sign-in is for; sealed, because both are secrets."""

    verifier: str
    link: str


class WebSessions:
    """Signs browsers in with Discord; everything raises DatabaseAway."""

    def __init__(self, database: Database, discord: DiscordOAuth, now: Callable[[], datetime]) -> None:
        self._database, self._discord, self._now = database, discord, now

    async def begin(self, cookie: str, link: str) -> str:
        """Begin a sign-in of this browser on behalf of a short link; returns the address of Discord's page."""
        state, verifier = new_secret(), new_secret()
        sealed = _seal(cookie, state, msgspec.json.encode(_Purpose(verifier, link)))
        with outages_told():
            async with self._database.transaction() as conn:
                now = self._now()
                await web_sessions.forget_ended(conn, now, now - IDLE, now - LONGEST)
                await web_sessions.add_sign_in(conn, digest(state), digest(cookie), sealed, now + SIGN_IN_LASTS)
        return self._discord.authorize_url(state, verifier)

    async def finish(self, cookie: str, answer: Mapping[str, str]) -> Arrival:
        """Sign in whom Discord's answer (the query of its redirect) names; a session the browser had ends.

        Raises SignInExpired where this browser has begun no such sign-in or it was used already, SignInDenied where the
        person refused, and DiscordAway.
        """
        purpose = await self._take(cookie, answer.get("state", ""))
        if "error" in answer:
            raise SignInDenied
        user = await self._discord.identify(answer.get("code", ""), purpose.verifier)
        fresh = new_secret()
        await self._replace(cookie, fresh, user)
        return Arrival(fresh, SignedIn(digest(fresh), user.id, user.name), purpose.link)

    async def get(self, cookie: str) -> SignedIn | None:
        """Return who is signed in with this browser, and keep the session alive; None where nobody is any more."""
        session, now = digest(cookie), self._now()
        with outages_told():
            async with self._database.acquire() as conn:
                row = await web_sessions.use_session(conn, session, now, now - IDLE, now - LONGEST)
        return SignedIn(session, row["user_id"], row["name"]) if row else None

    async def end(self, person: SignedIn) -> None:
        """Sign somebody out of their browser."""
        with outages_told():
            async with self._database.acquire() as conn:
                await web_sessions.delete_session(conn, person.session)

    async def _take(self, cookie: str, state: str) -> _Purpose:
        with outages_told():
            async with self._database.acquire() as conn:
                sealed = await web_sessions.take_sign_in(conn, digest(state), digest(cookie), self._now())
        if sealed is None:
            raise SignInExpired
        return msgspec.json.decode(_unseal(cookie, state, sealed), type=_Purpose)

    async def _replace(self, cookie: str, fresh: str, user: DiscordUser) -> None:
        with outages_told():
            async with self._database.transaction() as conn:
                await web_sessions.delete_session(conn, digest(cookie))
                await web_sessions.add_session(conn, digest(fresh), user.id, user.name, self._now())


def new_secret() -> str:
    """Return 256 random bits, as 43 letters that a cookie and an address can hold."""
    return secrets.token_urlsafe(32)


def is_secret(value: str) -> bool:
    """Tell whether a value has the form of our secrets."""
    return bool(_SECRET.fullmatch(value))


def digest(secret: str) -> bytes:
    """Return what is stored of a secret; it is random, so that a quick hash suffices."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def csrf_token(cookie: str) -> str:
    """Return what a form of this browser must carry; another site can send the cookie along, but not read this."""
    return base64.urlsafe_b64encode(_key(cookie, "form")).rstrip(b"=").decode()


def _key(cookie: str, purpose: str) -> bytes:
    return hmac.digest(cookie.encode(), purpose.encode(), "sha256")


def _seal(cookie: str, state: str, content: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(_key(cookie, "sign-in")).encrypt(nonce, content, state.encode())


def _unseal(cookie: str, state: str, sealed: bytes) -> bytes:
    return AESGCM(_key(cookie, "sign-in")).decrypt(sealed[:_NONCE], sealed[_NONCE:], state.encode())
