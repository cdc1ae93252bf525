"""What Tradier's market data API would say about the synthetic market: one, many or none, as XML made it."""

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from sandbox.alpaca import MarketData
from sandbox.face import Json, Query, Refused
from sandbox.listings import LISTED
from sandbox.market import Candles, Market, merge
from sandbox.option_chain import Chains
from services.clock import NEW_YORK

_MINUTES = {"1min": 1, "5min": 5, "15min": 15}
_GREEKS = ("delta", "gamma", "theta", "vega", "rho")


class TradierMarket:
    """https://documentation.tradier.com/brokerage-api/markets; `at` is seconds since 1970."""

    def __init__(self, market: Market, chains: Chains, data: MarketData) -> None:
        self._market, self._chains, self._data = market, chains, data

    def quotes(self, query: Query, at: float) -> Json:
        asked = [symbol for symbol in query.get("symbols", "").split(",") if symbol]
        if not asked:
            raise Refused(400, 400, "Invalid parameter, symbols: is required.")
        known = {symbol: _canonical(symbol) for symbol in dict.fromkeys(asked) if _canonical(symbol) in LISTED}
        found: Json = {"quote": _collapsed(self._quote(symbol, name, at) for symbol, name in known.items())}
        unknown = [symbol for symbol in asked if symbol not in known]
        found |= {"unmatched_symbols": {"symbol": _collapsed(unknown)}} if unknown else {}
        return {"quotes": {name: value for name, value in found.items() if value != "null"}}

    def expirations(self, query: Query, at: float) -> Json:
        listed = LISTED.get(_canonical(query.get("symbol", "")))
        if listed is None or not listed.has_options:
            return {"expirations": "null"}
        contracts = self._chains.contracts(listed.symbol, at)
        keep = np.ones(len(contracts.symbols), np.bool_)
        if query.get("includeAllRoots", "false") != "true":
            keep &= contracts.root == listed.symbol.replace(".", "")
        days: list[date] = np.unique(contracts.expiration[keep]).tolist()
        if query.get("strikes", "false") != "true":
            return {"expirations": {"date": _collapsed(day.isoformat() for day in days)}}
        strikes = [np.unique(contracts.strike[keep & (contracts.expiration == np.datetime64(day))]) for day in days]
        particulars = (
            {
                "date": day.isoformat(),
                "contract_size": 100,
                "expiration_type": _type(day),
                "strikes": {"strike": _collapsed(each.tolist())},
            }
            for day, each in zip(days, strikes, strict=True)
        )
        return {"expirations": {"expiration": _collapsed(particulars)}}

    def chains(self, query: Query, at: float) -> Json:
        listed = LISTED.get(_canonical(query.get("symbol", "")))
        day = _date(query, "expiration")
        if listed is None or not listed.has_options:
            return {"options": "null"}
        contracts = self._chains.contracts(listed.symbol, at)
        prices = self._chains.prices(listed.symbol, at)
        options = []
        for row in np.flatnonzero(contracts.expiration == np.datetime64(day)).tolist():
            bid, ask, iv, volume = (getattr(prices, name)[row].item() for name in ("bid", "ask", "iv", "volume"))
            quoted_ms, size = int(prices.at * 1000) - row % 60 * 100, 1 + row * 37 % 190
            known = not math.isnan(iv)
            last = round((bid + ask) / 2, 2) if volume else None
            greeks = {name: round(getattr(prices, name)[row].item(), 10) if known else 0.0 for name in _GREEKS}
            vols = {"phi": 0.0, "bid_iv": iv, "mid_iv": iv, "ask_iv": iv, "smv_vol": iv} if known else _NO_VOLS
            hour = datetime.fromtimestamp(prices.at // 3600 * 3600, UTC)
            options.append(
                {
                    "symbol": contracts.symbols[row],
                    "description": f"{listed.symbol} {day:%b %-d %Y} ${contracts.strike[row]:.2f} Option",
                    "exch": "Z",
                    "type": "option",
                    "last": last,
                    "change": None,
                    "volume": volume,
                    "open": last,
                    "high": last,
                    "low": last,
                    "close": None,
                    "bid": bid,
                    "ask": ask,
                    "underlying": listed.symbol,
                    "strike": contracts.strike[row].item(),
                    "change_percentage": None,
                    "average_volume": 0,
                    "last_volume": min(volume, 1 + row % 9),
                    "trade_date": quoted_ms if volume else 0,
                    "prevclose": None,
                    "week_52_high": 0.0,
                    "week_52_low": 0.0,
                    "bidsize": size if bid else 0,
                    "bidexch": "C",
                    "bid_date": quoted_ms,
                    "asksize": size + 11,
                    "askexch": "C",
                    "ask_date": quoted_ms,
                    "open_interest": contracts.open_interest[row].item(),
                    "contract_size": 100,
                    "expiration_date": day.isoformat(),
                    "expiration_type": _type(day),
                    "option_type": "call" if contracts.is_call[row] else "put",
                    "root_symbol": str(contracts.root[row]),
                    "greeks": {**greeks, **vols, "updated_at": f"{hour:%Y-%m-%d %H:%M:%S}"},
                }
            )
        if query.get("greeks", "false") != "true":
            options = [option | {"greeks": None} for option in options]
        found = _collapsed(options)
        return {"options": "null" if found == "null" else {"option": found}}

    def history(self, query: Query, at: float) -> Json:
        symbol = _canonical(query.get("symbol", ""))
        if query.get("interval", "daily") != "daily":
            raise Refused(400, 400, "Invalid parameter, interval: the sandbox serves daily.")
        if symbol not in LISTED:
            return {"history": "null"}
        market = self._market
        first, last = _date(query, "start"), _date(query, "end")
        bars = market.dailies(symbol, market.day_on_or_before(first - timedelta(days=1)) + 1, self._last(last), at)
        days = (
            {"date": f"{datetime.fromtimestamp(bar.pop('at'), NEW_YORK):%Y-%m-%d}", **bar} for bar in _candles(bars)
        )
        found = _collapsed(days)
        return {"history": "null" if found == "null" else {"day": found}}

    def timesales(self, query: Query, at: float) -> Json:
        symbol = _canonical(query.get("symbol", ""))
        minutes = _MINUTES.get(query.get("interval", "1min"))
        if minutes is None:
            raise Refused(400, 400, "Invalid parameter, interval: must be 1min, 5min or 15min.")
        if symbol not in LISTED:
            return {"series": "null"}
        start, end = _moment(query, "start"), min(_moment(query, "end"), at)
        series = []
        for day in range(self._market.day(start), self._market.day(end) + 1):
            bars = merge(self._market.minutes(symbol, day, at), minutes * 60)
            opens, closes = self._market.hours(day)
            if query.get("session_filter", "all") == "open":
                bars = bars.cut((bars.start >= opens) & (bars.start < closes))
            for bar in _candles(bars.cut((bars.start >= start) & (bars.start <= end))):
                moment = bar.pop("at")
                price = round((bar["high"] + bar["low"]) / 2, 4)
                stamps = {"time": f"{datetime.fromtimestamp(moment, NEW_YORK):%Y-%m-%dT%H:%M:%S}", "timestamp": moment}
                series.append({**stamps, "price": price, **bar, "vwap": price})
        found = _collapsed(series)
        return {"series": "null" if found == "null" else {"data": found}}

    def _last(self, day: date) -> int:
        return min(self._market.day_on_or_before(day), self._market.days() - 1)

    def _quote(self, symbol: str, name: str, at: float) -> Json:
        listed = LISTED[name]
        told = self._data.snapshots({"symbols": name, "feed": "sip"}, at)[name]
        trade, top, day = told["latestTrade"], told["latestQuote"], told["dailyBar"]
        opens, closes = self._market.hours(self._market.day(at))
        begun = at >= opens
        before = (told["prevDailyBar"] if begun else day)["c"]
        change = round(trade["p"] - before, 4)
        return {
            "symbol": symbol,
            "description": listed.name,
            "exch": "Q",
            "type": "index" if listed.is_index else "stock",
            "last": trade["p"],
            "change": change,
            "volume": day["v"] if begun else 0,
            "open": day["o"] if begun else None,
            "high": day["h"] if begun else None,
            "low": day["l"] if begun else None,
            "close": day["c"] if begun and at >= closes else None,
            "bid": top["bp"] or None,
            "ask": top["ap"] or None,
            "change_percentage": round(change / before * 100, 2),
            "average_volume": listed.volume,
            "last_volume": trade["s"],
            "trade_date": _milliseconds(trade["t"]),
            "prevclose": before,
            "week_52_high": round(listed.price * 1.2, 2),
            "week_52_low": round(listed.price * 0.8, 2),
            "bidsize": top["bs"] // 100,
            "bidexch": "Q",
            "bid_date": _milliseconds(top["t"]) if top["bp"] else 0,
            "asksize": top["as"] // 100,
            "askexch": "Q",
            "ask_date": _milliseconds(top["t"]) if top["ap"] else 0,
            "root_symbols": name.replace(".", ""),
        }


_NO_VOLS = {"phi": 0.0, "bid_iv": 0.0, "mid_iv": 0.0, "ask_iv": 0.0, "smv_vol": 0.0}


def _candles(bars: Candles) -> Iterable[Json]:
    columns = (bars.start, bars.open, bars.high, bars.low, bars.close, bars.volume)
    names = ("at", "open", "high", "low", "close", "volume")
    return (dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True))


def _collapsed(things: Iterable[Any]) -> Any:
    """Return many as a list, one as itself, none as the string "null"."""
    several = list(things)
    return several if len(several) > 1 else several[0] if several else "null"


def _type(day: date) -> str:
    return "standard" if day.weekday() == 4 and 15 <= day.day <= 21 else "weeklys"


def _canonical(symbol: str) -> str:
    return symbol.upper().replace("/", ".")


def _milliseconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp() * 1000)


def _date(query: Query, name: str) -> date:
    try:
        return date.fromisoformat(query[name])
    except (KeyError, ValueError):
        raise Refused(400, 400, f"Invalid parameter, {name}: must be YYYY-MM-DD.") from None


def _moment(query: Query, name: str) -> float:
    try:
        return datetime.strptime(query[name], "%Y-%m-%d %H:%M").replace(tzinfo=NEW_YORK).timestamp()
    except (KeyError, ValueError):
        raise Refused(400, 400, f"Invalid parameter, {name}: must be YYYY-MM-DD HH:MM.") from None
