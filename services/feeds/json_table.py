"""A JSON array of thousands of objects that all have the same keys in the same order, read column by column.

A JSON parser makes a Python object of each value; here the bytes of a column are turned into numbers by one piece of
arithmetic. That is exact only for JSON that a parser has found sound, and `NotAlike` says where it cannot be done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Offsets = NDArray[np.int64]
Words = NDArray[np.uint64]

_PART: Final = 800_000
"""So many bytes at once, and what is made of them, stay in the processor's cache."""
_LONGEST_ROW: Final = 4096
_MARGIN: Final = bytes(8)
"""Around a part, so that a word can be read at every place."""
_number: Final = msgspec.json.Decoder(float | None)

# A word is eight characters, the first of them in its lowest byte.
_FIRST: Final = np.uint64(0xFF)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_EACH: Final = np.uint64(0x0101010101010101)
_HIGHEST_BITS: Final = _EACH * np.uint64(0x80)
_DOTS: Final = _EACH * np.uint64(ord("."))
_ZEROS: Final = _EACH * np.uint64(ord("0"))
_PAST_NINE: Final = _EACH * np.uint64(0x80 - 10)
_POWERS: Final = 10.0 ** np.arange(8)


class NotAlike(Exception):
    """The objects are not all alike, flat and written without spaces."""


@dataclass(frozen=True, slots=True)
class JsonTable:
    """A part of the array; `begin` and `end` have a row for each object and a column for each wanted key."""

    content: Bytes
    words: Words
    """The eight characters from each place on."""
    begin: Offsets
    end: Offsets

    def numbers(self, columns: slice) -> Floats:
        """Return a row of numbers for each key, the floats nearest to what is written, `null` as NaN.

        Raises `DecodeError` where there is something else.
        """
        begin, end = self.begin[:, columns], self.end[:, columns]
        text = self.words[begin]
        negative = text & _FIRST == ord("-")
        values, usual = _fractions(text >> negative * np.uint64(8), end - begin - negative)
        values[negative] *= -1
        for place in zip(*np.nonzero(~usual), strict=True):
            number = _number.decode(self.content[begin[place] : end[place]].tobytes())
            values[place] = np.nan if number is None else number
        return values.T.copy()


def json_tables(array: memoryview, wanted: Sequence[str]) -> Iterator[JsonTable]:
    """Read a sound JSON array part by part; raises `NotAlike`."""
    start = 0
    while start < len(array) - 1:
        end = _end(array, start)
        yield _table(array[start + 1 : end], wanted)
        start = end


def _end(array: memoryview, start: int) -> int:
    """Return the place of a comma between objects, or of the bracket behind the last."""
    ahead = array[start + _PART : start + _PART + _LONGEST_ROW].tobytes()
    found = ahead.find(b"},{")
    return start + _PART + found + 1 if found >= 0 else len(array) - 1


def _table(part: memoryview, wanted: Sequence[str]) -> JsonTable:
    text = b"".join((_MARGIN, part, _MARGIN))
    keys = _keys(text[len(_MARGIN) : text.find(b"}") + 1])
    if not set(wanted) <= set(keys):
        raise NotAlike
    content = np.frombuffer(text, np.uint8)
    commas = np.flatnonzero(content == ord(","))
    borders = np.concatenate(([len(_MARGIN) - 1], commas, [len(text) - len(_MARGIN)]))
    rows, odd = divmod(len(borders) - 1, len(keys))
    # An escape or another alphabet would have to be decoded, and an object in an object has commas of its own.
    if odd or b"\\" in text or not text.isascii() or np.count_nonzero(content == ord("{")) != rows:
        raise NotAlike
    titles = [f'"{key}":'.encode() for key in keys]
    titles[0] = b"{" + titles[0]
    begin = borders[:-1].reshape(rows, len(keys)) + [1 + len(title) for title in titles]
    words = np.ndarray((len(content) - 7,), "<u8", content, strides=(1,))
    places = [keys.index(key) for key in wanted]
    _compare(words, begin, titles, places)
    end = borders[1:].reshape(rows, len(keys)).take(places, axis=1)
    end -= [place == len(keys) - 1 for place in places]  # behind the last stands a brace
    return JsonTable(content, words, begin.take(places, axis=1), end)


def _keys(first: bytes) -> Sequence[str]:
    try:
        return list(msgspec.json.decode(first, type=dict[str, object]))
    except msgspec.DecodeError as error:
        raise NotAlike from error


def _compare(words: Words, begin: Offsets, titles: Sequence[bytes], wanted: Sequence[int]) -> None:
    """Raise `NotAlike` unless the wanted titles, and no others of their name, stand before the values of each row."""
    # By the last eight characters it is certain that a title is none of the wanted, which are compared whole.
    ends = {titles[place][-8:] for place in wanted}
    if any(title[-8:] in ends for place, title in enumerate(titles) if place not in wanted):
        raise NotAlike
    left, back = dict(enumerate(titles)), 8
    while left:
        parts = [title[-8:].rjust(8, b"\0") for title in left.values()]
        expected = np.array([int.from_bytes(part, "little") for part in parts], np.uint64)
        mask = np.array([_ALL << np.uint64(8 * part.count(0)) for part in parts])
        found = words[begin.take(list(left), axis=1) - back]
        if ((found ^ expected) & mask).any():
            raise NotAlike
        back += 8
        left = {place: title[:-8] for place, title in left.items() if place in wanted and len(title) > 8}


def _fractions(words: Words, size: Offsets) -> tuple[Floats, Mask]:
    """Return what digits with a dot among them say, and which words are such; they are the first `size` characters.

    Digits below 2⁵³ and powers of ten up to 10²² are exact as floats, so their quotient is the float nearest to the
    decimal: what any correct parser returns.
    """
    text = words << (8 * (8 - size)).astype(np.uint64)
    dots = text ^ _DOTS
    found = (dots - _EACH) & ~dots & _HIGHEST_BITS
    dot = found & (~found + np.uint64(1))  # the highest bit of the first byte that is a dot
    before, behind = (dot >> np.uint64(7)) - np.uint64(1), ~((dot << np.uint64(1)) - np.uint64(1))
    closed = (text & behind) | ((text & before) << np.uint64(8))
    digits = (closed ^ _ZEROS) & (_ALL << (8 * (9 - size)).astype(np.uint64))
    usual = (dot != 0) & (size <= 8) & ((digits | (digits + _PAST_NINE)) & _HIGHEST_BITS == 0)
    decimals = 8 - (np.bitwise_count(dot - np.uint64(1)) + 1) // 8
    return _eight_digits(digits) / _POWERS[decimals], usual


def _eight_digits(digits: Words) -> Floats:
    # Neighbours are put together: to four numbers of two digits, two of four, one of eight.
    pairs = digits * np.uint64(10 * 2**8 + 1) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
    fours = pairs * np.uint64(100 * 2**16 + 1) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    eight = fours * np.uint64(10_000 * 2**32 + 1) >> np.uint64(32)
    return eight.astype(np.float64)
