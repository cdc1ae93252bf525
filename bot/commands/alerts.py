"""Being told when a price crosses a level."""

from decimal import Decimal

from discord import app_commands

from bot import alert_views
from bot.missed import told
from bot.params import PriceParam, TickerParam
from bot.replies import Interaction, answer
from db.models import Condition

_CONDITIONS = [
    app_commands.Choice(name="rises above", value=Condition.ABOVE.value),
    app_commands.Choice(name="falls below", value=Condition.BELOW.value),
    app_commands.Choice(name="crosses, either way", value=Condition.CROSSES.value),
]
_WHERE = [
    app_commands.Choice(name="here, for everybody to see", value="here"),
    app_commands.Choice(name="by direct message", value="dm"),
]
_REPEAT = [app_commands.Choice(name="once", value="once"), app_commands.Choice(name="every time", value="always")]


@app_commands.command(name="alert", description="Tell me when a price crosses a level")
@app_commands.describe(
    symbol="What to watch, such as SPY",
    condition="Which way the price must cross",
    value="The level, such as 610.50",
    where="Here unless you choose",
    repeat="Once unless you choose",
)
@app_commands.choices(condition=_CONDITIONS, where=_WHERE, repeat=_REPEAT)
async def alert(
    interaction: Interaction,
    symbol: app_commands.Transform[str, TickerParam],
    condition: str,
    value: app_commands.Transform[Decimal, PriceParam],
    where: str | None = None,
    repeat: str = "once",
) -> None:
    """Set an alert."""
    dm = None if where is None else where == "dm"
    work = alert_views.add(interaction, symbol, Condition(condition), value, dm=dm, always=repeat == "always")
    await answer(interaction, work, private=True)


@app_commands.command(name="alerts", description="Your alerts: look into, pause, snooze or delete them")
async def alerts(interaction: Interaction) -> None:
    """Answer with the person's alerts."""
    await answer(interaction, told(interaction, alert_views.listed(interaction)), private=True)
