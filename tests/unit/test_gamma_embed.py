"""The facts of the gamma picture in a message, as the reader writes numbers and dates."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from bot import embeds
from bot.numbers import locale_of
from services.charts import Picture
from services.gamma import Expiry, Gamma, Mode


def told(locale="en-US", **changes):
    facts = {
        "symbol": "SPY",
        "spot": 772.5,
        "as_of": datetime(2026, 11, 27, 18, 5, tzinfo=UTC),  # 13:05 New York on a half day
        "source": "Alpaca indicative",
        "delay": timedelta(minutes=15),
        "open_interest_date": date(2026, 11, 25),
        "mode": Mode.OURS,
        "expiry": Expiry.ALL,
        "expiries": (date(2026, 11, 30), date(2026, 12, 4)),
        "total": 1.5e9,
        "gross": 2e9,
        "flip": 770.5,
        "call_wall": 780.0,
        "put_wall": 762.5,
        "abs_gamma": 775.0,
        "max_pain": 772.0,
        "expected_move": 7.0,
        "contracts": 4000,
        "coverage": 0.987,
        "iv_sources": ((0.95123, "vendor"), (0.036, "solved from mid prices")),
        "strikes": np.array([780.0]),
        "call_gex": np.array([1.5e9]),
        "put_gex": np.array([0.0]),
        "profile_prices": np.empty(0),
        "profile": np.empty(0),
    }
    headline, embed = embeds.gamma(Picture(Gamma(**facts | changes), b""), locale_of(locale))
    return headline, embed, {field.name: field.value for field in embed.fields}


def test_shares_and_dates_are_the_readers():
    _, embed, fields = told("de")
    footer = "open interest of 25.11.2026 · IV 95,12 % vendor, 3,60 % solved from mid prices · Alpaca indicative"
    assert embed.footer.text.replace("\xa0", " ").endswith(footer)
    assert "2 expiries to 04.12.2026" in fields["As of"]
    assert fields["Expected move"].endswith("by 30.11.2026")
    assert "expiry 30.11.2026" in told("de", expiry=date(2026, 11, 30))[1].description
    assert told("en-US")[2]["Expected move"].endswith("by Nov 30, 2026")
    assert "open interest undated" in told(open_interest_date=None)[1].footer.text


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
    assert told(expiry=expiry, expiries=(day,))[1].description.splitlines()[0].endswith(f"· {words}")


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
