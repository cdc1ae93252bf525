"""A gamma history as a series, and the file that a chain becomes."""

import gzip
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import option_chains
import pytest
from history import CALENDAR, EVERY, chain, point, series
from hypothesis import given
from hypothesis import strategies as st

from services import chain_files
from services.errors import BadData
from services.feeds.base import Chain
from services.gamma import analyze
from services.gamma_series import Day, days_of, newest_session, next_slot, record, series_csv
from services.timetable import Moment, while_open


def at(text):
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("20 14:30:00", "20 14:35"),
        ("20 14:35:00", "20 14:40"),
        ("20 14:39:59", "20 14:40"),
        ("20 20:56:00", "20 21:00"),  # the close
        ("20 21:00:00", "23 14:35"),
        ("21 12:00:00", "23 14:35"),  # Saturday
        ("27 17:58:00", "27 18:00"),  # half day
    ],
)
def test_the_next_point_is_five_minutes_on_or_the_close_or_after_the_next_open(now, due):
    assert next_slot(CALENDAR, at(now), EVERY) == at(due)


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ("20 14:29:59", None),
        ("20 14:34:59", None),  # options are hardly quoted yet
        ("20 14:35:00", "20 14:35"),
        ("20 14:39:59", "20 14:35"),
        ("20 20:59:59", "20 20:55"),
        ("20 21:00:00", None),
        ("21 15:00:00", None),
        ("27 17:59:00", "27 17:55"),
        ("27 18:00:00", None),
    ],
)
def test_slots_are_counted_from_the_open_while_the_market_is_open(now, slot):
    entry = while_open("history", EVERY)
    assert entry.slot(Moment(at(now), at(now), CALENDAR)) == (at(slot).isoformat() if slot else None)


def test_the_close_is_due_after_a_length_that_does_not_divide_the_session():
    assert next_slot(CALENDAR, at("20 20:56:00"), timedelta(minutes=7)) == at("20 21:00")
    assert next_slot(CALENDAR, at("20 14:41:00"), timedelta(minutes=7)) == at("20 14:44")


def test_the_newest_session_is_the_running_one_or_the_last_that_was():
    friday, monday = CALENDAR.sessions[2:4]
    assert newest_session(CALENDAR, at("20 15:00")) == friday
    assert newest_session(CALENDAR, at("20 21:00")) == friday
    assert newest_session(CALENDAR, at("22 12:00")) == friday
    assert newest_session(CALENDAR, at("23 14:00")) == friday
    assert newest_session(CALENDAR, at("23 14:30")) == monday


def test_days_without_a_close_stay_empty_and_holidays_are_none():
    closes = [point(at("18 21:00"), closing=True), point(at("20 21:00"), closing=True)]
    days = days_of(CALENDAR, closes, at("25 21:00"), 20)
    assert [(day.date.day, day.close is not None) for day in days] == [
        (18, True),
        (19, False),
        (20, True),
        (23, False),
        (24, False),
        (25, False),
    ]
    assert [day.date.day for day in days_of(CALENDAR, closes, at("25 21:00"), 2)] == [24, 25]
    assert days_of(CALENDAR, [], at("25 21:00"), 2) == ()


def test_missing_points_are_counted_and_placed():
    today = tuple(point(at(f"23 {moment}")) for moment in ("14:35", "14:40", "14:55", "15:00"))
    found = series(days=(Day(date(2026, 11, 20), None),), today=today)
    assert found.missing == 1
    assert found.gaps == {2}
    assert series(days=(), today=today[2:]).gaps == {0}, "nothing was stored after the open"
    assert series(days=(), today=()).points == []


def test_the_csv_has_every_point_and_leaves_out_what_does_not_exist():
    close, now = point(at("20 21:00"), closing=True), point(at("23 14:35"), flip=None)
    lines = series_csv(series(days=(Day(date(2026, 11, 20), close),), today=(now,))).decode().splitlines()
    assert len(lines) == 3
    head, first, last = (line.split(",") for line in lines)
    assert dict(zip(head, first, strict=True))["flip"] == "5990.5"
    told = dict(zip(head, last, strict=True))
    assert (told["flip"], told["closing"], told["delay_s"]) == ("", "False", "900")
    assert told["as_of"] == "2026-11-23T14:20:00+00:00"


NUMBER = st.one_of(st.floats(allow_infinity=False), st.sampled_from([-999.0, 0.0, float("nan")]))


@st.composite
def chains(draw):
    count = draw(st.integers(1, 8))

    def column(of):
        return draw(st.lists(of, min_size=count, max_size=count))

    numbers = {
        name: np.array(column(NUMBER)) for name in ("bid", "ask", "iv", "gamma", "delta", "open_interest", "volume")
    }
    return Chain(
        symbol=draw(st.sampled_from(["SPX", "BRK.B"])),
        spot=draw(st.floats(0.01, 1e6)),
        as_of=draw(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))).replace(tzinfo=UTC),  # noqa: DTZ001
        source="Alpaca indicative",
        delay=timedelta(minutes=draw(st.integers(0, 20))),
        open_interest_date=draw(st.one_of(st.none(), st.dates(date(2020, 1, 1), date(2030, 1, 1)))),
        strike=np.array(column(st.floats(0.5, 1e5))),
        expiry=np.array(column(st.integers(18000, 22000)), np.int32),
        is_call=np.array(column(st.booleans())),
        am_settled=np.array(column(st.booleans())),
        **numbers,
    )


@given(chains())
def test_a_chain_comes_back_from_its_file_as_it_went_in(whole):
    back = chain_files.read(chain_files.write(whole))
    for name in (field.name for field in fields(Chain)):
        sent, got = getattr(whole, name), getattr(back, name)
        if isinstance(sent, np.ndarray):
            assert got.dtype == sent.dtype
            np.testing.assert_array_equal(got, sent)
        else:
            assert got == sent


@pytest.mark.parametrize(
    "data", [chain_files.write(chain())[:-20], b"", gzip.compress(b"nonsense")], ids=["cut off", "empty", "nonsense"]
)
def test_a_damaged_file_is_refused_in_words(data):
    with pytest.raises(BadData, match="damaged"):
        chain_files.read(data)


def test_files_are_named_by_symbol_and_new_york_time():
    assert chain_files.key("BRK.B", at("20 14:35")) == "BRK.B/2026-11-20/0935.csv.gz"
    assert chain_files.day_of_key("BRK.B/2026-11-20/0935.csv.gz") == date(2026, 11, 20)
    assert chain_files.day_of_key("SPX/2026-13-20/0935.csv.gz") is None


@pytest.mark.parametrize(
    "key", ["notes.txt", "SPX/soon/0935.csv.gz", "backups/2020-01-01/everything.tar", "2020-01-01/0935.csv.gz",
            "SPX/2020-01-01/0935.csv.gz.bak", "logs/SPX/2020-01-01/0935.csv.gz"],
)  # fmt: skip
def test_what_others_keep_in_the_bucket_has_no_day_by_which_it_would_go(key):
    assert chain_files.day_of_key(key) is None


def test_what_is_kept_of_a_chain_are_its_levels():
    few = option_chains.chain(date(2026, 11, 20), date(2026, 12, 18), spot=100.3)
    many = np.where(few.is_call & (few.strike > 105), 900.0, np.where(~few.is_call & (few.strike < 95), 500.0, 10.0))
    whole = replace(few, open_interest=many, delay=timedelta(minutes=15))
    gamma, (kept, interest, _) = analyze(whole), record(whole, at("20 15:45"), True)
    assert (kept.symbol, kept.slot, kept.closing) == ("TEST", at("20 15:45"), True)
    assert (kept.as_of, kept.source, kept.delay) == (at("20 15:30"), "a test", timedelta(minutes=15))
    assert interest
    assert interest.calls == many[few.is_call].sum() > interest.puts == many[~few.is_call].sum()
    names = "spot gross flip call_wall put_wall abs_gamma max_pain expected_move zero_dte coverage"
    for name in names.split():
        assert getattr(kept, name) == getattr(gamma, name), name
    assert kept.net == gamma.total
    assert None is not kept.call_wall != kept.put_wall


def test_the_same_chain_makes_the_same_file():
    assert chain_files.write(chain()) == chain_files.write(replace(chain()))
