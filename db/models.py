"""The vocabulary that every room shares: rows and enums, without a line of logic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Theme(StrEnum):
    """How pictures look; the colour-blind pair trades green/red for blue/orange."""

    DARK = "dark"
    LIGHT = "light"
    COLOUR_BLIND = "colour-blind"
    COLOUR_BLIND_LIGHT = "colour-blind-light"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person chose to be remembered; `user_id` is the Discord id."""

    user_id: int
    theme: Theme
    numbers: str | None = None
    """The locale whose separators they read, such as "de"; None for that of their Discord."""
    private: bool = False
    """Answers about the market are for themselves alone."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who has used the bot; `plan` is None where they have the default one."""

    preferences: Preferences
    plan: str | None


@dataclass(frozen=True, slots=True)
class StartedJob:
    """A job at work for the `starts`-th time."""

    id: int
    name: str
    payload: Mapping[str, Any]
    starts: int


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that failed or killed its worker five times, with the last error."""

    id: int
    name: str
    payload: Mapping[str, Any]
    starts: int
    error: str | None
    created_at: datetime


class Urgency(StrEnum):
    """How soon a notice must reach its reader, and what may happen to it on the way."""

    P0 = "P0"
    """Orders, kill switch, re-link: never dropped, tried in a second place after a minute."""
    P1 = "P1"
    """A person's alerts: a burst to one place becomes a digest."""
    P2 = "P2"
    """Boards and scans: the latest wins."""


class NoticeState(StrEnum):
    """What became of a notice."""

    WAITING = "waiting"
    SENT = "sent"
    MERGED = "merged"
    """A newer notice of its subject was shown in its stead."""
    MISSED = "missed"
    """No way to the person was open; shown at their next command."""
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Place:
    """Where words go; `token` is that of an interaction, whose answer (or follow-up `message_id`) is edited."""

    channel_id: int | None = None
    guild_id: int | None = None
    message_id: int | None = None
    token: str | None = None
    token_expires_at: datetime | None = None
    dm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a person is told; the bot renders `payload` by `kind`.

    `key` is unique for ever per person and kind. Notices of one person, kind and `subject` share one message.
    """

    urgency: Urgency
    kind: str
    key: str
    place: Place
    payload: Mapping[str, Any]
    user_id: int | None = None
    subject: str = ""
    private: bool = True
    """Nobody else may read it: it never goes to a channel."""
    id: int = 0
    created_at: datetime | None = None
    locale: str = "en-US"
    """Of the person, as Discord names it."""


@dataclass(frozen=True, slots=True)
class DueNotice:
    """What decides how a due notice goes: alone, with others of its place, or not yet."""

    id: int
    place_key: str
    subject: tuple[str, str, int | None] | None
    tries: int
    digest: int | None


@dataclass(frozen=True, slots=True)
class TakenNotice:
    """A notice that this bot delivers now."""

    notice: Notice
    place_key: str
    nonce: str
    tries: int
    digest: int | None
    inherited: bool
    """The nonce is an older notice's, whose message may be there already."""
    shown: tuple[int, int] | None
    """Channel and message that show its subject already."""
    direct: int | None
    """The direct channel of its person, where one was opened before."""
    closed: bool
    """Its channel refuses us."""


class Condition(StrEnum):
    """Which way a price must cross the level of an alert."""

    ABOVE = "above"
    BELOW = "below"
    CROSSES = "crosses"


class AlertState(StrEnum):
    """Whether an alert is being watched."""

    ACTIVE = "active"
    PAUSED = "paused"
    FIRED = "fired"
    """It was to fire once and has done so."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A level of one symbol that somebody wants to be told about; moments are in the market's time."""

    id: int
    token: str
    user_id: int
    symbol: str
    condition: Condition
    level: Decimal
    always: bool
    """Fires again, once the price has gone far enough back; else it fires once."""
    place: Place
    state: AlertState
    armed: bool
    """False from a firing until the price has gone back."""
    after: datetime
    """Only trades later than this one (by time, then by id) count; in the future while the alert is snoozed."""
    after_id: int
    reference: Decimal | None
    """The price at that moment; None when the next trade is to say on which side the price is."""
    version: int
    """Grows with every change by its owner."""
    known: bool
    """The worker has taken it up: from then on it has been judged by every trade up to its symbol's `Mark`."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that went off at a trade; `key` is also that of its notice."""

    key: str
    at: datetime
    price: Decimal
    before: Decimal
    """The price before that trade."""
    late_s: float
    """How long after the trade we came to know of it, in seconds."""
    gap: bool
    """The price jumped over the level between two trading days."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The last trade of a symbol that alerts have been judged by."""

    symbol: str
    at: datetime
    trade_id: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing fires at the moment; `since` is the market's time of the last trade that came."""

    since: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class WatchBoard:
    """The channel of a guild where the levels of the open and the summary of the close are shown."""

    guild_id: int
    channel_id: int
    symbols: tuple[str, ...]
    set_by: int


@dataclass(frozen=True, slots=True)
class Watch:
    """A message that a channel keeps: quotes and levels, edited in place every `every_min` minutes of the session."""

    channel_id: int
    guild_id: int | None
    """None in direct messages."""
    user_id: int
    """Who put it up, and is told when it ends."""
    token: str
    symbols: tuple[str, ...]
    every_min: int


@dataclass(frozen=True, slots=True)
class GammaPoint:
    """Gamma levels of a symbol at a slot of the timetable (market time); units as in `services.gamma.Gamma`."""

    symbol: str
    slot: datetime
    closing: bool
    """The last of its day."""
    as_of: datetime
    source: str
    delay: timedelta
    spot: float
    net: float
    gross: float
    flip: float | None
    call_wall: float | None
    put_wall: float | None
    abs_gamma: float | None
    max_pain: float | None
    expected_move: float | None
    zero_dte: float
    """Share (0..1) of `gross` that expires on the day itself."""
    coverage: float


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Contracts open at the end of a day; the tuples are by strike and of one length."""

    symbol: str
    day: date
    source: str
    calls: int
    puts: int
    strikes: tuple[float, ...]
    call_oi: tuple[int, ...]
    put_oi: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GammaSync:
    """What came of the newest slot of a symbol: stored, or an error in words."""

    symbol: str
    slot: datetime
    error: str | None
