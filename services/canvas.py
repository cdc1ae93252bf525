"""A canvas in pixels on matplotlib's Agg renderer, without the artists above it: text in Inter and antialiased shapes."""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path as FilePath
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

_FONTS = FilePath(__file__).parent / "fonts"
_DPI = 72  # makes matplotlib's points pixels

Edges = float | NDArray[np.float64]


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
        return _advance(self, words)


class Canvas:
    """The pixels of one picture; x runs right and y down, colours are `#rrggbb`."""

    def __init__(self, width: int, height: int, background: str) -> None:
        self.width, self.height = width, height
        # Hinting moves glyphs to whole pixels, which spaces them unevenly.
        mpl.rcParams["text.hinting"] = "no_hinting"
        self._renderer = RendererAgg(width, height, _DPI)
        self._down = Affine2D().scale(1, -1).translate(0, height)
        self.box(0, 0, width, height, background)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels as drawn so far (height × width × RGBA, opaque)."""
        return np.asarray(self._renderer.buffer_rgba())

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

    def polyline(self, points: Sequence[tuple[float, float]] | NDArray[np.float64], width: float, colour: str) -> None:
        """Stroke a line through `points` (n × 2, as x and y) with round joints and ends."""
        pen = self._pen(colour, width)
        pen.set_capstyle("round")
        self._renderer.draw_path(pen, Path(points), self._down)

    def text(self, x: float, y: float, words: str, font: Font, colour: str, align: Align = Align.LEFT) -> None:
        """Write one line with its baseline on `y`."""
        back = {Align.LEFT: 0.0, Align.CENTRE: 0.5, Align.RIGHT: 1.0}[align] * font.width(words)
        self._renderer.draw_text(self._pen(colour), round(x - back), round(y), words, _properties(font), 0)

    def _pen(self, colour: str = "#000000", width: float = 0.0) -> GraphicsContextBase:
        pen = self._renderer.new_gc()
        pen.set_foreground(colour)
        pen.set_linewidth(width)
        pen.set_joinstyle("round")
        pen.set_snap(False)
        return pen


@lru_cache(32)
def _properties(font: Font) -> FontProperties:
    return FontProperties(fname=_FONTS / f"Inter-{font.weight}.otf", size=font.size)


@lru_cache(1024)
def _advance(font: Font, words: str) -> float:
    face = get_font(_FONTS / f"Inter-{font.weight}.otf")
    face.set_size(font.size, _DPI)
    face.set_text(words, flags=LoadFlags.NO_HINTING)
    return face.get_width_height()[0] / 64
