"""The slash commands, buttons and forms, one file per subject; these lists are every one there is."""

from collections.abc import Mapping

from bot import (
    accounts,
    alert_views,
    board_views,
    link_views,
    order_list,
    pictures,
    plan_views,
    preference_views,
    tickets,
    views,
    watch_views,
)
from bot.client import Button, Command, FormHandler
from bot.commands import (
    account,
    alerts,
    chain,
    chart,
    export,
    gamma,
    help,  # noqa: A004 - the command is called help
    history,
    iv,
    link,
    market,
    orders,
    person,
    setup,
    watch,
)
from bot.pictures import SceneKind

ALL: tuple[Command, ...] = (
    market.quote,
    chart.chart,
    chain.chain,
    iv.iv,
    gamma.gamma,
    gamma.levels,
    history.gamma_history,
    export.export,
    orders.buy,
    orders.sell,
    orders.orders,
    account.positions,
    account.balance,
    account.limits,
    account.paper,
    account.panic,
    link.link,
    link.accounts,
    link.unlink,
    alerts.alert,
    alerts.alerts,
    watch.watch,
    setup.setup,
    person.plan,
    person.settings,
    help.status,
    help.help_command,
)
BUTTONS: tuple[Button, ...] = (
    *views.ALL,
    *tickets.BUTTONS,
    *order_list.BUTTONS,
    *accounts.BUTTONS,
    *link_views.BUTTONS,
    *alert_views.BUTTONS,
    *board_views.BUTTONS,
    *watch_views.BUTTONS,
    *pictures.BUTTONS,
    *plan_views.BUTTONS,
    *preference_views.BUTTONS,
    gamma.OldGamma,
)
FORMS: Mapping[str, FormHandler] = {**tickets.FORMS, **pictures.FORMS}
SCENES: Mapping[str, SceneKind] = {
    "gamma": gamma.GAMMA,
    "levels": gamma.LEVELS,
    "chart": chart.CHART,
    "history": history.HISTORY,
    "chain": chain.CHAIN,
    "iv": iv.IV,
}
"""How each kind of picture is shown; the names stand in the custom ids of buttons, so they stay."""
