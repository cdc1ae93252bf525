"""The picture of a gamma history: walls, flip and price over days, the newest session at the right, and net gamma."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from db.models import GammaPoint, Theme
from services import png
from services.canvas import Align, Canvas, Font, Weight
from services.chart_frame import round_prices, spread
from services.clock import NEW_YORK, new_york_day
from services.gamma_series import Series
from services.gamma_words import distance, money, strike
from services.history_words import day, provenance
from services.history_words import moment as moment_of
from services.palette import PALETTES, Palette

Points = list[tuple[float, float]]
Read = Callable[[GammaPoint], float | None]

_WIDEST_DAY = 90.0
_TODAY = 0.27  # of the plot's width
_PAUSE = 22.0  # between the days and the newest session
_FAR = 0.05  # levels farther than this from every price are left to arrows, unless prices moved as far


@dataclass(frozen=True)
class HistoryFrame:
    """Where things stand in the picture, in pixels."""

    series: Series
    left: float
    top: float
    right: float
    bottom: float

    @cached_property
    def day_width(self) -> float:
        """The width of one trading day."""
        room = (1 - _TODAY) * (self.right - self.left)
        return min(room / max(len(self.series.days), 1), _WIDEST_DAY)

    @cached_property
    def session_left(self) -> float:
        """Where the newest session begins."""
        days = len(self.series.days)
        return self.left + days * self.day_width + (_PAUSE if days else 0)

    @cached_property
    def window(self) -> tuple[float, float]:
        """Lowest and highest price shown: all prices, and the levels that are not far from them."""
        points = self.series.points
        low, high = min(point.spot for point in points), max(point.spot for point in points)
        far = max(2 * (high - low), _FAR * high)
        levels = [level for point in points for level in (point.flip, point.call_wall, point.put_wall)]
        near = [level for level in levels if level is not None and low - far <= level <= high + far]
        low, high = min([low, *near]), max([high, *near])
        margin = 0.06 * (high - low) or 0.01 * high
        return low - margin, high + margin

    def y(self, price: float) -> float:
        """Return the row of a price."""
        low, high = self.window
        return self.bottom - (price - low) / (high - low) * (self.bottom - self.top)

    def x(self, moment: datetime) -> float:
        """Return the column of a moment in the newest session."""
        series = self.series
        share = (moment - series.opens_at) / (series.closes_at - series.opens_at)
        return self.session_left + share * (self.right - self.session_left)

    def x_of_day(self, number: int) -> float:
        """Return the middle of a trading day, counted from 0."""
        return self.left + (number + 0.5) * self.day_width

    def holds(self, price: float | None) -> bool:
        """Tell whether a price lies in the plot."""
        return price is not None and self.window[0] <= price <= self.window[1]

    def lines(self, read: Read) -> list[Points]:
        """Return a level as lines through its points, each broken where a point is missing or has no such level."""
        return [[(x, self.y(price)) for x, _, price in run] for run in self._runs(read)]

    def steps(self, read: Read) -> list[Points]:
        """Return a level as `lines` does, but each value as long as it is the last that is known."""
        found: list[Points] = []
        for run in self._runs(read):
            steps: Points = []
            for x, half, price in run:
                y, end = self.y(price), min(x + half, self.right)
                if steps and steps[-1][1] == y:
                    steps[-1] = (end, y)
                else:
                    steps += [(x - half, y), (end, y)]
            found.append(steps)
        return found

    def _runs(self, read: Read) -> list[list[tuple[float, float, float]]]:
        """Runs of column, half the width that the value stands for, and value."""
        series = self.series
        days = [(self.x_of_day(n), self.day_width / 2, each.close) for n, each in enumerate(series.days)]
        half = (self.x(series.opens_at + series.every) - self.session_left) / 2
        session: list[tuple[float, float, GammaPoint | None]] = []
        for n, point in enumerate(series.today):
            if n in series.gaps:
                session.append((0.0, 0.0, None))
            session.append((self.x(point.slot), half, point))
        runs: list[list[tuple[float, float, float]]] = [[]]
        for x, width, each in (*days, (0.0, 0.0, None), *session):
            price = read(each) if each else None
            if price is not None and self.holds(price):
                runs[-1].append((x, width, price))
            elif runs[-1]:
                runs.append([])
        return [run for run in runs if run]


def history_png(series: Series, theme: Theme, size: tuple[int, int]) -> bytes:
    """Draw a series that has points as PNG of `size` (width × height in pixels)."""
    canvas = Canvas(*size, PALETTES[theme].background)
    draw_series(canvas, series, PALETTES[theme])
    return png.encode(canvas.pixels)


def draw_series(canvas: Canvas, series: Series, palette: Palette) -> HistoryFrame:
    """Draw a series that has points on `canvas` (at least 1200 × 800) and return where things stand."""
    labels = Font(28).width(f"{series.points[-1].spot:,.0f}")
    frame = HistoryFrame(series, 54 + max(labels, 64), 158, canvas.width - 284, canvas.height - 232)
    drawing = _Drawing(canvas, frame, palette)
    drawing.headline()
    drawing.grid()
    drawing.levels()
    drawing.net()
    drawing.dates()
    drawing.footer()
    return frame


class _Drawing:
    def __init__(self, canvas: Canvas, frame: HistoryFrame, palette: Palette) -> None:
        self.canvas, self.frame, self.palette = canvas, frame, palette
        self.series, self.last = frame.series, frame.series.points[-1]
        days = len(self.series.days)
        self.newest = frame.x(self.last.slot) if self.series.today else frame.x_of_day(days - 1)

    def headline(self) -> None:
        p, right, title = self.palette, self.canvas.width - 36, Font(60, Weight.BOLD)
        self.canvas.text(36, 87, self.series.symbol, title, p.text)
        left = 54 + title.width(self.series.symbol)
        self.canvas.text(left, 87, f"{self.last.spot:,.2f}", Font(42, Weight.SEMI_BOLD), p.muted)
        sign, colour = ("positive", p.positive) if self.last.net >= 0 else ("negative", p.negative)
        self.canvas.text(right, 87, money(self.last.net, signed=True), title, colour, Align.RIGHT)
        self.canvas.text(38, 132, f"Gamma levels over time · {moment_of(self.last)}", Font(27), p.muted)
        self.canvas.text(right, 132, f"{sign} gamma · net per 1% move", Font(27), p.muted, Align.RIGHT)

    def grid(self) -> None:
        f, p = self.frame, self.palette
        self.canvas.box(f.session_left, f.top, f.right, self.canvas.height - 120, p.band)
        for price in round_prices(*f.window):
            y = f.y(price)
            if f.top + 4 < y < f.bottom - 4:
                self.canvas.box(f.left, y - 0.75, f.right, y + 0.75, p.grid)
                self.canvas.text(f.left - 16, y + 10, strike(price), Font(28), p.muted, Align.RIGHT)

    def levels(self) -> None:
        p, last = self.palette, self.last
        self.stroke(self.frame.steps(lambda point: point.call_wall), 4, p.positive)
        self.stroke(self.frame.steps(lambda point: point.put_wall), 4, p.negative)
        self.stroke(self.frame.lines(lambda point: point.flip), 4, p.flip)
        self.stroke(self.frame.lines(lambda point: point.spot), 4.5, p.spot)
        spot = f"{last.spot:,.2f}" if last.spot < 10_000 else f"{last.spot:,.1f}"
        tags = [_Tag("SPOT", last.spot, spot, "", p.spot, p.paper)]
        walls = (("CALL WALL", last.call_wall, p.positive), ("PUT WALL", last.put_wall, p.negative))
        tags += [
            _Tag(name, price, strike(price), distance(price, last.spot), colour, p.ink)
            for name, price, colour in (*walls, ("GAMMA FLIP", last.flip and round(last.flip, 1), p.flip))
            if price is not None
        ]
        self.tags(sorted(tags, key=lambda tag: -tag.price))

    def stroke(self, lines: Sequence[Points], width: float, colour: str) -> None:
        for line in lines:
            # a point alone is a line that begins where it ends
            whole = line if len(line) > 1 else [(line[0][0] - 0.1, line[0][1]), (line[0][0] + 0.1, line[0][1])]
            self.canvas.polyline(whole, width if len(line) > 1 else 2 * width, colour)

    def tags(self, tags: Sequence["_Tag"]) -> None:
        f, height, gap = self.frame, 72, 8
        end = self.canvas.height - 120
        tops = spread([self.level_row(tag) - height / 2 for tag in tags], height + gap, f.top, end - height)
        for tag, top in zip(tags, tops, strict=True):
            self.tag(tag, round(top), height)
        if self.last.flip is None:
            self.canvas.text(f.right + 34, end, "no flip", Font(22, Weight.SEMI_BOLD), self.palette.flip)

    def tag(self, tag: "_Tag", top: int, height: int) -> None:
        f, c, note = self.frame, self.canvas, Font(21)
        left, width = round(f.right + 34), 226
        arrow = "" if f.holds(tag.price) else " ↑" if tag.price > f.window[1] else " ↓"
        if not arrow:
            y = f.y(tag.price)
            c.dashes(self.newest, f.right, y, 2, tag.colour, dash=2, gap=7)
            c.polyline([(f.right, y), (f.right + 16, top + height / 2), (left, top + height / 2)], 2.5, tag.colour)
        c.rounded_box(left, top, width, height, 8, tag.colour)
        c.text(left + 14, top + 25, tag.name + arrow, Font(21, Weight.SEMI_BOLD), tag.ink)
        room = 188 - note.width(tag.note)
        sizes = [Font(size, Weight.BOLD) for size in (35, 32, 29, 26, 23, 21)]
        figure = next((font for font in sizes if font.width(tag.figure) <= room), sizes[-1])
        c.text(left + 14, top + 61, tag.figure, figure, tag.ink)
        c.text(left + width - 14, top + 61, tag.note, note, tag.ink, Align.RIGHT)

    def level_row(self, tag: "_Tag") -> float:
        return min(max(self.frame.y(tag.price), self.frame.top), self.frame.bottom)

    def net(self) -> None:
        """Draw net gamma of each point as a bar around one zero line."""
        f, p = self.frame, self.palette
        top, bottom = f.bottom + 30, self.canvas.height - 126
        nets = [point.net for point in self.series.points]
        most, least = max(*nets, 0.0, 0.0), min(*nets, 0.0, 0.0)
        zero = top + (bottom - top) * (most / ((most - least) or 1.0))
        scale = (bottom - top) / ((most - least) or 1.0)
        half = max((f.x(self.series.opens_at + self.series.every) - f.session_left) / 2 - 0.5, 1)
        days = [(f.x_of_day(n), max(0.38 * f.day_width, 1.0), each.close) for n, each in enumerate(self.series.days)]
        for x, width, point in [*days, *((f.x(each.slot), half, each) for each in self.series.today)]:
            if point:
                y = zero - point.net * scale
                colour = p.positive if y < zero else p.negative
                self.canvas.box(x - width, min(y, zero), min(x + width, f.right), max(y, zero), colour)
        self.canvas.box(f.left, zero - 1, f.right, zero + 1, p.muted, 0.6)
        self.canvas.text(f.left - 16, zero + 9, "0", Font(24), p.muted, Align.RIGHT)
        self.canvas.text(f.left, f.bottom + 24, "Net gamma", Font(22, Weight.SEMI_BOLD), p.muted)

    def dates(self) -> None:
        f, p, y, font = self.frame, self.palette, self.canvas.height - 90, Font(24)
        bold, name = Font(24, Weight.SEMI_BOLD), day(new_york_day(self.series.opens_at))
        hours = (moment.astimezone(NEW_YORK) for moment in (self.series.opens_at, self.series.closes_at))
        whole = f"{name} · {' – '.join(f'{hour:%H:%M}' for hour in hours)} ET"
        session = whole if bold.width(whole) < f.right - f.session_left else name
        middle = (f.session_left + f.right) / 2
        self.canvas.text(middle, y, session, bold, p.text, Align.CENTRE)
        free = middle - bold.width(session) / 2 - 20
        for number in range(len(self.series.days) - 1, -1, -1):
            words, x = day(self.series.days[number].date), f.x_of_day(number)
            half = font.width(words) / 2
            if x + half <= free and x - half >= f.left - 30:
                self.canvas.text(x, y, words, font, p.muted, Align.CENTRE)
                free = x - half - 28

    def footer(self) -> None:
        parts = provenance(self.series)
        rows = [" · ".join(parts[:-2]), " · ".join(parts[-2:])]
        for row, y in zip(rows, (self.canvas.height - 50, self.canvas.height - 22), strict=True):
            self.canvas.text(38, y, row[:1].upper() + row[1:], Font(21), self.palette.muted)


@dataclass(frozen=True)
class _Tag:
    name: str
    price: float
    figure: str
    note: str
    colour: str
    ink: str
