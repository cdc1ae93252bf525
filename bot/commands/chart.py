"""How prices moved."""

from collections.abc import Sequence
from decimal import Decimal

import discord
from discord import app_commands

from bot import chart_cards
from bot.audience import reading, reading_again
from bot.numbers import locale_for, moment
from bot.params import TickerParam
from bot.pictures import NamedLevel, Scene, SceneKind, Show, tools
from bot.replies import Attachment, Interaction, Reply, answer
from db.models import Theme
from services.errors import ImpossibleInterval, LimitReached, OtherVersion
from services.plans import Kind
from services.price_history import table
from services.price_words import alt_text
from services.ranges import INTERVAL_WORDS, RANGE_WORDS, Interval, Range, interval_of
from services.source_words import lateness

_BUTTONS = (Range.DAY, Range.FIVE_DAYS, Range.MONTH, Range.HALF_YEAR, Range.YEAR)


@app_commands.command(name="chart", description="Candles, volume, averages and gamma levels of a symbol")
@app_commands.rename(reach="range")
@app_commands.describe(
    symbol="An index, fund or stock, such as SPY",
    reach="How far back; one day unless you choose",
    interval="How long a candle is; what fits the range unless you choose",
)
@app_commands.choices(
    reach=[app_commands.Choice(name=words, value=reach.value) for reach, words in RANGE_WORDS.items()],
    interval=[app_commands.Choice(name=words, value=interval.value) for interval, words in INTERVAL_WORDS.items()],
)
async def chart(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    reach: str = Range.DAY.value,
    interval: str | None = None,
) -> None:
    """Answer with the price chart of the symbol."""
    await answer(interaction, _chosen(interaction, symbol, Range(reach), Interval(interval) if interval else None))


async def _chosen(interaction: Interaction, symbol: str, reach: Range, wanted: Interval | None) -> Reply:
    return await _show(interaction, (symbol, reach, interval_of(reach, wanted)), None)


async def _show(interaction: Interaction, args: tuple[str, ...], theme: Theme | None) -> Reply:
    symbol, reach, interval = _asked(args)
    services = interaction.client.services
    reader = await reading(interaction, Kind.CHART)
    theme = theme or await services.people.theme(interaction.user.id)
    with_levels = await _may_have_levels(interaction)
    picture = await services.price_history.picture(reader, symbol, reach, interval, theme, with_levels=with_levels)
    headline, embed = chart_cards.chart(picture, services.market.calendar.at(picture.now), locale_for(interaction))
    attachment = Attachment("chart.png", picture.png, alt_text(picture.series, picture.levels))
    return Reply(headline, embed, _buttons(args, reach, theme), attachment)


async def _csv(interaction: Interaction, args: tuple[str, ...]) -> Attachment | None:
    symbol, reach, interval = _asked(args)
    reader = await reading(interaction, Kind.EXPORT)
    series = await interaction.client.services.price_history.series(reader, symbol, reach, interval)
    words = (
        f"**{symbol}** {RANGE_WORDS[reach]}, {len(series.candles)} candles of {INTERVAL_WORDS[interval]} "
        f"to {moment(series.last_at, 'f')} · {series.source}, {lateness(series.delay)}"
    )
    return Attachment(f"{symbol}-{reach}-{interval}.csv", table(series).encode(), words)


async def _levels(interaction: Interaction, args: tuple[str, ...]) -> Sequence[NamedLevel]:
    symbol, reach, interval = _asked(args)
    history, reader = interaction.client.services.price_history, await reading_again(interaction)
    series = await history.series(reader, symbol, reach, interval)
    named = [("Day high", series.day_high), ("Day low", series.day_low)]
    if series.previous_close:
        named.append(("Previous close", series.previous_close))
    levels = await history.option_levels(reader, symbol)
    named += [(level.name, level.price) for level in levels.prices]
    return [NamedLevel(name, Decimal(repr(price))) for name, price in named]


CHART = SceneKind(_show, _csv, _levels)


async def _may_have_levels(interaction: Interaction) -> bool:
    try:
        await interaction.client.services.usage.spend(interaction.user.id, Kind.CHAIN)
    except LimitReached:
        return False  # a chart without the levels is still the chart that was asked for
    return True


def _buttons(args: tuple[str, ...], reach: Range, theme: Theme) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for choice in _BUTTONS:
        scene = Scene("chart", (args[0], choice, interval_of(choice, None)), theme)
        view.add_item(Show(scene, choice.value, current=choice is reach))
    for item in tools(Scene("chart", args, theme)):
        view.add_item(item)
    return view


def _asked(args: tuple[str, ...]) -> tuple[str, Range, Interval]:
    try:
        symbol, reach, interval = args
        return symbol, Range(reach), interval_of(Range(reach), Interval(interval))
    except (ValueError, ImpossibleInterval) as error:
        raise OtherVersion from error
