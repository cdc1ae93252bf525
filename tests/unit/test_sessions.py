from datetime import UTC, date, datetime, timedelta

import pytest

from services.clock import NEW_YORK, Calendar, Phase, corrected, load_calendar
from services.errors import FeedUnavailable
from services.sessions import Keeper

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def computed():
    return load_calendar(TODAY).sessions


def new_york(text):
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def day_of(session):
    return session[0].astimezone(NEW_YORK).date()


def between(sessions, first, last):
    return tuple(each for each in sessions if first <= day_of(each) <= last)


def test_a_day_of_mourning_that_the_broker_knows_of_is_closed(computed):
    said = tuple(session for session in computed if day_of(session) != date(2026, 12, 9))
    calendar = Calendar(corrected(computed, said))
    assert not calendar.is_session(date(2026, 12, 9))
    session = calendar.at(new_york("2026-12-09 11:00"))
    assert (session.phase, session.opens_at) == (Phase.CLOSED, new_york("2026-12-10 09:30"))


def test_a_half_day_of_the_broker_wins_over_a_whole_one(computed):
    short = (new_york("2026-12-23 09:30"), new_york("2026-12-23 13:00"))
    said = tuple(short if day_of(each) == date(2026, 12, 23) else each for each in computed)
    session = Calendar(corrected(computed, said)).at(new_york("2026-12-23 12:00"))
    assert session.half_day
    assert session.closes_at == short[1]


def test_a_session_that_only_the_broker_knows_is_one(computed):
    extra = (new_york("2026-11-26 09:30"), new_york("2026-11-26 16:00"))  # as if Thanksgiving were moved
    calendar = Calendar(corrected(computed, tuple(sorted([*computed, extra]))))
    assert calendar.at(new_york("2026-11-26 12:00")).phase is Phase.OPEN


def test_beyond_the_days_that_the_broker_names_the_computed_ones_stay(computed):
    said = between(computed, date(2026, 11, 1), date(2026, 12, 31))
    assert corrected(computed, said) == computed
    assert corrected(computed, ()) == computed


async def test_whoever_holds_the_calendar_sees_the_correction(computed):
    said = computed[:-30]
    missing = day_of(said[100])
    asked = []

    async def broker(first, last):
        asked.append((first, last))
        return said[:100] + said[101:]

    calendar = Calendar(computed)
    assert await Keeper(calendar, broker).correct()
    assert not calendar.is_session(missing)
    assert asked == [(day_of(computed[0]), day_of(computed[-1]))]


async def test_a_broker_that_is_away_changes_nothing_and_is_asked_again(computed):
    answers = [FeedUnavailable("alpaca", "away"), computed[1:5], FeedUnavailable("alpaca", "away")]

    async def broker(_first, _last):
        answer = answers.pop(0)
        if isinstance(answer, FeedUnavailable):
            raise answer
        return answer[:1] + answer[2:]

    calendar = Calendar(computed)
    keeper = Keeper(calendar, broker)
    assert not await keeper.correct()
    assert calendar.sessions == computed
    assert await keeper.correct()
    known = calendar.sessions
    assert not await keeper.correct()
    assert calendar.sessions == known, "what was said stays true"


async def test_a_calendar_that_becomes_short_is_computed_anew_while_the_process_runs():
    now = datetime.now(UTC)
    short = Calendar(between(load_calendar(now.date()).sessions, date.min, now.date() - timedelta(days=5)))
    with pytest.raises(ValueError, match="calendar ends"):
        short.at(now)
    keeper = Keeper(short, None)
    await keeper.extend(now)
    assert short.at(now + timedelta(days=300)).opens_at > now
    before = short.sessions
    await keeper.extend(now)
    assert short.sessions is before, "there is time yet"
    assert await keeper.correct()
