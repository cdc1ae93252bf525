"""What there is to type, and whether everything works."""

import discord
from discord import app_commands

from bot import embeds
from bot.embeds import GREY
from bot.replies import Interaction, Reply, answer

_EXAMPLES = {
    "quote": "`symbols:SPY` or `symbols:SPY QQQ AAPL` — price, change, bid and ask, day range, age of the data",
    "gamma": "`symbol:SPX` — gamma by strike, walls, flip, expected move; choose with `expiry:` and `theme:`",
    "status": "whether Discord, the database and the market data work, and how old the data is",
    "help": "this page",
}


@app_commands.command(name="help", description="What you can type here")
async def help_command(interaction: Interaction) -> None:
    """Answer with every command and an example."""
    await answer(interaction, _help(interaction), private=True)


@app_commands.command(name="status", description="Whether Discord, the database and the data feeds work")
async def status(interaction: Interaction) -> None:
    """Answer with the state of every part."""
    await answer(interaction, _status(interaction), private=True)


async def _help(interaction: Interaction) -> Reply:
    ids = interaction.client.command_ids
    lines = [
        f"{f'</{name}:{ids[name]}>' if name in ids else f'**/{name}**'} {text}" for name, text in _EXAMPLES.items()
    ]
    embed = discord.Embed(
        title="PulseEngine",
        colour=GREY,
        description="\n".join(lines)
        + "\n\nSymbols complete as you type, by ticker and by name. Everything here works in direct messages too.",
    )
    return Reply(embed=embed, private=True)


async def _status(interaction: Interaction) -> Reply:
    services = interaction.client.services
    parts = await services.parts()
    return Reply(embed=embeds.status(parts, services.market.health()), private=True)
