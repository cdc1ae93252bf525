"""Symbols: what people type, and what it means."""

import re
from functools import lru_cache

from services.errors import AdjustedRoot, IsOption, UnknownSymbol
from services.option_symbols import UNDERLYINGS, option_symbol

# Yahoo's name of the index that everybody else calls SPX.
_ALIASES = UNDERLYINGS | {"GSPC": "SPX"}
_CANONICAL = re.compile(r"[A-Z][A-Z0-9]{0,5}(\.[A-Z]{1,2})?")
_ADJUSTED = re.compile(r"[A-Z]{1,5}[1-9]")
_EXCHANGE = re.compile(r"[A-Z]{1,8}:")
_CLASS = re.compile(r"([A-Z]{2,5}) +([A-Z])")
_SHARE_CLASSES = re.compile(r"\b(BRK|BF|HEI|LEN|MOG) +([AB])\b", re.IGNORECASE)
_SPACED_OPTION = re.compile(r"\b([A-Z0-9]{1,6}) +(\d{6}[CP]\d{8})\b", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s,;]+")


def spelled(text: str) -> str:
    """Return what may be the beginning of a symbol in the spelling used inside: `$spx` is SPX, `brk b` is BRK.B."""
    symbol = _EXCHANGE.sub("", text.strip().upper(), count=1)
    if symbol.startswith("$"):
        symbol = symbol.removesuffix(".X")
    symbol = symbol.lstrip("$^_.").replace("-", ".").replace("/", ".")
    return _CLASS.sub(r"\1.\2", symbol)


def canonical(text: str) -> str:
    """Return the one spelling used inside: `$spx`, `^SPX`, `.SPX` and `SPXW` are SPX, `brk-b` and `BRK B` are BRK.B.

    Raises IsOption for an option symbol, AdjustedRoot for a root such as AAPL1, and UnknownSymbol for text that cannot
    be a symbol.
    """
    if option := option_symbol(text):
        raise IsOption(str(option), option.underlying)
    symbol = spelled(text)
    symbol = _ALIASES.get(symbol, symbol)
    if _ADJUSTED.fullmatch(symbol):
        raise AdjustedRoot(symbol)
    if not _CANONICAL.fullmatch(symbol):
        raise UnknownSymbol(re.sub(r"[^\w.$^/-]", "", text)[:20] or "?")
    return symbol


@lru_cache(maxsize=1024)
def split(text: str) -> tuple[str, ...]:
    """Return the canonical symbols of a list separated by spaces or commas, each once, in the order typed."""
    joined = _SHARE_CLASSES.sub(r"\1.\2", _SPACED_OPTION.sub(r"\1\2", text))
    return tuple(dict.fromkeys(canonical(part) for part in _SEPARATORS.split(joined) if part))
