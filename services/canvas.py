"""Shapes and text in Inter, drawn by matplotlib's Agg renderer without the slower artists above it."""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from math import ceil
from pathlib import Path as FilePath
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

_FONTS = FilePath(__file__).parent / "fonts"
_DPI = 72  # makes matplotlib's points pixels
_ACCURATE = 256  # widths are measured at this size

Edges = float | NDArray[np.float64] | NDArray[np.int64]


class Weight(StrEnum):
    """The weights of Inter that are shipped."""

    MEDIUM = "Medium"
    SEMI_BOLD = "SemiBold"
    BOLD = "Bold"


class Align(StrEnum):
    """Which point of a line of text stands at the given x."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


class Font(NamedTuple):
    """A weight of Inter at a size in pixels."""

    size: int
    weight: Weight = Weight.MEDIUM

    def width(self, words: str) -> float:
        """Return the advance of one line of text in pixels."""
        return self.size * _advance(words, self.weight)


class Canvas:
    """One picture in `pixels` (height × width × RGBA, opaque); x runs right and y down, colours are `#rrggbb`."""

    def __init__(self, width: int, height: int, background: str) -> None:
        self.width, self.height = width, height
        agg = RendererAgg(width, height, _DPI)  # type: ignore[no-untyped-call]  # its base class is typed
        self._renderer: RendererBase = agg
        self.pixels: NDArray[np.uint8] = np.asarray(agg.buffer_rgba())  # type: ignore[no-untyped-call]
        self._down = Affine2D().scale(1, -1).translate(0, height)
        self.box(0, 0, width, height, background)

    def box(self, left: Edges, top: Edges, right: Edges, bottom: Edges, colour: str, opacity: float = 1.0) -> None:
        """Fill a rectangle, or one for each row of equally long edges; none where edges pass each other.

        Left and right edges fall on whole pixels, upper and lower edges are antialiased.
        """
        left, top, right, bottom = np.broadcast_arrays(np.rint(left), top, np.rint(right), bottom)
        corners = np.stack((left, top, right, top, right, bottom, left, bottom), axis=-1).reshape(-1, 4, 2)
        proper = ((left < right) & (top < bottom)).reshape(-1)
        path = Path.make_compound_path_from_polys(corners[proper])
        self._renderer.draw_path(self._pen(), path, self._down, to_rgba(colour, opacity))

    def dashes(
        self, left: float, right: float, y: float, width: float, colour: str, *, dash: int, gap: int, phase: int = 0
    ) -> None:
        """Draw a dashed horizontal line centred on `y`; `phase` shifts the pattern."""
        pen = self._pen(colour, width)
        pen.set_dashes(phase, (dash, gap))
        self._renderer.draw_path(pen, Path([(round(left), y), (round(right), y)]), self._down)

    def rounded_box(self, left: int, top: int, width: int, height: int, radius: int, colour: str) -> None:
        """Fill a rectangle with round corners."""
        # A line twice as wide as the radius around a smaller box, its joints round.
        x, y, right, bottom = left + radius, top + radius, left + width - radius, top + height - radius
        path = Path([(x, y), (right, y), (right, bottom), (x, bottom), (x, y)], closed=True)
        self._renderer.draw_path(self._pen(colour, 2 * radius), path, self._down, to_rgba(colour))

    def area(self, points: NDArray[np.float64], colour: str) -> None:
        """Fill the polygon through `points` (n × 2, as x and y), which need not be closed."""
        path = Path(np.vstack((points, points[:1])), closed=True)
        self._renderer.draw_path(self._pen(), path, self._down, to_rgba(colour))

    def polyline(self, points: Sequence[tuple[float, float]] | NDArray[np.float64], width: float, colour: str) -> None:
        """Stroke a line through `points` (n × 2, as x and y) with round joints and ends."""
        pen = self._pen(colour, width)
        pen.set_capstyle("round")
        self._renderer.draw_path(pen, Path(points), self._down)

    def text(self, x: float, y: float, words: str, font: Font, colour: str, align: Align = Align.LEFT) -> None:
        """Write one line with its baseline on `y`."""
        back = {Align.LEFT: 0.0, Align.CENTRE: 0.5, Align.RIGHT: 1.0}[align] * font.width(words)
        cover = _ink(words, font)
        picture = np.empty((*cover.shape, 4), np.uint8)
        picture[..., :3] = tuple(bytes.fromhex(colour[1:]))
        picture[..., 3] = cover
        # Agg counts an image's rows upwards.
        bottom = self.height - round(y) - font.size
        self._renderer.draw_image(self._renderer.new_gc(), round(x - back) - font.size, bottom, picture[::-1])

    def _pen(self, colour: str = "#000000", width: float = 0) -> GraphicsContextBase:
        pen = self._renderer.new_gc()
        pen.set_foreground(colour)
        pen.set_linewidth(width)
        pen.set_joinstyle("round")
        pen.set_snap(False)
        return pen


def wrapped(parts: Sequence[str], font: Font, room: float) -> list[str]:
    """Put parts into as few lines of `room` pixels as they need, evenly filled, with dots between."""
    fewest = len(_lines(parts, font, room))
    even = (_lines(parts, font, room * share / 20) for share in range(10, 21))
    return next(lines for lines in even if len(lines) == fewest)


def _lines(parts: Sequence[str], font: Font, room: float) -> list[str]:
    lines: list[str] = []
    used = room
    for part in parts:
        wanted = font.width(" · ") + font.width(part)
        if used + wanted <= room:
            lines[-1] += f" · {part}"
            used += wanted
        else:
            lines.append(part)
            used = font.width(part)
    return lines


@lru_cache(1024)
def _advance(words: str, weight: Weight) -> float:
    """Width at a size of one pixel; without hinting it grows in proportion."""
    face = get_font(_file(weight))
    face.set_size(_ACCURATE, _DPI)
    face.set_text(words, flags=LoadFlags.NO_HINTING)
    return face.get_width_height()[0] / 64 / _ACCURATE


@lru_cache(256)  # a glyph takes 30 µs, and most words come again
def _ink(words: str, font: Font) -> NDArray[np.uint8]:
    """How much of each pixel the words cover, out of 255; they start `font.size` from the left, bottom and top."""
    agg = RendererAgg(ceil(font.width(words)) + 2 * font.size, 2 * font.size, _DPI)  # type: ignore[no-untyped-call]
    mpl.rcParams["text.hinting"] = "no_hinting"  # hinted glyphs stand on whole pixels, so their spacing is uneven
    properties = FontProperties(fname=_file(font.weight), size=font.size)
    agg.draw_text(agg.new_gc(), font.size, font.size, words, properties, 0)  # type: ignore[no-untyped-call]
    return np.asarray(agg.buffer_rgba())[..., 3].copy()  # type: ignore[no-untyped-call]


def _file(weight: Weight) -> FilePath:
    return _FONTS / f"Inter-{weight}.otf"
