"""The price chart: each candle on its rows, levels on theirs, and nothing that collides or leaves the picture."""

import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from db.models import Theme
from services.canvas import Align, Canvas
from services.charts import price_picture
from services.clock import NEW_YORK, load_calendar
from services.feeds.base import Bar, Bars
from services.palette import PALETTES
from services.price_chart import HEIGHT, WIDTH, draw_prices
from services.price_frame import ticks
from services.price_series import OptionLevels, PriceLevel, series_of
from services.ranges import INTERVALS, Interval, Range, span_of

CALENDAR = load_calendar(date(2026, 11, 22), 500)
NONE = OptionLevels((), "no gamma levels: no options at our sources")
DARK = PALETTES[Theme.DARK]


class Witness(Canvas):
    """A canvas that remembers where text and tags were put, and leaves text out if told to."""

    def __init__(self, theme=Theme.DARK, *, mute=False):
        super().__init__(WIDTH, HEIGHT, PALETTES[theme].background)
        self.texts, self.tags, self.lines, self.mute = [], [], [], mute

    def text(self, x, y, words, font, colour, align=Align.LEFT):
        if not self.mute:
            super().text(x, y, words, font, colour, align)
        left = x - {Align.LEFT: 0, Align.CENTRE: 0.5, Align.RIGHT: 1}[align] * font.width(words)
        self.texts.append((words, font, (left, y - 0.73 * font.size, left + font.width(words), y + 0.2 * font.size)))

    def rounded_box(self, left, top, width, height, radius, colour):
        super().rounded_box(left, top, width, height, radius, colour)
        self.tags.append((left, top, left + width, top + height))

    def polyline(self, points, width, colour):
        super().polyline(points, width, colour)
        self.lines.append((points, colour))

    @property
    def words(self):
        return [words for words, _, _ in self.texts]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def walk(
    reach=Range.DAY,
    interval=Interval.FIVE_MINUTES,
    now="2026-11-20T18:00",
    *,
    seed=1,
    spot=760.0,
    sigma=0.001,
    volume=1e6,
    keep=1.0,
):
    """A chart of random candles."""
    rng, span = np.random.default_rng(seed), span_of(reach, interval, CALENDAR, at(now))
    starts = []
    for opens, closes in CALENDAR.sessions:
        if span.length == timedelta(days=1):
            starts.append(opens.astimezone(NEW_YORK).replace(hour=0, minute=0).astimezone(UTC))
        else:
            begin, end = opens - timedelta(hours=5.5), closes + timedelta(hours=4)
            starts += [begin + step * span.length for step in range((end - begin) // span.length)]
    starts = [start for start in starts if span.start <= start <= span.end]
    starts = [start for start in starts[:-1] if rng.random() < keep] + starts[-1:]
    found, price = [], spot
    for start in starts:
        path = price * np.exp(sigma * np.cumsum(rng.standard_normal(5)))
        four = [Decimal(f"{max(value, 0.0001):.4f}") for value in (path[0], path.max(), path.min(), path[-1])]
        found.append(Bar(start, *four, volume=int(volume * rng.random())))
        price = path[-1]
    answer = Bars("SPY", tuple(found), "Alpaca IEX", timedelta(0), at(now))
    return series_of(answer, reach, interval, span, CALENDAR)


def plain(series):
    """The same with nothing but candles and volume."""
    return replace(series, averages=(), vwap=None, previous_close=None)


def drawn(series, levels=NONE, theme=Theme.DARK, *, mute=False):
    canvas = Witness(theme, mute=mute)
    return canvas, draw_prices(canvas, series, levels, PALETTES[theme])


def levels_of(series, *offsets):
    names = ("Call wall", "Put wall", "Flip")
    prices = tuple(
        PriceLevel(name, series.last * (1 + offset))
        for name, offset in zip(names, offsets, strict=True)
        if offset is not None
    )
    return OptionLevels(prices, "gamma levels of 20 Nov 11:25 ET, Alpaca indicative, delayed 15 min")


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def collide(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("theme", Theme)
@pytest.mark.parametrize(
    ("reach", "interval"),
    [(Range.DAY, Interval.QUARTER_HOUR), (Range.QUARTER, Interval.DAY), (Range.YEAR, Interval.WEEK)],
)
def test_each_candle_covers_exactly_the_rows_of_its_prices(theme, reach, interval):
    series, palette = plain(walk(reach, interval)), PALETTES[theme]
    canvas, frame = drawn(series, theme=theme, mute=True)
    low, high = frame.window
    candles = series.candles
    for place in range(len(candles)):
        opened, top, bottom, close = (
            int(frame.bottom - (getattr(candles, name)[place] - low) / (high - low) * (frame.bottom - frame.top))
            for name in ("open", "high", "low", "close")
        )
        rises = candles.close[place] >= candles.open[place]
        colour = rgb(palette.positive if rises else palette.negative)
        wick = int(frame.columns[place]) + frame.body // 2
        edge = int(frame.columns[place])
        painted = (canvas.pixels[frame.top : frame.bottom, :, :3] == colour).all(axis=2)
        assert (np.flatnonzero(painted[:, wick]) + frame.top).tolist() == list(range(top, bottom + 1))
        body = np.flatnonzero(painted[:, edge]) + frame.top
        assert body.tolist() == list(range(min(opened, close), max(opened, close) + 1))
        assert painted[opened - frame.top, edge : edge + frame.body].all()


def test_candles_stand_in_order_side_by_side_the_newest_at_the_right():
    for count_of in (
        (Range.DAY, Interval.FIVE_MINUTES),
        (Range.YEAR, Interval.DAY),
        (Range.FIVE_DAYS, Interval.FIVE_MINUTES),
    ):
        frame = drawn(walk(*count_of))[1]
        steps = np.diff(frame.columns)
        assert steps.min() >= frame.body
        assert frame.columns[0] >= frame.left - 1
        assert frame.right - 20 < frame.columns[-1] + frame.body <= frame.right


def test_volume_is_as_high_as_its_share_of_the_most():
    series = plain(walk())
    canvas, frame = drawn(series, mute=True)
    volume = series.candles.volume
    room = frame.volume_bottom - frame.volume_top
    for place in (int(volume.argmax()), 0, len(volume) // 2):
        column = canvas.pixels[frame.volume_top - 3 : frame.volume_bottom, int(frame.columns[place]) + 1, :3]
        behind = {rgb(DARK.background), rgb(DARK.band), rgb(DARK.grid)}
        height = sum(tuple(pixel) not in behind for pixel in column.tolist())
        assert height == pytest.approx(volume[place] / volume.max() * room, abs=1)


def test_an_index_gives_the_room_of_volume_to_its_prices():
    with_volume, without = (drawn(walk(volume=volume))[1] for volume in (1e6, 0))
    assert without.volume_top == without.volume_bottom
    assert without.bottom > with_volume.bottom + 70


def test_averages_and_vwap_go_through_their_values():
    series = walk(Range.FIVE_DAYS, Interval.QUARTER_HOUR)
    canvas, frame = drawn(series)
    for average, colour in zip(series.averages, DARK.averages, strict=False):
        points = np.concatenate([points for points, painted in canvas.lines if painted == colour])
        middle = frame.columns + frame.body / 2
        for x, y in points[::7]:
            value = average.values[int(np.argmin(np.abs(middle - x)))]
            assert y == pytest.approx(frame.y(float(value)), abs=1e-6)
    sessions = [points for points, colour in canvas.lines if colour == DARK.vwap]
    assert len(sessions) == 5


def test_extended_hours_are_shaded_and_only_they():
    series = walk()
    canvas, frame = drawn(series, mute=True)
    row = canvas.pixels[frame.volume_top - 7, :, :3]
    for place in range(2, len(series.candles) - 2):
        around = series.candles.regular[place - 1 : place + 2]
        if around.all() or not around.any():
            wanted = DARK.background if around.all() else DARK.band
            assert tuple(row[int(frame.middle(place))]) == rgb(wanted), place


def test_days_are_separated_where_they_begin():
    series = walk(Range.FIVE_DAYS, Interval.QUARTER_HOUR, "2026-11-20T15:00")
    canvas, frame = drawn(series, mute=True)
    row = canvas.pixels[frame.volume_top - 7, frame.left : frame.right, :3]
    lines = np.flatnonzero((row == rgb(DARK.grid)).all(axis=1)) + frame.left
    begins = [frame.before(place) for place in np.flatnonzero(np.diff(series.candles.day)) + 1]
    assert sorted({round(line / 4) for line in lines}) == sorted({round(begin / 4) for begin in begins})


@pytest.mark.parametrize("theme", Theme)
def test_each_level_has_its_line_on_its_row_and_its_tag_on_the_axis(theme):
    series, palette = walk(), PALETTES[theme]
    span = series.high - series.low
    wall, floor, flip = series.high + span / 4, series.low - span / 4, series.low + span / 2
    prices = (PriceLevel("Call wall", wall), PriceLevel("Put wall", floor), PriceLevel("Flip", flip))
    canvas, frame = drawn(plain(series), OptionLevels(prices, "gamma levels"), theme)
    for price, colour in (
        (wall, palette.positive),
        (floor, palette.negative),
        (flip, palette.flip),
        (series.last, palette.spot),
    ):
        row = canvas.pixels[int(frame.y(price)), frame.left + 150 : frame.right, :3]
        assert (row == rgb(colour)).all(axis=1).mean() > 0.25, colour
        assert f"{price:,.2f}" in canvas.words
    tag = next(box for words, _, box in canvas.texts if words == f"{wall:,.2f}")
    assert tag[0] > frame.right
    assert tag[1] < frame.y(wall) < tag[3]


def test_a_level_far_away_is_named_with_an_arrow_and_does_not_squeeze_the_candles():
    series = plain(walk())
    far = levels_of(series, 0.3, -0.3, None)
    canvas, frame = drawn(series, far)
    assert {f"Call wall {far.prices[0].price:,.2f} ↑", f"Put wall {far.prices[1].price:,.2f} ↓"} <= set(canvas.words)
    bare = drawn(series, replace(far, prices=()))[1].window
    assert frame.window == bare
    span = series.high - series.low
    for reach, widens in ((0.35, True), (0.45, False)):
        level = OptionLevels((PriceLevel("Call wall", series.high + reach * span),), far.words)
        assert (drawn(series, level)[1].window != bare) is widens


def test_high_low_and_previous_close_are_marked():
    series = walk()
    canvas, frame = drawn(series)
    assert "Prev close" in canvas.words
    for price, side in ((series.high, -1), (series.low, 1)):
        box = next(text[2] for text in canvas.texts if text[0] == f"{price:,.2f}" and text[2][0] < frame.right)
        assert side * ((box[1] + box[3]) / 2 - frame.y(price)) > 0


def assert_tidy(canvas):
    for words, font, (left, top, right, bottom) in canvas.texts:
        assert font.size >= 21, words
        assert left >= 0, words
        assert top >= 0, words
        assert right <= WIDTH, words
        assert bottom <= HEIGHT, words
    for (one, _, a), (other, _, b) in combinations(canvas.texts, 2):
        assert not collide(a, b), (one, other)
    for a, b in combinations(canvas.tags, 2):
        assert not collide(a, b)


@given(
    pair=st.sampled_from([(reach, interval) for reach, intervals in INTERVALS.items() for interval in intervals]),
    now=st.sampled_from(
        ["2026-11-20T09:31", "2026-11-20T11:42", "2026-11-23T07:00", "2025-11-28T14:00", "2026-03-09T12:00"]
    ),
    offsets=st.tuples(*[st.none() | st.floats(-0.1, 0.1) | st.sampled_from([0.0, 0.001, -0.001])] * 3),
    spot=st.sampled_from([0.42, 3.1, 24.5, 760.0, 7650.0, 119_716.8]),
    sigma=st.sampled_from([0.0, 1e-6, 0.0005, 0.02]),
    keep=st.sampled_from([1.0, 0.3, 0.01]),
    seed=st.integers(0, 999),
)
@settings(max_examples=40, deadline=None)
def test_nothing_overlaps_or_leaves_the_picture(pair, now, offsets, spot, sigma, keep, seed):
    series = walk(*pair, now, seed=seed, spot=spot, sigma=sigma, keep=keep)
    canvas, frame = drawn(series, levels_of(series, *offsets))
    assert_tidy(canvas)
    rows = frame.y(np.array([series.high, series.low]))
    assert frame.top <= rows.min()
    assert rows.max() <= frame.bottom


@pytest.mark.parametrize(
    ("reach", "interval", "densest"),
    [
        (Range.DAY, Interval.FIVE_MINUTES, ["04:30", "05:00"]),
        (Range.FIVE_DAYS, Interval.QUARTER_HOUR, ["Mon 16", "Tue 17"]),
        (Range.QUARTER, Interval.DAY, ["24 Aug", "31 Aug", "8 Sep"]),
        (Range.YEAR, Interval.DAY, ["Dec", "2026", "Feb"]),
    ],
)
def test_the_axis_names_hours_days_weeks_or_months(reach, interval, densest):
    rows = ticks(walk(reach, interval))
    assert [tick.words for tick in rows[0]][: len(densest)] == densest
    assert len(rows[-1]) == 1
    for row in rows:
        assert all(a.place < b.place for a, b in pairwise(row))


def test_the_picture_states_what_it_rests_on():
    said = " ".join(drawn(walk(), NONE)[0].words)
    for fact in (
        "SPY",
        "1 day · 5 min candles · 20 Nov 18:00 ET · after hours",
        "Alpaca IEX, real time",
        "no gamma levels",
        "EMA 9",
    ):
        assert fact in said


def test_a_recording_names_its_year():
    said = drawn(replace(walk(), delay=None))[0].words
    assert "1 day · 5 min candles · 20 Nov 2026 18:00 ET · after hours" in said
    assert any("Alpaca IEX, recording" in words for words in said)


def test_a_split_that_the_source_has_not_adjusted_is_drawn_as_it_is_told():
    series = walk(Range.QUARTER, Interval.DAY)
    half = len(series.candles) // 2
    four = {name: getattr(series.candles, name).copy() for name in ("open", "high", "low", "close")}
    for column in four.values():
        column[half:] /= 20
    split = replace(series, candles=replace(series.candles, **four))
    canvas, frame = drawn(split)
    assert_tidy(canvas)
    assert frame.rows(split.candles.close)[half - 1] < frame.rows(split.candles.close)[half]


def test_the_png_holds_what_was_drawn():
    series = walk()
    canvas, _ = drawn(series)
    picture = Image.open(io.BytesIO(price_picture(series, NONE, Theme.DARK)))
    assert (np.asarray(picture) == canvas.pixels[..., :3]).all()
