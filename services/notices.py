"""Notices: what people are told, written in the transaction of the fact and handed to the bots by urgency."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import structlog

from db import notices
from db.listener import listening
from db.models import DueNotice, Notice, NoticeState, Place, TakenNotice, Urgency
from db.pool import Connection, Database, DatabaseUnavailable, PostgresError
from services import jobs
from services.errors import outages_told

LEASE = timedelta(seconds=6)
RENEW_S = 1.5
MOST_DUE = 5000
DIGEST_ABOVE = 5
DIGEST_WITHIN_S = 2.0
MOST_REFUSALS = 3
LONGEST_SLEEP_S = 2.0
BLOCKED_S = 0.2
KEPT = timedelta(days=90)
IN_PLACE = frozenset({"watch"})
"""Kinds whose message a channel keeps: it is edited and never shown elsewhere, and ends with its message or place."""

log = structlog.get_logger(__name__)


async def write(conn: Connection, notice: Notice, *, after_s: float = 0) -> int | None:
    """Add a notice to the caller's transaction, as `pulse_service` or as its person; it is delivered after the commit.

    Returns its id, None where the person has one of that kind and key already. `after_s` delays it; a newer one of its
    subject that goes out meanwhile takes its place. `payload` is JSON.
    """
    return await notices.add_notice(conn, notice, timedelta(seconds=after_s))


async def deliveries(
    conn: Connection, user_id: int, kind: str, keys: Sequence[str]
) -> dict[str, tuple[NoticeState, datetime | None]]:
    """Return by key what became of a person's notices of a kind, and when they were delivered."""
    return await notices.list_deliveries(conn, user_id, kind, keys)


async def reopen(conn: Connection, channel_id: int) -> None:
    """Try a channel again that was given up; for `pulse_service`, when somebody sets something up there."""
    await notices.forget_refusals(conn, channel_id, closed=True)


async def missed(database: Database, user_id: int) -> list[Notice]:
    """Return what could not be brought to a person, each once, to be shown now; raises DatabaseAway."""
    with outages_told():
        async with database.as_user(user_id) as conn:
            return await notices.take_missed(conn, user_id)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes out as one message: a notice, or several of one place as a digest."""

    notices: tuple[TakenNotice, ...]

    @property
    def ids(self) -> list[int]:
        """The notices' ids."""
        return [taken.notice.id for taken in self.notices]

    @property
    def place_key(self) -> str:
        """The person or channel that they are for."""
        return self.first.place_key

    @property
    def first(self) -> TakenNotice:
        """The oldest of them."""
        return self.notices[0]


def plan(due: Sequence[DueNotice], recent: Mapping[str, int], room: int, urgency: Urgency) -> list[list[int]]:
    """Return which due notices go out now, as groups that share a message.

    `recent` counts by place the messages that are on their way or were shown within the last two seconds. Of a subject
    only the newest goes. More than five P1 notices for one place make a digest, and those that would make it more than
    five within two seconds wait for each other. A group that was tried before goes as it was.
    """
    newest = {notice.subject: notice.id for notice in sorted(due, key=lambda one: one.id) if notice.subject}
    singles: list[list[int]] = []
    fresh: dict[str, list[int]] = defaultdict(list)
    begun: dict[int, list[int]] = defaultdict(list)
    for notice in due:
        if notice.digest is not None:
            begun[notice.digest].append(notice.id)
        elif notice.subject and newest[notice.subject] != notice.id:
            continue
        elif notice.subject or notice.tries or urgency is not Urgency.P1:
            singles.append([notice.id])
        else:
            fresh[notice.place_key].append(notice.id)
    digests = [*begun.values()]
    for place, ids in fresh.items():
        if len(ids) + recent.get(place, 0) <= DIGEST_ABOVE:
            singles.extend([one] for one in ids)
        elif not recent.get(place):
            digests.append(ids)
    return sorted([*digests, *singles])[:room]


class Outbox:
    """One bot's hold on the notices: takes what is due, keeps its leases, stores what became of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id = uuid4()
        self._held: set[int] = set()
        self._busy: Counter[str] = Counter()
        self._recent: dict[str, list[float]] = {}
        self.woken = {urgency: asyncio.Event() for urgency in Urgency}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Follow new notices and keep the leases until the block ends."""
        renewing = asyncio.create_task(self._renew())
        try:
            async with listening(
                self._database.url,
                ("notices",),
                on_notify=lambda _, urgency: self.woken[Urgency(urgency)].set(),
                on_resync=self._wake_all,
            ):
                yield
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})

    async def take(self, urgency: Urgency, room: int) -> tuple[list[Parcel], float]:
        """Lease up to `room` parcels; returns them, and in how many seconds to look again if nothing wakes us."""
        try:
            return await self._take(urgency, room)
        except (DatabaseUnavailable, PostgresError) as error:
            log.warning("notices away", error=str(error))
            return [], LONGEST_SLEEP_S

    async def _take(self, urgency: Urgency, room: int) -> tuple[list[Parcel], float]:
        async with self._database.transaction() as conn:
            await notices.lock_claims(conn, urgency)
            due = await notices.list_due(conn, urgency, MOST_DUE)
            groups = plan(due, self._counts(), room, urgency)
            chosen = {one: min(group) if len(group) > 1 else None for group in groups for one in group}
            begun = {notice.id: notice.digest for notice in due if notice.digest is not None and notice.id in chosen}
            taken = await notices.take_notices(conn, self._id, chosen | begun, LEASE) if chosen else []
            wait_s = await notices.seconds_to_next(conn, urgency)
        self._held.update(chosen)
        parcels = _parcels(taken)
        self._busy.update(parcel.place_key for parcel in parcels)
        # what is due but was not taken waits for a burst, for another bot's message, or for room
        return parcels, LONGEST_SLEEP_S if wait_s is None else min(max(wait_s, BLOCKED_S), LONGEST_SLEEP_S)

    async def settle(
        self, parcel: Parcel, state: NoticeState, message: tuple[int, int] | None = None, error: str | None = None
    ) -> None:
        """Store what became of a parcel; `message` is the channel and message that show it.

        While PostgreSQL is away for long the parcel is due again, and its nonce keeps it from being shown twice.
        """
        await self._write(
            parcel,
            lambda conn: notices.settle_notices(conn, self._id, parcel.ids, state, message, error),
        )

    async def removed(self, parcel: Parcel, reason: str) -> None:
        """Give up a notice whose message or place is gone, and let the worker end what it belongs to."""
        notice = parcel.first.notice
        about = {"subject": notice.subject, "reason": reason}

        async def change(conn: Connection) -> None:
            await notices.settle_notices(conn, self._id, parcel.ids, NoticeState.DEAD, None, reason)
            await jobs.enqueue(conn, f"{notice.kind}.removed", about, f"{notice.kind}.removed:{notice.subject}")

        await self._write(parcel, change)

    async def set_back(self, parcel: Parcel, after_s: float, error: str) -> None:
        """Let a parcel be taken again after a while, by any bot."""
        after = timedelta(seconds=after_s)
        await self._write(parcel, lambda conn: notices.set_back(conn, self._id, parcel.ids, after, error))

    async def refused(self, notice: Notice, channel_id: int, reason: str, *, gone: bool) -> None:
        """Count that a channel refused a notice; at the third time, or when `gone`, it is closed and the owner told."""

        async def write() -> None:
            async with self._database.transaction() as conn:
                if await notices.add_refusal(conn, channel_id, reason, 1 if gone else MOST_REFUSALS):
                    log.warning("channel closed", channel=channel_id, reason=reason)
                    if notice.user_id is not None:
                        await notices.add_notice(conn, _closed(notice, channel_id, reason), timedelta())

        await self._retry(write)

    async def accepted(self, channel_id: int) -> None:
        """Forget the refusals of a channel that takes messages again."""

        async def write() -> None:
            async with self._database.transaction() as conn:
                await notices.forget_refusals(conn, channel_id, closed=False)

        await self._retry(write)

    async def opened(self, user_id: int, channel_id: int) -> None:
        """Remember a direct channel for every bot."""

        async def write() -> None:
            async with self._database.transaction() as conn:
                await notices.add_direct_channel(conn, user_id, channel_id)

        await self._retry(write)

    def _wake_all(self) -> None:
        for event in self.woken.values():
            event.set()

    def _counts(self) -> dict[str, int]:
        since = asyncio.get_running_loop().time() - DIGEST_WITHIN_S
        self._recent = {
            place: kept for place, times in self._recent.items() if (kept := [t for t in times if t > since])
        }
        return Counter({place: len(times) for place, times in self._recent.items()}) + self._busy

    async def _write(self, parcel: Parcel, change: Callable[[Connection], Awaitable[None]]) -> None:
        async def write() -> None:
            async with self._database.transaction() as conn:
                await change(conn)

        await self._retry(write)
        self._held.difference_update(parcel.ids)
        self._busy[parcel.place_key] -= 1
        self._recent.setdefault(parcel.place_key, []).append(asyncio.get_running_loop().time())

    async def _retry(self, write: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._database.retry(write, within_s=30.0)
        except (DatabaseUnavailable, PostgresError) as error:
            log.warning("delivery not stored", error=str(error))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                if self._held:
                    async with self._database.transaction() as conn:
                        await notices.renew_leases(conn, self._id, list(self._held), LEASE)
            except (DatabaseUnavailable, PostgresError) as error:
                log.warning("leases of notices not renewed", error=str(error))


def _parcels(taken: Sequence[TakenNotice]) -> list[Parcel]:
    groups: dict[int, list[TakenNotice]] = defaultdict(list)
    for one in taken:
        groups[one.notice.id if one.digest is None else one.digest].append(one)
    return [Parcel(tuple(group)) for group in groups.values()]


def _closed(notice: Notice, channel_id: int, reason: str) -> Notice:
    return Notice(
        urgency=Urgency.P0,
        kind="channel.closed",
        key=f"{channel_id}:{notice.id}",
        place=Place(dm=True),
        payload={"channel_id": str(channel_id), "reason": reason},
        user_id=notice.user_id,
    )
