"""Where a member's own data may show: only where nobody else reads it, whatever is pressed and changed meanwhile."""

import asyncio
from dataclasses import replace

import pytest
from running import until
from test_market_commands import fields, labels
from test_orders_story import becomes, press

from db import links as stored
from db.link_models import LinkedAccount
from db.models import Place
from sandbox.discord.world import GROUP_DM, Channel
from services.link_tokens import seal

PRIVATE = 64
SCOPES = ("read", "market")


@pytest.fixture
async def linked(mara, sandbox, product):
    """Mara has activated a link to Tradier, as this process knows."""
    links = product.services.links
    grants = sandbox.brokers.tradier
    grant = grants.redeem(grants.permit("mara", SCOPES, mode="live", redirect=None), None, None)
    async with product.services.database.transaction() as conn:
        number = await stored.next_id(conn)
        account = LinkedAccount(number, mara.id, "tradier", f"VA{number}", "LIVE", "••1", SCOPES, b"", None, None)
        account = replace(account, tokens=seal(links._vault, account, grant.access, None))
        await stored.set_connection(conn, account, Place(dm=True))
    await links.activate(mara.id, number)
    own = product.services.readers._own
    async with asyncio.timeout(5):
        while not await own.of(mara.id):
            await asyncio.sleep(0.01)
    yield mara
    await links.unlink(mara.id, number)
    await answers(mara, "everybody")
    await until(lambda: own.kept(mara.id) is None)


async def answers(person, whom):
    await person.command("settings", market_answers=whom).message()


def told_by(message):
    return fields(message)["Data"].split(" · ")[0]


async def quoted(person, symbol="KO"):
    return await person.command("quote", symbols=symbol).message()


async def test_a_channel_reads_shared_data_and_a_direct_message_the_own(linked, sandbox):
    assert told_by(await quoted(linked)) == "Alpaca IEX"
    private = await quoted(sandbox.discord.person("Mara", "dm"))
    assert told_by(private) == "your Tradier"
    again = await press(sandbox.discord.person("Mara", "dm"), private, "Refresh")
    assert told_by(again) == "your Tradier"


async def test_in_a_group_of_others_somebody_reads_along(linked, sandbox):
    world = sandbox.discord.world
    mara, jonas = world.user("Mara"), world.user("Jonas")
    installed, mara.installed = mara.installed, True
    group = Channel(world.ids(), GROUP_DM, recipients=[mara, jonas])
    world.channels[group.id] = group
    try:
        there = sandbox.discord.person("Mara", group.id)
        assert told_by(await quoted(there)) == "Alpaca IEX"
        await answers(linked, "me")
        hidden = await quoted(there)
        assert hidden["flags"] & PRIVATE
        assert told_by(hidden) == "your Tradier"
    finally:
        mara.installed = installed
        del world.channels[group.id]


async def test_a_button_under_a_public_message_shows_everybody_shared_data(linked):
    public = await quoted(linked)
    await answers(linked, "me")
    assert told_by(await press(linked, public, "Refresh")) == "Alpaca IEX"
    alone = await quoted(linked)
    assert told_by(alone) == "your Tradier"
    await answers(linked, "everybody")
    assert told_by(await press(linked, alone, "Refresh")) == "your Tradier", "that message stays hers"
    opened = await press(linked, alone, "Gamma")
    assert not opened["flags"] & PRIVATE
    assert "your Tradier" not in str(opened), "a new message, and everybody reads it"


async def test_what_a_button_tells_the_presser_alone_is_theirs_and_the_levels_are_those_of_the_picture(linked, product):
    public = await linked.command("gamma", symbol="KO").message()
    file = await press(linked, public, "CSV")
    assert file["flags"] & PRIVATE
    assert "your Tradier" in file["content"]
    own = await product.services.readers._own.of(linked.id)
    asked = own.market._chains._kept["KO"].asked_at
    offers = await press(linked, public, "Alert me")
    assert offers["flags"] & PRIVATE
    assert own.market._chains._kept["KO"].asked_at == asked, "the picture was made of the shared chain"


async def test_an_alert_at_a_level_that_only_its_owner_may_know_is_told_by_direct_message(linked):
    public = await press(linked, await linked.command("gamma", symbol="KO").message(), "Alert me")
    await answers(linked, "me")
    alone = await press(linked, await linked.command("gamma", symbol="KO").message(), "Alert me")
    for offers, where in ((public, "told in <#"), (alone, "told by direct message")):
        made = await press(
            linked, offers, next(label for label in labels(offers) if "Flip" in label or "Call" in label)
        )
        assert where in str(made)


async def test_a_choice_that_changes_meanwhile_does_not_change_who_reads_the_answer(linked, sandbox):
    await answers(linked, "me")
    await sandbox.market_fault(kind="hang", seconds=1.3, count=1, path_contains="/tradier/v1/markets/quotes")
    asking = linked.command("quote", symbols="AAPL")
    await asyncio.sleep(0.3)
    await answers(linked, "everybody")
    alone = await becomes(linked, await asking.message(), r"\*\*AAPL\*\*")
    assert alone["flags"] & PRIVATE
    assert told_by(alone) == "your Tradier"
    await sandbox.market_fault(kind="hang", seconds=1.3, count=1, path_contains="/alpaca/data/v2/stocks/snapshots")
    asking = linked.command("quote", symbols="MSFT")
    await asyncio.sleep(0.3)
    await answers(linked, "me")
    public = await becomes(linked, await asking.message(), r"\*\*MSFT\*\*")
    assert not public["flags"] & PRIVATE
    assert told_by(public) == "Alpaca IEX"


async def test_every_command_of_the_market_says_why_the_own_source_did_not_answer(linked, sandbox):
    there = sandbox.discord.person("Mara", "dm")
    await sandbox.market_fault(kind="status", status=502, path_contains="/tradier/")
    for line, options in (
        ("quote", {"symbols": "KO"}),
        ("gamma", {"symbol": "KO"}),
        ("levels", {"symbol": "KO"}),
        ("chain", {"symbol": "KO"}),
        ("iv", {"symbol": "KO"}),
        ("chart", {"symbol": "KO"}),
        ("export chain", {"symbol": "KO"}),
    ):
        message = await there.command(line, **options).message()
        assert "\n-# ⚠️ Your Tradier comes first, but it " in message["content"], line
        assert "your Tradier" not in str(message["embeds"])
    public = await linked.command("gamma", symbol="KO").message()
    assert "Tradier" not in str(public), "nobody else hears of it"
