"""A bare discord.py bot with one command that answers "pong": the floor that /quote is measured against."""

import sys

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

base, token = sys.argv[1:]
Route.BASE = f"{base}/api/v10"
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(base.replace("http", "ws") + "/gateway")


class Pong(discord.Client):
    async def setup_hook(self) -> None:
        tree = app_commands.CommandTree(self)

        @tree.command(name="ping", description="Answers pong")
        async def ping(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("pong")

        await tree.sync()


Pong(intents=discord.Intents(guilds=True)).run(token, log_handler=None)
