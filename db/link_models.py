"""Links to members' own brokers, from the request to the sealed row."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from db.models import Place


class LinkState(StrEnum):
    """What a link to a broker is good for: nothing before its owner activates it, nor after the broker ended it."""

    PENDING = "pending"
    ACTIVE = "active"
    SIGNED_OUT = "signed_out"


@dataclass(frozen=True, slots=True)
class BrokerConnection:
    """A person's own account at a broker, as they let us use it; `mode` is PAPER or LIVE."""

    id: int
    user_id: int
    broker: str
    mode: str
    label: str
    """The end of the account's number, such as "••1234"."""
    scopes: tuple[str, ...]
    state: LinkState
    created_at: datetime
    activated_at: datetime | None
    expires_at: datetime | None
    """When its token ends, where the broker says so."""


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A person's wish to link a broker, on its way through the browser until `expires_at`."""

    id: int
    user_id: int
    broker: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SealedLink:
    """A link with its tokens, which only the vault opens; `version` grows with every change of it."""

    connection: BrokerConnection
    tokens: bytes = field(repr=False)
    version: int
    place: Place
    """Where `/link` was typed."""
    ended: bool
    """Its token's end has passed."""
    just_renewed: bool
    """Less than a minute ago."""


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """What a broker has let us in to, to be kept in the row `id`."""

    id: int
    user_id: int
    broker: str
    number: str = field(repr=False)
    mode: str
    label: str
    scopes: tuple[str, ...]
    tokens: bytes = field(repr=False)
    lasts: timedelta | None
    due_after: timedelta | None
    """When something is to be done about the token's end."""


@dataclass(frozen=True, slots=True)
class AuthorizedLink:
    """A request that came back from its broker; it was bound to one browser session."""

    request: LinkRequest
    session: bytes = field(repr=False)
    redirect_uri: str
    place: Place
    late: bool
