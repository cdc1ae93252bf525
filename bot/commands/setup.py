"""What the people who run a server decide for it."""

import discord
from discord import app_commands

from bot import board_views
from bot.params import TickersParam
from bot.replies import Interaction, answer

setup = app_commands.Group(
    name="setup",
    description="Decide what PulseEngine does in this server",
    default_permissions=discord.Permissions(manage_guild=True),
    allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
    allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
)


@setup.command(name="board", description="Post opening levels and closing summary in a channel")
@app_commands.describe(
    symbols="Such as SPY QQQ; left out, the boards are listed",
    channel="This channel unless you choose",
)
async def board(
    interaction: Interaction,
    symbols: app_commands.Transform[tuple[str, ...], TickersParam] | None = None,
    channel: discord.TextChannel | None = None,
) -> None:
    """Set the board of a channel, or show the boards of the server."""
    work = board_views.put_up(interaction, symbols, channel) if symbols else board_views.listed(interaction)
    await answer(interaction, work, private=True)
