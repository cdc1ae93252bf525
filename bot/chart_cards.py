"""How a price chart looks in words: the price and its change, what it is measured by, and whose it is."""

import math
from datetime import datetime, timedelta

import discord
from babel import Locale

from bot import numbers
from bot.embeds import GREEN, GREY, RED
from bot.numbers import moment
from services.bars import Part
from services.clock import Phase, Session
from services.price_history import PricePicture
from services.price_series import PriceSeries
from services.price_words import measured_from, vwap_now
from services.ranges import INTERVAL_WORDS, RANGE_WORDS

_PARTS = {Part.PRE: f" {Phase.PRE.value}", Part.REGULAR: "", Part.POST: f" {Phase.POST.value}"}


def chart(picture: PricePicture, session: Session, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for a price chart; the facts of the drawing, in words."""
    s = picture.series
    move = s.change
    arrow, colour = ("▲", GREEN) if move > 0 else ("▼", RED) if move < 0 else ("•", GREY)
    share = numbers.percent(move / s.base, locale, sign=True)
    price = numbers.price(s.last, locale)
    headline = f"**{s.symbol}** {price}{_PARTS[Part(s.candles.part[-1])]} {arrow} {share} {measured_from(s)}"
    embed = discord.Embed(colour=colour, description=f"{RANGE_WORDS[s.reach]}, candles of {INTERVAL_WORDS[s.interval]}")
    embed.add_field(name="Change", value=f"{arrow} {_change(s, locale)} ({share})")
    embed.add_field(name="High / low", value=f"{numbers.price(s.high, locale)} / {numbers.price(s.low, locale)}")
    embed.add_field(name="Previous close", value=numbers.price(s.previous_close, locale) if s.previous_close else "—")
    if averages := _averages(s, locale):
        embed.add_field(name="Averages", value=averages, inline=False)
    if picture.levels.prices:
        embed.add_field(name="Gamma levels", value=_levels(picture, locale), inline=False)
    embed.add_field(name="Data", value=_data(s, session, picture.now), inline=False)
    embed.set_footer(text=_sentence(picture.levels.words))
    return headline, embed


def _change(series: PriceSeries, locale: Locale) -> str:
    places = 4 if series.base < 1 else 2
    move = round(series.change, places)
    return ("+" if move > 0 else "") + numbers.price(move, locale)


def _averages(series: PriceSeries, locale: Locale) -> str:
    named = [(average.name, float(average.values[-1])) for average in series.averages]
    vwap = vwap_now(series)
    named += [("VWAP", vwap)] if vwap else []
    return " · ".join(
        f"{name} {numbers.price(round(value, 4), locale)}" for name, value in named if math.isfinite(value)
    )


def _levels(picture: PricePicture, locale: Locale) -> str:
    last = picture.series.last
    away = [numbers.percent(level.price / last - 1, locale, sign=True) for level in picture.levels.prices]
    named = [f"{level.name} {numbers.price(level.price, locale)}" for level in picture.levels.prices]
    return "\n".join(f"{words} ({share})" for words, share in zip(named, away, strict=True))


def _data(series: PriceSeries, session: Session, now: datetime) -> str:
    if series.delay is None:
        return f"{series.source} · **recording** to {moment(series.last_at, 'f')}"
    delay = f"delayed {numbers.duration(series.delay)}" if series.delay else "real time"
    if session.phase is Phase.CLOSED:
        return f"{series.source} · {delay} · last candle to {moment(series.last_at, 'f')} ({moment(series.last_at)})"
    if series.last_from is None:
        return f"{series.source} · {delay} · the last candle goes on · as of {moment(series.last_at, 'T')}"
    # A candle does not tell when in it the last trade was.
    age = max(now - series.last_from, timedelta(0))
    return f"{series.source} · {delay} · at most {numbers.duration(age)} old when shown · {moment(series.last_at, 'T')}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
