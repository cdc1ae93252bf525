"""What a person has, may spend, and allows themself; and the way to stop everything."""

from decimal import Decimal

from discord import app_commands

from bot import accounts
from bot.missed import told
from bot.params import PriceParam
from bot.replies import Interaction, answer

paper = app_commands.Group(name="paper", description="Your paper account: simulated money at real prices")


@app_commands.command(name="positions", description="What you hold, with profit and loss")
async def positions(interaction: Interaction) -> None:
    """Answer with what the person holds."""
    await answer(interaction, told(interaction, accounts.positions(interaction)), private=True)


@app_commands.command(name="balance", description="Your cash and buying power")
async def balance(interaction: Interaction) -> None:
    """Answer with the money of the person's account."""
    await answer(interaction, told(interaction, accounts.balance(interaction)), private=True)


@paper.command(name="reset", description="Start your paper account anew; asks first")
async def reset(interaction: Interaction) -> None:
    """Ask whether the paper account shall start anew."""
    await answer(interaction, accounts.ask_reset(interaction), private=True)


@app_commands.command(name="limits", description="Show or change your limits; 0 takes one away")
@app_commands.describe(
    order="Most dollars in one order",
    day="Most dollars bought in one day",
    drift="How far the price may move before Confirm, in %",
    collar="How far a market order may pay up, in %",
)
async def limits(
    interaction: Interaction,
    order: app_commands.Transform[Decimal, PriceParam] | None = None,
    day: app_commands.Transform[Decimal, PriceParam] | None = None,
    drift: app_commands.Transform[Decimal, PriceParam] | None = None,
    collar: app_commands.Transform[Decimal, PriceParam] | None = None,
) -> None:
    """Answer with the person's limits, after changing those that were given."""
    await answer(interaction, accounts.limits(interaction, order, day, drift, collar), private=True)


@app_commands.command(name="panic", description="Stop new entries and cancel all your open orders")
@app_commands.describe(who="You alone, or everybody (only for the operator)")
@app_commands.choices(
    who=[
        app_commands.Choice(name="Me", value="me"),
        app_commands.Choice(name="Everybody (operator)", value="everybody"),
    ]
)
async def panic(interaction: Interaction, who: str = "me") -> None:
    """Pull the kill switch for the person, or ask the operator whether to pull it for everybody."""
    work = accounts.panic(interaction) if who == "me" else accounts.ask_panic_everybody(interaction)
    await answer(interaction, work, private=True)
