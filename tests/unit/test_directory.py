import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory import Directory
from services.feeds.base import Listing

DIRECTORY = Directory(
    [
        Listing("SPY", "SPDR S&P 500 ETF Trust"),
        Listing("SPX", "S&P 500 Index"),
        Listing("AAPL", "Apple Inc."),
        Listing("MSFT", "Microsoft Corporation"),
        Listing("BRK.B", "Berkshire Hathaway Inc. Class B"),
        Listing("SPYG", "SPDR Portfolio S&P 500 Growth ETF"),
        Listing("BAC", "Bank of America Corporation"),
        Listing("AMD", "Advanced Micro Devices, Inc."),
        Listing("A", "Agilent Technologies, Inc."),
    ]
)


def found(text, **more):
    return [listing.symbol for listing in DIRECTORY.search(text, **more)]


def test_the_shortest_symbol_comes_first_then_names():
    assert found("sp") == ["SPX", "SPY", "SPYG"]
    assert found("a")[:3] == ["A", "AMD", "AAPL"]
    assert found("berk") == ["BRK.B"]
    assert found("")[:3] == ["A", "AMD", "BAC"]
    assert found("zzz") == []


def test_a_symbol_typed_in_full_comes_before_what_was_asked_for_recently():
    assert found("spy", recent=["SPYG"])[:2] == ["SPY", "SPYG"]


def test_what_was_asked_for_recently_comes_first():
    assert found("", recent=["MSFT", "GONE", "BAC"])[:2] == ["MSFT", "BAC"]
    assert found("sp", recent=["MSFT", "SPYG"]) == ["SPYG", "SPX", "SPY"]
    assert found("inc", recent=["AAPL"])[0] == "AAPL"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("america", "BAC"),  # a word inside a name
        ("bank ame", "BAC"),
        ("micro dev", "AMD"),
        ("dev adv", "AMD"),
        ("brk b", "BRK.B"),
        ("brk-b", "BRK.B"),
        ("$spx", "SPX"),
        (".spx", "SPX"),
        ("appl", "AAPL"),
        ("aplp", "AAPL"),
        ("appel", "AAPL"),
        ("micorsoft", "MSFT"),
        ("microsfot", "MSFT"),
        ("berkshier", "BRK.B"),
        ("AAPL260218C00265000", "AAPL"),
        (".SPXW260218P5800", "SPX"),
    ],
)
def test_words_slips_and_other_spellings_find_what_is_meant(typed, meant):
    assert found(typed)[0] == meant


@given(st.text(max_size=40))
def test_anything_may_be_typed(text):
    assert len(DIRECTORY.search(text)) <= 25


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("APPL", "AAPL"), ("APPLE", "AAPL"), ("SPYY", "SPY"), ("MICROSOFT", "MSFT"), ("MFST", "MSFT")],
)
def test_the_nearest_match_is_what_was_meant(typed, offered):
    assert offered in DIRECTORY.nearest(typed)


def test_nothing_is_suggested_for_what_resembles_nothing():
    assert DIRECTORY.nearest("QZXKWV") == []


def test_twelve_thousand_symbols_complete_at_typing_speed():
    chance = random.Random(1)
    big = Directory(
        Listing("".join(chance.choices(string.ascii_uppercase, k=4)), f"Company {number} Holdings Common Stock")
        for number in range(12_000)
    )
    for typed in ("c", "comp", "holdings com", "compnay", "xqzv"):
        started = time.perf_counter()
        big.search(typed)
        assert time.perf_counter() - started < 1  # the figure itself is measured in the benchmarks
