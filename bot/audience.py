"""Who reads an answer: what a member's own broker says is licensed to them and goes to nobody else."""

from typing import NamedTuple

import discord

from bot.client import PulseBot
from services.plans import Kind
from services.readers import OwnReader, Reader

_AUDIENCE, _READER = "audience", "reader"
_Interaction = discord.Interaction[PulseBot]


class Audience(NamedTuple):
    """Decided once for each answer: a choice that changes while it is made must not show it to others."""

    hidden: bool
    """A new message is for the person alone."""
    alone: bool
    """Nobody else reads the answer, wherever it goes."""


def decide(interaction: _Interaction, *, edit: bool, private: bool) -> Audience:
    """Return who reads the answer, which goes into the message of the button if `edit`; the first call decides."""
    if _AUDIENCE not in interaction.extras:
        hidden = private or interaction.client.services.people.remembered(interaction.user.id).private
        alone = _shown_alone(interaction) if edit else hidden or _between_us(interaction)
        interaction.extras[_AUDIENCE] = Audience(hidden, alone)
    decided: Audience = interaction.extras[_AUDIENCE]
    return decided


async def reading(interaction: _Interaction, kind: Kind) -> Reader:
    """Count one use and return what this answer may be made from; raises LimitReached."""
    readers = interaction.client.services.readers
    return _told(interaction, await readers.spend(interaction.user.id, kind, alone=_alone(interaction)))


async def reading_again(interaction: _Interaction) -> Reader:
    """Return what the message whose button was pressed was made from, as far as it is still there."""
    readers, alone = interaction.client.services.readers, _alone(interaction) and _shown_alone(interaction)
    return _told(interaction, await readers.again(interaction.user.id, alone=alone))


def notes(interaction: _Interaction) -> str:
    """Return in small print why the person's own source did not answer, empty if it did or there is none."""
    reader = interaction.extras.get(_READER)
    return "".join(f"\n-# ⚠️ {sentence}" for sentence in reader.away) if reader else ""


def is_own(interaction: _Interaction) -> bool:
    """Tell whether what was read may come from the person's own source, so that nobody else may learn of it."""
    return isinstance(interaction.extras.get(_READER), OwnReader)


def _alone(interaction: _Interaction) -> bool:
    decided = interaction.extras.get(_AUDIENCE)
    return decided is not None and decided.alone


def _between_us(interaction: _Interaction) -> bool:
    # Not `private_channel`: in groups and in direct messages of others somebody else reads along.
    return interaction.context.dm_channel


def _shown_alone(interaction: _Interaction) -> bool:
    """Tell whether the message whose button was pressed is shown to nobody else."""
    return _between_us(interaction) or (interaction.message is not None and interaction.message.flags.ephemeral)


def _told(interaction: _Interaction, reader: Reader) -> Reader:
    interaction.extras[_READER] = reader
    return reader
