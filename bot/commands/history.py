"""How gamma levels moved, over days and within one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import discord
from discord import app_commands

from bot import gamma_cards, history_cards
from bot.numbers import locale_for, moment
from bot.params import TickerParam
from bot.pictures import NamedLevel, Scene, SceneKind, Show, tools
from bot.replies import Attachment, Interaction, Reply, answer
from db.models import Theme
from services.errors import OtherVersion
from services.gamma_history import MOST_DAYS, Frame, HistoryPicture
from services.gamma_series import series_csv
from services.gamma_words import alt_text as gamma_in_words
from services.history_words import alt_text
from services.plans import Kind

DAYS = 20
RANGES = {5: "1 W", 20: "1 M", 60: "3 M", MOST_DAYS: "1 Y"}
BEGIN = "begin"
_STAMP = "%Y%m%d%H%M"


@app_commands.command(name="gamma-history", description="Walls, flip and price over days, and a replay")
@app_commands.describe(
    symbol="An index, fund or stock with options, such as SPX",
    days=f"Trading days before the newest; {DAYS} unless said",
)
async def gamma_history(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    days: app_commands.Range[int, 1, MOST_DAYS] = DAYS,
) -> None:
    """Answer with the history of the symbol's gamma levels."""
    await answer(interaction, _show(interaction, (symbol, str(days)), None))


async def _show(interaction: Interaction, args: tuple[str, ...], theme: Theme | None) -> Reply:
    symbol, days, slot = _asked(args)
    services = interaction.client.services
    terms = await services.usage.spend(interaction.user.id, Kind.CHAIN)
    theme = theme or await services.people.theme(interaction.user.id)
    if slot is None:
        return _overview(interaction, await services.gamma_history.picture(symbol, days, theme, terms), args, theme)
    moment_asked = None if slot == BEGIN else _slot(slot)
    return _replayed(interaction, await services.gamma_history.frame(symbol, moment_asked, theme, terms), args, theme)


async def _csv(interaction: Interaction, args: tuple[str, ...]) -> Attachment | None:
    symbol, days, _ = _asked(args)
    services = interaction.client.services
    terms = await services.usage.spend(interaction.user.id, Kind.EXPORT)
    series = await services.gamma_history.series(symbol, days, terms)
    if not series.points:
        return None
    words = f"**{symbol}** gamma history, {len(series.points)} points. {history_cards.stored(series)}"
    return Attachment(f"{symbol}-gamma-history.csv", series_csv(series), words)


async def _levels(interaction: Interaction, args: tuple[str, ...]) -> Sequence[NamedLevel]:
    symbol, days, _ = _asked(args)
    services = interaction.client.services
    terms = await services.usage.terms(interaction.user.id)
    points = (await services.gamma_history.series(symbol, days, terms)).points
    found = [(words, getattr(points[-1], name)) for name, words in history_cards.LEVELS.items()] if points else []
    return [NamedLevel(words, Decimal(str(price))) for words, price in found if price is not None]


HISTORY = SceneKind(_show, _csv, _levels)


def _overview(interaction: Interaction, picture: HistoryPicture, args: tuple[str, ...], theme: Theme) -> Reply:
    headline, embed = history_cards.history(picture.series, locale_for(interaction))
    if picture.series.since is None:
        return Reply(headline, embed)
    symbol, days = args
    view = discord.ui.View(timeout=None)
    for length, label in RANGES.items():
        scene = Scene("history", (symbol, str(length)), theme)
        view.add_item(Show(scene, label, current=str(length) == days))
    if picture.png is None:
        return Reply(headline, embed, view)
    view.add_item(Show(Scene("history", (symbol, days, BEGIN), theme), "Replay", "🎞️"))
    for item in tools(Scene("history", args, theme)):
        view.add_item(item)
    return Reply(headline, embed, view, Attachment("history.png", picture.png, alt_text(picture.series)))


def _replayed(interaction: Interaction, frame: Frame, args: tuple[str, ...], theme: Theme) -> Reply:
    symbol, days = args[:2]
    headline, embed = gamma_cards.gamma(frame.picture.gamma, locale_for(interaction))
    place = f"Replay · {frame.number} of {frame.of} · {moment(frame.point.slot, 'f')}"
    view = discord.ui.View(timeout=None)
    signs = {"first": "⏮️", "back": "◀️", "on": "▶️", "last": "⏭️"}
    targets = (frame.first, frame.previous, frame.next, frame.last)
    for (slot, sign), target in zip(signs.items(), targets, strict=True):
        there = (symbol, days, _stamp(target or frame.point.slot))
        button = Show(Scene("history", there, theme), "", sign, slot=slot)
        button.item.disabled = target in {None, frame.point.slot}
        view.add_item(button)
    view.add_item(Show(Scene("history", (symbol, days), theme), "Days", "📈"))
    for item in tools(Scene("history", (symbol, days, _stamp(frame.point.slot)), theme)):
        view.add_item(item)
    picture = Attachment("replay.png", frame.picture.png, gamma_in_words(frame.picture.gamma))
    return replace(Reply(f"{headline}\n-# {place}", embed, view), attachment=picture)


def _asked(args: tuple[str, ...]) -> tuple[str, int, str | None]:
    try:
        symbol, days, *slot = args
        number = int(days)
    except ValueError as error:
        raise OtherVersion from error
    if not 1 <= number <= MOST_DAYS or len(slot) > 1:
        raise OtherVersion
    return symbol, number, slot[0] if slot else None


def _slot(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise OtherVersion from error


def _stamp(slot: datetime) -> str:
    return f"{slot.astimezone(UTC):{_STAMP}}"
