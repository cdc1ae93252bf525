"""An unmodified discord.py lives on the stand-in: commands, answers, files, buttons, selects, forms, suggestions."""

import asyncio
import io
import struct

import discord
import pytest
from discord import app_commands
from standin import Client, connected, pointed_at, standin, until

from sandbox.discord.interaction import NoAnswer
from sandbox.discord.rules import Refusal

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 360) + b"\x08\x06\0\0\0"


class Level(discord.ui.Modal, title="Alert me"):
    level = discord.ui.Label(text="Level", component=discord.ui.TextInput(custom_id="level", placeholder="600"))

    async def on_submit(self, interaction):
        await interaction.response.send_message(f"Watching {self.level.component.value}", ephemeral=True)


class Panel(discord.ui.View):
    @discord.ui.button(label="Refresh")
    async def refresh(self, interaction, _button):
        await interaction.response.edit_message(content="fresh")

    @discord.ui.button(label="Slow")
    async def slow(self, interaction, _button):
        await interaction.response.defer()
        await interaction.edit_original_response(content="slowly fresh")

    @discord.ui.button(label="Alert me")
    async def alert(self, interaction, _button):
        await interaction.response.send_modal(Level())

    @discord.ui.select(placeholder="Expiry", options=[discord.SelectOption(label=name) for name in ("0DTE", "week")])
    async def expiry(self, interaction, select):
        await interaction.response.edit_message(content=f"only {select.values[0]}")

    @discord.ui.select(cls=discord.ui.UserSelect, placeholder="Who")
    async def who(self, interaction, select):
        await interaction.response.send_message(f"{type(select.values[0]).__name__} {select.values[0].display_name}")


def bot():
    client = Client()
    tree = client.tree
    anywhere = app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    installable = app_commands.allowed_installs(guilds=True, users=True)

    @tree.command(description="Answer at once")
    @anywhere
    @installable
    async def ping(interaction: discord.Interaction):
        await interaction.response.send_message(f"pong {interaction.locale} {interaction.context.dm_channel}")

    @tree.command(description="Answer with a picture, later")
    async def draw(interaction: discord.Interaction, symbol: str, alt: str = "a chart"):
        await interaction.response.defer()
        embed = discord.Embed(title=symbol).set_image(url="attachment://chart.png")
        file = discord.File(io.BytesIO(PNG), "chart.png", description=alt)
        await interaction.edit_original_response(embed=embed, attachments=[file])

    @draw.autocomplete("symbol")
    async def symbols(interaction: discord.Interaction, current: str):
        return [app_commands.Choice(name=s, value=s) for s in ("SPY", "SPX") if s.startswith(current.upper())]

    @tree.command(description="Show a panel")
    async def panel(interaction: discord.Interaction):
        await interaction.response.send_message("stale", view=Panel())

    @tree.command(description="Say something to one person, then to all")
    async def whisper(interaction: discord.Interaction):
        await interaction.response.send_message("just you", ephemeral=True)
        await interaction.followup.send("all of you")

    @tree.command(description="Say who and where")
    async def about(interaction: discord.Interaction, who: discord.Member, where: discord.TextChannel):
        await interaction.response.send_message(f"{who.display_name} {who.top_role.name} {where.name}")

    @tree.command(description="Never answer")
    async def silence(interaction: discord.Interaction):
        pass

    alerts = app_commands.Group(name="alert", description="Alerts")

    @alerts.command(description="Add one")
    async def add(interaction: discord.Interaction, at: app_commands.Range[float, 1, 10000]):
        await interaction.response.send_message(f"at {at}")

    tree.add_command(alerts)
    return client


@pytest.fixture(scope="module")
async def live():
    async with standin(record=True) as server, connected(server, bot()) as client:
        server.client = client
        yield server
        assert server.unknown_requests == []


@pytest.fixture
def mara(live):
    return live.person("Mara")


async def test_commands_are_registered_as_declared(live):
    commands = {command["name"]: command for command in live.commands.values()}
    assert {"ping", "draw", "panel", "alert"} <= commands.keys()
    assert commands["ping"]["contexts"] == [0, 1, 2]
    assert commands["ping"]["integration_types"] == [0, 1]
    assert commands["draw"]["options"][0]["autocomplete"] is True


async def test_an_answer_reaches_everybody_in_the_channel(live, mara):
    answer = await mara.command("ping").message()
    assert answer["content"] == "pong en-US False"
    assert answer["command_text"] == "/ping"
    assert live.person("Jonas").reads()[-1]["id"] == answer["id"]


async def test_a_command_works_in_a_direct_message_in_the_readers_locale(live):
    jonas = live.person("Jonas", "dm")
    answer = await jonas.command("ping").message()
    assert answer["content"] == "pong de True"
    assert live.person("Mara", "dm").reads() == []


async def test_a_deferred_answer_is_awaited_until_it_is_final(live, mara):
    interaction = mara.command("draw", symbol="SPY", alt="net gamma by strike")
    assert await interaction.acknowledged() == 5
    answer = await interaction.message()
    assert not answer["flags"] & 128
    image = answer["embeds"][0]["image"]
    assert (image["width"], image["height"], image["description"]) == (640, 360, "net gamma by strike")
    assert answer["attachments"] == []
    async with live.client.http._HTTPClient__session.get(image["url"]) as download:
        assert download.headers["Content-Type"] == "image/png"
        assert await download.read() == PNG


async def test_buttons_update_their_message(mara):
    panel = await mara.command("panel").message()
    assert (await mara.press(panel, "Refresh").message())["content"] == "fresh"
    slow = mara.press(panel, "Slow")
    assert await slow.acknowledged() == 6
    assert (await slow.message())["content"] == "slowly fresh"
    assert mara.reads()[-1]["id"] == panel["id"]


async def test_selects_bring_values_and_resolved_people(live, mara):
    panel = await mara.command("panel").message()
    assert (await mara.choose(panel, "Expiry", "week").message())["content"] == "only week"
    aiko = live.person("Aiko")
    assert (await mara.choose(panel, "Who", aiko.user.id).message())["content"] == "Member Aiko"


async def test_a_form_opens_and_is_sent(live, mara):
    panel = await mara.command("panel").message()
    opened = mara.press(panel, "Alert me")
    assert (await opened.modal())["title"] == "Alert me"
    answer = await mara.submit(opened, level="601.5").message()
    assert answer["content"] == "Watching 601.5"
    assert answer["flags"] == 64
    assert answer["interaction_metadata"]["triggering_interaction_metadata"]["interacted_message_id"] == panel["id"]


async def test_typing_brings_suggestions(mara):
    assert await mara.type("draw", symbol="sp").choices() == [
        {"name": "SPY", "value": "SPY"},
        {"name": "SPX", "value": "SPX"},
    ]


async def test_an_ephemeral_answer_is_seen_by_its_owner_only(live, mara):
    interaction = mara.command("whisper")
    answer = await interaction.message()
    shared = await interaction.followup()
    assert answer["flags"] == 64
    assert [m["id"] for m in mara.reads()][-2:] == [answer["id"], shared["id"]]
    seen = [m["id"] for m in live.person("Jonas").reads()]
    assert shared["id"] in seen
    assert answer["id"] not in seen
    with pytest.raises(discord.NotFound):
        await live.client.http.get_message(answer["channel_id"], answer["id"])


async def test_sub_commands_and_resolved_options(live, mara):
    assert (await mara.command("alert add", at=600.5).message())["content"] == "at 600.5"
    answer = await mara.command("about", who=live.person("Sam").user.id, where=mara.channel.id).message()
    assert answer["content"] == "Sam Desk trading-floor"
    assert answer["command_text"].startswith("/about who:")


async def test_what_the_client_of_a_person_would_not_send_is_refused(live, mara):
    for options in ({}, {"at": "high"}, {"at": 0.5}, {"at": 9.0, "bogus": 1}):
        with pytest.raises(Refusal):
            mara.command("alert add", **options)
    panel = await mara.command("whisper").message()
    with pytest.raises(Refusal):
        live.interact("Mara", "trading-floor", 3, {"message_id": panel["id"], "custom_id": "nothing"})


async def test_silence_for_three_seconds_is_a_failure(live, mara):
    live.answer_window_s = 0.1
    try:
        interaction = mara.command("silence")
        await interaction.failure()
        with pytest.raises(NoAnswer, match="did not respond"):
            await interaction.message()
    finally:
        live.answer_window_s = 3.0


async def test_messages_are_sent_edited_read_and_deleted(live):
    channel = live.client.guilds[0].text_channels[1]
    sent = await channel.send("walls", file=discord.File(io.BytesIO(b"a,b"), "walls.csv"), nonce="n-1")
    assert sent.attachments[0].filename == "walls.csv"
    assert await sent.attachments[0].read() == b"a,b"
    edited = await sent.edit(content="higher walls", attachments=[])
    assert edited.attachments == []
    assert (await channel.fetch_message(sent.id)).content == "higher walls"
    assert [m.id async for m in channel.history(limit=5)] == [sent.id]
    await sent.delete()
    with pytest.raises(discord.NotFound) as missing:
        await channel.fetch_message(sent.id)
    assert missing.value.code == 10008


async def test_the_same_nonce_sends_once(live):
    channel = live.person("Mara").channel.id
    body = {"content": "crossed 600", "nonce": "alert-17", "enforce_nonce": True}
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=channel)
    first, second = [await live.client.http.request(route, json=body) for _ in range(2)]
    assert first["id"] == second["id"]


async def test_direct_messages_arrive_unless_blocked(live):
    mara, sam = live.person("Mara", "dm"), live.person("Sam", "dm")
    await (await live.client.fetch_user(mara.id)).send("crossed")
    assert mara.reads()[-1]["content"] == "crossed"
    with pytest.raises(discord.Forbidden) as blocked:
        await (await live.client.fetch_user(sam.id)).send("crossed")
    assert blocked.value.code == 50007


async def test_roles_follow_the_hierarchy(live):
    guild = live.client.guilds[0]
    member = await guild.fetch_member(live.person("Jonas").id)
    roles = {role.name: role for role in await guild.fetch_roles()}
    await member.remove_roles(roles["Trader"])
    assert [role.name for role in (await guild.fetch_member(member.id)).roles] == ["@everyone"]
    await member.add_roles(roles["Trader"])
    with pytest.raises(discord.Forbidden) as above:
        await member.add_roles(roles["Desk"])
    assert above.value.code == 50013


async def test_missing_permissions_have_their_codes(live):
    channel = live.client.guilds[0].text_channels[2]
    place = live.world.channels[str(channel.id)]
    everyone = place.guild.id
    place.overwrites[everyone] = (0, 1 << 11)
    with pytest.raises(discord.Forbidden) as silenced:
        await channel.send("hello")
    place.overwrites[everyone] = (0, 1 << 10)
    with pytest.raises(discord.Forbidden) as hidden:
        await channel.send("hello")
    place.overwrites.clear()
    assert (silenced.value.code, hidden.value.code) == (50013, 50001)


async def test_a_duplicated_interaction_arrives_twice(live, mara):
    live.fault("duplicate_interactions", count=1)
    seen = []
    live.client.on_interaction = lambda interaction: _note(seen, interaction)
    await mara.command("ping").message()
    await until(lambda: len(seen) == 2)
    assert seen[0] == seen[1]


async def _note(seen, interaction):
    seen.append(interaction.id)


async def test_a_rate_limit_is_waited_for(live):
    live.fault("rate_limit", scope="shared", retry_after=0.05, path_contains="/users/")
    aiko = live.person("Aiko")
    assert (await live.client.fetch_user(aiko.id)).global_name == "Aiko"
    assert [exchange.status for exchange in live.requests if exchange.path.endswith(aiko.user.id)] == [429, 200]


async def test_a_lost_answer_to_a_callback_still_counts(live, mara):
    live.fault("abort", path_contains="/callback")
    answer = await mara.command("ping").message()
    assert answer["content"].startswith("pong")


async def test_a_token_after_its_time_is_refused(live, mara):
    interaction = mara.command("ping")
    await interaction.message()
    live.fault("expire_tokens")
    webhook = discord.Webhook.partial(live.client.application_id, interaction.token, client=live.client)
    with pytest.raises(discord.HTTPException) as expired:
        await webhook.send("late")
    assert (expired.value.status, expired.value.code) == (401, 50027)


async def test_a_wrong_token_cannot_log_in():
    async with standin(token="right") as server, pointed_at(server), Client() as client:
        with pytest.raises(discord.LoginFailure):
            await client.login("wrong")


async def test_a_dropped_gateway_resumes_and_replays():
    # discord.py waits for some random seconds before it resumes
    async with standin(answer_window_s=30) as server, connected(server, bot()) as client:
        mara = server.person("Mara")
        server.fault("gateway_away", seconds=0.3)
        server.fault("gateway_drop")
        await until(lambda: not server.gateway.online)
        missed = mara.command("ping")
        assert (await missed.message(30))["content"].startswith("pong")
        assert client.resumes.is_set()
        assert client.connects == 1


async def test_op_7_resumes():
    async with standin() as server, connected(server, bot()) as client:
        server.fault("reconnect")
        await asyncio.wait_for(client.resumes.wait(), 5)
        assert (await server.person("Mara").command("ping").message())["content"].startswith("pong")


async def test_op_9_identifies_anew():
    async with standin() as server, connected(server, bot()) as client:
        server.fault("invalid_session", resumable=False)
        await until(lambda: client.connects == 2, 10)
        assert not client.resumes.is_set()
        assert server.gateway.identified == 2
        assert (await server.person("Mara").command("ping").message())["content"].startswith("pong")


async def test_without_a_bot_people_are_told_that_it_is_offline():
    async with standin() as server:
        with pytest.raises(Refusal, match="offline") as offline:
            server.interact("Mara", "trading-floor", 2, {"id": "1", "name": "ping", "type": 1})
        assert offline.value.status == 503
