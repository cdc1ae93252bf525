import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import NoChain, UnknownSymbol
from services.shared_answers import SharedAnswers, singly

SECOND = timedelta(seconds=1)


class Ticking:
    def __init__(self):
        self.seconds = 50.0

    def __call__(self):
        return self.seconds


class Source:
    """Answers every symbol with the number of its request, and knows no X."""

    def __init__(self):
        self.requests = []

    async def fetch(self, keys):
        self.requests.append(list(keys))
        number = len(self.requests)
        await asyncio.sleep(0)
        return {key: UnknownSymbol(key) if key == "X" else number for key in keys}


def answers(most=100):
    source, clock = Source(), Ticking()
    return SharedAnswers(source.fetch, most, clock), source, clock


async def test_what_is_young_enough_is_given_and_what_is_not_is_fetched():
    shared, source, clock = answers()
    assert await shared.get(["A"], SECOND) == {"A": 1}
    clock.seconds += 0.9
    assert await shared.get(["A"], SECOND) == {"A": 1}
    clock.seconds += 0.2
    assert await shared.get(["A"], timedelta(minutes=1)) == {"A": 1}
    assert await shared.get(["A"], SECOND) == {"A": 2}
    assert await shared.get(["A"], timedelta(0)) == {"A": 3}
    assert source.requests == [["A"]] * 3


async def test_lists_that_overlap_ask_for_each_symbol_once():
    shared, source, _ = answers()
    found = await asyncio.gather(*(shared.get(keys, SECOND) for keys in (["A", "B"], ["B", "C"], ["C", "A", "B"])))
    assert source.requests == [["A", "B"], ["C"]]
    assert found[2] == {"C": 2, "A": 1, "B": 1}


async def test_a_reason_is_not_kept():
    shared, source, _ = answers()
    for _ in range(2):
        assert isinstance((await shared.get(["X", "A"], SECOND))["X"], UnknownSymbol)
    assert source.requests == [["X", "A"], ["X"]]


async def test_a_request_in_vain_leaves_the_older_answer_to_whoever_is_content_with_it():
    down = False

    async def fetch(key):
        if down:
            raise NoChain(key)
        return key.lower()

    clock = Ticking()
    shared = SharedAnswers(singly(fetch), 10, clock)
    await shared.one("A", SECOND)
    clock.seconds, down = clock.seconds + 60, True
    with pytest.raises(NoChain):
        await shared.one("A", SECOND)
    assert await shared.one("A", timedelta(minutes=15)) == shared.kept("A") == "a"


async def test_whoever_is_content_with_the_older_answer_does_not_wait_for_a_newer_one_nor_share_its_failure():
    going, failing = asyncio.Event(), asyncio.Event()

    async def fetch(key):
        if going.is_set():
            await failing.wait()
            raise NoChain(key)
        return key.lower()

    clock = Ticking()
    shared = SharedAnswers(singly(fetch), 10, clock)
    await shared.one("A", SECOND)
    clock.seconds += 60
    going.set()
    eager = asyncio.create_task(shared.one("A", SECOND))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await shared.one("A", timedelta(minutes=15)) == shared.kept("A") == "a"
    failing.set()
    with pytest.raises(NoChain):
        await eager
    assert await shared.one("A", timedelta(minutes=15)) == "a"


async def test_one_answer_is_returned_or_its_reason_raised():
    async def fetch(key):
        if key == "X":
            raise NoChain(key)
        return key.lower()

    shared = SharedAnswers(singly(fetch), 10)
    assert await shared.one("A", SECOND) == "a"
    with pytest.raises(NoChain):
        await shared.one("X", SECOND)


async def test_an_answer_that_was_fetched_anew_is_not_the_oldest_any_more():
    shared, _, _ = answers(most=2)
    await shared.get(["A"], SECOND)
    await shared.get(["B"], SECOND)
    await shared.get(["A"], timedelta(0))
    await shared.get(["C"], SECOND)
    assert [shared.kept(key) for key in "ABC"] == [3, None, 4]


async def test_an_asker_who_gives_up_takes_nothing_from_the_others():
    shared, source, _ = answers()
    first = asyncio.create_task(shared.get(["A"], SECOND))
    second = asyncio.create_task(shared.get(["A"], SECOND))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"A": 1}
    assert len(source.requests) == 1


async def test_a_defect_reaches_the_asker_and_is_not_kept():
    broken = True

    async def fetch(keys):
        if broken:
            raise ZeroDivisionError
        return dict.fromkeys(keys, 1)

    shared = SharedAnswers(fetch, 10)
    with pytest.raises(ZeroDivisionError):
        await shared.get(["A"], SECOND)
    broken = False
    assert await shared.get(["A"], SECOND) == {"A": 1}


async def test_the_oldest_answers_make_room():
    shared, source, _ = answers(most=2)
    for key in "ABC":
        await shared.get([key], SECOND)
    await shared.get(["B", "C"], SECOND)
    assert len(source.requests) == 3
    await shared.get(["A"], SECOND)
    assert len(source.requests) == 4


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("ABCDEF"), min_size=1), st.floats(0, 3), st.floats(0, 2)),
        min_size=1,
        max_size=40,
    )
)
def test_no_answer_is_older_than_asked_for_and_none_is_fetched_in_vain(steps):
    async def play() -> None:
        shared, source, clock = answers()
        fetched_at: dict[str, float] = {}
        for keys, pause_s, max_age_s in steps:
            clock.seconds += pause_s
            before = len(source.requests)
            needed = sorted(key for key in keys if clock() - fetched_at.get(key, -1e9) >= max_age_s)
            await shared.get(sorted(keys), timedelta(seconds=max_age_s))
            asked = source.requests[before:]
            assert len(asked) <= 1
            fetched = sorted(asked[0]) if asked else []
            # timedelta rounds to the microsecond
            unsure = {key for key in keys if abs(clock() - fetched_at.get(key, -1e9) - max_age_s) < 1e-5}
            assert set(fetched) ^ set(needed) <= unsure
            fetched_at |= dict.fromkeys(fetched, clock())

    asyncio.run(play())


async def test_a_second_way_waits_for_nobody_and_what_it_brings_is_kept_for_both():
    _, source, clock = answers()
    slow, quick = asyncio.Event(), []

    async def fetch_slowly(keys):
        found = await source.fetch(keys)
        await slow.wait()
        return found

    async def fetch_quickly(keys):
        quick.append(list(keys))
        return dict.fromkeys(keys, "newer")

    first = SharedAnswers(fetch_slowly, 100, clock)
    second = first.beside(fetch_quickly)
    waiting = asyncio.ensure_future(first.get(["A"], SECOND))
    await asyncio.sleep(0)
    clock.seconds += 0.1
    assert await second.get(["A"], timedelta(0)) == {"A": "newer"}
    slow.set()
    assert await waiting == {"A": 1}
    assert await first.get(["A"], SECOND) == {"A": "newer"}, "the request that was begun earlier ended later"
    assert (len(source.requests), quick) == (1, [["A"]])
