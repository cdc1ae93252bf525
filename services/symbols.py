"""Symbols: what people type, what it means, and what they may have meant."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import islice

from rapidfuzz.distance import DamerauLevenshtein

from services.errors import UnknownSymbol
from services.feeds.base import Listing

# The weekly roots of an index are the same underlying under another name.
_WEEKLY_ROOTS = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX"}
_CANONICAL = re.compile(r"[A-Z][A-Z0-9]{0,5}(\.[A-Z]{1,2})?")
_SEPARATORS = re.compile(r"[\s,;]+")


def canonical(text: str) -> str:
    """Return the one spelling used inside: `$spx`, `^SPX` and `SPXW` are SPX, `brk-b` and `BRK/B` are BRK.B.

    Raises UnknownSymbol for text that cannot be a symbol.
    """
    symbol = text.strip().upper().lstrip("$^_").replace("-", ".").replace("/", ".")
    symbol = _WEEKLY_ROOTS.get(symbol, symbol)
    if not _CANONICAL.fullmatch(symbol):
        raise UnknownSymbol(re.sub(r"[^\w.$^/-]", "", text)[:20] or "?")
    return symbol


def split(text: str) -> tuple[str, ...]:
    """Return the canonical symbols of a list separated by spaces or commas, each once, in the order typed."""
    return tuple(dict.fromkeys(canonical(part) for part in _SEPARATORS.split(text) if part))


class Directory:
    """Every known symbol with its name, indexed for completion and for the nearest match."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._names = {listing.symbol: listing.name for listing in listings}
        self._symbols = sorted(self._names)
        self._words = sorted({(word, symbol) for symbol, name in self._names.items() for word in name.upper().split()})

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, symbol: str) -> str | None:
        """Return the company's or index's name."""
        return self._names.get(symbol)

    def search(self, text: str, limit: int = 25) -> list[Listing]:
        """Return listings whose symbol, then whose name, starts with the text; the shortest symbols first."""
        wanted = text.strip().upper().lstrip("$^_").replace("-", ".").replace("/", ".")
        by_symbol = sorted(self._starting(wanted), key=lambda symbol: (len(symbol), symbol))
        by_name = (symbol for symbol in self._named(wanted) if symbol not in set(by_symbol)) if wanted else ()
        return [Listing(symbol, self._names[symbol]) for symbol in islice((*by_symbol, *by_name), limit)]

    def nearest(self, symbol: str, limit: int = 3) -> Sequence[str]:
        """Return the symbols that a typing slip away, or whose name begins with the text."""
        most = 1 if len(symbol) < 4 else 2
        slips = ((DamerauLevenshtein.distance(symbol, known, score_cutoff=most), known) for known in self._symbols)
        close = [known for distance, known in sorted(slips) if distance <= most]
        return list(dict.fromkeys((*self._named(symbol)[:limit], *close)))[:limit]

    def _starting(self, prefix: str) -> Sequence[str]:
        return self._symbols[bisect_left(self._symbols, prefix) : bisect_left(self._symbols, prefix + "\uffff")]

    def _named(self, prefix: str) -> list[str]:
        first = bisect_left(self._words, (prefix,))
        last = bisect_left(self._words, (prefix + "\uffff",))
        return sorted({symbol for _, symbol in self._words[first:last]}, key=lambda symbol: (len(symbol), symbol))
