"""How accounts look: what is held, what it is worth, what is left to spend, and what is allowed."""

from decimal import Decimal

import discord
from babel import Locale

from bot import numbers
from bot.embeds import AMBER, GREEN, GREY, RED
from bot.numbers import moment
from bot.order_cards import BLUE, MODE_WORDS, MODES, account_name
from db.order_models import Account, Balance, Limits, TradingState
from services.kill_switch import Panic
from services.portfolios import Holding, Portfolio
from services.risk import HouseRules

SWITCH = {
    TradingState.ACTIVE: ("🟢", "Trading is on", GREEN),
    TradingState.REDUCING: ("🛑", "No new entries", AMBER),
    TradingState.HALTED: ("🛑", "Trading is halted", RED),
}


def positions(portfolio: Portfolio, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of what an account holds, at the latest prices."""
    mode, held = portfolio.account.mode, portfolio.holdings
    if not held:
        return f"{MODES[mode]} · **No positions**", _card(mode, portfolio.account, GREY, "`/buy` opens a ticket.")
    gain = sum((h.unrealised for h in held if h.unrealised is not None), Decimal(0))
    count = f"{len(held)} position{'s' if len(held) > 1 else ''}"
    headline = f"{MODES[mode]} · {count} · P&L **{numbers.money(gain, locale, sign=True)}**"
    embed = _card(mode, portfolio.account, _colour(gain), "\n".join(_holding(h, locale) for h in held))
    balance = portfolio.balance
    embed.add_field(name="Unrealised", value=_gain(gain, locale))
    embed.add_field(name="Realised", value=_gain(balance.realised, locale))
    embed.add_field(name="Cash", value=numbers.money(balance.cash, locale))
    return headline, embed


def balance(account: Account, money: Balance, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of the money of an account."""
    headline = f"{MODES[account.mode]} · **{numbers.money(money.buying_power, locale)}** to spend"
    embed = _card(account.mode, account, BLUE, None)
    embed.add_field(name="Cash", value=numbers.money(money.cash, locale))
    embed.add_field(name="Set aside for open buys", value=numbers.money(money.reserved, locale))
    embed.add_field(name="Buying power", value=f"**{numbers.money(money.buying_power, locale)}**")
    embed.add_field(name="Positions at cost", value=numbers.money(money.at_cost, locale))
    embed.add_field(name="Equity at cost", value=numbers.money(money.equity, locale))
    embed.add_field(name="Realised P&L", value=_gain(money.realised, locale))
    return headline, embed


def ask_reset(account: Account, money: Balance, locale: Locale) -> tuple[str, discord.Embed]:
    """Return the question before a paper account starts anew."""
    headline = f"{MODES[account.mode]} · **Start the paper account anew?**"
    text = (
        f"It has {numbers.money(money.cash, locale)} cash and positions for {numbers.money(money.at_cost, locale)}. "
        "Positions and cash go, open paper orders are cancelled. Only the record of what you did stays."
    )
    return headline, _card(account.mode, account, AMBER, text)


def was_reset(account: Account, money: Balance, locale: Locale) -> tuple[str, discord.Embed]:
    """Return the card of a paper account that has just started anew."""
    headline = f"{MODES[account.mode]} · Started anew with **{numbers.money(money.cash, locale)}**"
    return headline, _card(account.mode, account, GREEN, "`/buy` opens a ticket.")


def panic(done: Panic, *, everybody: bool) -> tuple[str, discord.Embed]:
    """Return the card of a kill switch that has just been pulled."""
    _, words, colour = SWITCH[done.state]
    orders = f"{done.cancelled} open order{'s' if done.cancelled != 1 else ''}"
    whose = "for everybody" if everybody else "for you"
    allowed = (
        "Sells of what you hold still pass, and so do cancels."
        if done.state is TradingState.REDUCING
        else "Only cancels still pass."
    )
    text = (
        f"{allowed}\nIt stays so, over restarts too, until **Resume trading** is pressed. `/orders` shows each order."
    )
    return (
        f"🛑 **{words} {whose}** · {orders} being cancelled",
        discord.Embed(title="Kill switch", colour=colour, description=text),
    )


def ask_panic_everybody() -> tuple[str, discord.Embed]:
    """Return the question before trading stops for everybody."""
    text = "Every member's open orders are cancelled and no new order passes until you resume."
    return "🛑 **Halt trading for everybody?**", discord.Embed(title="Kill switch", colour=AMBER, description=text)


def resumed(state: TradingState) -> tuple[str, discord.Embed]:
    """Return the card after a switch was put back; another one may still hold."""
    light, words, colour = SWITCH[state]
    still = None if state is TradingState.ACTIVE else "Another switch still holds: the operator's, or your own."
    return f"{light} **{words}**", discord.Embed(title="Kill switch", colour=colour, description=still)


def limits(own: Limits, house: HouseRules, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of what a person allows themself, and of the house's rules."""
    embed = discord.Embed(colour=BLUE, description="Change them with the options of `/limits`; 0 takes one away.")
    embed.add_field(name="Most in one order", value=_cap(own.max_order, locale))
    embed.add_field(name="Most bought in one day", value=_cap(own.max_day, locale))
    drift = "the house's" if own.drift_bp is None else numbers.percent(Decimal(own.drift_bp) / 10_000, locale)
    embed.add_field(name="Price may move before Confirm", value=drift)
    embed.add_field(name="“Market” may pay up", value=numbers.percent(Decimal(own.collar_bp) / 10_000, locale))
    embed.add_field(name="Rules of the house", value=_house(house, locale), inline=False)
    first = f"{numbers.money(own.max_order, locale)} an order" if own.max_order else "only the house's rules"
    return f"🛡️ **Your limits** · {first}", embed


def _house(rules: HouseRules, locale: Locale) -> str:
    share, band = (f"{numbers.strike(float(part * 100), locale)} %" for part in (rules.equity_share, rules.limit_band))
    most = numbers.money(rules.most_money, locale)
    return "\n".join(
        [
            f"1 to {numbers.count(rules.most_shares, locale)} shares an order, {rules.a_minute} orders a minute",
            f"a buy at most {share} of your equity, and {most}",
            f"a limit at most {band} from the market",
            f"a second press for the same order within a minute, and for {rules.unusual} times your usual one",
        ]
    )


def _holding(held: Holding, locale: Locale) -> str:
    position = held.position
    bought = f"{numbers.count(position.quantity, locale)} at {numbers.price(position.average_cost, locale)}"
    if held.price is None or held.value is None or held.unrealised is None:
        return f"**{position.symbol}** {bought} · no price right now"
    share = numbers.percent(held.unrealised / position.cost, locale, sign=True) if position.cost else ""
    light = "▲" if held.unrealised > 0 else "▼" if held.unrealised < 0 else "•"
    when = f" · {moment(held.as_of)}" if held.as_of else ""
    return (
        f"**{position.symbol}** {bought} {light} **{numbers.money(held.unrealised, locale, sign=True)}** ({share})\n"
        f"-# now {numbers.price(held.price, locale)}{when} · worth {numbers.money(held.value, locale)}"
    )


def _card(mode: str, account: Account, colour: discord.Colour, text: str | None) -> discord.Embed:
    embed = discord.Embed(title=account_name(mode, account.label), colour=colour, description=text)
    embed.set_footer(text=MODE_WORDS[mode])
    return embed


def _gain(value: Decimal, locale: Locale) -> str:
    light = "▲ " if value > 0 else "▼ " if value < 0 else ""
    return light + numbers.money(value, locale, sign=True)


def _cap(value: Decimal | None, locale: Locale) -> str:
    return "the house's" if value is None else numbers.money(value, locale)


def _colour(gain: Decimal) -> discord.Colour:
    return GREEN if gain > 0 else RED if gain < 0 else GREY
