"""Prices and levels that stay in a channel."""

import discord
from discord import app_commands

from bot import watch_views
from bot.missed import told
from bot.params import TickersParam
from bot.replies import Interaction, answer
from services.watches import EVERY_MIN

STOP = "STOP"
_EVERY = [
    app_commands.Choice(name="every minute" if minutes == 1 else f"every {minutes} minutes", value=minutes)
    for minutes in EVERY_MIN
]


@app_commands.command(name="watch", description="Keep quotes and gamma levels in a message here")
@app_commands.describe(
    symbols="Such as SPY QQQ; stop ends the watch of the channel",
    every="How often it is edited in market hours; else 5 minutes",
    channel="This channel unless you choose",
)
@app_commands.choices(every=_EVERY)
@app_commands.default_permissions(manage_messages=True)
async def watch(
    interaction: Interaction,
    symbols: app_commands.Transform[tuple[str, ...], TickersParam],
    every: int | None = None,
    channel: discord.TextChannel | None = None,
) -> None:
    """Put up, change or end the watch of a channel."""
    work = (
        watch_views.stop(interaction, channel)
        if symbols == (STOP,)
        else watch_views.put_up(interaction, symbols, every, channel)
    )
    await answer(interaction, told(interaction, work), private=True)
