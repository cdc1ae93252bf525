"""What things cost."""

from discord import app_commands

from bot import views
from bot.params import TickersParam
from bot.replies import Interaction, answer


@app_commands.command(name="quote", description="Price, change, bid and ask of up to ten symbols")
@app_commands.describe(symbols="One or more symbols, such as SPY or SPY QQQ AAPL")
async def quote(interaction: Interaction, symbols: app_commands.Transform[tuple[str, ...], TickersParam]) -> None:
    """Answer with the quotes of the symbols."""
    await answer(interaction, views.quotes(interaction, symbols))
