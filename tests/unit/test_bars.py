"""Candles: sorted into sessions, put together, averaged; each against a formula of its own."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import bars
from services.bars import Part
from services.clock import NEW_YORK, Calendar, load_calendar
from services.feeds.base import Bar

MINUTE, QUARTER, HOUR = timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1)
PRICES = st.decimals("0.01", "5000", places=2)


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return load_calendar(date(2026, 11, 22), 500)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def bar(start: datetime, price="10", volume=100, **prices) -> Bar:
    four = {name: Decimal(prices.get(name, price)) for name in ("open", "high", "low", "close")}
    return Bar(start, **four, volume=volume)


def day_of(first: str, last: str, length: timedelta = timedelta(minutes=5)) -> list[Bar]:
    start, end = at(first), at(last)
    return [bar(start + step * length, str(10 + step)) for step in range((end - start) // length)]


@st.composite
def candles(draw, most=60):
    count = draw(st.integers(1, most))
    found = []
    for place in range(count):
        four = sorted(draw(st.lists(PRICES, min_size=4, max_size=4)))
        volume = draw(st.integers(0, 10**9))
        opened, close = draw(st.permutations(four[1:3]))
        start = at("2026-11-20T04:00") + place * timedelta(minutes=10)
        found.append(Bar(start, opened, four[3], four[0], close, volume))
    return found


@pytest.mark.parametrize(
    ("moment", "part"),
    [
        ("2026-11-20T03:59", None),
        ("2026-11-20T04:00", Part.PRE),
        ("2026-11-20T09:29", Part.PRE),
        ("2026-11-20T09:30", Part.REGULAR),
        ("2026-11-20T15:59", Part.REGULAR),
        ("2026-11-20T16:00", Part.POST),
        ("2026-11-20T19:59", Part.POST),
        ("2026-11-20T20:00", None),
        ("2025-11-28T12:59", Part.REGULAR),  # the day after Thanksgiving
        ("2025-11-28T13:00", Part.POST),
        ("2025-11-28T17:00", None),
        ("2025-11-27T11:00", None),  # Thanksgiving
        ("2026-11-21T11:00", None),  # a Saturday
        ("2026-03-09T09:30", Part.REGULAR),  # the Mondays after the clocks were changed
        ("2026-03-09T09:29", Part.PRE),
        ("2025-11-03T15:59", Part.REGULAR),
        ("2025-11-03T16:00", Part.POST),
    ],
)
def test_a_candle_belongs_to_its_part_of_the_session(calendar, moment, part):
    found = bars.by_session([bar(at(moment))], calendar)
    assert [Part(each) for each in found.part] == ([] if part is None else [part])


def test_columns_keep_prices_volumes_and_new_york_dates(calendar):
    found = bars.by_session([bar(at("2026-11-20T19:55"), open="1.01", high="1.04", low="1", close="1.02")], calendar)
    assert (found.open[0], found.high[0], found.low[0], found.close[0]) == (1.01, 1.04, 1.0, 1.02)
    assert date.fromordinal(int(found.day[0]) + bars.EPOCH) == date(2026, 11, 20)
    assert found.start[0] == at("2026-11-20T19:55").timestamp()


def test_day_candles_are_dated_in_new_york_in_summer_and_winter():
    found = bars.daily([bar(at("2026-07-01T00:00")), bar(at("2026-12-01T00:00"))])
    assert [date.fromordinal(int(day) + bars.EPOCH) for day in found.day] == [date(2026, 7, 1), date(2026, 12, 1)]
    assert found.regular.all()


def test_no_candles_are_no_trouble(calendar):
    none = bars.by_session([], calendar)
    assert len(none) == len(bars.joined(none, bars.slots(none, HOUR))) == len(bars.vwap(none)) == 0


@given(candles(), st.sampled_from([QUARTER, HOUR]))
def test_joined_candles_say_the_same_as_their_parts(found, length):
    calendar = CALENDAR
    fine = bars.by_session(found, calendar)
    slot = bars.slots(fine, length)
    joined = bars.joined(fine, slot)
    groups = [np.flatnonzero(slot == each) for each in dict.fromkeys(slot.tolist())]
    assert len(joined) == len(groups)
    for place, group in enumerate(groups):
        assert joined.open[place] == fine.open[group[0]]
        assert joined.close[place] == fine.close[group[-1]]
        assert joined.high[place] == max(fine.high[group])
        assert joined.low[place] == min(fine.low[group])
        assert joined.volume[place] == sum(fine.volume[group])
        assert len(set(fine.part[group])) == 1


def test_hours_are_counted_from_the_open_and_never_straddle_it(calendar):
    fine = bars.by_session(day_of("2026-11-20T04:00", "2026-11-20T20:00"), calendar)
    starts = dict.fromkeys(bars.slots(fine, HOUR).tolist())
    local = [f"{datetime.fromtimestamp(start, NEW_YORK):%H:%M}" for start in starts]
    pre, regular = [f"{hour:02}:00" for hour in range(4, 10)], [f"{hour:02}:30" for hour in range(9, 16)]
    assert local == [*pre, *regular, *(f"{hour}:00" for hour in range(16, 20))]


def test_a_half_day_ends_its_last_hour_at_one(calendar):
    fine = bars.by_session(day_of("2025-11-28T09:30", "2025-11-28T17:00"), calendar)
    hours = bars.joined(fine, bars.slots(fine, HOUR))
    local = [f"{datetime.fromtimestamp(start, NEW_YORK):%H:%M}" for start in hours.start.tolist()]
    assert local == ["09:30", "10:30", "11:30", "12:30", "13:00", "14:00", "15:00", "16:00"]
    assert hours.volume.tolist() == [1200, 1200, 1200, 600, 1200, 1200, 1200, 1200]


@pytest.mark.parametrize("day", ["2026-03-09", "2025-11-03"])
def test_hours_stay_at_the_open_when_the_clocks_change(calendar, day):
    fine = bars.by_session(day_of(f"{day}T09:30", f"{day}T16:00"), calendar)
    assert datetime.fromtimestamp(int(bars.slots(fine, HOUR)[0]), NEW_YORK).hour == 9
    assert len(bars.joined(fine, bars.slots(fine, HOUR))) == 7


def test_a_slot_begins_on_time_also_when_nobody_traded_then(calendar):
    fine = bars.by_session([bar(at("2026-11-20T09:37"))], calendar)
    assert bars.slots(fine, QUARTER)[0] == at("2026-11-20T09:30").timestamp()


def test_weeks_run_from_monday_to_sunday():
    days = bars.daily([bar(at(f"2026-11-{day}T00:00")) for day in (13, 16, 17, 20, 22, 23)])
    assert np.diff(bars.weeks(days)).tolist() == [1, 0, 0, 0, 1]


@given(candles())
def test_vwap_is_what_a_share_cost_on_average_since_the_open(found):
    fine = bars.by_session(found, CALENDAR)
    values, traded, paid = bars.vwap(fine), 0, Fraction(0)
    for place, (each, part) in enumerate(zip(found, fine.part, strict=True)):
        if part != Part.REGULAR:
            assert math.isnan(values[place])
            continue
        traded += each.volume
        paid += each.volume * sum(map(Fraction, (each.high, each.low, each.close))) / 3
        if traded:
            assert values[place] == pytest.approx(float(paid / traded), rel=1e-12)
        else:
            assert math.isnan(values[place])


def test_vwap_begins_anew_each_day(calendar):
    two = [bar(at("2026-11-19T10:00"), "10"), bar(at("2026-11-20T10:00"), "20")]
    assert bars.vwap(bars.by_session(two, calendar)).tolist() == [10, 20]


VALUES = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=80).map(np.array)


@given(VALUES, st.integers(1, 30))
def test_a_simple_average_is_the_mean_of_the_last(values, count):
    for place, average in enumerate(bars.sma(values, count)):
        if place < count - 1:
            assert math.isnan(average)
        else:
            assert average == pytest.approx(math.fsum(values[place - count + 1 : place + 1]) / count, rel=1e-12)


@given(VALUES, st.integers(1, 30))
def test_an_exponential_average_weighs_each_step_back_less(values, count):
    averages, weight = bars.ema(values, count), Fraction(2, count + 1)
    exact = None
    for place, value in enumerate(values):
        if place < count - 1:
            assert math.isnan(averages[place])
            continue
        if exact is None:
            exact = sum(map(Fraction, values[:count].tolist())) / count
        else:
            exact = weight * Fraction(float(value)) + (1 - weight) * exact
        assert averages[place] == pytest.approx(float(exact), rel=1e-12, abs=1e-13 * values.max())


CALENDAR = load_calendar(date(2026, 11, 22))
