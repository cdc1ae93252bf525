"""The gateway: sessions that identify, beat, resume with replay, and are told what happens in order."""

import asyncio
import logging
import math
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import zstandard
from aiohttp import WSMessage, WSMsgType, web

from sandbox.discord.world import Guild, Json, World

log = logging.getLogger(__name__)

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE = range(5)
RESUME, RECONNECT, MEMBERS, INVALID, HELLO, ACK = range(6, 12)

UNKNOWN_OPCODE, DECODE_ERROR, NOT_AUTHENTICATED, AUTHENTICATION_FAILED, ALREADY_AUTHENTICATED = range(4001, 4006)
INVALID_SEQ, RATE_LIMITED, SESSION_TIMED_OUT, INVALID_SHARD = 4007, 4008, 4009, 4010
INVALID_VERSION, INVALID_INTENTS, DISALLOWED_INTENTS = 4012, 4013, 4014

GUILDS, GUILD_MEMBERS, PRESENCES = 1 << 0, 1 << 1, 1 << 8
GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1 << 9, 1 << 12, 1 << 15
PRIVILEGED = GUILD_MEMBERS | PRESENCES | MESSAGE_CONTENT
KNOWN_INTENTS = (1 << 26) - 1

SERVICE_RESTART = 1012

SENDS_PER_MINUTE = 120
REPLAYED = 1_000
RESUME_WINDOW_S = 60.0
ACK_AFTER_S = 0.002

_encode = msgspec.json.Encoder().encode


class Compressor(Protocol):
    """Turns one payload into one websocket message of a stream that lasts as long as the connection."""

    def __call__(self, payload: bytes) -> bytes: ...


def _zlib_stream() -> Compressor:
    stream = zlib.compressobj()
    return lambda payload: stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)


def _zstd_stream() -> Compressor:
    stream = zstandard.ZstdCompressor(level=1).compressobj()
    return lambda payload: stream.compress(payload) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


COMPRESSIONS: dict[str, Callable[[], Compressor]] = {"zlib-stream": _zlib_stream, "zstd-stream": _zstd_stream}


def _payload(message: WSMessage) -> Json | None:
    try:
        payload = msgspec.json.decode(message.data) if message.type in {WSMsgType.TEXT, WSMsgType.BINARY} else None
    except msgspec.DecodeError:
        return None
    return payload if isinstance(payload, dict) and isinstance(payload.get("op"), int) else None


class Connection:
    """One websocket of the bot: an ordered outbox with a single writer, so that a slow reader holds up nobody else."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, compress: Compressor | None) -> None:
        self.socket = socket
        self.session: Session | None = None
        self.closed_with: int | None = None
        self.beaten_at = time.monotonic()
        self.url = str(request.url.with_scheme(request.url.scheme.replace("http", "ws")).with_query(None))
        self._request = request
        self._compress = compress
        self._outbox: asyncio.Queue[bytes | int] = asyncio.Queue()
        self._sends: deque[float] = deque(maxlen=SENDS_PER_MINUTE)

    def send(self, op: int, data: Any = None, sequence: int | None = None, event: str | None = None) -> None:
        self._outbox.put_nowait(_encode({"op": op, "d": data, "s": sequence, "t": event}))

    def close(self, code: int) -> None:
        """Close in order: after everything that was sent before."""
        self._outbox.put_nowait(code)

    def cut(self) -> None:
        """Break the connection without a closing frame, as a failing network does."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def too_many_sends(self) -> bool:
        now = time.monotonic()
        full = len(self._sends) == SENDS_PER_MINUTE and now - self._sends[0] < 60
        self._sends.append(now)
        return full

    async def write(self) -> None:
        with suppress(ConnectionResetError):
            while not isinstance(item := await self._outbox.get(), int):
                if self._compress is None:
                    await self.socket.send_str(item.decode())
                else:
                    await self.socket.send_bytes(self._compress(item))
            self.closed_with = item
            await self.socket.close(code=item)


@dataclass(eq=False, slots=True)
class Session:
    """What outlives a connection: the sequence and the last events, to be replayed on RESUME."""

    token: str
    shard: tuple[int, int]
    intents: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    sequence: int = 0
    events: deque[tuple[int, str, Any]] = field(default_factory=lambda: deque(maxlen=REPLAYED))
    connection: Connection | None = None
    lost_at: float = 0.0

    def dispatch(self, event: str, data: Any) -> None:
        self.sequence += 1
        self.events.append((self.sequence, event, data))
        if self.connection is not None:
            self.connection.send(DISPATCH, data, self.sequence, event)

    def can_replay_after(self, sequence: int) -> bool:
        return sequence == self.sequence or (bool(self.events) and self.events[0][0] <= sequence + 1)

    @property
    def alive(self) -> bool:
        return self.connection is not None or time.monotonic() - self.lost_at < RESUME_WINDOW_S

    def hears(self, guild_id: str | None) -> bool:
        """Guild events go to the shard of the guild, direct messages to shard 0."""
        index, total = self.shard
        return index == (0 if guild_id is None else (int(guild_id) >> 22) % total)


class Gateway:
    """All sessions of the bot, and the websocket route that makes them."""

    def __init__(self, world: World, accepts: Callable[[str], bool], privileged: int) -> None:
        self.heartbeat_s = 41.25
        self.away_until = 0.0
        self.identified = 0
        self.on_presence: Callable[[bool], None] = lambda _online: None
        self._world = world
        self._accepts = accepts
        self._allowed = KNOWN_INTENTS & ~PRIVILEGED | privileged
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()

    @property
    def online(self) -> bool:
        return any(session.connection for session in self._sessions.values())

    @property
    def reachable(self) -> bool:
        """Whether an event sent now is heard, at once or after a RESUME."""
        return any(session.alive for session in self._sessions.values())

    def sessions(self) -> list[Session]:
        return list(self._sessions.values())

    def connections(self) -> list[Connection]:
        return list(self._connections)

    def forget(self, connection: Connection) -> None:
        """Invalidate the session of this connection; the client may IDENTIFY on it again."""
        if connection.session is not None:
            self._sessions.pop(connection.session.id, None)
            connection.session = None
            self.on_presence(self.online)

    def dispatch(self, event: str, data: Any, guild_id: str | None = None, intents: int = 0) -> None:
        """Tell every session of the right shard whose intents include one of these (0 for events that need none)."""
        for session in list(self._sessions.values()):
            if not session.alive:
                del self._sessions[session.id]
            elif session.hears(guild_id) and (not intents or session.intents & intents):
                session.dispatch(event, data)

    def dispatch_message(self, event: str, message: Json, *, concerns_bot: bool) -> None:
        """Tell of a message; sessions without the content intent see only what concerns the bot."""
        guild_id = message.get("guild_id")
        needed = DIRECT_MESSAGES if guild_id is None else GUILD_MESSAGES
        bare = message if concerns_bot else message | {"content": "", "embeds": [], "attachments": [], "components": []}
        for session in self.sessions():
            if session.alive and session.hears(guild_id) and session.intents & needed:
                session.dispatch(event, message if session.intents & MESSAGE_CONTENT else bare)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Hold one websocket connection of the bot from HELLO to its close."""
        if time.monotonic() < self.away_until:
            return web.Response(status=503, text="upstream connect error")
        socket = web.WebSocketResponse(timeout=1, max_msg_size=64 * 1024)
        await socket.prepare(request)
        make = COMPRESSIONS.get(request.query.get("compress", ""))
        connection = Connection(socket, request, make() if make else None)
        if request.query.get("v", "10") != "10" or request.query.get("encoding", "json") != "json":
            await socket.close(code=INVALID_VERSION)
            return socket
        self._connections.add(connection)
        writer, watch = asyncio.create_task(connection.write()), asyncio.create_task(self._watch(connection))
        connection.send(HELLO, {"heartbeat_interval": int(self.heartbeat_s * 1000), "_trace": ["sandbox"]})
        try:
            async for message in socket:
                self._receive(connection, message)
        finally:
            watch.cancel()
            connection.close(1000)
            await asyncio.wait({writer}, timeout=1)
            self._connections.discard(connection)
            self._lose(connection)
        return socket

    async def _watch(self, connection: Connection) -> None:
        limit = self.heartbeat_s * 1.5
        while True:
            silence = time.monotonic() - connection.beaten_at
            if silence >= limit:
                connection.close(SESSION_TIMED_OUT)
                return
            await asyncio.sleep(limit - silence)

    def _lose(self, connection: Connection) -> None:
        session = connection.session
        if session is None or session.connection is not connection:
            return
        session.connection, session.lost_at = None, time.monotonic()
        # Whoever answers our 4000 with a polite 1000 has not given the session up.
        turned_away = connection.closed_with not in {None, 1000}
        if connection.socket.close_code in {1000, 1001} and not turned_away:
            self._sessions.pop(session.id, None)
        self.on_presence(self.online)

    def _receive(self, connection: Connection, message: WSMessage) -> None:
        payload = _payload(message)
        if payload is None:
            return connection.close(DECODE_ERROR)
        op, data = payload["op"], payload.get("d")
        if connection.too_many_sends():
            connection.close(RATE_LIMITED)
        elif op == HEARTBEAT:
            connection.beaten_at = time.monotonic()
            # discord.py notes the time of a beat after sending it, so an instant answer looks like a late one.
            asyncio.get_running_loop().call_later(ACK_AFTER_S, connection.send, ACK)
        elif op in {IDENTIFY, RESUME}:
            self._authenticate(connection, op, data)
        elif connection.session is None:
            connection.close(NOT_AUTHENTICATED)
        elif op == MEMBERS and isinstance(data, dict):
            self._send_members(connection.session, data)
        elif op not in {PRESENCE, VOICE}:
            connection.close(UNKNOWN_OPCODE)
        return None

    def _authenticate(self, connection: Connection, op: int, data: Any) -> None:
        if connection.session is not None:
            connection.close(ALREADY_AUTHENTICATED)
        elif not isinstance(data, dict):
            connection.close(DECODE_ERROR)
        elif op == IDENTIFY:
            self._identify(connection, data)
        else:
            self._resume(connection, data)

    def _identify(self, connection: Connection, data: Json) -> None:
        if (refused := self._refuse_identify(data)) is not None:
            log.warning("gateway refused IDENTIFY with %s", refused)
            return connection.close(refused)
        index, total = data.get("shard") or (0, 1)
        session = Session(data["token"], (index, total), data["intents"], connection=connection)
        connection.session = session
        self._sessions[session.id] = session
        self.identified += 1
        mine = [guild for guild in self._world.guilds.values() if session.hears(guild.id)]
        session.dispatch("READY", self._ready(session, mine, connection.url))
        for guild in mine if session.intents & GUILDS else ():
            session.dispatch("GUILD_CREATE", guild.arrival(self._world.bot))
        self.on_presence(True)
        return None

    def _refuse_identify(self, data: Json) -> int | None:
        token, intents, shard = data.get("token"), data.get("intents"), data.get("shard") or [0, 1]
        if not isinstance(token, str) or not self._accepts(token):
            return AUTHENTICATION_FAILED
        if not isinstance(data.get("properties"), dict):
            return DECODE_ERROR
        if not isinstance(intents, int) or intents & ~KNOWN_INTENTS:
            return INVALID_INTENTS
        if intents & ~self._allowed:
            return DISALLOWED_INTENTS
        valid = isinstance(shard, list) and len(shard) == 2 and all(isinstance(part, int) for part in shard)
        return None if valid and 0 <= shard[0] < shard[1] else INVALID_SHARD

    def _ready(self, session: Session, guilds: Iterable[Guild], resume_url: str) -> Json:
        return {
            "v": 10,
            "user": self._world.bot.wire() | {"verified": True, "mfa_enabled": False, "email": None},
            "user_settings": {},
            "session_type": "normal",
            "session_id": session.id,
            "resume_gateway_url": resume_url,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": [{"id": guild.id, "unavailable": True} for guild in guilds],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "shard": list(session.shard),
            "application": {"id": self._world.application_id, "flags": 0},
            "_trace": ["sandbox"],
        }

    def _resume(self, connection: Connection, data: Json) -> None:
        session = self._sessions.get(str(data.get("session_id")))
        sequence = data.get("seq")
        if not self._accepts(str(data.get("token"))):
            return connection.close(AUTHENTICATION_FAILED)
        if session is None or not session.alive or not isinstance(sequence, int):
            return connection.send(INVALID, data=False)
        if sequence > session.sequence:
            return connection.close(INVALID_SEQ)
        if not session.can_replay_after(sequence):
            return connection.send(INVALID, data=False)
        if session.connection is not None:
            session.connection.session = None
            session.connection.close(SESSION_TIMED_OUT)
        session.connection, connection.session = connection, session
        for number, event, payload in session.events:
            if number > sequence:
                connection.send(DISPATCH, payload, number, event)
        session.dispatch("RESUMED", {"_trace": ["sandbox"]})
        self.on_presence(True)
        return None

    def _send_members(self, session: Session, data: Json) -> None:
        guild = self._world.guilds.get(str(data.get("guild_id")))
        if guild is None:
            return
        asked = data.get("user_ids")
        wanted = {str(user) for user in (asked if isinstance(asked, list) else [asked])} if asked else None
        query, limit = str(data.get("query") or "").lower(), data.get("limit") or len(guild.members)
        found = [
            member.wire()
            for member in guild.members.values()
            if (member.user.id in wanted if wanted is not None else member.user.username.startswith(query))
        ]
        nonce = {"nonce": data["nonce"]} if data.get("nonce") else {}
        chunk: Json = {"guild_id": guild.id, "members": found[:limit], "chunk_index": 0, "chunk_count": 1}
        chunk["not_found"] = sorted((wanted or set()) - guild.members.keys())
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk | nonce)

    async def close(self) -> None:
        """Close every connection and take no new ones."""
        self.away_until = math.inf
        await asyncio.gather(*(connection.socket.close(code=SERVICE_RESTART) for connection in self.connections()))
