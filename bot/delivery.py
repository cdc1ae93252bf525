"""The only mouth: takes notices from the outbox and brings each to its reader once, whatever dies on the way.

New messages carry the notice's nonce, so that one sent but not stored comes back as the same message; edits may be
repeated. A way that is closed for good leads to the next one, anything else to another try.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import discord
import structlog
from babel import Locale

from bot.brakes import LOOK_AGAIN_S, Brakes
from bot.numbers import count, locale_of
from bot.replies import UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, Reply, files_of
from db.models import Notice, NoticeState, TakenNotice, Urgency
from services.health import Health
from services.notices import IN_PLACE, LONGEST_SLEEP_S, Outbox, Parcel

Render = Callable[[Notice, Locale], Reply]
Message = tuple[int, int]
"""Channel and message."""

IN_FLIGHT = {Urgency.P0: 32, Urgency.P1: 16, Urgency.P2: 4}
SECOND_PLACE_AFTER = timedelta(seconds=60)
TOKEN_MARGIN = timedelta(seconds=5)
ANSWERED_WITHIN = timedelta(seconds=5)
LOOK_FOR_ANSWER_S = 0.3
LONGEST_PAUSE_S = 60.0
FAREWELL_S = 3.0
DIGEST_LINES = 20
DIGEST_LINE = 150
MISSING_PERMISSIONS = 50013
INVALID_RECIPIENT = 50033
OLD_EDITS = 30046
MOST_SURPRISES = 10
CANNOT_PASS = {400, 413}  # such a message is refused for ever

log = structlog.get_logger(__name__)


class Closed(Exception):
    """This way leads nowhere any more: refused, deleted, expired; `reason` is said to whom it concerns."""

    def __init__(self, message: str, reason: str = "") -> None:
        self.reason = reason or message
        super().__init__(message)


class Later(Exception):
    """This way is open, but not before some seconds have passed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"waits {seconds:.1f} s")


@dataclass(frozen=True, slots=True)
class Answer:
    """Edit the answer to an interaction; outside Discord's global limit."""

    token: str
    message_id: int | None


@dataclass(frozen=True, slots=True)
class Edit:
    """Edit a message of ours."""

    channel_id: int
    message_id: int


@dataclass(frozen=True, slots=True)
class Post:
    """Write a new message into a channel."""

    channel_id: int


@dataclass(frozen=True, slots=True)
class Direct:
    """Write a new direct message."""

    user_id: int


Way = Answer | Edit | Post | Direct


def ways(taken: TakenNotice, now: datetime) -> list[Way]:
    """Return how a notice may reach its reader, the best way first."""
    notice, place = taken.notice, taken.notice.place
    if notice.kind in IN_PLACE:
        return [Edit(*taken.shown)] if taken.shown else [Post(place.channel_id)] if place.channel_id else []
    found: list[Way] = []
    if notice.private and place.token and place.token_expires_at and place.token_expires_at > now + TOKEN_MARGIN:
        found.append(Answer(place.token, place.message_id))
    if taken.shown:
        found.append(Edit(*taken.shown))
    elif place.message_id and place.channel_id and not place.token and not taken.closed:
        found.append(Edit(place.channel_id, place.message_id))
    direct = [Direct(notice.user_id)] if notice.user_id else []
    post = [Post(place.channel_id)] if place.channel_id and not notice.private and not taken.closed else []
    found.extend([*direct, *post] if place.dm or notice.private else [*post, *direct])
    return found


class Delivery:
    """Delivers with one client while it is logged in."""

    def __init__(
        self,
        client: discord.Client,
        outbox: Outbox,
        render: Mapping[str, Render],
        health: Health | None = None,
        share: float = 1.0,
    ) -> None:
        """Deliver `share` of what all bots together may send, and tell `health` how it goes."""
        self._client = client
        self._outbox = outbox
        self._render = render
        self._health = health or Health()
        self._brakes = Brakes(share=share)
        self._direct: dict[int, int] = {}
        self._opening: dict[int, asyncio.Task[int]] = {}
        self._refusing: set[int] = set()
        client.http.http_trace = self._brakes.trace()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver until the block ends; what is on its way then is sent again by the next bot, and shown once."""
        async with self._outbox.open():
            lanes = [asyncio.create_task(self._lane(urgency)) for urgency in Urgency]
            try:
                yield
            finally:
                for lane in lanes:
                    lane.cancel()
                await asyncio.wait(lanes)
                self._health.report("delivery", ok=False, detail="waits for the connection to Discord")

    async def _lane(self, urgency: Urgency) -> None:
        woken, most = self._outbox.woken[urgency], IN_FLIGHT[urgency]
        sending: set[asyncio.Task[None]] = set()

        def sent(task: asyncio.Task[None]) -> None:
            sending.discard(task)
            woken.set()

        try:
            while True:
                woken.clear()
                parcels, pause = await self._take(urgency, most - len(sending))
                for parcel in parcels:
                    task = asyncio.create_task(self._send(parcel))
                    sending.add(task)
                    task.add_done_callback(sent)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):  # wait_for() may swallow a cancellation before Python 3.12
                        await woken.wait()
        finally:
            if sending:
                _, late = await asyncio.wait(sending, timeout=FAREWELL_S)
                for task in late:
                    task.cancel()

    async def _take(self, urgency: Urgency, room: int) -> tuple[list[Parcel], float]:
        trouble = self._brakes.trouble
        self._health.report("delivery", ok=trouble is None, detail=trouble or "working")
        if not self._brakes.allow(urgency):
            return [], LOOK_AGAIN_S
        if room <= 0:
            return [], LONGEST_SLEEP_S
        try:
            return await self._outbox.take(urgency, room)
        except Exception:
            log.exception("notices not taken")
            return [], LONGEST_SLEEP_S

    async def _send(self, parcel: Parcel) -> None:
        first = parcel.first
        urgency = first.notice.urgency
        with structlog.contextvars.bound_contextvars(notices=parcel.ids[:5], kind=first.notice.kind, tries=first.tries):
            try:
                reply = self._rendered(parcel)
            except Exception as error:
                log.exception("notice cannot be drawn")
                await self._outbox.settle(parcel, NoticeState.DEAD, error=repr(error))
                return
            try:
                message = await self._by_some_way(parcel, reply)
            except Closed as error:
                if first.notice.kind in IN_PLACE:
                    await self._outbox.removed(parcel, error.reason)
                    return
                told_later = first.notice.user_id is not None and urgency is not Urgency.P2
                state = NoticeState.MISSED if told_later else NoticeState.DEAD
                log.warning("notice has no way", state=state, error=str(error))
                await self._outbox.settle(parcel, state, error=str(error))
            except Later as later:
                await self._outbox.set_back(parcel, later.seconds, str(later))
            except Exception as error:  # noqa: BLE001 an edge: nothing that one notice meets may stop the others
                await self._failed(parcel, error)
            else:
                await self._outbox.settle(parcel, NoticeState.SENT, message)
                log.info("told", urgency=urgency, count=len(parcel.notices))

    async def _failed(self, parcel: Parcel, error: Exception) -> None:
        expected = isinstance(error, (discord.HTTPException, aiohttp.ClientError, OSError))
        given_up = error.status in CANNOT_PASS if isinstance(error, discord.HTTPException) else False
        if given_up or (not expected and parcel.first.tries >= MOST_SURPRISES):
            log.error("notice given up", exc_info=error)
            await self._outbox.settle(parcel, NoticeState.DEAD, error=repr(error))
        else:
            log.warning("notice not sent, trying again", error=repr(error))
            await self._outbox.set_back(parcel, pause(parcel.first.tries), repr(error))

    def _rendered(self, parcel: Parcel) -> Reply:
        replies = [
            self._render[taken.notice.kind](taken.notice, locale_of(taken.notice.locale))
            for taken in parcel.notices[:DIGEST_LINES]
        ]
        if len(parcel.notices) == 1:
            return replies[0]
        return digest(replies, len(parcel.notices), locale_of(parcel.first.notice.locale))

    async def _by_some_way(self, parcel: Parcel, reply: Reply) -> Message | None:
        taken = parcel.first
        late = _age(taken.notice) > SECOND_PLACE_AFTER
        closed_for = Closed("no way is known")
        open_ways = ways(taken, datetime.now(UTC))
        if len({each.notice.place.channel_id for each in parcel.notices}) > 1:
            # a person's digest: what was set up in one server is no business of another
            open_ways = [way for way in open_ways if not isinstance(way, Post)]
        for index, way in enumerate(open_ways):
            try:
                return await self._by(way, taken, reply)
            except Closed as closed:
                closed_for = closed
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                if not (late and taken.notice.urgency is Urgency.P0 and index + 1 < len(open_ways)):
                    raise
                log.warning("urgent notice takes its second way", error=repr(error))
        raise closed_for

    async def _by(self, way: Way, taken: TakenNotice, reply: Reply) -> Message | None:
        try:
            if isinstance(way, Answer):
                await self._answer(way, reply)
                return None
            await self._brakes.pace(taken.notice.urgency)
            match way:
                case Edit():
                    return await self._edit_or_replace(way, taken, reply)
                case Post():
                    return await self._post(way.channel_id, taken, reply)
                case Direct():
                    return await self._post(await self._direct_channel(way.user_id, taken), taken, reply)
        except discord.HTTPException as error:
            if isinstance(way, Answer) and error.code == UNKNOWN_WEBHOOK and _age(taken.notice) < ANSWERED_WITHIN:
                raise Later(LOOK_FOR_ANSWER_S) from error  # the press itself is just being answered
            if isinstance(way, Answer) and error.status == 401:
                raise Closed(str(error)) from error
            if error.status not in {403, 404} and error.code != INVALID_RECIPIENT:
                raise
            if isinstance(way, Post) and taken.notice.kind not in IN_PLACE:
                await self._refused(way.channel_id, taken.notice, error)
            raise Closed(f"{type(way).__name__}: {error}", _why(error)) from error

    async def _answer(self, way: Answer, reply: Reply) -> None:
        assert self._client.application_id, "a client that is logged in knows it"
        webhook = discord.Webhook.partial(self._client.application_id, way.token, client=self._client)
        which: Any = way.message_id or "@original"
        await webhook.edit_message(which, **_content(reply), attachments=files_of(reply))

    async def _edit(self, message: Message, reply: Reply) -> None:
        channel_id, message_id = message
        partial = self._client.get_partial_messageable(channel_id).get_partial_message(message_id)
        await partial.edit(**_content(reply), attachments=files_of(reply))

    async def _edit_or_replace(self, way: Edit, taken: TakenNotice, reply: Reply) -> Message:
        try:
            await self._edit((way.channel_id, way.message_id), reply)
        except discord.HTTPException as error:
            if error.code != OLD_EDITS or taken.notice.kind not in IN_PLACE:
                raise
            # Discord counts the edits of messages that are older than an hour; a new one begins anew.
            message = await self._post(way.channel_id, taken, reply)
            await self._delete(way)
            return message
        return way.channel_id, way.message_id

    async def _delete(self, way: Edit) -> None:
        try:
            await self._client.get_partial_messageable(way.channel_id).get_partial_message(way.message_id).delete()
        except discord.HTTPException as error:
            log.warning("replaced message stays", channel=way.channel_id, error=repr(error))

    async def _post(self, channel_id: int, taken: TakenNotice, reply: Reply) -> Message:
        channel = self._client.get_partial_messageable(channel_id)
        content = {name: value for name, value in _content(reply).items() if value}
        message = await channel.send(**content, files=files_of(reply), nonce=taken.nonce)
        if taken.inherited:
            await self._edit((channel_id, message.id), reply)
        if channel_id in self._refusing:
            self._refusing.discard(channel_id)
            await self._outbox.accepted(channel_id)
        return channel_id, message.id

    async def _direct_channel(self, user_id: int, taken: TakenNotice) -> int:
        if taken.direct:
            return taken.direct
        if user_id in self._direct:
            return self._direct[user_id]
        if user_id not in self._opening:
            if seconds := self._brakes.seconds_to_opening(taken.notice.urgency, user_id):
                raise Later(seconds)
            self._opening[user_id] = asyncio.create_task(self._open(user_id))
            self._opening[user_id].add_done_callback(lambda _: self._opening.pop(user_id))
        return await asyncio.shield(self._opening[user_id])

    async def _open(self, user_id: int) -> int:
        opened = await self._client.http.start_private_message(user_id)
        self._direct[user_id] = int(opened["id"])
        await self._outbox.opened(user_id, self._direct[user_id])
        return self._direct[user_id]

    async def _refused(self, channel_id: int, notice: Notice, error: discord.HTTPException) -> None:
        self._refusing.add(channel_id)
        gone = error.status == 404 and error.code != UNKNOWN_MESSAGE
        await self._outbox.refused(notice, channel_id, _why(error), gone=gone)


def digest(replies: list[Reply], total: int, locale: Locale) -> Reply:
    """Return one message in place of many: the first line of each, as far as they fit."""
    lines = [f"• {reply.content.splitlines()[0][:DIGEST_LINE]}" for reply in replies if reply.content]
    if total > len(lines):
        lines.append(f"… and {count(total - len(lines), locale)} more. `/alerts` lists them all.")
    embed = discord.Embed(description="\n".join(lines), colour=discord.Colour.blurple())
    return Reply(f"🔔 {count(total, locale)} alerts fired at once", embed)


def pause(tries: int) -> float:
    """Return the seconds before a notice is tried again: doubling, with jitter, at most a minute."""
    return random.uniform(0.75, 1) * min(LONGEST_PAUSE_S, 0.25 * 2.0 ** min(tries, 10))


def _why(error: discord.HTTPException) -> str:
    if error.code == UNKNOWN_MESSAGE:
        return "message deleted"
    if error.status == 404:
        return "deleted"
    return "missing permission" if error.code == MISSING_PERMISSIONS else error.text


def _age(notice: Notice) -> timedelta:
    return datetime.now(UTC) - notice.created_at if notice.created_at else timedelta()


def _content(reply: Reply) -> dict[str, Any]:
    if reply.view:
        reply.view.stop()  # discord.py would keep every view for ever; our buttons are known by their custom ids
    return {"content": reply.content, "embed": reply.embed, "view": reply.view}
