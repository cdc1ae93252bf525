"""The API of the page: the state of the world, what one person sees, and what they do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.discord import people
from sandbox.discord.interaction import COMMAND
from sandbox.discord.rules import Refusal, unknown
from sandbox.discord.state import State
from sandbox.discord.world import Channel, Json, User

SHOWN = 100


def world_state(state: State) -> Json:
    """Everything that the page shows around the messages."""
    world = state.world
    persons = [user for user in world.users.values() if not user.bot]
    return {
        "elsewhere": state.elsewhere,
        "application": {"id": world.application_id, "name": world.bot.username},
        "bot": world.bot.wire() | {"online": state.gateway.online, "colour": world.bot.colour},
        "users": [_person(state, user) for user in persons],
        "guilds": [
            {
                "id": guild.id,
                "name": guild.name,
                "channels": [_channel(channel) for channel in guild.channels.values()],
                "members": list(guild.members),
            }
            for guild in world.guilds.values()
        ],
        "dms": [{"id": world.dm(user).id, "user": user.id} for user in persons],
        "commands": list(state.commands.values()),
    }


def _person(state: State, user: User) -> Json:
    roles = [
        guild.roles[role].name
        for guild in state.world.guilds.values()
        if user.id in guild.members
        for role in guild.members[user.id].roles
    ]
    about = {"locale": user.locale, "roles": roles, "dm_blocked": user.dm_blocked, "colour": user.colour}
    return user.wire() | about


def _channel(channel: Channel) -> Json:
    return {"id": channel.id, "name": channel.name, "type": channel.type, "topic": channel.topic}


class PageApi:
    """Handlers under /sandbox/."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        table: list[tuple[str, str, Callable[[web.Request, Any], Any]]] = [
            ("GET", "/sandbox/state", lambda _request, _body: world_state(self._state)),
            ("GET", "/sandbox/channels/{channel}/messages", self._messages),
            ("POST", "/sandbox/channels/{channel}/messages", self._write),
            ("POST", "/sandbox/interactions", self._interact),
            ("GET", "/sandbox/faults", lambda _request, _body: self._state.faults.wire()),
            ("POST", "/sandbox/faults", self._add_fault),
            ("DELETE", "/sandbox/faults", self._clear_faults),
        ]
        served = [web.route(method, path, self._serve(handler)) for method, path, handler in table]
        return [*served, web.get("/sandbox/ws", self._state.pages.serve)]

    def _serve(self, handler: Callable[[web.Request, Any], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            try:
                body = msgspec.json.decode(await request.read()) if request.can_read_body else {}
                status, answer = 200, handler(request, body)
            except Refusal as refusal:
                status, answer = refusal.status, {"message": refusal.body["message"]}
            except msgspec.DecodeError:
                status, answer = 400, {"message": "This is not JSON"}
            asyncio.get_running_loop().call_soon(self._state.flush)
            return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")

        return serve

    def _user(self, number: Any) -> User:
        user = self._state.world.users.get(str(number))
        if user is None or user.bot:
            raise unknown("User", 10013)
        return user

    def _channel(self, number: Any) -> Channel:
        channel = self._state.world.channels.get(str(number))
        if channel is None:
            raise unknown("Channel", 10003)
        return channel

    def _messages(self, request: web.Request, _body: Any) -> list[Json]:
        user, channel = self._user(request.query.get("user")), self._channel(request.match_info["channel"])
        return [message.page() for message in self._state.seen_by(channel, user)[-SHOWN:]]

    def _write(self, request: web.Request, body: Any) -> Json:
        user, channel = self._user(body.get("user")), self._channel(request.match_info["channel"])
        return people.write(self._state, user, channel, str(body.get("content", ""))).page()

    def _interact(self, _request: web.Request, body: Any) -> Json:
        user, channel = self._user(body.get("user")), self._channel(body.get("channel_id"))
        kind, data = body.get("type", COMMAND), body.get("data")
        if kind not in people.STARTS or not isinstance(data, dict):
            raise Refusal(400, 50035, "An interaction needs a type from 2 to 5 and data")
        return {"id": people.interact(self._state, user, channel, kind, data, str(body.get("nonce", ""))).id}

    def _add_fault(self, _request: web.Request, body: Any) -> list[Any]:
        if body.get("kind") == "expire_tokens":
            self._state.expire_tokens()
        else:
            self._state.faults.add(body)
        return self._state.faults.wire()

    def _clear_faults(self, _request: web.Request, _body: Any) -> list[Any]:
        self._state.faults.clear()
        return []
