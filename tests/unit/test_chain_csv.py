"""Chains as CSV come back as they were."""

from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from services import chain_csv, chain_files
from services.errors import BadData
from services.feeds import cboe_files
from services.feeds.base import Chain

numbers = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def chains(draw):
    length = draw(st.integers(0, 12))

    def column(dtype, elements=None):
        return draw(arrays.arrays(dtype, length, elements=elements))

    floats = ("strike", "bid", "ask", "iv", "gamma", "delta", "open_interest", "volume")
    return Chain(
        symbol=draw(st.sampled_from(["SPX", "BRK.B"])),
        spot=draw(st.floats(0.01, 1e6)),
        as_of=draw(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
        source=draw(st.sampled_from(["Alpaca indicative", 'a "source", with commas'])),
        delay=draw(st.none() | st.timedeltas(timedelta(0), timedelta(hours=1))),
        open_interest_date=draw(st.none() | st.dates(date(2000, 1, 1), date(2090, 1, 1))),
        expiry=column(np.int32, st.integers(0, 60_000)),
        is_call=column(np.bool_),
        am_settled=column(np.bool_),
        **{name: column(np.float64, numbers) for name in floats},
    )


def same(one: Chain, other: Chain) -> None:
    for field in fields(Chain):
        before, after = getattr(one, field.name), getattr(other, field.name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype, field.name
            np.testing.assert_array_equal(before, after, field.name)
        else:
            assert before == after, field.name


@given(chains())
def test_every_column_comes_back_exactly(made):
    same(made, chain_csv.read(chain_csv.write(made)))
    same(made, chain_files.read(chain_files.write(made)))


@pytest.mark.parametrize("name", ["spx_20221212.csv", "rut_20230920.json"])
def test_recorded_chains_come_back_exactly(shared_data, name):
    made = cboe_files.read(shared_data / "cboe" / name).chain
    same(made, chain_csv.read(chain_csv.write(made)))


@given(chains(), st.integers(0, 400))
def test_a_file_cut_off_is_refused_or_whole_lines(made, length):
    data = chain_csv.write(made)[:length]
    with suppress(BadData):
        assert len(chain_csv.read(data).strike) <= len(made.strike)


def test_the_file_says_what_it_holds(shared_data):
    made = cboe_files.read(shared_data / "cboe/spy_20250516.csv").chain
    titles, facts, columns, first, *_ = chain_csv.write(replace(made, delay=timedelta(minutes=15))).decode().split("\n")
    assert titles == "symbol,spot,as_of,source,delay_s,open_interest_date"
    assert facts.startswith("SPY,589.25,2025-05-16T")
    assert columns == "expiry,side,settled,strike,bid,ask,iv,gamma,delta,open_interest,volume"
    assert first.startswith("2025-05-")
