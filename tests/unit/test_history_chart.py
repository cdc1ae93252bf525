"""Where things stand in the history picture, and what is said of it."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from babel import Locale
from history import CALENDAR, EVERY, point, series

from bot import embeds, history_cards
from db.models import Theme
from services.canvas import Canvas
from services.gamma_series import Day
from services.history_chart import draw_series, history_png
from services.history_words import alt_text, provenance
from services.palette import PALETTES

OPENS, CLOSES = CALENDAR.sessions[3]
DARK = PALETTES[Theme.DARK]
ENGLISH = Locale("en", "US")


def week(*, missing=1, **today):
    """Wednesday to Friday, one of them without a close, and Monday's first three points."""
    days = [
        Day(
            closes.date(),
            None if n == missing else point(closes, closing=True, spot=5950.0 + 20 * n, net=(n - 1) * 1e9),
        )
        for n, (_, closes) in enumerate(CALENDAR.sessions[:3])
    ]
    slots = [OPENS + EVERY * n for n in (1, 2, 3)]
    return series(days=days, today=[point(slot, **today) for slot in slots])


def drawn(found):
    canvas = Canvas(1200, 800, DARK.background)
    return canvas, draw_series(canvas, found, DARK)


def colour_at(canvas, x, y):
    return "#" + bytes(canvas.pixels[round(y), round(x), :3]).hex().upper()


def near(colour, wanted):
    pair = (np.frombuffer(bytes.fromhex(text[1:]), np.uint8).astype(int) for text in (colour, wanted))
    return np.abs(np.subtract(*pair)).max() < 40


def test_walls_flip_and_price_stand_at_their_prices():
    canvas, frame = drawn(week())
    wednesday = frame.x_of_day(0)
    for price, colour in ((6100.0, DARK.positive), (5900.0, DARK.negative)):
        assert near(colour_at(canvas, wednesday, frame.y(price)), colour)
    third = frame.x(OPENS + 3 * EVERY)
    assert near(colour_at(canvas, third - 2, frame.y(5990.5)), DARK.flip)
    assert near(colour_at(canvas, third - 2, frame.y(6000.0)), DARK.spot)
    low, high = frame.window
    assert low < 5900
    assert high > 6100
    assert frame.top < frame.y(6100.0) < frame.y(6000.0) < frame.y(5900.0) < frame.bottom


def test_days_stand_side_by_side_and_the_session_at_the_right():
    _, frame = drawn(week())
    assert frame.x_of_day(1) - frame.x_of_day(0) == frame.day_width
    assert frame.x_of_day(2) + frame.day_width / 2 < frame.session_left
    assert frame.x(OPENS) == frame.session_left
    assert frame.x(CLOSES) == frame.right
    assert frame.x(OPENS + (CLOSES - OPENS) / 2) == pytest.approx((frame.session_left + frame.right) / 2)


def test_a_missing_day_or_point_breaks_every_line():
    found = week()
    _, frame = drawn(found)
    wednesday, friday, session = frame.lines(lambda each: each.spot)
    assert [x for x, _ in wednesday] == [frame.x_of_day(0)]
    assert [x for x, _ in friday] == [frame.x_of_day(2)]
    assert [x for x, _ in session] == [frame.x(each.slot) for each in found.today]
    late = series(today=[found.today[0], point(OPENS + 9 * EVERY)])
    _, frame = drawn(late)
    assert [len(line) for line in frame.lines(lambda each: each.spot)] == [1, 1]
    assert [len(line) for line in drawn(week(missing=-1))[1].lines(lambda each: each.spot)] == [3, 3]


def test_steps_hold_a_wall_for_the_whole_day():
    days = [
        Day(closes.date(), point(closes, closing=True, call_wall=wall))
        for wall, (_, closes) in zip((6050.0, 6050.0, 6100.0), CALENDAR.sessions[:3], strict=True)
    ]
    _, frame = drawn(series(days=days))
    [steps] = frame.steps(lambda each: each.call_wall)
    edges = [frame.left + frame.day_width * n for n in (0, 2, 2, 3)]
    assert [x for x, _ in steps] == pytest.approx(edges)
    assert [y for _, y in steps] == [frame.y(price) for price in (6050.0, 6050.0, 6100.0, 6100.0)]


def test_the_last_step_of_a_session_ends_with_it():
    _, frame = drawn(series(today=[point(CLOSES - EVERY), point(CLOSES, closing=True)]))
    [steps] = frame.steps(lambda each: each.call_wall)
    assert steps[-1][0] == frame.right


def test_levels_far_from_every_price_are_left_to_an_arrow():
    _, frame = drawn(week(call_wall=9000.0))
    assert frame.window[1] < 9000
    assert not frame.holds(9000.0)
    assert len(frame.lines(lambda each: each.call_wall)) == 2, "the days' walls only"


def test_net_gamma_is_green_above_and_red_below_the_zero_line():
    canvas, frame = drawn(week(missing=-1))
    column = [colour_at(canvas, frame.x_of_day(n) + 8, y) for n in (0, 2) for y in range(round(frame.bottom) + 30, 674)]
    half = len(column) // 2
    assert DARK.negative in column[:half]
    assert DARK.positive not in column[:half]
    assert DARK.positive in column[half:]


@pytest.mark.parametrize("theme", list(Theme))
@pytest.mark.parametrize(
    "found",
    [
        week(),
        week(flip=None, call_wall=None, put_wall=None),
        series(today=[point(OPENS + EVERY)]),
        series(days=[Day(CALENDAR.sessions[2][1].date(), point(CALENDAR.sessions[2][1], closing=True))]),
        series(today=[point(OPENS + EVERY, spot=0.4, flip=None, call_wall=0.5, put_wall=0.5, net=0.0)]),
        series(today=[point(OPENS + EVERY, spot=123456.78, net=-1e13)]),
    ],
)
def test_every_series_with_points_can_be_drawn(found, theme):
    assert history_png(found, theme, (1200, 800)).startswith(b"\x89PNG")


def test_the_picture_says_the_same_in_words():
    words = alt_text(week())
    assert words.startswith("Gamma history of SPX, 18 Nov to 23 Nov 09:30 ET. Spot from 5,950.00 to 6,000.00.")
    assert "Call wall 6,100. Gamma flip 5,990.5. Put wall 5,900." in words
    assert "Net +$1.00B per 1% move: positive gamma." in words
    assert len(alt_text(week(flip=None))) < 1024
    assert "No gamma flip." in alt_text(week(flip=None))
    assert provenance(week())[:3] == [
        "closes of 2 of 3 trading days",
        "3 points on 23 Nov",
        "where lines break, nothing was stored",
    ]
    assert "where lines break, nothing was stored" not in provenance(week(missing=-1))


def test_the_first_line_carries_the_levels_and_the_card_tells_how_they_moved():
    headline, embed = history_cards.history(week(call_wall=6150.0), ENGLISH)
    assert headline == "**SPX** call wall **6,150** · gamma flip **5,990.50** · put wall **5,900**"
    told = {field.name: field.value for field in embed.fields}
    first, next_at = int(CALENDAR.sessions[0][1].timestamp()), int((OPENS + EVERY).timestamp())
    assert told["Call wall"] == f"**6,150**\n-# 6,100 on <t:{first}:d>"
    assert told["Put wall"] == f"**5,900**\n-# as on <t:{first}:d>"
    assert f"closes of 2 of 3 trading days before · 3 points of <t:{int(OPENS.timestamp())}:d>" in told["Stored"]
    assert f"next <t:{next_at}:t> (<t:{next_at}:R>)" in told["Stored"]
    assert "Alpaca indicative, delayed 15 min" in told["As of"]
    assert "25.00% of gross expires that day" in (embed.description or "")
    assert embed.colour == embeds.GREEN
    assert history_cards.history(week(net=-1.0), ENGLISH)[1].colour == embeds.RED


def test_numbers_follow_the_locale():
    headline, _ = history_cards.history(week(), Locale("de"))
    assert "call wall **6.100** · gamma flip **5.990,50**" in headline


def test_a_series_without_points_says_how_it_begins():
    headline, embed = history_cards.history(replace(series(), since=None), ENGLISH)
    assert headline == "📭 **SPX** has no gamma history yet"
    assert "every 5 minutes while the market is open" in (embed.description or "")


def test_a_range_without_points_does_not_deny_what_is_stored_before_it():
    days = [Day(date(2026, 11, 20), None)]
    headline, embed = history_cards.history(series(days=days), ENGLISH)
    assert headline == "📭 **SPX** has no points in this range"
    first = int(CALENDAR.sessions[0][1].timestamp())
    assert f"Since <t:{first}:D> · closes of 0 of 1 trading day before" in (embed.description or "")
