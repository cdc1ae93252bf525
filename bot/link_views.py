"""Linked brokers: the way to the browser, the buttons under a link, and the list behind `/accounts`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import discord

from bot import link_cards, preference_views
from bot.numbers import locale_for
from bot.places import answer_of
from bot.replies import Interaction, Reply, answer
from bot.verbs import VerbButton
from bot.views import Press, Pressed
from db.link_models import BrokerConnection, LinkState
from services.errors import NotLinked, UserError
from services.link_notices import told_of
from services.links import LINK_LIVES

MOST_BUTTONS = 20
_LOOKS = {
    "begin": ("Link", discord.ButtonStyle.primary),
    "again": ("Link again", discord.ButtonStyle.primary),
    "activate": ("Activate", discord.ButtonStyle.success),
    "discard": ("Discard", discord.ButtonStyle.secondary),
    "ask": ("Unlink", discord.ButtonStyle.secondary),
    "unlink": ("Unlink", discord.ButtonStyle.danger),
    "list": ("Keep", discord.ButtonStyle.secondary),
    "accounts": ("Your accounts", discord.ButtonStyle.secondary),
    "alone": ("Market answers for me alone", discord.ButtonStyle.primary),
}
_NEW_MESSAGES = {"again", "accounts", "alone"}


class LinkButton(VerbButton, subject="link", looks=_LOOKS, about=r"\w*"):
    """Does something about a link of the presser; carries its id, or the broker to link."""

    async def callback(self, interaction: Pressed) -> None:
        edit = self._verb not in _NEW_MESSAGES
        await answer(interaction, _PRESSES[self._verb](interaction, self._about), edit=edit, private=True)


async def offered(interaction: Interaction, broker: str) -> Reply:
    """Return the way to link a broker, or the question which one."""
    links = interaction.client.services.links
    if wanted := chosen(links.offered, broker):
        url = await links.start(interaction.user.id, wanted, answer_of(interaction), interaction.locale.value)
        button: discord.ui.Button[Any] = discord.ui.Button(label="Continue in your browser", url=url)
        return Reply(*link_cards.offer(wanted, interaction.created_at + LINK_LIVES), _view(button), private=True)
    buttons = [LinkButton("begin", name, f"Link {link_cards.broker_name(name)}") for name in links.offered]
    return Reply(*link_cards.choose(), _view(*buttons), private=True)


def chosen(brokers: Sequence[str], named: str) -> str | None:
    """Return the broker to link, None where that is to be asked; raises UserError where none can be linked."""
    if not brokers:
        raise UserError(
            "No broker can be linked here yet: the operator of this bot has to set `ALPACA_CLIENT_ID` or "
            "`TRADIER_CLIENT_ID`; the README says how under “Members' own brokers”. Until then market data comes from "
            "the shared sources."
        )
    return named or (brokers[0] if len(brokers) == 1 else None)


async def accounts(interaction: Interaction, _about: str = "") -> Reply:
    """Return every account of the person, with what can be done about each."""
    services, user, locale = interaction.client.services, interaction.user.id, locale_for(interaction)
    paper, money = await services.portfolios.balance(user)
    links, offers = await services.links.list(user), bool(services.links.offered)
    source = next((link for link in links if services.links.gives_data(link)), None)
    headline, embed = link_cards.accounts(paper, money, links, source, locale, can_link=offers)
    return Reply(headline, embed, under_list(links, can_link=offers), private=True)


async def ask_unlink(interaction: Interaction, number: str) -> Reply:
    """Return the question whether a link shall end; raises NotLinked."""
    links = await interaction.client.services.links.list(interaction.user.id)
    link = next((link for link in links if str(link.id) == number), None)
    if link is None:
        raise NotLinked
    view = _view(LinkButton("unlink", number), LinkButton("list"))
    return Reply(*link_cards.ask_unlink(link), view, private=True)


def changed(told: Mapping[str, Any]) -> Reply:
    """Return how a link stands now, told with the payload of its notice."""
    card, buttons = _CARDS[told["state"]]
    return Reply(*card(told), _view(*(LinkButton(verb, _carried(verb, told)) for verb in buttons)), private=True)


def under_list(links: Sequence[BrokerConnection], *, can_link: bool) -> discord.ui.View:
    """Return the buttons under a person's accounts."""
    # one broker can be linked again by one button, however many of its accounts are signed out
    buttons = {button.custom_id: button for link in links for button in controls(link)}
    another = [LinkButton("again", "", "Link a broker")] if can_link else []
    return _view(*list(buttons.values())[:MOST_BUTTONS], *another)


def controls(link: BrokerConnection) -> list[LinkButton]:
    """Return what can be done about a link."""
    name, number = link_cards.name_of(link), str(link.id)
    unlink = LinkButton("ask", number, f"Unlink {name}")
    if link.state is LinkState.PENDING:
        return [LinkButton("activate", number, f"Activate {name}"), LinkButton("discard", number, f"Discard {name}")]
    if link.state is LinkState.SIGNED_OUT:
        return [LinkButton("again", link.broker, f"Link {link_cards.broker_name(link.broker)} again"), unlink]
    return [unlink]


async def _activate(interaction: Interaction, number: str) -> Reply:
    link = await interaction.client.services.links.activate(interaction.user.id, int(number))
    return changed(told_of(link))


async def _discard(interaction: Interaction, number: str) -> Reply:
    link = await interaction.client.services.links.discard(interaction.user.id, int(number))
    return changed(told_of(link, "discarded"))


async def _unlink(interaction: Interaction, number: str) -> Reply:
    link = await interaction.client.services.links.unlink(interaction.user.id, int(number))
    return changed(told_of(link, "unlinked"))


async def _alone(interaction: Interaction, _about: str) -> Reply:
    return await preference_views.shown(interaction, private=True)


def _carried(verb: str, told: Mapping[str, Any]) -> str:
    return "" if verb in {"alone", "accounts"} else str(told["broker" if verb == "again" else "id"])


def _view(*items: discord.ui.Item[Any]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    return view


_CARDS: Mapping[str, tuple[Callable[[Mapping[str, Any]], tuple[str, discord.Embed]], tuple[str, ...]]] = {
    "pending": (link_cards.pending, ("activate", "discard")),
    "active": (link_cards.active, ("alone", "accounts")),
    "signed_out": (link_cards.signed_out, ("again", "ask")),
    "discarded": (link_cards.discarded, ("again",)),
    "unlinked": (link_cards.unlinked, ("again",)),
}
"""How each state is told, and the buttons under it."""

_PRESSES: Mapping[str, Press] = {
    "begin": offered,
    "again": offered,
    "activate": _activate,
    "discard": _discard,
    "ask": ask_unlink,
    "unlink": _unlink,
    "list": accounts,
    "accounts": accounts,
    "alone": _alone,
}

BUTTONS = (LinkButton,)
