"""The synthetic market as a stream, in Alpaca's websocket protocol (https://docs.alpaca.markets/docs/streaming-market-data)."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from sandbox.alpaca import MarketData
from sandbox.brokers import Brokers
from sandbox.face import ALPACA, Credential, Refused
from sandbox.listings import LISTED
from sandbox.market import Market
from sandbox.tape import Tape

CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections", "cancelErrors")
BEAT_S = 0.05
AUTH_WITHIN_S = 10.0

Faulty = Callable[[str], bool]
"""Tells whether something of that kind is to go wrong now, and uses it up where it is counted."""
Json = dict[str, Any]


class StreamError(Exception):
    """What Alpaca says before it hangs up."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class MarketStream:
    """One connection at a time for each caller, as Alpaca's plans allow."""

    def __init__(self, market: Market, data: MarketData, faulty: Faulty, brokers: Brokers) -> None:
        self._market, self._data, self._faulty, self._brokers = market, data, faulty, brokers
        self._taken: set[Credential] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Handle GET /alpaca/data/v2/{feed}."""
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        await _send(socket, {"T": "success", "msg": "connected"})
        caller = None
        try:
            caller = await self._authenticate(request, socket)
            self._taken.add(caller)
            await self._stream(request, socket)
        except StreamError as error:
            await _send(socket, {"T": "error", "code": error.code, "msg": str(error)})
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            self._taken -= {caller}
        return socket

    async def _authenticate(self, request: web.Request, socket: web.WebSocketResponse) -> Credential:
        key, secret = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
        if not (key and secret):
            try:
                message = await socket.receive(AUTH_WITHIN_S)
            except TimeoutError:
                raise StreamError(404, "auth timeout") from None
            said = _read(message.data)
            if said.get("action") != "auth":
                raise StreamError(401, "not authenticated")
            key, secret = said.get("key"), said.get("secret")
        if not (key and secret) or self._faulty("auth_refused"):
            raise StreamError(402, "auth failed")
        caller = Credential(secret, bearer=True) if key == "oauth" else Credential(key)
        try:
            self._brokers.admit(ALPACA, caller, request.match_info)
        except Refused as refused:
            unsold = refused.status == 403
            raise StreamError(*((409, "insufficient subscription") if unsold else (402, "auth failed"))) from None
        if caller in self._taken or self._faulty("connection_limit"):
            raise StreamError(406, "connection limit exceeded")
        await _send(socket, {"T": "success", "msg": "authenticated"})
        return caller

    async def _stream(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        asked: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
        sending = asyncio.create_task(self._send_market(request, socket, asked))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                said = _read(message.data)
                _change(asked, said)
                if self._faulty("symbol_limit"):
                    raise StreamError(405, "symbol limit exceeded")
                await _send(socket, {"T": "subscription"} | {name: sorted(asked[name]) for name in CHANNELS})
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_market(
        self, request: web.Request, socket: web.WebSocketResponse, asked: dict[str, set[str]]
    ) -> None:
        """Send what has traded since the last beat; what a turn of the clock skipped was never live."""
        tape = Tape(self._market)
        sent = seen = self._market.now().timestamp()
        while not socket.closed:
            await asyncio.sleep(BEAT_S)
            if self._faulty("drop"):
                assert request.transport, "an open socket has a connection"
                request.transport.abort()
                return
            now = self._market.now().timestamp()
            if not 0 <= now - seen <= max(60 * BEAT_S * self._market.clock.speed, 1):
                sent = now
            seen = now
            if self._faulty("silent"):
                continue
            messages = self._messages(tape, asked, sent, now)
            sent = now
            if messages:
                await _send(socket, *messages)

    def _messages(self, tape: Tape, asked: dict[str, set[str]], after: float, until: float) -> list[Json]:
        messages: list[tuple[float, Json]] = []
        for symbol in _listed(asked["trades"]):
            trades = tape.between(symbol, after, until)
            messages += [(moment, {"T": "t", "S": symbol, **trade}) for trade, moment in trades]
        for symbol in _listed(asked["quotes"]):
            if any(tape.between(symbol, after, until)):
                quote = self._data.latest_quotes({"symbols": symbol}, until)["quotes"][symbol]
                messages.append((until, {"T": "q", "S": symbol, **quote}))
        return [message for _, message in sorted(messages, key=lambda each: each[0])]


def _change(asked: dict[str, set[str]], said: Json) -> None:
    for channel in CHANNELS:
        symbols = said.get(channel, [])
        if said.get("action") == "subscribe":
            asked[channel].update(symbols)
        elif said.get("action") == "unsubscribe":
            asked[channel].difference_update(symbols)
        elif said.get("action") == "auth":
            raise StreamError(403, "already authenticated")
        else:
            raise StreamError(400, "invalid syntax")


def _listed(asked: set[str]) -> Iterable[str]:
    return LISTED if "*" in asked else sorted(asked & LISTED.keys())


def _read(data: Any) -> Json:
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, TypeError):
        raise StreamError(400, "invalid syntax") from None
    if not isinstance(said, dict):
        raise StreamError(400, "invalid syntax")
    return said


async def _send(socket: web.WebSocketResponse, *messages: Json) -> None:
    if not socket.closed:
        await socket.send_str(msgspec.json.encode(messages).decode())
