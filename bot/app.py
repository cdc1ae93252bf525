"""Keeps one bot connected until told to stop."""

import asyncio
from contextlib import suppress

import aiohttp
import discord
import structlog

from bot import commands
from bot.client import FirstTime, PulseBot, find_gateway, pause, point_at
from bot.delivery import Delivery
from bot.notice_cards import RENDER
from bot.replies import Tree, unclaimed
from services.errors import PulseError
from services.notices import Outbox
from services.wiring import Services

FAREWELL_S = 5.0
STEADY_S = 60.0

log = structlog.get_logger(__name__)


async def serve(services: Services, stop: asyncio.Event) -> None:
    """Speak Discord until `stop`; a gateway that is away is tried again, a refused token is an error."""
    settings = services.settings
    if settings.discord_token is None:
        raise PulseError(
            "DISCORD_TOKEN is not set: copy it from the Discord developer portal (your application → Bot → Token)."
        )
    api_url = str(settings.discord_api_url)
    point_at(api_url)
    services.health.report("gateway", ok=False, detail="connecting")
    first_time = FirstTime()
    attempt = 0
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        client = PulseBot(
            services, Tree, commands.ALL, commands.BUTTONS, unclaimed, first_time, commands.FORMS, commands.SCENES
        )
        await _connected(client, api_url, settings.discord_token.get_secret_value(), stop)
        attempt = 0 if asyncio.get_running_loop().time() - started > STEADY_S else attempt + 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause(attempt))


async def _connected(client: PulseBot, api_url: str, token: str, stop: asyncio.Event) -> None:
    """Run one client until it ends or `stop`; what can pass by itself is logged, not raised."""
    running = asyncio.create_task(_run(client, api_url, token))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await client.finish(FAREWELL_S)
    await client.close()
    # Only after close(): a client that is just reconnecting takes a cancellation for a lost connection and goes on.
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        pass
    except discord.LoginFailure as error:
        raise PulseError(
            "Discord refused DISCORD_TOKEN: reset it in the developer portal and set the new one."
        ) from error
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError, RecursionError) as error:
        client.services.health.report("gateway", ok=False, detail="Discord cannot be reached, trying again")
        log.warning("discord away", error=repr(error))


async def _run(client: PulseBot, api_url: str, token: str) -> None:
    await find_gateway(api_url)
    services = client.services
    delivery = Delivery(client, Outbox(services.database), RENDER, services.health, services.settings.share_of_shards)
    await client.login(token)
    async with delivery.running():
        await client.connect()
