"""What Alpaca's market-data and trading APIs would say about the synthetic market: pure answers to queries."""

import base64
import hashlib
import math
import re
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from sandbox.face import Json, Query, Refused
from sandbox.listings import LISTED, Listed
from sandbox.market import Candles, Market, merge
from sandbox.option_chain import Chains, Contracts
from sandbox.tape import EXCHANGES, TAPES, Tape, salt_of, stamp
from services.clock import NEW_YORK

_SYMBOL = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,2})?")
_TIMEFRAME = re.compile(r"(\d+)(Min|T|Hour|H|Day|D)")
_STOCK_FEEDS = frozenset({"iex", "sip", "delayed_sip", "otc", "boats", "overnight"})
_DELAYED_S = 900
_GREEKS = ("delta", "gamma", "theta", "vega", "rho")


class MarketData:
    """https://docs.alpaca.markets/reference/stocksnapshots-1 and its neighbours; `at` is seconds since 1970."""

    def __init__(self, market: Market, chains: Chains) -> None:
        self._market, self._chains, self._tape = market, chains, Tape(market)

    def snapshots(self, query: Query, at: float) -> Json:
        return {symbol: self._snapshot(symbol, _feed(query, at)) for symbol in _known(query)}

    def snapshot(self, query: Query, at: float) -> Json:
        symbol = query["symbol"]
        if symbol not in LISTED:
            raise Refused(404, 40410000, f"no snapshot found for {symbol}")
        return {"symbol": symbol} | self._snapshot(symbol, _feed(query, at))

    def latest_quotes(self, query: Query, at: float) -> Json:
        return {"quotes": {symbol: self._quote(LISTED[symbol], _feed(query, at)) for symbol in _known(query)}}

    def latest_trades(self, query: Query, at: float) -> Json:
        return {"trades": {symbol: self._tape.last(LISTED[symbol], _feed(query, at)) for symbol in _known(query)}}

    def bars(self, query: Query, at: float) -> Json:
        """Answer pages over several symbols: ordered by symbol, then by time; the limit counts bars of all of them."""
        limit = _limit(query, 1000, 10_000)
        after_symbol, after_start = _token(query, "", "0")
        found: dict[str, list[Json]] = {}
        count, last = 0, ""
        for symbol in sorted(_known(query)):
            if symbol < after_symbol:
                continue
            for bar, start in self._bars_of(symbol, query, at, int(after_start) if symbol == after_symbol else -1):
                if count == limit:
                    return {"bars": found, "next_page_token": _encode(last)}
                found.setdefault(symbol, []).append(bar)
                count, last = count + 1, f"{symbol}|{start}"
        return {"bars": found, "next_page_token": None}

    def bars_of_one(self, query: Query, at: float) -> Json:
        page = self.bars({**query, "symbols": query["symbol"]}, at)
        bars = page["bars"].get(query["symbol"], [])
        return {"symbol": query["symbol"], "bars": bars, "next_page_token": page["next_page_token"]}

    def trades(self, query: Query, at: float) -> Json:
        """Answer pages as `bars` does."""
        limit = _limit(query, 1000, 10_000)
        after_symbol, after = _token(query, "", "0")
        midnight = datetime.combine(datetime.fromtimestamp(at, NEW_YORK), datetime.min.time(), NEW_YORK)
        start = _moment(query.get("start"), midnight) - 1e-6
        end = min(_moment(query.get("end"), _utc(at)), _feed(query, at))
        found: dict[str, list[Json]] = {}
        count, last = 0, ""
        for symbol in sorted(_known(query)):
            if symbol < after_symbol:
                continue
            since = max(start, float(after)) if symbol == after_symbol else start
            for trade, moment in self._tape.between(symbol, since, end):
                if count == limit:
                    return {"trades": found, "next_page_token": _encode(last)}
                found.setdefault(symbol, []).append(trade)
                count, last = count + 1, f"{symbol}|{moment!r}"
        return {"trades": found, "next_page_token": None}

    def option_snapshots(self, query: Query, at: float) -> Json:
        if query.get("feed", "opra") not in {"opra", "indicative"}:
            raise Refused(400, 40010000, f"invalid feed: {query['feed']}")
        listed = LISTED.get(query["underlying"])
        if listed is None or not listed.has_options:
            return {"snapshots": {}, "next_page_token": None}
        contracts = self._chains.contracts(listed.symbol, at)
        rows, token = _page(contracts, _filter(contracts, query), query, _limit(query, 100, 1000))
        return {"snapshots": dict(self._option_snapshots(listed, contracts, rows, at)), "next_page_token": token}

    def _snapshot(self, symbol: str, at: float) -> Json:
        market, listed = self._market, LISTED[symbol]
        today = market.today(at)
        traded = market.traded_at(symbol, at)
        minutes = market.minutes(symbol, market.day(traded), traded, (traded - 0.001) // 60 * 60)
        return {
            "latestTrade": self._tape.last(listed, at),
            "latestQuote": self._quote(listed, at),
            **({"minuteBar": next(_bars(minutes))[0]} if len(minutes) else {}),
            "dailyBar": next(_bars(market.daily(symbol, today, at)))[0],
            "prevDailyBar": next(_bars(market.daily(symbol, max(today - 1, 0), at)))[0],
        }

    def _quote(self, listed: Listed, at: float) -> Json:
        salt = salt_of(listed.symbol, int(at))
        moment = self._market.traded_at(listed.symbol, at)
        exchange = EXCHANGES[listed.exchange]
        quote = {"t": stamp(moment - salt % 150 / 1000, salt), "c": ["R"], "z": TAPES[listed.exchange]}
        if listed.is_index:
            return quote | {"bx": " ", "bp": 0, "bs": 0, "ax": " ", "ap": 0, "as": 0}
        price = self._market.price(listed.symbol, moment)
        spread = price * 2.5e-5 * (2e7 / listed.volume) ** 0.5 * (1 if self._market.phase(at) == "open" else 5)
        bid = round(price - spread / 2, 2)
        ask = max(round(price + spread / 2, 2), round(bid + 0.01, 2))
        sizes = {"bs": 100 * (1 + salt % 9), "as": 100 * (1 + salt // 9 % 9)}
        return quote | {"bx": exchange, "bp": bid, "ax": exchange, "ap": ask, **sizes}

    def _bars_of(self, symbol: str, query: Query, at: float, after: int) -> Iterator[tuple[Json, int]]:
        market = self._market
        count, unit = _timeframe(query)
        today = datetime.fromtimestamp(at, NEW_YORK).date()
        start = max(_moment(query.get("start"), datetime.combine(today, datetime.min.time(), NEW_YORK)), after + 1.0)
        end = min(_moment(query.get("end"), _utc(at)), at)
        for day in range(market.day(start), market.day(end) + 1):
            if unit == "D":
                bars = market.dailies(symbol, day, day, at)
            else:
                seconds = count * (60 if unit in "MT" else 3600)
                midnight = datetime.combine(market.date_of(day), datetime.min.time(), NEW_YORK)
                bars = merge(market.minutes(symbol, day, at), seconds, int(midnight.timestamp()))
            inside = (bars.start >= start) & (bars.start <= end)
            yield from _bars(bars.cut(inside))

    def _option_snapshots(
        self, listed: Listed, contracts: Contracts, rows: NDArray[np.int64], at: float
    ) -> Iterator[tuple[str, Json]]:
        prices = self._chains.prices(listed.symbol, at)
        stamps = [stamp(prices.at - age**2 * 0.03, age * 7919) for age in range(60)]
        midnight = datetime.fromtimestamp(prices.at, NEW_YORK).replace(hour=0, minute=0, second=0)
        day = midnight.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        columns = [rows, *(getattr(prices, name)[rows] for name in ("bid", "ask", "volume", "iv", *_GREEKS))]
        for row, bid, ask, volume, iv, *greeks in zip(*(column.tolist() for column in columns), strict=True):
            t, size = stamps[row % 60], 1 + row * 37 % 190
            bids = {"bx": "C", "bp": bid, "bs": size if bid else 0}
            snapshot: Json = {"latestQuote": {"t": t, **bids, "ax": "C", "ap": ask, "as": size + 11, "c": "A"}}
            if volume:
                price = round((bid + ask) / 2, 2)
                snapshot["latestTrade"] = {"t": t, "x": "C", "p": price, "s": 1 + row % 9, "c": "I"}
                bar = {"o": price, "h": price, "l": price, "c": price, "vw": price}
                snapshot["dailyBar"] = {"t": day, "v": volume, "n": 1 + volume // 12, **bar}
            if not math.isnan(iv):
                snapshot["impliedVolatility"] = iv
                snapshot["greeks"] = dict(zip(_GREEKS, greeks, strict=True))
            yield contracts.symbols[row], snapshot


class Trading:
    """https://docs.alpaca.markets/reference/getclock-1 and its neighbours: what is listed, when the market is open."""

    def __init__(self, market: Market, chains: Chains) -> None:
        self._market, self._chains = market, chains

    def clock(self, _query: Query, at: float) -> Json:
        now, sessions = datetime.fromtimestamp(at, NEW_YORK), self._market.sessions
        opens = next((opens for opens, _ in sessions if opens > now), sessions[-1][0])
        closes = next((closes for _, closes in sessions if closes > now), sessions[-1][1])
        return {
            "timestamp": now.isoformat(),
            "is_open": self._market.phase(at) == "open",
            "next_open": opens.astimezone(NEW_YORK).isoformat(),
            "next_close": closes.astimezone(NEW_YORK).isoformat(),
        }

    def calendar(self, query: Query, _at: float) -> list[Json]:
        first, last = _date(query, "start", date.min), _date(query, "end", date.max)
        days = [(opens.astimezone(NEW_YORK), closes.astimezone(NEW_YORK)) for opens, closes in self._market.sessions]
        return [
            {
                "date": f"{opens:%Y-%m-%d}",
                "open": f"{opens:%H:%M}",
                "close": f"{closes:%H:%M}",
                "session_open": "0400",
                "session_close": f"{closes + timedelta(hours=4):%H%M}",
                "settlement_date": f"{settles:%Y-%m-%d}",
            }
            for (opens, closes), (settles, _) in pairwise(days)
            if first <= opens.date() <= last
        ]

    def assets(self, query: Query, _at: float) -> list[Json]:
        assets = [_asset(listed) for listed in sorted(LISTED.values(), key=lambda each: (each.exchange, each.symbol))]
        wanted = {"class": query.get("asset_class", "us_equity")}
        wanted |= {name: query[name] for name in ("status", "exchange") if name in query}
        return [asset for asset in assets if all(asset[name] == value for name, value in wanted.items())]

    def asset(self, query: Query, _at: float) -> Json:
        if query["symbol"] not in LISTED:
            raise Refused(404, 40410000, f"asset not found for {query['symbol']}")
        return _asset(LISTED[query["symbol"]])

    def option_contracts(self, query: Query, at: float) -> Json:
        if query.get("status", "active") != "active":
            return {"option_contracts": [], "next_page_token": None}
        today = datetime.fromtimestamp(at, NEW_YORK).date()
        weekend = today + timedelta(days=6 - today.weekday())
        # Alpaca stops at the next weekend unless told otherwise: whoever wants the whole chain must say so.
        query = {"expiration_date_lte": weekend.isoformat()} | dict(query) if "expiration_date" not in query else query
        left, found, token = _limit(query, 100, 10_000), list[msgspec.Raw](), None
        for symbol in sorted(query.get("underlying_symbols", "SPY").split(",")):
            listed = LISTED.get(symbol)
            if listed is None or not listed.has_options or token:
                continue
            contracts = self._chains.contracts(symbol, at)
            rows, token = _page(contracts, _filter(contracts, query), query, left - len(found))
            # Encoded one by one: thousands of dictionaries at once would cost the sandbox its memory budget.
            found += [msgspec.Raw(msgspec.json.encode(_contract(listed, contracts, row))) for row in rows.tolist()]
        return {"option_contracts": found, "next_page_token": token}


def _asset(listed: Listed) -> Json:
    stock = not listed.is_index
    return {
        "id": _asset_id(listed.symbol),
        "class": "us_equity" if stock else "us_index",
        "exchange": listed.exchange,
        "symbol": listed.symbol,
        "name": listed.name,
        "status": "active",
        "tradable": stock,
        "marginable": stock,
        "shortable": stock,
        "easy_to_borrow": stock,
        "fractionable": stock,
        "attributes": ["has_options"] if listed.has_options else [],
    }


@cache
def _asset_id(symbol: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, symbol))


def _contract(listed: Listed, contracts: Contracts, row: int) -> Json:
    symbol, root, strike = contracts.symbols[row], str(contracts.root[row]), f"{contracts.strike[row]:g}"
    expires: date = contracts.expiration[row].item()
    kind = "call" if contracts.is_call[row] else "put"
    return {
        "id": str(uuid.UUID(hashlib.blake2s(symbol.encode(), digest_size=16).hexdigest())),
        "symbol": symbol,
        "name": f"{root} {expires:%b %d %Y} {strike} {kind.title()}",
        "status": "active",
        "tradable": True,
        "expiration_date": expires.isoformat(),
        "root_symbol": root,
        "underlying_symbol": listed.symbol,
        "underlying_asset_id": _asset_id(listed.symbol),
        "type": kind,
        "style": "european" if listed.is_index else "american",
        "strike_price": strike,
        "multiplier": "100",
        "size": "100",
        "open_interest": str(contracts.open_interest[row]),
        "open_interest_date": contracts.open_interest_date.isoformat(),
        "ppind": not listed.is_index,
    }


def _filter(contracts: Contracts, query: Query) -> NDArray[np.int64]:
    keep = np.ones(len(contracts.symbols), np.bool_)
    if "type" in query:
        keep &= contracts.is_call == (query["type"] == "call")
    if "root_symbol" in query:
        keep &= contracts.root == query["root_symbol"]
    keep &= contracts.strike >= _number(query, "strike_price_gte", 0.0)
    keep &= contracts.strike <= _number(query, "strike_price_lte", 1e12)
    exact = query.get("expiration_date")
    keep &= contracts.expiration >= np.datetime64(exact or _date(query, "expiration_date_gte", date.min))
    keep &= contracts.expiration <= np.datetime64(exact or _date(query, "expiration_date_lte", date.max))
    return np.flatnonzero(keep)


def _page(
    contracts: Contracts, rows: NDArray[np.int64], query: Query, limit: int
) -> tuple[NDArray[np.int64], str | None]:
    (after,) = _token(query, "")
    start = bisect_right(rows, after, key=lambda row: contracts.symbols[row])
    page = rows[start : start + limit]
    more = start + limit < len(rows)
    return page, _encode(contracts.symbols[int(page[-1])]) if more else None


def _bars(bars: Candles) -> Iterator[tuple[Json, int]]:
    columns = (bars.start, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for start, o, h, low, c, v in zip(*(column.tolist() for column in columns), strict=True):
        t = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start))
        yield {"t": t, "o": o, "h": h, "l": low, "c": c, "v": v, "n": v // 80, "vw": round((h + low + c) / 3, 4)}, start


def _known(query: Query) -> list[str]:
    asked = [symbol for symbol in query.get("symbols", "").split(",") if symbol]
    if not asked:
        raise Refused(400, 40010001, "symbols is required")
    wrong = [symbol for symbol in asked if not _SYMBOL.fullmatch(symbol)]
    if wrong:
        raise Refused(400, 40010001, f"invalid symbol: {','.join(wrong)}")
    return [symbol for symbol in dict.fromkeys(asked) if symbol in LISTED]


def _feed(query: Query, at: float) -> float:
    feed = query.get("feed", "sip")
    if feed not in _STOCK_FEEDS:
        raise Refused(400, 40010001, f"invalid feed: {feed}")
    return at - _DELAYED_S if feed == "delayed_sip" else at


def _timeframe(query: Query) -> tuple[int, str]:
    match = _TIMEFRAME.fullmatch(query.get("timeframe", ""))
    if match is None or query.get("sort", "asc") != "asc":
        raise Refused(400, 40010001, "the sandbox serves Min, Hour and Day bars in ascending order")
    return int(match[1]), match[2][0]


def _moment(text: str | None, default: datetime) -> float:
    try:
        moment = datetime.fromisoformat(text) if text else default
    except ValueError:
        raise Refused(400, 40010001, f"invalid time: {text}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)).timestamp()


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _date(query: Query, name: str, default: date) -> date:
    try:
        return date.fromisoformat(query[name][:10]) if name in query else default
    except ValueError:
        raise Refused(422, 42210000, f"invalid {name}: {query[name]}") from None


def _number(query: Query, name: str, default: float) -> float:
    try:
        return float(query.get(name, default))
    except ValueError:
        raise Refused(422, 42210000, f"invalid {name}: {query[name]}") from None


def _limit(query: Query, default: int, most: int) -> int:
    limit = int(_number(query, "limit", default))
    if not 1 <= limit <= most:
        raise Refused(400, 40010001, f"limit must be between 1 and {most}")
    return limit


def _token(query: Query, *defaults: str) -> tuple[str, ...]:
    if "page_token" not in query:
        return defaults
    try:
        parts = tuple(base64.urlsafe_b64decode(query["page_token"]).decode().split("|"))
    except ValueError:
        parts = ()
    if len(parts) != len(defaults):
        raise Refused(400, 40010001, "invalid page_token")
    return parts


def _encode(token: str) -> str:
    return base64.urlsafe_b64encode(token.encode()).decode()
