"""Where dealers must hedge: as a picture, and as levels in words."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Self

import discord
from babel.dates import format_date
from discord import app_commands

from bot import gamma_cards
from bot.audience import reading, reading_again
from bot.numbers import locale_for, moment
from bot.params import TickerParam
from bot.pictures import Choose, NamedLevel, Scene, SceneKind, Show, Tool, tools
from bot.preference_views import THEMES
from bot.replies import Attachment, Interaction, Reply, answer
from bot.views import SYMBOL, OpenGamma, Pressed
from db.models import Theme
from services.charts import LANDSCAPE, PORTRAIT
from services.errors import DatabaseAway, OtherVersion
from services.expiration import Expiry
from services.gamma import Gamma
from services.gamma_table import table
from services.gamma_words import alt_text
from services.lens import Lens, Mode
from services.plans import Kind
from services.source_words import lateness

_FILTERS = {
    Expiry.ZERO_DTE: "0DTE",
    Expiry.WEEK: "Week",
    Expiry.OPEX: "OPEX",
    Expiry.NEAR: "94 days",
    Expiry.ALL: "All",
}
_MOST_DAYS = 25
_EXPIRIES = {
    Expiry.ALL: "All expiries",
    Expiry.ZERO_DTE: "0DTE (today, else the next)",
    Expiry.WEEK: "This week",
    Expiry.OPEX: "Monthly OPEX",
    Expiry.NEAR: "The next 94 days",
}
_MODES = {
    Mode.OURS: "Ours: parity forward, clean volatility",
    Mode.VENDOR: "The source's own gamma",
    Mode.PERFILIEV: "Perfiliev, to compare",
    Mode.GFLOWS: "gflows, to compare",
}
_VOLUME, _POINT, _PORTRAIT = "volume", "point", "portrait"
_LEVELS = {
    "call_wall": "Call wall",
    "put_wall": "Put wall",
    "flip": "Gamma flip",
    "abs_gamma": "Absolute gamma",
    "max_pain": "Max pain",
}


@app_commands.command(name="gamma", description="Gamma exposure by strike, with walls and flip")
@app_commands.describe(
    symbol="An index, fund or stock with options, such as SPX",
    expiry="Which expiries count",
    theme="Colours; remembered for you",
    shape="Wide unless you choose",
    counting="Open interest unless you choose",
    per="Dollars per 1 % move unless you choose",
    definitions="Whose definitions of gamma exposure",
)
@app_commands.choices(
    expiry=[app_commands.Choice(name=name, value=value.value) for value, name in _EXPIRIES.items()],
    theme=[app_commands.Choice(name=name, value=value.value) for value, name in THEMES.items()],
    shape=[
        app_commands.Choice(name="Wide", value="wide"),
        app_commands.Choice(name="Tall, for phones", value=_PORTRAIT),
    ],
    counting=[
        app_commands.Choice(name="Open interest", value="interest"),
        app_commands.Choice(name="Volume of the day", value=_VOLUME),
    ],
    per=[app_commands.Choice(name="1 % move", value="percent"), app_commands.Choice(name="Point", value=_POINT)],
    definitions=[app_commands.Choice(name=name, value=value.value) for value, name in _MODES.items()],
)
async def gamma(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    expiry: str = Expiry.ALL.value,
    theme: str | None = None,
    shape: str = "wide",
    counting: str = "interest",
    per: str = "percent",
    definitions: str = Mode.OURS.value,
) -> None:
    """Answer with the gamma picture of the symbol."""
    lens = Lens(Expiry(expiry), Mode(definitions), by_volume=counting == _VOLUME, per_point=per == _POINT)
    args = _args(symbol, lens, tall=shape == _PORTRAIT)
    await answer(interaction, _themed(interaction, args, Theme(theme) if theme else None))


@app_commands.command(name="levels", description="Gamma walls, flip, max pain and expected move, in words")
@app_commands.describe(symbol="An index, fund or stock with options, such as SPX")
async def levels(interaction: Interaction, symbol: app_commands.Transform[str, TickerParam]) -> None:
    """Answer with the gamma levels of the symbol, one line each."""
    await answer(interaction, _show_words(interaction, (symbol,), None))


class OldGamma(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"gamma:(?:show|refresh):(?P<symbol>{SYMBOL}):(?P<expiry>all|0dte|week|opex):"
    r"(?P<theme>dark|light|colour-blind)",
):
    """The buttons that stood under gamma pictures before `bot.pictures`; messages in channels still have them."""

    def __init__(self, button: discord.ui.Button[Any], symbol: str, expiry: str, theme: Theme) -> None:
        super().__init__(button)
        self._args, self._theme = (symbol, expiry, ""), theme

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Button)
        return cls(item, match["symbol"], match["expiry"], Theme(match["theme"]))

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _show(interaction, self._args, self._theme), edit=True)


async def _themed(interaction: Interaction, args: tuple[str, ...], theme: Theme | None) -> Reply:
    unsaved = ""
    if theme:
        try:
            await interaction.client.services.people.choose_theme(interaction.user.id, theme, interaction.locale.value)
        except DatabaseAway as error:
            # The picture needs no database; that the choice is not remembered must still be said.
            unsaved = f"\n-# Your theme is not remembered. {error}"
    reply = await _show(interaction, args, theme)
    return replace(reply, content=reply.content + unsaved)


async def _show(interaction: Interaction, args: tuple[str, ...], theme: Theme | None) -> Reply:
    symbol, lens, tall = _asked(args)
    services = interaction.client.services
    reader = await reading(interaction, Kind.CHAIN)
    theme = theme or await services.people.theme(interaction.user.id)
    size = PORTRAIT if tall else LANDSCAPE
    picture = await services.levels.picture(reader, symbol, lens, theme, size)
    headline, embed = gamma_cards.gamma(picture.gamma, locale_for(interaction))
    view = _buttons(interaction, picture.gamma, args, theme)
    return Reply(headline, embed, view, Attachment("gamma.png", picture.png, alt_text(picture.gamma)))


async def _csv(interaction: Interaction, args: tuple[str, ...]) -> Attachment | None:
    symbol, lens, _ = _asked(args)
    reader = await reading(interaction, Kind.EXPORT)
    found = await interaction.client.services.levels.of(reader, symbol, lens)
    words = (
        f"**{symbol}** gamma by strike, {len(found.strikes)} strikes, {moment(found.as_of, 'f')} · "
        f"{found.source}, {lateness(found.delay)}"
    )
    return Attachment(f"{symbol}-gamma-{found.as_of:%Y%m%d-%H%M}.csv", table(found), words)


async def _levels(interaction: Interaction, args: tuple[str, ...]) -> Sequence[NamedLevel]:
    symbol, lens, _ = _asked(args)
    found = await interaction.client.services.levels.of(await reading_again(interaction), symbol, lens)
    named = [(words, getattr(found, name)) for name, words in _LEVELS.items()]
    if found.expected_move:
        named += [
            ("Expected high", found.spot + found.expected_move),
            ("Expected low", found.spot - found.expected_move),
        ]
    return [NamedLevel(words, Decimal(repr(price))) for words, price in named if price]


async def _show_words(interaction: Interaction, args: tuple[str, ...], _theme: Theme | None) -> Reply:
    symbol, lens, _ = _asked((*args, Expiry.ALL, ""))
    reader = await reading(interaction, Kind.CHAIN)
    found = await interaction.client.services.levels.of(reader, symbol, lens)
    headline, embed = gamma_cards.levels(found, locale_for(interaction))
    scene = Scene("levels", args, Theme.DARK)
    view = discord.ui.View(timeout=None)
    for item in (OpenGamma(symbol, "Picture"), Show(scene, "Refresh", "🔄"), Tool("alert", scene)):
        view.add_item(item)
    return Reply(headline, embed, view)


async def _csv_of_words(interaction: Interaction, args: tuple[str, ...]) -> Attachment | None:
    return await _csv(interaction, (*args, Expiry.ALL, ""))


async def _levels_of_words(interaction: Interaction, args: tuple[str, ...]) -> Sequence[NamedLevel]:
    return await _levels(interaction, (*args, Expiry.ALL, ""))


GAMMA = SceneKind(_show, _csv, _levels)
LEVELS = SceneKind(_show_words, _csv_of_words, _levels_of_words)


def _buttons(interaction: Interaction, found: Gamma, args: tuple[str, ...], theme: Theme) -> discord.ui.View:
    symbol, chosen, extras = args
    scene = Scene("gamma", args, theme)
    view = discord.ui.View(timeout=None)
    for expiry, label in _FILTERS.items():
        view.add_item(Show(Scene("gamma", (symbol, expiry, extras), theme), label, current=expiry == chosen))
    days = [
        discord.SelectOption(
            label=format_date(day, "medium", locale=locale_for(interaction)), value=str(day), default=str(day) == chosen
        )
        for day in found.listed[:_MOST_DAYS]
    ]
    view.add_item(Choose(scene, 1, "One expiry …", days))
    for item in tools(scene):
        view.add_item(item)
    return view


def _args(symbol: str, lens: Lens, *, tall: bool) -> tuple[str, str, str]:
    mode = "" if lens.mode is Mode.OURS else lens.mode.value
    chosen = {_VOLUME: lens.by_volume, _POINT: lens.per_point, _PORTRAIT: tall, mode: bool(mode)}
    return symbol, str(lens.expiry), "+".join(word for word, said in chosen.items() if said)


def _asked(args: tuple[str, ...]) -> tuple[str, Lens, bool]:
    try:
        symbol, expiry, extras = args
        said = set(filter(None, extras.split("+")))
        mode = said - {_VOLUME, _POINT, _PORTRAIT} or {Mode.OURS.value}
        lens = Lens(
            Expiry(expiry) if expiry in set(Expiry) else date.fromisoformat(expiry),
            Mode("+".join(mode)),
            by_volume=_VOLUME in said,
            per_point=_POINT in said,
        )
    except ValueError as error:
        raise OtherVersion from error
    return symbol, lens, _PORTRAIT in said
