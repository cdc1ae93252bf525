"""What a command's options turn into, and the choices offered while typing."""

from decimal import Decimal

from discord import app_commands

from bot import numbers
from bot.replies import Interaction
from services import symbols
from services.errors import TooManySymbols
from services.market import MOST_SYMBOLS

MOST_CHOICES = 25
LONGEST_CHOICE = 100


class TickerParam(app_commands.Transformer):
    """One symbol, in any spelling."""

    async def transform(self, _interaction: Interaction, value: str) -> str:  # type: ignore[override]
        return symbols.canonical(value)

    async def autocomplete(self, interaction: Interaction, value: str) -> list[app_commands.Choice[str]]:  # type: ignore[override]
        return _choices(interaction, "", value)


class TickersParam(app_commands.Transformer):
    """Up to ten symbols, separated by spaces or commas; completes the one being typed."""

    async def transform(self, _interaction: Interaction, value: str) -> tuple[str, ...]:  # type: ignore[override]
        found = symbols.split(value)
        if len(found) > MOST_SYMBOLS:
            raise TooManySymbols(len(found), MOST_SYMBOLS)
        return found

    async def autocomplete(self, interaction: Interaction, value: str) -> list[app_commands.Choice[str]]:  # type: ignore[override]
        cut = max(value.rfind(" "), value.rfind(",")) + 1
        return _choices(interaction, value[:cut], value[cut:])


class PriceParam(app_commands.Transformer):
    """A number as the person writes it: 187.50, 187,50 or $1,250."""

    async def transform(self, interaction: Interaction, value: str) -> Decimal:  # type: ignore[override]
        return numbers.typed(value, numbers.locale_of(interaction.locale.value))


def _choices(interaction: Interaction, before: str, typed: str) -> list[app_commands.Choice[str]]:
    found = interaction.client.services.market.directory.search(typed, MOST_CHOICES)
    return [
        app_commands.Choice(
            name=f"{before}{listing.symbol} · {listing.name}"[:LONGEST_CHOICE], value=before + listing.symbol
        )
        for listing in found
        if len(before + listing.symbol) <= LONGEST_CHOICE
    ]
