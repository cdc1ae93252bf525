"""Browsers: their cookie, who is signed in with it, where they come from, and whether a form is one of our own."""

import asyncio
import hmac
import math
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import parse_qsl

from aiohttp import web
from yarl import URL

from services.errors import SignedOut
from services.web_sessions import SignedIn, WebSessions, csrf_token, is_secret
from web.pace import Pace

MOST_OF_A_FORM = 4096
MOST_FIELDS = 10
FORM_WITHIN_S = 10.0
FORM_TYPE = "application/x-www-form-urlencoded"


class TooOften(web.HTTPTooManyRequests):
    """Somebody asks more often than a person would."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(headers={"Retry-After": str(math.ceil(wait_s))})


class Browsers:
    """Everybody who opens a page. Nothing is taken from the Host header: our address is `public_url`."""

    def __init__(self, public_url: str, proxies: Sequence[IPv4Network | IPv6Network], sessions: WebSessions) -> None:
        self.origin = str(URL(public_url).origin())
        self.secure = self.origin.startswith("https:")
        # http is for this machine alone (Settings see to it), and there Safari keeps no Secure cookie
        self._name = "__Host-pulse" if self.secure else "pulse"
        self._proxies, self._sessions = proxies, sessions
        self._reads, self._writes, self._people = self.paces = Pace(60, 1.0), Pace(20, 6.0), Pace(40, 3.0)

    def cookie(self, request: web.Request) -> str | None:
        """Return the browser's cookie, None where it has none of ours."""
        value = request.cookies.get(self._name, "")
        return value if is_secret(value) else None

    def remember(self, response: web.StreamResponse, cookie: str) -> None:
        """Give the browser a cookie; it ends with the browser, or with the session at our side."""
        response.set_cookie(self._name, cookie, path="/", secure=self.secure, httponly=True, samesite="Lax")

    def forget(self, response: web.StreamResponse) -> None:
        """Take the cookie away."""
        response.del_cookie(self._name, path="/", secure=self.secure, httponly=True, samesite="Lax")

    async def person(self, request: web.Request) -> SignedIn | None:
        """Return who is signed in, None where nobody is. Raises TooOften, DatabaseAway."""
        cookie = self.cookie(request)
        person = await self._sessions.get(cookie) if cookie else None
        if person and (wait_s := self._people.wait_s(person.user_id)):
            raise TooOften(wait_s)
        return person

    async def signed_in(self, request: web.Request) -> SignedIn:
        """Return who is signed in. Raises SignedOut, TooOften, DatabaseAway."""
        person = await self.person(request)
        if person is None:
            raise SignedOut
        return person

    async def form(self, request: web.Request) -> Mapping[str, str]:
        """Return the fields of a form that this browser was given by us.

        Raises HTTPForbidden for one of another site or another browser, and for what is no such form, what is too large
        or too slow, HTTPBadRequest, HTTPUnsupportedMediaType, HTTPRequestEntityTooLarge or HTTPRequestTimeout.
        """
        cookie = self.cookie(request)
        elsewhere = request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
        if request.headers.get("Origin") != self.origin or elsewhere or cookie is None:
            raise web.HTTPForbidden
        fields = await _fields(request)
        if not hmac.compare_digest(fields.get("csrf", "").encode(), csrf_token(cookie).encode()):
            raise web.HTTPForbidden
        return fields

    def slow_down(self, request: web.Request) -> None:
        """Raise TooOften where the visitor's network asks more often than its people would."""
        pace = self._writes if request.method == "POST" or "state" in request.query else self._reads
        if wait_s := pace.wait_s(self.network(request)):
            raise TooOften(wait_s)

    def network(self, request: web.Request) -> str:
        """Return the visitor's address, of IPv6 the half that a household has."""
        peer = request.remote or ""
        hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
        while self._is_proxy(peer) and hops:
            peer = hops.pop()
        address = _address(peer)
        if address is None:
            return peer
        return str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)

    def _is_proxy(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._proxies)


def _address(peer: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type != FORM_TYPE or "Content-Encoding" in request.headers:
        raise web.HTTPUnsupportedMediaType
    length = request.content_length
    if length is None or length > MOST_OF_A_FORM:
        raise web.HTTPRequestEntityTooLarge(max_size=MOST_OF_A_FORM, actual_size=length or 0)
    try:
        async with asyncio.timeout(FORM_WITHIN_S):
            body = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise web.HTTPBadRequest from error


BROWSERS = web.AppKey("browsers", Browsers)
