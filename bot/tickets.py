"""Tickets: an order that is looked at, changed, and confirmed or put away, by the person who opened it."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Self

import aiohttp
import discord
import structlog
from babel import Locale

from bot import forms, numbers, order_cards
from bot.client import FormHandler
from bot.forms import Field
from bot.numbers import locale_for
from bot.places import answer_of
from bot.replies import Interaction, Reply, answer
from bot.verbs import VerbButton
from bot.views import SYMBOL, Press, Pressed
from db.order_models import Order, PreviewState, Side, Spec, Tif
from services.errors import DatabaseAway, UserError
from services.tickets import Ticket

OPAQUE = r"[A-Za-z0-9_-]{16,40}"
MARKET = {"", "market", "mkt"}
PREFILL_S = 0.5

_LOOKS = {
    "confirm": ("Confirm", discord.ButtonStyle.success),
    "size": ("Change size", discord.ButtonStyle.secondary),
    "price": ("Change limit", discord.ButtonStyle.secondary),
    "away": ("Cancel", discord.ButtonStyle.danger),
}

log = structlog.get_logger(__name__)


class TicketButton(VerbButton, subject="ticket", looks=_LOOKS, about=OPAQUE):
    """Does something to a ticket; whose it is, the database knows."""

    async def callback(self, interaction: Pressed) -> None:
        work = _PRESSES[self._verb](interaction, self._about)
        quick = self._verb in {"size", "price"}
        await answer(interaction, work, edit=not quick, private=True, quick=quick)


class NewTicket(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"ticket:new:(?P<side>buy|sell):(?P<symbol>{SYMBOL})",
):
    """Asks the presser, whoever it is, for a size, and opens a ticket of their own."""

    def __init__(self, side: Side, symbol: str, label: str | None = None) -> None:
        style = discord.ButtonStyle.success if side is Side.BUY else discord.ButtonStyle.secondary
        words = label or f"{side.value.capitalize()} {symbol}"
        super().__init__(discord.ui.Button(label=words, style=style, custom_id=f"ticket:new:{side.value}:{symbol}"))
        self._side, self._symbol = side, symbol

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(Side(match["side"]), match["symbol"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _ask_size(interaction, self._side, self._symbol), private=True, quick=True)


async def opened(interaction: Interaction, spec: Spec) -> Reply:
    """Return a fresh ticket of the person, which says so itself when its time is over."""
    return _open(interaction, await interaction.client.services.orders.preview(interaction.user.id, spec))


def buttons(token: str) -> discord.ui.View:
    """Return what can be done with an open ticket."""
    view = discord.ui.View(timeout=None)
    for verb in _LOOKS:
        view.add_item(TicketButton(verb, token))
    return view


class CancelOrder(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"order:cancel:(?P<token>{OPAQUE})"):
    """Cancels the order of its card."""

    def __init__(self, token: str) -> None:
        style = discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label="Cancel order", style=style, custom_id=f"order:cancel:{token}"))
        self._token = token

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["token"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _cancel_order(interaction, self._token), edit=True, private=True)


def order(told: Order, locale: Locale) -> Reply:
    """Return the card of an order, with a way out while it is open."""
    headline, embed = order_cards.order(told, locale)
    view = None
    if order_cards.can_cancel(told):
        view = discord.ui.View(timeout=None)
        view.add_item(CancelOrder(told.token))
    return Reply(headline, embed, view, private=True)


async def _confirm(interaction: Interaction, token: str) -> Reply:
    orders = interaction.client.services.orders
    outcome = await orders.confirm(interaction.user.id, token, interaction.id, answer_of(interaction))
    return _open(interaction, outcome) if isinstance(outcome, Ticket) else _followed(interaction, outcome)


async def _cancel_order(interaction: Interaction, token: str) -> Reply:
    told = await interaction.client.services.orders.cancel(interaction.user.id, token, answer_of(interaction))
    return _followed(interaction, told)


def _followed(interaction: Interaction, told: Order) -> Reply:
    """Return an order's card that is not left standing when notices have told more in the meantime."""

    async def overtaken() -> Reply | None:
        present = await interaction.client.services.orders.get(told.user_id, told.token)
        return None if present.version == told.version else _followed(interaction, present)

    card = order(told, locale_for(interaction))
    return Reply(card.content, card.embed, card.view, private=True, overtaken=overtaken)


async def _put_away(interaction: Interaction, token: str) -> Reply:
    orders = interaction.client.services.orders
    state = await orders.cancel_preview(interaction.user.id, token)
    if state is PreviewState.CONSUMED:
        return _followed(interaction, await orders.get(interaction.user.id, token))
    if state is PreviewState.SUPERSEDED:
        raise UserError("This ticket was replaced by a newer one. Use that one.")
    headline, embed = order_cards.ticket_put_away()
    return Reply(headline, embed, private=True)


async def _ask_quantity(interaction: Interaction, token: str) -> Reply:
    spec = await _present(interaction, token)
    shares = Field("shares", "Shares", "Whole shares", str(spec.quantity) if spec else "")
    return forms.form(interaction, "ticket:size", token, "Change size", shares)


async def _ask_limit(interaction: Interaction, token: str) -> Reply:
    spec = await _present(interaction, token)
    now = "" if spec is None or spec.limit is None else _typed_price(spec.limit, interaction)
    limit = Field("limit", "Limit price", "Leave it empty for a market order", now, required=False)
    return forms.form(interaction, "ticket:price", token, "Change limit", limit)


async def _present(interaction: Interaction, token: str) -> Spec | None:
    # The form must open within three seconds and cannot be deferred: rather without what stands there now.
    try:
        async with asyncio.timeout(PREFILL_S):
            return await interaction.client.services.orders.spec_of(interaction.user.id, token)
    except (TimeoutError, DatabaseAway):
        return None


async def _ask_size(interaction: Interaction, side: Side, symbol: str) -> Reply:
    shares = Field("shares", "Shares", "Whole shares; you see the ticket before anything is sent")
    limit = Field("limit", "Limit price", "Leave it empty for a market order", required=False)
    title = f"{side.value.capitalize()} {symbol}"
    return forms.form(interaction, f"ticket:new:{side.value}", symbol, title, shares, limit)


async def _size_typed(interaction: Interaction, token: str, typed: forms.Typed) -> None:
    async def change() -> Reply:
        quantity = quantity_of(typed["shares"], interaction)
        orders = interaction.client.services.orders
        return _open(interaction, await orders.change_quantity(interaction.user.id, token, quantity))

    await answer(interaction, change(), edit=True, private=True)


async def _limit_typed(interaction: Interaction, token: str, typed: forms.Typed) -> None:
    async def change() -> Reply:
        limit = limit_of(typed["limit"], interaction)
        orders = interaction.client.services.orders
        return _open(interaction, await orders.change_limit(interaction.user.id, token, limit))

    await answer(interaction, change(), edit=True, private=True)


async def _new_typed(side: Side, interaction: Interaction, symbol: str, typed: forms.Typed) -> None:
    async def begin() -> Reply:
        quantity, limit = quantity_of(typed["shares"], interaction), limit_of(typed["limit"], interaction)
        return await opened(interaction, Spec(symbol, side, quantity, limit, Tif.DAY))

    await answer(interaction, begin(), private=True)


def quantity_of(text: str, interaction: Interaction) -> int:
    """Return whole shares as typed; raises NotANumber, or UserError for a part of a share."""
    number = numbers.typed(text, locale_for(interaction))
    if number != int(number):
        raise UserError(f"Only whole shares can be traded here, not {text.strip()}. Round it and try again.")
    return int(number)


def limit_of(text: str | None, interaction: Interaction) -> Decimal | None:
    """Return a limit price as typed, None for a market order; raises NotANumber."""
    if text is None or text.strip().lower() in MARKET:
        return None
    return numbers.typed(text, locale_for(interaction))


def _open(interaction: Interaction, shown: Ticket) -> Reply:
    ending = asyncio.create_task(_end(interaction, shown))
    interaction.client.timers.add(ending)
    ending.add_done_callback(interaction.client.timers.discard)
    headline, embed = order_cards.ticket(shown, locale_for(interaction))
    return Reply(headline, embed, buttons(shown.token), private=True)


async def _end(interaction: Interaction, shown: Ticket) -> None:
    """Write into a ticket's message that its time is over, unless something else has become of it."""
    await asyncio.sleep((shown.expires_at - datetime.now(UTC)).total_seconds())
    try:
        state = await interaction.client.services.orders.ended(interaction.user.id, shown.token)
        if state is PreviewState.EXPIRED:
            headline, embed = order_cards.ticket_ended(shown, locale_for(interaction))
            await interaction.edit_original_response(content=headline, embed=embed, view=None)
    except (discord.HTTPException, aiohttp.ClientError, OSError, DatabaseAway) as error:
        # The card shows when its time is over, and the database lets nobody confirm it afterwards.
        log.warning("end of ticket not shown", error=repr(error))


def _typed_price(value: Decimal, interaction: Interaction) -> str:
    return numbers.price(value, locale_for(interaction))


_PRESSES: Mapping[str, Press] = {"confirm": _confirm, "size": _ask_quantity, "price": _ask_limit, "away": _put_away}

BUTTONS = (TicketButton, NewTicket, CancelOrder)
FORMS: dict[str, FormHandler] = {
    "ticket:size": _size_typed,
    "ticket:price": _limit_typed,
    **{f"ticket:new:{side.value}": partial(_new_typed, side) for side in Side},
}
