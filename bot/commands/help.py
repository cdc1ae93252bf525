"""What there is to type, and whether everything works."""

import discord
from discord import app_commands

from bot import embeds
from bot.embeds import GREY
from bot.numbers import locale_for
from bot.replies import Interaction, Reply, answer

_EXAMPLES = {
    "quote": "`symbols:SPY QQQ` — price, change, bid and ask, age of the data",
    "chart": "`symbol:SPY range:5D` — candles, volume, VWAP, averages, with the gamma levels on them",
    "chain": "`symbol:SPY expiration:next friday` — bid, ask, IV, delta, open interest around the money",
    "iv": "`symbol:SPY` — skew, term structure, and how far the price is expected to move",
    "gamma": "`symbol:SPX` — gamma by strike, walls, flip, expected move",
    "levels": "`symbol:SPX` — the same in words, one line each",
    "gamma-history": "`symbol:SPX` — walls, flip and price over days, and a replay of the session",
    "export chain": "`symbol:SPX` — the whole option chain as CSV",
    "buy": "`symbol:SPY quantity:10 limit:601.25` — a private ticket; nothing is sent before **Confirm**",
    "sell": "the same, to sell what you hold",
    "orders": "what you have sent, and buttons to cancel",
    "positions": "what you hold, profit and loss, buttons to sell",
    "balance": "cash and buying power",
    "paper reset": "start your paper account anew",
    "link": "your own broker's market data, for you alone; you sign in at the broker, never here",
    "accounts": "your paper account, the brokers you linked, and what each is used for",
    "unlink": "end a link; asks first",
    "limits": "what you allow yourself, and the rules of the house",
    "panic": "stop: no new entries, every open order cancelled",
    "alert": "`symbol:SPY condition:above value:610` — told once, here or by direct message",
    "alerts": "your alerts: look into, pause, snooze, delete",
    "watch": "`symbols:SPY QQQ` — quotes and levels in a message that this channel keeps; `symbols:stop` ends it",
    "setup board": "`symbols:SPY QQQ` — opening levels and closing summary in this channel",
    "plan": "your plan, what is left of it today, what the plans include",
    "settings": "colours, number format, and who sees your market answers",
    "status": "whether everything works, and how old the data is",
    "help": "this page",
}
_FOOT = """

Symbols complete as you type, by ticker and by name. All but `/setup` works in direct messages too.
Orders go to your **paper account**: simulated money at real prices."""


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
    lines = [f"{_mention(name, ids.get(name.split()[0]))} {text}" for name, text in _EXAMPLES.items()]
    embed = discord.Embed(
        title="PulseEngine",
        colour=GREY,
        description="\n".join(lines) + _FOOT,
    )
    return Reply(embed=embed, private=True)


def _mention(name: str, command_id: int | None) -> str:
    return f"**/{name}**" if command_id is None else f"</{name}:{command_id}>"


async def _status(interaction: Interaction) -> Reply:
    services = interaction.client.services
    parts = {**await services.parts(), "gamma history": await services.data_sync.part()}
    return Reply(embed=embeds.status(parts, services.market.health(), locale_for(interaction)), private=True)
