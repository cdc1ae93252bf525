"""Accounts that people link: who may ask the brokers' APIs, and how they came to be allowed to."""

import secrets
import string
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from aiohttp import web

from sandbox.consent import Consent, Person
from sandbox.customers import CUSTOMERS, Customer
from sandbox.desk import answer_json, read_body
from sandbox.face import Asked, Credential, Face, Json, Query, Refused
from sandbox.grants import Client, Denied, Grant, Grants, client_of
from services.clock import NEW_YORK

ALPACA_SCOPES = {
    "account:write": "Change the settings of your account",
    "trading": "Place, change and cancel orders",
    "data": "Read market data with your subscription",
}
TRADIER_SCOPES = {
    "read": "Read your profile, balances and orders",
    "write": "Change your watchlists",
    "trade": "Place, change and cancel orders",
    "market": "Read market data",
    "stream": "Stream market data",
}
MODES = {"paper": "Paper", "live": "Live"}
TRADIER_LIFE_S = 86_399.0
_SYMBOLS = string.ascii_letters + string.digits
_SOLD = {"sip": "subscription does not permit querying recent SIP data", "opra": "OPRA agreement is not signed"}


class End(msgspec.Struct):
    """An order to end what a person has allowed; no person means everybody."""

    broker: Literal["alpaca", "tradier"]
    state: Literal["revoked", "expired"]
    person: str | None = None


class Brokers:
    """Alpaca and Tradier as those see them who link an account.

    `keys` are the product's own key ids and tokens, None lets in any; `refreshes` makes the product a partner of
    Tradier, whose tokens it may refresh; `kept` is a file that remembers what was allowed.
    """

    def __init__(
        self,
        *,
        keys: Collection[str] | None = None,
        alpaca: Client | None = None,
        tradier: Client | None = None,
        refreshes: bool = False,
        kept: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self.alpaca = Grants(alpaca or Client(), clock=clock)
        self.tradier = Grants(tradier or Client(), TRADIER_LIFE_S, refreshes, _tradier_token, clock)
        if kept:
            self._remember(kept)

    def pages(self) -> list[web.RouteDef]:
        """Return the consent pages and the routes that show and end what was allowed."""
        people = [Person(one.username, one.name, one.colour, one.username) for one in CUSTOMERS]
        alpaca = Consent("Alpaca", self.alpaca, people, ALPACA_SCOPES, modes=MODES, scope_required=False)
        tradier = Consent("Tradier", self.tradier, people, TRADIER_SCOPES, redirect_required=False)
        return [
            *alpaca.routes("/alpaca/oauth/authorize"),
            *tradier.routes("/tradier/v1/oauth/authorize"),
            web.get("/sandbox/brokers", self.show),
            web.post("/sandbox/brokers/end", self.end),
        ]

    def admit(self, face: Face, credential: Credential, query: Query) -> None:
        """Raise Refused unless the vendor would answer this caller here."""
        if not face.door:
            return
        grants = self.alpaca if face.name == "alpaca" else self.tradier
        grant = grants.holder(credential.name) if credential.bearer else None
        if grant is not None:
            _admit_grant(face, grant, query)
        elif face.name == "alpaca" and (credential.bearer or face.door == "live"):
            raise face.unknown  # keys of paper accounts open nothing there
        elif grants.knows(credential.name) or (self._keys is not None and credential.name not in self._keys):
            raise face.unknown

    def alpaca_token(self, asked: Asked, _at: float) -> Json:
        """https://docs.alpaca.markets/docs/using-oauth2-and-trading-api: neither end nor second token."""
        self.alpaca.client.check(asked.form.get("client_id"), asked.form.get("client_secret"))
        _expect(asked.form, "authorization_code")
        grant = self.alpaca.redeem(asked.form.get("code"), asked.form.get("redirect_uri"), None)
        return self.alpaca.answer(grant) | {"token_type": "bearer"}

    def alpaca_account(self, asked: Asked, _at: float) -> Json:
        grant = self.alpaca.holder(asked.credential.name)
        if grant is None:  # a key of the product's own
            return CUSTOMERS[0].alpaca_account("paper")
        return _customer(grant).alpaca_account(grant.mode)

    def tradier_token(self, asked: Asked, _at: float) -> Json:
        """https://documentation.tradier.com/brokerage-api/oauth/access-token."""
        self._check_tradier(asked)
        _expect(asked.form, "authorization_code")
        return self._tradier_answer(self.tradier.redeem(asked.form.get("code"), asked.form.get("redirect_uri"), None))

    def tradier_refresh(self, asked: Asked, _at: float) -> Json:
        """https://documentation.tradier.com/brokerage-api/oauth/refresh-token: for partners only."""
        self._check_tradier(asked)
        if not self.tradier.refreshes:
            raise Denied("unauthorized_client", "Refresh tokens are for approved partners.", 403)
        _expect(asked.form, "refresh_token")
        return self._tradier_answer(self.tradier.refresh(asked.form.get("refresh_token")))

    def tradier_profile(self, asked: Asked, _at: float) -> Json:
        grant = self.tradier.holder(asked.credential.name)
        return (CUSTOMERS[0] if grant is None else _customer(grant)).tradier_profile()

    async def show(self, _request: web.Request) -> web.Response:
        """Handle GET /sandbox/brokers: who has allowed what, newest last, without the tokens."""
        told = [
            {"broker": broker, "person": grant.person, "name": _customer(grant).name, "account": _label(broker, grant)}
            | {"mode": grant.mode or "live", "scopes": grant.scopes, "state": grant.state}
            for broker, grants in (("alpaca", self.alpaca), ("tradier", self.tradier))
            for customer in CUSTOMERS
            for grant in grants.of(customer.username)
        ]
        return answer_json(told)

    async def end(self, request: web.Request) -> web.Response:
        """Handle POST /sandbox/brokers/end: revoke or expire somebody's tokens at once."""
        order = await read_body(request, End)
        grants = self.alpaca if order.broker == "alpaca" else self.tradier
        for customer in CUSTOMERS:
            if order.person in {None, customer.username, customer.name}:
                grants.end(customer.username, order.state)
        return await self.show(request)

    def _remember(self, kept: Path) -> None:
        services = {"alpaca": self.alpaca, "tradier": self.tradier}
        known = msgspec.json.decode(kept.read_bytes(), type=dict[str, list[Grant]]) if kept.exists() else {}

        def write() -> None:
            fresh = kept.with_suffix(".new")
            fresh.touch(0o600)
            fresh.write_bytes(msgspec.json.encode({name: service.written() for name, service in services.items()}))
            fresh.replace(kept)

        for name, service in services.items():
            service.read(known.get(name, ()))
            service.changed = write

    def _check_tradier(self, asked: Asked) -> None:
        authorization = asked.headers.get("Authorization", "")
        if not authorization.startswith("Basic "):
            raise Denied("invalid_client", "Client id and secret are expected by HTTP Basic.", 401)
        self.tradier.client.check(*client_of(authorization, {}))

    def _tradier_answer(self, grant: Grant) -> Json:
        issued = datetime.fromtimestamp(self.tradier.clock(), UTC).astimezone(NEW_YORK)
        told = self.tradier.answer(grant) | {"issued_at": issued.isoformat(timespec="seconds"), "status": "approved"}
        del told["token_type"]  # Tradier says none
        return told


def _admit_grant(face: Face, grant: Grant, query: Query) -> None:
    if face.door in {"paper", "live"}:
        if grant.mode != face.door:
            raise face.unknown
        return
    if face.door not in grant.scopes:
        raise Refused(403, 40310000, f"the token has no scope {face.door}.")
    sold = _SOLD.get(query.get("feed", "")) if face.name == "alpaca" else None
    if sold and not _customer(grant).subscribed:
        raise Refused(403, 40310000, sold)


def _expect(form: Mapping[str, str], grant_type: str) -> None:
    if form.get("grant_type") != grant_type:
        raise Denied("unsupported_grant_type", f"grant_type must be {grant_type}.")


def _customer(grant: Grant) -> Customer:
    return next(customer for customer in CUSTOMERS if customer.username == grant.person)


def _label(broker: str, grant: Grant) -> str:
    customer = _customer(grant)
    number = customer.alpaca_number(grant.mode) if broker == "alpaca" else customer.tradier_number()
    return f"••{number[-4:]}"


def _tradier_token() -> str:
    return "".join(secrets.choice(_SYMBOLS) for _ in range(28))
