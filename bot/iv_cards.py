"""How volatility looks in words: the facts of the picture, and the expected move of each expiration, one a line."""

import discord
from babel import Locale

from bot import numbers
from bot.embeds import GREY
from bot.expiry_words import day
from bot.numbers import moment
from services.options import VolatilityPicture
from services.source_words import lateness
from services.volatility import Term, Volatility
from services.volatility_words import View

MOST_LINES = 12
NONE = "—"


def iv(picture: VolatilityPicture, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed for a volatility picture."""
    v, chosen = picture.volatility, picture.chosen
    shown = _shown(v, chosen)
    lines = [_line(term, v, chosen, locale) for term in shown]
    if left := len(v.terms) - len(shown):
        lines.append(f"-# and {left} more: CSV has them all")
    embed = discord.Embed(colour=GREY, title="Expected move · IV at the money", description="\n".join(lines))
    embed.add_field(name="25-delta risk reversal", value=_reversal(chosen, locale), inline=False)
    embed.add_field(
        name="As of", value=f"{moment(v.as_of, 'f')} ({moment(v.as_of)}) · {lateness(v.delay)}", inline=False
    )
    embed.set_footer(text=_footer(picture))
    return _headline(v, chosen, locale), embed


def _headline(volatility: Volatility, chosen: Term, locale: Locale) -> str:
    v, by = volatility, day(chosen.expiration, locale)
    if v.iv30 is not None:
        facts = [f"**{v.symbol}** 30-day IV **{_percent(v.iv30, locale)}**"]
    elif chosen.atm_iv is not None:
        facts = [f"**{v.symbol}** IV **{_percent(chosen.atm_iv, locale)}** on {by}"]
    else:
        facts = [f"**{v.symbol}** {numbers.price(v.spot, locale)}"]
    if chosen.move is not None:
        facts.append(f"expected {_move(chosen.move, v.spot, locale)} by {by}")
    return ", ".join(facts)


def _shown(volatility: Volatility, chosen: Term) -> list[Term]:
    nearest = [*volatility.terms[:MOST_LINES]]
    return nearest if chosen in nearest else [*nearest[:-1], chosen]


def _line(term: Term, volatility: Volatility, chosen: Term, locale: Locale) -> str:
    name = day(term.expiration, locale)
    move = NONE if term.move is None else _move(term.move, volatility.spot, locale)
    atm = NONE if term.atm_iv is None else _percent(term.atm_iv, locale)
    return f"{f'**{name}** ◂' if term is chosen else name} {move} · {atm}"


def _move(move: float, spot: float, locale: Locale) -> str:
    return f"±{numbers.price(round(move, 2 if spot >= 1 else 4), locale)} ({_percent(move / spot, locale)})"


def _reversal(term: Term, locale: Locale) -> str:
    skew, by = term.skew, day(term.expiration, locale)
    if skew is None:
        return f"{NONE} only {term.strikes} strikes of {by} have an IV, too few for a skew"
    if skew.put_wing is None or skew.call_wing is None or skew.risk_reversal is None:
        return f"{NONE} the strikes of {by} do not reach a delta of 0.25 on both sides"
    points = 100 * skew.risk_reversal
    return (
        f"{'+' if points > 0 else ''}{numbers.decimals(points, 1, locale)} points on {by}: "
        f"call {_percent(skew.call_wing[1], locale)} at {numbers.strike(round(skew.call_wing[0], 1), locale)}, "
        f"put {_percent(skew.put_wing[1], locale)} at {numbers.strike(round(skew.put_wing[0], 1), locale)}"
    )


def _footer(picture: VolatilityPicture) -> str:
    v = picture.volatility
    parts = ["± is the straddle at the money, IV that of the out-of-the-money side"]
    if v.iv30 is None:
        parts.append("no 30-day IV: no expirations on both sides of 30 days")
    if any(term.move is None or term.atm_iv is None for term in v.terms):
        parts.append(f"{NONE} not quoted at the money")
    if picture.view is not View.SKEW and all(term.skew is None for term in v.terms):
        parts.append("no skew: too few strikes with an IV")
    return " · ".join((*parts, v.source))


def _percent(fraction: float, locale: Locale) -> str:
    return numbers.percent(fraction, locale, places=1)
