"""Who somebody is on Discord, by Discord's own sign-in: authorization code with PKCE, scope `identify`.

https://discord.com/developers/docs/topics/oauth2. The token is used for one question and forgotten. It is not revoked:
that would end the whole authorization, and with it the app that a person has installed for themselves.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import structlog

from services.errors import DiscordAway, SignInExpired

TIMEOUT = httpx.Timeout(6.0, connect=2.5)
MOST_LETTERS = 40

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DiscordUser:
    """Whom Discord has recognised."""

    id: int
    name: str
    """As others see it, with the one that nobody else has."""


@dataclass(frozen=True, slots=True)
class DiscordApp:
    """Our application at Discord; `redirect_uri` must be registered there."""

    api_url: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str


class _Token(msgspec.Struct):
    # others fit no header, and the library that says so quotes them
    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    token_type: str


class _Me(msgspec.Struct):
    id: str
    username: str
    global_name: str | None = None


class DiscordOAuth:
    """Discord's sign-in; `close()` it."""

    def __init__(self, app: DiscordApp) -> None:
        self._app = app
        self._api_url = app.api_url.rstrip("/")
        agent = f"DiscordBot ({app.redirect_uri}, 1)"  # Discord turns away whoever does not introduce themselves so
        self._client = httpx.AsyncClient(headers={"User-Agent": agent}, timeout=TIMEOUT, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def authorize_url(self, state: str, verifier: str) -> str:
        """Return the address of Discord's page for one sign-in."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._app.client_id,
            "scope": "identify",
            "state": state,
            "redirect_uri": self._app.redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        host = urlsplit(self._api_url)
        return f"{host.scheme}://{host.netloc}/oauth2/authorize?{urlencode(query)}"

    async def identify(self, code: str, verifier: str) -> DiscordUser:
        """Return who has signed in. Raises SignInExpired where Discord refuses the code, DiscordAway."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._app.redirect_uri,
            "client_id": self._app.client_id,
            "client_secret": self._app.client_secret,
            "code_verifier": verifier,
        }
        try:
            answer = await self._client.post(f"{self._api_url}/oauth2/token", data=form)
            if answer.status_code == 400:
                log.info("sign-in refused by Discord", answer=answer.text[:200])
                raise SignInExpired
            token = _read(answer, _Token)
            headers = {"Authorization": f"Bearer {token.access_token}"}
            return _user(_read(await self._client.get(f"{self._api_url}/users/@me", headers=headers), _Me))
        except (httpx.HTTPError, msgspec.DecodeError, ValueError) as error:
            log.warning("Discord's sign-in failed", error=f"{type(error).__name__}: {error}")
            raise DiscordAway from error


def _read(answer: httpx.Response, kind: type[T]) -> T:
    answer.raise_for_status()
    return msgspec.json.decode(answer.content, type=kind)


def _user(me: _Me) -> DiscordUser:
    # shown where trust is asked for: no letter may turn or hide the words around it; the first may be anybody’s name
    shown, unique = _printable(me.global_name or ""), _printable(me.username)
    return DiscordUser(int(me.id), f"{shown} (@{unique})" if shown else f"@{unique}")


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable()).strip()[:MOST_LETTERS]
