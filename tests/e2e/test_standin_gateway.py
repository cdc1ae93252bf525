"""The gateway over a raw websocket: what it says, what it refuses, and how it replays."""

import asyncio
import zlib

import aiohttp
import pytest
import zstandard
from standin import PROPERTIES, socket_to, standin, until

from sandbox.discord.gateway import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT


@pytest.fixture(scope="module")
async def server():
    async with standin(token="t") as server:
        yield server


@pytest.fixture
async def socket(server):
    async with socket_to(server) as socket:
        yield socket


async def test_hello_ready_and_the_guild_arrive_in_order(server, socket):
    hello = await socket.receive()
    assert hello["op"] == 10
    assert hello["d"]["heartbeat_interval"] > 10_000
    await socket.identify()
    ready = await socket.receive()
    assert (ready["t"], ready["s"]) == ("READY", 1)
    assert ready["d"]["guilds"][0]["unavailable"]
    guild = await socket.receive()
    assert (guild["t"], guild["s"]) == ("GUILD_CREATE", 2)
    assert [channel["name"] for channel in guild["d"]["channels"]] == ["trading-floor", "gamma-levels", "alerts-feed"]


async def test_a_heartbeat_is_acknowledged(socket):
    await socket.ready()
    await socket.send(1, socket.sequence)
    while (payload := await socket.receive())["op"] == 0:
        pass
    assert payload["op"] == 11


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 1, "properties": PROPERTIES}}, 4004),
        ({"op": 2, "d": {"token": "t", "intents": 1 << 15, "properties": PROPERTIES}}, 4014),
        ({"op": 2, "d": {"token": "t", "intents": 1 << 40, "properties": PROPERTIES}}, 4013),
        ({"op": 2, "d": {"token": "t", "intents": 1, "properties": PROPERTIES, "shard": [2, 2]}}, 4010),
        ({"op": 3, "d": {}}, 4003),
        ({"op": "two"}, 4002),
    ],
)
async def test_wrong_identities_are_closed_with_their_code(socket, sent, code):
    await socket.receive()
    await socket.socket.send_json(sent)
    assert await socket.receive() == code


async def test_identifying_twice_and_unknown_opcodes_are_closed(server):
    for sent, code in ({"op": 2, "d": {"token": "t"}}, 4005), ({"op": 77}, 4001):
        async with socket_to(server) as socket:
            await socket.ready()
            await socket.socket.send_json(sent)
            while isinstance(closed := await socket.receive(), dict):
                pass
            assert closed == code


async def test_more_than_120_sends_a_minute_are_closed(socket):
    await socket.ready()
    for _ in range(121):
        await socket.send(3, {"status": "online", "since": None, "activities": [], "afk": False})
    while isinstance(closed := await socket.receive(), dict):
        pass
    assert closed == 4008


async def test_etf_and_other_versions_are_refused(server):
    for query in ("v=10&encoding=etf", "v=9&encoding=json"):
        async with socket_to(server, query) as socket:
            assert await socket.receive() == 4012


async def test_a_silent_connection_is_given_up(server):
    server.gateway.heartbeat_s = 0.2
    try:
        async with socket_to(server) as socket:
            await socket.ready()
            await socket.event("GUILD_CREATE")
            assert await socket.receive() == 4009
    finally:
        server.gateway.heartbeat_s = 41.25


@pytest.mark.parametrize("kind", ["zlib-stream", "zstd-stream"])
async def test_transport_compression_is_one_stream(server, kind):
    decompress = (
        zlib.decompressobj().decompress
        if kind == "zlib-stream"
        else zstandard.ZstdDecompressor().decompressobj().decompress
    )
    async with socket_to(server, f"v=10&encoding=json&compress={kind}", decompress) as socket:
        ready = await socket.ready()
        assert ready["user"]["username"] == "PulseEngine"
        assert (await socket.event("GUILD_CREATE"))["name"] == "Opening Bell"


async def resume(server, session_id, sequence, token="t"):
    async with socket_to(server) as socket:
        await socket.receive()
        await socket.send(6, {"token": token, "session_id": session_id, "seq": sequence})
        received = [await socket.receive()]
        while isinstance(received[-1], dict) and received[-1]["t"] not in {"RESUMED", None}:
            received.append(await socket.receive())
        return received


async def test_resume_replays_what_was_missed_in_order(server):
    async with socket_to(server) as socket:
        ready = await socket.ready(intents=GUILDS | GUILD_MESSAGES)
        await socket.event("GUILD_CREATE")
        sequence = socket.sequence
        server.fault("gateway_drop")
        assert await socket.receive() == 1006
    mara = server.person("Mara")
    said = [mara.say(f"line {number}")["id"] for number in range(3)]
    replayed = await resume(server, ready["session_id"], sequence)
    assert [event["d"]["id"] for event in replayed[:-1]] == said
    assert [event["s"] for event in replayed] == [sequence + 1, sequence + 2, sequence + 3, sequence + 4]
    assert replayed[-1]["t"] == "RESUMED"


async def test_what_cannot_be_resumed_is_an_invalid_session(server, socket):
    ready = await socket.ready(intents=GUILDS | GUILD_MESSAGES)
    await socket.event("GUILD_CREATE")
    assert (await resume(server, "no-such-session", 1))[0] | {"s": 0} == {"op": 9, "d": False, "s": 0, "t": None}
    assert (await resume(server, ready["session_id"], 99))[0] == 4007
    assert (await resume(server, ready["session_id"], 2, token="wrong"))[0] == 4004
    mara = server.person("Mara")
    for number in range(1_005):
        mara.say(str(number))
    assert (await resume(server, ready["session_id"], 2))[0]["op"] == 9


async def test_a_clean_close_ends_the_session(server):
    async with socket_to(server) as socket:
        ready = await socket.ready()
        await socket.socket.close(code=1000)
    await until(lambda: ready["session_id"] not in {session.id for session in server.gateway.sessions()})


async def test_guilds_and_direct_messages_go_to_their_shards(server):
    guild = next(iter(server.world.guilds))
    async with socket_to(server) as zero, socket_to(server) as one:
        sockets = [zero, one]
        for index, socket in enumerate(sockets):
            ready = await socket.ready(intents=GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES, shard=[index, 2])
            assert [g["id"] for g in ready["guilds"]] == ([guild] if (int(guild) >> 22) % 2 == index else [])
        owner = sockets[(int(guild) >> 22) % 2]
        direct = server.person("Mara", "dm").say("psst")
        public = server.person("Mara").say("hello")
        assert (await zero.event("MESSAGE_CREATE"))["id"] == direct["id"]
        assert (await owner.event("MESSAGE_CREATE"))["id"] == public["id"]


async def test_content_is_kept_from_those_without_the_intent(server, socket):
    await socket.ready(intents=GUILDS | GUILD_MESSAGES)
    mara = server.person("Mara")
    mara.say("my secret plan")
    heard = await socket.event("MESSAGE_CREATE")
    assert (heard["content"], heard["author"]["username"]) == ("", "mara")
    assert heard["guild_id"] == mara.channel.guild.id
    mara.say(f"<@{server.world.bot.id}> hello")
    assert (await socket.event("MESSAGE_CREATE"))["content"].endswith("hello")


async def test_privileged_content_is_told_when_granted():
    async with standin(privileged_intents=MESSAGE_CONTENT) as server, socket_to(server) as socket:
        await socket.ready(intents=GUILDS | GUILD_MESSAGES | MESSAGE_CONTENT)
        server.person("Mara").say("open to all")
        assert (await socket.event("MESSAGE_CREATE"))["content"] == "open to all"


async def test_no_message_events_without_their_intent(server, socket):
    await socket.ready()
    await socket.event("GUILD_CREATE")
    server.person("Mara").say("unheard")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await socket.receive()


async def test_connections_are_refused_while_the_gateway_is_away(server):
    server.fault("gateway_away", seconds=0.2)
    with pytest.raises(aiohttp.WSServerHandshakeError) as away:
        async with socket_to(server):
            pass
    assert away.value.status == 503
    server.faults.clear()
    async with socket_to(server) as socket:
        await socket.ready()


async def test_faults_of_the_gateway_reach_the_client(server):
    for order, expected in (
        ({"kind": "reconnect"}, 7),
        ({"kind": "invalid_session", "resumable": True}, 9),
        ({"kind": "gateway_reset"}, 4000),
    ):
        async with socket_to(server) as socket:
            await socket.ready()
            await socket.event("GUILD_CREATE")
            server.faults.add(order)
            received = await socket.receive()
            assert (received["op"] if isinstance(received, dict) else received) == expected


async def test_members_are_sent_when_asked_for(server, socket):
    await socket.ready()
    aiko = server.world.user("Aiko")
    await socket.send(
        8, {"guild_id": next(iter(server.world.guilds)), "user_ids": [aiko.id, "17"], "limit": 0, "nonce": "n"}
    )
    chunk = await socket.event("GUILD_MEMBERS_CHUNK")
    assert [member["user"]["id"] for member in chunk["members"]] == [aiko.id]
    assert (chunk["not_found"], chunk["nonce"]) == (["17"], "n")
