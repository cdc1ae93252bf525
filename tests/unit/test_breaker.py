import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feeds.breaker import FAILURES, Breaker, Resting


class Ticking:
    def __init__(self):
        self.seconds = 50.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Ticking()


def broken(clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        breaker.failed()
    return breaker


async def passes(breaker) -> bool:
    try:
        async with breaker.attempt():
            return True
    except Resting:
        return False


async def test_four_failures_are_bad_luck_and_five_are_an_outage(clock):
    breaker = Breaker(clock)
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert await passes(breaker)
    breaker.failed()
    assert not await passes(breaker)
    assert breaker.rest_s == 5


async def test_an_answer_in_between_starts_the_count_anew(clock):
    breaker = Breaker(clock)
    for _ in range(FAILURES - 1):
        breaker.failed()
    breaker.passed()
    breaker.failed()
    assert breaker.rest_s is None


async def test_the_rest_is_twice_as_long_after_each_vain_try_up_to_a_minute(clock):
    breaker, rests = broken(clock), []
    for _ in range(6):
        rests.append(breaker.rest_s)
        clock.seconds += breaker.rest_s
        async with breaker.attempt():
            breaker.failed()
    assert rests == [5, 10, 20, 40, 60, 60]


async def test_an_answer_makes_the_next_rest_short_again(clock):
    breaker = broken(clock)
    clock.seconds += breaker.rest_s
    breaker.failed()
    breaker.passed()
    for _ in range(FAILURES):
        breaker.failed()
    assert breaker.rest_s == 5


async def test_one_request_tries_and_the_others_wait_for_what_it_finds(clock):
    breaker, inside, most = broken(clock), 0, 0
    clock.seconds += 5
    found = asyncio.Event()

    async def ask() -> None:
        nonlocal inside, most
        async with breaker.attempt():
            inside += 1
            most = max(most, inside if breaker.rest_s is not None else 0)
            await found.wait()
            breaker.passed()
            inside -= 1

    asking = [asyncio.create_task(ask()) for _ in range(10)]
    await asyncio.sleep(0)
    assert inside == 1
    found.set()
    await asyncio.gather(*asking)
    assert most == 1
    assert breaker.rest_s is None


async def test_when_the_try_fails_those_who_waited_are_refused(clock):
    breaker = broken(clock)
    clock.seconds += 5
    found = asyncio.Event()

    async def probe() -> None:
        async with breaker.attempt():
            await found.wait()
            breaker.failed()

    first = asyncio.create_task(probe())
    await asyncio.sleep(0)
    second = asyncio.create_task(passes(breaker))
    await asyncio.sleep(0)
    found.set()
    await first
    assert not await second


async def test_a_try_that_is_given_up_leaves_the_next_one_to_find_out(clock):
    breaker = broken(clock)
    clock.seconds += 5

    async def hang() -> None:
        async with breaker.attempt():
            await asyncio.Event().wait()

    first = asyncio.create_task(hang())
    await asyncio.sleep(0)
    second = asyncio.create_task(passes(breaker))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


@given(st.lists(st.one_of(st.sampled_from(["ask", "fail"]), st.floats(0, 120)), max_size=60))
def test_whatever_happens_a_rest_ends_within_a_minute(steps):
    async def play() -> None:
        clock = Ticking()
        breaker = Breaker(clock)
        for step in steps:
            if isinstance(step, float):
                clock.seconds += step
            elif step == "fail":
                breaker.failed()
            else:
                await passes(breaker)
            assert 0 <= (breaker.rest_s or 0) <= 60
        clock.seconds += 60
        assert await passes(breaker)

    asyncio.run(play())
