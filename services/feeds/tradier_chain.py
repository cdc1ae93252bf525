"""Tradier's option chains: one answer an expiry, read as a table."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.feeds.base import AM_ROOTS, Chain, Quote
from services.feeds.tradier_wire import Answer, Greeks, Option, many

Floats = NDArray[np.float64]

COLUMNS, QUOTED = 12, 11
"""The columns of a table, and which of them holds when the row was quoted, in seconds since 1970."""
_NO_GREEKS = Greeks()


def table(body: bytes) -> Floats:
    """Read the contracts of one answer, a row each, without adjusted ones; raises DecodeError or ValueError."""
    options = msgspec.json.decode(body, type=Answer).options
    listed = many(options.option) if options and not isinstance(options, str) else []
    return np.array([tuple(_values(each)) for each in listed if _is_standard(each)], np.float64).reshape(-1, COLUMNS)


def chain(quote: Quote, rows: Floats) -> Chain:
    """Return the rows of all expiries, of which there is at least one, as the chain of a symbol."""
    strike, expiry, is_call, am_settled, bid, ask, iv, gamma, delta, open_interest, volume, quoted = rows.T
    return Chain(
        symbol=quote.symbol,
        spot=float(quote.price),
        as_of=datetime.fromtimestamp(float(np.nanmax(quoted)), UTC),
        source=quote.source,
        delay=quote.delay,
        open_interest_date=None,
        strike=strike,
        expiry=expiry.astype(np.int32),
        is_call=is_call == 1,
        am_settled=am_settled == 1,
        bid=bid,
        ask=ask,
        iv=iv,
        gamma=gamma,
        delta=delta,
        open_interest=open_interest,
        volume=volume,
    )


def _is_standard(option: Option) -> bool:
    # A digit in the root, or another size, marks a contract that delivers something else than a hundred shares.
    return option.contract_size == 100 and option.root_symbol.isalpha()


def _values(option: Option) -> Iterator[float]:
    greeks = option.greeks if isinstance(option.greeks, Greeks) else _NO_GREEKS
    quoted_ms = max(option.trade_date or 0, option.bid_date or 0, option.ask_date or 0)
    yield option.strike
    yield _days(option.expiration_date)
    yield option.option_type == "call"
    yield option.root_symbol in AM_ROOTS
    iv = greeks.mid_iv if (greeks.mid_iv or 0) > 0 else greeks.smv_vol
    figures = (option.bid, option.ask, iv, greeks.gamma, greeks.delta)
    for value in (*figures, option.open_interest, option.volume, quoted_ms / 1000 or None):
        yield math.nan if value is None else value


@lru_cache(1024)
def _days(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days
