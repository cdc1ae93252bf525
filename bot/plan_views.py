"""Plans: what a person has, what is left of it today, and what the others include."""

import re
from typing import Any, Self

import discord
from babel import Locale

from bot import numbers
from bot.embeds import AMBER, GREY
from bot.numbers import locale_for, moment
from bot.replies import Interaction, Reply, answer
from bot.views import Pressed
from services.plans import LIVE_CHAIN, LIVE_QUOTE, PLANS, WORDS, Kind, Plan, Terms
from services.usage import Today

BAR = 10


class SeePlans(discord.ui.DynamicItem[discord.ui.Button[Any]], template="plan:show"):
    """Stands under the refusal of somebody who reached a limit; `replies` puts it there."""

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], _match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Button)
        return cls(item)

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, shown(interaction), private=True)


async def shown(interaction: Interaction) -> Reply:
    """Return the person's plan and what is left of it."""
    today = await interaction.client.services.usage.today(interaction.user.id)
    return Reply(*card(today, locale_for(interaction)), private=True)


def card(today: Today, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of a person's day."""
    terms = today.terms
    headline = f"**{terms.plan.upper()}** plan · {_tightest(today, locale)}"
    embed = discord.Embed(title="Your plan", colour=AMBER if _spent(today) else GREY)
    for kind in Kind:
        words = _left(today.used[kind], terms.most[kind], locale)
        embed.add_field(name=f"{WORDS[kind].capitalize()} today", value=words, inline=False)
    when = f"{moment(today.resets_at)} ({moment(today.resets_at, 'f')}), at midnight in New York"
    embed.add_field(name="The next day begins", value=when, inline=False)
    included = "\n".join(_included(PLANS[plan], locale, yours=plan is terms.plan) for plan in Plan)
    embed.add_field(name="What the plans include", value=included, inline=False)
    if not today.complete:
        embed.description = "⚠️ Our database cannot be reached right now, so this may be too little. You are answered."
    embed.set_footer(text="Another plan? Ask the operator of this bot.")
    return headline, embed


BUTTONS = (SeePlans,)


def _spent(today: Today) -> bool:
    return any(most is not None and today.used[kind] >= most for kind, most in today.terms.most.items())


def _tightest(today: Today, locale: Locale) -> str:
    """Say of the limit that is used up first how far that is."""
    limited = {kind: most for kind, most in today.terms.most.items() if most is not None}
    if not limited:
        return "no limits"
    kind = max(limited, key=lambda kind: today.used[kind] / limited[kind])
    used, most = (numbers.count(value, locale) for value in (today.used[kind], limited[kind]))
    return f"{used} of {most} {WORDS[kind]} used today"


def _left(used: int, most: int | None, locale: Locale) -> str:
    if most is None:
        return f"{numbers.count(used, locale)} used · no limit"
    full = min(BAR, -(-used * BAR // most))
    words = f"{numbers.count(used, locale)} of {numbers.count(most, locale)}"
    left = f"{numbers.count(most - used, locale)} left" if used < most else "none left"
    return f"{'▰' * full}{'▱' * (BAR - full)} {words} · {left}"


def _included(terms: Terms, locale: Locale, *, yours: bool) -> str:
    limited = [f"{numbers.count(most, locale)} {WORDS[kind]}" for kind, most in terms.most.items() if most is not None]
    amount = f"{', '.join(limited)} a day" if limited else "no limits"
    quotes = "live" if terms.quote_age == LIVE_QUOTE else f"up to {numbers.duration(terms.quote_age)} old"
    chains = "live" if terms.chain_age == LIVE_CHAIN else f"up to {numbers.duration(terms.chain_age)} old"
    fresh = "quotes and options live" if quotes == chains else f"quotes {quotes}, options {chains}"
    return f"**{terms.plan.upper()}**{' (yours)' if yours else ''}: {amount}; {fresh}"
