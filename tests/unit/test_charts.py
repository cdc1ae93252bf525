"""The gamma picture: where things stand, that nothing collides, and that the PNG holds what was drawn."""

import io
import string
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.ft2font import FT2Font
from PIL import Image

from db.models import Theme
from services.canvas import Align, Canvas, Font, Weight
from services.chart_frame import Frame, round_number, round_prices, spread
from services.charts import LANDSCAPE, PORTRAIT, gamma_picture
from services.feeds import cboe_files
from services.gamma import Expiry, Gamma, Lens, Mode, analyze
from services.gamma_chart import draw_gamma
from services.gamma_exposure import ByExpiry
from services.gamma_words import alt_text, expiries, money, strike
from services.lens import PLAIN
from services.palette import PALETTES
from services.png import encode

FONTS = Path(__file__).parents[2] / "services" / "fonts"
SIZES = (LANDSCAPE, PORTRAIT)
RECORDINGS = ("spx_20221212.csv", "rut_20221212.csv", "rut_20230920.json", "spy_20250516.csv")


def chain_like(spot=589.25, step=1.0, count=121, **changes):
    at = np.round(spot / step) * step + step * np.arange(-(count // 2), count // 2 + 1)
    shape = np.exp(-(((at - spot) / (12 * step)) ** 2)) * 1e8
    wave = 1 + np.sin(np.arange(len(at)))
    calls, puts = shape * wave * (1 + (at > spot)), -shape * (2 - wave) * (1 + (at < spot))
    prices = np.linspace(0.8 * spot, 1.2 * spot, 121)
    flip = spot * 0.995
    known = Gamma(
        symbol="SPY",
        spot=spot,
        as_of=datetime(2025, 5, 16, 23, 23, tzinfo=UTC),
        source="Cboe file",
        delay=None,
        open_interest_date=date(2025, 5, 15),
        lens=PLAIN,
        expiries=(date(2025, 5, 19), date(2025, 5, 20)),
        listed=(),
        total=float((calls + puts).sum()),
        gross=float((calls - puts).sum()),
        zero_dte=0.25,
        by_expiry=(ByExpiry(date(2025, 5, 19), 1e8, 4e9), ByExpiry(date(2025, 5, 20), 1e8, 4e9)),
        flip=flip,
        call_wall=float(at[(calls + puts).argmax()]),
        put_wall=float(at[(calls + puts).argmin()]),
        max_call_gamma=None,
        max_put_gamma=None,
        abs_gamma=float(at[(calls - puts).argmax()]),
        call_oi_wall=None,
        put_oi_wall=None,
        max_pain=float(at[count // 2]),
        expected_move=0.01 * spot,
        vanna=None,
        charm=None,
        contracts=3160,
        coverage=0.987,
        iv_sources=(
            (0.951, "vendor"),
            (0.036, "solved from mid prices"),
            (0.01, "bounded by offers"),
            (0.003, "between neighbouring strikes"),
        ),
        strikes=at,
        call_gex=calls,
        put_gex=puts,
        profile_prices=prices,
        profile=1e10 * np.tanh((prices - flip) / (0.05 * spot)),
    )
    return replace(known, **changes)


class Witness(Canvas):
    """A canvas that remembers where text and tags were put."""

    def __init__(self, size, background="#000000"):
        super().__init__(*size, background)
        self.texts, self.tags, self.lines = [], [], []

    def text(self, x, y, words, font, colour, align=Align.LEFT):
        super().text(x, y, words, font, colour, align)
        if words:
            left = x - {Align.LEFT: 0, Align.CENTRE: 0.5, Align.RIGHT: 1}[align] * font.width(words)
            box = (left, y - 0.73 * font.size, left + font.width(words), y + 0.2 * font.size)
            self.texts.append((words, font, box))

    def rounded_box(self, left, top, width, height, radius, colour):
        super().rounded_box(left, top, width, height, radius, colour)
        self.tags.append((left, top, left + width, top + height))

    def polyline(self, points, width, colour):
        super().polyline(points, width, colour)
        self.lines.append(points)

    @property
    def words(self):
        return [words for words, _, _ in self.texts]


def drawn(gamma, size=LANDSCAPE, theme=Theme.DARK):
    canvas = Witness(size, PALETTES[theme].background)
    return canvas, draw_gamma(canvas, gamma, PALETTES[theme])


def collide(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def assert_tidy(canvas):
    for words, font, (left, top, right, bottom) in canvas.texts:
        assert font.size >= 21, words
        assert left >= 0, words
        assert top >= 0, words
        assert right <= canvas.width, words
        assert bottom <= canvas.height, words
    for (one, _, a), (other, _, b) in combinations(canvas.texts, 2):
        assert not collide(a, b), (one, other)
    for a, b in combinations(canvas.tags, 2):
        assert not collide(a, b)
    for tag in canvas.tags:
        inside = [words for words, _, box in canvas.texts if collide(tag, box)]
        assert 2 <= len(inside) <= 3, inside


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", Theme)
def test_each_level_has_its_line_on_its_row(size, theme):
    gamma, palette = chain_like(), PALETTES[theme]
    canvas, frame = drawn(gamma, size, theme)
    for price, colour in (
        (gamma.spot, palette.spot),
        (gamma.flip, palette.flip),
        (gamma.call_wall, palette.positive),
        (gamma.put_wall, palette.negative),
    ):
        row = canvas.pixels[int(frame.y(price)), :, :3]
        on_line = (row[round(frame.left) : round(frame.right)] == rgb(colour)).all(axis=1)
        assert on_line.mean() > 0.4, price


def test_rows_are_linear_in_price_and_spot_is_in_the_middle():
    _, frame = drawn(chain_like())
    low, high = frame.window
    assert frame.y(low) == pytest.approx(frame.bottom)
    assert frame.y(high) == pytest.approx(frame.top)
    assert frame.y(frame.gamma.spot) == pytest.approx((frame.top + frame.bottom) / 2)


def test_the_window_shows_walls_flip_and_expected_move():
    gamma = chain_like(call_wall=610.0, put_wall=560.0, flip=575.0)
    low, high = drawn(gamma)[1].window
    assert low < gamma.put_wall
    assert gamma.call_wall < high
    assert low < gamma.spot - gamma.expected_move


def test_bars_are_as_long_as_their_exposure_and_end_on_its_column():
    gamma = chain_like()
    canvas, frame = drawn(gamma)
    at = int(np.argmin(np.abs(frame.bars.strikes - gamma.call_wall)))
    net = frame.bars.calls[at] + frame.bars.puts[at]
    row = canvas.pixels[int(frame.y(gamma.call_wall) + frame.half_bar - 2), :, :3]
    solid = np.flatnonzero(
        (row[round(frame.x(0)) + 2 : round(frame.right)] == rgb(PALETTES[Theme.DARK].positive)).all(axis=1)
    )
    assert solid[-1] + round(frame.x(0)) + 3 == pytest.approx(frame.x(net), abs=2)


@given(spot_to_flip=st.floats(-0.025, 0.025))
@settings(max_examples=30, deadline=None)
def test_the_profile_crosses_zero_at_the_flip(spot_to_flip):
    gamma = chain_like()
    flip = gamma.spot * (1 + spot_to_flip)
    gamma = replace(gamma, flip=flip, profile=1e10 * np.tanh((gamma.profile_prices - flip) / 20))
    frame = drawn(gamma)[1]
    columns, rows = frame.curve.T
    assert np.interp(-frame.y(flip), -rows, columns) == pytest.approx(frame.x(0), abs=1.0)
    assert columns.min() >= frame.left
    assert columns.max() <= frame.right


@pytest.mark.parametrize("size", SIZES)
@given(
    offsets=st.tuples(*[st.one_of(st.none(), st.floats(-0.3, 0.3), st.sampled_from([0.0, 0.001, -0.001]))] * 3),
    move=st.one_of(st.none(), st.floats(0.0005, 0.2)),
    quoted=st.sampled_from([(2.31, 0.5), (41.5, 1), (589.25, 1), (3990.56, 5), (21_345.67, 25), (119_716.8, 500)]),
)
@settings(max_examples=40, deadline=None)
def test_nothing_overlaps_or_leaves_the_canvas(size, offsets, move, quoted):
    spot, step = quoted
    call_wall, put_wall, flip = (None if offset is None else spot * (1 + offset) for offset in offsets)
    gamma = chain_like(
        spot,
        step,
        call_wall=call_wall and max(round(call_wall / step), 1) * step,
        put_wall=put_wall and max(round(put_wall / step), 1) * step,
        flip=flip,
        expected_move=move and move * spot,
    )
    canvas, frame = drawn(gamma, size)
    assert_tidy(canvas)
    assert len(canvas.tags) == 1 + sum(level is not None for level in (call_wall, put_wall, flip))
    assert all(frame.top - 1 <= top and bottom <= frame.bottom + 1 for _, top, _, bottom in canvas.tags)


def test_walls_on_one_strike_both_show():
    gamma = chain_like(call_wall=595.0, put_wall=595.0)
    canvas, frame = drawn(gamma)
    row = canvas.pixels[int(frame.y(595.0)), :, :3]
    for colour in (PALETTES[Theme.DARK].positive, PALETTES[Theme.DARK].negative):
        assert (row == rgb(colour)).all(axis=1).sum() > 200


def test_a_wall_beyond_the_window_is_pinned_with_an_arrow_and_has_no_line():
    inside, _ = drawn(chain_like())
    canvas, frame = drawn(chain_like(call_wall=800.0, put_wall=400.0))
    assert {"CALL WALL ↑", "PUT WALL ↓"} <= set(canvas.words)
    assert len(canvas.lines) == len(inside.lines) - 2
    assert min(top for _, top, _, _ in canvas.tags) == pytest.approx(frame.top, abs=1)
    assert max(bottom for *_, bottom in canvas.tags) == pytest.approx(frame.bottom, abs=1)


def test_without_a_flip_the_words_say_so():
    canvas, _ = drawn(chain_like(flip=None))
    assert "no flip" in canvas.words
    assert "GAMMA FLIP" not in canvas.words


def test_strikes_too_close_to_draw_share_bars_and_the_headline_tells():
    gamma = chain_like(step=0.25, count=601, call_wall=610.0, put_wall=560.0)
    canvas, frame = drawn(gamma)
    low, high = frame.window
    inside = (gamma.strikes > low) & (gamma.strikes < high)
    assert frame.bars.binned
    assert frame.bars.step * (frame.bottom - frame.top) / (high - low) >= 4
    assert frame.bars.calls.sum() == pytest.approx(gamma.call_gex[inside].sum())
    assert frame.bars.puts.sum() == pytest.approx(gamma.put_gex[inside].sum())
    assert any(f"Gamma per {strike(frame.bars.step)} pts" in words for words in canvas.words)


def test_calls_and_puts_that_cancel_do_not_dwarf_the_net():
    gamma = chain_like()
    calls, puts = gamma.call_gex.copy(), gamma.put_gex.copy()
    calls[60], puts[60] = 5e10, -5e10
    frame = drawn(replace(gamma, call_gex=calls, put_gex=puts))[1]
    net = np.abs(frame.bars.calls + frame.bars.puts).max()
    assert net * frame.scale[1] > 100


def test_the_picture_states_what_it_rests_on():
    canvas, _ = drawn(chain_like())
    said = " ".join(canvas.words)
    for fact in (
        "Dealers long calls, short puts",
        "open interest of 15 May 2025",
        "98.7% of it with IV",
        "95.1% vendor",
        "Cboe file, recording",
        "16 May 19:23 ET",
        "2 expiries",
        "net per 1% move",
        "— GEX vs. price",
    ):
        assert fact in said


@pytest.mark.parametrize(
    ("expiry", "words"),
    [
        (Expiry.ZERO_DTE, "16 May 19:23 ET · next expiry 19 May"),
        (Expiry.WEEK, "this week · expiry 19 May"),
        (Expiry.OPEX, "OPEX · expiry 19 May"),
        (date(2025, 5, 19), "expiry 19 May"),
    ],
)
def test_a_filter_is_named(expiry, words):
    canvas, _ = drawn(chain_like(lens=Lens(expiry), expiries=(date(2025, 5, 19),)))
    assert any(line.endswith(words) for line in canvas.words)


@pytest.mark.parametrize(
    ("expiry", "as_of", "words"),
    [
        (Expiry.ZERO_DTE, "2025-05-19T03:59Z", "next expiry 19 May"),  # 23:59 New York on the day before
        (Expiry.ZERO_DTE, "2025-05-19T04:00Z", "0DTE · expiry 19 May"),
        (Expiry.WEEK, "2025-05-16T19:59Z", "nearest expiry 19 May"),
        (Expiry.WEEK, "2025-05-16T20:00Z", "this week · expiry 19 May"),
    ],
)
def test_an_expiry_of_another_day_or_week_is_not_called_by_the_filter(expiry, as_of, words):
    gamma = chain_like(lens=Lens(expiry), expiries=(date(2025, 5, 19),), as_of=datetime.fromisoformat(as_of))
    assert expiries(gamma) == words
    assert f", {words}. Spot" in alt_text(gamma)


@pytest.mark.parametrize(
    ("delay", "words"),
    [(None, "recording"), (timedelta(minutes=15), "delayed 15 min"), (timedelta(0), "real time")],
)
def test_the_picture_tells_how_late_its_source_is(delay, words):
    gamma = chain_like(delay=delay, source="Alpaca indicative")
    assert any(line.endswith(f"Alpaca indicative, {words}") for line in drawn(gamma)[0].words)
    assert f"Alpaca indicative, {words}." in alt_text(gamma)


def test_a_reference_mode_is_named():
    assert "Perfiliev's definitions" in " ".join(drawn(chain_like(lens=Lens(mode=Mode.PERFILIEV)))[0].words)


def test_volume_and_points_are_told_from_open_interest_and_percent():
    canvas, _ = drawn(chain_like(lens=Lens(by_volume=True, per_point=True), open_interest_date=None))
    words = " ".join(canvas.words)
    assert "gamma · net per point" in words
    assert "volume of the day, not open interest" in words
    assert "open interest undated" not in words
    told = alt_text(chain_like(lens=Lens(Expiry.NEAR, per_point=True)))
    assert "per point" in told
    assert "94 days · 2 expiries" in told


@pytest.mark.parametrize(
    "changes",
    [
        {
            "strikes": np.array([590.0]),
            "call_gex": np.zeros(1),
            "put_gex": np.zeros(1),
            "call_wall": None,
            "put_wall": None,
        },
        {"profile_prices": np.empty(0), "profile": np.empty(0), "flip": None},
        {"expected_move": None, "open_interest_date": None},
        {"total": -5.0, "put_gex": np.full(121, -1.0), "call_gex": np.zeros(121)},
    ],
)
def test_odd_chains_are_drawn(changes):
    assert_tidy(drawn(chain_like(**changes))[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("expiry", [Expiry.ALL, Expiry.ZERO_DTE, Expiry.WEEK])
@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_chains_are_tidy(shared_data, name, expiry, size):
    gamma = analyze(cboe_files.read(shared_data / "cboe" / name).chain, Lens(expiry=expiry))
    canvas, frame = drawn(gamma, size)
    assert_tidy(canvas)
    low, high = frame.window
    assert all(low < level < high for level in (gamma.call_wall, gamma.put_wall, gamma.flip) if level)


@pytest.mark.parametrize("size", [(600, 400), (1200, 800), (2400, 1600), (1080, 1350)])
def test_the_png_has_the_size_asked_for_and_the_pixels_drawn(size):
    gamma = chain_like()
    canvas, _ = drawn(gamma, size)
    with Image.open(io.BytesIO(gamma_picture(gamma, size=size))) as picture:
        assert picture.size == size
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), canvas.pixels[..., :3])


@given(pixels=arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(3, 4))))
def test_png_is_lossless_and_drops_alpha(pixels):
    with Image.open(io.BytesIO(encode(pixels))) as picture:
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), pixels[..., :3])


def test_a_box_covers_part_of_the_rows_at_its_edges_and_whole_columns():
    canvas = Canvas(4, 4, "#000000")
    canvas.box(0.9, 0.5, 3.2, 2.25, "#FFFFFF")
    assert canvas.pixels[:, 1, 0] == pytest.approx([128, 255, 64, 0], abs=1)
    assert canvas.pixels[1, :, 0].tolist() == [0, 255, 255, 0]


def test_boxes_can_be_drawn_at_once_and_none_where_edges_pass_each_other():
    canvas = Canvas(6, 4, "#000000")
    canvas.box(1, np.array([0.0, 2.0, 3.0]), np.array([3.0, 5.0, 0.0]), np.array([1.0, 3.0, 4.0]), "#FF0000", 0.5)
    canvas.box(0, np.empty(0), 4, np.empty(0), "#FFFFFF")
    assert canvas.pixels[..., 0] == pytest.approx(
        np.array([[0, 128, 128, 0, 0, 0], [0] * 6, [0, 128, 128, 128, 128, 0], [0] * 6]), abs=1
    )
    assert (canvas.pixels[..., 3] == 255).all()


def test_a_rounded_box_fills_its_edges_but_not_its_corners():
    canvas = Canvas(40, 30, "#000000")
    canvas.rounded_box(5, 5, 30, 20, 8, "#FFFFFF")
    filled = canvas.pixels[..., 0]
    assert (filled[5:25, 13:27] == 255).all()
    assert (filled[13:17, 5:35] == 255).all()
    assert filled[5, 5] == filled[24, 34] == 0
    assert filled[[4, 25]].max() == filled[:, [4, 35]].max() == 0


def test_dashes_alternate_and_can_be_shifted():
    canvas = Canvas(12, 4, "#000000")
    canvas.dashes(0, 12, 1, 2, "#FFFFFF", dash=3, gap=3)
    canvas.dashes(0, 12, 3, 2, "#FFFFFF", dash=3, gap=3, phase=3)
    assert canvas.pixels[0, :, 0].tolist() == ([255] * 3 + [0] * 3) * 2
    assert canvas.pixels[3, :, 0].tolist() == ([0] * 3 + [255] * 3) * 2


@pytest.mark.parametrize("align", Align)
def test_text_stands_on_its_baseline_where_it_is_aligned(align):
    canvas, font = Canvas(300, 100, "#000000"), Font(40)
    canvas.text(150, 60, "HE HE", font, "#FFFFFF", align)
    rows, columns = np.nonzero(canvas.pixels[..., 0] > 127)
    back = {Align.LEFT: 0, Align.CENTRE: 0.5, Align.RIGHT: 1}[align] * font.width("HE HE")
    assert rows.max() == 59
    assert columns.min() == pytest.approx(150 - back, abs=5)
    assert columns.max() == pytest.approx(150 - back + font.width("HE HE"), abs=5)
    assert canvas.pixels.max(axis=(0, 1)).tolist() == [255] * 4


def test_text_is_kerned_and_its_width_grows_with_its_size():
    font = Font(21)
    assert font.width("To AV") < sum(font.width(letter) for letter in "To AV") - 1
    assert Font(63).width("To AV") == pytest.approx(3 * font.width("To AV"))


def test_shapes_beyond_the_edge_are_clipped():
    canvas = Canvas(10, 10, "#000000")
    canvas.box(-5, -5, 50, 2, "#FFFFFF")
    canvas.polyline(np.array([(-20.0, 8.0), (30.0, 8.0)]), 2, "#FFFFFF")
    canvas.text(-6, 6, "long words", Font(21), "#000000")
    canvas.text(4, -40, "above", Font(21), "#FFFFFF")
    canvas.dashes(-4, 40, 9.9, 2, "#000000", dash=3, gap=3)
    canvas.rounded_box(-3, 9, 40, 10, 2, "#000000")
    assert canvas.pixels[0].max() == 255


def test_a_polyline_does_not_ink_its_joints_twice():
    canvas = Canvas(20, 20, "#000000")
    canvas.polyline(np.column_stack((np.linspace(2, 18, 9), np.full(9, 10.25))), 2, "#FFFFFF")
    assert len(np.unique(canvas.pixels[8:13, 6:14, 0], axis=1).T) == 1


@given(
    wishes=st.lists(st.floats(-1000, 2000), min_size=1, max_size=4).map(sorted),
    pitch=st.floats(10, 80),
)
def test_spread_keeps_order_distance_and_bounds(wishes, pitch):
    tops = spread(wishes, pitch, 100.0, 500.0)
    assert all(after - before >= pitch - 1e-6 for before, after in pairwise(tops))
    assert tops[0] >= 100 - 1e-6
    assert tops[-1] <= 500 + 1e-6
    if all(after - before >= pitch for before, after in pairwise(wishes)) and 100 <= wishes[0] <= wishes[-1] <= 500:
        assert tops == pytest.approx(wishes)


@given(near=st.floats(1e-6, 1e15))
def test_round_numbers_enclose(near):
    low, high = round_number(near, down=True), round_number(near)
    assert low <= near * (1 + 1e-9)
    assert high >= near * (1 - 1e-9)
    assert high <= low * 2.5 * (1 + 1e-9)


def test_price_labels_stay_inside_the_window():
    labels = round_prices(575.3, 603.2)
    assert labels.tolist() == [580.0, 585.0, 590.0, 595.0, 600.0]


@pytest.mark.parametrize(
    ("dollars", "words"),
    [
        (6.176e9, "$6.18B"),
        (-620e6, "−$620M"),
        (999.96e6, "$1.00B"),
        (1.2e13, "$12.0T"),
        (950.0, "$950"),
        (68_000.0, "$68.0K"),
        (0.0, "$0.00"),
    ],
)
def test_money(dollars, words):
    assert money(dollars) == words


def test_signed_and_short_money():
    assert money(6.1e9, signed=True) == "+$6.10B"
    assert money(1e9, signed=True, short=True) == "+$1B"
    assert money(-2.5e9, signed=True, short=True) == "−$2.5B"


def test_strikes_carry_no_needless_zeros():
    assert [strike(price) for price in (4100.0, 2.5, 587.25)] == ["4,100", "2.5", "587.25"]


def test_alt_text_tells_the_same_facts():
    gamma = chain_like(flip=583.86, call_wall=595.0, put_wall=580.0, total=2.22e9, gross=9e9)
    said = alt_text(gamma)
    for fact in (
        "SPY",
        "16 May 2025 at 19:23 ET",
        "589.25",
        "+$2.22B",
        "positive gamma",
        "$9.00B",
        "595",
        "580",
        "583.86",
        "−0.9%",
        "±5.89",
    ):
        assert fact in said
    assert len(said) <= 1024


def test_alt_text_of_a_chain_without_levels():
    said = alt_text(chain_like(flip=None, call_wall=None, put_wall=None, expected_move=None, total=-1.0))
    assert "No flip." in said
    assert "negative gamma" in said
    assert "wall" not in said


def luminance(colour):
    channels = [c / 12.92 if (c := value / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for value in rgb(colour)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_colours_can_be_told_from_their_ground(palette):
    for text in (palette.text, palette.muted, palette.profile):
        assert contrast(text, palette.background) >= 4.5
    assert contrast(palette.profile, palette.band) >= 4.5
    for tag in (palette.positive, palette.negative, palette.flip):
        assert contrast(palette.ink, tag) >= 4.5
    for bar in (palette.positive, palette.negative, palette.flip, palette.spot):
        assert contrast(bar, palette.background) >= 2.5
    assert contrast(palette.paper, palette.spot) >= 4.5


@pytest.mark.parametrize("weight", Weight)
def test_every_sign_in_use_has_a_glyph(weight):
    face = FT2Font(FONTS / f"Inter-{weight}.otf")
    signs = string.digits + string.ascii_letters + "−×±·…%$—↑↓+,.’;:()é€"
    assert [sign for sign in signs if not face.get_char_index(ord(sign))] == []


def test_the_process_of_the_bot_does_without_matplotlib():
    program = "import sys, bot.views, services.wiring; print({'matplotlib', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_frame_can_be_used_alone():
    frame = Frame(chain_like(), 1.0, 100, 150, 900, 700)
    assert frame.left < frame.x(0) < frame.right
