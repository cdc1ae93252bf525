"""Tradier's option chains: one answer an expiry, read as a table."""

from datetime import date, datetime
from functools import lru_cache

import msgspec

from services.feeds import chain_table
from services.feeds.base import AM_ROOTS, Chain, Quote
from services.feeds.chain_table import Row, Table
from services.feeds.tradier_wire import Answer, Greeks, Option, many

_NO_GREEKS = Greeks()


def table(body: bytes) -> Table:
    """Read the contracts of one answer, a row each, without adjusted ones; raises DecodeError or ValueError."""
    options = msgspec.json.decode(body, type=Answer).options
    listed = many(options.option) if options and not isinstance(options, str) else []
    return chain_table.table(_row(each) for each in listed if _is_standard(each))


def chain(quote: Quote, as_of: datetime, rows: Table) -> Chain:
    """Return the rows of all expiries as the chain of a symbol; whose open interest it is, Tradier does not say."""
    return chain_table.chain(
        rows, symbol=quote.symbol, spot=float(quote.price), as_of=as_of, source=quote.source, delay=quote.delay
    )


def _is_standard(option: Option) -> bool:
    # A digit in the root, or another size, marks a contract that delivers something else than a hundred shares.
    return option.contract_size == 100 and option.root_symbol.isalpha()


def _row(option: Option) -> Row:
    greeks = option.greeks if isinstance(option.greeks, Greeks) else _NO_GREEKS
    quoted_ms = max(option.trade_date or 0, option.bid_date or 0, option.ask_date or 0)
    return Row(
        option.strike,
        _days(option.expiration_date),
        option.option_type == "call",
        option.root_symbol in AM_ROOTS,
        option.bid,
        option.ask,
        greeks.mid_iv if (greeks.mid_iv or 0) > 0 else greeks.smv_vol,
        greeks.gamma,
        greeks.delta,
        option.open_interest,
        option.volume,
        quoted_ms / 1000 or None,
    )


@lru_cache(1024)
def _days(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days
