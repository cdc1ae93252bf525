"""Which feeds an account may read: found out once, and never claimed wrongly."""

import asyncio

import pytest

from services.errors import FeedForbids, FeedUnavailable
from services.feeds.entitlement import Entitlement


def vendor(*sold):
    asked = []

    async def answer(feed):
        asked.append(feed)
        await asyncio.sleep(0)
        if feed not in sold:
            raise FeedForbids("Alpaca", "subscription does not permit it")
        return feed

    return asked, answer


async def test_the_best_one_that_is_not_forbidden_is_asked_from_then_on():
    feeds, (asked, answer) = Entitlement(["sip", "iex"]), vendor("iex")
    assert feeds.best == "sip"
    assert [await feeds.ask(answer) for _ in range(3)] == ["iex"] * 3
    assert (asked, feeds.best) == (["sip", "iex", "iex", "iex"], "iex")


async def test_who_asks_at_the_same_time_steps_down_together():
    feeds, (asked, answer) = Entitlement(["gold", "sip", "iex"]), vendor("sip", "iex")
    assert await asyncio.gather(*(feeds.ask(answer) for _ in range(4))) == ["sip"] * 4
    assert sorted(asked) == ["gold"] * 4 + ["sip"] * 4


async def test_when_all_are_forbidden_it_is_said_and_the_last_one_tried_again():
    feeds, (asked, answer) = Entitlement(["sip", "iex"]), vendor()
    for _ in range(2):
        with pytest.raises(FeedForbids):
            await feeds.ask(answer)
    assert asked == ["sip", "iex", "iex"]


async def test_another_failure_says_nothing_about_rights():
    feeds = Entitlement(["sip", "iex"])

    async def down(_feed):
        raise FeedUnavailable("Alpaca", "it is down")

    with pytest.raises(FeedUnavailable):
        await feeds.ask(down)
    assert feeds.best == "sip"
