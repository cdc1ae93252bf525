"""Pictures in messages: the custom ids of the buttons under one carry what it shows, so they outlive restarts."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Self

import discord
from babel import Locale

from bot import alert_views, audience, forms, numbers
from bot.client import FormHandler
from bot.forms import Field
from bot.numbers import locale_for
from bot.replies import Attachment, Interaction, Reply, answer
from bot.views import SYMBOL, Pressed
from db.models import Condition, Theme
from services.errors import OtherVersion, UserError

LONGEST_CUSTOM_ID = 100
MOST_LEVELS = 14

# Short, because a custom id has room for a hundred characters.
_CODES = {Theme.DARK: "d", Theme.LIGHT: "l", Theme.COLOUR_BLIND: "cd", Theme.COLOUR_BLIND_LIGHT: "cl"}
_THEMES = {code: theme for theme, code in _CODES.items()}
_SCENE = rf"(?P<kind>[a-z]+):(?P<theme>{'|'.join(_THEMES)}):(?P<args>[^:]*(?::[^:]*)*)"
_OTHER_BRIGHTNESS = {
    Theme.DARK: Theme.LIGHT,
    Theme.LIGHT: Theme.DARK,
    Theme.COLOUR_BLIND: Theme.COLOUR_BLIND_LIGHT,
    Theme.COLOUR_BLIND_LIGHT: Theme.COLOUR_BLIND,
}
_OTHER_COLOURS = {
    Theme.DARK: Theme.COLOUR_BLIND,
    Theme.COLOUR_BLIND: Theme.DARK,
    Theme.LIGHT: Theme.COLOUR_BLIND_LIGHT,
    Theme.COLOUR_BLIND_LIGHT: Theme.LIGHT,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture message shows; the first of `args` is the canonical symbol, none holds a colon."""

    kind: str
    args: tuple[str, ...]
    theme: Theme

    def __str__(self) -> str:
        return ":".join((self.kind, _CODES[self.theme], *self.args))


@dataclass(frozen=True, slots=True)
class NamedLevel:
    """A price that one can be alerted at."""

    name: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class SceneKind:
    """How scenes of one kind are answered; `args` come from a custom id, so they may be of an earlier version."""

    show: Callable[[Interaction, tuple[str, ...], Theme | None], Awaitable[Reply]]
    """The picture with its buttons, in the person's own theme where None is asked for."""
    csv: Callable[[Interaction, tuple[str, ...]], Awaitable[Attachment | None]]
    """What is drawn, as a file whose description is said above it; None if there is no table."""
    levels: Callable[[Interaction, tuple[str, ...]], Awaitable[Sequence[NamedLevel]]]
    """The prices that the picture names."""


class Show(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"pic:show:(?P<slot>[a-z]*):{_SCENE}",
):
    """Edits its message to show a scene; `slot` tells buttons apart that lead to the same one."""

    def __init__(
        self, scene: Scene, label: str, emoji: str | None = None, *, current: bool = False, slot: str = ""
    ) -> None:
        style = discord.ButtonStyle.primary if current else discord.ButtonStyle.secondary
        custom_id = _fitting(f"pic:show:{slot}:{scene}")
        super().__init__(discord.ui.Button(label=label, emoji=emoji, style=style, custom_id=custom_id))
        self._scene = scene

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Button)
        return cls(_scene(match), item.label or "", slot=match["slot"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, show(interaction, self._scene), edit=True)


class Choose(
    discord.ui.DynamicItem[discord.ui.Select[Any]],
    template=rf"pic:choose:(?P<place>\d):{_SCENE}",
):
    """Edits its message to show the scene with the chosen value in the given place of its args."""

    def __init__(self, scene: Scene, place: int, hint: str, options: list[discord.SelectOption]) -> None:
        custom_id = _fitting(f"pic:choose:{place}:{scene}")
        super().__init__(discord.ui.Select(custom_id=custom_id, placeholder=hint, options=options))
        self._scene, self._place = scene, place

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Select)
        return cls(_scene(match), int(match["place"]), item.placeholder or "", item.options)

    async def callback(self, interaction: Pressed) -> None:
        args, place = self._scene.args, self._place
        chosen = replace(self._scene, args=(*args[:place], self.item.values[0], *args[place + 1 :]))
        await answer(interaction, show(interaction, chosen), edit=True)


class Tool(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"pic:(?P<verb>csv|alert):{_SCENE}",
):
    """Answers the presser alone: with the numbers of the picture, or with alerts at its levels."""

    def __init__(self, verb: str, scene: Scene) -> None:
        label, emoji = {"csv": ("CSV", None), "alert": ("Alert me", "🔔")}[verb]
        custom_id = _fitting(f"pic:{verb}:{scene}")
        super().__init__(discord.ui.Button(label=label, emoji=emoji, custom_id=custom_id))
        self._verb, self._scene = verb, scene

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["verb"], _scene(match))

    async def callback(self, interaction: Pressed) -> None:
        work = _csv if self._verb == "csv" else _levels
        await answer(interaction, work(interaction, self._scene), private=True)


class AlertAt(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"pic:at:(?P<symbol>{SYMBOL}):(?P<price>\d+(?:\.\d+)?)(?P<dm>:dm)?",
):
    """Sets an alert of the presser at one level, whichever way the price crosses it.

    With `dm` it is told by direct message, because the level is known from what is licensed to the presser alone.
    """

    def __init__(self, symbol: str, price: Decimal, label: str, *, dm: bool = False) -> None:
        custom_id = f"pic:at:{symbol}:{price:f}{':dm' if dm else ''}"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id))
        self._symbol, self._price, self._dm = symbol, price, dm

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Button)
        return cls(match["symbol"], Decimal(match["price"]), item.label or "", dm=bool(match["dm"]))

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _add(interaction, self._symbol, self._price, dm=self._dm), private=True)


class OtherPrice(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"pic:other:(?P<symbol>{SYMBOL})"):
    """Asks for the price of an alert."""

    def __init__(self, symbol: str) -> None:
        super().__init__(discord.ui.Button(label="Other price …", custom_id=f"pic:other:{symbol}"))
        self._symbol = symbol

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["symbol"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _ask_price(interaction, self._symbol), private=True, quick=True)


def tools(scene: Scene) -> list[discord.ui.Item[Any]]:
    """Return the row of buttons that stands under every picture."""
    lighter = scene.theme in {Theme.DARK, Theme.COLOUR_BLIND}
    other = replace(scene, theme=_OTHER_BRIGHTNESS[scene.theme])
    colours = replace(scene, theme=_OTHER_COLOURS[scene.theme])
    return [
        Show(scene, "Refresh", "🔄", slot="refresh"),
        Show(other, "Light" if lighter else "Dark", "🌓", slot="light"),
        Show(colours, "Colours", "🎨", slot="colours"),
        Tool("csv", scene),
        Tool("alert", scene),
    ]


async def show(interaction: Interaction, scene: Scene) -> Reply:
    """Return a scene as its kind shows it."""
    return await _kind(interaction, scene).show(interaction, scene.args, scene.theme)


async def _csv(interaction: Interaction, scene: Scene) -> Reply:
    table = await _kind(interaction, scene).csv(interaction, scene.args)
    if table is None:
        raise UserError("There is no table behind this picture.")
    return Reply(table.description, attachment=table, private=True)


async def _levels(interaction: Interaction, scene: Scene) -> Reply:
    symbol, named = scene.args[0], await _kind(interaction, scene).levels(interaction, scene.args)
    view = _offers(symbol, named, locale_for(interaction), dm=audience.is_own(interaction))
    return Reply(f"🔔 **{symbol}**: at which price shall I tell you?", view=view, private=True)


def _offers(symbol: str, named: Sequence[NamedLevel], locale: Locale, *, dm: bool) -> discord.ui.View:
    at: dict[Decimal, list[str]] = {}
    for level in named:
        at.setdefault(round(level.price, 2 if level.price >= 1 else 4), []).append(level.name)
    view = discord.ui.View(timeout=None)
    for price, names in list(at.items())[:MOST_LEVELS]:
        view.add_item(AlertAt(symbol, price, f"{', '.join(names)} {_written(price, locale)}"[:80], dm=dm))
    view.add_item(OtherPrice(symbol))
    return view


async def _add(interaction: Interaction, symbol: str, price: Decimal, *, dm: bool = False) -> Reply:
    return await alert_views.add(interaction, symbol, Condition.CROSSES, price, dm=dm or None, always=False)


async def _ask_price(interaction: Interaction, symbol: str) -> Reply:
    price = Field("price", "Price", "You are told when it is crossed, either way")
    return forms.form(interaction, "pic:price", symbol, f"Alert on {symbol}", price)


async def _price_typed(interaction: Interaction, symbol: str, typed: forms.Typed) -> None:
    async def add() -> Reply:
        price = numbers.typed(typed["price"], locale_for(interaction))
        return await _add(interaction, symbol, price)

    await answer(interaction, add(), private=True)


def _written(price: Decimal, locale: Locale) -> str:
    return numbers.strike(float(price), locale) if price >= 1 else numbers.price(price, locale)


def _kind(interaction: Interaction, scene: Scene) -> SceneKind:
    if scene.kind not in interaction.client.scenes:
        raise OtherVersion
    return interaction.client.scenes[scene.kind]


def _scene(match: re.Match[str]) -> Scene:
    return Scene(match["kind"], tuple(match["args"].split(":")), _THEMES[match["theme"]])


def _fitting(custom_id: str) -> str:
    if len(custom_id) > LONGEST_CUSTOM_ID:
        raise ValueError(f"Discord takes no custom id of {len(custom_id)} characters: {custom_id}")
    return custom_id


BUTTONS = (Show, Choose, Tool, AlertAt, OtherPrice)
FORMS: Mapping[str, FormHandler] = {"pic:price": _price_typed}
