"""The price chart: candles, volume, averages and the levels that matter."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from db.models import Theme
from services import png
from services.bars import Floats, Ints
from services.canvas import Align, Canvas, Font, Weight, wrapped
from services.chart_frame import round_number, round_prices, spread
from services.palette import PALETTES, Palette
from services.price_frame import PriceFrame, Tick, separators, span_of_prices, ticks
from services.price_series import OptionLevels, PriceSeries
from services.price_words import dollars, figure, hours, moment, provenance, share, vwap_now
from services.ranges import INTERVAL_WORDS, RANGE_WORDS

WIDTH, HEIGHT = 1200, 800
_MARGIN = 36
_TAG, _TAG_GAP = 36, 3
_NOTE = Font(21)
_AXIS = Font(25)
_FIGURES = Font(25, Weight.BOLD)
_NAMES = Font(21, Weight.SEMI_BOLD)


@dataclass(frozen=True)
class Mark:
    """A price with a line across the pane, a name at its left end and a tag on the axis."""

    name: str
    price: float
    colour: str
    ink: str
    dash: int


def price_png(series: PriceSeries, levels: OptionLevels, theme: Theme) -> bytes:
    """Draw the price chart as PNG."""
    canvas = Canvas(WIDTH, HEIGHT, PALETTES[theme].background)
    draw_prices(canvas, series, levels, PALETTES[theme])
    return png.encode(canvas.pixels)


def draw_prices(canvas: Canvas, series: PriceSeries, levels: OptionLevels, palette: Palette) -> PriceFrame:
    """Draw the price chart on `canvas` and return where things stand."""
    lines = wrapped(provenance(series, levels), _NOTE, WIDTH - 2 * _MARGIN)
    marked = [
        series.high,
        series.low,
        series.last,
        series.previous_close or 0,
        *(level.price for level in levels.prices),
    ]
    span = span_of_prices(series)
    axis = max(_FIGURES.width(words) for words in (*map(figure, marked), f"{series.high:,.{_places(span)}f}"))
    bottom = HEIGHT - 60 - 28 * len(lines)
    volume_top = bottom - 96 if series.has_volume else bottom
    frame = PriceFrame(
        series,
        levels.prices,
        left=_MARGIN,
        top=186,
        right=WIDTH - round(axis) - 44,
        bottom=volume_top - 14 if series.has_volume else bottom,
        volume_top=volume_top,
        volume_bottom=bottom,
    )
    drawing = _Drawing(canvas, frame, palette)
    drawing.headline()
    drawing.shades()
    drawing.grid()
    drawing.volume()
    marks = drawing.marks()
    drawing.lines(marks)
    drawing.candles()
    drawing.curves()
    drawing.extremes(drawing.names(marks))
    drawing.tags(marks)
    drawing.axis()
    for number, line in enumerate(reversed(lines)):
        canvas.text(_MARGIN, HEIGHT - 20 - 28 * number, line, _NOTE, palette.muted)
    return frame


class _Drawing:
    def __init__(self, canvas: Canvas, frame: PriceFrame, palette: Palette) -> None:
        self.canvas, self.frame, self.palette = canvas, frame, palette
        self.series, self.shown = frame.series, frame.series.candles
        self.colour = palette.positive if self.series.change >= 0 else palette.negative

    def headline(self) -> None:
        s, p, c = self.series, self.palette, self.canvas
        title, price, right = Font(60, Weight.BOLD), Font(46, Weight.SEMI_BOLD), WIDTH - _MARGIN
        c.text(_MARGIN, 84, s.symbol, title, p.text)
        c.text(_MARGIN + 20 + title.width(s.symbol), 84, figure(s.last), price, p.text)
        c.text(right, 84, share(s), title, self.colour, Align.RIGHT)
        self.subtitle(right)
        x = float(_MARGIN)
        for words, colour in self.legend():
            c.text(x, 163, words, Font(23, Weight.SEMI_BOLD), colour)
            x += Font(23, Weight.SEMI_BOLD).width(words) + 26

    def subtitle(self, right: int) -> None:
        s = self.series
        what = f"{RANGE_WORDS[s.reach]} · {INTERVAL_WORDS[s.interval]} candles · {moment(s.last_at, s.delay)}{hours(s)}"
        extremes = f"{dollars(s)} · H {figure(s.high)} · L {figure(s.low)}"
        fonts = [Font(size) for size in range(26, 20, -1)]
        room = right - _MARGIN - 30
        font = next((font for font in fonts if font.width(what) + font.width(extremes) <= room), fonts[-1])
        self.canvas.text(_MARGIN, 126, what, font, self.palette.muted)
        self.canvas.text(right, 126, extremes, font, self.palette.muted, Align.RIGHT)

    def legend(self) -> list[tuple[str, str]]:
        s, p = self.series, self.palette
        curves = zip(s.averages, p.averages, strict=False)
        named = [(f"{average.name} {figure(float(average.values[-1]))}", colour) for average, colour in curves]
        if s.vwap is not None:
            now = vwap_now(s)
            named.append(("VWAP" if now is None else f"VWAP {figure(now)}", p.vwap))
        return named

    def shades(self) -> None:
        f = self.frame
        outside = np.append(~self.shown.regular, False)
        edges = np.flatnonzero(np.diff(outside, prepend=False)).reshape(-1, 2)
        for first, after in edges.tolist():
            end = f.right if after == len(self.shown) else f.before(after)
            self.canvas.box(f.before(first), f.top, end, f.volume_bottom, self.palette.band)

    def grid(self) -> None:
        f, p = self.frame, self.palette
        for price in round_prices(*f.window):
            y = f.y(price)
            self.canvas.box(f.left, y - 0.75, f.right, y + 0.75, p.grid)
        for place in separators(self.series).tolist():
            x = f.before(place)
            self.canvas.box(x - 1, f.top, x + 1, f.volume_bottom, p.grid)
        self.canvas.box(f.left, f.volume_bottom, f.right, f.volume_bottom + 2, p.grid)

    def volume(self) -> None:
        f = self.frame
        if self.series.has_volume:
            self.paint(f.columns, f.body, f.volume_rows(), np.full(len(self.shown), f.volume_bottom), 0.5)

    def candles(self) -> None:
        f, candles = self.frame, self.shown
        tops, bottoms = np.maximum(candles.open, candles.close), np.minimum(candles.open, candles.close)
        wicks = f.columns + (f.body - f.wick) // 2
        self.paint(wicks, f.wick, f.rows(candles.high), f.rows(candles.low) + 1)
        self.paint(f.columns, f.body, f.rows(tops), f.rows(bottoms) + 1)

    def paint(self, left: Ints, width: int, top: Ints, bottom: Ints, opacity: float = 1.0) -> None:
        rises = self.shown.close >= self.shown.open
        for which, colour in ((rises, self.palette.positive), (~rises, self.palette.negative)):
            self.canvas.box(left[which], top[which], left[which] + width, bottom[which], colour, opacity)

    def curves(self) -> None:
        width = 2.5 if self.frame.pitch >= 5 else 2
        for average, colour in zip(self.series.averages, self.palette.averages, strict=False):
            self.curve(average.values, width, colour)
        if self.series.vwap is not None:
            # It begins anew with each session.
            for day in np.unique(self.shown.day):
                self.curve(np.where(self.shown.day == day, self.series.vwap, np.nan), width + 0.5, self.palette.vwap)

    def curve(self, values: Floats, width: float, colour: str) -> None:
        f = self.frame
        points = np.column_stack((f.columns + f.body / 2, f.y(values)))
        inside = (values >= f.window[0]) & (values <= f.window[1])
        for part in np.split(points, np.flatnonzero(np.diff(inside)) + 1):
            if len(part) > 1 and f.top <= part[0, 1] <= f.bottom:
                self.canvas.polyline(part, width, colour)

    def marks(self) -> list[Mark]:
        s, p = self.series, self.palette
        marks = [Mark("", s.last, p.spot, p.paper, 3)]
        if s.interval.intraday and s.previous_close:
            marks.append(Mark("Prev close", s.previous_close, p.muted, p.paper, 6))
        colours = {"Call wall": p.positive, "Put wall": p.negative, "Flip": p.flip}
        marks += [Mark(level.name, level.price, colours[level.name], p.ink, 12) for level in self.frame.levels]
        return sorted(marks, key=lambda mark: -mark.price)

    def lines(self, marks: Sequence[Mark]) -> None:
        f = self.frame
        for mark in marks:
            if f.holds(mark.price):
                y = int(f.y(mark.price)) + 0.5
                self.canvas.dashes(
                    f.left, f.right, y, 2 if mark.name else 1.5, mark.colour, dash=mark.dash, gap=mark.dash
                )

    def names(self, marks: Sequence[Mark]) -> list[tuple[float, float]]:
        """Name the marks at the left, and return the right end and the middle of each name's box."""
        f = self.frame
        named = [mark for mark in marks if mark.name]
        tops = spread([f.y(mark.price) - 15 for mark in named], 32, f.top, f.bottom - 30)
        taken: list[tuple[float, float]] = []
        for mark, top in zip(named, tops, strict=True):
            arrow = " ↓" if mark.price < f.window[0] else " ↑" if mark.price > f.window[1] else ""
            words = f"{mark.name} {figure(mark.price)}{arrow}" if arrow else mark.name
            width = round(_NAMES.width(words)) + 16
            self.canvas.rounded_box(f.left, round(top), width, 30, 6, mark.colour)
            self.canvas.text(f.left + 8, round(top) + 23, words, _NAMES, mark.ink)
            taken.append((f.left + width, top + 15))
        return taken

    def extremes(self, taken: Sequence[tuple[float, float]]) -> None:
        f, s = self.frame, self.series
        high, low = int(self.shown.high.argmax()), int(self.shown.low.argmin())
        for place, words, y in ((high, figure(s.high), f.y(s.high) - 9), (low, figure(s.low), f.y(s.low) + 25)):
            half = _NAMES.width(words) / 2
            free = max((end for end, middle in taken if abs(middle - y + 8) < 28), default=f.left)
            x = min(max(f.middle(place), free + half + 6), f.right - half - 6)
            self.canvas.text(x, y, words, _NAMES, self.palette.text, Align.CENTRE)

    def tags(self, marks: Sequence[Mark]) -> None:
        f, p = self.frame, self.palette
        shown = [mark for mark in marks if f.holds(mark.price)]
        tops = spread(
            [f.y(mark.price) - _TAG / 2 for mark in shown], _TAG + _TAG_GAP, f.top - _TAG / 2, f.bottom - _TAG / 2
        )
        for mark, top in zip(shown, tops, strict=True):
            self.canvas.rounded_box(f.right + 4, round(top), WIDTH - f.right - 12, _TAG, 6, mark.colour)
            self.canvas.text(f.right + 16, round(top) + 27, figure(mark.price), _FIGURES, mark.ink)
        for price in round_prices(*f.window):
            y = f.y(price)
            if all(top + _TAG + 10 < y or y < top - 10 for top in tops):
                self.canvas.text(
                    f.right + 16, y + 9, f"{price:,.{_places(f.window[1] - f.window[0])}f}", _AXIS, p.muted
                )

    def axis(self) -> None:
        f, p = self.frame, self.palette
        for tick in next((row for row in ticks(self.series) if self.fits(row)), []):
            font = Font(24, Weight.BOLD) if tick.strong else Font(24)
            x = self.clear(tick)
            colour = p.text if tick.strong else p.muted
            self.canvas.text(x, f.volume_bottom + 31, tick.words, font, colour, Align.CENTRE)

    def fits(self, row: Sequence[Tick]) -> bool:
        widths = [Font(24, Weight.BOLD).width(tick.words) / 2 + 12 for tick in row]
        ends = [(self.clear(tick) - width, self.clear(tick) + width) for tick, width in zip(row, widths, strict=True)]
        return all(end <= start for (_, end), (start, _) in pairwise(ends))

    def clear(self, tick: Tick) -> float:
        """Return the middle of a label that neither end of the axis cuts."""
        half = Font(24, Weight.BOLD).width(tick.words) / 2
        return min(max(self.frame.middle(tick.place), self.frame.left + half), self.frame.right - half)


def _places(span: float) -> int:
    """Return the decimals that tell the round prices within a span apart."""
    step = round_number(span / 10)
    return 0 if step >= 1 else next((places for places in (2, 3, 4, 5) if round(step, places) == step), 6)
