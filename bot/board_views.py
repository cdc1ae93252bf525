"""Boards: which channels of a server get the levels of the open and the summary of the close."""

import re
from typing import Any, Self

import discord

from bot.embeds import GREEN, GREY
from bot.places import refuse_silenced
from bot.replies import Interaction, Reply, answer
from bot.views import Pressed
from services.errors import UserError

MOST_REMOVABLE = 20


class RemoveBoard(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"board:remove:(?P<channel>\d{15,20})"):
    """Takes the board of one channel down; for those who may manage the server."""

    def __init__(self, channel_id: int, label: str = "Remove") -> None:
        style = discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label=label[:80], style=style, custom_id=f"board:remove:{channel_id}"))
        self._channel_id = channel_id

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(int(match["channel"]))

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _remove(interaction, self._channel_id), edit=True, private=True)


async def put_up(interaction: Interaction, symbols: tuple[str, ...], channel: discord.TextChannel | None) -> Reply:
    """Set the board of a channel that we may write in."""
    guild = _guild(interaction)
    channel_id = channel.id if channel else interaction.channel_id
    assert channel_id is not None, "a server's command comes from a channel"
    refuse_silenced(interaction, channel)
    board = await interaction.client.services.boards.set_board(guild.id, channel_id, symbols, interaction.user.id)
    embed = discord.Embed(
        colour=GREEN,
        description="Opening levels a minute after the open, a summary a minute after the close, on trading days.",
    )
    view = discord.ui.View(timeout=None)
    view.add_item(RemoveBoard(channel_id))
    return Reply(f"📌 Board of <#{channel_id}>: **{', '.join(board.symbols)}**", embed, view, private=True)


async def listed(interaction: Interaction) -> Reply:
    """Return the boards of the server, each with a way to remove it."""
    guild = _guild(interaction)
    boards = await interaction.client.services.boards.list(guild.id)
    if not boards:
        text = "`/setup board symbols:SPY QQQ` puts one up in this channel."
        return Reply("📌 **No boards**", discord.Embed(colour=GREY, description=text), private=True)
    view = discord.ui.View(timeout=None)
    for board in boards[:MOST_REMOVABLE]:
        channel = guild.get_channel(board.channel_id)
        name = f"#{channel.name}" if channel else "a channel that is gone"
        view.add_item(RemoveBoard(board.channel_id, f"Remove {name}"))
    lines = [f"<#{board.channel_id}> {', '.join(board.symbols)}" for board in boards]
    embed = discord.Embed(colour=GREEN, description="\n".join(lines))
    return Reply(f"📌 **{len(boards)} board{'s' if len(boards) > 1 else ''}**", embed, view, private=True)


async def _remove(interaction: Interaction, channel_id: int) -> Reply:
    guild = _guild(interaction)
    if not interaction.permissions.manage_guild:
        raise UserError("Only people who may manage this server can take a board down.")
    await interaction.client.services.boards.remove(guild.id, channel_id)
    return await listed(interaction)


def _guild(interaction: Interaction) -> discord.Guild:
    if interaction.guild is None:
        raise UserError("A board belongs to a channel of a server. Use this command there.")
    return interaction.guild


BUTTONS = (RemoveBoard,)
