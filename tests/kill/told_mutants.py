"""Alerts and their delivery with one bug each, which the harness must catch: its permanent negative controls."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

import delivering
import firing
from mortal import Scenario
from mutants import Mutant, replacing

from bot.delivery import Delivery
from db import alerts
from db import notices as stored
from db.models import NoticeState
from db.pool import connect
from services import firings, notices
from services.notices import Outbox
from services.watch import Watch

TWO_CHANNELS, DIRECT, ORDER, BOARD, DIGEST, REFUSED, DELETED = delivering.STORIES
WATCHED, UNSEEN, _SILENT = firing.STORIES
TAKEN = "after the commit of Outbox._take: notices"
ANSWERED = "when a POST is answered"
SETTLED = "after the commit of Outbox._write: notices"
CLOSED = "after the commit of _closed_then_told: refusing_channels"
WRITTEN = "after the commit of Watch._write: alert_firings"
FIRED = f"{WRITTEN}, alerts, notices"

_POST, _BY_SOME_WAY, _TAKE = Delivery._post, Delivery._by_some_way, stored.take_notices
_LIST_DUE, _LIST_MARKS = stored.list_due, alerts.list_marks


async def _posted_as_new(self, channel_id, taken, reply):
    return await _POST(self, channel_id, replace(taken, nonce=secrets.token_hex(8)), reply)


async def _stored_first(self, parcel, reply):
    await self._outbox.settle(parcel, NoticeState.SENT)
    return await _BY_SOME_WAY(self, parcel, reply)


async def _nothing_inherited(*arguments):
    taken = await _TAKE(*arguments)
    return [replace(one, nonce=secrets.token_hex(8), inherited=False) if one.inherited else one for one in taken]


async def _closed_then_told(self, notice, channel_id, reason, *, gone):
    async with self._database.transaction() as conn:
        closed = await stored.add_refusal(conn, channel_id, reason, 1 if gone else notices.MOST_REFUSALS)
    if closed:
        async with self._database.transaction() as conn:
            await stored.add_notice(conn, notices._closed(notice, channel_id, reason), timedelta())


async def _digests_forgotten(*arguments):
    return [replace(one, digest=None) for one in await _LIST_DUE(*arguments)]


@contextmanager
def _written_later(url: str) -> Iterator[None]:
    write, tasks = notices.write, set()

    async def later(_conn, notice):
        async def tell() -> None:
            await asyncio.sleep(0.01)
            own = await connect(url, role="pulse_service")
            await write(own, notice)
            await own.close()

        tasks.add(asyncio.create_task(tell()))

    with patch.object(firings, "notices", SimpleNamespace(write=later)):
        yield


async def _nothing_caught_up(self) -> None:
    self._current |= self._crossings.ladders


async def _all_still_armed(_conn, judged):
    return {each.alert.id for each in judged}


async def _marked_ahead(conn):
    return [replace(mark, at=mark.at + timedelta(seconds=30)) for mark in await _LIST_MARKS(conn)]


def _killed(point: str, story, *nths: int) -> tuple[Scenario, ...]:
    return tuple(Scenario(story, point, nth) for nth in nths or (0,))


DELIVERY = (
    Mutant("each try is a new message", replacing(Delivery, "_post", _posted_as_new), _killed(ANSWERED, TWO_CHANNELS)),
    Mutant("stored first", replacing(Delivery, "_by_some_way", _stored_first), _killed(SETTLED, TWO_CHANNELS)),
    Mutant(
        "news forget a message",
        replacing(stored, "take_notices", _nothing_inherited),
        _killed(ANSWERED, ORDER, 0, 1),
    ),
    Mutant("a lease never ends", replacing(notices, "LEASE", timedelta(hours=1)), _killed(TAKEN, DIRECT)),
    Mutant("a digest is forgotten", replacing(stored, "list_due", _digests_forgotten), _killed(ANSWERED, DIGEST)),
    Mutant("closed, and told later", replacing(Outbox, "refused", _closed_then_told), _killed(CLOSED, DELETED)),
)
ALERTS = (
    Mutant("written after the commit", _written_later, _killed(f"{WRITTEN}, alerts", WATCHED)),
    Mutant("what was missed is not fetched", replacing(Watch, "_catch_up", _nothing_caught_up), _killed(FIRED, UNSEEN)),
    Mutant(
        "stays armed",
        replacing(alerts, "set_judged", _all_still_armed),
        _killed(f"{WRITTEN}, notices", WATCHED),
    ),
    Mutant("goes on too late", replacing(alerts, "list_marks", _marked_ahead), _killed(FIRED, UNSEEN, 0, 1)),
)
