"""Cboe's answer read at once, held against the same answer read value by value."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.feeds import cboe_files, json_table
from services.feeds.cboe_files import _at_once, _one_by_one
from services.feeds.json_table import NotAlike, json_tables

HEAD = '{"timestamp":"2026-03-12 01:00:00","symbol":"_ABC","data":{"current_price":101.5,"options":'
KEYS = ("bid", "ask", "iv", "gamma", "delta", "open_interest", "volume")
ROW = (
    '{"option":"ABC260320C00100000","bid":2.0,"bid_size":7.0,"ask":2.25,"iv":0.3125,"open_interest":11.0,'
    '"volume":1234.0,"delta":-0.5,"gamma":0.0503,"tick":"up","last_trade_time":null,"change":-0.1}'
)
OTHER = ROW.replace("C00100000", "P00102500").replace("2.25", "12.5").replace("ABC", "ABCW")

written = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,7})\.[0-9]{1,7}", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.just("null"),
)


def answer(*rows: str) -> bytes:
    return f"{HEAD}[{','.join(rows)}]}}}}".encode()


def assert_same(content: bytes) -> bool:
    """What is read at once is what is read one by one; return whether it could be."""
    found = _at_once(content)
    if found is None:
        return False
    (_, names, columns), (_, names_1, columns_1) = found, _one_by_one(content)
    assert [names.roots[n] for n in names.root] == [names_1.roots[n] for n in names_1.root]
    assert names.tails.tobytes() == names_1.tails.tobytes()
    for key in KEYS:
        assert columns[key].tobytes() == columns_1[key].tobytes(), key
        assert columns[key].flags.c_contiguous
    return True


@given(st.lists(written, min_size=1, max_size=8))
@example(["0.0", "-0.0", "9999999.9", "0.000001", "99999999.0", "0.5"])
def test_every_number_is_the_one_that_a_parser_reads(numbers):
    rows = ",".join(f'{{"x":{number},"y":"z"}}' for number in numbers)
    (table,) = json_tables(memoryview(f"[{rows}]".encode()), ["x"])
    # a parser makes an integer of "-0" and thereby loses its sign
    expected = [math.nan if number == "null" else 0.0 if number == "-0" else float(number) for number in numbers]
    assert table.numbers(slice(None)).tobytes() == np.array([expected]).tobytes()


@pytest.mark.parametrize("value", ["1e999", '"1.5"', "true", "[1.5]"])
def test_what_is_no_number_is_refused(value):
    (table,) = json_tables(memoryview(f'[{{"x":1.5}},{{"x":{value}}}]'.encode()), ["x"])
    with pytest.raises(msgspec.DecodeError):
        table.numbers(slice(None))


def test_the_usual_answer_is_read_at_once():
    assert assert_same(answer(ROW))
    assert assert_same(answer(*[ROW, OTHER] * 100))


def test_parts_are_cut_between_objects(monkeypatch):
    content = answer(*[ROW, OTHER] * 20)
    for size in (1, 100, len(ROW), 1000):
        monkeypatch.setattr(json_table, "_PART", size)
        assert assert_same(content)


@given(
    st.lists(st.sampled_from([ROW, OTHER]), min_size=1, max_size=4).map(lambda rows: answer(*rows)),
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 3), st.sampled_from(list(' ",:.{}[]-0e\\tCPx\x00\x80\n'))),
        min_size=1,
        max_size=3,
    ),
)
def test_a_spoilt_answer_is_never_read_otherwise(content, slips):
    for place, removed, put in slips:
        at = place % len(content)
        content = content[:at] + put.encode("latin-1") + content[at + removed :]
    assert_same(content)


@pytest.mark.parametrize(
    ("spoil", "at_once"),
    [
        (lambda row: row.replace('"bid_size"', '"bid"'), False),
        (lambda row: row.replace('"tick"', '"gamma"'), False),
        (lambda row: row.replace('"tick"', '"g\\u0061mma"'), False),
        (lambda row: row.replace('"gamma"', '"g\\u0061mma"'), False),
        (lambda row: row.replace('"open_interest"', '"xpen_interest"'), False),
        (lambda row: row.replace(',"tick":"up"', ',"tick":"up","tock":1.0'), False),
        (lambda row: row.replace(',"tick":"up"', ""), False),
        (lambda row: row.replace(',"bid":2.0', ""), False),
        (lambda row: row.replace('"up"', '"a,b"'), False),
        (lambda row: row.replace('"up"', '"},{"'), False),
        (lambda row: row.replace('"up"', '{"bid":5.0}'), False),
        (lambda row: row.replace(',"bid"', ', "bid"'), False),
        (lambda row: row.replace("ABC2", "ÄBC2"), False),
        (lambda row: row.replace("ABC2", "ABC\\u0032"), False),
        (lambda row: row.replace("ABC2", "ABCDEFGHI2"), False),
        (lambda row: row.replace('"ABC260320C00100000"', '"ABC"'), False),
        (lambda row: row.replace('"ABC260320C00100000"', '"ABC260320C00100000" '), False),
        (lambda row: row.replace('"ABC260320C00100000"', "7260320260320260320"), False),
        (lambda row: row.replace('"ABC260320C00100000"', "null"), False),
        (lambda row: row.replace('"bid":2.0', '"bid":"2.0"'), False),
        (lambda row: row.replace("2.0", " 2.0\t"), True),
        (lambda row: row.replace("2.0", "null"), True),
        (lambda row: row.replace("2.0", "2"), True),
        (lambda row: row.replace("ABC2", "2"), True),
        (lambda row: row.replace("ABC2", "ABCDEFGH2"), True),
        (lambda row: row.replace("C00100000", "X0010000?"), True),
    ],
)
def test_a_row_that_is_unlike_the_others(spoil, at_once):
    assert spoil(ROW) != ROW
    for rows in ([ROW, spoil(ROW), OTHER], [ROW, OTHER, spoil(ROW)]):
        assert assert_same(answer(*rows)) is at_once


def test_a_wanted_name_is_found_behind_another_of_the_same_end():
    rows = ['{"my_open_interest":1.0,"x":2.0}', '{   "open_interest":1.0,"x":2.0}']
    for wanted in ("x", "open_interest"):
        with pytest.raises(NotAlike):
            list(json_tables(memoryview(f"[{','.join(rows)}]".encode()), [wanted, "open_interest"]))


@pytest.mark.parametrize(
    "array", ["[]", "{}", "null", '"a"', "[[1]]", "[1,2]", '[[{"x":1.0}]]', '{"y":{"x":1.0}}', "[{}]"]
)
def test_what_is_no_array_of_objects_is_not_alike(array):
    with pytest.raises(NotAlike):
        list(json_tables(memoryview(array.encode()), ["x"]))


def test_a_recorded_answer_is_read_at_once(shared_data):
    content = (shared_data / "cboe" / "rut_20230920.json").read_bytes()
    assert assert_same(content)
    spread_out = json.dumps(json.loads(content)).encode()
    assert not assert_same(spread_out)
    recording, other = (cboe_files.parse_delayed_quotes(each) for each in (content, spread_out))
    assert recording.quote == other.quote
    assert recording.chain.iv.tobytes() == other.chain.iv.tobytes()
