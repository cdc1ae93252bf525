"""Alerts as people handle them: made, listed, paused, snoozed, armed again, deleted; `services.watch` fires them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from db import alerts
from db.alerts import Draft
from db.models import Alert, AlertState, Condition, Firing, Mark, NoticeState, Pause, Place
from db.pool import Connection, Database, DatabaseUnavailable
from services import notices
from services.errors import BadLevel, FeedUnavailable, TooManyAlerts, UnknownAlert, outages_told
from services.market import Market

MOST_ALERTS = 100
MOST_LOGGED = 25
FARTHEST = 10
"""A level this many times the price, or a part of it as small, is taken for a slip of the finger."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Added:
    """A new alert, and the price at which it begins to look; None while no source has one."""

    alert: Alert
    price: Decimal | None

    @property
    def already(self) -> bool:
        """Whether the price is past the level, so that it must come back before the alert can fire."""
        level, condition = self.alert.level, self.alert.condition
        if self.price is None or condition is Condition.CROSSES:
            return False
        return self.price >= level if condition is Condition.ABOVE else self.price <= level


@dataclass(frozen=True, slots=True)
class Listed:
    """A person's alerts, oldest first, and why none of them can fire at the moment."""

    alerts: tuple[Alert, ...]
    paused: Pause | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One time that an alert fired, and what became of its message; None once that is forgotten."""

    firing: Firing
    delivery: NoticeState | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Log:
    """What an alert has been through, newest first; `evaluated_to` is the last trade that counted, in market time."""

    alert: Alert
    evaluated_to: datetime | None
    entries: tuple[Entry, ...]


class Alerts:
    """The alerts of people; every verb may raise DatabaseAway, and UnknownAlert where the person has no such alert."""

    def __init__(self, database: Database, market: Market) -> None:
        self._database, self._market = database, market

    async def add(
        self, user_id: int, symbol: str, condition: Condition, level: Decimal, place: Place, *, always: bool = False
    ) -> Added:
        """Make an alert on a canonical symbol that counts from the present price on.

        Raises UnknownSymbol, BadLevel or TooManyAlerts. While the sources are down, the first trade that comes says on
        which side the price is.
        """
        price, after = await self._price(symbol)
        _refuse_odd(level, price)
        draft = Draft(
            token=secrets.token_urlsafe(16),
            user_id=user_id,
            symbol=symbol,
            condition=condition,
            level=level,
            always=always,
            place=place,
            after=after,
            reference=price,
        )
        async with self._as(user_id) as conn:
            alert = await alerts.add_alert(conn, draft, MOST_ALERTS)
        if alert is None:
            raise TooManyAlerts(MOST_ALERTS)
        if place.channel_id and not place.dm:
            await self._reopen(place.channel_id)
        return Added(alert, price)

    async def list(self, user_id: int) -> Listed:
        """Return all alerts of a person."""
        async with self._as(user_id) as conn:
            return Listed(tuple(await alerts.list_alerts(conn, user_id)), await alerts.get_pause(conn))

    async def get(self, user_id: int, token: str) -> Alert:
        """Return one alert."""
        async with self._as(user_id) as conn:
            return _known(await alerts.get_alert(conn, user_id, token))

    async def pause(self, user_id: int, token: str) -> Alert:
        """Stop watching an alert until it is resumed."""
        async with self._as(user_id) as conn:
            return _known(await alerts.set_paused(conn, user_id, token))

    async def resume(self, user_id: int, token: str) -> Alert:
        """Watch an alert again; the next trade says on which side the price is."""
        return await self._begin(user_id, token, self._market.now(), armed=True)

    async def rearm(self, user_id: int, token: str) -> Alert:
        """Let an alert fire once more, after the price has gone back by `crossings.HYSTERESIS`."""
        return await self._begin(user_id, token, self._market.now(), armed=False)

    async def snooze(self, user_id: int, token: str, minutes: int) -> Alert:
        """Silence an alert for some minutes of market time, then arm it again."""
        return await self._begin(user_id, token, self._market.now() + timedelta(minutes=minutes), armed=False)

    async def delete(self, user_id: int, token: str) -> Alert:
        """Delete an alert with its log; returns what it was."""
        async with self._as(user_id) as conn:
            return _known(await alerts.take_alert(conn, user_id, token))

    async def log(self, user_id: int, token: str) -> Log:
        """Return what an alert was judged by, when it fired, and when that was delivered."""
        async with self._as(user_id) as conn:
            alert = _known(await alerts.get_alert(conn, user_id, token))
            mark = await alerts.get_mark(conn, alert.symbol)
            firings = await alerts.list_firings(conn, alert.id, MOST_LOGGED)
            delivered = await notices.deliveries(conn, user_id, "alert", [firing.key for firing in firings])
        entries = tuple(Entry(firing, *delivered.get(firing.key, (None, None))) for firing in firings)
        return Log(alert, _evaluated_to(alert, mark), entries)

    def snoozed_until(self, alert: Alert) -> datetime | None:
        """Return the market time at which an alert wakes, or None."""
        return alert.after if alert.after > self._market.now() + timedelta(seconds=5) else None

    async def _begin(self, user_id: int, token: str, after: datetime, *, armed: bool) -> Alert:
        async with self._as(user_id) as conn:
            return _known(await alerts.set_active(conn, user_id, token, after, armed=armed))

    async def _price(self, symbol: str) -> tuple[Decimal | None, datetime]:
        try:
            quote = (await self._market.quotes([symbol])).lines[0].quote
        except FeedUnavailable:
            return None, self._market.now()
        return quote.price, quote.as_of

    async def _reopen(self, channel_id: int) -> None:
        try:
            async with self._database.transaction() as conn:
                await notices.reopen(conn, channel_id)
        except DatabaseUnavailable as error:
            log.warning("channel not reopened", channel=channel_id, error=str(error))

    @asynccontextmanager
    async def _as(self, user_id: int) -> AsyncIterator[Connection]:
        with outages_told():
            async with self._database.as_user(user_id) as conn:
                yield conn


def _known(alert: Alert | None) -> Alert:
    if alert is None:
        raise UnknownAlert
    return alert


def _evaluated_to(alert: Alert, mark: Mark | None) -> datetime | None:
    if alert.state is AlertState.FIRED:
        return alert.after
    return mark.at if mark and alert.known else None


def _refuse_odd(level: Decimal, price: Decimal | None) -> None:
    exponent = level.normalize().as_tuple().exponent if level.is_finite() else None
    if not isinstance(exponent, int) or level <= 0 or exponent < -4:
        raise BadLevel("An alert needs a price above zero with at most four decimals, like 187.50.")
    if price and not price / FARTHEST <= level <= price * FARTHEST:
        raise BadLevel(f"The price is {price}, so an alert at {level} looks like a slip. Give a price nearer to it.")
