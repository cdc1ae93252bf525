"""The connection to Discord: one client, kept connected whatever happens to the gateway."""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import structlog
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from services.wiring import Services

if TYPE_CHECKING:  # it builds on this file
    from bot.pictures import SceneKind

REMEMBERED_INTERACTIONS = 10_000
LONGEST_PAUSE_S = 30.0
CLAIMED_WITHIN_S = 0.5
PACE_WINDOW_S = 30.0
FREE_CONNECTIONS = 5

log = structlog.get_logger(__name__)

Command = app_commands.Command[Any, ..., Any] | app_commands.Group
Button = type[discord.ui.DynamicItem[Any]]
FormHandler = Callable[[discord.Interaction[Any], str, Mapping[str, str]], Awaitable[None]]
"""Takes the interaction, the token that the form was opened with, and what was typed by field name."""


class FirstTime:
    """Remembers what was seen, because Discord may deliver an interaction more than once."""

    def __init__(self, most: int = REMEMBERED_INTERACTIONS) -> None:
        self._most = most
        self._seen: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, interaction_id: int) -> bool:
        return interaction_id in self._seen

    def __call__(self, interaction_id: int) -> bool:
        """Tell whether this id is new."""
        if interaction_id in self._seen:
            return False
        self._seen[interaction_id] = None
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return True


class Pace:
    """Slows connections down when they follow each other, because discord.py resumes a closed one at once, for ever."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._recent: deque[float] = deque()

    def __call__(self, now: float) -> float:
        """Return the seconds to wait before connecting at `now`: none for the first `free` within half a minute."""
        while self._recent and now - self._recent[0] > PACE_WINDOW_S:
            self._recent.popleft()
        self._recent.append(now)
        return 0.0 if len(self._recent) <= self._free else pause(len(self._recent) - self._free)


class PulseBot(discord.AutoShardedClient):
    """discord.py's client with our services, commands and buttons."""

    def __init__(
        self,
        services: Services,
        tree: type[app_commands.CommandTree[Any]],
        commands: Iterable[Command],
        buttons: Iterable[Button],
        unclaimed: Callable[[Any], Awaitable[None]],
        first_time: FirstTime,
        forms: Mapping[str, FormHandler],
        scenes: "Mapping[str, SceneKind]",
    ) -> None:
        settings = services.settings
        shards: dict[str, Any] = {}
        if settings.shard_ids:
            shards = {"shard_ids": list(settings.shard_ids), "shard_count": settings.shard_count}
        # A bot without voice need not warn that it has none.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            **shards,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            guild_ready_timeout=0.5,
        )
        self.services = services
        self.first_time = first_time
        self.command_ids: dict[str, int] = {}
        self.answering: set[asyncio.Task[Any]] = set()
        self.timers: set[asyncio.Task[Any]] = set()
        self.tree = tree(
            self,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )
        for command in commands:
            self.tree.add_command(command)
        self.add_dynamic_items(*buttons)
        self._unclaimed = unclaimed
        self._forms = forms
        self.scenes = scenes
        self._connect = self.http.ws_connect
        self._pace = Pace(FREE_CONNECTIONS * len(settings.shard_ids or (0,)))
        self.http.ws_connect = self._connect_paced  # type: ignore[method-assign] # the one place that every connection passes

    async def _connect_paced(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        await asyncio.sleep(self._pace(asyncio.get_running_loop().time()))
        return await self._connect(url, compress=compress)

    async def setup_hook(self) -> None:
        """Register the commands before the first event arrives."""
        registered = await self.tree.sync()
        self.command_ids = {command.name: command.id for command in registered}
        log.info("commands registered", count=len(registered), application=self.application_id)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        if interaction.type is discord.InteractionType.modal_submit:
            await self._submitted(interaction)
        # discord.py drops a press that no button of ours knows, and the presser would wait for nothing.
        if interaction.type is discord.InteractionType.component:
            await asyncio.sleep(CLAIMED_WITHIN_S)
            if interaction.id not in self.first_time:
                await self._unclaimed(interaction)

    async def _submitted(self, interaction: discord.Interaction[Any]) -> None:
        # Not through discord.py's own store: that one forgets at a restart the forms that are open on screens.
        data: Any = interaction.data
        kind, _, token = data["custom_id"].rpartition("#")[0].rpartition(":")
        if kind in self._forms:
            await self._forms[kind](interaction, token, _typed(data["components"]))
        else:
            await self._unclaimed(interaction)

    async def on_ready(self) -> None:
        self._tell(ok=True, detail=f"connected, {len(self.guilds)} server{'' if len(self.guilds) == 1 else 's'}")

    async def on_resumed(self) -> None:
        self._tell(ok=True, detail=f"connected, {len(self.guilds)} server{'' if len(self.guilds) == 1 else 's'}")

    async def on_disconnect(self) -> None:
        if not self.is_closed():
            self._tell(ok=False, detail="connection lost, reconnecting")

    async def finish(self, within_s: float) -> None:
        """Let the answers that are being made reach their askers."""
        if self.answering:
            await asyncio.wait(self.answering, timeout=within_s)

    async def close(self) -> None:
        """Disconnect, and leave undone what was to happen later."""
        for timer in self.timers:
            timer.cancel()
        await super().close()

    def _tell(self, *, ok: bool, detail: str) -> None:
        self.services.health.report("gateway", ok=ok, detail=detail)
        log.info("gateway", ok=ok, detail=detail)


def _typed(components: Iterable[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for component in components:
        found |= _typed(component.get("components") or filter(None, [component.get("component")]))
        if "custom_id" in component:
            found[component["custom_id"]] = component.get("value") or ""
    return found


def point_at(api_url: str) -> None:
    """Send discord.py to another Discord than the public one, e.g. a stand-in."""
    Route.BASE = api_url.rstrip("/")


async def find_gateway(api_url: str) -> None:
    """Point discord.py's first connection at the gateway that the REST API names; raises aiohttp.ClientError."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.get(f"{api_url.rstrip('/')}/gateway") as answer,
    ):
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL((await answer.json())["url"])


def pause(attempt: int) -> float:
    """Return the seconds to wait before connecting again: doubling, with jitter, at most half a minute."""
    return random.uniform(0.5, 1) * min(LONGEST_PAUSE_S, 2.0 ** min(attempt, 10))
