"""What options say of volatility."""

from collections.abc import Sequence
from decimal import Decimal

import discord
from discord import app_commands

from bot import expiry_words, iv_cards
from bot.audience import reading, reading_again
from bot.numbers import locale_for, moment
from bot.params import ExpiryParam, TickerParam
from bot.pictures import NamedLevel, Scene, SceneKind, Show, tools
from bot.replies import Attachment, Interaction, Reply, answer
from db.models import Theme
from services.errors import OtherVersion
from services.options import VolatilityPicture, place_of
from services.plans import Kind
from services.source_words import lateness
from services.volatility_table import table
from services.volatility_words import View, alt_text, day

_VIEWS = {View.SKEW: "Skew", View.TERM: "Term structure", View.CONE: "Expected move"}
_BELOW = 2
"""The row of the tools, which else begin beside the views."""


@app_commands.command(name="iv", description="Implied volatility: skew, term structure, expected move")
@app_commands.describe(
    symbol="An index, fund or stock with options, such as SPY",
    expiration="Such as 27 Nov or next friday; else about a week away",
)
async def iv(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    expiration: app_commands.Transform[str, ExpiryParam] = "",
) -> None:
    """Answer with the volatility picture of the symbol."""
    await answer(interaction, _show(interaction, (symbol, expiration, ""), None))


async def _show(interaction: Interaction, args: tuple[str, ...], theme: Theme | None) -> Reply:
    symbol, wanted, view = _asked(args)
    services = interaction.client.services
    reader = await reading(interaction, Kind.CHAIN)
    theme = theme or await services.people.theme(interaction.user.id)
    picture = await services.options.picture(reader, symbol, wanted, view, theme)
    headline, embed = iv_cards.iv(picture, locale_for(interaction))
    alt = alt_text(picture.volatility, picture.chosen, picture.view)
    return Reply(headline, embed, _buttons(interaction, picture, theme), Attachment("iv.png", picture.png, alt))


async def _csv(interaction: Interaction, args: tuple[str, ...]) -> Attachment | None:
    symbol, *_ = _asked(args)
    reader = await reading(interaction, Kind.EXPORT)
    found = await interaction.client.services.options.volatility(reader, symbol)
    words = (
        f"**{symbol}** volatility, {len(found.terms)} expirations, {moment(found.as_of, 'f')} · "
        f"{found.source}, {lateness(found.delay)}"
    )
    return Attachment(f"{symbol}-iv-{found.as_of:%Y%m%d-%H%M}.csv", table(found), words)


async def _levels(interaction: Interaction, args: tuple[str, ...]) -> Sequence[NamedLevel]:
    symbol, wanted, _ = _asked(args)
    found = await interaction.client.services.options.volatility(await reading_again(interaction), symbol)
    term = found.terms[place_of(found, wanted)]
    if term.move is None:
        return []
    by = day(term.expiration)
    edges = ((f"High by {by}", found.spot + term.move), (f"Low by {by}", found.spot - term.move))
    return [NamedLevel(name, Decimal(repr(price))) for name, price in edges if price > 0]


IV = SceneKind(_show, _csv, _levels)


def _buttons(interaction: Interaction, picture: VolatilityPicture, theme: Theme) -> discord.ui.View:
    found, chosen = picture.volatility, picture.chosen.expiration
    args = found.symbol, chosen.code
    scene = Scene("iv", (*args, picture.view), theme)
    view = discord.ui.View(timeout=None)
    for each, label in _VIEWS.items():
        view.add_item(Show(Scene("iv", (*args, each), theme), label, current=each is picture.view, slot="view"))
    listed = [term.expiration for term in found.terms]
    view.add_item(expiry_words.choose(scene, listed, chosen, found.as_of, locale_for(interaction)))
    for item in tools(scene):
        item.row = _BELOW
        view.add_item(item)
    return view


def _asked(args: tuple[str, ...]) -> tuple[str, str, View | None]:
    try:
        symbol, wanted, view = args
        return symbol, wanted, View(view) if view else None
    except ValueError as error:
        raise OtherVersion from error
