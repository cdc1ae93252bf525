"""What options cost, strike by strike."""

import math
from collections.abc import Sequence
from decimal import Decimal

import discord
from discord import app_commands

from bot import chain_cards, expiry_words
from bot.audience import reading, reading_again
from bot.numbers import locale_for, moment
from bot.params import ExpiryParam, TickerParam
from bot.pictures import NamedLevel, Scene, SceneKind, Show, Tool
from bot.replies import Attachment, Interaction, Reply, answer
from db.models import Theme
from services.chain_page import Side
from services.errors import OtherVersion
from services.options import Listed, Table
from services.plans import Kind
from services.source_words import lateness
from services.volatility_words import day

_SIDES = {Side.CALLS: "Calls", Side.PUTS: "Puts", Side.BOTH: "Both"}
_GREEKS = "greeks"


@app_commands.command(name="chain", description="Options around the money: quotes, IV, greeks, interest")
@app_commands.describe(
    symbol="An index, fund or stock with options, such as SPY",
    expiration="Such as 27 Nov, next friday or 0dte; else the nearest",
    side="Calls and puts unless you choose",
)
@app_commands.choices(side=[app_commands.Choice(name=words, value=side.value) for side, words in _SIDES.items()])
async def chain(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    expiration: app_commands.Transform[str, ExpiryParam] = "",
    side: str = Side.BOTH.value,
) -> None:
    """Answer with the contracts around the money."""
    await answer(interaction, _show(interaction, (symbol, expiration, side, "", ""), None))


async def _show(interaction: Interaction, args: tuple[str, ...], _theme: Theme | None) -> Reply:
    symbol, wanted, side, lowest, greeks = _asked(args)
    reader = await reading(interaction, Kind.CHAIN)
    listed = await interaction.client.services.options.page(reader, symbol, wanted, side, lowest)
    headline, embed = chain_cards.chain(listed.page, side, locale_for(interaction), in_greeks=bool(greeks))
    return Reply(headline, embed, _buttons(interaction, listed, args))


async def _csv(interaction: Interaction, args: tuple[str, ...]) -> Attachment | None:
    symbol, wanted, *_ = _asked(args)
    reader = await reading(interaction, Kind.EXPORT)
    return file_of(await interaction.client.services.options.table(reader, symbol, wanted))


async def _levels(interaction: Interaction, args: tuple[str, ...]) -> Sequence[NamedLevel]:
    symbol, wanted, side, lowest, _ = _asked(args)
    reader = await reading_again(interaction)
    listed = await interaction.client.services.options.page(reader, symbol, wanted, side, lowest)
    strikes = dict.fromkeys(contract.strike for contract in listed.page.contracts)
    return [NamedLevel("Strike", Decimal(repr(strike))) for strike in strikes]


CHAIN = SceneKind(_show, _csv, _levels)


def file_of(table: Table) -> Attachment:
    """Return a chain's CSV under a name that tells what it holds."""
    chain, which = table.chain, table.expiration
    expiration = f" of {day(which)} {which.day.year}" if which else ""
    words = (
        f"**{chain.symbol}** options{expiration}, {len(chain.strike)} contracts, "
        f"{moment(chain.as_of, 'f')} · {chain.source}, {lateness(chain.delay)}"
    )
    name = "-".join((chain.symbol, which.code if which else "chain", f"{chain.as_of:%Y%m%d-%H%M}"))
    return Attachment(f"{name}.csv", table.csv, words)


def _buttons(interaction: Interaction, listed: Listed, args: tuple[str, ...]) -> discord.ui.View:
    p, (symbol, _, side, lowest, greeks) = listed.page, args
    code = p.expiration.code

    def scene(side: str = side, lowest: str = lowest, greeks: str = greeks) -> Scene:
        return Scene("chain", (symbol, code, side, lowest, greeks), Theme.DARK)

    view = discord.ui.View(timeout=None)
    for each, label in _SIDES.items():
        view.add_item(Show(scene(side=each), label, current=each == side, slot="side"))
    view.add_item(Show(scene(greeks="" if greeks else _GREEKS), "Greeks", current=bool(greeks), slot="greeks"))
    view.add_item(Tool("alert", scene()))
    view.add_item(
        expiry_words.choose(scene(lowest=""), listed.expirations, p.expiration, p.as_of, locale_for(interaction))
    )
    for slot, label, to in (("up", "▲ Higher", p.higher), ("down", "▼ Lower", p.lower)):
        button = Show(scene(lowest=lowest if to is None else f"{to:.10g}"), label, slot=slot)
        button.item.disabled = to is None
        view.add_item(button)
    view.add_item(Show(scene(lowest=""), "Money", "🎯", slot="money"))
    view.add_item(Show(scene(), "Refresh", "🔄", slot="refresh"))
    view.add_item(Tool("csv", scene()))
    return view


def _asked(args: tuple[str, ...]) -> tuple[str, str, Side, float | None, str]:
    try:
        symbol, wanted, side, lowest, greeks = args
        strike = float(lowest) if lowest else None
        if strike is not None and not math.isfinite(strike):
            raise OtherVersion
        return symbol, wanted, Side(side), strike, greeks
    except ValueError as error:
        raise OtherVersion from error
