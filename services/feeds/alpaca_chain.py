"""Alpaca's option chains: snapshots of the contracts, joined with the open interest of the trading API."""

import asyncio
import math
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np

from services.errors import NoChain, UnknownSymbol
from services.feeds import chain_table
from services.feeds.alpaca_wire import Contract, Contracts, Greeks, OptionSnapshot, OptionSnapshots, pages
from services.feeds.base import AM_ROOTS, Chain, Quote
from services.feeds.chain_table import OPEN_INTEREST, Row, Table
from services.feeds.entitlement import Entitlement
from services.feeds.upstream import Upstream

OptionFeed = Literal["indicative", "opra"]

_DELAYS: Final = {"indicative": timedelta(minutes=15), "opra": timedelta(0)}
_SOURCES: Final = {"indicative": "{} indicative", "opra": "{} OPRA"}
_STANDARD = re.compile(r"[A-Z]{1,6}\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])[CP]\d{8}")
# It changes once a day, in the night and not at an hour that Alpaca promises.
_INTEREST_KEPT = timedelta(hours=1)
_MOST_KEPT = 32
_SAME_MOMENT = timedelta(minutes=2)

_Page = tuple[list[str], Table]
"""Option symbols and their rows."""


@dataclass(frozen=True, slots=True)
class _OpenInterest:
    asked: datetime
    day: date | None
    contracts: Mapping[str, float]
    """By option symbol, as far as Alpaca says."""
    adjusted: frozenset[str]
    """Contracts that deliver something else than 100 shares."""


class Options:
    """The option side of Alpaca, over its data and its trading API."""

    def __init__(self, data: Upstream, trading: Upstream, feeds: Entitlement[OptionFeed]) -> None:
        self._data, self._trading, self._feeds = data, trading, feeds
        self._interest: dict[str, _OpenInterest] = {}

    async def chain(self, symbol: str, underlying: Coroutine[Any, Any, Quote | None]) -> Chain:
        """Return the whole chain, or raise: a page that fails fails the chain, for half a chain shows wrong walls.

        Raises FeedUnavailable, UnknownSymbol or NoChain. Spot is the stock's last trade where it belongs to the moment
        of the option quotes, else put-call parity of the nearest expiry. Adjusted contracts are left out.
        """
        async with asyncio.TaskGroup() as group:
            quoted = group.create_task(underlying)
            interest = group.create_task(self._open_interest(symbol))
            sides = [group.create_task(self._side(symbol, side)) for side in ("call", "put")]
        quote, counted = quoted.result(), interest.result()
        listed = [page for side in sides for page in side.result()]
        names = [name for contracts, _ in listed for name in contracts]
        standard = np.array([name not in counted.adjusted for name in names], np.bool_)
        if not standard.any():
            raise NoChain(symbol) if quote else UnknownSymbol(symbol)
        rows = chain_table.joined(page for _, page in listed)
        rows[:, OPEN_INTEREST] = [counted.contracts.get(name, math.nan) for name in names]
        return self._chain(symbol, quote, rows[standard], counted.day)

    async def _side(self, symbol: str, side: str) -> list[_Page]:
        return await self._feeds.ask(lambda feed: self._snapshots(symbol, side, feed))

    async def _snapshots(self, symbol: str, side: str, feed: OptionFeed) -> list[_Page]:
        path = f"/v1beta1/options/snapshots/{symbol}"
        query = {"feed": feed, "limit": "1000", "type": side}
        found: list[_Page] = []
        async for page in pages(self._data, path, query, OptionSnapshots):
            # Page by page, so that a long chain does not hold up the event loop.
            rows = {name: _row(name, each) for name, each in (page.snapshots or {}).items() if _is_standard(name)}
            found.append((list(rows), chain_table.table(rows.values())))
        return found

    async def _open_interest(self, symbol: str) -> _OpenInterest:
        kept = self._interest.get(symbol)
        if kept and abs(self._data.clock.now() - kept.asked) < _INTEREST_KEPT:
            return kept
        # Alpaca stops at the next weekend unless told otherwise.
        horizon = (self._data.clock.now() + timedelta(days=3650)).date()
        query = {"underlying_symbols": symbol, "expiration_date_lte": horizon.isoformat(), "limit": "10000"}
        listed: list[Contract] = []
        async for page in pages(self._trading, "/v2/options/contracts", query, Contracts):
            listed += page.option_contracts or []
        day = max((c.open_interest_date for c in listed if c.open_interest_date), default=None)
        numbers = {c.symbol: c.open_interest for c in listed if c.open_interest is not None}
        adjusted = frozenset(c.symbol for c in listed if c.multiplier != 100)
        now = self._data.clock.now()
        fresh = {name: each for name, each in self._interest.items() if abs(now - each.asked) < _INTEREST_KEPT}
        found = _OpenInterest(now, day, numbers, adjusted)
        fresh.pop(symbol, None)
        self._interest = dict(list(fresh.items())[1 - _MOST_KEPT :]) | {symbol: found}
        return found

    def _chain(self, symbol: str, quote: Quote | None, rows: Table, counted: date | None) -> Chain:
        as_of = chain_table.newest(rows)
        if as_of is None:
            raise self._data.unavailable(f"it sent no quotes of {symbol} options")
        parity = _parity_spot(rows)
        together = quote is not None and abs(quote.as_of - as_of) <= _SAME_MOMENT
        spot = float(quote.price) if quote and (together or parity is None) else parity
        if spot is None:
            raise self._data.unavailable(f"it sent no price of {symbol} and too few option quotes to infer it from")
        return chain_table.chain(
            rows,
            symbol=symbol,
            spot=spot,
            as_of=as_of,
            source=_SOURCES[self._feeds.best].format(self._data.vendor_name),
            delay=_DELAYS[self._feeds.best],
            open_interest_date=counted,
        )


def _is_standard(name: str) -> bool:
    """Tell standard contracts from adjusted ones, whose root ends in a digit (AAPL1)."""
    return _STANDARD.fullmatch(name) is not None


@lru_cache(1024)
def _days(yymmdd: str) -> int:
    return (date(2000 + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:])) - date(1970, 1, 1)).days


def _row(name: str, snapshot: OptionSnapshot) -> Row:
    """Return all but the open interest, which another API tells."""
    top, greeks, bar = snapshot.latest_quote, snapshot.greeks or Greeks(), snapshot.daily_bar
    return Row(
        int(name[-8:]) / 1000,
        _days(name[-15:-9]),
        name[-9] == "C",
        name[:-15] in AM_ROOTS,
        (top.bp or None) if top else None,
        (top.ap or None) if top else None,
        snapshot.implied_volatility,
        greeks.gamma,
        greeks.delta,
        None,
        bar.v if bar else None,
        top.t.timestamp() if top else None,
    )


def _parity_spot(rows: Table) -> float | None:
    """Infer spot from the nearest expiry that is quoted on both sides: K + C − P where calls and puts cost alike."""
    strike, expiry, is_call, _, bid, ask = rows.T[:6]
    mid = (bid + ask) / 2
    for day in np.unique(expiry):
        call, put = (np.flatnonzero((expiry == day) & (is_call == side) & np.isfinite(mid)) for side in (True, False))
        common, at_call, at_put = np.intersect1d(strike[call], strike[put], return_indices=True)
        if len(common) >= 3:
            difference = mid[call[at_call]] - mid[put[at_put]]
            nearest = np.argsort(np.abs(difference))[:8]
            return float(np.median((common + difference)[nearest]))
    return None
