"""Where dealers must hedge."""

from dataclasses import replace

from discord import app_commands

from bot import views
from bot.params import TickerParam
from bot.replies import Interaction, Reply, answer
from db.models import Theme
from services.errors import DatabaseAway
from services.gamma import Expiry

_EXPIRIES = [
    app_commands.Choice(name="All expiries", value=Expiry.ALL.value),
    app_commands.Choice(name="0DTE (today, else the next)", value=Expiry.ZERO_DTE.value),
    app_commands.Choice(name="This week", value=Expiry.WEEK.value),
    app_commands.Choice(name="Monthly OPEX", value=Expiry.OPEX.value),
]
_THEMES = [
    app_commands.Choice(name="Dark", value=Theme.DARK.value),
    app_commands.Choice(name="Light", value=Theme.LIGHT.value),
    app_commands.Choice(name="Colour-blind (blue and orange)", value=Theme.COLOUR_BLIND.value),
]


@app_commands.command(name="gamma", description="Gamma exposure by strike, with walls and flip")
@app_commands.describe(
    symbol="An index, fund or stock with options, such as SPX",
    expiry="Which expiries count",
    theme="Colours; remembered for you",
)
@app_commands.choices(expiry=_EXPIRIES, theme=_THEMES)
async def gamma(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    expiry: str = Expiry.ALL.value,
    theme: str | None = None,
) -> None:
    """Answer with the gamma picture of the symbol."""
    await answer(interaction, _picture(interaction, symbol, Expiry(expiry), Theme(theme) if theme else None))


async def _picture(interaction: Interaction, symbol: str, expiry: Expiry, theme: Theme | None) -> Reply:
    unsaved = ""
    if theme:
        try:
            await interaction.client.services.people.choose_theme(interaction.user.id, theme, interaction.locale.value)
        except DatabaseAway as error:
            # The picture needs no database; that the choice is not remembered must still be said.
            unsaved = f"\n-# Your theme is not remembered. {error}"
    reply = await views.gamma(interaction, symbol, expiry, theme)
    return replace(reply, content=reply.content + unsaved)
