from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import numbers
from bot.numbers import locale_of
from services.errors import NotANumber


@pytest.mark.parametrize(
    ("typed", "locale", "number"),
    [
        ("187.50", "en-US", "187.50"),
        ("187,50", "en-US", "187.50"),
        ("187.50", "de", "187.50"),
        ("1,250", "en-US", "1250"),
        ("1.250", "de", "1250"),
        ("1.250", "en-US", "1.250"),
        ("1.250,5", "de", "1250.5"),
        ("$1,250.50", "en-US", "1250.50"),
        ("1 250,5", "fr", "1250.5"),
        (" .5 ", "en-US", "0.5"),
        ("-3", "en-US", "-3"),
    ],
)
def test_numbers_are_read_as_the_person_writes_them(typed, locale, number):
    assert numbers.typed(typed, locale_of(locale)) == Decimal(number)


@pytest.mark.parametrize("typed", ["", "abc", "1.2.3", "1e5", "NaN", "--1", "1,2,3", "9" * 30, "**", "<@1>"])
def test_what_is_no_number_is_refused_without_repeating_markup(typed):
    with pytest.raises(NotANumber) as refused:
        numbers.typed(typed, locale_of("en-US"))
    assert "<@" not in str(refused.value)


@given(
    st.decimals(min_value=1, max_value=10_000_000, places=2),
    st.sampled_from(["en-US", "de", "fr", "sv-SE", "ja", "pl", "pt-BR", "hu"]),
)
def test_what_we_write_we_read(amount, locale):
    chosen = locale_of(locale)
    assert numbers.typed(numbers.price(amount, chosen), chosen) == amount
    assert numbers.typed(numbers.money(amount, chosen), chosen) == amount
