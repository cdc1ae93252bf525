"""Where an interaction happened, as notices need to know it to find the person again."""

from datetime import timedelta

import discord

from bot.replies import Interaction
from db.models import Place
from services.errors import UserError

TOKEN_LIVES = timedelta(minutes=15)


def answer_of(interaction: Interaction) -> Place:
    """Return the place of this interaction's answer, which only the person reads."""
    return Place(
        channel_id=interaction.channel_id,
        guild_id=interaction.guild_id,
        token=interaction.token,
        token_expires_at=interaction.created_at + TOKEN_LIVES,
    )


def channel_of(interaction: Interaction, *, dm: bool) -> Place:
    """Return the channel of this interaction, or the person's direct messages with that channel as the way back."""
    return Place(channel_id=interaction.channel_id, guild_id=interaction.guild_id, dm=dm)


def lacking(may: discord.Permissions) -> str:
    """Return the permissions that writing a card needs and that are not granted, by Discord's names for them."""
    wanted = {"View Channel": may.view_channel, "Send Messages": may.send_messages, "Embed Links": may.embed_links}
    return ", ".join(name for name, granted in wanted.items() if not granted)


def refuse_silenced(interaction: Interaction, channel: discord.TextChannel | None) -> None:
    """Raise UserError where we may not write in a channel of the server; None is the channel of the interaction."""
    if interaction.guild is None:
        return
    if channel is None or channel.id == interaction.channel_id:
        may = interaction.app_permissions
    else:
        may = channel.permissions_for(interaction.guild.me)
    if missing := lacking(may):
        raise UserError(
            f"I may not write in <#{channel.id if channel else interaction.channel_id}>: I lack {missing}. "
            "Give my role these permissions there, or choose another channel."
        )
