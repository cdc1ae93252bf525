"""How a vendor of the synthetic market looks from outside: whom it knows, how it counts, how it complains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

Query = Mapping[str, str]
Json = dict[str, Any]
Answer = Callable[[Query, float], Any]
"""What a route says to a query at a moment (seconds since 1970)."""


class Credential(NamedTuple):
    """What a caller shows: the token it bears, or the name of its key; "" where nothing need be shown."""

    name: str
    bearer: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, for routes that answer by who asks."""

    query: Query
    headers: Mapping[str, str]
    form: Mapping[str, str]
    credential: Credential


Reply = Callable[[Asked, float], Any]
"""What such a route says."""


class Refused(Exception):
    """A request that the vendor would refuse."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Face:
    """One vendor's manners."""

    name: str
    a_minute: int
    """Requests that one caller may make."""
    shown: Callable[[Mapping[str, str]], Credential | None]
    """What a caller shows in the headers of a request."""
    unknown: Refused
    """What it says to others."""
    complaint: Callable[[Refused], tuple[bytes, str]]
    """Body and content type of a refusal."""
    counted: Callable[[int, int, float], dict[str, str]]
    """Headers that tell the limit, what is left, and when it is counted anew (seconds since 1970)."""
    door: str = ""
    """Which of its APIs this is, by what a person's token must be good for: a scope, or a kind of account."""


def _alpaca_shown(headers: Mapping[str, str]) -> Credential | None:
    key, secret = headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")
    return Credential(key) if key and secret else _token_shown(headers)


def _alpaca_complaint(refused: Refused) -> tuple[bytes, str]:
    return msgspec.json.encode({"code": refused.code, "message": str(refused)}), "application/json"


def _alpaca_counted(limit: int, left: int, resets_at: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(int(resets_at)),
    }


def _token_shown(headers: Mapping[str, str]) -> Credential | None:
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return Credential(token, bearer=True) if kind == "Bearer" and token else None


def _nothing_shown(_headers: Mapping[str, str]) -> Credential:
    return Credential("")


def _tradier_complaint(refused: Refused) -> tuple[bytes, str]:
    if refused.status == 400:
        return str(refused).encode(), "text/plain"
    fault = {"faultstring": str(refused), "detail": {"errorcode": "sandbox"}}
    return msgspec.json.encode({"fault": fault}), "application/json"


def _tradier_counted(limit: int, left: int, resets_at: float) -> dict[str, str]:
    return {
        "X-Ratelimit-Allowed": str(limit),
        "X-Ratelimit-Used": str(limit - left),
        "X-Ratelimit-Available": str(left),
        "X-Ratelimit-Expiry": str(int(resets_at * 1000)),
    }


def _cboe_complaint(_refused: Refused) -> tuple[bytes, str]:
    return b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", "application/xml"


ALPACA = Face(
    "alpaca",
    10_000,
    _alpaca_shown,
    Refused(401, 40110000, "unauthorized."),
    _alpaca_complaint,
    _alpaca_counted,
    door="data",
)
TRADIER = Face(
    "tradier",
    120,
    _token_shown,
    Refused(401, 401, "Invalid Access Token"),
    _tradier_complaint,
    _tradier_counted,
    door="market",
)
CBOE = Face("cboe", 10_000, _nothing_shown, Refused(403, 403, ""), _cboe_complaint, lambda *_: {})
"""Knows everybody, and counts in silence."""
TOKENS = Face("tokens", 10_000, _nothing_shown, Refused(401, 401, ""), _alpaca_complaint, lambda *_: {})
"""Where a client shows its id and secret instead, and is refused in the words of OAuth."""
