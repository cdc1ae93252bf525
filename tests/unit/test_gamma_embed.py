"""The facts of the gamma picture in a message, as the reader writes numbers and dates."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from bot import gamma_cards
from bot.embeds import GREEN, RED
from bot.numbers import locale_of
from services.gamma import Expiry, Gamma, Lens
from services.gamma_exposure import ByExpiry
from services.lens import PLAIN

FACTS = {
    "symbol": "SPY",
    "spot": 772.5,
    "as_of": datetime(2026, 11, 27, 18, 5, tzinfo=UTC),  # 13:05 New York on a half day
    "source": "Alpaca indicative",
    "delay": timedelta(minutes=15),
    "open_interest_date": date(2026, 11, 25),
    "lens": PLAIN,
    "expiries": (date(2026, 11, 30), date(2026, 12, 4)),
    "listed": (),
    "total": 1.5e9,
    "gross": 2e9,
    "zero_dte": 0.25,
    "by_expiry": (),
    "flip": 770.5,
    "call_wall": 780.0,
    "put_wall": 762.5,
    "max_call_gamma": 775.0,
    "max_put_gamma": 770.0,
    "abs_gamma": 775.0,
    "call_oi_wall": 800.0,
    "put_oi_wall": 700.0,
    "max_pain": 772.0,
    "expected_move": 7.0,
    "vanna": 1e8,
    "charm": -2e8,
    "contracts": 4000,
    "coverage": 0.987,
    "iv_sources": ((0.95123, "vendor"), (0.036, "solved from mid prices")),
    "strikes": np.array([780.0]),
    "call_gex": np.array([1.5e9]),
    "put_gex": np.array([0.0]),
    "profile_prices": np.empty(0),
    "profile": np.empty(0),
}


def told(locale="en-US", **changes):
    headline, embed = gamma_cards.gamma(Gamma(**FACTS | changes), locale_of(locale))
    return headline, embed, {field.name: field.value for field in embed.fields}


def test_shares_and_dates_are_the_readers():
    _, embed, fields = told("de")
    footer = "open interest of 25.11.2026 · IV 95,12 % vendor, 3,60 % solved from mid prices · Alpaca indicative"
    assert embed.footer.text.replace("\xa0", " ").endswith(footer)
    assert "2 expiries to 04.12.2026" in fields["As of"]
    assert fields["Expected move"].endswith("by 30. Nov.")
    assert "expiry 30.11.2026" in told("de", lens=Lens(date(2026, 11, 30)))[1].description
    assert told("en-US")[2]["Expected move"].endswith("by Nov 30")
    assert "open interest undated" in told(open_interest_date=None)[1].footer.text


@pytest.mark.parametrize(
    ("total", "colour", "mood"), [(1.0, GREEN, "**Positive gamma**"), (-1.0, RED, "**Negative gamma**")]
)
def test_colour_and_words_follow_the_sign(total, colour, mood):
    _, embed, _ = told(total=total)
    assert embed.colour == colour
    assert mood in embed.description
    assert gamma_cards.levels(Gamma(**FACTS | {"total": total}), locale_of("fr"))[1].colour == colour


@pytest.mark.parametrize(
    ("delay", "words"),
    [(None, "recording"), (timedelta(minutes=15), "delayed 15 min"), (timedelta(0), "real time")],
)
def test_the_moment_stands_with_how_late_the_source_is(delay, words):
    first = told(delay=delay)[2]["As of"].splitlines()[0]
    assert first.endswith(f"· {words}")


@pytest.mark.parametrize(
    ("expiry", "day", "words"),
    [
        (Expiry.ZERO_DTE, date(2026, 11, 30), "next expiry Nov 30, 2026"),
        (Expiry.ZERO_DTE, date(2026, 11, 27), "0DTE"),
        (Expiry.WEEK, date(2026, 12, 11), "nearest expiry Dec 11, 2026"),
        (Expiry.WEEK, date(2026, 12, 4), "this week"),
        (Expiry.OPEX, date(2026, 12, 18), "monthly OPEX"),
    ],
)
def test_a_filter_is_named_only_when_it_is_what_is_shown(expiry, day, words):
    assert told(lens=Lens(expiry), expiries=(day,))[1].description.splitlines()[0].endswith(f"· {words}")


def test_the_flip_has_the_same_digits_everywhere():
    headline, _, fields = told(flip=118.5, spot=118.9)
    assert headline.endswith("flip 118.50")
    assert fields["Gamma flip"].startswith("118.50 (")
    assert fields["Put wall"].startswith("762.5 (")
    headline, _, fields = told(flip=0.45671, spot=0.46)
    assert headline.endswith("flip 0.4567")
    assert fields["Gamma flip"].startswith("0.4567 (")


@pytest.mark.parametrize(
    ("spot", "move", "words"), [(118.9, 0.2779, "±0.28 "), (0.46, 0.02779, "±0.0278 "), (118.9, 1.2779, "±1.28 ")]
)
def test_an_expected_move_has_the_digits_of_the_price(spot, move, words):
    assert told(spot=spot, expected_move=move)[2]["Expected move"].startswith(words)


def test_the_largest_expiries_are_told_in_order_and_far_ones_with_their_year():
    days = [(date(2026, 11, 30), 1e8), (date(2026, 12, 4), 5e7), (date(2026, 12, 18), 9e8), (date(2027, 12, 17), 4e8)]
    told_lines = told(by_expiry=tuple(ByExpiry(day, -gross / 2, gross) for day, gross in days))[2][
        "By expiry"
    ].splitlines()
    assert told_lines == [
        "Nov 30: −$50.00 m net, 5.00% of gross",
        "Dec 18: −$450.00 m net, 45.00% of gross",
        "Dec 17, 2027: −$200.00 m net, 20.00% of gross",
        "0DTE: 25.00% of gross",
    ]


def test_every_kind_of_wall_has_its_name():
    assert (
        told()[2]["Most gamma"]
        == "Calls 775 · puts 770 · both 775\nMost open: calls 800 · puts 700\nMax pain 772 on Nov 30"
    )
    assert "Most traded: calls 800" in told(lens=Lens(by_volume=True))[2]["Most gamma"]
    assert "Vanna and charm" not in told(vanna=None, charm=None)[2]


def test_levels_are_one_line_each_and_the_first_is_a_push_notification():
    headline, embed = gamma_cards.levels(Gamma(**FACTS), locale_of("en-US"))
    assert headline == "**SPY** 772.50 · call wall 780 · put wall 762.5 · flip 770.50"
    assert embed.description.splitlines()[:8] == [
        "**Call wall** 780 (+0.97%) · +$1.50 bn net",
        "**Put wall** 762.5 (−1.29%) · +$1.50 bn net",
        "**Gamma flip** 770.50 (−0.26%)",
        "**Absolute gamma** 775 (+0.32%)",
        "**Max pain** 772 (−0.06%) on Nov 30",
        "**Expected move** ±7.00 (0.91%) by Nov 30",
        "**0DTE** 25.00% of gross gamma",
        "**Net gamma** +$1.50 bn per 1 % move",
    ]
    without = replace(Gamma(**FACTS), flip=None, call_wall=None)
    headline, embed = gamma_cards.levels(without, locale_of("de"))
    assert headline == "**SPY** 772,50 · put wall 762,5"
    assert embed.description.splitlines()[0] == "**Call wall** none"
