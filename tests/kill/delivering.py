"""Kills bots at every step of a delivery, and reads in Discord what was lost or doubled."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from mortal import Scenario, Told, Victim, mouth
from standin import standin

from bot.notice_cards import channel_closed
from bot.replies import Reply
from db.models import Notice, Place, Urgency
from db.pool import Database
from services import notices

P0, P1, P2 = Urgency
NOWHERE = 4711


def plain(notice, _locale) -> Reply:
    return Reply(notice.payload["text"])


RENDER = dict.fromkeys(("order", "alert", "board"), plain) | {"channel.closed": channel_closed}


@dataclass(frozen=True)
class Story:
    """What people are told in one scenario, batch by batch, and what they then read, by place."""

    name: str
    told: Callable[[dict[str, int]], Sequence[Sequence[Notice]]]
    read: dict[str, list[str]]


def _notice(key: str, *, urgency=P1, kind="alert", **more) -> Notice:
    return Notice(urgency=urgency, kind=kind, key=key, payload={"text": key}, **more)


def _alerts(cast):
    here = {"place": Place(channel_id=cast["trading-floor"]), "private": False}
    there = {"place": Place(channel_id=cast["alerts-feed"]), "private": False}
    return [[_notice("one", **here), _notice("two", **here)], [_notice("three", **there)]]


def _direct(cast):
    return [[_notice(key, place=Place(dm=True), user_id=cast["Jonas"])] for key in ("first", "second")]


def _order(cast):
    told = {"urgency": P0, "kind": "order", "subject": "o", "user_id": cast["Mara"], "place": Place(dm=True)}
    return [[_notice("sent", **told)], [_notice("partial", **told)], [_notice("filled", **told)]]


def _board(cast):
    told = {"urgency": P2, "kind": "board", "subject": "b", "private": False}
    return [[_notice(f"v{n}", place=Place(channel_id=cast["gamma-levels"]), **told)] for n in range(3)]


def _digest(cast):
    place = Place(channel_id=cast["alerts-feed"])
    return [[_notice(f"n{n}", place=place, private=False) for n in range(7)]]


def _refused(cast):
    place = Place(channel_id=cast["alerts-feed"], dm=True)
    return [[_notice("SPY above", place=place, private=False, user_id=cast["Sam"])]]


def _deleted(cast):
    told = {"place": Place(channel_id=NOWHERE), "private": False, "user_id": cast["Mara"]}
    return [[_notice("gone", **told)], [_notice("gone too", **told)]]


STORIES = (
    Story("alerts in two channels", _alerts, {"trading-floor": ["one", "two"], "alerts-feed": ["three"]}),
    Story("alerts by direct message", _direct, {"Jonas": ["first", "second"]}),
    Story("an order's news", _order, {"Mara": ["filled"]}),
    Story("a board", _board, {"gamma-levels": ["v2"]}),
    Story("a digest", _digest, {"alerts-feed": [f"• n{n}" for n in range(7)]}),
    Story("a refused direct message", _refused, {"alerts-feed": ["SPY above"]}),
    Story("a deleted channel", _deleted, {"Mara": ["gone", "gone too", "📭 deleted"]}),
)


class Deliveries(Told):
    """Bots that are killed while they deliver; a Discord of its own for each scenario."""

    stories = STORIES

    def __init__(self, *where) -> None:
        super().__init__(*where)
        notices.LEASE, notices.RENEW_S, notices.BLOCKED_S = timedelta(seconds=0.2), 0.05, 0.03

    async def play(self, scenario: Scenario) -> bool:
        tables = ("notices", "direct_channels", "refusing_channels")
        async with self.emptied(*tables) as database, standin(rate_limits=False) as world:
            cast = {name: int(world.world.user(name).id) for name in ("Mara", "Jonas", "Sam")}
            cast |= {channel.name: int(channel.id) for channel in world.world.channels.values()}
            victim = Victim(lambda: self._deliver(world.base_url, scenario))
            try:
                for batch in scenario.story.told(cast):
                    async with database.transaction() as conn:
                        for notice in batch:
                            await notices.write(conn, notice)
                    await victim.until(lambda: _settled(database), self.patience_s)
            finally:
                killed = victim.end()
            async with AsyncExitStack() as stack:
                for _ in range(2):
                    await stack.enter_async_context(mouth(world.base_url, database, RENDER))
                async with asyncio.timeout(self.patience_s):
                    while not await _settled(database):
                        await asyncio.sleep(0.01)
            _audit(world, scenario.story)
            return killed

    async def _deliver(self, url: str, scenario: Scenario) -> None:
        database = await self.victim_database(scenario)
        async with mouth(url, database, RENDER, database.reached):
            await asyncio.sleep(3600)


async def _settled(database: Database) -> bool:
    async with database.acquire() as conn:
        return not await conn.fetchval("SELECT EXISTS (SELECT FROM app.notices WHERE state = 'waiting')")


def _audit(world, story: Story) -> None:
    places = [(name, "Mara") for name in ("trading-floor", "gamma-levels", "alerts-feed")]
    places += [("dm", name) for name in ("Mara", "Jonas", "Sam")]
    for channel, user in places:
        place = user if channel == "dm" else channel
        lines = [line for message in world.messages(channel, user) for line in _lines(message)]
        expected = story.read.get(place, [])
        assert sorted(lines) == sorted(expected), f"in {place} stands {lines}, not {expected}"


def _lines(message) -> list[str]:
    if message["embeds"]:
        return message["embeds"][0]["description"].splitlines()
    return ["📭 deleted" if "deleted" in message["content"] else message["content"]]
