"""The REST side: who asks, how often, what with; faults on order; and the answer with its headers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import BodyPartReader, web

from sandbox.discord import callbacks, channels, commands, guilds, oauth
from sandbox.discord.call import Call, Created, Route
from sandbox.discord.message import Upload
from sandbox.discord.rules import FILE_BYTES, REQUEST_BYTES, Form, Refusal, too_large, unauthorized, unknown
from sandbox.discord.state import Exchange, State
from sandbox.discord.world import Json
from sandbox.grants import Denied

log = logging.getLogger(__name__)

PREFIX = "/api/v10"
ROUTES = (*guilds.ROUTES, *channels.ROUTES, *commands.ROUTES, *callbacks.ROUTES, *oauth.ROUTES)
GLOBAL_LIMIT = 50
BUCKETS_KEPT = 2_000
ACCEPTED = "{'application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'}"

_encode = msgspec.json.Encoder().encode
Headers = dict[str, str]


@dataclass(slots=True)
class _Window:
    used: int
    ends: float


class Limits:
    """Requests counted per bucket in fixed windows, as the headers tell them."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def count(self, bucket: str, major: str, limit: int, window_s: float) -> tuple[int, float]:
        """Count one request; return how many are left (negative: too many) and the seconds until the window ends."""
        now = time.time()
        window = self._windows.get((bucket, major))
        if window is None or now >= window.ends:
            if len(self._windows) > BUCKETS_KEPT:
                self._windows = {key: held for key, held in self._windows.items() if held.ends > now}
            window = self._windows[bucket, major] = _Window(0, now + window_s)
        window.used += 1
        return limit - window.used, window.ends - now


def limit_headers(route: Route, remaining: int, reset_after: float) -> Headers:
    """The headers without which clients would send one request at a time; callbacks belong to no bucket."""
    headers = {
        "X-RateLimit-Limit": str(route.limit),
        "X-RateLimit-Remaining": str(max(0, remaining)),
        "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
        "X-RateLimit-Reset-After": f"{reset_after:.3f}",
    }
    return headers if route.unlimited else headers | {"X-RateLimit-Bucket": route.bucket}


class _Limited(Exception):
    """A 429, by our count or on order."""

    def __init__(
        self, scope: str, retry_after: float, code: int = 0, message: str = "You are being rate limited."
    ) -> None:
        super().__init__(scope)
        self.body: Json = {
            "message": message,
            "code": code,
            "retry_after": round(retry_after, 3),
            "global": scope == "global",
        }
        self.headers = {
            "Retry-After": str(max(1, round(retry_after))),
            "X-RateLimit-Scope": scope,
            "Via": "1.1 google",
            **({"X-RateLimit-Global": "true"} if scope == "global" else {}),
        }


class Rest:
    """Turns the table of routes into handlers of aiohttp."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._limits = Limits()

    def routes(self) -> list[web.RouteDef]:
        known = [web.route(route.method, PREFIX + route.path, self._serve(route)) for route in ROUTES]
        # Discord's documentation names the addresses of tokens without a version.
        known += [web.route(route.method, "/api" + route.path, self._serve(route)) for route in oauth.ROUTES]
        return [*known, web.route("*", "/api/{tail:.*}", self._unknown)]

    def _serve(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            state = self._state
            if not state.base_url:
                state.base_url = str(request.url.origin())
            if route.unlimited and (delay := state.faults.take("callback_delay", request.path)):
                await asyncio.sleep(float(delay["seconds"]))
            call = Call(request.match_info, request.query, authorization=request.headers.get("Authorization", ""))
            headers = limit_headers(route, route.limit - 1, route.window_s)
            try:
                self._order(route, request.path)
                headers = self._admit(route, request, call)
                await _read(route, request, call)
                answer = route.handler(state, call)
                status = 204 if answer is None else 200
                if isinstance(answer, Created):
                    status, answer = 201, answer.answer
            except (Refusal, Denied) as refusal:
                status, answer = refusal.status, refusal.body
                log.info("%s %s refused: %s", request.method, request.path, refusal.body)
            except _Limited as limited:
                status, answer = 429, limited.body
                headers = limited.headers | limit_headers(route, 0, limited.body["retry_after"])
            # The official description leaves out where tokens are made, and secrets pass there.
            return await self._answer(request, call, status, answer, headers, told=not route.form)

        return serve

    def _order(self, route: Route, path: str) -> None:
        faults = self._state.faults
        if limit := faults.take("rate_limit", path):
            raise _Limited(str(limit["scope"]), float(limit["retry_after"]))
        if route.handler is channels.edit_message and faults.take("old_edits", path) is not None:
            raise _Limited("user", 0.05, 30046, "Maximum number of edits to messages older than 1 hour reached.")
        if route.unlimited and (refused := faults.take("callback_refuse", path)):
            raise _refusal(int(refused["status"]))
        if error := faults.take("server_error", path):
            raise _refusal(int(error["status"]))

    def _admit(self, route: Route, request: web.Request, call: Call) -> Headers:
        if not request.headers.get("User-Agent"):
            raise Refusal(403, 40333, "internal network error")
        if not route.token:
            kind, _, token = call.authorization.partition(" ")
            if kind == "Bearer" and route.bearer:
                call.user = oauth.bearer(self._state, token)
            elif kind != "Bot" or not self._state.accepts(token):
                raise unauthorized()
        if not self._state.rate_limits or route.unlimited:
            return limit_headers(route, route.limit - 1, route.window_s)
        params = request.match_info
        person = call.user.id if call.user else ""
        major = params.get("channel") or params.get("guild") or params.get("token") or person
        remaining, reset_after = self._limits.count(route.bucket, major, route.limit, route.window_s)
        if remaining < 0:
            raise _Limited("user", reset_after)
        if not (route.token or call.user):
            over, over_after = self._limits.count("global", "", GLOBAL_LIMIT, 1.0)
            if over < 0:
                raise _Limited("global", over_after)
        return limit_headers(route, remaining, reset_after)

    async def _answer(
        self, request: web.Request, call: Call, status: int, answer: Any, headers: Headers, *, told: bool = True
    ) -> web.StreamResponse:
        state = self._state
        if state.record and told:
            names = tuple(upload.filename for upload in call.uploads.values())
            state.requests.append(Exchange(request.method, request.path, call.body, status, answer, names))
        cut = state.faults.take("abort", request.path) is not None
        body = b"" if answer is None else _encode(answer)
        if body:
            headers["Content-Type"] = "application/json"
        response = web.Response(status=status, body=body or None, headers=headers)
        try:
            if cut:
                await _cut(request, body)
            else:
                await response.prepare(request)
                await response.write_eof()
        finally:
            state.flush()
        return response

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        asked = f"{request.method} {request.path}"
        log.error("no such route: %s", asked)
        self._state.unknown_requests.append(asked)
        return await self._answer(request, Call({}, {}), 404, {"message": "404: Not Found", "code": 0}, {})


def _refusal(status: int) -> Refusal:
    if status == 404:
        return unknown("interaction", 10062)
    if status == 400:
        return Refusal(400, 40060, "Interaction has already been acknowledged.")
    return Refusal(status, 0, f"{status}: Service unavailable" if status >= 500 else f"{status}: Refused")


async def _cut(request: web.Request, body: bytes) -> None:
    """Send the beginning of an answer, then break the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body) + 1)})
    await response.prepare(request)
    await response.write(body[: len(body) // 2] or b"{")
    if request.transport is not None:
        request.transport.abort()


async def _read(route: Route, request: web.Request, call: Call) -> None:
    kind = request.content_type
    if route.form:
        call.body = dict(parse_qsl(await request.text())) if kind == "application/x-www-form-urlencoded" else {}
    elif kind == "multipart/form-data":
        await _read_multipart(request, call)
    elif request.can_read_body:
        if kind != "application/json":
            form = Form()
            form.fault((), "CONTENT_TYPE_INVALID", f'Expected "Content-Type" header to be one of {ACCEPTED}.')
            form.check()
        call.body = _json(await request.read())


def _json(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as wrong:
        raise Refusal(400, 50109, "The request body contains invalid JSON.") from wrong


async def _read_multipart(request: web.Request, call: Call) -> None:
    total = 0
    call.body = {}
    async for part in await request.clone(client_max_size=REQUEST_BYTES).multipart():
        if not isinstance(part, BodyPartReader):
            raise Refusal(400, 50035, "Invalid Form Body")
        content = bytes(await part.read())
        total += len(content)
        name = part.name or ""
        if name == "payload_json":
            call.body = _json(content)
        elif name.startswith("files[") and name.endswith("]") and part.filename:
            if len(content) > FILE_BYTES:
                raise too_large()
            call.uploads[name[6:-1]] = Upload(part.filename, content, part.headers.get("Content-Type"))
        if total > REQUEST_BYTES:
            raise too_large()
