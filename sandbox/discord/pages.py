"""The browsers that look on: each as one person, told only what that person may see."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from sandbox.discord.world import Channel, User, World

_encode = msgspec.json.Encoder().encode


class Pages:
    """Sockets by the person who speaks through them, each with its own ordered outbox."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._outboxes: dict[web.WebSocketResponse, tuple[User, asyncio.Queue[str]]] = {}

    def publish(self, event: str, data: Any, *, to: str | None = None, channel: Channel | None = None) -> None:
        """Tell everybody, or only the user id `to`, or only those who see `channel`."""
        if not self._outboxes:
            return
        text = _encode({"t": event, "d": data}).decode()
        for user, outbox in self._outboxes.values():
            if to in {None, user.id} and (channel is None or channel.seen_by(user)):
                outbox.put_nowait(text)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Hold the socket of one page; what it sends is ignored."""
        user = self._world.users.get(request.query.get("user", ""))
        if user is None:
            raise web.HTTPNotFound(text="no such user")
        socket = web.WebSocketResponse(heartbeat=30, timeout=1)
        await socket.prepare(request)
        outbox: asyncio.Queue[str] = asyncio.Queue()
        self._outboxes[socket] = user, outbox
        writer = asyncio.create_task(self._write(socket, outbox))
        try:
            async for _ in socket:
                pass
        finally:
            del self._outboxes[socket]
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    @staticmethod
    async def _write(socket: web.WebSocketResponse, outbox: asyncio.Queue[str]) -> None:
        while True:
            await socket.send_str(await outbox.get())

    async def close(self) -> None:
        """Close every page's socket."""
        await asyncio.gather(*(socket.close(code=1001) for socket in self._outboxes))
