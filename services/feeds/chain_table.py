"""Option chains while an adapter collects them: tables with a row a contract, in the end put together."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.feeds.base import Chain

Table = NDArray[np.float64]


class Row(NamedTuple):
    """One contract as in `Chain`, the prices as of `quoted`; None where the source does not say."""

    strike: float
    expiry: int
    is_call: bool
    am_settled: bool
    bid: float | None
    ask: float | None
    iv: float | None
    gamma: float | None
    delta: float | None
    open_interest: float | None
    volume: float | None
    quoted: float | None
    """Seconds since 1970."""


OPEN_INTEREST, _QUOTED = (Row._fields.index(name) for name in ("open_interest", "quoted"))


def table(rows: Iterable[Row]) -> Table:
    """Return rows as a table."""
    # numpy takes twice as long over tuples with names
    return np.array([tuple(row) for row in rows], np.float64).reshape(-1, len(Row._fields))


def joined(tables: Iterable[Table]) -> Table:
    """Return the rows of any number of tables as one."""
    return np.concatenate([table(()), *tables])


def newest(rows: Table) -> datetime | None:
    """Return the latest moment (aware UTC) that a row is of, None where no row tells any."""
    quoted = rows[:, _QUOTED]
    return None if np.isnan(quoted).all() else datetime.fromtimestamp(float(np.nanmax(quoted)), UTC)


def chain(
    rows: Table,
    *,
    symbol: str,
    spot: float,
    as_of: datetime,
    source: str,
    delay: timedelta | None,
    open_interest_date: date | None = None,
) -> Chain:
    """Return the rows of all expiries as the chain of a symbol."""
    columns = dict(zip(Row._fields, rows.T, strict=True))
    del columns["quoted"]
    return Chain(
        symbol=symbol,
        spot=spot,
        as_of=as_of,
        source=source,
        delay=delay,
        open_interest_date=open_interest_date,
        expiry=columns.pop("expiry").astype(np.int32),
        is_call=columns.pop("is_call") == 1,
        am_settled=columns.pop("am_settled") == 1,
        **columns,
    )
