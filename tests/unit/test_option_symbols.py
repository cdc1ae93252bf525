import string
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import AdjustedRoot, IsOption, UnknownSymbol
from services.option_symbols import UNDERLYINGS, OptionSymbol, Right, option_symbol
from services.symbols import canonical, split

AAPL = OptionSymbol("AAPL", "AAPL", date(2026, 2, 18), Right.CALL, Decimal(265))

contracts = st.builds(
    lambda root, expiry, right, mills: OptionSymbol(root, root, expiry, right, Decimal(mills) / 1000),
    st.text(string.ascii_uppercase, min_size=1, max_size=6).filter(lambda root: root not in UNDERLYINGS),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.sampled_from(Right),
    st.integers(1, 99_999_999),
)


@pytest.mark.parametrize(
    "spelled",
    [
        "AAPL  260218C00265000",  # OCC, Schwab
        "AAPL260218C00265000",  # Alpaca, Tradier, Cboe
        "AAPL 260218C00265000",  # IBKR
        "O:AAPL260218C00265000",  # Polygon
        ".AAPL260218C265",  # thinkorswim
        " aapl260218c00265000 ",
        "AAPL260218C265.0",
    ],
)
def test_every_vendors_spelling_is_one_contract(spelled):
    assert option_symbol(spelled) == AAPL


def test_strikes_have_up_to_three_decimals_and_five_digits():
    assert option_symbol(".SPXW260218P5800.5").strike == Decimal("5800.5")
    assert option_symbol("SPXW260218P05800500").strike == Decimal("5800.5")
    assert option_symbol("F260218P00012345").strike == Decimal("12.345")
    assert option_symbol("NDX260218C99999999").strike == Decimal("99999.999")


def written(contract, *, width=0):
    """Spell a contract as most vendors do, or with its root padded as the OCC does."""
    right = contract.right.value[0].upper()
    return f"{contract.root:<{width}}{contract.expiry:%y%m%d}{right}{int(contract.strike * 1000):08d}"


@given(contracts)
def test_a_contract_survives_being_written_and_read(contract):
    assert option_symbol(written(contract, width=6)) == contract
    assert option_symbol(written(contract)) == contract
    short = f".{written(contract)[:-8]}{contract.strike.normalize():f}"
    assert option_symbol(short) == contract


@given(st.text(max_size=30))
def test_any_text_is_a_contract_or_none_or_refused(text):
    try:
        found = option_symbol(text)
    except (AdjustedRoot, UnknownSymbol):
        return
    assert found is None or option_symbol(written(found)) == found


@pytest.mark.parametrize(
    ("root", "underlying"), [("SPXW", "SPX"), ("SPX", "SPX"), ("RUTW", "RUT"), ("NDXP", "NDX"), ("BRKB", "BRK.B")]
)
def test_a_root_belongs_to_its_underlying(root, underlying):
    assert option_symbol(f"{root}260218C00265000").underlying == underlying


@pytest.mark.parametrize("root", ["AAPL1", "SPY7", "1SPX", "T2"])
def test_adjusted_roots_are_refused_with_the_reason(root):
    with pytest.raises(AdjustedRoot, match=r"something else than 100 shares"):
        option_symbol(f"{root}260218C00265000")


@pytest.mark.parametrize("typed", ["AAPL1", "aapl2", "$SPY7"])
def test_an_adjusted_root_by_itself_is_refused_likewise(typed):
    with pytest.raises(AdjustedRoot, match=r"Type `(AAPL|SPY)`"):
        canonical(typed)


@pytest.mark.parametrize("typed", ["AAPL261318C00265000", "AAPL260230C00265000", "AAPL260218C00000000", ".123260218C5"])
def test_a_day_strike_or_root_that_cannot_be_is_refused(typed):
    with pytest.raises(UnknownSymbol):
        option_symbol(typed)


@pytest.mark.parametrize("typed", ["SPY", "AAPL260218", "AAPL260218X00265000", "260218C00265000", "", "BRK B", "T1"])
def test_what_has_not_the_shape_is_no_option(typed):
    assert option_symbol(typed) is None


def test_who_types_an_option_is_told_its_underlying_and_gets_neither_by_mistake():
    with pytest.raises(IsOption, match=r"\*\*SPX 18 Feb 2026 5800.5 put\*\* is an option; .* Type `SPX`"):
        canonical(".SPXW260218P5800.5")
    with pytest.raises(IsOption, match=r"AAPL 18 Feb 2026 265 call"):
        split("SPY AAPL  260218C00265000, QQQ")
