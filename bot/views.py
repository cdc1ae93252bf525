"""Buttons that outlive restarts: all they need stands in their custom id."""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Self

import discord

from bot import embeds
from bot.audience import reading
from bot.numbers import locale_for
from bot.replies import Interaction, Reply, answer
from services.plans import Kind

# discord.py types these methods for any client; ours is the only one there is.
Pressed = discord.Interaction[Any]
Press = Callable[[Interaction, str], Awaitable[Reply]]
"""What a button does, told the token that it carries."""

MOST_GAMMA_BUTTONS = 4
LONGEST_CUSTOM_ID = 100

SYMBOL = r"[A-Z][A-Z0-9.]{0,8}"


class RefreshQuotes(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"quote:refresh:(?P<symbols>{SYMBOL}(?:,{SYMBOL}){{0,9}})",
):
    """Shows the same symbols again, in the same message."""

    def __init__(self, symbols: str) -> None:
        super().__init__(discord.ui.Button(label="Refresh", emoji="🔄", custom_id=f"quote:refresh:{symbols}"))
        self._symbols = tuple(symbols.split(","))

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["symbols"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, quotes(interaction, self._symbols), edit=True)


class OpenGamma(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"gamma:open:(?P<symbol>{SYMBOL})"):
    """Posts the gamma picture of a quoted symbol as a new message."""

    def __init__(self, symbol: str, label: str = "Gamma") -> None:
        super().__init__(discord.ui.Button(label=label, emoji="📊", custom_id=f"gamma:open:{symbol}"))
        self._symbol = symbol

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["symbol"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, interaction.client.scenes["gamma"].show(interaction, (self._symbol, "all", ""), None))


ALL = (RefreshQuotes, OpenGamma)


async def quotes(interaction: Interaction, symbols: tuple[str, ...]) -> Reply:
    """Return the quotes of canonical symbols, with their buttons."""
    reader = await reading(interaction, Kind.QUOTE)
    board = await reader.quotes(symbols)
    headline, embed = embeds.board(board, locale_for(interaction))
    return Reply(headline, embed, _quote_buttons(tuple(line.quote.symbol for line in board.lines)))


@lru_cache(maxsize=256)  # its buttons keep nothing but their ids, so that one view serves any number of messages
def _quote_buttons(found: tuple[str, ...]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(RefreshQuotes(_fitting(found)))
    for symbol in found[:MOST_GAMMA_BUTTONS]:
        view.add_item(OpenGamma(symbol, "Gamma" if len(found) == 1 else f"Gamma {symbol}"))
    return view


def _fitting(symbols: tuple[str, ...]) -> str:
    """Join symbols as far as a custom id has room; only ten unusually long ones do not fit."""
    while len(joined := ",".join(symbols)) > LONGEST_CUSTOM_ID - len("quote:refresh:"):
        symbols = symbols[:-1]
    return joined
