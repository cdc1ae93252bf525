import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feeds.budget import Budget


class Ticking:
    def __init__(self):
        self.seconds = 50.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Ticking()


def told(budget: Budget, *said: float) -> None:
    budget.spend()
    budget.note(*said)
    budget.settle()


def test_what_the_source_said_is_counted_down_until_nothing_is_left(clock):
    budget = Budget(clock)
    told(budget, 120, 2, 30)
    for _ in range(2):
        assert budget.wait_s() == 0
        budget.spend()
    assert budget.wait_s() == 30
    clock.seconds += 29
    assert budget.wait_s() == 1
    clock.seconds += 1
    assert budget.wait_s() == 0
    assert budget.allowance is None


def test_several_requests_need_room_for_all_of_them(clock):
    budget = Budget(clock)
    told(budget, 120, 10, 30)
    assert budget.wait_s(10) == 0
    assert budget.wait_s(11) == 30


def test_requests_under_way_are_not_given_back_by_an_answer_written_before_them(clock):
    budget = Budget(clock)
    told(budget, 120, 10, 30)
    for _ in range(5):
        budget.spend()
    budget.note(120, 9, 30)
    assert budget.allowance.left == 5


def test_an_answer_that_was_overtaken_gives_nothing_back(clock):
    budget = Budget(clock)
    told(budget, 120, 10, 30)
    budget.spend()
    budget.spend()
    budget.note(120, 8, 30)
    budget.settle()
    budget.note(120, 9, 30)
    assert budget.allowance.left == 7


def test_some_of_what_is_left_can_be_kept(clock):
    budget = Budget(clock)
    told(budget, 120, 10, 30)
    assert budget.wait_s(7, kept=3) == 0
    assert budget.wait_s(8, kept=3) == 30


def test_a_new_window_counts_anew(clock):
    budget = Budget(clock)
    told(budget, 120, 0, 10)
    clock.seconds += 10
    told(budget, 120, 119, 60)
    assert budget.allowance.left == 119


def test_a_refusal_that_says_when_is_believed(clock):
    budget = Budget(clock)
    assert budget.refused(17) == 17
    assert budget.wait_s() == 17
    clock.seconds += 17
    assert budget.wait_s() == 0


def test_refusals_that_say_nothing_are_answered_with_longer_and_longer_quiet(clock):
    budget = Budget(clock)
    assert [budget.refused(None) for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    budget.accepted()
    assert budget.refused(None) == 2


@pytest.mark.parametrize("seconds", [1e9, 301.0])
def test_a_nonsensical_moment_shuts_nobody_out_for_long(clock, seconds):
    budget = Budget(clock)
    told(budget, 120, 0, seconds)
    assert budget.wait_s() == 300
    assert budget.refused(seconds) == 300


@given(
    limit=st.integers(1, 500),
    window_s=st.floats(1, 120),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=80),
)
def test_no_window_is_ever_overspent(limit, window_s, steps):
    """A source that counts exactly, and bursts of requests that are answered before the next burst."""
    clock = Ticking()
    budget, began, used = Budget(clock), clock(), 0
    for pause_s, burst in steps:
        clock.seconds += pause_s
        if clock() >= began + window_s:
            began, used = clock(), 0
        sent = 0
        for _ in range(burst):
            # Before the source has said a number, one request at a time finds out.
            if not budget.wait_s() and (budget.allowance or not sent):
                budget.spend()
                sent += 1
        for _ in range(sent):
            used += 1
            assert used <= limit
            budget.note(limit, limit - used, began + window_s - clock())
            budget.settle()
