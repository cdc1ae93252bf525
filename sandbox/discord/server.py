"""The stand-in for Discord in one object, and its routes."""

from typing import Any

from aiohttp import web

from sandbox.discord import oauth, people
from sandbox.discord.interaction import Interaction
from sandbox.discord.page_api import PageApi
from sandbox.discord.person import Person
from sandbox.discord.rest import Rest
from sandbox.discord.state import State
from sandbox.discord.world import Channel, Json, User


class Discord(State):
    """A Discord on this machine.

    Make one, put `routes(discord)` into an aiohttp app, and point an unmodified client at it::

        standin = Discord(record=True)
        app.add_routes(routes(standin))
        discord.http.Route.BASE = "http://127.0.0.1:8080/api/v10"
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL("ws://127.0.0.1:8080/gateway/")

    Then act as a person and read what they read::

        mara = standin.person("Mara")
        answer = await mara.command("quote", symbols="SPY").message()
        await mara.press(answer, "Refresh").message()
        form = mara.press(answer, "Alert me")
        await mara.submit(form, level="600").message()
        assert (await mara.type("quote", symbols="sp").choices())[0]["value"] == "SPY"
    """

    def person(self, name: str, channel: str = "trading-floor") -> Person:
        """Be someone of the world by name or id, at first in this channel; "dm" is the direct channel with the bot."""
        user = self.world.user(name)
        return Person(self, user, self.channel(channel, user))

    def channel(self, name: str, user: User) -> Channel:
        """Find a channel by name or id, or the direct channel of this user as "dm"."""
        return self.world.dm(user) if name == "dm" else self.world.channel(name)

    def interact(self, user: str, channel: str, kind: int, data: Json) -> Interaction:
        """Set off an interaction with the data that Discord's client would send; `Person` is friendlier."""
        who = self.world.user(user)
        interaction = people.interact(self, who, self.channel(channel, who), kind, data)
        self.flush()
        return interaction

    def messages(self, channel: str, user: str) -> list[Json]:
        """What this user reads in this channel, oldest first."""
        who = self.world.user(user)
        return [message.page() for message in self.seen_by(self.channel(channel, who), who)]

    def fault(self, kind: str, **fields: Any) -> None:
        """Order a fault, as `POST /sandbox/faults` does."""
        if kind == "expire_tokens":
            self.expire_tokens()
        else:
            self.faults.add({"kind": kind, **fields})

    async def close(self) -> None:
        """Close the sockets of bot and pages."""
        await self.pages.close()
        await self.gateway.close()


def routes(discord: Discord) -> list[web.RouteDef]:
    """All routes: REST, the page of OAuth2, gateway, attachments, and the API of the page."""

    async def attachment(request: web.Request) -> web.Response:
        found = discord.attachments.get(request.match_info["attachment"])
        if found is None or found.filename != request.match_info["filename"]:
            raise web.HTTPNotFound
        return web.Response(body=found.content, content_type=found.content_type)

    return [
        *Rest(discord).routes(),
        *oauth.page(discord),
        web.get("/gateway", discord.gateway.serve),
        web.get("/gateway/", discord.gateway.serve),
        web.get("/attachments/{channel}/{attachment}/{filename}", attachment),
        *PageApi(discord).routes(),
    ]
