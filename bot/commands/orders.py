"""Buying, selling, and what became of it."""

from decimal import Decimal

from discord import app_commands

from bot import order_list, tickets
from bot.missed import told
from bot.params import PriceParam, TickerParam
from bot.replies import Interaction, answer
from db.order_models import Side, Spec, Tif

_TIFS = [
    app_commands.Choice(name="Day: until the close", value=Tif.DAY.value),
    app_commands.Choice(name="GTC: until cancelled", value=Tif.GTC.value),
    app_commands.Choice(name="IOC: at once or not at all", value=Tif.IOC.value),
]
_WORDS = {
    "symbol": "What to trade, such as SPY",
    "quantity": "Whole shares",
    "limit": "Your worst price; without it, market with a collar",
    "tif": "How long it may wait; day unless you choose",
}


@app_commands.command(name="buy", description="Buy by a private ticket; nothing is sent before Confirm")
@app_commands.describe(**_WORDS)
@app_commands.choices(tif=_TIFS)
async def buy(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    quantity: int,
    limit: app_commands.Transform[Decimal, PriceParam] | None = None,
    tif: str = Tif.DAY.value,
) -> None:
    """Answer with a ticket to buy."""
    spec = Spec(symbol, Side.BUY, quantity, limit, Tif(tif))
    await answer(interaction, told(interaction, tickets.opened(interaction, spec)), private=True)


@app_commands.command(name="sell", description="Sell by a private ticket; nothing is sent before Confirm")
@app_commands.describe(**_WORDS)
@app_commands.choices(tif=_TIFS)
async def sell(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    quantity: int,
    limit: app_commands.Transform[Decimal, PriceParam] | None = None,
    tif: str = Tif.DAY.value,
) -> None:
    """Answer with a ticket to sell."""
    spec = Spec(symbol, Side.SELL, quantity, limit, Tif(tif))
    await answer(interaction, told(interaction, tickets.opened(interaction, spec)), private=True)


@app_commands.command(name="orders", description="Your orders, with buttons to cancel the open ones")
async def orders(interaction: Interaction) -> None:
    """Answer with the person's orders."""
    await answer(interaction, told(interaction, order_list.shown(interaction)), private=True)
