"""How tickets, orders and accounts look: PAPER or LIVE stands in every first line."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import discord
from babel import Locale

from bot import embeds, numbers
from bot.embeds import AMBER, GREEN, GREY, RED
from bot.numbers import moment
from db.order_models import Order, OrderState, Side, Spec, Tif
from services.order_states import OPEN
from services.tickets import Ticket

BLUE = discord.Colour(0x4C8DFF)
MODES = {"PAPER": "🧪 **PAPER**", "LIVE": "💵 **LIVE**"}
MODE_WORDS = {"PAPER": "simulated money", "LIVE": "real money"}
TIF_WORDS = {
    Tif.DAY: "until the close",
    Tif.GTC: "until cancelled",
    Tif.IOC: "at once or not at all",
}
DONE = {Side.BUY: "Bought", Side.SELL: "Sold"}
BAR = 10
MOST_OPEN = 15
MOST_DONE = 5


@dataclass(frozen=True, slots=True)
class _Look:
    """How a state is told: light, colour, words before and after the order."""

    light: str
    colour: discord.Colour
    lead: str
    after: str = ""


_LOOKS = {
    OrderState.CONFIRMED: _Look("📨", BLUE, "On its way"),
    OrderState.SUBMITTING: _Look("📨", BLUE, "On its way"),
    OrderState.WORKING: _Look("⏳", BLUE, "Sent, waiting in the market"),
    OrderState.PARTIAL: _Look("🟡", AMBER, ""),
    OrderState.PENDING_CANCEL: _Look("⏳", AMBER, "Cancelling"),
    OrderState.FILLED: _Look("✅", GREEN, ""),
    OrderState.CANCELED: _Look("⚪", GREY, "Cancelled"),
    OrderState.EXPIRED: _Look("⚪", GREY, "Ended unfilled"),
    OrderState.REJECTED: _Look("❌", RED, "Refused by the broker"),
    OrderState.DENIED: _Look("⛔", RED, "Not sent"),
    OrderState.VOID: _Look("⚪", GREY, "Never arrived at the broker", "Nothing was traded. You can enter it again."),
    OrderState.UNKNOWN: _Look(
        "❔",
        AMBER,
        "Sent, not yet confirmed",
        "**Do not enter it again.** I keep asking the broker and tell you here.",
    ),
    OrderState.NEEDS_REVIEW: _Look(
        "🛑",
        RED,
        "Needs a look by the operator",
        "New orders of this kind wait until it is clear. Nothing will be sent twice.",
    ),
}


def ticket(shown: Ticket, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of an order that is not sent yet."""
    spec = shown.spec
    about = f"{'costs at most' if spec.side is Side.BUY else 'brings at least'} {numbers.money(shown.cost, locale)}"
    headline = f"{MODES[shown.account.mode]} · {wording(spec, locale)} · {about}"
    if shown.why:
        headline = f"⚠️ Nothing was sent: {shown.why}\n{headline}"
    ends = f"{moment(shown.expires_at, 'T')} ({moment(shown.expires_at)})"
    until = f"⏱️ Open until {ends}. Nothing is sent before you confirm."
    embed = discord.Embed(
        title=f"{shown.account.mode} · {title(spec, locale)}",
        colour=AMBER if shown.why or shown.warnings else BLUE,
        description="\n".join([until, *(f"⚠️ {warning}" for warning in shown.warnings)]),
    )
    embed.add_field(name="Bid / ask", value=_spread(shown, locale))
    embed.add_field(name="Limit", value=_limit(shown, locale))
    embed.add_field(name="Good", value=TIF_WORDS[spec.tif])
    embed.add_field(
        name="Estimated cost" if spec.side is Side.BUY else "Estimated proceeds",
        value=f"**{numbers.money(shown.cost, locale)}**",
    )
    embed.add_field(
        name="Buying power",
        value=f"{numbers.money(shown.buying_power, locale)} → **{numbers.money(shown.buying_power_after, locale)}**",
    )
    embed.add_field(name="Market", value=embeds.session(shown.session))
    embed.set_footer(text=f"{account_name(shown.account.mode, shown.account.label)} · {MODE_WORDS[shown.account.mode]}")
    return headline, embed


def ticket_ended(shown: Ticket, locale: Locale) -> tuple[str, discord.Embed]:
    """Return what is left of a ticket whose time is over."""
    spec = shown.spec
    command = f"/{spec.side.value}"
    headline = (
        f"⌛ {MODES[shown.account.mode]} · Ticket ended {moment(shown.expires_at, 'T')}, nothing was sent"
        f" · {wording(spec, locale)}"
    )
    return headline, _quiet(f"Prices have moved on since. `{command}` opens a fresh ticket.", shown.account.mode)


def ticket_put_away() -> tuple[str, discord.Embed]:
    """Return what is left of a ticket that its owner cancelled."""
    return "✖️ Ticket cancelled, nothing was sent", discord.Embed(
        colour=GREY, description="`/buy` and `/sell` open a fresh one."
    )


def order(told: Order, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of an order in its present state."""
    spec, look = told.spec, _LOOKS[told.state]
    embed = discord.Embed(title=f"{told.mode} · {title(spec, locale)}", colour=look.colour)
    embed.description = "\n".join(filter(None, [told.reason, look.after])) or None
    if 0 < told.filled < told.spec.quantity:
        embed.add_field(name="Filled", value=_progress(told, locale))
    if told.average_price is not None:
        embed.add_field(name="Average price", value=f"**{numbers.price(told.average_price, locale)}**")
        embed.add_field(name="Total", value=numbers.money(told.cost, locale))
    embed.add_field(name="Confirmed", value=moment(told.created_at, "T"))
    embed.set_footer(text=f"{account_name(told.mode, told.label)} · {MODE_WORDS[told.mode]} · {told.client_order_id}")
    return headline(told, locale), embed


def headline(told: Order, locale: Locale) -> str:
    """Return the one line that tells how an order stands."""
    look = _LOOKS[told.state]
    start = f"{look.light} {MODES[told.mode]} · "
    what = wording(told.spec, locale)
    if not told.filled:
        return f"{start}{look.lead}: {_lower(what)}"
    part = numbers.count(told.filled, locale)
    if told.filled < told.spec.quantity:
        part = f"{part} of {numbers.count(told.spec.quantity, locale)}"
    assert told.average_price is not None
    price, total = numbers.price(told.average_price, locale), numbers.money(told.cost, locale)
    done = f"{DONE[told.spec.side]} {part} **{told.spec.symbol}** at {price} · {total}"
    ending = f" · {_lower(look.lead)}" if look.lead else " · the rest waits" if told.state is OrderState.PARTIAL else ""
    return start + done + ending


def wording(spec: Spec, locale: Locale) -> str:
    """Return an order in words: Buy 10 **SPY** at 601.25 or better."""
    price = "at market" if spec.limit is None else f"at {numbers.price(spec.limit, locale)} or better"
    return f"{spec.side.value.capitalize()} {numbers.count(spec.quantity, locale)} **{spec.symbol}** {price}"


def title(spec: Spec, locale: Locale) -> str:
    """Return an order with its terms, as a title."""
    price = "market" if spec.limit is None else f"limit {numbers.price(spec.limit, locale)}"
    what = f"{spec.side.value.capitalize()} {numbers.count(spec.quantity, locale)} {spec.symbol}"
    return f"{what} · {price} · {spec.tif.value}"


def account_name(mode: str, label: str) -> str:
    """Return what an account is called: PAPER account, LIVE account · Alpaca ••1234."""
    return f"{mode} account" if label.upper() == mode else f"{mode} account · {label}"


def brief(spec: Spec, locale: Locale) -> str:
    """Return an order as a button can hold it."""
    price = "market" if spec.limit is None else numbers.price(spec.limit, locale)
    return f"{spec.side.value} {numbers.count(spec.quantity, locale)} {spec.symbol} {price}"


def can_cancel(told: Order) -> bool:
    """Tell whether a cancel can still do something that has not been asked for yet."""
    return told.state in OPEN and told.state is not OrderState.PENDING_CANCEL


def orders(told: Sequence[Order], locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of a person's orders, open ones first."""
    still_open, done = [o for o in told if o.state in OPEN], [o for o in told if o.state not in OPEN]
    count = numbers.count(len(still_open), locale)
    words = f"{count} open order{'s' if len(still_open) != 1 else ''}" if still_open else "No open orders"
    lines = [_line(one, locale) for one in still_open[:MOST_OPEN]] or ["`/buy` and `/sell` open a ticket."]
    if len(still_open) > MOST_OPEN:
        lines.append(f"and {len(still_open) - MOST_OPEN} more: cancel some to see them")
    lines += ["", *(_line(one, locale) for one in done[:MOST_DONE])]
    embed = discord.Embed(colour=BLUE if still_open else GREY, description="\n".join(lines).strip())
    return f"📋 **{words}**", embed


def _spread(shown: Ticket, locale: Locale) -> str:
    prices = f"{numbers.price(shown.bid, locale)} / {numbers.price(shown.ask, locale)}"
    return f"{prices}\n{numbers.duration(shown.age)} old · {moment(shown.as_of, 'T')} · {shown.source}"


def _limit(shown: Ticket, locale: Locale) -> str:
    if shown.spec.limit is not None:
        return f"**{numbers.price(shown.spec.limit, locale)}**"
    bound = "never above" if shown.spec.side is Side.BUY else "never below"
    collar = numbers.percent(Decimal(shown.collar_bp or 0) / 10_000, locale)
    return f"market, {bound} **{numbers.price(shown.worst, locale)}** (collar {collar})"


def _line(told: Order, locale: Locale) -> str:
    since, at = ("since", told.created_at) if told.state in OPEN else ("ended", told.updated_at)
    reason = f" · {told.reason}" if told.reason else ""
    return f"{headline(told, locale)}\n-# {since} {moment(at)}{reason}"


def _progress(told: Order, locale: Locale) -> str:
    full = BAR * told.filled // told.spec.quantity
    share = f"{numbers.count(told.filled, locale)} of {numbers.count(told.spec.quantity, locale)}"
    return f"{'▰' * full}{'▱' * (BAR - full)} {share}"


def _quiet(text: str, mode: str) -> discord.Embed:
    embed = discord.Embed(colour=GREY, description=text)
    embed.set_footer(text=MODE_WORDS[mode])
    return embed


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
