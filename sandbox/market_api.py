"""The synthetic market over HTTP: Alpaca's two APIs with their faults, and the routes that turn the clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from aiohttp import web

from sandbox.alpaca import MarketData, Query, Refused, Trading
from sandbox.listings import LISTED
from sandbox.market import Market
from sandbox.market_stream import MarketStream
from sandbox.option_chain import Chains
from services.clock import NEW_YORK

Answer = Callable[[Query, float], Any]
"""What a route says to a query at a moment (seconds since 1970)."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")

StreamFault = Literal["drop", "silent", "connection_limit", "auth_refused", "symbol_limit"]
"""What goes wrong with the stream; all others are of requests."""

A_MINUTE = 10_000
"""Requests that the key may make: Alpaca's paid plan."""


class Fault(msgspec.Struct, omit_defaults=True):
    """Something that goes wrong with the answers until it is used up or cleared."""

    kind: Literal["hang", "status", "reset", "garbage", "rate_limit", "stale"] | StreamFault
    seconds: float | None = None
    status: int | None = None
    count: int | None = None
    path_contains: str = ""


class Turn(msgspec.Struct):
    """A change of the clock."""

    paused: bool | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.1, le=600)] | None = None
    jump: str | None = None


class Nudge(msgspec.Struct):
    """A change of a price."""

    symbol: str
    percent: Annotated[float, msgspec.Meta(gt=-50, le=100)]


def routes(market: Market) -> list[web.RouteDef]:
    """Return Alpaca's market data under /alpaca/data, its trading API under /alpaca/paper, and /sandbox/market."""
    chains = Chains(market)
    data, trading, desk = MarketData(market, chains), Trading(market, chains), Desk(market)
    stream = MarketStream(market, data, desk.faulty)
    answers: dict[str, Answer] = {
        "/alpaca/data/v2/stocks/snapshots": data.snapshots,
        "/alpaca/data/v2/stocks/{symbol}/snapshot": data.snapshot,
        "/alpaca/data/v2/stocks/quotes/latest": data.latest_quotes,
        "/alpaca/data/v2/stocks/trades/latest": data.latest_trades,
        "/alpaca/data/v2/stocks/trades": data.trades,
        "/alpaca/data/v2/stocks/bars": data.bars,
        "/alpaca/data/v2/stocks/{symbol}/bars": data.bars_of_one,
        "/alpaca/data/v1beta1/options/snapshots/{underlying}": data.option_snapshots,
        "/alpaca/paper/v2/clock": trading.clock,
        "/alpaca/paper/v2/calendar": trading.calendar,
        "/alpaca/paper/v2/assets": trading.assets,
        "/alpaca/paper/v2/assets/{symbol}": trading.asset,
        "/alpaca/paper/v2/options/contracts": trading.option_contracts,
    }
    return [
        *(web.get(path, desk.guard(answer)) for path, answer in answers.items()),
        web.get("/alpaca/data/v2/{feed:iex|sip}", stream.serve),
        web.get("/sandbox/market", desk.show),
        web.post("/sandbox/market/clock", desk.turn),
        web.post("/sandbox/market/nudge", desk.nudge),
        web.get("/sandbox/market/faults", desk.list_faults),
        web.post("/sandbox/market/faults", desk.add_fault),
        web.delete("/sandbox/market/faults", desk.clear_faults),
    ]


class Desk:
    """Who stands between the market and its callers: keys, rate limit, faults, and the control of it all."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._faults: list[Fault] = []
        self._minute, self._used = 0, 0

    def guard(self, answer: Answer) -> Handler:
        """Return a handler that answers as Alpaca does, in simulated time, unless a fault comes first."""

        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self._next_fault(request.path)
            if fault and fault.kind == "hang":
                await _hang(request, fault.seconds or 30)
            if fault and fault.kind == "reset":
                assert request.transport, "a request being handled has a connection"
                request.transport.abort()
                return web.Response()
            now = self._market.now()
            try:
                self._refuse(request, fault)
                stale_s = (fault.seconds or 3600.0) if fault and fault.kind == "stale" else 0.0
                query = {**request.query, **request.match_info}
                body = msgspec.json.encode(answer(query, now.timestamp() - stale_s))
                status = 200
            except Refused as refused:
                body = msgspec.json.encode({"code": refused.code, "message": str(refused)})
                status = refused.status
            if fault and fault.kind == "garbage":
                body = body[: len(body) // 2] + b"<html>"
            reset_s = (fault.seconds or 60.0) if fault and fault.kind == "rate_limit" else 60 - time.monotonic() % 60
            left = 0 if status == 429 else A_MINUTE - self._used
            headers = {
                "Date": format_datetime(now.astimezone(UTC), usegmt=True),
                "X-RateLimit-Limit": str(A_MINUTE),
                "X-RateLimit-Remaining": str(max(left, 0)),
                "X-RateLimit-Reset": str(int(now.timestamp() + reset_s)),
            }
            return web.Response(body=body, status=status, headers=headers, content_type="application/json")

        return handle

    def faulty(self, kind: str) -> bool:
        """Tell whether the stream has a fault of that kind now, which is one of its count."""
        return self._use(next((fault for fault in self._faults if fault.kind == kind), None)) is not None

    def _next_fault(self, path: str) -> Fault | None:
        requests = (fault for fault in self._faults if fault.kind not in get_args(StreamFault))
        return self._use(next((fault for fault in requests if fault.path_contains in path), None))

    def _use(self, fault: Fault | None) -> Fault | None:
        if fault and fault.count is not None:
            fault.count -= 1
            if fault.count < 1:
                self._faults.remove(fault)
        return fault

    def _refuse(self, request: web.Request, fault: Fault | None) -> None:
        key, secret = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
        if not (key and secret) and not request.headers.get("Authorization", "").startswith("Bearer "):
            raise Refused(401, 40110000, "unauthorized.")
        if fault and fault.kind == "status":
            raise Refused(fault.status or 500, (fault.status or 500) * 100_000, "a fault of the sandbox")
        minute = int(time.monotonic() // 60)
        self._minute, self._used = minute, 1 + (self._used if minute == self._minute else 0)
        if self._used > A_MINUTE or (fault and fault.kind == "rate_limit"):
            raise Refused(429, 42910000, "too many requests.")

    async def show(self, _request: web.Request) -> web.Response:
        """GET /sandbox/market."""
        market, now = self._market, self._market.now()
        at = now.timestamp()
        return _json(
            {
                "now": now.isoformat(),
                "new_york": f"{now.astimezone(NEW_YORK):%a %-d %b %H:%M:%S}",
                "session": market.phase(at),
                "speed": market.clock.speed,
                "paused": market.clock.paused,
                "symbols": [
                    {
                        "symbol": symbol,
                        "name": listed.name,
                        "price": market.price(symbol, at),
                        "change_percent": round(market.change(symbol, at) * 100, 2),
                    }
                    for symbol, listed in LISTED.items()
                ],
            }
        )

    async def turn(self, request: web.Request) -> web.Response:
        """POST /sandbox/market/clock."""
        turn = await _body(request, Turn)
        if turn.jump is not None:
            try:
                self._market.jump(turn.jump)
            except ValueError as error:
                raise _bad_request(str(error)) from error
        self._market.clock.turn(speed=turn.speed, paused=turn.paused)
        return await self.show(request)

    async def nudge(self, request: web.Request) -> web.Response:
        """POST /sandbox/market/nudge."""
        nudge = await _body(request, Nudge)
        if nudge.symbol not in LISTED:
            raise _bad_request(f"the sandbox does not list {nudge.symbol}")
        self._market.nudge(nudge.symbol, nudge.percent)
        return await self.show(request)

    async def list_faults(self, _request: web.Request) -> web.Response:
        """GET /sandbox/market/faults."""
        return _json(self._faults)

    async def add_fault(self, request: web.Request) -> web.Response:
        """POST /sandbox/market/faults."""
        self._faults.append(await _body(request, Fault))
        return _json(self._faults)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """DELETE /sandbox/market/faults."""
        self._faults.clear()
        return _json(self._faults)


async def _hang(request: web.Request, seconds: float) -> None:
    until = time.monotonic() + seconds
    # Let go as soon as the caller has, so that a hanging answer never delays the end of the sandbox.
    while time.monotonic() < until and request.transport is not None:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(0.05)


async def _body(request: web.Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise _bad_request(str(error)) from error


def _bad_request(message: str) -> web.HTTPBadRequest:
    body = msgspec.json.encode({"message": message}).decode()
    return web.HTTPBadRequest(text=body, content_type="application/json")


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
