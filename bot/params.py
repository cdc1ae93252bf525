"""What a command's options turn into, and the choices offered while typing."""

from collections.abc import Sequence
from decimal import Decimal

from discord import app_commands

from bot import expiry_words, numbers
from bot.replies import Interaction
from services import symbols
from services.clock import new_york_day
from services.errors import TooManySymbols, UserError
from services.expirations import expirations
from services.market import MOST_SYMBOLS
from services.typed_expiry import typed_expiry

MOST_CHOICES = 25
LONGEST_CHOICE = 100


class TickerParam(app_commands.Transformer):
    """One symbol, in any spelling."""

    async def transform(self, interaction: Interaction, value: str) -> str:  # type: ignore[override]
        symbol = symbols.canonical(value)
        _note(interaction, [symbol])
        return symbol

    async def autocomplete(self, interaction: Interaction, value: str) -> list[app_commands.Choice[str]]:  # type: ignore[override]
        return await _choices(interaction, "", value)


class TickersParam(app_commands.Transformer):
    """Up to ten symbols, separated by spaces or commas; completes the one being typed."""

    async def transform(self, interaction: Interaction, value: str) -> tuple[str, ...]:  # type: ignore[override]
        found = symbols.split(value)
        if len(found) > MOST_SYMBOLS:
            raise TooManySymbols(len(found), MOST_SYMBOLS)
        _note(interaction, found)
        return found

    async def autocomplete(self, interaction: Interaction, value: str) -> list[app_commands.Choice[str]]:  # type: ignore[override]
        cut = max(value.rfind(" "), value.rfind(",")) + 1
        return await _choices(interaction, value[:cut], value[cut:])


class PriceParam(app_commands.Transformer):
    """A number as the person writes it: 187.50, 187,50 or $1,250."""

    async def transform(self, interaction: Interaction, value: str) -> Decimal:  # type: ignore[override]
        await interaction.client.services.people.preferences(interaction.user.id)
        return numbers.typed(value, numbers.locale_for(interaction))


class ExpiryParam(app_commands.Transformer):
    """An expiration as `services.expirations.find` takes it, however it is typed: 27 Nov, next friday, 0dte, weekly."""

    async def transform(self, interaction: Interaction, value: str) -> str:  # type: ignore[override]
        today = new_york_day(interaction.client.services.market.now())
        return str(typed_expiry(value, today))

    async def autocomplete(self, interaction: Interaction, value: str) -> list[app_commands.Choice[str]]:  # type: ignore[override]
        # Only from what is in memory: whoever types waits for nothing.
        market = interaction.client.services.market
        try:
            symbol = symbols.canonical(interaction.namespace.symbol or "")
            chain = interaction.client.services.readers.kept_chain(interaction.user.id, symbol)
            listed = expirations(chain) if chain else ()
        except UserError:
            return []
        await interaction.client.services.people.preferences(interaction.user.id)
        found = expiry_words.matching(listed, value, market.now(), numbers.locale_for(interaction))
        return [app_commands.Choice(name=words, value=day) for words, day in found[:MOST_CHOICES]]


def _note(interaction: Interaction, asked: Sequence[str]) -> None:
    services = interaction.client.services
    if known := [symbol for symbol in asked if symbol in services.market.directory]:
        services.recent.note(interaction.user.id, known)


async def _choices(interaction: Interaction, before: str, typed: str) -> list[app_commands.Choice[str]]:
    services = interaction.client.services
    recent = await services.recent.symbols(interaction.user.id)
    listed = set(before.upper().replace(",", " ").split())
    found = services.market.directory.search(typed, MOST_CHOICES, recent)
    return [
        app_commands.Choice(
            name=f"{before}{listing.symbol} · {listing.name}"[:LONGEST_CHOICE], value=before + listing.symbol
        )
        for listing in found
        if listing.symbol not in listed and len(before + listing.symbol) <= LONGEST_CHOICE
    ]
