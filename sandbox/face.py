"""How a vendor of the synthetic market looks from outside: whom it knows, how it counts, how it complains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Query = Mapping[str, str]
Json = dict[str, Any]
Answer = Callable[[Query, float], Any]
"""What a route says to a query at a moment (seconds since 1970)."""


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
    knows: Callable[[Mapping[str, str]], bool]
    """Tells from the headers of a request whether it is a customer's."""
    unknown: Refused
    """What it says to others."""
    complaint: Callable[[Refused], tuple[bytes, str]]
    """Body and content type of a refusal."""
    counted: Callable[[int, int, float], dict[str, str]]
    """Headers that tell the limit, what is left, and when it is counted anew (seconds since 1970)."""


def _alpaca_knows(headers: Mapping[str, str]) -> bool:
    key, secret = headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")
    return bool(key and secret) or _bears_token(headers)


def _alpaca_complaint(refused: Refused) -> tuple[bytes, str]:
    return msgspec.json.encode({"code": refused.code, "message": str(refused)}), "application/json"


def _alpaca_counted(limit: int, left: int, resets_at: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(int(resets_at)),
    }


def _bears_token(headers: Mapping[str, str]) -> bool:
    return headers.get("Authorization", "").startswith("Bearer ")


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
    "alpaca", 10_000, _alpaca_knows, Refused(401, 40110000, "unauthorized."), _alpaca_complaint, _alpaca_counted
)
TRADIER = Face(
    "tradier", 120, _bears_token, Refused(401, 401, "Invalid Access Token"), _tradier_complaint, _tradier_counted
)
CBOE = Face("cboe", 10_000, lambda _: True, Refused(403, 403, ""), _cboe_complaint, lambda *_: {})
"""Knows everybody, and counts in silence."""
