"""Alerts: setting them, the list behind `/alerts`, and the buttons under one that went off."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Self

import discord

from bot import alert_cards, views
from bot.numbers import locale_for
from bot.places import channel_of, lacking
from bot.replies import Interaction, Reply, answer
from bot.tickets import OPAQUE, NewTicket
from bot.verbs import VerbButton
from bot.views import SYMBOL, Press, Pressed
from db.models import Alert, AlertState, Condition
from db.order_models import Side
from services.errors import UserError

SNOOZE = timedelta(hours=1)
MOST_LISTED = 25
_LOOKS = {
    "snooze": ("Snooze 1 h", discord.ButtonStyle.secondary),
    "rearm": ("Re-arm", discord.ButtonStyle.primary),
    "sleep": ("Snooze 1 h", discord.ButtonStyle.secondary),
    "wake": ("Re-arm", discord.ButtonStyle.primary),
    "pause": ("Pause", discord.ButtonStyle.secondary),
    "resume": ("Resume", discord.ButtonStyle.primary),
    "delete": ("Delete", discord.ButtonStyle.danger),
    "list": ("All alerts", discord.ButtonStyle.secondary),
}


class AlertButton(VerbButton, subject="alert", looks=_LOOKS, about=rf"(?:{OPAQUE})?"):
    """Changes an alert of the presser: `snooze` and `rearm` under one that went off, the others in the list."""

    async def callback(self, interaction: Pressed) -> None:
        in_list = self._verb not in {"snooze", "rearm"}
        await answer(interaction, _PRESSES[self._verb](interaction, self._about), edit=in_list, private=True)


class ChooseAlert(discord.ui.DynamicItem[discord.ui.Select[Any]], template="alerts:choose"):
    """Opens one alert of the list, with its log."""

    def __init__(self, options: list[discord.SelectOption]) -> None:
        super().__init__(discord.ui.Select(custom_id="alerts:choose", placeholder="Open an alert …", options=options))

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, item: discord.ui.Item[Any], _match: re.Match[str], /) -> Self:
        assert isinstance(item, discord.ui.Select)
        return cls(item.options)

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _opened(interaction, self.item.values[0]), edit=True, private=True)


class PeekQuote(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"quote:private:(?P<symbol>{SYMBOL})"):
    """Quotes a symbol to the presser alone."""

    def __init__(self, symbol: str) -> None:
        super().__init__(discord.ui.Button(label="Quote", custom_id=f"quote:private:{symbol}"))
        self._symbol = symbol

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["symbol"])

    async def callback(self, interaction: Pressed) -> None:
        await answer(interaction, _quoted(interaction, self._symbol), private=True)


async def add(
    interaction: Interaction, symbol: str, condition: Condition, level: Decimal, *, dm: bool | None, always: bool
) -> Reply:
    """Set an alert and say where it will be told; here where we may write here, unless the person chose."""
    refusal = _silenced(interaction)
    if refusal and dm is False:
        raise UserError(refusal)
    dm = bool(dm or refusal or interaction.guild_id is None)
    place = channel_of(interaction, dm=dm)
    made = await interaction.client.services.alerts.add(
        interaction.user.id, symbol, condition, level, place, always=always
    )
    where = "told by direct message" if dm else f"told in <#{interaction.channel_id}>"
    headline, embed = alert_cards.added(made, where, locale_for(interaction))
    return Reply(headline, embed, _view(AlertButton("list")), private=True)


async def listed(interaction: Interaction, _token: str = "") -> Reply:
    """Return the person's alerts, with a way to open each."""
    alerts = interaction.client.services.alerts
    found = await alerts.list(interaction.user.id)
    locale = locale_for(interaction)
    sleeping = {alert.token: until for alert in found.alerts if (until := alerts.snoozed_until(alert))}
    shown = found.alerts[:MOST_LISTED]
    headline, embed = alert_cards.listed(shown, found.paused, sleeping, locale)
    if left := len(found.alerts) - len(shown):
        embed.set_footer(text=f"and {left} more: delete some to see them")
    if not shown:
        return Reply(headline, embed, private=True)
    options = [discord.SelectOption(label=alert_cards.brief(alert, locale), value=alert.token) for alert in shown]
    return Reply(headline, embed, _view(ChooseAlert(options)), private=True)


def under_fired(token: str, symbol: str, *, again: bool) -> discord.ui.View:
    """Return the buttons under an alert that went off."""
    rearm = () if again else (AlertButton("rearm", token),)
    return _view(AlertButton("snooze", token), *rearm, PeekQuote(symbol), NewTicket(Side.BUY, symbol, "Buy"))


async def _opened(interaction: Interaction, token: str) -> Reply:
    alerts = interaction.client.services.alerts
    log, found = await alerts.log(interaction.user.id, token), await alerts.list(interaction.user.id)
    alert, locale = log.alert, locale_for(interaction)
    headline, embed = alert_cards.detail(log, found.paused, alerts.snoozed_until(alert), locale)
    if alert.state is AlertState.ACTIVE:
        verbs = ["sleep", "pause"]
    else:
        verbs = ["resume"] if alert.state is AlertState.PAUSED else ["wake"]
    return Reply(
        headline, embed, _view(*(AlertButton(v, token) for v in [*verbs, "delete"]), AlertButton("list")), private=True
    )


async def _snooze(interaction: Interaction, token: str) -> Reply:
    return _note("😴", "sleeps for an hour", await _sleep(interaction, token), interaction)


async def _rearm(interaction: Interaction, token: str) -> Reply:
    alert = await interaction.client.services.alerts.rearm(interaction.user.id, token)
    return _note("🔔", "is armed again", alert, interaction)


async def _sleep(interaction: Interaction, token: str) -> Alert:
    minutes = int(SNOOZE.total_seconds()) // 60
    return await interaction.client.services.alerts.snooze(interaction.user.id, token, minutes)


async def _sleep_listed(interaction: Interaction, token: str) -> Reply:
    await _sleep(interaction, token)
    return await _opened(interaction, token)


async def _wake_listed(interaction: Interaction, token: str) -> Reply:
    await interaction.client.services.alerts.rearm(interaction.user.id, token)
    return await _opened(interaction, token)


async def _pause_listed(interaction: Interaction, token: str) -> Reply:
    await interaction.client.services.alerts.pause(interaction.user.id, token)
    return await _opened(interaction, token)


async def _resume_listed(interaction: Interaction, token: str) -> Reply:
    await interaction.client.services.alerts.resume(interaction.user.id, token)
    return await _opened(interaction, token)


async def _delete_listed(interaction: Interaction, token: str) -> Reply:
    await interaction.client.services.alerts.delete(interaction.user.id, token)
    return await listed(interaction)


async def _quoted(interaction: Interaction, symbol: str) -> Reply:
    reply = await views.quotes(interaction, (symbol,))
    return Reply(reply.content, reply.embed, reply.view, private=True)


def _note(light: str, words: str, alert: Alert, interaction: Interaction) -> Reply:
    shown = alert_cards.brief(alert, locale_for(interaction))
    return Reply(f"{light} **{shown}** {words}", private=True)


def _silenced(interaction: Interaction) -> str | None:
    """Return why nothing can be written here later on, where the person has no say in it."""
    if interaction.guild_id is None:
        return None
    if not interaction.is_guild_integration():
        return (
            "I am not a member of this server, so I cannot write here. Choose `where:dm`, or ask its owner to add me."
        )
    missing = lacking(interaction.app_permissions)
    return f"I may not write here: I lack {missing}. Choose `where:dm`, or ask an administrator." if missing else None


def _view(*items: discord.ui.Item[Any]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    return view


_PRESSES: Mapping[str, Press] = {
    "snooze": _snooze,
    "rearm": _rearm,
    "sleep": _sleep_listed,
    "wake": _wake_listed,
    "pause": _pause_listed,
    "resume": _resume_listed,
    "delete": _delete_listed,
    "list": listed,
}

BUTTONS = (AlertButton, ChooseAlert, PeekQuote)
