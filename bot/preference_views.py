"""Preferences: how a person's pictures and numbers look, and who sees the answers that they get."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Self

import discord

from bot import numbers
from bot.embeds import GREY
from bot.numbers import locale_for, locale_of
from bot.replies import Interaction, Reply, answer
from bot.views import Pressed
from db.models import Preferences, Theme

THEMES: Mapping[Theme, str] = {
    Theme.DARK: "Dark",
    Theme.LIGHT: "Light",
    Theme.COLOUR_BLIND: "Colour-blind (blue and orange)",
    Theme.COLOUR_BLIND_LIGHT: "Colour-blind, light",
}
AS_DISCORD = ""
FORMATS: Mapping[str, str] = {
    AS_DISCORD: "As my Discord",
    "en-US": "1,234.56",
    "de": "1.234,56",
    "fr": "1 234,56",
    "de-CH": "1’234.56",
}
"""Locales whose separators can be chosen, with an example of each."""
SAMPLE = Decimal("1234.56")


class ChoosePreference(
    discord.ui.DynamicItem[discord.ui.Select[Any]],
    template="settings:(?P<what>theme|numbers)",
):
    """Remembers a theme or a number format."""

    def __init__(self, what: str, options: list[discord.SelectOption]) -> None:
        super().__init__(discord.ui.Select(custom_id=f"settings:{what}", options=options))
        self._what = what

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Select)
        return cls(match["what"], item.options)

    async def callback(self, interaction: Pressed) -> None:
        value = self.item.values[0]
        if self._what == "theme":
            work = shown(interaction, theme=Theme(value))
        else:
            work = shown(interaction, form=AS_DISCORD if value == "discord" else value)
        await answer(interaction, work, edit=True, private=True)


class SetPrivacy(discord.ui.DynamicItem[discord.ui.Button[Any]], template="settings:private:(?P<private>on|off)"):
    """Decides who sees answers about the market."""

    def __init__(self, private: str) -> None:
        label = "Answer me privately" if private == "on" else "Answer for everybody to see"
        super().__init__(discord.ui.Button(label=label, custom_id=f"settings:private:{private}"))
        self._private = private == "on"

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["private"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, shown(interaction, private=self._private), edit=True, private=True)


async def shown(
    interaction: Interaction, theme: Theme | None = None, form: str | None = None, *, private: bool | None = None
) -> Reply:
    """Return the person's preferences, after changing those that are given; `form` is a number format."""
    people, user = interaction.client.services.people, interaction.user.id
    if theme is None and form is None and private is None:
        chosen = await people.preferences(user)
    else:
        chosen = await people.choose(user, interaction.locale.value, theme=theme, numbers=form, private=private)
    sample = numbers.price(SAMPLE, locale_for(interaction))
    audience = "for you alone" if chosen.private else "for everybody to see"
    headline = f"⚙️ **{THEMES[chosen.theme]}** pictures · numbers like **{sample}** · market answers **{audience}**"
    embed = discord.Embed(title="Your settings", colour=GREY)
    embed.add_field(name="Pictures", value=THEMES[chosen.theme], inline=False)
    how = "as your Discord writes them" if chosen.numbers is None else "as you chose"
    embed.add_field(name="Numbers", value=f"{sample}, {how}", inline=False)
    embed.add_field(name="Answers about the market", value=audience, inline=False)
    embed.set_footer(text="Money, orders and alerts are always for you alone.")
    return Reply(headline, embed, _controls(interaction, chosen), private=True)


BUTTONS = (ChoosePreference, SetPrivacy)


def _controls(interaction: Interaction, chosen: Preferences) -> discord.ui.View:
    theirs = numbers.price(SAMPLE, locale_of(interaction.locale.value))
    themes = [
        discord.SelectOption(label=f"Pictures: {words}", value=theme.value, default=theme is chosen.theme)
        for theme, words in THEMES.items()
    ]
    formats = [
        discord.SelectOption(
            label=f"Numbers: {words}{f' ({theirs})' if form == AS_DISCORD else ''}",
            value=form or "discord",
            default=form == (chosen.numbers or AS_DISCORD),
        )
        for form, words in FORMATS.items()
    ]
    view = discord.ui.View(timeout=None)
    view.add_item(ChoosePreference("theme", themes))
    view.add_item(ChoosePreference("numbers", formats))
    view.add_item(SetPrivacy("off" if chosen.private else "on"))
    return view
