"""How alerts look: when they go off, in the list, and in their log."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import discord
from babel import Locale

from bot import numbers
from bot.embeds import AMBER, GREEN, GREY, RED
from bot.numbers import moment
from db.models import Alert, AlertState, Condition, NoticeState, Pause
from services.alerts import Added, Entry, Log

CONDITIONS = {Condition.ABOVE: "above", Condition.BELOW: "below", Condition.CROSSES: "through"}
MOST_ENTRIES = 10
DELIVERIES = {
    NoticeState.WAITING: "being delivered",
    NoticeState.SENT: "delivered",
    NoticeState.MERGED: "delivered in a digest",
    NoticeState.MISSED: "could not be delivered",
    NoticeState.DEAD: "could not be delivered",
}


def fired(told: Mapping[str, Any], owner: int | None, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of an alert that has just gone off; `owner` is named where others read along."""
    level, price, at = Decimal(told["level"]), Decimal(told["price"]), datetime.fromisoformat(told["at"])
    way, colour = ("▲ above", GREEN) if price >= level else ("▼ below", RED)
    late = f" · late by {numbers.duration(timedelta(seconds=told['late_s']))}" if told["late_s"] else ""
    crossed = f"**{told['symbol']}** {way} **{numbers.price(level, locale)}**"
    headline = f"🔔 {crossed} · now {numbers.price(price, locale)}{late}"
    notes = [
        "The market data was away; this happened meanwhile." if late else "",
        "The day opened beyond the level." if told["gap"] else "",
        "Fires again after the price has gone back." if told["always"] else "",
        f"Set by <@{owner}>." if owner else "",
    ]
    embed = discord.Embed(colour=colour, description="\n".join(filter(None, notes)) or None)
    embed.add_field(name="Price", value=f"**{numbers.price(price, locale)}**")
    embed.add_field(name="Before", value=numbers.price(Decimal(told["before"]), locale))
    embed.add_field(name="When", value=f"{moment(at, 'T')} ({moment(at)})")
    return headline, embed


def added(made: Added, place: str, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of a new alert."""
    alert = made.alert
    headline = f"🔔 Alert set: **{brief(alert, locale)}** · {place}"
    text = "It fires every time the price crosses." if alert.always else "It fires once."
    if made.already:
        side = CONDITIONS[alert.condition]
        text = f"⚠️ **{alert.symbol} is already {side} that.** It fires when the price comes back and crosses again."
    embed = discord.Embed(colour=AMBER if made.already else GREEN, description=text)
    if made.price is not None:
        away = alert.level / made.price - 1
        embed.add_field(name="Price now", value=numbers.price(made.price, locale))
        embed.add_field(name="Away", value=numbers.percent(away, locale, sign=True))
    return headline, embed


def listed(
    alerts: Sequence[Alert], paused: Pause | None, snoozed: dict[str, datetime], locale: Locale
) -> tuple[str, discord.Embed]:
    """Return headline and embed of a person's alerts; `snoozed` holds the end of each sleep by token."""
    armed = sum(alert.state is AlertState.ACTIVE for alert in alerts)
    if not alerts:
        return "🔕 **No alerts**", discord.Embed(
            colour=GREY, description="`/alert symbol:SPY condition:above value:610` sets one."
        )
    lines = [line(alert, snoozed.get(alert.token), locale) for alert in alerts]
    if paused:
        lines.insert(0, stopped(paused))
    embed = discord.Embed(colour=AMBER if paused else GREEN, description="\n".join(lines))
    return f"🔔 **{armed} of {len(alerts)} alert{'s' if len(alerts) > 1 else ''} armed**", embed


def line(alert: Alert, snoozed_until: datetime | None, locale: Locale) -> str:
    """Return one alert in one line."""
    state = {
        AlertState.ACTIVE: "🟢",
        AlertState.PAUSED: "⏸️ paused",
        AlertState.FIRED: "☑️ fired",
    }[alert.state]
    if snoozed_until and alert.state is AlertState.ACTIVE:
        state = f"😴 until {moment(snoozed_until, 't')}"
    again = " · every time" if alert.always else ""
    where = "direct message" if alert.place.dm else f"<#{alert.place.channel_id}>"
    return f"{state} **{brief(alert, locale)}**{again} · {where}"


def detail(log: Log, paused: Pause | None, snoozed_until: datetime | None, locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of one alert with what it has done."""
    alert = log.alert
    embed = discord.Embed(colour=AMBER if paused else GREEN if alert.state is AlertState.ACTIVE else GREY)
    embed.description = stopped(paused) if paused else None
    times = [at for at in (log.evaluated_to, *(entry.firing.at for entry in log.entries)) if at]
    seen = f"up to {moment(max(times), 'T')} ({moment(max(times))})" if times else "not yet"
    embed.add_field(name="Set", value=moment(alert.created_at))
    embed.add_field(name="Evaluated", value=seen)
    done = "\n".join(_entry(entry, locale) for entry in log.entries[:MOST_ENTRIES]) or "never"
    embed.add_field(name="Fired", value=done, inline=False)
    return line(alert, snoozed_until, locale), embed


def brief(alert: Alert, locale: Locale) -> str:
    """Return an alert as a list to choose from can hold it."""
    return f"{alert.symbol} {CONDITIONS[alert.condition]} {numbers.price(alert.level, locale)}"


def stopped(paused: Pause) -> str:
    """Return the warning that nothing fires for want of market data."""
    since = f" since {moment(paused.since, 't')}" if paused.since else ""
    return f"⚠️ **All alerts wait{since}:** {paused.reason}. What happens meanwhile fires late, once data is back."


def _entry(entry: Entry, locale: Locale) -> str:
    firing = entry.firing
    late = f", late by {numbers.duration(timedelta(seconds=firing.late_s))}" if firing.late_s else ""
    told = DELIVERIES[entry.delivery] if entry.delivery else "not delivered"
    when = f" {moment(entry.delivered_at, 'T')}" if entry.delivered_at else ""
    return f"{moment(firing.at, 'f')} at {numbers.price(firing.price, locale)}{late} · {told}{when}"
