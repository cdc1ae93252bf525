from datetime import UTC, datetime, timedelta

import pytest

from services.feeds.source_clock import SourceClock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Ticking:
    seconds = 50.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def ticking():
    return Ticking()


def told(at: datetime, **headers) -> dict[str, str]:
    return {"Date": f"{at:%a, %d %b %Y %H:%M:%S} GMT", **headers}


def test_before_the_source_has_told_one_the_time_is_ours(ticking):
    clock = SourceClock(ticking)
    clock.note({"Date": "soon"})
    clock.note({})
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_time_goes_on_from_what_the_source_told(ticking):
    clock = SourceClock(ticking)
    clock.note(told(NOON, Age="30"))
    ticking.seconds += 2.5
    assert clock.now() == NOON + timedelta(seconds=32.5)


@pytest.mark.parametrize(("said_s", "now_s"), [(2, 2.5), (1, 1), (4, 4), (-3600, -3600)])
def test_an_estimate_is_kept_inside_the_second_that_is_told_and_corrected_outside(ticking, said_s, now_s):
    clock = SourceClock(ticking)
    clock.note(told(NOON))
    ticking.seconds += 2.5
    clock.note(told(NOON + timedelta(seconds=said_s)))
    assert clock.now() == NOON + timedelta(seconds=now_s)


def test_what_was_heard_on_another_way_moves_the_time_only_forward(ticking):
    clock = SourceClock(ticking)
    clock.note(told(NOON))
    clock.heard(NOON - timedelta(seconds=9))
    assert clock.now() == NOON
    clock.heard(NOON + timedelta(seconds=0.7))
    ticking.seconds += 1
    assert clock.now() == NOON + timedelta(seconds=1.7)
