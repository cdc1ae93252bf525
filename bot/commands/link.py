"""A member's own brokers: linking one, what is linked and used for what, and ending it."""

from discord import app_commands

from bot import link_cards, link_views
from bot.missed import told
from bot.replies import Interaction, answer
from services.errors import DatabaseAway

Choices = list[app_commands.Choice[str]]


async def _brokers(interaction: Interaction, typed: str) -> Choices:
    names = {broker: link_cards.broker_name(broker) for broker in interaction.client.services.links.offered}
    return [_choice(name, broker) for broker, name in names.items() if typed.lower() in name.lower()]


async def _links(interaction: Interaction, typed: str) -> Choices:
    try:
        links = await interaction.client.services.links.list(interaction.user.id)
    except DatabaseAway:
        return []
    names = {link.id: f"{link_cards.name_of(link)} · {link.mode}" for link in links}
    return [_choice(name, str(number)) for number, name in names.items() if typed.lower() in name.lower()]


def _choice(name: str, value: str) -> app_commands.Choice[str]:
    return app_commands.Choice(name=name, value=value)


@app_commands.command(name="link", description="Use your own broker's market data, for you alone")
@app_commands.describe(broker="Where your account is")
@app_commands.autocomplete(broker=_brokers)
async def link(interaction: Interaction, broker: str = "") -> None:
    """Answer with the button that leads to the browser."""
    await answer(interaction, link_views.offered(interaction, broker.strip().lower()), private=True)


@app_commands.command(name="accounts", description="Your paper account and the brokers you have linked")
async def accounts(interaction: Interaction) -> None:
    """Answer with every account of the person."""
    await answer(interaction, told(interaction, link_views.accounts(interaction)), private=True)


@app_commands.command(name="unlink", description="End the link to a broker; asks first")
@app_commands.describe(account="Which one")
@app_commands.autocomplete(account=_links)
async def unlink(interaction: Interaction, account: str) -> None:
    """Ask whether a link shall end."""
    await answer(interaction, link_views.ask_unlink(interaction, account.strip()), private=True)
