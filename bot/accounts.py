"""What a person has and allows themself, and the switches that stop trading."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import discord

from bot import account_cards
from bot.numbers import locale_for
from bot.replies import Interaction, Reply, answer
from bot.tickets import NewTicket
from bot.verbs import VerbButton
from bot.views import Press, Pressed
from db.order_models import Limits, Side
from services.errors import UserError

MOST_SELLS = 10
_LOOKS = {
    "positions": ("Refresh", discord.ButtonStyle.secondary),
    "reset": ("Start anew", discord.ButtonStyle.danger),
    "stop-all": ("Halt trading for everybody", discord.ButtonStyle.danger),
    "resume": ("Resume trading", discord.ButtonStyle.success),
    "resume-all": ("Resume trading for everybody", discord.ButtonStyle.success),
}


class AccountButton(VerbButton, subject="account", looks=_LOOKS, about=r"\d*"):
    """Does something to the presser's own account, or for the operator to everybody's."""

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _PRESSES[self._verb](interaction, self._about), edit=True, private=True)


async def positions(interaction: Interaction, _about: str = "") -> Reply:
    """Return what the person holds, with a way to sell each."""
    portfolio = await interaction.client.services.portfolios.of(interaction.user.id)
    headline, embed = account_cards.positions(portfolio, locale_for(interaction))
    view = discord.ui.View(timeout=None)
    for held in portfolio.holdings[:MOST_SELLS]:
        view.add_item(NewTicket(Side.SELL, held.position.symbol))
    view.add_item(AccountButton("positions"))
    return Reply(headline, embed, view, private=True)


async def balance(interaction: Interaction) -> Reply:
    """Return the money of the person's account."""
    account, money = await interaction.client.services.portfolios.balance(interaction.user.id)
    return Reply(*account_cards.balance(account, money, locale_for(interaction)), private=True)


async def ask_reset(interaction: Interaction) -> Reply:
    """Return the question whether the paper account shall start anew."""
    account, money = await interaction.client.services.portfolios.balance(interaction.user.id)
    headline, embed = account_cards.ask_reset(account, money, locale_for(interaction))
    return Reply(headline, embed, _view("reset", str(account.id)), private=True)


async def limits(
    interaction: Interaction, order: Decimal | None, day: Decimal | None, drift: Decimal | None, collar: Decimal | None
) -> Reply:
    """Return what the person allows themself, after changing what is not None; 0 takes a limit away."""
    services, user = interaction.client.services, interaction.user.id
    own = await services.accounts.get_limits(user)
    if order is not None:
        own = replace(own, max_order=order or None)
    if day is not None:
        own = replace(own, max_day=day or None)
    if drift is not None:
        own = replace(own, drift_bp=_basis_points(drift) or None)
    if collar is not None:
        own = replace(own, collar_bp=_basis_points(collar) or Limits(user).collar_bp)
    if any(option is not None for option in (order, day, drift, collar)):
        own = await services.accounts.set_limits(own)
    return Reply(*account_cards.limits(own, services.orders.rules, locale_for(interaction)), private=True)


async def panic(interaction: Interaction) -> Reply:
    """Stop new entries of the person and cancel what is open."""
    done = await interaction.client.services.kill_switch.panic(interaction.user.id)
    headline, embed = account_cards.panic(done, everybody=False)
    return Reply(headline, embed, _view("resume"), private=True)


async def ask_panic_everybody(interaction: Interaction) -> Reply:
    """Return the question whether trading shall stop for everybody; only the operator is asked."""
    _for_the_operator(interaction)
    headline, embed = account_cards.ask_panic_everybody()
    return Reply(headline, embed, _view("stop-all"), private=True)


async def _reset(interaction: Interaction, about: str) -> Reply:
    portfolios = interaction.client.services.portfolios
    await portfolios.reset_paper(interaction.user.id, int(about))
    account, money = await portfolios.balance(interaction.user.id)
    return Reply(*account_cards.was_reset(account, money, locale_for(interaction)), private=True)


async def _stop_all(interaction: Interaction, _about: str) -> Reply:
    _for_the_operator(interaction)
    done = await interaction.client.services.kill_switch.panic_everyone(interaction.user.id)
    headline, embed = account_cards.panic(done, everybody=True)
    return Reply(headline, embed, _view("resume-all"), private=True)


async def _resume(interaction: Interaction, _about: str) -> Reply:
    switch = interaction.client.services.kill_switch
    return Reply(*account_cards.resumed(await switch.resume(interaction.user.id)), private=True)


async def _resume_all(interaction: Interaction, _about: str) -> Reply:
    _for_the_operator(interaction)
    switch = interaction.client.services.kill_switch
    await switch.resume_everyone(interaction.user.id)
    return Reply(*account_cards.resumed(await switch.state(interaction.user.id)), private=True)


def _for_the_operator(interaction: Interaction) -> None:
    application = interaction.client.application
    assert application is not None, "known since the bot signed in"
    people = application.team.members if application.team else [application.owner]
    if interaction.user.id not in {person.id for person in people}:
        raise UserError("Only the operator of this bot can do that. `/panic` alone stops your own account.")


def _basis_points(percent: Decimal) -> int:
    return int((percent * 100).to_integral_value())


def _view(verb: str, about: str = "") -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(AccountButton(verb, about))
    return view


_PRESSES: Mapping[str, Press] = {
    "positions": positions,
    "reset": _reset,
    "stop-all": _stop_all,
    "resume": _resume,
    "resume-all": _resume_all,
}

BUTTONS = (AccountButton,)
