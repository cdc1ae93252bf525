"""Watches in channels: who may keep one where, and the button that ends it."""

import re
from typing import Any, Self

import discord

from bot import watch_cards
from bot.embeds import GREY
from bot.places import refuse_silenced
from bot.replies import Interaction, Reply, answer
from bot.views import Pressed
from db.models import Watch
from services.errors import UserError

DEFAULT_EVERY_MIN = 5


class StopWatch(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"watch:stop:(?P<token>[0-9a-f]{12})"):
    """Ends a watch; for its owner, and for those who may manage messages where it stands."""

    def __init__(self, token: str) -> None:
        super().__init__(discord.ui.Button(label="Stop", emoji="⏹️", custom_id=f"watch:stop:{token}"))
        self._token = token

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["token"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _pressed_stop(interaction, self._token), edit=True)


async def put_up(
    interaction: Interaction, symbols: tuple[str, ...], every_min: int | None, channel: discord.TextChannel | None
) -> Reply:
    """Keep a watch in a channel where the person may, and we can."""
    channel_id = _place(interaction, channel)
    refuse_silenced(interaction, channel)
    watch = await interaction.client.services.watches.put_up(
        channel_id, interaction.guild_id, interaction.user.id, symbols, every_min or DEFAULT_EVERY_MIN
    )
    return Reply(*watch_cards.set_up(watch.symbols, channel_id, watch.every_min), private=True)


async def stop(interaction: Interaction, channel: discord.TextChannel | None) -> Reply:
    """End the watch of a channel."""
    channel_id = _place(interaction, channel)
    ended = await interaction.client.services.watches.stop(interaction.user.id, channel_id=channel_id)
    if ended is None:
        return Reply(
            f"👁️ **No watch** in <#{channel_id}>",
            discord.Embed(colour=GREY, description="`/watch symbols:SPY QQQ` puts one up."),
            private=True,
        )
    return Reply(_ended(interaction, ended), private=True)


async def _pressed_stop(interaction: Interaction, token: str) -> Reply:
    watches = interaction.client.services.watches
    if interaction.guild_id and not interaction.permissions.manage_messages:
        watch = await watches.get(token)
        if watch and watch.user_id != interaction.user.id:
            raise UserError("Only its owner and people who may manage messages here can stop this watch.")
    ended = await watches.stop(interaction.user.id, token=token)
    if ended is None:
        raise UserError("This watch has ended already.")
    return Reply(_ended(interaction, ended))


def _ended(interaction: Interaction, watch: Watch) -> str:
    return watch_cards.ended({"symbols": watch.symbols, "ended_by": interaction.user.id})


def _place(interaction: Interaction, channel: discord.TextChannel | None) -> int:
    channel_id = channel.id if channel else interaction.channel_id
    assert channel_id is not None, "a command comes from a channel"
    if interaction.context.private_channel or (interaction.guild_id and not interaction.is_guild_integration()):
        raise UserError(
            "I am not a member here, so I can keep no message here. Use `/watch` in a server that I was added to, "
            "or in our direct messages."
        )
    if interaction.guild_id and not _may(interaction, channel).manage_messages:
        raise UserError(f"Only people who may manage messages in <#{channel_id}> can keep a watch there.")
    return channel_id


def _may(interaction: Interaction, channel: discord.TextChannel | None) -> discord.Permissions:
    if channel is None or channel.id == interaction.channel_id or not isinstance(interaction.user, discord.Member):
        return interaction.permissions
    return channel.permissions_for(interaction.user)


BUTTONS = (StopWatch,)
