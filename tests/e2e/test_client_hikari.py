"""hikari as it is, pointed at the stand-in by its public options alone."""

import asyncio
import base64
import logging
import sys
from contextlib import asynccontextmanager
from importlib.util import find_spec

import hikari
import pytest
from client_session import use_everything
from discord_spec import Description, Traffic
from hikari.impl import AutocompleteChoiceBuilder, GatewayShardImpl
from standin import standin

COMPRESSION = hikari.api.GatewayCompression
ZSTD = sys.version_info >= (3, 14) or bool(find_spec("backports") and find_spec("backports.zstd"))
COMPRESSIONS = [
    pytest.param(None, id="none"),
    pytest.param(COMPRESSION.PAYLOAD_ZLIB_STREAM, id="payload"),
    pytest.param(COMPRESSION.TRANSPORT_ZLIB_STREAM, id="zlib-stream"),
    pytest.param(
        COMPRESSION.TRANSPORT_ZSTD_STREAM,
        id="zstd-stream",
        marks=pytest.mark.skipif(not ZSTD, reason="hikari wants backports.zstd on Python before 3.14"),
    ),
]


def make_bot(server):
    token = base64.b64encode(server.world.application_id.encode()).decode().rstrip("=") + ".sandbox.token"
    bot = hikari.GatewayBot(
        token,
        rest_url=f"{server.base_url}/api/v10",
        banner=None,
        logs=None,
        suppress_optimization_warning=True,
    )
    bot.listen(hikari.CommandInteractionCreateEvent)(on_command)
    bot.listen(hikari.ComponentInteractionCreateEvent)(on_press)
    bot.listen(hikari.ModalInteractionCreateEvent)(on_submit)
    bot.listen(hikari.AutocompleteInteractionCreateEvent)(on_typing)
    return bot


async def on_command(event: hikari.CommandInteractionCreateEvent):
    interaction = event.interaction
    symbol = interaction.options[0].value
    if interaction.command_name == "gamma":
        await interaction.create_initial_response(hikari.ResponseType.DEFERRED_MESSAGE_CREATE)
        picture = hikari.Bytes(b"picture", "gamma.png")
        await interaction.edit_initial_response(f"Gamma of {symbol}", attachment=picture)
        await interaction.execute("More", flags=hikari.MessageFlag.EPHEMERAL)
        return
    row = event.app.rest.build_message_action_row()
    row.add_interactive_button(hikari.ButtonStyle.PRIMARY, "refresh", label="Refresh")
    row.add_interactive_button(hikari.ButtonStyle.SECONDARY, "alert", label="Alert me", emoji="⏰")
    row.add_link_button("https://example.test/link/1", label="Open")
    choices = event.app.rest.build_message_action_row()
    choices.add_text_menu("expiry").add_option("Week", "week").add_option("All", "all")
    await interaction.create_initial_response(
        hikari.ResponseType.MESSAGE_CREATE,
        f"{symbol} 601.20",
        embed=hikari.Embed(title=symbol, color=0x3BA55D).add_field("Bid", "601.19"),
        components=[row, choices],
    )


async def on_press(event: hikari.ComponentInteractionCreateEvent):
    interaction = event.interaction
    if interaction.custom_id == "alert":
        form = event.app.rest.build_modal_action_row().add_text_input("level", "Level")
        await interaction.create_modal_response("Alert", f"form:{interaction.id}", components=[form])
    elif interaction.values:
        await interaction.create_initial_response(hikari.ResponseType.DEFERRED_MESSAGE_UPDATE)
        await interaction.edit_initial_response(f"expiry {interaction.values[0]}")
    else:
        await interaction.create_initial_response(hikari.ResponseType.MESSAGE_UPDATE, "refreshed")


async def on_submit(event: hikari.ModalInteractionCreateEvent):
    level = event.interaction.components[0].components[0].value
    await event.interaction.create_initial_response(
        hikari.ResponseType.MESSAGE_CREATE, f"Alert at {level}", flags=hikari.MessageFlag.EPHEMERAL
    )


async def on_typing(event: hikari.AutocompleteInteractionCreateEvent):
    typed = event.interaction.options[0].value.upper()
    fitting = [symbol for symbol in ("SPY", "SPX") if symbol.startswith(typed)]
    await event.interaction.create_response([AutocompleteChoiceBuilder(symbol, symbol) for symbol in fitting])


async def register(rest, application):
    symbol = hikari.CommandOption(
        type=hikari.OptionType.STRING, name="symbol", description="A symbol", is_required=True, autocomplete=True
    )
    commands = [
        rest.slash_command_builder(name, f"The {name} of a symbol").add_option(symbol) for name in ("quote", "gamma")
    ]
    await rest.set_application_commands(application, commands)


@asynccontextmanager
async def running(server):
    bot = make_bot(server)
    await bot.start(check_for_updates=False)
    try:
        await register(bot.rest, server.world.application_id)
        yield bot
    finally:
        await bot.close()


async def test_hikari_uses_commands_components_and_modals(caplog):
    async with standin(record=True) as server, running(server) as bot:
        assert bot.get_me().id == int(server.world.application_id)
        await use_everything(server.person("Mara"))
        await use_everything(server.person("Jonas", "dm"))
        assert server.unknown_requests == []
        assert {exchange.status // 100 for exchange in server.requests} == {2}
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_hikari_and_the_stand_in_speak_as_described(shared_specs):
    async with standin(record=True) as server, running(server):
        await use_everything(server.person("Mara"))
        traffic = Traffic(Description(shared_specs / "discord" / "openapi.json"), ours=False)
        problems = traffic.problems(server.requests)
        assert not problems, "\n".join(problems)


async def test_hikari_resumes_after_a_drop_and_hears_what_it_missed():
    async with standin() as server, running(server):
        server.fault("gateway_drop")
        missed = server.person("Mara").command("quote", symbol="SPY")
        assert (await missed.message())["content"] == "SPY 601.20"
        assert server.gateway.identified == 1


async def next_of(shard, events):
    async with asyncio.timeout(5):
        while (event := await events.get()).shard is not shard:
            pass
    return event


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_hikari_reads_each_compression_before_and_after_a_drop(compression):
    async with standin() as server, running(server) as bot:
        heard, mara = asyncio.Queue(), server.person("Mara", "dm")
        bot.subscribe(hikari.DMMessageCreateEvent, heard.put)
        shard = GatewayShardImpl(
            compression=compression,
            intents=hikari.Intents.DM_MESSAGES,
            http_settings=bot.http_settings,
            proxy_settings=bot.proxy_settings,
            event_manager=bot.event_manager,
            event_factory=bot.event_factory,
            token="sandbox.token",
            url=(await bot.rest.fetch_gateway_bot_info()).url,
        )
        await shard.start()
        try:
            mara.say("before " * 100)
            assert (await next_of(shard, heard)).content.startswith("before")
            server.fault("gateway_drop")
            mara.say("meanwhile " * 100)
            assert (await next_of(shard, heard)).content.startswith("meanwhile")
            assert server.gateway.identified == 2
        finally:
            await shard.close()
