"""What a chart reads and shows: ranges and lengths, sessions, half days, changed clocks, and what it measures by."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services import bars
from services.clock import NEW_YORK, Calendar, load_calendar
from services.errors import ImpossibleInterval, NothingTraded
from services.feeds.base import Bar, Bars
from services.price_history import table
from services.price_series import MOST_MINUTES, OptionLevels, PriceLevel, series_of
from services.price_words import alt_text, dollars, measured_from, provenance, share
from services.ranges import INTERVALS, Interval, Range, interval_of, months_before, span_of

CALENDAR = load_calendar(date(2026, 11, 22), 500)
NONE = OptionLevels((), "no gamma levels: no options at our sources")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def price_at(moment: datetime) -> Decimal:
    """A price that tells the minute of the day, and rises by a thousand each day."""
    local = moment.astimezone(NEW_YORK)
    return Decimal(1000 * (local.toordinal() - 739_000) + local.hour * 60 + local.minute) / 100


def read(reach: Range, interval: Interval, now: str, *, volume=100, calendar: Calendar = CALENDAR, index=False) -> Bars:
    """Every candle that a source has for the span of a chart."""
    span = span_of(reach, interval, calendar, at(now))
    found = []
    for opens, closes in calendar.sessions:
        if span.length == timedelta(days=1):
            starts = [opens.astimezone(NEW_YORK).replace(hour=0, minute=0)]
        else:
            begin, end = (opens, closes) if index else (opens - timedelta(hours=5.5), closes + timedelta(hours=4))
            starts = [begin + step * span.length for step in range((end - begin) // span.length)]
        for start in starts:
            if span.start <= start <= span.end:
                price = price_at(opens if span.length == timedelta(days=1) else start)
                found.append(Bar(start.astimezone(UTC), price, price + 1, price - 1, price, volume))
    return Bars("SPY", tuple(found), "Alpaca IEX", timedelta(0), at(now))


def series(reach: Range, interval: Interval, now: str, **how):
    span = span_of(reach, interval, CALENDAR, at(now))
    return series_of(read(reach, interval, now, **how), reach, interval, span, CALENDAR)


def local(series) -> list[datetime]:
    return [datetime.fromtimestamp(start, NEW_YORK) for start in series.candles.start.tolist()]


PAIRS = [(reach, interval) for reach, intervals in INTERVALS.items() for interval in intervals]


@pytest.mark.parametrize(("reach", "interval"), PAIRS)
@pytest.mark.parametrize("now", ["2026-11-20T11:42", "2026-11-20T07:00", "2026-11-21T12:00", "2025-11-28T15:00"])
def test_every_pair_shows_its_range_and_fits_a_phone(reach, interval, now):
    shown = series(reach, interval, now)
    assert 1 <= len(shown.candles) <= 505
    assert (np.diff(shown.candles.start) > 0).all()
    first, last = local(shown)[0], at(now).astimezone(NEW_YORK)
    longest = {"1D": 4, "5D": 8, "1M": 32, "3M": 93, "6M": 185, "1Y": 367, "5Y": 1828}[reach]
    assert last - timedelta(days=longest) <= first
    assert shown.last_at <= at(now)


def test_the_usual_length_is_taken_when_none_is_asked_for():
    usual = {reach: interval_of(reach, None) for reach in Range}
    assert list(usual.values()) == ["5m", "15m", "1h", "1d", "1d", "1d", "1w"]


def test_an_impossible_pair_says_what_is_possible():
    with pytest.raises(ImpossibleInterval) as refused:
        interval_of(Range.FIVE_YEARS, Interval.MINUTE)
    assert str(refused.value) == (
        "Candles of 1 min do not fit a chart of 5 years. For `5Y` choose `1w`; `1m` goes with `1D`."
    )


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [("2026-11-20", 1, "2026-10-20"), ("2026-03-31", 1, "2026-02-28"), ("2026-01-15", 3, "2025-10-15")],
)
def test_months_go_back_by_the_calendar(day, months, before):
    assert months_before(date.fromisoformat(day), months) == date.fromisoformat(before)


def test_a_day_is_the_last_session_that_opened_with_its_extended_hours():
    shown = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T18:00")
    assert local(shown)[0] == at("2026-11-20T04:00")
    assert len(shown.candles) == 14 * 12 + 1
    assert {bars.Part(part) for part in shown.candles.part} == set(bars.Part)
    opening = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T09:30")
    assert local(opening)[0] == at("2026-11-20T04:00")
    weekend = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-22T12:00")
    assert local(weekend)[0] == at("2026-11-20T04:00")
    assert local(weekend)[-1] == at("2026-11-20T19:55")


def test_before_the_open_a_day_shows_the_session_before_as_well():
    shown = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-23T07:00")
    assert local(shown)[0] == at("2026-11-20T04:00")
    assert local(shown)[-1] == at("2026-11-23T07:00")
    assert shown.base == shown.previous_close == pytest.approx(float(price_at(at("2026-11-20T15:55"))))


def test_five_days_are_five_regular_sessions_and_what_has_traded_since():
    during = series(Range.FIVE_DAYS, Interval.QUARTER_HOUR, "2026-11-20T11:42")
    assert during.candles.regular.all()
    assert len(set(during.candles.day.tolist())) == 5
    evening = series(Range.FIVE_DAYS, Interval.QUARTER_HOUR, "2026-11-20T17:00")
    assert [bars.Part(part) for part in evening.candles.part[~evening.candles.regular]] == [bars.Part.POST] * 5
    assert evening.candles.part[-1] == bars.Part.POST
    morning = series(Range.FIVE_DAYS, Interval.HOUR, "2026-11-23T07:00")
    assert [f"{start:%a %H}" for start in local(morning)[-8:]] == [
        *("Fri 16", "Fri 17", "Fri 18", "Fri 19"), *("Mon 04", "Mon 05", "Mon 06", "Mon 07")
    ]  # fmt: skip


def test_thanksgiving_is_left_out_and_the_half_day_is_named():
    shown = series(Range.FIVE_DAYS, Interval.HOUR, "2025-12-01T12:00")
    days = list(dict.fromkeys(f"{start:%d}" for start in local(shown)))
    assert days == ["24", "25", "26", "28", "01"]
    assert sum(start.day == 28 for start in local(shown)) == 4
    assert shown.half_days == (date(2025, 11, 28),)
    assert "half day: 28 Nov" in provenance(shown, NONE)
    assert series(Range.DAY, Interval.HOUR, "2025-12-01T12:00").half_days == ()


@pytest.mark.parametrize(
    ("now", "days"), [("2026-03-11T15:00", (5, 6, 9, 10, 11)), ("2025-11-05T15:00", (30, 31, 3, 4, 5))]
)
def test_sessions_begin_at_half_past_nine_in_both_weeks_of_changed_clocks(now, days):
    shown = series(Range.FIVE_DAYS, Interval.QUARTER_HOUR, now)
    starts = local(shown)
    assert tuple(dict.fromkeys(start.day for start in starts)) == days
    for day in days:
        assert min(start for start in starts if start.day == day).strftime("%H:%M") == "09:30"


def test_a_month_of_hours_begins_after_the_same_day_of_the_month_before():
    shown = series(Range.MONTH, Interval.HOUR, "2026-11-20T17:00")
    assert local(shown)[0] == at("2026-10-21T09:30")
    days = series(Range.MONTH, Interval.DAY, "2026-11-20T17:00")
    assert local(days)[0] == at("2026-10-21T00:00")


def test_weeks_begin_with_their_first_session():
    shown = series(Range.HALF_YEAR, Interval.WEEK, "2026-11-20T17:00")
    assert all(start.weekday() <= 1 for start in local(shown))
    assert len(shown.candles) in {26, 27}


def test_the_change_is_measured_from_the_close_before_the_range():
    day = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T11:42")
    assert day.base == day.previous_close == pytest.approx(float(price_at(at("2026-11-19T15:55"))))
    five = series(Range.FIVE_DAYS, Interval.QUARTER_HOUR, "2026-11-20T11:42")
    assert five.base == pytest.approx(float(price_at(at("2026-11-13T15:45"))))
    assert five.previous_close == pytest.approx(float(price_at(at("2026-11-19T15:45"))))
    for interval in (Interval.DAY, Interval.WEEK):
        months = series(Range.QUARTER, interval, "2026-11-20T11:42")
        assert months.base == pytest.approx(float(price_at(at("2026-08-20T09:30"))))
    assert measured_from(day) == "since the previous close"
    assert measured_from(months) == "in 3 months"


def test_the_days_high_and_low_are_of_regular_hours_once_there_are_any():
    shown = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T18:00")
    assert shown.day_high == pytest.approx(float(price_at(at("2026-11-20T15:55"))) + 1)
    assert shown.day_low == pytest.approx(float(price_at(at("2026-11-20T09:30"))) - 1)
    early = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T07:00")
    assert early.day_low == pytest.approx(float(price_at(at("2026-11-20T04:00"))) - 1)


def test_averages_are_named_by_the_length_of_the_candles_and_settled_where_the_chart_begins():
    year = series(Range.YEAR, Interval.DAY, "2026-11-20T11:42")
    assert [average.name for average in year.averages] == ["SMA 20", "SMA 50", "SMA 200"]
    assert np.isfinite(year.averages[1].values).all()
    assert np.isfinite(series(Range.HALF_YEAR, Interval.DAY, "2026-11-20T11:42").averages[2].values).all()
    weeks = series(Range.HALF_YEAR, Interval.WEEK, "2026-11-20T11:42")
    assert [average.name for average in weeks.averages] == ["SMA 10", "SMA 40"]
    for reach in (Range.DAY, Range.FIVE_DAYS, Range.MONTH):
        for interval in INTERVALS[reach]:
            if interval.intraday:
                quick = series(reach, interval, "2026-11-20T11:42")
                assert [average.name for average in quick.averages] == ["EMA 9", "EMA 21"]
                assert all(np.isfinite(average.values).all() for average in quick.averages)


def test_an_average_without_enough_candles_is_left_out():
    span = span_of(Range.MONTH, Interval.DAY, CALENDAR, at("2026-11-20T17:00"))
    few = read(Range.MONTH, Interval.DAY, "2026-11-20T17:00").bars[-25:]
    answer = Bars("NEW", few, "Alpaca IEX", timedelta(0), at("2026-11-20T17:00"))
    shown = series_of(answer, Range.MONTH, Interval.DAY, span, CALENDAR)
    assert [average.name for average in shown.averages] == ["SMA 20"]


def test_vwap_is_only_in_charts_of_days():
    assert series(Range.FIVE_DAYS, Interval.HOUR, "2026-11-20T11:42").vwap is not None
    assert series(Range.MONTH, Interval.HOUR, "2026-11-20T11:42").vwap is None


def test_without_volume_there_is_no_vwap_and_the_words_say_so():
    index = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T11:42", volume=0, index=True)
    assert index.vwap is None
    assert not index.has_volume
    assert "no volume from this source, so no VWAP" in provenance(index, NONE)
    assert "no volume" in provenance(series(Range.YEAR, Interval.DAY, "2026-11-20T11:42", volume=0), NONE)


def test_a_range_without_trades_is_refused():
    span = span_of(Range.DAY, Interval.FIVE_MINUTES, CALENDAR, at("2026-11-20T11:42"))
    old = Bar(at("2026-11-19T15:00"), Decimal(1), Decimal(1), Decimal(1), Decimal(1), 1)
    for found in ((), (old,)):
        with pytest.raises(NothingTraded, match="in the last 1 day"):
            series_of(
                Bars("QUIET", found, "Alpaca IEX", timedelta(0), span.end),
                Range.DAY,
                Interval.FIVE_MINUTES,
                span,
                CALENDAR,
            )


def test_a_calendar_that_begins_later_has_no_sessions_to_show():
    with pytest.raises(NothingTraded):
        span_of(Range.DAY, Interval.HOUR, CALENDAR, at("2019-11-20T11:42"))


def test_one_trade_makes_a_chart():
    span = span_of(Range.DAY, Interval.FIVE_MINUTES, CALENDAR, at("2026-11-20T11:42"))
    only = Bar(at("2026-11-20T10:05"), Decimal("0.5"), Decimal("0.5"), Decimal("0.5"), Decimal("0.5"), 0)
    answer = Bars("QUIET", (only,), "Alpaca IEX", timedelta(0), span.end)
    shown = series_of(answer, Range.DAY, Interval.FIVE_MINUTES, span, CALENDAR)
    assert (shown.base, shown.change, shown.previous_close) == (0.5, 0, None)
    assert shown.last_at == at("2026-11-20T10:10")
    assert "Last 0.5000, +0.0000 (+0.00%) since the first price of the range." in alt_text(shown, NONE)


def test_a_stock_that_is_younger_than_the_range_is_measured_from_its_first_price():
    span = span_of(Range.YEAR, Interval.DAY, CALENDAR, at("2026-11-20T17:00"))
    few = read(Range.YEAR, Interval.DAY, "2026-11-20T17:00").bars[-25:]
    answer = Bars("NEW", few, "Alpaca IEX", timedelta(0), at("2026-11-20T17:00"))
    shown = series_of(answer, Range.YEAR, Interval.DAY, span, CALENDAR)
    assert shown.base == float(few[0].open)
    assert measured_from(shown) == "since the first price of the range"


def test_candles_of_no_price_are_none():
    span = span_of(Range.DAY, Interval.FIVE_MINUTES, CALENDAR, at("2026-11-20T11:42"))
    prices = {"2026-11-19T15:00": "0", "2026-11-20T10:05": "0.0002", "2026-11-20T10:10": "0"}
    found = tuple(Bar(at(moment), *[Decimal(price)] * 4, 7) for moment, price in prices.items())
    answer = Bars("PENNY", found, "Alpaca IEX", timedelta(0), span.end)
    shown = series_of(answer, Range.DAY, Interval.FIVE_MINUTES, span, CALENDAR)
    assert (len(shown.candles), shown.last, shown.low, shown.previous_close) == (1, 0.0002, 0.0002, None)
    assert shown.last_at == at("2026-11-20T10:10")
    with pytest.raises(NothingTraded):
        series_of(replace(answer, bars=found[::2]), Range.DAY, Interval.FIVE_MINUTES, span, CALENDAR)


@pytest.mark.parametrize(
    ("last", "words"),
    [(99.9999, "+0.00 (+0.00%)"), (100.0001, "+0.00 (+0.00%)"), (99.99, "−0.01 (−0.01%)"), (110.0, "+10.00 (+10.00%)")],
)
def test_a_change_that_rounds_to_nothing_has_no_minus(last, words):
    shown = replace(series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T11:42"), base=100.0)
    shown.candles.close[-1] = last
    assert f"{dollars(shown)} ({share(shown)})" == words


def test_the_last_candle_reaches_to_now_while_it_runs_and_less_what_the_source_is_late():
    assert series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T11:42").last_at == at("2026-11-20T11:42")
    assert series(Range.YEAR, Interval.DAY, "2026-11-20T11:42").last_at == at("2026-11-20T11:42")
    assert series(Range.YEAR, Interval.DAY, "2026-11-21T11:42").last_at == at("2026-11-20T16:00")
    assert series(Range.YEAR, Interval.DAY, "2025-11-29T11:42").last_at == at("2025-11-28T13:00")
    span = span_of(Range.DAY, Interval.FIVE_MINUTES, CALENDAR, at("2026-11-20T11:42"))
    late = replace(read(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T11:42"), delay=timedelta(minutes=15))
    shown = series_of(late, Range.DAY, Interval.FIVE_MINUTES, span, CALENDAR)
    assert shown.last_at == at("2026-11-20T11:27")


def test_of_minutes_the_newest_four_hours_are_shown_and_the_words_say_so():
    shown = series(Range.DAY, Interval.MINUTE, "2026-11-20T15:00")
    assert len(shown.candles) == MOST_MINUTES
    assert local(shown)[-1] == at("2026-11-20T15:00")
    assert "the last 240 candles" in provenance(shown, NONE)
    assert shown.left_out == 11 * 60 + 1 - MOST_MINUTES
    assert series(Range.YEAR, Interval.DAY, "2026-11-20T15:00").left_out == 0


def test_alt_text_tells_what_is_drawn_within_discords_limit():
    levels = OptionLevels(
        (PriceLevel("Call wall", 7500.0), PriceLevel("Put wall", 7300.0), PriceLevel("Flip", 7399.123)),
        "gamma levels of 20 Nov 11:25 ET, Alpaca indicative, delayed 15 min",
    )
    told = alt_text(series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T17:30"), levels)
    assert len(told) <= 1024
    for fact in ("To 20 Nov 17:30 ET · after hours.", "Call wall 7,500.00, ", "Flip 7,399.12, ", "VWAP ", "EMA 21 "):
        assert fact in told


def test_the_table_has_a_line_for_each_candle_and_leaves_the_unknown_empty():
    shown = series(Range.DAY, Interval.FIVE_MINUTES, "2026-11-20T17:30")
    lines = table(shown).splitlines()
    assert lines[0] == "start,open,high,low,close,volume,EMA 9,EMA 21,VWAP"
    assert len(lines) == 1 + len(shown.candles)
    assert lines[1].startswith("2026-11-20T04:00:00-05:00,")
    assert lines[1].endswith(",")
