from datetime import UTC, date, datetime

import pytest

from services.clock import NEW_YORK, Calendar, Phase, load_calendar, load_calendar_apart

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return load_calendar(TODAY)


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "phase", "opens"),
    [
        ("2026-11-20 03:59", Phase.CLOSED, "2026-11-20 09:30"),
        ("2026-11-20 04:00", Phase.PRE, "2026-11-20 09:30"),
        ("2026-11-20 09:30", Phase.OPEN, "2026-11-20 09:30"),
        ("2026-11-20 15:59", Phase.OPEN, "2026-11-20 09:30"),
        ("2026-11-20 16:00", Phase.POST, "2026-11-23 09:30"),
        ("2026-11-20 19:59", Phase.POST, "2026-11-23 09:30"),
        ("2026-11-20 20:00", Phase.CLOSED, "2026-11-23 09:30"),
        ("2026-11-22 12:00", Phase.CLOSED, "2026-11-23 09:30"),  # a Sunday
        ("2026-11-26 12:00", Phase.CLOSED, "2026-11-27 09:30"),  # Thanksgiving
        ("2026-11-27 12:59", Phase.OPEN, "2026-11-27 09:30"),  # half day
        ("2026-11-27 13:00", Phase.POST, "2026-11-30 09:30"),
        ("2026-03-06 09:30", Phase.OPEN, "2026-03-06 09:30"),  # before summer time
        ("2026-03-09 09:30", Phase.OPEN, "2026-03-09 09:30"),  # after it
    ],
)
def test_the_session_at_any_moment(calendar, moment, phase, opens):
    session = calendar.at(new_york(moment))
    assert (session.phase, session.opens_at) == (phase, new_york(opens))


def test_a_half_day_closes_at_one_and_says_so(calendar):
    session = calendar.at(new_york("2026-11-27 10:00"))
    assert session.half_day
    assert session.closes_at == new_york("2026-11-27 13:00")
    assert not calendar.at(new_york("2026-11-25 10:00")).half_day


def test_the_open_moves_with_daylight_saving(calendar):
    before, after = (calendar.at(new_york(f"{day} 10:00")).opens_at for day in ("2026-03-06", "2026-03-09"))
    assert (before.hour, after.hour) == (14, 13)


def test_the_last_close_belongs_to_the_last_session(calendar):
    assert calendar.last_close(new_york("2026-11-22 12:00")) == new_york("2026-11-20 16:00")
    assert calendar.last_close(new_york("2026-11-20 16:00")) == new_york("2026-11-20 16:00")
    assert calendar.last_close(new_york("2026-11-20 15:59")) == new_york("2026-11-19 16:00")


def test_holidays_are_no_sessions(calendar):
    assert calendar.is_session(date(2026, 11, 27))
    assert not calendar.is_session(date(2026, 11, 26))
    assert not calendar.is_session(date(2026, 11, 22))


def test_a_moment_after_the_calendar_is_an_error(calendar):
    with pytest.raises(ValueError, match="calendar ends"):
        calendar.at(new_york("2030-01-01 12:00"))


async def test_the_calendar_computed_apart_is_the_same():
    here = load_calendar(datetime.now(NEW_YORK).date())
    assert await load_calendar_apart() == here
