from datetime import UTC, date, datetime

import pytest

from services.clock import (
    NEW_YORK,
    Calendar,
    Phase,
    load_calendar,
    load_calendar_apart,
    new_york_day,
    new_york_midnight,
)

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
        ("2026-11-27 16:59", Phase.POST, "2026-11-30 09:30"),  # after hours last four hours then too
        ("2026-11-27 17:00", Phase.CLOSED, "2026-11-30 09:30"),
        ("2026-04-03 12:00", Phase.CLOSED, "2026-04-06 09:30"),  # Good Friday
        ("2026-06-19 12:00", Phase.CLOSED, "2026-06-22 09:30"),  # Juneteenth
        ("2026-07-03 12:00", Phase.CLOSED, "2026-07-06 09:30"),  # Independence Day, which is a Saturday
        ("2026-10-30 09:30", Phase.OPEN, "2026-10-30 09:30"),  # before winter time
        ("2026-11-02 09:29", Phase.PRE, "2026-11-02 09:30"),  # after it
        ("2026-11-02 09:30", Phase.OPEN, "2026-11-02 09:30"),
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
    days = ("2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02")
    assert [calendar.at(new_york(f"{day} 10:00")).opens_at.hour for day in days] == [14, 13, 13, 14]


@pytest.mark.parametrize(
    ("moment", "day", "midnight"),
    [
        ("2026-11-20T04:59+00:00", date(2026, 11, 19), "2026-11-20T05:00+00:00"),
        ("2026-11-20T05:00+00:00", date(2026, 11, 20), "2026-11-21T05:00+00:00"),
        ("2026-03-08T12:00+00:00", date(2026, 3, 8), "2026-03-09T04:00+00:00"),  # a day of 23 hours
        ("2026-11-01T12:00+00:00", date(2026, 11, 1), "2026-11-02T05:00+00:00"),  # and one of 25
    ],
)
def test_a_day_ends_at_midnight_in_new_york(moment, day, midnight):
    moment, midnight = datetime.fromisoformat(moment), datetime.fromisoformat(midnight)
    assert new_york_day(moment) == day
    assert new_york_midnight(moment) == midnight
    assert new_york_midnight(moment).tzinfo is UTC


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
