"""How linked brokers look: the way there, the question at its end, what a link is used for, and when it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import discord
from babel import Locale

from bot import numbers
from bot.embeds import AMBER, GREEN, GREY, RED
from bot.numbers import moment
from bot.order_cards import BLUE, MODES, account_name
from db.link_models import BrokerConnection, LinkState
from db.order_models import Account, Balance
from services.links import PENDING_LIVES

WHERE_USED = "Used only in answers that nobody but you reads: the data is licensed to you alone."
MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Stop:
    """Why linking was stopped for safety: what has happened, and what to do."""

    headline: str
    text: str


_STOPS = {
    "wrong_person_owner": _Stop(
        "🛑 **Somebody else opened your link to {broker}** · nothing was linked",
        "The link is void, and nobody got at anything of yours. `/link` makes a new one: open it yourself, signed in "
        "to Discord as yourself, and pass it to nobody.",
    ),
    "wrong_person_other": _Stop(
        "🛑 **You opened somebody else's link to {broker}** · nothing was linked",
        "Whoever sends you such a link wants the use of your account. It is void now. To link your own account, type "
        "`/link` yourself.",
    ),
    "taken_new": _Stop(
        "⚠️ **Another member has linked this {broker} account** · nothing was linked",
        "An account serves one member. If you linked it under another Discord account of yours, type `/unlink` there "
        "first, then `/link` here; if not, change your password at {broker}.",
    ),
    "taken_owner": _Stop(
        "🛑 **Somebody else tried to link your {account}** · it stays yours",
        "Nothing was changed. But whoever tried could sign in at {broker}: unless that was you, under another Discord "
        "account, change your password at {broker} now.",
    ),
}


def broker_name(broker: str) -> str:
    """Return a broker as people write it."""
    return broker.capitalize()


def name_of(link: BrokerConnection) -> str:
    """Return a linked account as its owner recognises it: broker and the end of its number."""
    return f"{broker_name(link.broker)} {link.label}"


def offer(broker: str, ends: datetime) -> tuple[str, discord.Embed]:
    """Return what stands over the button that leads to the browser, which works until `ends`."""
    name = broker_name(broker)
    text = (
        f"Your browser opens: sign in with Discord, allow it at {name}, and this message asks you to activate it.\n"
        "Nobody from here ever asks for a password. The button is for you alone: pass it to nobody."
    )
    embed = discord.Embed(colour=BLUE, description=text)
    embed.set_footer(
        text="I can read market data and your account, of which I keep the number. I cannot trade or move money."
    )
    return f"🔗 **Link {name}** · the button works until {moment(ends, 't')}", embed


def choose() -> tuple[str, discord.Embed]:
    """Return the question which broker to link."""
    text = "Your own broker's market data, for you alone. You sign in at the broker; no password is asked for here."
    return "🔗 **Which broker do you want to link?**", discord.Embed(colour=BLUE, description=text)


def pending(told: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return the question at the end of linking, which only its owner is asked."""
    text = (
        "Is this your account? Nothing is used before you press **Activate**. **Discard** deletes the access; so does "
        "waiting for 15 minutes."
    )
    headline = f"🔗 **{_name(told)}** · {MODES[told['mode']]} · market data: activate?"
    return headline, discord.Embed(colour=AMBER, description=text)


def active(told: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return the card of a link that has just become active."""
    text = (
        "Used in direct messages with me, and in answers that only you can see: the data is licensed to you alone. "
        "Answers for everybody come from the shared sources."
    )
    headline = f"✅ **{_name(told)}** · {MODES[told['mode']]} · gives you market data now"
    return headline, discord.Embed(colour=GREEN, description=text)


def discarded(told: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return what is left of a link that was not activated."""
    why = "You did not activate it in time, so the" if told.get("why") == "late" else "The"
    text = f"{why} access is deleted here; it was never used. {_withdraw(told)}"
    return f"✖️ **{_name(told)}** · not linked", discord.Embed(colour=GREY, description=text)


def ask_unlink(link: BrokerConnection) -> tuple[str, discord.Embed]:
    """Return the question before a link ends."""
    text = "I delete the access, and use its market data no more. `/link` brings it back."
    return f"🔗 **Unlink {name_of(link)}?** · {MODES[link.mode]}", discord.Embed(colour=AMBER, description=text)


def unlinked(told: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return what is left of a link that has ended."""
    text = f"The access is deleted here, and its market data is used no more. {_withdraw(told)}"
    return f"✂️ **{_name(told)}** · unlinked", discord.Embed(colour=GREY, description=text)


def signed_out(told: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return what its owner is told when a broker takes our access no more."""
    text = f"{told['why']} Until you link it again, its market data is not used."
    return f"⚠️ **{_name(told)}** · signed out: link it again", discord.Embed(colour=RED, description=text)


def refused(told: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return what whom it concerns is told when linking was stopped for safety."""
    stop, broker = _STOPS[told["why"]], broker_name(told["broker"])
    words = {"broker": broker, "account": f"{broker} {told.get('label') or 'account'}"}
    return stop.headline.format(**words), discord.Embed(colour=RED, description=stop.text.format(**words))


def accounts(
    paper: Account,
    money: Balance,
    links: Sequence[BrokerConnection],
    source: BrokerConnection | None,
    locale: Locale,
    *,
    can_link: bool,
) -> tuple[str, discord.Embed]:
    """Return headline and embed of every account of a person; `source` is the link that market data comes from."""
    embed = discord.Embed(title="Your accounts", colour=AMBER if _lost(links) else GREEN if source else GREY)
    spend = numbers.money(money.buying_power, locale)
    orders = f"🟢 Your orders go here: simulated money, {spend} to spend"
    embed.add_field(name=account_name(paper.mode, paper.label), value=orders, inline=False)
    for link in links[:MOST_LISTED]:
        embed.add_field(name=f"{link.mode} · {name_of(link)}", value=_use(link, source), inline=False)
    if links:
        embed.set_footer(text=WHERE_USED)
    elif can_link:
        embed.description = "`/link` adds your own broker's market data, for you alone."
    return _summary(links, source), embed


def _summary(links: Sequence[BrokerConnection], source: BrokerConnection | None) -> str:
    if lost := _lost(links):
        return f"⚠️ **{name_of(lost)}** is signed out: link it again"
    if source:
        return f"🗂️ Orders: paper account · market data: **{name_of(source)}**"
    if links:
        return f"🗂️ **{name_of(links[0])}** waits for you to activate it"
    return "🗂️ Orders: paper account · no broker linked"


def _use(link: BrokerConnection, source: BrokerConnection | None) -> str:
    if link.state is LinkState.PENDING:
        return f"🟡 Not used yet: activate it, or the access is deleted {moment(link.created_at + PENDING_LIVES)}"
    if link.state is LinkState.SIGNED_OUT:
        return "🔴 Signed out: its market data is not used until you link it again"
    since = f" · since {moment(link.activated_at)}" if link.activated_at else ""
    if link is source:
        return f"🟢 Your market data comes from here{since}"
    return f"⚪ In reserve: the broker that you linked last is asked{since}"


def _name(told: Mapping[str, Any]) -> str:
    return f"{broker_name(told['broker'])} {told['label']}"


def _lost(links: Sequence[BrokerConnection]) -> BrokerConnection | None:
    return next((link for link in links if link.state is LinkState.SIGNED_OUT), None)


def _withdraw(told: Mapping[str, Any]) -> str:
    broker = broker_name(told["broker"])
    return f"To take the permission back at {broker} too, remove this app in your {broker} account."
