"""How gamma looks in words: the facts of the picture as a card, and the levels one line each."""

from collections.abc import Callable
from datetime import date, timedelta

import discord
from babel import Locale
from babel.dates import format_date, format_skeleton

from bot import numbers
from bot.embeds import GREEN, RED
from bot.numbers import moment
from services.expiration import Expiry
from services.gamma import Gamma
from services.gamma_words import net_at, per, stand_in
from services.source_words import lateness

_FILTERS = {
    Expiry.ALL: "all expiries",
    Expiry.ZERO_DTE: "0DTE",
    Expiry.WEEK: "this week",
    Expiry.OPEX: "monthly OPEX",
    Expiry.NEAR: "the next 94 days",
}
_MOST_DAYS = 3
_CLEAR = timedelta(days=300)


def gamma(g: Gamma, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for a gamma picture; the facts of the drawing, in words."""
    net = numbers.dollars(g.total, locale, sign=True)
    flip = f"flip {numbers.price(g.flip, locale)}" if g.flip is not None else "no flip"
    headline = f"**{g.symbol}** gamma **{net}** {_per(g)} · {flip}"
    embed = discord.Embed(colour=_colour(g), description=_in_words(g, locale))
    embed.add_field(name="Net GEX", value=net)
    embed.add_field(name="Gross GEX", value=numbers.dollars(g.gross, locale))
    embed.add_field(name="Gamma flip", value=_level(g.flip, g.spot, locale, numbers.price))
    embed.add_field(name="Call wall", value=_level(g.call_wall, g.spot, locale))
    embed.add_field(name="Put wall", value=_level(g.put_wall, g.spot, locale))
    embed.add_field(name="Expected move", value=_expected_move(g, locale))
    embed.add_field(name="Most gamma", value=_most_gamma(g, locale), inline=False)
    embed.add_field(name="By expiry", value=_by_expiry(g, locale), inline=False)
    if g.vanna is not None and g.charm is not None:
        embed.add_field(name="Vanna and charm", value=_drift(g.vanna, g.charm, locale), inline=False)
    embed.add_field(name="As of", value=_as_of(g, locale), inline=False)
    embed.set_footer(text=_footer(g, locale))
    return headline, embed


def levels(g: Gamma, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for the levels alone, one line each."""
    named = [("call wall", g.call_wall, numbers.strike), ("put wall", g.put_wall, numbers.strike)]
    named.append(("flip", g.flip, numbers.price))
    heads = [f"{name} {write(price, locale)}" for name, price, write in named if price is not None]
    headline = " · ".join((f"**{g.symbol}** {numbers.price(g.spot, locale)}", *heads))
    lines = [
        _line("Call wall", g.call_wall, g, locale, numbers.strike, _net(g, g.call_wall, locale)),
        _line("Put wall", g.put_wall, g, locale, numbers.strike, _net(g, g.put_wall, locale)),
        _line("Gamma flip", g.flip, g, locale, numbers.price, ""),
        _line("Absolute gamma", g.abs_gamma, g, locale, numbers.strike, ""),
        _line("Max pain", g.max_pain, g, locale, numbers.strike, f" on {_short(g.expiries[0], g, locale)}"),
        f"**Expected move** {_expected_move(g, locale)}",
        f"**0DTE** {numbers.percent(g.zero_dte, locale)} of gross gamma",
        f"**Net gamma** {numbers.dollars(g.total, locale, sign=True)} {_per(g)}",
        *(f"-# {line}" for line in _as_of(g, locale).splitlines()),
    ]
    embed = discord.Embed(colour=_colour(g), description="\n".join(lines))
    embed.set_footer(text=_footer(g, locale))
    return headline, embed


def _line(
    name: str,
    price: float | None,
    g: Gamma,
    locale: Locale,
    write: Callable[[float, Locale], str],
    note: str,
) -> str:
    return f"**{name}** {_level(price, g.spot, locale, write)}{note if price is not None else ''}"


def _net(g: Gamma, price: float | None, locale: Locale) -> str:
    return "" if price is None else f" · {numbers.dollars(net_at(g, price), locale, sign=True)} net"


def _colour(g: Gamma) -> discord.Colour:
    return GREEN if g.total >= 0 else RED


def _per(g: Gamma) -> str:
    return per(g).replace("1%", "1 %")


def _in_words(g: Gamma, locale: Locale) -> str:
    if g.total >= 0:
        mood = "**Positive gamma**: dealers sell rallies and buy dips, which calms the price."
    else:
        mood = "**Negative gamma**: dealers sell dips and buy rallies, which speeds moves up."
    return f"Spot **{numbers.price(g.spot, locale)}** · {_filter(g, locale)}\n{mood}"


def _filter(g: Gamma, locale: Locale) -> str:
    if instead := stand_in(g):
        return f"{instead} {_day(g.expiries[0], locale)}"
    expiry = g.lens.expiry
    return _FILTERS[expiry] if isinstance(expiry, Expiry) else f"expiry {_day(expiry, locale)}"


def _most_gamma(g: Gamma, locale: Locale) -> str:
    counts = "Most traded" if g.lens.by_volume else "Most open"
    calls, puts, both = (_strike(level, locale) for level in (g.max_call_gamma, g.max_put_gamma, g.abs_gamma))
    open_calls, open_puts = _strike(g.call_oi_wall, locale), _strike(g.put_oi_wall, locale)
    pain = f"{_strike(g.max_pain, locale)} on {_short(g.expiries[0], g, locale)}"
    return (
        f"Calls {calls} · puts {puts} · both {both}\n{counts}: calls {open_calls} · puts {open_puts}\nMax pain {pain}"
    )


def _by_expiry(g: Gamma, locale: Locale) -> str:
    largest = sorted(g.by_expiry, key=lambda each: -each.gross)[:_MOST_DAYS]
    lines = [
        f"{_short(each.day, g, locale)}: {numbers.dollars(each.net, locale, sign=True)} net, "
        f"{numbers.percent(each.gross / (g.gross or 1.0), locale)} of gross"
        for each in sorted(largest)
    ]
    return "\n".join((*lines, f"0DTE: {numbers.percent(g.zero_dte, locale)} of gross"))


def _drift(vanna: float, charm: float, locale: Locale) -> str:
    return (
        f"{numbers.dollars(vanna, locale, sign=True)} of delta per point of volatility\n"
        f"{numbers.dollars(charm, locale, sign=True)} of delta per day"
    )


def _as_of(g: Gamma, locale: Locale) -> str:
    first, last = g.expiries[0], g.expiries[-1]
    until = _day(last, locale)
    span = f"expiry {until}" if first == last else f"{len(g.expiries)} expiries to {until}"
    counts = "volume" if g.lens.by_volume else "open interest"
    covered = f"{numbers.percent(g.coverage, locale)} of {counts} with an implied volatility"
    return f"{moment(g.as_of, 'f')} ({moment(g.as_of)}) · {lateness(g.delay)}\n{span} · {covered}"


def _footer(g: Gamma, locale: Locale) -> str:
    if g.lens.by_volume:
        interest = "volume of the day, not open interest"
    else:
        dated = f"of {_day(g.open_interest_date, locale)}" if g.open_interest_date else "undated"
        interest = f"open interest {dated}"
    sources = ", ".join(f"{numbers.percent(share, locale)} {kind}" for share, kind in g.iv_sources)
    return f"Dealers long calls, short puts · {interest} · IV {sources} · {g.source}"


def _expected_move(g: Gamma, locale: Locale) -> str:
    if g.expected_move is None:
        return "—"
    share = numbers.percent(g.expected_move / g.spot, locale)
    move = round(g.expected_move, 2 if g.spot >= 1 else 4)
    return f"±{numbers.price(move, locale)} ({share}) by {_short(g.expiries[0], g, locale)}"


def _level(
    value: float | None, spot: float, locale: Locale, write: Callable[[float, Locale], str] = numbers.strike
) -> str:
    if value is None:
        return "none"
    return f"{write(value, locale)} ({numbers.percent(value / spot - 1, locale, sign=True)})"


def _strike(value: float | None, locale: Locale) -> str:
    return "none" if value is None else numbers.strike(value, locale)


def _short(day: date, g: Gamma, locale: Locale) -> str:
    """Write a day without its year where that goes without saying: a list has a phone's width."""
    if day - g.as_of.date() > _CLEAR:
        return _day(day, locale)
    text: str = format_skeleton("MMMd", day, locale=locale)
    return text


def _day(day: date, locale: Locale) -> str:
    return format_date(day, "medium", locale=locale)
