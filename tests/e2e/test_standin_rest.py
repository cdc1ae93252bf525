"""The stand-in's REST rules over raw HTTP: codes, bodies and headers as Discord gives them, and the API of the page."""

import io
import json

import aiohttp
import pytest
from standin import socket_to, standin

from sandbox.discord.rules import FILE_BYTES, Refusal
from sandbox.discord.world import GROUP_DM, Channel

AUTH = {"Authorization": "Bot t"}
COMMANDS = [
    {"name": "ping", "description": "Pong", "integration_types": [0, 1], "contexts": [0, 1, 2]},
    {
        "name": "quote",
        "description": "Quote",
        "options": [{"type": 3, "name": "symbols", "description": "Which", "required": True, "autocomplete": True}],
    },
    {"name": "Inspect", "type": 3},
]
BUTTONS = [{"type": 1, "components": [{"type": 2, "style": 1, "label": "Press", "custom_id": "press"}]}]


class Bot:
    """A bot by hand: REST with aiohttp, the gateway through a raw socket."""

    def __init__(self, server, session, socket):
        self.server, self.session, self.socket = server, session, socket
        self.application = server.world.application_id

    async def ask(self, method, path, body=None, *, auth=True, **options):
        headers = options.pop("headers", {}) | (AUTH if auth else {})
        options |= {} if body is None else {"json": body}
        url = f"{self.server.base_url}/api/v10{path}"
        async with self.session.request(method, url, headers=headers, **options) as response:
            raw = await response.read()
            self.headers = response.headers
            return response.status, json.loads(raw) if raw else None

    async def answer(self, event, body, query="?with_response=true"):
        return await self.ask("POST", f"/interactions/{event['id']}/{event['token']}/callback{query}", body, auth=False)

    async def webhook(self, method, event, tail="", body=None):
        return await self.ask(method, f"/webhooks/{self.application}/{event['token']}{tail}", body, auth=False)

    async def next(self):
        return await self.socket.event("INTERACTION_CREATE")


@pytest.fixture(scope="module")
async def bot():
    async with (
        standin(token="t", record=True, rate_limits=False) as server,
        socket_to(server) as socket,
        aiohttp.ClientSession() as session,
    ):
        bot = Bot(server, session, socket)
        await socket.ready()
        status, _ = await bot.ask("PUT", f"/applications/{bot.application}/commands", COMMANDS)
        assert status == 200
        yield bot


@pytest.fixture
def server(bot):
    return bot.server


@pytest.fixture
def limited(server):
    server.rate_limits = True
    yield
    server.rate_limits = False


@pytest.fixture
def mara(server):
    return server.person("Mara")


async def pinged(bot, person):
    interaction = person.command("ping")
    return interaction, await bot.next()


async def test_an_interaction_tells_everything_about_its_circumstances(bot, mara):
    _, event = await pinged(bot, mara)
    guild = mara.channel.guild
    assert event["guild_id"] == guild.id
    assert event["member"]["user"]["id"] == mara.user.id
    assert "user" not in event
    assert int(event["member"]["permissions"]) & 1 << 11
    assert event["context"] == 0
    assert event["authorizing_integration_owners"] == {"0": guild.id, "1": mara.user.id}
    assert (event["locale"], event["guild_locale"]) == ("en-US", "en-US")
    assert event["entitlements"] == []
    assert event["attachment_size_limit"] == FILE_BYTES
    assert int(event["app_permissions"]) > 0
    assert event["channel"]["name"] == "trading-floor"


async def test_in_a_direct_message_the_user_is_told_instead_of_a_member(bot, server):
    jonas = server.person("Jonas", "dm")
    _, event = await pinged(bot, jonas)
    assert event["user"]["id"] == jonas.user.id
    assert not event.keys() & {"member", "guild_id", "guild"}
    assert (event["context"], event["authorizing_integration_owners"]["0"]) == (1, "0")


async def test_commands_outside_their_contexts_are_not_offered(bot, server):
    status, made = await bot.ask(
        "POST", f"/applications/{bot.application}/commands", {"name": "local", "description": "d", "contexts": [0]}
    )
    assert status == 201
    with pytest.raises(Refusal, match="Unknown application command"):
        server.person("Jonas", "dm").command("local")
    assert (await bot.ask("DELETE", f"/applications/{bot.application}/commands/{made['id']}"))[0] == 204


async def test_commands_for_administrators_are_offered_to_them_alone(bot, server):
    command = {"name": "local", "description": "d", "default_member_permissions": 0}
    _, made = await bot.ask("POST", f"/applications/{bot.application}/commands", command)
    with pytest.raises(Refusal, match="Unknown application command"):
        server.person("Mara").command("local")
    server.person("Sam").command("local")
    assert (await bot.next())["data"]["name"] == "local"
    assert (await bot.ask("DELETE", f"/applications/{bot.application}/commands/{made['id']}"))[0] == 204


async def test_the_first_answer_is_returned_on_request_and_204_otherwise(bot, mara):
    _, event = await pinged(bot, mara)
    status, outcome = await bot.answer(event, {"type": 4, "data": {"content": "pong", "flags": 64}})
    assert status == 200
    assert outcome["interaction"]["response_message_ephemeral"] is True
    assert outcome["resource"]["message"]["content"] == "pong"
    _, event = await pinged(bot, mara)
    assert await bot.answer(event, {"type": 4, "data": {"content": "pong"}}, query="") == (204, None)


async def test_a_second_first_answer_is_40060(bot, mara):
    _, event = await pinged(bot, mara)
    await bot.answer(event, {"type": 5})
    status, refused = await bot.answer(event, {"type": 4, "data": {"content": "again"}})
    assert (status, refused["code"]) == (400, 40060)


async def test_a_late_or_unknown_first_answer_is_10062(bot, server, mara):
    server.answer_window_s = 0.05
    interaction, event = await pinged(bot, mara)
    await interaction.failure()
    server.answer_window_s = 3.0
    assert await bot.answer(event, {"type": 5}) == (404, {"message": "Unknown interaction", "code": 10062})
    assert (await bot.answer({"id": "1", "token": "1.x"}, {"type": 5}))[1]["code"] == 10062


async def test_a_delayed_callback_comes_too_late(bot, server, mara):
    server.answer_window_s = 0.05
    server.fault("callback_delay", seconds=0.1)
    _, event = await pinged(bot, mara)
    assert (await bot.answer(event, {"type": 5}))[1]["code"] == 10062
    server.answer_window_s = 3.0


@pytest.mark.parametrize("kind", [1, 6, 7, 8, 12, None, "4"])
async def test_a_command_is_not_answered_with_other_types(bot, mara, kind):
    _, event = await pinged(bot, mara)
    status, refused = await bot.answer(event, {"type": kind, "data": {"content": "x"}})
    assert (status, refused["code"]) == (400, 50035)
    assert "_errors" in refused["errors"]["type"]
    assert (await bot.answer(event, {"type": 5}))[0] == 200


async def test_deferring_then_following_up_fills_the_loading_message(bot, mara):
    interaction, event = await pinged(bot, mara)
    _, outcome = await bot.answer(event, {"type": 5, "data": {"flags": 64}})
    assert outcome["interaction"]["response_message_loading"] is True
    assert mara.reads()[-1]["loading"] is True
    _, first = await bot.webhook("POST", event, body={"content": "done"})
    assert first["id"] == outcome["interaction"]["response_message_id"]
    assert first["flags"] == 64
    _, second = await bot.webhook("POST", event, body={"content": "more"})
    assert second["message_reference"]["message_id"] == first["id"]
    assert (await interaction.message())["content"] == "done"


async def test_original_is_read_edited_and_deleted(bot, mara):
    _, event = await pinged(bot, mara)
    assert (await bot.webhook("GET", event, "/messages/@original"))[1]["code"] == 10015
    await bot.answer(event, {"type": 4, "data": {"content": "pong"}})
    assert (await bot.webhook("GET", event, "/messages/@original"))[1]["content"] == "pong"
    _, edited = await bot.webhook("PATCH", event, "/messages/@original", {"content": "pong!"})
    assert edited["edited_timestamp"]
    assert (await bot.webhook("DELETE", event, "/messages/@original"))[0] == 204
    assert (await bot.webhook("PATCH", event, "/messages/@original", {"content": "x"}))[1]["code"] == 10008


async def test_an_edit_may_not_empty_a_message(bot, mara):
    _, event = await pinged(bot, mara)
    await bot.answer(event, {"type": 4, "data": {"content": "pong"}})
    status, refused = await bot.webhook("PATCH", event, "/messages/@original", {"content": ""})
    assert (status, refused["code"]) == (400, 50006)


async def test_a_user_install_alone_has_five_follow_ups(bot, server):
    jonas, mara = server.world.user("Jonas"), server.world.user("Mara")
    private = Channel(server.world.ids(), GROUP_DM, recipients=[jonas, mara])
    server.world.channels[private.id] = private
    _, event = await pinged(bot, server.person("Mara", private.id))
    assert (event["context"], event["authorizing_integration_owners"]) == (2, {"1": mara.id})
    await bot.answer(event, {"type": 4, "data": {"content": "0"}})
    answers = [await bot.webhook("POST", event, body={"content": str(number)}) for number in range(6)]
    assert [status for status, _ in answers] == [200] * 5 + [400]
    assert answers[-1][1]["code"] == 40094


async def test_pressing_twice_answers_each(bot, mara):
    _, event = await pinged(bot, mara)
    await bot.answer(event, {"type": 4, "data": {"content": "panel", "components": BUTTONS}})
    message = mara.reads()[-1]
    assert message["components"][0]["id"] == 1
    pressed = mara.press(message, "Press")
    press = await bot.next()
    assert press["message"]["id"] == message["id"]
    assert press["data"] == {"custom_id": "press", "component_type": 2, "id": 2}
    assert (await bot.answer(press, {"type": 6}))[0] == 200
    assert await pressed.acknowledged() == 6
    _, edited = await bot.webhook("PATCH", press, "/messages/@original", {"content": "changed", "components": []})
    assert (edited["id"], edited["components"]) == (message["id"], [])


async def test_a_message_command_brings_its_message(bot, server, mara):
    said = mara.say("600 is the wall")
    command = next(c for c in server.commands.values() if c["name"] == "Inspect")
    server.interact("Mara", "trading-floor", 2, {"id": command["id"], "target_id": said["id"]})
    event = await bot.next()
    assert event["data"]["resolved"]["messages"][said["id"]]["content"] == "600 is the wall"


@pytest.mark.parametrize(
    ("choices", "path"),
    [
        ([{"name": str(n), "value": str(n)} for n in range(26)], ["data", "choices"]),
        ([{"name": "x" * 101, "value": "x"}], ["data", "choices", "0", "name"]),
        ([{"name": "x", "value": "x" * 101}], ["data", "choices", "0", "value"]),
    ],
)
async def test_suggestions_have_limits(bot, mara, choices, path):
    typed = mara.type("quote", symbols="s")
    event = await bot.next()
    assert event["data"]["options"][0]["focused"] is True
    status, refused = await bot.answer(event, {"type": 8, "data": {"choices": choices}})
    assert (status, refused["code"]) == (400, 50035)
    node = refused["errors"]
    for key in path:
        node = node[key]
    assert node["_errors"]
    await bot.answer(event, {"type": 8, "data": {"choices": choices[:1] if len(choices) > 1 else []}})
    assert len(await typed.choices()) == (1 if len(choices) > 1 else 0)


async def test_faults_of_a_body_are_a_tree_of_errors(bot, mara):
    body = {"content": "x" * 2001, "embeds": [{"title": "ok", "fields": [{"name": "", "value": "v"}]}]}
    status, refused = await bot.ask("POST", f"/channels/{mara.channel.id}/messages", body)
    assert (status, refused["code"], refused["message"]) == (400, 50035, "Invalid Form Body")
    required = {"_errors": [{"code": "BASE_TYPE_REQUIRED", "message": "This field is required"}]}
    assert refused["errors"] == {
        "content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]},
        "embeds": {"0": {"fields": {"0": {"name": required}}}},
    }


async def test_nothing_to_say_is_50006(bot, server):
    where = server.person("Mara", "alerts-feed").channel.id
    for body in ({}, {"content": ""}, {"embeds": [{}]}, {"components": BUTTONS}):
        assert (await bot.ask("POST", f"/channels/{where}/messages", body))[1]["code"] == 50006


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/channels/1", 404, 10003),
        ("GET", "/guilds/1", 404, 10004),
        ("GET", "/users/1", 404, 10013),
        ("GET", "/guilds/{guild}/members/1", 404, 10007),
        ("GET", "/guilds/{guild}/roles/1", 404, 10011),
        ("GET", "/channels/{channel}/messages/1", 404, 10008),
        ("GET", "/applications/{application}/commands/1", 404, 10063),
        ("GET", "/applications/1/commands", 404, 10002),
        ("GET", "/guilds/{guild}/members?limit=5", 403, 50001),
        ("POST", "/webhooks/{application}/1.x", 404, 10015),
    ],
)
async def test_what_does_not_exist_has_its_code(bot, mara, method, path, status, code):
    ids = {"guild": mara.channel.guild.id, "channel": mara.channel.id, "application": bot.application}
    answered, refused = await bot.ask(method, path.format(**ids))
    assert (answered, refused["code"]) == (status, code)


async def test_without_a_token_nobody_is_served(bot):
    assert await bot.ask("GET", "/users/@me", auth=False) == (401, {"message": "401: Unauthorized", "code": 0})
    status, refused = await bot.ask("GET", "/users/@me", headers={"User-Agent": ""})
    assert (status, refused["code"]) == (403, 40333)


async def test_a_wrong_content_type_and_broken_json_are_refused(bot, mara):
    path = f"/channels/{mara.channel.id}/messages"
    _, refused = await bot.ask("POST", path, data="content=x", headers={"Content-Type": "text/plain"})
    assert refused["errors"]["_errors"][0]["code"] == "CONTENT_TYPE_INVALID"
    status, refused = await bot.ask("POST", path, data="{", headers={"Content-Type": "application/json"})
    assert (status, refused["code"]) == (400, 50109)


async def test_an_unknown_route_is_loud_and_remembered(bot, server, caplog):
    assert await bot.ask("GET", "/nowhere") == (404, {"message": "404: Not Found", "code": 0})
    assert server.unknown_requests == ["GET /api/v10/nowhere"]
    assert "no such route: GET /api/v10/nowhere" in caplog.text
    server.unknown_requests.clear()


async def test_every_answer_has_its_limits_and_exactly_json(bot, limited):
    await bot.ask("GET", "/users/@me")
    assert bot.headers["Content-Type"] == "application/json"
    assert int(bot.headers["X-RateLimit-Remaining"]) < int(bot.headers["X-RateLimit-Limit"])
    assert {"X-RateLimit-Reset", "X-RateLimit-Reset-After", "X-RateLimit-Bucket"} <= set(bot.headers)


async def test_the_sixth_message_in_five_seconds_is_limited(bot, server, limited):
    where = server.person("Mara", "gamma-levels").channel.id
    statuses = [(await bot.ask("POST", f"/channels/{where}/messages", {"content": "x"}))[0] for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    _, refused = await bot.ask("POST", f"/channels/{where}/messages", {"content": "x"})
    assert 0 < refused["retry_after"] <= 5
    assert refused["global"] is False
    assert bot.headers["Via"]
    assert bot.headers["X-RateLimit-Scope"] == "user"
    assert bot.headers["X-RateLimit-Remaining"] == "0"


@pytest.mark.parametrize("scope", ["user", "global", "shared"])
async def test_limits_on_order_have_their_scope(bot, server, scope):
    server.fault("rate_limit", scope=scope, retry_after=0.25, count=1)
    status, refused = await bot.ask("GET", "/users/@me")
    assert (status, refused["retry_after"], refused["global"]) == (429, 0.25, scope == "global")
    assert (bot.headers["X-RateLimit-Scope"], bot.headers.get("X-RateLimit-Global")) == (
        scope,
        "true" if scope == "global" else None,
    )
    assert (await bot.ask("GET", "/users/@me"))[0] == 200


async def test_server_errors_and_cut_connections_on_order(bot, server, mara):
    server.fault("server_error", status=502, path_contains="/users/")
    assert (await bot.ask("GET", "/guilds/1"))[0] == 404
    assert (await bot.ask("GET", "/users/@me"))[0] == 502
    server.fault("abort", path_contains="/messages")
    with pytest.raises(aiohttp.ClientError):
        await bot.ask("POST", f"/channels/{mara.channel.id}/messages", {"content": "sent, though"})
    assert mara.reads()[-1]["content"] == "sent, though"
    server.fault("callback_refuse", status=404)
    _, event = await pinged(bot, mara)
    assert (await bot.answer(event, {"type": 5}))[1]["code"] == 10062


def form_with(body, *files):
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", json.dumps(body), content_type="application/json")
    for number, (name, content) in enumerate(files):
        form.add_field(f"files[{number}]", io.BytesIO(content), filename=name, content_type="application/octet-stream")
    return form


async def test_files_are_stored_named_and_described(bot, server, mara):
    body = {"content": "two", "attachments": [{"id": 0, "description": "first"}, {"id": 1}]}
    form = form_with(body, ("net gex.csv", b"a,b"), ("b.txt", b"b"))
    status, message = await bot.ask("POST", f"/channels/{mara.channel.id}/messages", data=form)
    assert status == 200
    first, second = message["attachments"]
    assert (first["filename"], first["description"], first["size"]) == ("net_gex.csv", "first", 3)
    async with bot.session.get(first["url"]) as download:
        assert (download.status, await download.read()) == (200, b"a,b")
    path = f"/channels/{mara.channel.id}/messages/{message['id']}"
    kept = {"attachments": [{"id": second["id"]}, {"id": 0}]}
    _, edited = await bot.ask("PATCH", path, data=form_with(kept, ("c.txt", b"c"), ("unlisted.txt", b"d")))
    assert [attachment["filename"] for attachment in edited["attachments"]] == ["b.txt", "c.txt"]
    exchange = server.requests[-1]
    assert (exchange.body, exchange.files) == (kept, ("c.txt", "unlisted.txt"))


async def test_a_file_that_embeds_or_components_show_is_not_listed_again(bot, mara):
    path = f"/channels/{mara.channel.id}/messages"
    embedded = form_with({"embeds": [{"image": {"url": "attachment://a.png"}}]}, ("a.png", b"a"))
    _, message = await bot.ask("POST", path, data=embedded)
    assert message["attachments"] == []
    assert message["embeds"][0]["image"]["url"].endswith("/a.png")
    _, bare = await bot.ask("PATCH", f"{path}/{message['id']}", {"embeds": [], "content": "bare"})
    assert [attachment["filename"] for attachment in bare["attachments"]] == ["a.png"]
    emoji = {"id": None, "name": "📈"}
    rows = [
        {"type": 12, "items": [{"media": {"url": "attachment://b.png"}}]},
        {"type": 1, "components": [{"type": 2, "style": 2, "custom_id": "b", "emoji": emoji}]},
    ]
    free = form_with({"flags": 1 << 15, "components": rows}, ("b.png", b"b"))
    _, message = await bot.ask("POST", path, data=free)
    assert (message["flags"], message["attachments"]) == (1 << 15, [])
    gallery, row = message["components"]
    assert gallery["items"][0]["media"]["url"].endswith("/b.png")
    assert row["components"][0]["emoji"] == {"name": "📈"}


async def test_too_large_and_too_many_files_are_refused(bot, server):
    where = server.person("Sam", "alerts-feed").channel.id
    status, refused = await bot.ask(
        "POST", f"/channels/{where}/messages", data=form_with({}, ("big", b"0" * (FILE_BYTES + 1)))
    )
    assert (status, refused["code"]) == (413, 40005)
    many = form_with({}, *((f"{n}.txt", b"x") for n in range(11)))
    _, refused = await bot.ask("POST", f"/channels/{where}/messages", data=many)
    assert refused["errors"]["attachments"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"


async def test_commands_are_upserted_patched_and_counted(bot):
    path = f"/applications/{bot.application}/guilds/{next(iter(bot.server.world.guilds))}/commands"
    status, made = await bot.ask("POST", path, {"name": "local", "description": "one"})
    assert (status, made["guild_id"]) == (201, path.split("/")[4])
    status, again = await bot.ask("POST", path, {"name": "local", "description": "two"})
    assert (status, again["id"], again["description"]) == (200, made["id"], "two")
    assert again["version"] != made["version"]
    _, patched = await bot.ask("PATCH", f"{path}/{made['id']}", {"description": "three"})
    assert (patched["name"], patched["description"]) == ("local", "three")
    status, refused = await bot.ask("PUT", path, [{"name": f"c{n}", "description": "d"} for n in range(101)])
    assert (status, refused["code"]) == (400, 30032)
    assert [c["name"] for c in (await bot.ask("GET", path))[1]] == ["local"]
    assert await bot.ask("PUT", path, []) == (200, [])


# The page


async def page(bot, method, path, body=None):
    async with bot.session.request(method, bot.server.base_url + path, json=body) as response:
        return response.status, await response.json()


async def test_the_page_learns_the_world(bot):
    _, state = await page(bot, "GET", "/sandbox/state")
    assert state["bot"]["online"] is True
    assert [user["global_name"] for user in state["users"]] == ["Mara", "Jonas", "Aiko", "Sam"]
    assert [user["locale"] for user in state["users"]] == ["en-US", "de", "ja", "en-GB"]
    assert state["users"][3]["dm_blocked"] is True
    assert len(state["dms"]) == 4
    assert {command["name"] for command in state["commands"]} == {"ping", "quote", "Inspect"}
    assert state["guilds"][0]["channels"][0]["topic"]


async def events(socket, *names):
    seen = {}
    while set(names) - seen.keys():
        event = await socket.receive_json(timeout=2)
        seen[event["t"]] = event["d"]
    return seen


async def test_the_page_acts_and_is_told(bot, server):
    mara, jonas = server.world.user("Mara"), server.world.user("Jonas")
    channel = server.world.channel("trading-floor").id
    ping = next(c for c in server.commands.values() if c["name"] == "ping")
    async with (
        bot.session.ws_connect(f"{server.base_url}/sandbox/ws?user={mara.id}") as hers,
        bot.session.ws_connect(f"{server.base_url}/sandbox/ws?user={jonas.id}") as his,
    ):
        await page(bot, "POST", f"/sandbox/channels/{channel}/messages", {"user": mara.id, "content": "morning"})
        assert (await events(his, "MESSAGE_CREATE"))["MESSAGE_CREATE"]["content"] == "morning"
        typed = {"user": mara.id, "channel_id": channel, "type": 2, "nonce": "n1", "data": {"id": ping["id"]}}
        status, sent = await page(bot, "POST", "/sandbox/interactions", typed)
        assert status == 200
        event = await bot.next()
        assert event["id"] == sent["id"]
        await bot.answer(event, {"type": 4, "data": {"content": "secret", "flags": 64}})
        told = await events(hers, "INTERACTION_RESULT", "MESSAGE_CREATE")
        assert told["INTERACTION_RESULT"] == {"nonce": "n1", "id": sent["id"], "state": "acknowledged"}
        await bot.ask("POST", f"/channels/{channel}/messages", {"content": "public"})
        assert (await events(his, "MESSAGE_CREATE"))["MESSAGE_CREATE"]["content"] == "public"
    _, hers = await page(bot, "GET", f"/sandbox/channels/{channel}/messages?user={mara.id}")
    _, his = await page(bot, "GET", f"/sandbox/channels/{channel}/messages?user={jonas.id}")
    assert [m["content"] for m in hers[-2:]] == ["secret", "public"]
    assert "secret" not in [m["content"] for m in his]


async def test_the_page_shows_forms_suggestions_and_failures(bot, server):
    mara = server.world.user("Mara")
    names = {command["name"]: command["id"] for command in server.commands.values()}
    act = {"user": mara.id, "channel_id": server.world.channel("trading-floor").id, "nonce": "n2"}
    async with bot.session.ws_connect(f"{server.base_url}/sandbox/ws?user={mara.id}") as socket:
        option = {"name": "symbols", "type": 3, "value": "sp", "focused": True}
        await page(
            bot, "POST", "/sandbox/interactions", act | {"type": 4, "data": {"id": names["quote"], "options": [option]}}
        )
        await bot.answer(await bot.next(), {"type": 8, "data": {"choices": [{"name": "SPY", "value": "SPY"}]}})
        assert (await events(socket, "AUTOCOMPLETE"))["AUTOCOMPLETE"]["choices"][0]["value"] == "SPY"
        await page(bot, "POST", "/sandbox/interactions", act | {"type": 2, "data": {"id": names["ping"]}})
        field = {"type": 4, "custom_id": "level", "style": 1, "max_length": 5}
        modal = {"title": "Alert", "custom_id": "m", "components": [{"type": 18, "label": "Level", "component": field}]}
        await bot.answer(await bot.next(), {"type": 9, "data": modal})
        assert (await events(socket, "MODAL"))["MODAL"]["modal"]["components"][0]["component"] == field | {"id": 2}
        filled = [{"type": 18, "component": {"type": 4, "custom_id": "level", "value": "600"}}]
        sent = act | {"type": 5, "data": {"custom_id": "m", "components": filled}}
        server.answer_window_s = 0.05
        assert (await page(bot, "POST", "/sandbox/interactions", sent))[0] == 200
        entered = {"type": 4, "id": 2, "custom_id": "level", "value": "600"}
        assert (await bot.next())["data"]["components"] == [{"type": 18, "id": 1, "component": entered}]
        failed = (await events(socket, "INTERACTION_RESULT"))["INTERACTION_RESULT"]
        while failed["state"] != "failed":
            failed = (await events(socket, "INTERACTION_RESULT"))["INTERACTION_RESULT"]
        assert failed["message"] == "The application did not respond"
        server.answer_window_s = 3.0
        assert (await page(bot, "POST", "/sandbox/interactions", sent))[0] == 200
        assert (await bot.answer(await bot.next(), {"type": 4, "data": {"content": "watching"}}))[0] == 200
        assert (await page(bot, "POST", "/sandbox/interactions", sent))[0] == 404


async def test_the_page_orders_and_clears_faults(bot):
    status, waiting = await page(bot, "POST", "/sandbox/faults", {"kind": "server_error", "status": 500, "count": 3})
    assert (status, waiting[0]["count"]) == (200, 3)
    assert (await page(bot, "GET", "/sandbox/faults"))[1] == waiting
    assert (await page(bot, "DELETE", "/sandbox/faults"))[1] == []
    assert (await page(bot, "POST", "/sandbox/faults", {"kind": "earthquake"}))[0] == 400
    assert (await page(bot, "POST", "/sandbox/faults", {"kind": "server_error"}))[0] == 400


async def test_nobody_and_nowhere_are_answered_in_words(bot, server):
    mara = server.world.user("Mara").id
    nowhere = server.world.channel("alerts-feed").id
    for method, path, body in (
        ("GET", "/sandbox/channels/1/messages?user=" + mara, None),
        ("POST", "/sandbox/interactions", {"user": "1", "channel_id": "1", "type": 2, "data": {}}),
        (
            "POST",
            "/sandbox/interactions",
            {"user": mara, "channel_id": nowhere, "type": 1},
        ),
    ):
        status, refused = await page(bot, method, path, body)
        assert status in {400, 404}
        assert refused["message"]
