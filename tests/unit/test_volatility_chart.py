"""Where things stand in the volatility pictures."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from option_chains import chain

from db.models import Theme
from services.canvas import Canvas
from services.palette import PALETTES
from services.volatility import HORIZON_DAYS, analyze_volatility
from services.volatility_chart import HEIGHT, WIDTH, draw_volatility, volatility_png
from services.volatility_frame import across, apart, between, rounds
from services.volatility_words import View, alt_text

DAYS = [date(2026, 11, 20), date(2026, 11, 27), date(2026, 12, 4), date(2026, 12, 18), date(2027, 1, 15)]
DARK = PALETTES[Theme.DARK]


def smiling(strike, years):
    return 0.2 + 0.02 * years - 0.4 * np.log(strike / 100)


@pytest.fixture(scope="module")
def volatility():
    return analyze_volatility(chain(*DAYS, iv=smiling, step=0.5))


def drawn(volatility, view, chosen=1, palette=DARK):
    canvas = Canvas(WIDTH, HEIGHT, palette.background)
    return canvas.pixels, draw_volatility(canvas, volatility, chosen, view, palette)


def rgb(colour):
    return np.array(tuple(bytes.fromhex(colour[1:])))


def is_near(pixels, x, y, colour, reach=3):
    """Tell whether a colour is found within a few pixels."""
    box = pixels[round(y) - reach : round(y) + reach + 1, round(x) - reach : round(x) + reach + 1, :3].astype(int)
    return bool((np.abs(box - rgb(colour)).max(axis=-1) < 12).any())


def test_a_skew_marks_its_wings_and_the_money_on_the_curve(volatility):
    pixels, plane = drawn(volatility, View.SKEW)
    term = volatility.terms[1]
    marks = [
        (term.skew.put_wing, DARK.negative),
        ((term.forward, term.atm_iv), DARK.flip),
        (term.skew.call_wing, DARK.positive),
    ]
    for (strike, iv), colour in marks:
        assert is_near(pixels, plane.x(strike), plane.y(iv), colour)
    for strike in np.linspace(*plane.across, 25)[2:-2]:
        iv = float(np.interp(strike, term.skew.strike, term.skew.iv))
        assert any(is_near(pixels, plane.x(strike), plane.y(iv), c) for c in (DARK.profile, *(c for _, c in marks)))
    assert plane.left < plane.x(volatility.spot) < plane.right


def test_the_neighbours_of_a_skew_are_drawn_in_their_own_colours(volatility):
    pixels, plane = drawn(volatility, View.SKEW)
    low, high = plane.across
    for place, colour in ((0, DARK.averages[0]), (2, DARK.averages[2])):
        rows = between(volatility.terms[place].skew, low, high)
        found = [is_near(pixels, plane.x(k), plane.y(iv), colour) for k, iv in rows.tolist()]
        assert sum(found) > 0.3 * len(found)  # under the chosen curve in places


def test_a_term_structure_passes_through_every_expiration(volatility):
    pixels, plane = drawn(volatility, View.TERM)
    colours = (DARK.profile, DARK.flip)
    for term in volatility.terms:
        assert any(is_near(pixels, plane.x(across(term.days)), plane.y(term.atm_iv), c) for c in colours)
    assert is_near(pixels, plane.x(across(HORIZON_DAYS)), plane.y(volatility.iv30), DARK.flip)


def test_a_cone_opens_from_spot_to_the_moves(volatility):
    pixels, plane = drawn(volatility, View.CONE)
    spot, chosen = volatility.spot, volatility.terms[1]
    for term in volatility.terms:
        if term.days <= 45:
            assert is_near(pixels, plane.x(term.days), plane.y(spot + term.move), DARK.positive)
            assert is_near(pixels, plane.x(term.days), plane.y(spot - term.move), DARK.negative)
    middle = plane.x(chosen.days)
    assert is_near(pixels, middle, plane.y(spot), DARK.spot)
    assert is_near(pixels, middle, plane.y(spot + chosen.move / 2), DARK.band)
    assert is_near(pixels, middle, plane.y(spot + 2 * chosen.move), DARK.background)
    assert plane.x(0.0) == plane.left


@pytest.mark.parametrize("theme", Theme)
@pytest.mark.parametrize("view", View)
def test_every_view_is_drawn_in_every_theme_at_the_promised_size(volatility, view, theme):
    png = volatility_png(volatility, 3, view, theme)
    assert png.startswith(b"\x89PNG")
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1200, 800)
    assert png != volatility_png(volatility, 1, view, theme)


@pytest.mark.parametrize("view", View)
def test_a_single_expiration_and_large_prices_can_be_drawn(view):
    strikes = np.arange(22_000, 33_000, 50.0)
    for days in (DAYS[1:2], DAYS):
        found = analyze_volatility(chain(*days, spot=27_345.67, strikes=strikes, iv=lambda *_: 0.2))
        assert volatility_png(found, 0, view, Theme.LIGHT)
    cheap = analyze_volatility(chain(*DAYS, spot=0.85, strikes=np.arange(0.4, 1.4, 0.05), iv=lambda *_: 0.9))
    assert volatility_png(cheap, 1, view, Theme.DARK)


def test_a_skew_without_wings_is_drawn_without_them(volatility):
    term = volatility.terms[1]
    bare = replace(term, skew=replace(term.skew, put_wing=None, call_wing=None))
    alone = replace(volatility, terms=(bare,), iv30=None)
    for view in View:
        assert volatility_png(alone, 0, view, Theme.DARK)
    assert "No 25-delta risk reversal." in alt_text(alone, bare, View.SKEW)


def test_the_words_say_what_is_drawn(volatility):
    term = volatility.terms[1]
    for view, fact in (
        (View.SKEW, "25-delta put"),
        (View.TERM, f"Fri 27 Nov {term.atm_iv:.1%}"),
        (View.CONE, f"±{term.move:.2f} by Fri 27 Nov"),
    ):
        words = alt_text(volatility, term, view)
        assert fact in words
        assert f"30-day IV {volatility.iv30:.1%}" in words
        assert "a test, real time" in words
        assert len(words) <= 1024


def test_labels_keep_their_distance():
    places = apart([(100, 60), (130, 60), (200, 60), (20, 60), (390, 60)], 0, 400, gap=10)
    assert places == [0, 2]
    assert rounds(0.101, 0.243) == pytest.approx([0.125, 0.15, 0.175, 0.2, 0.225])
