"""How each kind of notice looks: its payload becomes a reply, without asking anybody."""

from collections.abc import Callable

import discord
from babel import Locale

from bot import alert_cards, alert_views, board_cards, link_cards, link_views, tickets, watch_cards, watch_views
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


def _watch(notice: Notice, locale: Locale) -> Reply:
    told = notice.payload
    if "ended_by" in told:
        return Reply(watch_cards.ended(told))
    view = discord.ui.View(timeout=None)
    view.add_item(watch_views.StopWatch(told["token"]))
    return Reply(*watch_cards.watch(told, locale), view)


def _watch_removed(notice: Notice, _locale: Locale) -> Reply:
    return Reply(*watch_cards.removed(notice.payload), private=True)


def _link(notice: Notice, _locale: Locale) -> Reply:
    return link_views.changed(notice.payload)


def _link_refused(notice: Notice, _locale: Locale) -> Reply:
    return Reply(*link_cards.refused(notice.payload), private=True)


def channel_closed(notice: Notice, _locale: Locale) -> Reply:
    """Return what the owner is told when a channel takes nothing any more."""
    channel, reason = f"<#{notice.payload['channel_id']}>", notice.payload["reason"]
    if reason == "deleted":
        words = f"{channel} was deleted, so what you had set up there comes to you here. Set it up anew elsewhere."
        return Reply(f"📭 {words}", private=True)
    if reason == "missing permission":
        reason = (
            "either a permission is missing there (View Channel, Send Messages, Embed Links, Attach Files), "
            "or I was given a time-out in that server"
        )
    words = (
        f"I cannot write to {channel} any more: {reason}. What you had set up there comes to you here; "
        "when it is mended, set it up again and I go back to it."
    )
    return Reply(f"📭 {words}", private=True)


RENDER: dict[str, Render] = {
    "order": _order,
    "order.correction": _correction,
    "incident": _incident,
    "alert": _alert,
    "board.open": _opening,
    "board.close": _closing,
    "watch": _watch,
    "watch.removed": _watch_removed,
    "link": _link,
    "link.signed_out": _link,
    "link.refused": _link_refused,
    "channel.closed": channel_closed,
}
