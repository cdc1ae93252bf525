import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import AdjustedRoot, IsOption, UnknownSymbol
from services.symbols import canonical, split


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
        ("BRK B", "BRK.B"),
        (".SPX", "SPX"),
        ("$SPX.X", "SPX"),
        ("^GSPC", "SPX"),
        ("I:SPX", "SPX"),
        ("NYSE:BRK.B", "BRK.B"),
        ("BRKB", "BRK.B"),
        ("VIX9D", "VIX9D"),
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
    except (UnknownSymbol, AdjustedRoot, IsOption) as error:
        refusal = str(error)
    assert refusal is None or ("@" not in refusal and len(refusal) < 200)  # a refusal must not become a mention


def test_a_list_keeps_its_order_and_each_symbol_once():
    assert split("spy, qqq  AAPL,SPY ; spxw") == ("SPY", "QQQ", "AAPL", "SPX")


def test_in_a_list_a_letter_belongs_to_a_share_class_or_is_a_symbol():
    assert split("spy brk b F bf a, T C") == ("SPY", "BRK.B", "F", "BF.A", "T", "C")
