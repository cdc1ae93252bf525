"""Buttons that outlive restarts: all they need stands in their custom id."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Self

import discord

from bot import embeds
from bot.numbers import locale_of
from bot.replies import Attachment, Interaction, Reply, answer
from db.models import Theme
from services.charts import Picture
from services.gamma import Expiry
from services.gamma_words import alt_text
from services.market import Board

# discord.py types these methods for any client; ours is the only one there is.
Pressed = discord.Interaction[Any]
Press = Callable[[Interaction, str], Awaitable[Reply]]
"""What a button does, told the token that it carries."""

MOST_GAMMA_BUTTONS = 4
LONGEST_CUSTOM_ID = 100
FILTERS = {Expiry.ZERO_DTE: "0DTE", Expiry.WEEK: "Week", Expiry.OPEX: "OPEX", Expiry.ALL: "All"}

SYMBOL = r"[A-Z][A-Z0-9.]{0,8}"
_THEMES = "|".join(Theme)
_EXPIRIES = "|".join(Expiry)


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
        await answer(interaction, gamma(interaction, self._symbol, Expiry.ALL, None))


class ShowGamma(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"gamma:(?P<kind>show|refresh):(?P<symbol>{SYMBOL}):(?P<expiry>{_EXPIRIES}):(?P<theme>{_THEMES})",
):
    """Redraws the picture in its message, for the chosen expiries."""

    def __init__(self, kind: str, symbol: str, expiry: Expiry, theme: Theme, *, current: bool = False) -> None:
        style = discord.ButtonStyle.primary if current else discord.ButtonStyle.secondary
        label, emoji = ("Refresh", "🔄") if kind == "refresh" else (FILTERS[expiry], None)
        super().__init__(
            discord.ui.Button(
                label=label, emoji=emoji, style=style, custom_id=f"gamma:{kind}:{symbol}:{expiry}:{theme}"
            )
        )
        self._symbol, self._expiry, self._theme = symbol, expiry, theme

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["kind"], match["symbol"], Expiry(match["expiry"]), Theme(match["theme"]))

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, gamma(interaction, self._symbol, self._expiry, self._theme), edit=True)


ALL = (RefreshQuotes, OpenGamma, ShowGamma)


async def quotes(interaction: Interaction, symbols: tuple[str, ...]) -> Reply:
    """Return the quotes of canonical symbols, with their buttons."""
    board = await interaction.client.services.market.quotes(symbols)
    headline, embed = embeds.board(board, locale_of(interaction.locale.value))
    return Reply(headline, embed, _quote_buttons(board))


async def gamma(interaction: Interaction, symbol: str, expiry: Expiry, theme: Theme | None) -> Reply:
    """Return the gamma picture in the theme asked for, else in the person's own, with its buttons."""
    services = interaction.client.services
    theme = theme or await services.people.theme(interaction.user.id)
    picture = await services.levels.picture(symbol, expiry, theme)
    headline, embed = embeds.gamma(picture, locale_of(interaction.locale.value))
    attachment = Attachment("gamma.png", picture.png, alt_text(picture.gamma))
    return Reply(headline, embed, _gamma_buttons(picture, expiry, theme), attachment)


def _quote_buttons(board: Board) -> discord.ui.View:
    found = [line.quote.symbol for line in board.lines]
    view = discord.ui.View(timeout=None)
    view.add_item(RefreshQuotes(_fitting(found)))
    for symbol in found[:MOST_GAMMA_BUTTONS]:
        view.add_item(OpenGamma(symbol, "Gamma" if len(found) == 1 else f"Gamma {symbol}"))
    return view


def _fitting(symbols: list[str]) -> str:
    """Join symbols as far as a custom id has room; only ten unusually long ones do not fit."""
    while len(joined := ",".join(symbols)) > LONGEST_CUSTOM_ID - len("quote:refresh:"):
        symbols = symbols[:-1]
    return joined


def _gamma_buttons(picture: Picture, expiry: Expiry, theme: Theme) -> discord.ui.View:
    symbol = picture.gamma.symbol
    view = discord.ui.View(timeout=None)
    for choice in FILTERS:
        view.add_item(ShowGamma("show", symbol, choice, theme, current=choice == expiry))
    view.add_item(ShowGamma("refresh", symbol, expiry, theme))
    return view
