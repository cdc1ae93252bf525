"""How facts look in a message: the first line carries the fact, because a push notification shows just that."""

from datetime import timedelta
from decimal import Decimal

import discord
from babel import Locale

from bot import numbers
from bot.numbers import moment
from services.clock import Phase, Session
from services.feeds.base import Access
from services.health import Part
from services.market import Board, FeedHealth, Line

GREEN = discord.Colour(0x16C79A)
RED = discord.Colour(0xF6465D)
GREY = discord.Colour(0x8B93A7)
AMBER = discord.Colour(0xFFB020)

OLD_TRADE = timedelta(minutes=1)
_EXTENDED = frozenset({Phase.PRE, Phase.POST})


def board(answer: Board, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for one or several quotes."""
    headline = " · ".join(_headline(line, locale) for line in answer.lines[:3])
    if len(answer.lines) > 3:
        headline += f" · {len(answer.lines) - 3} more"
    embed = _single(answer.lines[0], locale) if len(answer.lines) == 1 else _several(answer, locale)
    for symbol, refusal in answer.missing.items():
        embed.add_field(name=f"No quote of {symbol}", value=str(refusal), inline=False)
    for failure in answer.away:
        embed.add_field(name=f"⚠️ {failure.feed} is away", value=f"It comes first, but {failure.reason}.", inline=False)
    return headline, embed


def status(parts: dict[str, Part], feeds: list[FeedHealth], locale: Locale) -> discord.Embed:
    """Return how every part is doing."""
    fine = all(part.ok for part in parts.values()) and all(feed.ok is not False for feed in feeds)
    embed = discord.Embed(
        title="All systems work" if fine else "Something is not working", colour=GREEN if fine else AMBER
    )
    for name, part in parts.items():
        embed.add_field(name=f"{_light(part.ok)} {name.capitalize()}", value=part.detail, inline=False)
    for feed in feeds:
        age = f" · newest data {numbers.duration(feed.data_age)} old" if feed.data_age is not None else ""
        told = "\n".join((feed.detail + age, *(_access(each, locale) for each in feed.access)))
        embed.add_field(name=f"{_light(feed.ok)} Feed {feed.name}", value=told, inline=False)
    return embed


def _access(access: Access, locale: Locale) -> str:
    told = []
    if access.rest_s is not None:
        told.append(f"left in peace after many failures, tried again {_in(access.rest_s)}")
    if access.quiet_s:
        told.append(f"rate limit used up, back {_in(access.quiet_s)}")
    if access.limit is not None and access.left is not None:
        left, limit = numbers.count(access.left, locale), numbers.count(access.limit, locale)
        told.append(f"{left} of {limit} requests left")
    return f"-# {access.name}: {' · '.join(told) or 'no rate limit told'}"


def _in(seconds: float) -> str:
    return moment(discord.utils.utcnow() + timedelta(seconds=seconds))


def _headline(line: Line, locale: Locale) -> str:
    quote, close = line.quote, _last_close(line)
    text = f"**{quote.symbol}** {numbers.price(quote.price, locale)}"
    if line.traded in _EXTENDED:
        text += f" {line.traded.value}"
    if close:
        move = round(quote.price / close - 1, 4)
        text += f" {_arrow(move)} {numbers.percent(move, locale, sign=True)}"
    return text


def _last_close(line: Line) -> Decimal | None:
    """Return the regular close that the price is compared with."""
    quote = line.quote
    return quote.day_close or quote.previous_close if line.traded is Phase.POST else quote.previous_close


def _single(line: Line, locale: Locale) -> discord.Embed:
    quote = line.quote
    embed = discord.Embed(title=f"{quote.symbol} · {quote.name}" if quote.name else quote.symbol, colour=_colour(line))
    part = f" {line.traded.value}" if line.traded in _EXTENDED else ""
    embed.add_field(name="Price", value=f"**{numbers.price(quote.price, locale)}**{part}")
    embed.add_field(name="Change", value=_change(line, locale))
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
    return f"{_headline(line, locale)}{warning}\n{spread}{volume} · {numbers.duration(line.age)} old"


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


def _change(line: Line, locale: Locale) -> str:
    quote, close = line.quote, _last_close(line)
    if not close:
        return "—"
    moved = _moved(quote.price, close, locale)
    if line.traded not in _EXTENDED:
        return moved
    since = f"{moved}\n-# since the close at {numbers.price(close, locale)}"
    if close is quote.day_close and quote.previous_close:
        since += f", itself {_moved(close, quote.previous_close, locale)}"
    return since


def _moved(price: Decimal, base: Decimal, locale: Locale) -> str:
    move = price - base
    return f"{_arrow(move)} {numbers.change(move, locale)} ({numbers.percent(move / base, locale, sign=True)})"


def _pair(low: Decimal | None, high: Decimal | None, locale: Locale, between: str = "/") -> str:
    if low is None and high is None:
        return "—"
    return f"{_money(low, locale)} {between} {_money(high, locale)}"


def _money(value: Decimal | None, locale: Locale) -> str:
    return "—" if value is None else numbers.price(value, locale)


def _arrow(move: Decimal) -> str:
    return "▲" if move > 0 else "▼" if move < 0 else "•"


def _colour(line: Line) -> discord.Colour:
    price, close = line.quote.price, _last_close(line)
    if not close or price == close:
        return GREY
    return GREEN if price > close else RED


def _light(ok: bool | None) -> str:
    return {True: "🟢", False: "🔴", None: "⚪"}[ok]
