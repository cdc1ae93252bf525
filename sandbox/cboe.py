"""What Cboe's delayed quotes would say about the synthetic market: a file a symbol, a quarter of an hour late."""

from datetime import datetime
from time import gmtime, strftime

import numpy as np

from sandbox.alpaca import MarketData
from sandbox.face import Json, Query, Refused
from sandbox.listings import LISTED
from sandbox.market import Market
from sandbox.option_chain import Chains
from services.clock import NEW_YORK

DELAY_S = 900


class Delayed:
    """The files that https://www.cboe.com/delayed_quotes reads; `at` is seconds since 1970."""

    def __init__(self, market: Market, chains: Chains, data: MarketData) -> None:
        self._market, self._chains, self._data = market, chains, data

    def options(self, query: Query, at: float) -> Json:
        name = query["name"]
        listed = LISTED.get(name.removeprefix("_"))
        if listed is None or listed.is_index != name.startswith("_"):
            raise Refused(403, 403, "Access Denied")
        then = at - DELAY_S
        told = self._data.snapshots({"symbols": listed.symbol, "feed": "sip"}, then)[listed.symbol]
        trade, top, day, before = (told[part] for part in ("latestTrade", "latestQuote", "dailyBar", "prevDailyBar"))
        data = {
            "symbol": f"^{listed.symbol}" if listed.is_index else listed.symbol,
            "security_type": "index" if listed.is_index else "stock",
            "exchange_id": 0,
            "current_price": trade["p"],
            "price_change": round(trade["p"] - before["c"], 4),
            "price_change_percent": round((trade["p"] / before["c"] - 1) * 100, 4),
            "bid": float(top["bp"]),
            "ask": float(top["ap"]),
            "bid_size": top["bs"],
            "ask_size": top["as"],
            "open": day["o"],
            "high": day["h"],
            "low": day["l"],
            "close": day["c"],
            "prev_day_close": before["c"],
            "volume": day["v"],
            "iv30": round(listed.volatility * 100, 3),
            "iv30_change": 0.0,
            "iv30_change_percent": 0.0,
            "seqno": int(at * 1000),
            "last_trade_time": _new_york(self._market.traded_at(listed.symbol, then)),
            "tick": "up",
            "options": self._options(listed.symbol, then) if listed.has_options else [],
        }
        return {"timestamp": strftime("%Y-%m-%d %H:%M:%S", gmtime(at)), "data": data, "symbol": name}

    def _options(self, symbol: str, at: float) -> list[Json]:
        contracts, prices = self._chains.contracts(symbol, at), self._chains.prices(symbol, at)
        traded_at = _new_york(prices.at)
        figures = (np.nan_to_num(getattr(prices, name)) for name in ("iv", "delta", "gamma", "theta", "vega", "rho"))
        columns = [prices.bid, prices.ask, prices.volume, contracts.open_interest, *figures]
        return [
            {
                "option": name,
                "bid": bid,
                "bid_size": 7.0 if bid else 0.0,
                "ask": ask,
                "ask_size": 11.0,
                "iv": iv,
                "open_interest": float(interest),
                "volume": float(volume),
                "delta": delta,
                # rounded as Cboe rounds it
                "gamma": round(gamma, 4),
                "theta": theta,
                "rho": rho,
                "vega": vega,
                "theo": round((bid + ask) / 2, 4),
                "change": 0.0,
                "open": 0.0,
                "high": 0.0,
                "low": 0.0,
                "tick": "no_change",
                "last_trade_price": round((bid + ask) / 2, 2) if volume else 0.0,
                "last_trade_time": traded_at if volume else None,
                "percent_change": 0.0,
                "prev_day_close": 0.0,
            }
            for name, bid, ask, volume, interest, iv, delta, gamma, theta, vega, rho in zip(
                contracts.symbols, *(column.tolist() for column in columns), strict=True
            )
        ]


def _new_york(at: float) -> str:
    return f"{datetime.fromtimestamp(at, NEW_YORK):%Y-%m-%dT%H:%M:%S}"
