"""How strikes of a chain look: two short lines a contract, for a phone's width."""

from itertools import groupby

import discord
from babel import Locale
from babel.dates import format_date

from bot import numbers
from bot.embeds import GREY
from bot.expiry_words import day, facts
from bot.numbers import moment
from services.chain_page import Contract, Page, Side
from services.source_words import lateness

NONE = "—"
_GREEKS = {"delta": "Δ", "gamma": "Γ", "theta": "Θ", "vega": "vega"}


def chain(page: Page, side: Side, locale: Locale, *, in_greeks: bool) -> tuple[str, discord.Embed]:
    """Return headline and embed for a page of contracts, with quotes or with greeks under each."""
    p = page
    title = f"{day(p.expiration, locale)} {p.expiration.day.year} · {facts(p.expiration, p.as_of)}"
    embed = discord.Embed(colour=GREY, title=title, description=_lines(p, side, locale, in_greeks=in_greeks))
    embed.set_footer(text=_footer(p, locale, in_greeks=in_greeks))
    return _headline(p, locale), embed


def _lines(page: Page, side: Side, locale: Locale, *, in_greeks: bool) -> str:
    p, lines = page, [_data(page)]
    # on the page above, or between this page's strikes, or on the page below
    above = p.spot > p.contracts[0].strike and p.higher is not None
    for strike, contracts in groupby(p.contracts, key=lambda contract: contract.strike):
        if strike <= p.spot and not above:
            lines.append(_money(p, locale))
            above = True
        if side is Side.BOTH:
            lines.append(f"**{numbers.strike(strike, locale)}**")
        lines += [_contract(each, side, locale, in_greeks=in_greeks) for each in contracts]
    if not above and p.lower is None:
        lines.append(_money(p, locale))
    return "\n".join(lines)


def _headline(page: Page, locale: Locale) -> str:
    known = [f"**{page.symbol}** {numbers.price(page.spot, locale)}"]
    if page.straddle is not None:
        known.append(f"straddle {numbers.price(round(page.straddle, 2), locale)} by {day(page.expiration, locale)}")
    if page.atm_iv is not None:
        known.append(f"IV at the money {numbers.percent(page.atm_iv, locale, places=1)}")
    return " · ".join(known)


def _money(page: Page, locale: Locale) -> str:
    return f"➤ **{page.symbol} {numbers.price(page.spot, locale)}** · the money"


def _contract(contract: Contract, side: Side, locale: Locale, *, in_greeks: bool) -> str:
    c = contract
    letter = "C" if c.is_call else "P"
    name = letter if side is Side.BOTH else f"**{numbers.strike(c.strike, locale)} {letter}**"
    quotes = f"{name} {_decimals(c.bid, 2, locale)} / {_decimals(c.ask, 2, locale)} · mid {_decimals(c.mid, 2, locale)}"
    return f"{quotes}\n-# {_greeks(c, locale) if in_greeks else _interest(c, locale)}"


def _interest(contract: Contract, locale: Locale) -> str:
    c = contract
    return (
        f"IV {_iv(c.iv, locale)} · Δ {_decimals(c.delta, 2, locale)} · "
        f"OI {_count(c.open_interest, locale)} · vol {_count(c.volume, locale)}"
    )


def _greeks(contract: Contract, locale: Locale) -> str:
    c = contract
    return (
        f"IV {_iv(c.iv, locale)} · Δ {_decimals(c.delta, 2, locale)} · Γ {_decimals(c.gamma, 4, locale)} · "
        f"Θ {_decimals(c.theta, 2, locale)} · vega {_decimals(c.vega, 2, locale)}"
    )


def _data(page: Page) -> str:
    return f"-# {page.source} · {lateness(page.delay)} · {moment(page.as_of, 'f')} ({moment(page.as_of)})"


def _footer(page: Page, locale: Locale, *, in_greeks: bool) -> str:
    dated = page.open_interest_date
    parts = [f"OI of {format_date(dated, 'medium', locale=locale)}" if dated else "OI undated"]
    shown = _GREEKS if in_greeks else {"delta": "Δ"}
    if computed := [sign for name, sign in shown.items() if name in page.computed]:
        parts.append(f"{', '.join(computed)} computed from IV where the source has none")
    if in_greeks:
        parts.append("Θ per day, vega per point of IV")
    if page.solved:
        parts.append(f"IV of {page.solved} computed from mid prices")
    return " · ".join((*parts, *_missing(page)))


def _missing(page: Page) -> list[str]:
    contracts = page.contracts
    reasons = {
        "nobody bids": any(c.bid is None and c.ask is not None for c in contracts),
        "not quoted": any(c.bid is None and c.ask is None for c in contracts),
        "no IV stated or in the prices, so no greeks": any(c.iv is None for c in contracts),
        "no open interest or volume told": any(c.open_interest is None or c.volume is None for c in contracts),
    }
    found = [reason for reason, applies in reasons.items() if applies]
    return [f"{NONE} = {'; '.join(found)}"] if found else []


def _iv(value: float | None, locale: Locale) -> str:
    return NONE if value is None else numbers.percent(value, locale, places=1)


def _decimals(value: float | None, places: int, locale: Locale) -> str:
    return NONE if value is None else numbers.decimals(value, places, locale)


def _count(value: float | None, locale: Locale) -> str:
    return NONE if value is None else numbers.count(round(value), locale)
