from datetime import UTC, datetime, timedelta
from decimal import Decimal

import discord
import pytest

from bot import numbers
from bot.numbers import locale_of


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en-US", "3,990.56"),
        ("de", "3.990,56"),
        ("fr", "3\u202f990,56"),
        ("sv-SE", "3\xa0990,56"),
        ("ja", "3,990.56"),
        ("hi", "3,990.56"),
    ],
)
def test_prices_follow_the_readers_locale(locale, text):
    assert numbers.price(Decimal("3990.5601"), locale_of(locale)) == text


def test_every_locale_of_discord_writes_numbers():
    for locale in discord.Locale:
        assert numbers.price(Decimal("1234.5"), locale_of(locale.value))


def test_an_unknown_locale_reads_english():
    assert numbers.count(1234, locale_of("xx-YY")) == "1,234"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1.1816e9, "−$1.18 bn"),
        (6.18e9, "+$6.18 bn"),
        (-620e6, "−$620.00 m"),
        (12_500.0, "+$12.50 k"),
        (3.2e12, "+$3.20 tn"),
        (999.0, "+$999.00"),
    ],
)
def test_large_dollars_are_short_and_signed(value, text):
    assert numbers.dollars(value, locale_of("en-US"), sign=True) == text


def test_changes_carry_their_sign_and_a_real_minus():
    english = locale_of("en-US")
    assert numbers.change(Decimal("56.1801"), english) == "+56.18"
    assert numbers.change(Decimal("-0.5"), english) == "−0.50"
    assert numbers.percent(Decimal("-0.0123"), english, sign=True) == "−1.23%"
    assert numbers.percent(Decimal("0.0143"), locale_of("de"), sign=True) == "+1,43\xa0%"
    assert numbers.percent(Decimal("-0.5"), locale_of("sv-SE")) == "−50,00\xa0%"
    assert numbers.percent(-0.00001, english, sign=True) == "0.00%"
    assert numbers.change(Decimal("-0.00001"), english) == "0.00"
    assert numbers.price(Decimal("0.1234"), english) == "0.1234"
    assert numbers.strike(4100.0, english) == "4,100"
    assert numbers.strike(42.5, english) == "42.5"


def test_moments_are_discord_timestamps():
    assert numbers.moment(datetime(2026, 11, 20, 15, tzinfo=UTC), "f") == "<t:1795186800:f>"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=4), "4 s"),
        (timedelta(minutes=15), "15 min"),
        (timedelta(hours=30), "1 day"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_durations_are_told_in_their_largest_unit(span, text):
    assert numbers.duration(span) == text
