"""The slash commands, buttons and forms, one file per subject; these lists are every one there is."""

from collections.abc import Mapping

from bot import accounts, alert_views, board_views, order_list, tickets, views
from bot.client import Button, Command, FormHandler
from bot.commands import account, alerts, gamma, help, market, orders, setup  # noqa: A004 - the command is called help

ALL: tuple[Command, ...] = (
    market.quote,
    gamma.gamma,
    orders.buy,
    orders.sell,
    orders.orders,
    account.positions,
    account.balance,
    account.limits,
    account.paper,
    account.panic,
    alerts.alert,
    alerts.alerts,
    setup.setup,
    help.status,
    help.help_command,
)
BUTTONS: tuple[Button, ...] = (
    *views.ALL,
    *tickets.BUTTONS,
    *order_list.BUTTONS,
    *accounts.BUTTONS,
    *alert_views.BUTTONS,
    *board_views.BUTTONS,
)
FORMS: Mapping[str, FormHandler] = tickets.FORMS
