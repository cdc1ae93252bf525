import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import UnknownSymbol
from services.feeds.base import Listing
from services.symbols import Directory, canonical, split

DIRECTORY = Directory(
    [
        Listing("SPY", "SPDR S&P 500 ETF Trust"),
        Listing("SPX", "S&P 500 Index"),
        Listing("AAPL", "Apple Inc."),
        Listing("MSFT", "Microsoft Corporation"),
        Listing("BRK.B", "Berkshire Hathaway Inc. Class B"),
        Listing("SPYG", "SPDR Portfolio S&P 500 Growth ETF"),
    ]
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("spy", "SPY"),
        (" $spx ", "SPX"),
        ("^SPX", "SPX"),
        ("SPXW", "SPX"),
        ("_RUT", "RUT"),
        ("brk-b", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("BRK.B", "BRK.B"),
    ],
)
def test_every_spelling_means_one_symbol(typed, meant):
    assert canonical(typed) == meant


@pytest.mark.parametrize("typed", ["", "   ", "123", "TOOLONGSYMBOL", "A B", "@everyone", "<script>", "AAPL;DROP"])
def test_what_cannot_be_a_symbol_is_refused_in_words(typed):
    with pytest.raises(UnknownSymbol, match="I do not know"):
        canonical(typed)


@given(st.text())
def test_any_text_is_a_symbol_or_refused(text):
    refusal = None
    try:
        assert canonical(canonical(text)) == canonical(text)
    except UnknownSymbol as error:
        refusal = str(error)
    assert refusal is None or ("@" not in refusal and len(refusal) < 200)  # a refusal must not become a mention


def test_a_list_keeps_its_order_and_each_symbol_once():
    assert split("spy, qqq  AAPL,SPY ; spxw") == ("SPY", "QQQ", "AAPL", "SPX")


def test_completion_offers_the_shortest_symbol_first_then_names():
    assert [listing.symbol for listing in DIRECTORY.search("sp")] == ["SPX", "SPY", "SPYG"]
    assert [listing.symbol for listing in DIRECTORY.search("appl")] == ["AAPL"]
    assert [listing.symbol for listing in DIRECTORY.search("berk")] == ["BRK.B"]
    assert [listing.symbol for listing in DIRECTORY.search("")][:2] == ["SPX", "SPY"]
    assert DIRECTORY.search("zzz") == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("APPL", "AAPL"), ("APPLE", "AAPL"), ("SPYY", "SPY"), ("MICROSOFT", "MSFT"), ("MFST", "MSFT")],
)
def test_the_nearest_match_is_what_was_meant(typed, offered):
    assert offered in DIRECTORY.nearest(typed)


def test_nothing_is_suggested_for_what_resembles_nothing():
    assert DIRECTORY.nearest("QZXKWV") == []


def test_twelve_thousand_symbols_complete_at_typing_speed():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    big = Directory(
        Listing(a + b + c, f"Company {a}{b} Holdings {c}") for a in alphabet for b in alphabet for c in alphabet[:18]
    )
    started = time.perf_counter()
    found = big.search("comp")
    assert len(found) == 25
    assert time.perf_counter() - started < 1  # the figure itself is measured in the benchmarks
