"""How each kind of notice looks: its payload becomes a reply, without asking anybody."""

from collections.abc import Callable

import discord
from babel import Locale

from bot import alert_cards, alert_views, board_cards, tickets
from bot.embeds import AMBER
from bot.replies import Reply
from db.models import Notice
from services.execution import order_of

Render = Callable[[Notice, Locale], Reply]


def _order(notice: Notice, locale: Locale) -> Reply:
    return tickets.order(order_of(notice.payload), locale)


def _correction(notice: Notice, locale: Locale) -> Reply:
    card = tickets.order(order_of(notice.payload), locale)
    words = f"{card.content}\n-# Correction: the broker says otherwise than I told you before. This is how it stands."
    return Reply(words, card.embed, card.view, private=True)


def _incident(notice: Notice, locale: Locale) -> Reply:
    order = order_of(notice.payload["order"])
    card = tickets.order(order, locale)
    headline = f"🛑 {order.mode} · Something is wrong with your order: {notice.payload['what']}"
    return Reply(f"{headline}\n{card.content}", card.embed, card.view, private=True)


def _alert(notice: Notice, locale: Locale) -> Reply:
    told = notice.payload
    headline, embed = alert_cards.fired(told, None if notice.place.dm else notice.user_id, locale)
    return Reply(headline, embed, alert_views.under_fired(told["token"], told["symbol"], again=told["always"]))


def _opening(notice: Notice, locale: Locale) -> Reply:
    return Reply(*board_cards.opening(notice.payload, locale))


def _closing(notice: Notice, locale: Locale) -> Reply:
    return Reply(*board_cards.closing(notice.payload, locale))


def _channel_closed(notice: Notice, _locale: Locale) -> Reply:
    channel, reason = notice.payload["channel_id"], notice.payload["reason"]
    text = (
        f"Discord says: {reason}. I lack a permission there (View Channel, Send Messages, Embed Links), "
        "or the channel is gone. Put that right, then set the alert or board up again. Nothing more is sent there."
    )
    return Reply(
        f"🔕 I can no longer write in <#{channel}>", discord.Embed(colour=AMBER, description=text), private=True
    )


RENDER: dict[str, Render] = {
    "order": _order,
    "order.correction": _correction,
    "incident": _incident,
    "alert": _alert,
    "board.open": _opening,
    "board.close": _closing,
    "channel.closed": _channel_closed,
}
