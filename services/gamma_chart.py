"""The gamma picture: exposure by strike with the levels that matter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.models import Theme
from services import png
from services.canvas import Align, Canvas, Font, Weight, wrapped
from services.chart_frame import Floats, Frame, round_number, round_prices, spread
from services.gamma import Gamma
from services.gamma_words import distance, expiries, moment, money, net_at, per, provenance, strike
from services.palette import PALETTES, Palette


@dataclass(frozen=True)
class Level:
    """A price with a line and a tag; `ink` is the colour of the tag's text, `note` stands beside the figure."""

    name: str
    price: float
    figure: str
    colour: str
    ink: str
    note: str = ""


def gamma_png(gamma: Gamma, theme: Theme, size: tuple[int, int]) -> bytes:
    """Draw the gamma picture as PNG of `size` (width × height in pixels); text and margins scale with it."""
    canvas = Canvas(*size, PALETTES[theme].background)
    draw_gamma(canvas, gamma, PALETTES[theme])
    return png.encode(canvas.pixels)


def draw_gamma(canvas: Canvas, gamma: Gamma, palette: Palette) -> Frame:
    """Draw the gamma picture on `canvas` and return where things stand."""
    unit = min(canvas.width / 1080, canvas.height / 800)
    note, labels = Font(round(21 * unit)), Font(round(28 * unit))
    lines = wrapped(provenance(gamma), note, canvas.width - 76 * unit)
    left = 54 * unit + max(labels.width(f"{gamma.spot:,.0f}"), 64 * unit)
    bottom = canvas.height - (73 + 28 * len(lines)) * unit
    frame = Frame(gamma, unit, left, 158 * unit, canvas.width - 284 * unit, bottom)
    drawing = _Drawing(canvas, frame, palette)
    drawing.headline()
    drawing.grid(labels)
    drawing.bars()
    drawing.curve()
    drawing.levels()
    drawing.axis()
    for number, line in enumerate(reversed(lines)):
        canvas.text(38 * unit, canvas.height - (22 + 28 * number) * unit, line, note, palette.muted)
    return frame


class _Drawing:
    def __init__(self, canvas: Canvas, frame: Frame, palette: Palette) -> None:
        self.canvas, self.frame, self.palette = canvas, frame, palette
        self.gamma, self.unit = frame.gamma, frame.unit

    def font(self, size: float, weight: Weight = Weight.MEDIUM) -> Font:
        return Font(round(size * self.unit), weight)

    def headline(self) -> None:
        g, p, u = self.gamma, self.palette, self.unit
        right = self.canvas.width - 36 * u
        title, price = self.font(60, Weight.BOLD), self.font(42, Weight.SEMI_BOLD)
        self.canvas.text(36 * u, 87 * u, g.symbol, title, p.text)
        self.canvas.text(54 * u + title.width(g.symbol), 87 * u, f"{g.spot:,.2f}", price, p.muted)
        sign, colour = ("positive", p.positive) if g.total >= 0 else ("negative", p.negative)
        self.canvas.text(right, 87 * u, money(g.total, signed=True), title, colour, Align.RIGHT)
        bars = self.frame.bars
        what = f"Gamma per {strike(bars.step)} pts" if bars.binned else "Gamma by strike"
        line, words = f"{what} · {moment(g)} · {expiries(g)}", f"{sign} gamma · net {per(g)}"
        sizes = [self.font(size) for size in (27, 26, 25, 24, 23, 22, 21)]
        room = right - 74 * u
        font = next((font for font in sizes if font.width(line) + font.width(words) <= room), sizes[-1])
        self.canvas.text(38 * u, 132 * u, line, font, p.muted)
        self.canvas.text(right, 132 * u, words, font, p.muted, Align.RIGHT)

    def grid(self, labels: Font) -> None:
        f, p, u = self.frame, self.palette, self.unit
        if self.gamma.expected_move:
            self.canvas.box(f.left, f.band[0], f.right, f.band[1], p.band)
        for price in round_prices(*f.window):
            y = f.y(price)
            if f.holds(y, 4 * u):
                self.canvas.box(f.left, y - 0.75 * u, f.right, y + 0.75 * u, p.grid)
                self.canvas.text(f.left - 16 * u, y + 10 * u, strike(price), labels, p.muted, Align.RIGHT)

    def bars(self) -> None:
        f, p, zero = self.frame, self.palette, self.frame.x(0)
        rows = f.y(f.bars.strikes)
        top, bottom = np.maximum(rows - f.half_bar, f.top), np.minimum(rows + f.half_bar, f.bottom)
        puts, calls, nets = f.x(f.bars.puts), f.x(f.bars.calls), f.x(f.bars.calls + f.bars.puts)
        self.canvas.box(zero, top, np.minimum(calls, f.right), bottom, p.positive, 0.28)
        self.canvas.box(np.maximum(puts, f.left), top, zero, bottom, p.negative, 0.28)
        self.canvas.box(zero, top, nets, bottom, p.positive)
        self.canvas.box(nets, top, zero, bottom, p.negative)
        self.cut(f.left + 6 * self.unit, top[puts < f.left], bottom[puts < f.left])
        self.cut(f.right - 15 * self.unit, top[calls > f.right], bottom[calls > f.right])
        self.canvas.box(zero - 1, f.top, zero + 1, f.bottom, p.muted, 0.6)

    def cut(self, x: float, top: Floats, bottom: Floats) -> None:
        for slit in (x, x + 6 * self.unit):
            self.canvas.box(slit, top, slit + 3 * self.unit, bottom, self.palette.background)

    def curve(self) -> None:
        if len(self.frame.curve):
            self.canvas.polyline(self.frame.curve, 3.5 * self.unit, self.palette.profile)

    def levels(self) -> None:
        g, p = self.gamma, self.palette
        spot = f"{g.spot:,.2f}" if g.spot < 10_000 else f"{g.spot:,.1f}"
        levels = [Level("SPOT", g.spot, spot, p.spot, p.paper)]
        if g.flip is not None:
            flip = f"{g.flip:,.2f}" if g.flip < 1000 else f"{g.flip:,.1f}"
            levels.append(Level("GAMMA FLIP", g.flip, flip, p.flip, p.ink, distance(g.flip, g.spot)))
        for name, wall, colour in (("CALL WALL", g.call_wall, p.positive), ("PUT WALL", g.put_wall, p.negative)):
            if wall is not None:
                levels.append(Level(name, wall, strike(wall), colour, p.ink, money(net_at(g, wall))))
        levels.sort(key=lambda level: -level.price)
        shown = [level for level in levels if self.frame.window[0] <= level.price <= self.frame.window[1]]
        for level in shown:
            self.line(level)
        if g.expected_move:
            self.expected_move(g.expected_move, shown)
        self.tags(levels)

    def line(self, level: Level) -> None:
        f, u = self.frame, self.unit
        y, width, dash = f.y(level.price), 2.5 * u, round(12 * u)
        if level.name == "SPOT":
            self.canvas.box(f.left, y - width / 2, f.right, y + width / 2, level.colour)
        else:
            # Walls on one strike alternate their dashes.
            phase = dash if level.name == "PUT WALL" else 0
            self.canvas.dashes(f.left, f.right, y, width, level.colour, dash=dash, gap=dash, phase=phase)

    def expected_move(self, move: float, levels: Sequence[Level]) -> None:
        f, u, font = self.frame, self.unit, self.font(22, Weight.SEMI_BOLD)
        words = f"exp. move ±{move:,.2f}" if move < 1000 else f"exp. move ±{move:,.0f}"
        width = font.width(words) + 12 * u
        top, bottom = f.band
        rows = [y for y in (bottom - 18 * u, top + 18 * u, bottom + 18 * u, top - 18 * u) if f.holds(y, 14 * u)]
        places = [(x, y) for y in rows for x in (f.left + 4 * u, f.right - 4 * u - width)]
        lines = [f.y(level.price) for level in levels]
        x, y = min(places, key=lambda place: f.clutter(place[0], place[1], width, 15 * u, lines))
        self.canvas.box(x, y - 13 * u, x + width, y + 13 * u, self.palette.band, 0.8)
        self.canvas.text(x + 6 * u, y + 8 * u, words, font, self.palette.profile)

    def tags(self, levels: Sequence[Level]) -> None:
        f, u, note = self.frame, self.unit, self.font(21)
        height, gap = round(72 * u), round(8 * u)
        free = f.bottom if self.gamma.flip is not None else f.bottom - 40 * u
        tops = spread([f.y(level.price) - height / 2 for level in levels], height + gap, f.top, free - height)
        sizes = [self.font(size, Weight.BOLD) for size in (35, 32, 29, 26, 23, 21)]
        rooms = [(level.figure, 188 * u - note.width(level.note)) for level in levels]
        figures = next((font for font in sizes if all(font.width(words) <= room for words, room in rooms)), sizes[-1])
        for level, top in zip(levels, tops, strict=True):
            self.tag(level, round(top), height, figures)
        if self.gamma.flip is None:
            words = self.font(22, Weight.SEMI_BOLD)
            self.canvas.text(f.right + 34 * u, f.bottom - 4 * u, "no flip", words, self.palette.flip)

    def tag(self, level: Level, top: int, height: int, figures: Font) -> None:
        f, u, c = self.frame, self.unit, self.canvas
        left, width = round(f.right + 34 * u), round(226 * u)
        arrow = " ↓" if level.price < f.window[0] else " ↑" if level.price > f.window[1] else ""
        if not arrow:
            y, middle = f.y(level.price), top + height / 2
            c.polyline([(f.right, y), (f.right + 16 * u, middle), (left, middle)], 2.5 * u, level.colour)
        c.rounded_box(left, top, width, height, round(8 * u), level.colour)
        c.text(left + 14 * u, top + 25 * u, level.name + arrow, self.font(21, Weight.SEMI_BOLD), level.ink)
        c.text(left + 14 * u, top + 61 * u, level.figure, figures, level.ink)
        c.text(left + width - 14 * u, top + 61 * u, level.note, self.font(21), level.ink, Align.RIGHT)

    def axis(self) -> None:
        f, u, p = self.frame, self.unit, self.palette
        ends, font, y, zero = self.font(23, Weight.BOLD), self.font(24), f.bottom + 34 * u, f.x(0)
        self.canvas.text(f.left + 8 * u, y, "PUTS", ends, p.negative)
        self.canvas.text(f.right - 8 * u, y, "CALLS", ends, p.positive, Align.RIGHT)
        self.canvas.text(f.right + 34 * u, y, "— GEX vs. price", self.font(22, Weight.SEMI_BOLD), p.profile)
        self.canvas.text(zero, y, "0", font, p.muted, Align.CENTRE)
        first, last = f.left + 24 * u + ends.width("PUTS"), f.right - 24 * u - ends.width("CALLS")
        tick = round_number(0.5 * max(last - zero, zero - first) / f.scale[1], down=True)
        for dollars in (-tick, tick):
            words, x = money(dollars, signed=True, short=True), f.x(dollars)
            half = font.width(words) / 2
            if first <= x - half and x + half <= last and abs(x - zero) > half + 18 * u:
                self.canvas.text(x, y, words, font, p.muted, Align.CENTRE)
