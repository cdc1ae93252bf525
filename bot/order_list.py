"""The list behind `/orders`: what is open can be cancelled there, one by one."""

import re
from typing import Any, Self

import discord

from bot import order_cards
from bot.numbers import locale_for
from bot.replies import Interaction, Reply, answer
from bot.tickets import OPAQUE
from bot.views import Pressed


class RefreshOrders(discord.ui.DynamicItem[discord.ui.Button[Any]], template="orders:refresh"):
    """Shows the presser's orders as they stand now, in the same message."""

    def __init__(self) -> None:
        super().__init__(discord.ui.Button(label="Refresh", emoji="🔄", custom_id="orders:refresh"))

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], _match: re.Match[str], /) -> Self:
        return cls()

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, shown(interaction), edit=True, private=True)


class CancelListed(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"orders:cancel:(?P<token>{OPAQUE})"):
    """Cancels one order of the list, and shows the list anew."""

    def __init__(self, token: str, label: str = "Cancel") -> None:
        style = discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"orders:cancel:{token}"))
        self._token = token

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["token"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _cancel(interaction, self._token), edit=True, private=True)


async def shown(interaction: Interaction) -> Reply:
    """Return a person's orders with a way to cancel each open one."""
    locale = locale_for(interaction)
    told = await interaction.client.services.orders.list(interaction.user.id)
    headline, embed = order_cards.orders(told, locale)
    view = discord.ui.View(timeout=None)
    for order in [o for o in told if order_cards.can_cancel(o)][: order_cards.MOST_OPEN]:
        view.add_item(CancelListed(order.token, f"Cancel {order_cards.brief(order.spec, locale)}"[:80]))
    view.add_item(RefreshOrders())
    return Reply(headline, embed, view, private=True)


async def _cancel(interaction: Interaction, token: str) -> Reply:
    await interaction.client.services.orders.cancel(interaction.user.id, token)
    return await shown(interaction)


BUTTONS = (RefreshOrders, CancelListed)
