"""Who stands between the synthetic market and its callers: keys, rate limits, faults, and the control of it all."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Literal, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sandbox.face import TOKENS, Answer, Asked, Credential, Face, Query, Refused, Reply
from sandbox.grants import Denied
from sandbox.listings import LISTED
from sandbox.market import Market
from services.clock import NEW_YORK

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")
Admit = Callable[[Face, Credential, Query], None]
"""Raises Refused when the vendor would not answer this caller."""

StreamFault = Literal["drop", "silent", "connection_limit", "auth_refused", "symbol_limit"]
"""What goes wrong with the stream; all others are of requests."""


class Fault(msgspec.Struct, omit_defaults=True):
    """Something that goes wrong with the answers until it is used up or cleared."""

    kind: (
        Literal["hang", "status", "reset", "half", "garbage", "wrong", "rate_limit", "stale", "invalid_grant"]
        | StreamFault
    )
    """`half` of an answer, `garbage` in its end, the `wrong` one in good JSON, `invalid_grant` at token endpoints."""
    seconds: float | None = None
    status: int | None = None
    headers: bool = True
    """Whether a `rate_limit` says when it is over."""
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


class Desk:
    """Who stands between the market and its callers: keys, rate limit, faults, and the control of it all."""

    def __init__(self, market: Market, admit: Admit) -> None:
        self._market, self._admit = market, admit
        self._faults: list[Fault] = []
        self._minute, self._used = 0, Counter[tuple[str, Credential]]()
        self._requests = Counter[str]()

    def guard(self, face: Face, answer: Answer) -> Handler:
        """Return a handler that answers as the vendor does, in simulated time, unless a fault comes first."""
        return self.attend(face, lambda asked, at: answer(asked.query, at))

    def attend(self, face: Face, reply: Reply) -> Handler:
        """Return such a handler for a route that answers by who asks."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self._requests[request.path] += 1
            fault = self._next_fault(face, request.path) or _NO_FAULT
            if fault.kind == "hang":
                await _hang(request, fault.seconds or 30)
            if fault.kind == "reset":
                return _abort(request)
            now = self._market.now()
            asked = await _asked(face, request)
            try:
                self._refuse(face, asked, fault)
                stale_s = (3600.0 if fault.seconds is None else fault.seconds) if fault.kind == "stale" else 0.0
                body = msgspec.json.encode(reply(asked, now.timestamp() - stale_s))
                status, content_type = 200, "application/json"
            except Refused as refused:
                body, content_type = face.complaint(refused)
                status = refused.status
            except Denied as denied:
                body, content_type, status = msgspec.json.encode(denied.body), "application/json", denied.status
            headers = {"Date": format_datetime(now.astimezone(UTC), usegmt=True)}
            if not (fault.kind == "rate_limit" and not fault.headers):
                reset_s = (fault.seconds or 60.0) if fault.kind == "rate_limit" else 60 - time.monotonic() % 60
                left = 0 if status == 429 else max(face.a_minute - self._used[face.name, asked.credential], 0)
                headers |= face.counted(face.a_minute, left, now.timestamp() + reset_s)
            body = _spoilt(body, fault)
            if fault.kind == "half":
                return await _cut(request, body, headers)
            return web.Response(body=body, status=status, headers=headers, content_type=content_type)

        return handle

    def faulty(self, kind: str) -> bool:
        """Tell whether the stream has a fault of that kind now, which is one of its count."""
        return self._use(next((fault for fault in self._faults if fault.kind == kind), None)) is not None

    def _next_fault(self, face: Face, path: str) -> Fault | None:
        elsewhere = {*get_args(StreamFault), *(() if face is TOKENS else ("invalid_grant",))}
        requests = (fault for fault in self._faults if fault.kind not in elsewhere)
        return self._use(next((fault for fault in requests if fault.path_contains in path), None))

    def _use(self, fault: Fault | None) -> Fault | None:
        if fault and fault.count is not None:
            fault.count -= 1
            if fault.count < 1:
                self._faults.remove(fault)
        return fault

    def _refuse(self, face: Face, asked: Asked, fault: Fault) -> None:
        if asked.credential is _NOBODY:
            raise face.unknown
        self._admit(face, asked.credential, asked.query)
        if fault.kind == "invalid_grant":
            raise Denied("invalid_grant", "a fault of the sandbox")
        if fault.kind == "status":
            raise Refused(fault.status or 500, (fault.status or 500) * 100_000, "a fault of the sandbox")
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._used = minute, Counter()
        self._used[face.name, asked.credential] += 1
        if self._used[face.name, asked.credential] > face.a_minute or fault.kind == "rate_limit":
            raise Refused(429, 42910000, "too many requests.")

    async def show(self, _request: web.Request) -> web.Response:
        """GET /sandbox/market."""
        market, now = self._market, self._market.now()
        at = now.timestamp()
        return answer_json(
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
        turn = await read_body(request, Turn)
        if turn.jump is not None:
            try:
                self._market.jump(turn.jump)
            except ValueError as error:
                raise _bad_request(str(error)) from error
        self._market.clock.turn(speed=turn.speed, paused=turn.paused)
        return await self.show(request)

    async def nudge(self, request: web.Request) -> web.Response:
        """POST /sandbox/market/nudge."""
        nudge = await read_body(request, Nudge)
        if nudge.symbol not in LISTED:
            raise _bad_request(f"the sandbox does not list {nudge.symbol}")
        self._market.nudge(nudge.symbol, nudge.percent)
        return await self.show(request)

    async def list_faults(self, _request: web.Request) -> web.Response:
        """GET /sandbox/market/faults."""
        return answer_json(self._faults)

    async def add_fault(self, request: web.Request) -> web.Response:
        """POST /sandbox/market/faults."""
        self._faults.append(await read_body(request, Fault))
        return answer_json(self._faults)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """DELETE /sandbox/market/faults."""
        self._faults.clear()
        return answer_json(self._faults)

    async def count_requests(self, _request: web.Request) -> web.Response:
        """GET /sandbox/market/requests: how often each address was asked."""
        return answer_json(self._requests)


_NO_FAULT = Fault(kind="stale", seconds=0)
_NOBODY = Credential("nobody")


async def _asked(face: Face, request: web.Request) -> Asked:
    form = parse_qsl(await request.text()) if request.content_type == "application/x-www-form-urlencoded" else ()
    query = {**request.query, **request.match_info}
    return Asked(query, request.headers, dict(form), face.shown(request.headers) or _NOBODY)


def _abort(request: web.Request) -> web.Response:
    assert request.transport, "a request being handled has a connection"
    request.transport.abort()
    return web.Response()


def _spoilt(body: bytes, fault: Fault) -> bytes:
    if fault.kind == "garbage":
        return body[: len(body) // 2] + b"<html>"
    return b"[7]" if fault.kind == "wrong" else body


async def _cut(request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Promise the whole answer, and hang up after half of it."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    return _abort(request)


async def _hang(request: web.Request, seconds: float) -> None:
    until = time.monotonic() + seconds
    # Let go as soon as the caller has, so that a hanging answer never delays the end of the sandbox.
    while time.monotonic() < until and request.transport is not None:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(0.05)


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """Read what the page sent; HTTPBadRequest when it is something else."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise _bad_request(str(error)) from error


def _bad_request(message: str) -> web.HTTPBadRequest:
    body = msgspec.json.encode({"message": message}).decode()
    return web.HTTPBadRequest(text=body, content_type="application/json")


def answer_json(value: object) -> web.Response:
    """Answer the page."""
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
