"""Option symbols: every vendor's spelling of one contract."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from services.errors import AdjustedRoot, UnknownSymbol

# The weekly roots of an index, and the roots of share classes, belong to an underlying of another name.
UNDERLYINGS = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX"} | {
    name.replace(".", ""): name for name in ("BRK.B", "BF.B", "HEI.A", "LEN.B", "MOG.A")
}
_SHAPE = re.compile(
    r"(?:O:|\.)?(?P<root>[A-Z0-9]{1,6}) *(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<right>[CP])"
    r"(?:(?P<mills>\d{8})|(?P<strike>\d{1,5}(?:\.\d{1,3})?))"
)


class Right(StrEnum):
    """What the buyer may do."""

    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True)
class OptionSymbol:
    """One standard contract; `underlying` is its canonical symbol, `strike` is in dollars."""

    root: str
    underlying: str
    expiry: date
    right: Right
    strike: Decimal

    def __str__(self) -> str:
        return f"{self.underlying} {self.expiry:%-d %b %Y} {self.strike.normalize():f} {self.right}"


def option_symbol(text: str) -> OptionSymbol | None:
    """Return the contract that a text names, None if it has not the shape of an option symbol.

    Reads OCC's 21 characters, the same without padding (Alpaca, Tradier, Cboe) or with a space (IBKR), after `O:`
    (Polygon), and `.AAPL260218C265` (thinkorswim). Raises AdjustedRoot, and UnknownSymbol for a day or a strike that
    cannot be.
    """
    found = _SHAPE.fullmatch(text.strip().upper())
    if found is None:
        return None
    root = found["root"]
    strike = Decimal(found["mills"]) / 1000 if found["mills"] else Decimal(found["strike"])
    try:
        expiry = date(2000 + int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError as error:
        raise UnknownSymbol(text.strip()) from error
    if not strike or root.isdigit():
        raise UnknownSymbol(text.strip())
    if any(character.isdigit() for character in root):
        raise AdjustedRoot(root)
    right = Right.CALL if found["right"] == "C" else Right.PUT
    return OptionSymbol(root, UNDERLYINGS.get(root, root), expiry, right, strike)
