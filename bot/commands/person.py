"""What a person has of the product, and how they like it."""

from discord import app_commands

from bot import plan_views, preference_views
from bot.preference_views import AS_DISCORD, FORMATS, THEMES
from bot.replies import Interaction, answer
from db.models import Theme

_THEMES = [app_commands.Choice(name=words, value=theme.value) for theme, words in THEMES.items()]
_FORMATS = [app_commands.Choice(name=words, value=form or "discord") for form, words in FORMATS.items()]
_AUDIENCES = [
    app_commands.Choice(name="For everybody to see", value="everybody"),
    app_commands.Choice(name="For me alone", value="me"),
]


@app_commands.command(name="plan", description="Your plan, and what is left of it today")
async def plan(interaction: Interaction) -> None:
    """Answer with the person's plan and use."""
    await answer(interaction, plan_views.shown(interaction), private=True)


@app_commands.command(name="settings", description="Show or change colours, number format and privacy")
@app_commands.describe(
    theme="Colours of pictures",
    numbers="How numbers are written",
    market_answers="Who sees answers to your market commands",
)
@app_commands.choices(theme=_THEMES, numbers=_FORMATS, market_answers=_AUDIENCES)
async def settings(
    interaction: Interaction, theme: str | None = None, numbers: str | None = None, market_answers: str | None = None
) -> None:
    """Answer with the person's preferences, after changing those that were given."""
    form = AS_DISCORD if numbers == "discord" else numbers
    private = None if market_answers is None else market_answers == "me"
    work = preference_views.shown(interaction, Theme(theme) if theme else None, form, private=private)
    await answer(interaction, work, private=True)
