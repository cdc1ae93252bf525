"""How facts look in a message: the first line carries the fact, because a push notification shows just that."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import discord
from babel import Locale
from babel.dates import format_date

from bot import numbers
from bot.numbers import moment
from services.charts import Picture
from services.clock import Phase, Session
from services.feeds.base import Quote
from services.gamma import Expiry, Gamma
from services.gamma_words import lateness, stand_in
from services.health import Part
from services.market import Board, FeedHealth, Line

GREEN = discord.Colour(0x16C79A)
RED = discord.Colour(0xF6465D)
GREY = discord.Colour(0x8B93A7)
AMBER = discord.Colour(0xFFB020)

OLD_TRADE = timedelta(minutes=1)
EXPIRY_WORDS = {
    Expiry.ALL: "all expiries",
    Expiry.ZERO_DTE: "0DTE",
    Expiry.WEEK: "this week",
    Expiry.OPEX: "monthly OPEX",
}


def board(answer: Board, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for one or several quotes."""
    headline = " · ".join(_headline(line.quote, locale) for line in answer.lines[:3])
    if len(answer.lines) > 3:
        headline += f" · {len(answer.lines) - 3} more"
    embed = _single(answer.lines[0], locale) if len(answer.lines) == 1 else _several(answer, locale)
    for refusal in answer.missing:
        embed.add_field(name="Not found", value=str(refusal), inline=False)
    return headline, embed


def gamma(picture: Picture, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for a gamma picture; the facts of the drawing, in words."""
    g = picture.gamma
    net = numbers.dollars(g.total, locale, sign=True)
    flip = f"flip {numbers.price(g.flip, locale)}" if g.flip is not None else "no flip"
    headline = f"**{g.symbol}** gamma **{net}** per 1 % move · {flip}"
    embed = discord.Embed(colour=GREEN if g.total >= 0 else RED, description=_in_words(g, locale))
    embed.add_field(name="Net GEX", value=net)
    embed.add_field(name="Gross GEX", value=numbers.dollars(g.gross, locale))
    embed.add_field(name="Gamma flip", value=_level(g.flip, g.spot, locale, numbers.price))
    embed.add_field(name="Call wall", value=_level(g.call_wall, g.spot, locale))
    embed.add_field(name="Put wall", value=_level(g.put_wall, g.spot, locale))
    embed.add_field(name="Expected move", value=_expected_move(g, locale))
    embed.add_field(name="As of", value=_as_of(g, locale), inline=False)
    interest = f"of {_day(g.open_interest_date, locale)}" if g.open_interest_date else "undated"
    sources = ", ".join(f"{numbers.percent(share, locale)} {kind}" for share, kind in g.iv_sources)
    embed.set_footer(text=f"Dealers long calls, short puts · open interest {interest} · IV {sources} · {g.source}")
    return headline, embed


def status(parts: dict[str, Part], feeds: list[FeedHealth]) -> discord.Embed:
    """Return how every part is doing."""
    fine = all(part.ok for part in parts.values()) and all(feed.ok is not False for feed in feeds)
    embed = discord.Embed(
        title="All systems work" if fine else "Something is not working", colour=GREEN if fine else AMBER
    )
    for name, part in parts.items():
        embed.add_field(name=f"{_light(part.ok)} {name.capitalize()}", value=part.detail, inline=False)
    for feed in feeds:
        age = f" · newest data {numbers.duration(feed.data_age)} old" if feed.data_age is not None else ""
        embed.add_field(name=f"{_light(feed.ok)} Feed {feed.name}", value=feed.detail + age, inline=False)
    return embed


def _headline(quote: Quote, locale: Locale) -> str:
    text = f"**{quote.symbol}** {numbers.price(quote.price, locale)}"
    if quote.previous_close:
        move = round(quote.price / quote.previous_close - 1, 4)
        text += f" {_arrow(move)} {numbers.percent(move, locale, sign=True)}"
    return text


def _single(line: Line, locale: Locale) -> discord.Embed:
    quote = line.quote
    embed = discord.Embed(title=f"{quote.symbol} · {quote.name}" if quote.name else quote.symbol, colour=_colour(quote))
    embed.add_field(name="Price", value=f"**{numbers.price(quote.price, locale)}**")
    embed.add_field(name="Change", value=_change(quote, locale))
    embed.add_field(name="Bid / ask", value=_pair(quote.bid, quote.ask, locale))
    embed.add_field(name="Day range", value=_pair(quote.day_low, quote.day_high, locale, "–"))
    embed.add_field(name="Volume", value=numbers.count(quote.volume, locale) if quote.volume is not None else "—")
    embed.add_field(name="Market", value=session(line.session))
    embed.add_field(name="Data", value=_freshness(line), inline=False)
    return embed


def _several(answer: Board, locale: Locale) -> discord.Embed:
    embed = discord.Embed(colour=GREY, description="\n".join(_row(line, locale) for line in answer.lines))
    first = answer.lines[0]
    embed.add_field(name="Market", value=session(first.session), inline=False)
    oldest = {line.quote.source: line for line in sorted(answer.lines, key=lambda line: line.age)}
    embed.add_field(name="Data", value="\n".join(_freshness(line) for line in oldest.values()), inline=False)
    return embed


def _row(line: Line, locale: Locale) -> str:
    quote = line.quote
    spread = f"-# bid {_money(quote.bid, locale)} · ask {_money(quote.ask, locale)}"
    volume = f" · vol {numbers.count(quote.volume, locale)}" if quote.volume is not None else ""
    warning = " ⚠️ stale" if line.stale else ""
    return f"{_headline(quote, locale)}{warning}\n{spread}{volume}"


def session(now: Session) -> str:
    """Return the market's state, and when it changes."""
    half = ", half day" if now.half_day else ""
    if now.phase is Phase.OPEN:
        return f"🟢 Open{half}, closes {moment(now.closes_at, 't')} ({moment(now.closes_at)})"
    light = "🟡" if now.phase in {Phase.PRE, Phase.POST} else "⚪"
    return f"{light} {now.phase.value.capitalize()}, opens {moment(now.opens_at, 'f')} ({moment(now.opens_at)}){half}"


def _freshness(line: Line) -> str:
    quote = line.quote
    if quote.delay is None:
        return f"{quote.source} · **recording** of {moment(quote.as_of, 'f')}, {numbers.duration(line.age)} old"
    if line.session.phase is Phase.CLOSED:
        return f"{quote.source} · last price of the session, {moment(quote.as_of, 'f')} ({moment(quote.as_of)})"
    delay = f"delayed {numbers.duration(quote.delay)}" if quote.delay else "real time"
    text = f"{quote.source} · {delay} · {numbers.duration(line.age)} old when shown · {moment(quote.as_of, 'T')}"
    if quote.traded_at and quote.as_of - quote.traded_at > OLD_TRADE:
        text += f" · last trade {moment(quote.traded_at)}"
    if line.stale:
        return f"⚠️ **Stale**: nothing new for {numbers.duration(line.age)}. Do not trade on it. · {text}"
    return text


def _in_words(g: Gamma, locale: Locale) -> str:
    if g.total >= 0:
        mood = "**Positive gamma**: dealers sell rallies and buy dips, which calms the price."
    else:
        mood = "**Negative gamma**: dealers sell dips and buy rallies, which speeds moves up."
    return f"Spot **{numbers.price(g.spot, locale)}** · {_filter(g, locale)}\n{mood}"


def _filter(g: Gamma, locale: Locale) -> str:
    if instead := stand_in(g):
        return f"{instead} {_day(g.expiries[0], locale)}"
    return EXPIRY_WORDS[g.expiry] if isinstance(g.expiry, Expiry) else f"expiry {_day(g.expiry, locale)}"


def _as_of(g: Gamma, locale: Locale) -> str:
    first, last = g.expiries[0], g.expiries[-1]
    until = _day(last, locale)
    span = f"expiry {until}" if first == last else f"{len(g.expiries)} expiries to {until}"
    covered = f"{numbers.percent(g.coverage, locale)} of open interest with an implied volatility"
    return f"{moment(g.as_of, 'f')} ({moment(g.as_of)}) · {lateness(g)}\n{span} · {covered}"


def _expected_move(g: Gamma, locale: Locale) -> str:
    if g.expected_move is None:
        return "—"
    share = numbers.percent(g.expected_move / g.spot, locale)
    move = round(g.expected_move, 2 if g.spot >= 1 else 4)
    return f"±{numbers.price(move, locale)} ({share}) by {_day(g.expiries[0], locale)}"


def _level(
    value: float | None, spot: float, locale: Locale, write: Callable[[float, Locale], str] = numbers.strike
) -> str:
    if value is None:
        return "none"
    return f"{write(value, locale)} ({numbers.percent(value / spot - 1, locale, sign=True)})"


def _day(day: date, locale: Locale) -> str:
    return format_date(day, "medium", locale=locale)


def _change(quote: Quote, locale: Locale) -> str:
    if not quote.previous_close:
        return "—"
    move = quote.price - quote.previous_close
    share = numbers.percent(move / quote.previous_close, locale, sign=True)
    return f"{_arrow(move)} {numbers.change(move, locale)} ({share})"


def _pair(low: Decimal | None, high: Decimal | None, locale: Locale, between: str = "/") -> str:
    if low is None and high is None:
        return "—"
    return f"{_money(low, locale)} {between} {_money(high, locale)}"


def _money(value: Decimal | None, locale: Locale) -> str:
    return "—" if value is None else numbers.price(value, locale)


def _arrow(move: Decimal) -> str:
    return "▲" if move > 0 else "▼" if move < 0 else "•"


def _colour(quote: Quote) -> discord.Colour:
    if not quote.previous_close or quote.price == quote.previous_close:
        return GREY
    return GREEN if quote.price > quote.previous_close else RED


def _light(ok: bool | None) -> str:
    return {True: "🟢", False: "🔴", None: "⚪"}[ok]
