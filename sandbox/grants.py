"""What people allow an application: codes, tokens and their end, as OAuth 2 (RFC 6749, 7636) has it."""

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

CODE_S = 600.0
KEPT = 2_000


class Denied(Exception):
    """A request that the token endpoint refuses; `error` is the standard's word for why."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.status = error, status

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": str(self)}


@dataclass(frozen=True, slots=True)
class Client:
    """The application as it is registered; what is None or empty is not checked."""

    id: str | None = None
    secret: str | None = None
    redirects: tuple[str, ...] = ()

    def knows_redirect(self, uri: str) -> bool:
        return uri in self.redirects if self.redirects else uri.startswith(("http://", "https://"))

    def check(self, client_id: str | None, secret: str | None) -> None:
        """Raise Denied unless these are the client's own."""
        known = client_id and secret and self.id in {None, client_id} and self.secret in {None, secret}
        if not known:
            raise Denied("invalid_client", "The client is unknown, or its secret is wrong.", 401)


@dataclass(eq=False, slots=True)
class Grant:
    """One person's permission; `ends_at` is seconds since 1970, None never."""

    person: str
    scopes: tuple[str, ...]
    mode: str
    access: str
    refresh: str | None
    ends_at: float | None
    state: str = "valid"
    """Or `revoked`, `expired` before its time, `replaced` by a refreshed one."""


@dataclass(frozen=True, slots=True)
class _Code:
    person: str
    scopes: tuple[str, ...]
    mode: str
    redirect: str | None
    challenge: str | None
    made_at: float


@dataclass
class Grants:
    """All that one service has granted to its one client.

    `life_s` None issues tokens that do not end; `refreshes` says whether a second one comes along; `token` makes them.
    """

    client: Client = field(default_factory=Client)
    life_s: float | None = None
    refreshes: bool = False
    token: Callable[[], str] = lambda: str(uuid.uuid4())
    clock: Callable[[], float] = time.time
    changed: Callable[[], None] = lambda: None
    """Called after each change of what `written` returns."""

    def __post_init__(self) -> None:
        self._codes: dict[str, _Code] = {}
        self._grants: dict[str, Grant] = {}

    def permit(
        self,
        person: str,
        scopes: tuple[str, ...],
        *,
        mode: str = "",
        redirect: str | None,
        challenge: str | None = None,
    ) -> str:
        """Return a code for what a person has just allowed; `redirect` None binds it to no address."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(person, scopes, mode, redirect, challenge, self.clock())
        _trim(self._codes)
        return code

    def redeem(self, code: str | None, redirect: str | None, verifier: str | None) -> Grant:
        """Return the grant behind a code, once, within ten minutes, to whoever began; Denied else."""
        found = self._codes.pop(code or "", None)
        if found is None or self.clock() - found.made_at > CODE_S:
            raise Denied("invalid_grant", 'Invalid "code" in request.')
        if found.redirect is not None and found.redirect != redirect:
            raise Denied("invalid_grant", 'Invalid "redirect_uri" in request.')
        if found.challenge is not None and found.challenge != challenge_of(verifier or ""):
            raise Denied("invalid_grant", 'Invalid "code_verifier" in request.')
        grant = Grant(found.person, found.scopes, found.mode, "", None, None)
        return self._issue(grant)

    def refresh(self, token: str | None) -> Grant:
        """Return the grant of a refresh token with new tokens, the old ones being over; Denied when it is none."""
        grant = next((each for each in self._grants.values() if token and each.refresh == token), None)
        if grant is None or grant.state == "revoked":
            raise Denied("invalid_grant", 'Invalid "refresh_token" in request.')
        self._grants[grant.access] = replace(grant, state="replaced", refresh=None)
        grant.state = "valid"
        return self._issue(grant)

    def knows(self, access: str) -> bool:
        """Tell whether this is, or was, an access token of ours."""
        return access in self._grants

    def holder(self, access: str) -> Grant | None:
        """Return the grant whose access token this is while it is good."""
        grant = self._grants.get(access)
        if grant is None or grant.state != "valid":
            return None
        return grant if grant.ends_at is None or self.clock() < grant.ends_at else None

    def revoke(self, token: str) -> None:
        """End the permission that an access or refresh token belongs to; another token is nobody's."""
        for grant in self._grants.values():
            if token in {grant.access, grant.refresh}:
                grant.state = "revoked"
        self.changed()

    def end(self, person: str, state: str) -> int:
        """Let every valid token of a person be `revoked` or `expired`; return how many there were."""
        valid = [grant for grant in self.of(person) if grant.state == "valid"]
        for grant in valid:
            grant.state = state
        self.changed()
        return len(valid)

    def written(self) -> list[Grant]:
        """List everything that was granted, for `read`."""
        return list(self._grants.values())

    def read(self, grants: Iterable[Grant]) -> None:
        """Take over what was granted before."""
        self._grants |= {grant.access: grant for grant in grants}

    def of(self, person: str) -> list[Grant]:
        """List what a person has allowed, oldest first."""
        return [grant for grant in self._grants.values() if grant.person == person and grant.state != "replaced"]

    def answer(self, grant: Grant) -> dict[str, Any]:
        """Say a grant as token endpoints do."""
        ends = {} if self.life_s is None else {"expires_in": int(self.life_s)}
        second = {} if grant.refresh is None else {"refresh_token": grant.refresh}
        return {"access_token": grant.access, "token_type": "Bearer", "scope": " ".join(grant.scopes), **ends, **second}

    def _issue(self, grant: Grant) -> Grant:
        grant.access = self.token()
        grant.refresh = self.token() if self.refreshes else None
        grant.ends_at = None if self.life_s is None else self.clock() + self.life_s
        self._grants[grant.access] = grant
        _trim(self._grants)
        self.changed()
        return grant


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def client_of(authorization: str, form: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The id and secret that a client gives, by HTTP Basic or in its form."""
    kind, _, given = authorization.partition(" ")
    if kind != "Basic":
        return form.get("client_id"), form.get("client_secret")
    try:
        name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return None, None
    return name, secret


def _trim(kept: dict[str, Any]) -> None:
    while len(kept) > KEPT:
        del kept[next(iter(kept))]
