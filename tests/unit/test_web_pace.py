import pytest

from web import pace
from web.pace import Pace


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_burst_is_allowed_and_then_an_even_pace(clock):
    limit = Pace(3, 6.0, clock)
    assert [limit.wait_s("a") for _ in range(4)] == [0, 0, 0, 6]
    clock.now += 5
    assert limit.wait_s("a") == 1
    clock.now += 1
    assert [limit.wait_s("a"), limit.wait_s("a")] == [0, 6]


def test_refusals_are_not_counted_so_that_nobody_is_locked_out_by_hammering(clock):
    limit = Pace(1, 6.0, clock)
    assert limit.wait_s("a") == 0
    assert {limit.wait_s("a") for _ in range(1000)} == {6}
    clock.now += 6
    assert limit.wait_s("a") == 0


def test_a_long_rest_allows_no_more_than_a_burst(clock):
    limit = Pace(2, 1.0, clock)
    limit.wait_s("a")
    clock.now += 1000
    assert [limit.wait_s("a") for _ in range(3)] == [0, 0, 1]


def test_one_does_not_wait_for_another(clock):
    limit = Pace(1, 6.0, clock)
    assert [limit.wait_s("a"), limit.wait_s("b"), limit.wait_s("a")] == [0, 0, 6]


def test_many_visitors_do_not_fill_the_memory(clock, monkeypatch):
    monkeypatch.setattr(pace, "MOST_REMEMBERED", 3)
    limit = Pace(1, 6.0, clock)
    assert [limit.wait_s(key) for key in "abcd"] == [0, 0, 0, 0]
    assert len(limit._paid_until) == 3
    assert [limit.wait_s("d"), limit.wait_s("b"), limit.wait_s("a")] == [6, 6, 0]  # the oldest is forgotten first
