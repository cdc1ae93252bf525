"""Brokers' OAuth: where a member gives us leave, how a code becomes tokens, whose account it is.

Authorization code with a client secret. Neither Alpaca (https://docs.alpaca.markets/docs/using-oauth2-and-trading-api)
nor Tradier (https://documentation.tradier.com/brokerage-api/overview/authentication) documents PKCE, an issuer or an
address that revokes a token.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import structlog

from services.errors import BrokerRejected, BrokerUnavailable

TIMEOUT = httpx.Timeout(8.0, connect=2.5)
WHOLE_S = 12.0
TRADIER_SANDBOX = "sandbox.tradier.com"
_REFUSED = frozenset({401, 403})
_LONGEST_S = 100 * 366 * 86400

# what a header and a row can hold: a library that refuses a token quotes it, and that would be in the log
_Secret = Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z", max_length=4096)]
_Number = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+\Z", max_length=64)]

T = TypeVar("T")

log = structlog.get_logger(__name__)


class GrantEnded(BrokerRejected):
    """The code or the refresh token is good for nothing any more."""


@dataclass(frozen=True, slots=True)
class Client:
    """What the broker knows our application by."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a broker lets us in with; `lasts_s` seconds, None where it names no end."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    lasts_s: int | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """Whose tokens they are; `mode` is PAPER or LIVE."""

    number: str = field(repr=False)
    mode: str

    @property
    def label(self) -> str:
        """Return what is shown of the number."""
        return f"••{self.number[-4:] if len(self.number) > 6 else self.number[-2:]}"


class BrokerOAuth(ABC):
    """One broker's way in, closed by `close()`; every question may raise BrokerUnavailable or BrokerRejected."""

    name: str
    title: str
    """As people write it."""
    scopes: tuple[str, ...]
    """What we ask for."""
    data_scope: str
    """The one that market data needs."""

    def __init__(self, client: Client, authorize_url: str, token_url: str) -> None:
        self._app, self._authorize_url, self._token_url = client, authorize_url, token_url
        self._client = httpx.AsyncClient(headers={"Accept": "application/json"}, timeout=TIMEOUT, trust_env=False)

    @property
    def host(self) -> str:
        """The host of the page where members are asked, with its port where it has one."""
        return urlsplit(self._authorize_url).netloc

    def is_issuer(self, name: str) -> bool:
        """Tell whether an answer that names its issuer (RFC 9207) comes from this broker."""
        return _origin(name) in {_origin(self._authorize_url), _origin(self._token_url)}

    @abstractmethod
    def authorize_url(self, state: str, redirect_uri: str) -> str:
        """Return the address of the broker's consent page."""

    @abstractmethod
    async def exchange(self, code: str, redirect_uri: str) -> Tokens:
        """Return the tokens that a code stands for; raises GrantEnded where the broker does not know it any more."""

    async def refresh(self, token: str) -> Tokens:  # noqa: ARG002 without refresh tokens nobody asks
        """Return new tokens; raises GrantEnded where the broker has ended them, or gives nothing to refresh."""
        raise GrantEnded(f"{self.title} gives no refresh tokens.")

    @abstractmethod
    async def account(self, access: str) -> BrokerAccount:
        """Return whose token it is."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _tokens(self, url: str, form: dict[str, str], auth: tuple[str, str] | None = None) -> Tokens:
        answer = await self._send(httpx.Request("POST", url, data=form), auth)
        if answer.status_code == 200:
            return self._granted(self._read(answer, _Granted))
        if answer.status_code < 500 and _is_ended(answer.content):
            raise GrantEnded(f"{self.title} has ended this permission.")
        raise self._refusal(answer)

    def _granted(self, answer: "_Granted") -> Tokens:
        # an answer without a scope grants what was asked for: RFC 6749, 5.1
        scopes = answer.scope.replace(",", " ").split() if answer.scope else self.scopes
        return Tokens(answer.access_token, answer.refresh_token or None, answer.expires_in, tuple(scopes))

    async def _get(self, url: str, access: str) -> httpx.Response:
        return await self._send(httpx.Request("GET", url, headers={"Authorization": f"Bearer {access}"}))

    async def _send(self, request: httpx.Request, auth: tuple[str, str] | None = None) -> httpx.Response:
        request.headers["Accept"] = "application/json"
        try:
            async with asyncio.timeout(WHOLE_S):
                return await self._client.send(request, auth=auth)
        except (httpx.RequestError, TimeoutError) as error:
            log.warning("broker not reached", broker=self.name, error=f"{type(error).__name__}: {error}")
            raise self._away("it cannot be reached") from error

    def _read(self, answer: httpx.Response, kind: type[T]) -> T:
        if answer.status_code != 200:
            raise self._refusal(answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as error:
            raise self._away("its answer makes no sense") from error

    def _refusal(self, answer: httpx.Response) -> BrokerUnavailable | BrokerRejected:
        status = answer.status_code
        log.warning("broker refused", broker=self.name, status=status)  # the body might quote what we sent
        if status >= 500 or status in {408, 429}:
            return self._away(f"it answered {status}")
        return BrokerRejected(
            f"{self.title} refused us ({status}). The operator has to check {self.name.upper()}_CLIENT_ID, its secret "
            "and what is registered there."
        )

    def _away(self, reason: str) -> BrokerUnavailable:
        return BrokerUnavailable(f"{self.title} is not available right now ({reason}). Try again in a minute.")


class AlpacaOAuth(BrokerOAuth):
    """Alpaca: the member chooses live or paper on its page; a token has no end and no refresh token."""

    name, title, scopes, data_scope = "alpaca", "Alpaca", ("data",), "data"

    def __init__(self, client: Client, authorize_url: str, token_url: str, live_url: str, paper_url: str) -> None:
        super().__init__(client, authorize_url, token_url)
        self._hosts = {"LIVE": live_url.rstrip("/"), "PAPER": paper_url.rstrip("/")}

    def authorize_url(self, state: str, redirect_uri: str) -> str:
        """Return the address of Alpaca's page; without `env` it asks which account it shall be."""
        query = {
            "response_type": "code",
            "client_id": self._app.id,
            "redirect_uri": redirect_uri,
            "state": state,
            "scope": " ".join(self.scopes),
        }
        return f"{self._authorize_url}?{urlencode(query)}"

    async def exchange(self, code: str, redirect_uri: str) -> Tokens:
        """Return the token that a code stands for; raises GrantEnded."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self._app.id,
            "client_secret": self._app.secret,
            "redirect_uri": redirect_uri,
        }
        return await self._tokens(self._token_url, form)

    async def account(self, access: str) -> BrokerAccount:
        """Return whose token it is, the live account where it is good for a paper one too: other hosts refuse it."""
        for mode, host in self._hosts.items():
            answer = await self._get(f"{host}/v2/account", access)
            if answer.status_code not in _REFUSED:
                return BrokerAccount(self._read(answer, _AlpacaAccount).account_number, mode)
        raise BrokerRejected("Alpaca does not say which account this is. Type `/link` again and choose one account.")


class TradierOAuth(BrokerOAuth):
    """Tradier: a token lives for 24 hours; only approved partners get refresh tokens, and those do not end."""

    name, title, scopes, data_scope = "tradier", "Tradier", ("read", "market"), "market"

    def __init__(self, client: Client, api_url: str) -> None:
        self._url = api_url.rstrip("/")
        super().__init__(client, f"{self._url}/oauth/authorize", f"{self._url}/oauth/accesstoken")
        self._mode = "PAPER" if urlsplit(api_url).hostname == TRADIER_SANDBOX else "LIVE"

    def authorize_url(self, state: str, redirect_uri: str) -> str:  # noqa: ARG002 Tradier has one, registered by hand
        """Return the address of Tradier's page, which comes back to the address that is registered there."""
        query = {"client_id": self._app.id, "scope": ",".join(self.scopes), "state": state}
        return f"{self._authorize_url}?{urlencode(query, safe=',')}"

    async def exchange(self, code: str, redirect_uri: str) -> Tokens:  # noqa: ARG002 likewise
        """Return the tokens that a code stands for; raises GrantEnded."""
        form = {"grant_type": "authorization_code", "code": code}
        return await self._tokens(self._token_url, form, (self._app.id, self._app.secret))

    async def refresh(self, token: str) -> Tokens:
        """Return new tokens; raises GrantEnded."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self._tokens(f"{self._url}/oauth/refreshtoken", form, (self._app.id, self._app.secret))

    async def account(self, access: str) -> BrokerAccount:
        """Return the active account with the lowest number: a login may have several, in any order."""
        found = self._read(await self._get(f"{self._url}/user/profile", access), _TradierProfile).profile.account
        accounts = found if isinstance(found, list) else [found] if isinstance(found, _TradierAccount) else []
        active = [account.account_number for account in accounts if account.status.lower() == "active"]
        if not active:
            raise BrokerRejected("Tradier knows no active account of yours, so nothing was linked.")
        return BrokerAccount(min(active), self._mode)


class _Granted(msgspec.Struct):
    access_token: _Secret
    refresh_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]*\Z", max_length=4096)] | None = None
    expires_in: Annotated[int, msgspec.Meta(ge=0, le=_LONGEST_S)] | None = None
    scope: Annotated[str, msgspec.Meta(pattern=r"^[ -~]*\Z", max_length=1000)] | None = None


class _AlpacaAccount(msgspec.Struct):
    account_number: _Number


class _TradierAccount(msgspec.Struct):
    account_number: _Number
    status: str = "active"


class _TradierAccounts(msgspec.Struct):
    account: list[_TradierAccount] | _TradierAccount | Literal["null"] | None = None


class _TradierProfile(msgspec.Struct):
    profile: _TradierAccounts


def _is_ended(body: bytes) -> bool:
    # RFC 6749, 5.2; Tradier's gateway says it in words, with varying keys
    said = body.decode(errors="replace").lower()
    return "invalid_grant" in said or ("invalid" in said and ("refresh token" in said or "authorization code" in said))


def _origin(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme, parts.netloc.lower()
