"""The directory: every known symbol with its name, found while it is being typed."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from services.errors import PulseError
from services.feeds.base import Listing
from services.option_symbols import option_symbol
from services.symbols import spelled

_LAST = "\uffff"
_FEW = 5
"""With fewer matches than this, what differs by a typing slip is offered too."""


class Directory:
    """Symbols by their beginnings, by the words of their names, and by what resembles them."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        names = {listing.symbol: listing.name for listing in listings}
        self._names = {symbol: names[symbol] for symbol in sorted(names, key=lambda symbol: (len(symbol), symbol))}
        self._by_rank = list(self._names)
        ranks = {symbol: rank for rank, symbol in enumerate(self._by_rank)}
        self._symbols = _Index((symbol, rank) for symbol, rank in ranks.items())
        words = ((word, ranks[symbol]) for symbol, name in names.items() for word in set(_words(name)))
        self._words = _Index(words)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, symbol: str) -> str | None:
        """Return the company's or index's name."""
        return self._names.get(symbol)

    def search(self, text: str, limit: int = 25, recent: Sequence[str] = ()) -> list[Listing]:
        """Return the listings that somebody may mean who has typed this far, the likeliest first.

        A symbol typed in full; then what starts with the text: symbols asked for recently, other symbols (short ones
        first), words of names; then what is a typing slip away. An option symbol means its underlying.
        """
        wanted, words = _meant(text), _words(text)
        found = dict.fromkeys(islice(self._matches(wanted, words, limit, recent), limit))
        if len(found) < _FEW and wanted and wanted not in self._names:
            found |= dict.fromkeys(islice(self._resembling(wanted, words), limit))
        return [Listing(symbol, self._names[symbol]) for symbol in islice(found, limit)]

    def nearest(self, symbol: str, limit: int = 3) -> Sequence[str]:
        """Return the symbols that may have been meant: names that start with the text, symbols a slip away."""
        named = (self._by_rank[rank] for rank in self._words.starting(symbol)[:limit].tolist())
        return list(islice(dict.fromkeys(chain(named, self._slips(symbol, 1 if len(symbol) < 4 else 2))), limit))

    def _matches(self, wanted: str, words: Sequence[str], limit: int, recent: Sequence[str]) -> Iterator[str]:
        if wanted in self._names:
            yield wanted
        yield from (symbol for symbol in recent if symbol in self._names and self._starts(symbol, wanted, words))
        if not wanted:
            yield from self._by_rank[:limit]
            return
        yield from (self._by_rank[rank] for rank in self._symbols.starting(wanted)[:limit].tolist())
        yield from self._named(words)

    def _starts(self, symbol: str, wanted: str, words: Sequence[str]) -> bool:
        return symbol.startswith(wanted) or (bool(words) and self._is_named(symbol, words))

    def _named(self, words: Sequence[str]) -> Iterator[str]:
        """Return the symbols in whose names each of the words begins one; there is at least one."""
        ranks = self._words.starting(words[0])
        for word in words[1:]:
            ranks = np.intersect1d(ranks, self._words.starting(word), assume_unique=True)
        return (self._by_rank[rank] for rank in ranks.tolist())

    def _is_named(self, symbol: str, words: Sequence[str]) -> bool:
        parts = _words(self._names[symbol])
        return all(any(part.startswith(word) for part in parts) for word in words)

    def _resembling(self, wanted: str, words: Sequence[str]) -> Iterator[str]:
        if 3 <= len(wanted) <= 6:
            yield from self._slips(wanted, 1)
        if len(words) == 1 and len(words[0]) >= 4:
            yield from (self._by_rank[rank] for rank in self._words.resembling(words[0]))

    def _slips(self, symbol: str, most: int) -> Iterator[str]:
        close = process.extract(symbol, self._by_rank, scorer=OSA.distance, score_cutoff=most, limit=None)
        return (known for known, _, _ in sorted(close, key=lambda match: (match[1], match[2])))


class _Index:
    """Words in order, each with the rank of a symbol."""

    def __init__(self, entries: Iterable[tuple[str, int]]) -> None:
        # Sorted letter by letter: one sort of all would hold the interpreter, and every answer, for its whole time.
        letters = defaultdict[str, list[tuple[str, int]]](list)
        for entry in entries:
            letters[entry[0][:1]].append(entry)
        ordered = [entry for letter in sorted(letters) for entry in sorted(letters[letter])]
        self._words = [word for word, _ in ordered]
        self._distinct = list(dict.fromkeys(self._words))
        self._ranks = np.array([rank for _, rank in ordered], np.int32)

    def starting(self, prefix: str) -> NDArray[np.int32]:
        """Return the ranks under words that start like this, each once, the first ones first."""
        return np.unique(self._ranks[slice(*_range(self._words, prefix))])

    def resembling(self, word: str) -> list[int]:
        """Return the ranks under words whose beginnings differ by a slip or two, the first letter being right."""
        known = self._distinct[slice(*_range(self._distinct, word[:1]))]
        most = 1 if len(word) < 6 else 2
        beginnings = [each[: len(word)] for each in known]
        close = process.extract(word, beginnings, scorer=OSA.distance, score_cutoff=most, limit=_FEW * 5)
        found = [self.starting(known[place]) for _, _, place in close]
        return list(dict.fromkeys(rank for ranks in found for rank in ranks.tolist()))


def _range(words: Sequence[str], prefix: str) -> tuple[int, int]:
    return bisect_left(words, prefix), bisect_left(words, prefix + _LAST)


def _words(text: str) -> list[str]:
    return text.upper().split()


def _meant(text: str) -> str:
    try:
        option = option_symbol(text)
    except PulseError:
        return spelled(text)
    return option.underlying if option else spelled(text)
