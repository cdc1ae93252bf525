"""Forms that outlive restarts: what is asked, and about what, stands in their custom id."""

from collections.abc import Mapping
from dataclasses import dataclass

import discord

from bot.replies import Interaction, Reply

MOST_TYPED = 20

Typed = Mapping[str, str]
"""What came back, by the name of the field."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line to fill in; `value` stands there already."""

    name: str
    label: str
    hint: str
    value: str = ""
    required: bool = True


def form(interaction: Interaction, kind: str, token: str, title: str, *fields: Field) -> Reply:
    """Return the form whose handler is found by `kind` and told the token; to be answered as `quick`."""
    # Discord's client keeps what was half typed by custom id, so each opening has an id of its own.
    modal = discord.ui.Modal(title=title, custom_id=f"{kind}:{token}#{interaction.id}")
    for field in fields:
        line: discord.ui.TextInput[discord.ui.Modal] = discord.ui.TextInput(
            custom_id=field.name, default=field.value or None, required=field.required, max_length=MOST_TYPED
        )
        modal.add_item(discord.ui.Label(text=field.label, description=field.hint, component=line))
    # A stopped modal is not kept by discord.py; `PulseBot` finds the handler by the custom id instead.
    modal.stop()
    return Reply(form=modal)
