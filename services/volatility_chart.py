"""The volatility pictures: skew, term structure, and the cone of expected moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.models import Theme
from services import png
from services.canvas import Align, Canvas, Font, Weight, wrapped
from services.chart_frame import round_prices, spread
from services.palette import PALETTES, Palette
from services.smile import Floats
from services.volatility import HORIZON_DAYS, Skew, Term, Volatility
from services.volatility_frame import Plane, across, apart, between, by_weight, rounds, strikes_shown, window
from services.volatility_words import (
    View,
    day,
    figure,
    left,
    moment,
    percent,
    points,
    provenance,
    short_day,
    strike,
    title,
)

WIDTH, HEIGHT = 1200, 800
_MARGIN = 36
_RIGHT = WIDTH - _MARGIN
_NOTE, _AXIS, _NAME = Font(21), Font(24), Font(21, Weight.SEMI_BOLD)
_TAG_WIDTH, _TAG_HEIGHT, _TAG_GAP = 226, 72, 10
_TAGS_TOP = 156
_BELOW_TAGS = _TAGS_TOP + _TAG_HEIGHT + 22
_LEAST_CONE_DAYS = 45.0


@dataclass(frozen=True)
class Tag:
    """A point of the picture that a box names."""

    name: str
    figure: str
    note: str
    at: tuple[float, float]
    colour: str
    ink: str


def volatility_png(volatility: Volatility, chosen: int, view: View, theme: Theme) -> bytes:
    """Draw a view of the volatility as PNG; `chosen` is the place of a term that has what the view shows."""
    canvas = Canvas(WIDTH, HEIGHT, PALETTES[theme].background)
    draw_volatility(canvas, volatility, chosen, view, PALETTES[theme])
    return png.encode(canvas.pixels)


def draw_volatility(canvas: Canvas, volatility: Volatility, chosen: int, view: View, palette: Palette) -> Plane:
    """Draw a view of the volatility on `canvas` and return where things stand."""
    lines = wrapped(provenance(volatility, view), _NOTE, WIDTH - 2 * _MARGIN)
    for number, line in enumerate(reversed(lines)):
        canvas.text(_MARGIN, HEIGHT - 20 - 28 * number, line, _NOTE, palette.muted)
    drawing = _Drawing(canvas, volatility, chosen, palette, HEIGHT - 66 - 28 * len(lines))
    match view:
        case View.SKEW:
            return drawing.skew()
        case View.TERM:
            return drawing.term_structure()
        case View.CONE:
            return drawing.cone()


class _Drawing:
    def __init__(self, canvas: Canvas, volatility: Volatility, chosen: int, palette: Palette, bottom: float) -> None:
        self.canvas, self.palette, self.bottom = canvas, palette, bottom
        self.volatility, self.place, self.chosen = volatility, chosen, volatility.terms[chosen]

    def skew(self) -> Plane:
        p, chosen, skew = self.palette, self.chosen, self.chosen.skew
        assert skew, "whoever draws a skew has one"
        self.reversal(skew)
        low, high = strikes_shown(chosen, skew)
        beside = [
            (term, colour) for step, colour in ((-1, p.averages[0]), (1, p.averages[2])) if (term := self.beside(step))
        ]
        curves = [
            (term, colour, between(term.skew, low, high))
            for term, colour in (*beside, (chosen, p.profile))
            if term.skew
        ]
        plane = self.plane((low, high), np.concatenate([rows[:, 1] for *_, rows in curves]), _BELOW_TAGS)
        self.rows(plane, [(iv, percent(iv)) for iv in rounds(*plane.up)])
        self.columns(plane, [(plane.x(price), strike(price)) for price in round_prices(low, high).tolist()])
        self.spot(plane)
        for term, colour, rows in curves:
            line = np.column_stack((plane.x(rows[:, 0]), plane.y(rows[:, 1])))
            self.canvas.polyline(line, 4.5 if term is chosen else 2.5, colour)
        self.legend(
            plane,
            [(day(term.expiration), colour) for term, colour, _ in sorted(curves, key=lambda curve: curve[0].days)],
        )
        self.tags_above(self.wings(plane, skew))
        return plane

    def reversal(self, skew: Skew) -> None:
        p, iv = self.palette, self.chosen.atm_iv
        if skew.risk_reversal is None:
            self.headline(View.SKEW, percent(iv) if iv else "—", "IV at the money", p.text)
        else:
            colour = p.positive if skew.risk_reversal >= 0 else p.negative
            self.headline(View.SKEW, points(skew.risk_reversal), "25-delta risk reversal, points", colour)

    def beside(self, step: int) -> Term | None:
        """Return the nearest term before or after the chosen one that has a skew, on another day."""
        terms = self.volatility.terms
        others = terms[self.place + 1 :] if step > 0 else terms[: self.place][::-1]
        return next((term for term in others if term.skew and term.expiration.day != self.chosen.expiration.day), None)

    def wings(self, plane: Plane, skew: Skew) -> list[Tag]:
        p, chosen = self.palette, self.chosen
        money = (chosen.forward, chosen.atm_iv) if chosen.atm_iv is not None else None
        named = (
            ("25-DELTA PUT", skew.put_wing, p.negative),
            ("AT THE MONEY", money, p.flip),
            ("25-DELTA CALL", skew.call_wing, p.positive),
        )
        return [
            Tag(name, percent(at[1]), strike(round(at[0], 1)), (plane.x(at[0]), plane.y(at[1])), colour, p.ink)
            for name, at, colour in named
            if at
        ]

    def spot(self, plane: Plane) -> None:
        x = plane.x(self.volatility.spot)
        if not plane.left <= x <= plane.right:
            return
        self.canvas.box(x - 1, plane.top, x + 1, plane.bottom, self.palette.spot, 0.6)
        words = f"spot {figure(self.volatility.spot)}"
        fits = x + 12 + _NAME.width(words) < plane.right
        align = Align.LEFT if fits else Align.RIGHT
        self.canvas.text(x + (10 if fits else -10), plane.bottom - 12, words, _NAME, self.palette.text, align)

    def term_structure(self) -> Plane:
        v, p = self.volatility, self.palette
        known = [(term, term.atm_iv) for term in v.terms if term.atm_iv is not None]
        first, first_iv = known[0]
        if v.iv30 is None:
            self.headline(View.TERM, percent(first_iv), f"IV at the money, {day(first.expiration)}", p.text)
        else:
            self.headline(View.TERM, percent(v.iv30), "30-day IV", p.text)
        times, ivs = np.array([across(term.days) for term, _ in known]), np.array([iv for _, iv in known])
        plane = self.plane((float(times[0]), float(times[-1])), ivs, _BELOW_TAGS)
        self.rows(plane, [(iv, percent(iv)) for iv in rounds(*plane.up)])
        self.dates(plane, [(term, plane.x(across(term.days))) for term, _ in known])
        dots = np.column_stack((plane.x(times), plane.y(ivs)))
        self.canvas.polyline(dots, 4, p.profile)
        for (term, _), (x, y) in zip(known, dots.tolist(), strict=True):
            self.dot(x, y, 7 if term.expiration.monthly else 4, p.profile)
        self.tags_above(self.milestones(plane))
        return plane

    def milestones(self, plane: Plane) -> list[Tag]:
        p, chosen, iv30 = self.palette, self.chosen, self.volatility.iv30
        tags = []
        if chosen.atm_iv is not None:
            at = plane.x(across(chosen.days)), plane.y(chosen.atm_iv)
            tags.append(Tag(day(chosen.expiration).upper(), percent(chosen.atm_iv), left(chosen), at, p.profile, p.ink))
        if iv30 is not None:
            at = plane.x(across(HORIZON_DAYS)), plane.y(iv30)
            tags.append(Tag("30 DAYS", percent(iv30), "", at, p.flip, p.ink))
        return sorted(tags, key=lambda tag: tag.at)

    def cone(self) -> Plane:
        v, p, chosen = self.volatility, self.palette, self.chosen
        assert chosen.move is not None, "whoever draws a cone has a move"
        share = f"±{chosen.move / v.spot:.1%} by {day(chosen.expiration)}"
        self.headline(View.CONE, f"±{figure(chosen.move)}", share, p.text)
        until = max(_LEAST_CONE_DAYS, 1.3 * chosen.days)
        known = [(term, term.move) for term in v.terms if term.move is not None and term.days <= until]
        days, moves = (np.array([0.0, *column]) for column in zip(*((t.days, move) for t, move in known), strict=True))
        edges = v.spot + moves, v.spot - moves
        plane = self.plane((0.0, float(days[-1])), np.concatenate(edges), 176, WIDTH - 290)
        self.fan(plane, plane.x(days), *(plane.y(edge) for edge in edges))
        labelled = self.dates(plane, [(term, plane.x(term.days)) for term, _ in known])
        for term in labelled:
            assert term.move is not None, "only those with a move were offered"
            words = f"±{figure(term.move)}"
            x = min(plane.x(term.days), plane.right - _NAME.width(words) / 2)
            self.canvas.text(x, plane.y(v.spot + term.move) - 22, words, _NAME, p.text, Align.CENTRE)
        self.tags_beside(plane, self.edges(plane, chosen.move))
        return plane

    def edges(self, plane: Plane, move: float) -> list[Tag]:
        p, spot, x = self.palette, self.volatility.spot, plane.x(self.chosen.days)
        by = day(self.chosen.expiration, weekday=False).upper()
        named = (
            (f"HIGH BY {by}", spot + move, x, p.positive, p.ink),
            ("SPOT", spot, plane.right, p.spot, p.paper),
            (f"LOW BY {by}", spot - move, x, p.negative, p.ink),
        )
        return [Tag(name, figure(price), "", (x, plane.y(price)), colour, ink) for name, price, x, colour, ink in named]

    def fan(self, plane: Plane, columns: Floats, high: Floats, low: Floats) -> None:
        p = self.palette
        outline = np.column_stack((np.append(columns, columns[::-1]), np.append(high, low[::-1])))
        self.canvas.area(outline, p.band)
        self.rows(plane, [(price, strike(price)) for price in rounds(*plane.up)])
        y = plane.y(self.volatility.spot)
        self.canvas.box(plane.left, y - 1.25, plane.right, y + 1.25, p.spot)
        for edge, colour in ((high, p.positive), (low, p.negative)):
            self.canvas.polyline(np.column_stack((columns, edge)), 3.5, colour)
            for x, row in zip(columns[1:].tolist(), edge[1:].tolist(), strict=True):
                self.dot(x, row, 5, colour)

    def headline(self, view: View, head: str, words: str, colour: str) -> None:
        v, p, c = self.volatility, self.palette, self.canvas
        big, price = Font(60, Weight.BOLD), Font(42, Weight.SEMI_BOLD)
        c.text(_MARGIN, 87, v.symbol, big, p.text)
        c.text(_MARGIN + 18 + big.width(v.symbol), 87, figure(v.spot), price, p.muted)
        c.text(_RIGHT, 87, head, big, colour, Align.RIGHT)
        line = f"{title(view)} · {moment(v)} · {day(self.chosen.expiration)}, {left(self.chosen)}"
        fonts = [Font(size) for size in range(27, 20, -1)]
        room = _RIGHT - _MARGIN - 36
        font = next((font for font in fonts if font.width(line) + font.width(words) <= room), fonts[-1])
        c.text(_MARGIN + 2, 132, line, font, p.muted)
        c.text(_RIGHT, 132, words, font, p.muted, Align.RIGHT)

    def plane(self, reach: tuple[float, float], values: Floats, top: float, right: float = _RIGHT) -> Plane:
        low, high = reach
        up = window(values)
        widest = max(_AXIS.width(words) for words in (strike(round(up[1])), percent(up[1])))
        edge = _MARGIN + widest + 16
        return Plane(edge, top, right, self.bottom, (low, high) if low < high else (low - 0.5, high + 0.5), up)

    def rows(self, plane: Plane, marks: Sequence[tuple[float, str]]) -> None:
        for value, words in marks:
            y = plane.y(value)
            self.canvas.box(plane.left, y - 0.75, plane.right, y + 0.75, self.palette.grid)
            self.canvas.text(plane.left - 14, y + 9, words, _AXIS, self.palette.muted, Align.RIGHT)

    def columns(self, plane: Plane, marks: Sequence[tuple[float, str]]) -> list[int]:
        """Label columns below the pane as far as there is room, first come first served; return who got one."""
        places = apart(((x, _AXIS.width(words)) for x, words in marks), plane.left - _MARGIN, _RIGHT)
        for place in places:
            x, words = marks[place]
            self.canvas.box(x - 0.75, plane.bottom, x + 0.75, plane.bottom + 8, self.palette.muted)
            self.canvas.text(x, plane.bottom + 34, words, _AXIS, self.palette.muted, Align.CENTRE)
        return places

    def dates(self, plane: Plane, terms: Sequence[tuple[Term, float]]) -> list[Term]:
        at = {id(term): x for term, x in terms}
        order = by_weight([term for term, _ in terms], self.chosen)
        places = self.columns(plane, [(at[id(term)], short_day(term)) for term in order])
        return [order[place] for place in places]

    def legend(self, plane: Plane, named: Sequence[tuple[str, str]]) -> None:
        # low on the left, where a skew seldom is
        y = plane.bottom - 14
        for words, colour in reversed(named):
            self.canvas.box(plane.left + 12, y - 9, plane.left + 38, y - 5, colour)
            self.canvas.text(plane.left + 48, y, words, _NAME, colour)
            y -= 30

    def dot(self, x: float, y: float, radius: int, colour: str) -> None:
        self.canvas.polyline([(x - 0.01, y), (x + 0.01, y)], 2 * radius, colour)  # Agg leaves out what has no length

    def tags_above(self, tags: Sequence[Tag]) -> None:
        """Name points, in ascending order of x, by boxes above the pane."""
        wishes = [tag.at[0] - _TAG_WIDTH / 2 for tag in tags]
        starts = spread(wishes, _TAG_WIDTH + _TAG_GAP, _MARGIN, _RIGHT - _TAG_WIDTH)
        for tag, start in zip(tags, starts, strict=True):
            middle, foot = start + _TAG_WIDTH / 2, _TAGS_TOP + _TAG_HEIGHT
            self.canvas.polyline([(middle, foot), (middle, foot + 6), (tag.at[0], foot + 20), tag.at], 2, tag.colour)
            self.dot(*tag.at, 9, tag.colour)
            self.tag(tag, round(start), _TAGS_TOP)

    def tags_beside(self, plane: Plane, tags: Sequence[Tag]) -> None:
        """Name points, in ascending order of y, by boxes to the right of the pane."""
        tops = spread(
            [tag.at[1] - _TAG_HEIGHT / 2 for tag in tags],
            _TAG_HEIGHT + _TAG_GAP,
            plane.top,
            plane.bottom - _TAG_HEIGHT,
        )
        start = _RIGHT - _TAG_WIDTH
        for tag, top in zip(tags, tops, strict=True):
            (x, y), middle = tag.at, top + _TAG_HEIGHT / 2
            if x < plane.right:
                self.canvas.dashes(x, plane.right, y, 2, tag.colour, dash=8, gap=8)
                self.dot(x, y, 9, tag.colour)
            self.canvas.polyline([(plane.right, y), (plane.right + 12, middle), (start, middle)], 2.5, tag.colour)
            self.tag(tag, start, round(top))

    def tag(self, tag: Tag, start: int, top: int) -> None:
        c = self.canvas
        c.rounded_box(start, top, _TAG_WIDTH, _TAG_HEIGHT, 8, tag.colour)
        c.text(start + 14, top + 25, tag.name, _NAME, tag.ink)
        c.text(start + 14, top + 61, tag.figure, Font(34, Weight.BOLD), tag.ink)
        c.text(start + _TAG_WIDTH - 14, top + 61, tag.note, _NOTE, tag.ink, Align.RIGHT)
