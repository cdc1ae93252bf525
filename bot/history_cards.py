"""How a gamma history looks in words: the levels now, how they moved, and what is stored."""

import discord
from babel import Locale

from bot import numbers
from bot.embeds import GREEN, GREY, RED
from bot.numbers import moment
from db.models import GammaPoint
from services.gamma_series import Series
from services.history_words import counted

LEVELS = {"call_wall": "Call wall", "flip": "Gamma flip", "put_wall": "Put wall"}


def history(series: Series, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of a series."""
    if not series.points:
        return _empty(series)
    first, last = series.points[0], series.points[-1]
    named = [f"{words.lower()} **{_level(last, name, locale)}**" for name, words in LEVELS.items()]
    embed = discord.Embed(colour=GREEN if last.net >= 0 else RED, description=_now(last, locale))
    for name, words in LEVELS.items():
        embed.add_field(name=words, value=_moved(first, last, name, locale))
    embed.add_field(name="As of", value=_as_of(last), inline=False)
    embed.add_field(name="Stored", value=stored(series), inline=False)
    return f"**{series.symbol}** {' · '.join(named)}", embed


def stored(series: Series) -> str:
    """Return since when points are stored, how many there are, and when the next one comes."""
    facts = [f"since {moment(series.since, 'D')}"] if series.since else []
    if series.days:
        kept = len(series.days) - series.missing
        facts.append(f"closes of {kept} of {counted(len(series.days), 'trading day')} before")
    facts.append(f"{counted(len(series.today), 'point')} of {moment(series.opens_at, 'd')}")
    if series.collected:
        facts.append(f"next {moment(series.next_at, 't')} ({moment(series.next_at)})")
    else:
        facts.append(f"no longer collected: `/watch symbols:{series.symbol}` or an alert starts it again")
    return " · ".join(facts)


def _empty(series: Series) -> tuple[str, discord.Embed]:
    if series.since:
        words = f"Nothing was stored on the days of this range; a longer one may reach farther. {_sentence(series)}."
        return f"📭 **{series.symbol}** has no points in this range", discord.Embed(colour=GREY, description=words)
    first = f"The first point comes {moment(series.next_at, 'f')} ({moment(series.next_at)})."
    if series.collected:
        every = f"{series.every.total_seconds() / 60:g} minutes"
        words = f"It is collected every {every} while the market is open, and at the close. {first}"
    else:
        words = (
            f"It is not collected so far. Keep it in a channel with `/watch symbols:{series.symbol}`, "
            f"or set an alert on it, and it is. {first}"
        )
    return f"📭 **{series.symbol}** has no gamma history yet", discord.Embed(colour=GREY, description=words)


def _sentence(series: Series) -> str:
    words = stored(series)
    return words[:1].upper() + words[1:]


def _now(last: GammaPoint, locale: Locale) -> str:
    net = numbers.dollars(last.net, locale, sign=True)
    text = f"Spot **{numbers.price(last.spot, locale)}** · net **{net}** per 1 % move"
    if last.zero_dte:
        text += f" · {numbers.percent(last.zero_dte, locale)} of gross expires that day"
    return text


def _level(point: GammaPoint, name: str, locale: Locale) -> str:
    level = getattr(point, name)
    if level is None:
        return "none"
    return numbers.price(level, locale) if name == "flip" else numbers.strike(level, locale)


def _moved(first: GammaPoint, last: GammaPoint, name: str, locale: Locale) -> str:
    now, before = _level(last, name, locale), _level(first, name, locale)
    was = f"as on {moment(first.slot, 'd')}" if now == before else f"{before} on {moment(first.slot, 'd')}"
    return f"**{now}**\n-# {was}" if first is not last else f"**{now}**"


def _as_of(last: GammaPoint) -> str:
    late = f"delayed {numbers.duration(last.delay)}" if last.delay else "real time"
    return f"{moment(last.as_of, 'f')} ({moment(last.as_of)}) · {last.source}, {late}"
