"""A small canvas: antialiased shapes and text in Inter on RGB pixels, encoded as PNG.

Not matplotlib: there, laying out the text alone takes longer than this whole picture, a worker needs twice the memory,
and the first import on a machine scans its fonts.
"""

import struct
import zlib
from enum import StrEnum
from functools import lru_cache
from math import ceil, floor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(__file__).parent / "fonts"
_FINER = 4  # text is drawn this much larger and averaged down: even spacing without the rounding of hinted advances
_OPAQUE = 256  # weights run 0..256, so that a blend is a multiplication and a shift


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
        return _face(self).getlength(words) / _FINER


class Canvas:
    """RGB pixels of one picture; x runs right and y down, colours are `#rrggbb`."""

    def __init__(self, width: int, height: int, background: str) -> None:
        self.width, self.height = width, height
        self.pixels = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = np.tile(_rgb(background).astype(np.uint8), (width, 1))

    def box(self, left: float, top: float, right: float, bottom: float, colour: str, opacity: float = 1.0) -> None:
        """Fill a rectangle; left and right edges fall on whole pixels, upper and lower edges are antialiased."""
        columns = slice(max(round(left), 0), round(right))
        if columns.start >= columns.stop:
            return
        rows = range(max(floor(top), 0), min(ceil(bottom), self.height))
        weights = [round(_OPAQUE * opacity * (min(bottom, row + 1) - max(top, row))) for row in rows]
        self._blend(slice(rows.start, rows.stop), columns, np.array(weights, np.uint16)[:, None], colour)

    def dashes(
        self, left: float, right: float, y: float, width: float, colour: str, *, dash: int, gap: int, phase: int = 0
    ) -> None:
        """Draw a dashed horizontal line centred on `y`; `phase` shifts the pattern."""
        first, top = round(left), floor(y - width / 2)
        rows = np.arange(top, ceil(y + width / 2))
        across = np.clip(np.minimum(y + width / 2, rows + 1) - np.maximum(y - width / 2, rows), 0, 1)
        along = (np.arange(round(right) - first) + phase) % (dash + gap) < dash
        weights = np.rint(_OPAQUE * across[:, None] * along).astype(np.uint16)
        self._blend(slice(top, top + len(rows)), slice(first, round(right)), weights, colour)

    def rounded_box(self, left: int, top: int, width: int, height: int, radius: int, colour: str) -> None:
        """Fill a rectangle with round corners."""
        self._blend(slice(top, top + height), slice(left, left + width), _rounded(width, height, radius), colour)

    def polyline(self, points: NDArray[np.float64], width: float, colour: str) -> None:
        """Stroke a line through `points` (n × 2, as x and y) with round joints and ends."""
        start, end = points[:-1, None, None], points[1:, None, None]
        corner = np.floor(np.minimum(start, end) - width / 2 - 1)
        columns, rows = (int(n) for n in np.ceil((np.maximum(start, end) - corner).max(axis=(0, 1, 2)) + width / 2 + 1))
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1) + corner  # of each segment
        along, across = end - start, grid + 0.5 - start
        share = np.clip((across * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-9), 0, 1)
        cover = np.clip(width / 2 + 0.5 - np.hypot(*np.moveaxis(across - share[..., None] * along, -1, 0)), 0, 1)
        x, y = np.moveaxis(grid, -1, 0).astype(np.intp)
        seen = (cover > 0) & (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        pixels, which = np.unique(y[seen] * self.width + x[seen], return_inverse=True)
        thickest = np.zeros(len(pixels))  # segments overlap at the joints, where each pixel is inked once
        np.maximum.at(thickest, which, cover[seen])
        weights = np.rint(_OPAQUE * thickest).astype(np.uint16)[:, None]
        flat = self.pixels.reshape(-1, 3)
        flat[pixels] = (flat[pixels] * (_OPAQUE - weights) + _rgb(colour) * weights) >> 8

    def text(self, x: float, y: float, words: str, font: Font, colour: str, align: Align = Align.LEFT) -> None:
        """Write one line with its baseline on `y`."""
        if not words.strip():
            return
        weights, left, top = _ink(words, font)
        back = {Align.LEFT: 0.0, Align.CENTRE: 0.5, Align.RIGHT: 1.0}[align] * font.width(words)
        left, top = left + round(x - back), top + round(y)
        height, width = weights.shape
        self._blend(slice(top, top + height), slice(left, left + width), weights, colour)

    def png(self) -> bytes:
        """Encode losslessly: filter "Up" leaves mostly zeros, which isal packs in about a millisecond."""
        rows = self.pixels.reshape(self.height, -1)
        lines = np.empty((self.height, 1 + rows.shape[1]), np.uint8)
        lines[:, 0] = 2
        lines[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        packed = isal_zlib.compress(lines.data, 1)
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")

    def _blend(self, rows: slice, columns: slice, weights: NDArray[np.uint16], colour: str) -> None:
        top, left = max(rows.start, 0), max(columns.start, 0)
        under = self.pixels[top : max(rows.stop, 0), left : max(columns.stop, 0)]
        skip_rows, skip_columns = top - rows.start, left - columns.start
        weights = weights[skip_rows : skip_rows + under.shape[0], skip_columns : skip_columns + under.shape[1]]
        under[:] = (under * (_OPAQUE - weights[..., None]) + _rgb(colour) * weights[..., None]) >> 8


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


@lru_cache(64)
def _rgb(colour: str) -> NDArray[np.uint16]:
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(np.uint16)


@lru_cache(32)
def _face(font: Font) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_FONTS / f"Inter-{font.weight}.otf", font.size * _FINER)


@lru_cache(256)
def _ink(words: str, font: Font) -> tuple[NDArray[np.uint16], int, int]:
    face = _face(font)
    left, top, right, bottom = face.getbbox(words, anchor="ls")
    x, y = floor(left / _FINER), floor(top / _FINER)
    size = (ceil(right / _FINER) - x) * _FINER, (ceil(bottom / _FINER) - y) * _FINER
    image = Image.new("L", size)
    ImageDraw.Draw(image).text((-x * _FINER, -y * _FINER), words, 255, face, anchor="ls")
    weights = np.asarray(image.reduce(_FINER), np.uint16)
    return weights + (weights >> 7), x, y  # 255 becomes 256


@lru_cache(16)
def _rounded(width: int, height: int, radius: int) -> NDArray[np.uint16]:
    x = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    beyond = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None])
    return np.asarray(np.rint(_OPAQUE * np.clip(radius + 0.5 - beyond, 0, 1)), np.uint16)
