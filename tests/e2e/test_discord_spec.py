import io

import discord
import pytest
from discord import app_commands, ui
from discord_spec import Description, Traffic
from standin import Client, connected, standin, until

from sandbox.discord.rest import PREFIX, ROUTES
from sandbox.discord.state import Exchange

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
MEMBERS_INTENT = 2
REFUSED = {"code": 50035, "message": "Invalid Form Body"}
SYMBOLS = ("SPY", "SPX", "QQQ", "IWM")


@pytest.fixture(scope="module")
def description(shared_specs):
    return Description(shared_specs / "discord" / "openapi.json")


def message(**changes):
    body = {
        "content": "SPY 601.20",
        "embeds": [{"title": "Gamma", "fields": [{"name": "Net", "value": "−1.18 bn", "inline": True}]}],
        "allowed_mentions": {"parse": []},
        "attachments": [{"id": 0, "filename": "gamma.png", "description": "Gamma by strike"}],
        "components": [
            {
                "type": 1,
                "components": [
                    {"type": 2, "style": 1, "custom_id": "refresh:1", "label": "Refresh"},
                    {"type": 2, "style": 5, "url": "https://example.test/link/1", "label": "Open"},
                ],
            }
        ],
    }
    return Exchange("POST", "/api/v10/channels/12/messages", body | changes, 400, REFUSED, ("gamma.png",))


def callback(kind, **data):
    return Exchange("POST", "/api/v10/interactions/1/token/callback", {"type": kind, "data": data}, 204, None)


def command(**changes):
    option = {"type": 3, "name": "symbols", "description": "Up to ten symbols", "required": True}
    quote = {"type": 1, "name": "quote", "description": "Prices of symbols", "options": [option]}
    return Exchange("PUT", "/api/v10/applications/1/commands", [quote | changes], 200, [])


def buttons(*rows):
    made = [[{"type": 2, "style": 2, "label": "Go", "custom_id": name} for name in row] for row in rows]
    return [{"type": 1, "components": row} for row in made]


def assert_none(problems):
    assert not problems, "\n".join(problems)


def only(problems):
    assert len(problems) == 1, problems
    return problems[0]


GOOD = [
    message(),
    callback(4, content="Hello", allowed_mentions={"parse": []}),
    callback(5, flags=64),
    callback(8, choices=[{"name": "SPY", "value": "SPY"}]),
    callback(9, custom_id="f", title="Alert", components=[
        {"type": 18, "label": "Level", "component": {"type": 4, "custom_id": "level", "style": 1}}
    ]),
    command(),
]  # fmt: skip


def test_good_requests_have_no_problems(description):
    assert Traffic(description).problems(GOOD) == []


@pytest.mark.parametrize(
    ("exchange", "told"),
    [
        (message(embeds=[{"title": "x" * 300}]), "request embeds/0/title: "),
        (message(allowed_mentions={"parse": ["everybody"]}), "request allowed_mentions/parse/0: "),
        (message(ephemeral=True), "Additional properties are not allowed ('ephemeral' was unexpected)"),
        (message(embeds=[{"title": "a", "colour": 1}]), "request embeds/0: "),
        (message(embeds=[{"title": "a", "color": "red"}]), "request embeds/0/color: "),
        (message(components=[{"type": 1, "components": [{"type": 2, "style": 5, "label": "L", "link": "https://x"}]}]),
         "request components/0/components/0: "),
        (message(components=[{"type": 1, "components": [{"type": 2, "style": 5, "url": "https://x/" + "a" * 600}]}]),
         "request components/0/components/0/url: "),
        (message(components=[{"type": 99}]), "request components/0"),
        (message(attachments=[{"id": "first", "description": "d"}]), "request attachments/0/id: "),
        (callback(9, custom_id="f", title="T" * 46, components=[]), "request data/title: "),
        (callback(4, contents="typo"), "request data: "),
        (command(options=[{"type": 3, "name": "a", "description": "b", "autocomplete": "yes"}]),
         "request 0/options/0/autocomplete: "),
        (Exchange("GET", "/api/v10/nowhere", None, 404, None), "no such operation"),
        (Exchange("GET", "/api/v10/gateway", {"x": 1}, 200, {"url": "ws://x"}), "none is expected"),
    ],
)  # fmt: skip
def test_the_description_finds_what_is_not_discord_s(description, exchange, told):
    assert told in " ".join(Traffic(description, ours=False).problems([exchange]))


@pytest.mark.parametrize(
    ("exchange", "told"),
    [
        (Exchange("GET", "/api/v10/gateway", None, 200, {"url": 5}), "answer url: "),
        (Exchange("GET", "/api/v10/gateway", None, 200, None), "answer body: "),
        (Exchange("GET", "/api/v10/gateway", None, 201, {"url": "ws://x"}), "answer 201: "),
        (Exchange("GET", "/api/v10/users/1", None, 404, {"code": "10013", "message": "Unknown User"}), "answer code: "),
        (Exchange("GET", "/api/v10/users/1", None, 429, {"code": 0, "message": "slow", "global": False}),
         '"retry_after" is a required property'),
        (Exchange("DELETE", "/api/v10/channels/1/messages/1", None, 204, {}), "no body is expected"),
    ],
)  # fmt: skip
def test_the_description_finds_wrong_answers(description, exchange, told):
    assert told in only(Traffic(description).problems([exchange]))


@pytest.mark.parametrize(
    ("exchange", "told"),
    [
        (message(content="x" * 2001), "content: 2001 is more than 2000"),
        (message(embeds=[{"title": "a"}] * 11), "embeds: 11"),
        (message(embeds=[{"description": "x" * 4000}, {"footer": {"text": "x" * 2001}}]), "6001 characters"),
        (message(embeds=[{"title": "x" * 257}]), "title: 257"),
        (message(embeds=[{"fields": [{"name": "n", "value": "x" * 1025}]}]), "value: 1025"),
        (message(components=buttons(*"abcdef")), "rows: 6"),
        (message(components=buttons("abcdef")), "a row: 6"),
        (message(components=buttons("ab", "ca")), "custom_id: a twice"),
        (message(components=buttons(["x" * 101])), "custom_id: 101"),
        (message(components=[{"type": 1, "components": [{"type": 2, "style": 1, "label": "Go"}]}]), "none on Go"),
        (message(components=[{"type": 1, "components": [{"type": 2, "style": 5, "url": "x" * 513}]}]), "url: 513"),
        (message(components=[{"type": 10, "content": "text"}]), "10 is not a row"),
        (message(allowed_mentions=None), "allowed_mentions: None"),
        (message(allowed_mentions={"parse": ["users"]}), "allowed_mentions: "),
        (message(attachments=[{"id": 0, "filename": "gamma.png"}]), "gamma.png without a description"),
        (callback(4, content="no mentions said"), "allowed_mentions: None"),
        (callback(8, choices=[{"name": "n", "value": "v"}] * 26), "choices: 26"),
        (callback(8, choices=[{"name": "n", "value": "v" * 101}]), "value: 101"),
        (callback(9, custom_id="f", title="T" * 46, components=[]), "title: 46"),
        (command(name="Quote"), "name: 'Quote'"),
        (command(description="Prices of symbols."), "description of quote"),
        (command(description="x" * 60), "description of quote"),
        (command(options=[{"type": 3, "name": "a", "description": ""}]), "description of a"),
    ],
)  # fmt: skip
def test_the_limits_are_held_without_the_description(exchange, told):
    assert told in only(Traffic().problems([exchange]))


class Form(ui.Modal, title="Alert"):
    level = ui.Label(text="Level", component=ui.TextInput(custom_id="level", max_length=8))
    note = ui.TextInput(label="Note", custom_id="note", required=False, style=discord.TextStyle.paragraph)

    async def on_submit(self, interaction):
        await interaction.response.send_message(f"Alert at {self.level.component.value}", ephemeral=True)


class Panel(ui.View):
    def __init__(self):
        super().__init__()
        self.add_item(ui.Button(label="Open", url="https://example.test/link/1"))

    @ui.button(label="Refresh", custom_id="refresh")
    async def refresh(self, interaction, _button):
        await interaction.response.edit_message(content="fresh", view=self)

    @ui.button(label="Later", custom_id="later", emoji="⏳")
    async def later(self, interaction, _button):
        await interaction.response.defer()
        await interaction.edit_original_response(content="later", attachments=[])

    @ui.button(label="Alert", custom_id="alert", style=discord.ButtonStyle.primary)
    async def alert(self, interaction, _button):
        await interaction.response.send_modal(Form(custom_id=f"form:{interaction.id}"))

    @ui.select(placeholder="Expiry", options=[discord.SelectOption(label=name) for name in ("0DTE", "Week")])
    async def expiry(self, interaction, select):
        await interaction.response.edit_message(content=select.values[0])

    @ui.select(cls=ui.UserSelect, placeholder="Who")
    async def who(self, interaction, select):
        await interaction.response.send_message(f"{select.values[0].mention} was chosen")


def picture():
    return discord.File(io.BytesIO(PIXEL), "gamma.png", description="Gamma by strike")


def make_client():
    client = Client(allowed_mentions=discord.AllowedMentions.none(), max_ratelimit_timeout=30)
    tree = client.tree

    @tree.command(description="Prices of symbols")
    @app_commands.describe(symbols="Up to ten symbols", count="How many rows", member="Whose list", where="Where")
    async def quote(
        interaction,
        symbols: str,
        count: app_commands.Range[int, 1, 10] = 1,
        member: discord.Member | None = None,
        where: discord.TextChannel | None = None,
    ):
        embed = discord.Embed(title=symbols, description="601.20", colour=0x3BA55D, timestamp=discord.utils.utcnow())
        embed.add_field(name="Bid", value="601.19").set_footer(text="Simulated").set_author(name="PulseEngine")
        await interaction.response.send_message("Here", embed=embed, view=Panel())

    @quote.autocomplete("symbols")
    async def complete(_interaction, current):
        return [app_commands.Choice(name=f"{s} fund", value=s) for s in SYMBOLS if s.startswith(current.upper())]

    @tree.command(description="Gamma by strike")
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    @app_commands.choices(theme=[app_commands.Choice(name="Dark", value="dark")])
    async def gamma(interaction, theme: str = "dark"):
        await interaction.response.defer()
        embed = discord.Embed(title="Gamma").set_image(url="attachment://gamma.png")
        first = await interaction.edit_original_response(embed=embed, attachments=[picture()])
        await interaction.original_response()
        second = await interaction.followup.send("More", file=picture(), wait=True)
        await second.edit(content="Even more")
        await interaction.followup.send("Only for you", ephemeral=True)
        await interaction.followup.fetch_message(second.id)
        await second.delete()
        await first.edit(view=Panel())

    @tree.command(description="Who is here")
    async def layout(interaction):
        view = ui.LayoutView()
        gallery = ui.MediaGallery(discord.MediaGalleryItem("attachment://gamma.png", description="Gamma"))
        section = ui.Section(ui.TextDisplay("Levels"), accessory=ui.Button(label="Go", custom_id="go"))
        view.add_item(ui.Container(ui.TextDisplay("# Gamma"), ui.Separator(), gallery, section, accent_colour=0x123456))
        await interaction.response.send_message(view=view, file=picture())

    @tree.context_menu(name="Show Quotes")
    async def of_message(interaction, target: discord.Message):
        await interaction.response.send_message(target.id, ephemeral=True)

    tree.add_command(alerts())
    return client


def alerts():
    group = app_commands.Group(name="alert", description="Alerts on prices")

    @group.command(description="Add an alert")
    async def add(interaction, level: float, loud: bool = False):
        await interaction.response.send_message(f"At {level:g}")
        await interaction.delete_original_response()

    return group


async def use_everything(server):
    mara, jonas = server.person("Mara"), server.person("Jonas", "dm")
    assert [choice["value"] for choice in await mara.type("quote", symbols="sp").choices()] == ["SPY", "SPX"]
    asked = mara.command("quote", symbols="SPY", count=2, member=mara.user.id, where=mara.channel.id)
    answer = await asked.message()
    assert (await mara.press(answer, "Refresh").message())["content"] == "fresh"
    assert (await mara.choose(answer, "Expiry", "Week").message())["content"] == "Week"
    assert "was chosen" in (await mara.choose(answer, "Who", jonas.user.id).message())["content"]
    opened = mara.press(answer, "Alert")
    await opened.modal()
    assert (await mara.submit(opened, level="600").message())["content"] == "Alert at 600"
    later = mara.press(answer, "Later")
    assert await later.acknowledged() == 6
    assert (await later.message())["content"] == "later"
    for person in (mara, jonas):
        gamma = person.command("gamma", theme="dark")
        await gamma.message()
        assert (await gamma.followup(1))["flags"] & 64
        await until(lambda gamma=gamma: gamma.original.wire["components"])
    await mara.command("layout").message()
    added = mara.command("alert add", level=600.5)
    assert await added.acknowledged() == 4
    await until(lambda: added.original.id not in [message["id"] for message in mara.reads()])
    menu = next(held for held in server.commands.values() if held["type"] == 3)
    chosen = server.interact(mara.user.id, mara.channel.id, 2, {"id": menu["id"], "target_id": answer["id"]})
    assert (await chosen.message())["content"] == answer["id"]


@pytest.mark.parametrize("held_to", ["limits", "description"])
async def test_discord_py_and_the_stand_in_speak_as_described(held_to, request):
    traffic = Traffic(request.getfixturevalue("description") if held_to == "description" else None)
    async with standin(record=True, rate_limits=False) as server, connected(server, make_client()):
        await use_everything(server)
        assert_none(traffic.problems(server.requests))
        assert {exchange.status // 100 for exchange in server.requests} == {2}
        assert server.unknown_requests == []


async def read_everything(client, server):
    """What a bot may ask besides answering, so that each route is used once."""
    guild, http = client.guilds[0], client.http
    mara, sam = server.person("Mara"), server.person("Sam")
    await client.application_info()
    await client.fetch_user(mara.id)
    [_ async for _ in client.fetch_guilds()]
    await client.fetch_guild(guild.id)
    await guild.fetch_channels()
    roles = await guild.fetch_roles()
    trader = discord.utils.get(roles, name="Trader")
    await guild.fetch_role(trader.id)
    member = await guild.fetch_member(mara.id)
    [_ async for _ in guild.fetch_members(limit=5)]
    await http.request(
        discord.http.Route("GET", "/guilds/{guild_id}/members/search", guild_id=guild.id), params={"query": "ma"}
    )
    await member.remove_roles(trader)
    await member.add_roles(trader)
    for path in ("/gateway", "/gateway/bot", "/applications/@me", "/oauth2/applications/@me", "/users/@me"):
        await http.request(discord.http.Route("GET", path))
    channel = await client.fetch_channel(int(mara.channel.id))
    sent = await channel.send("One", nonce="n-1", embed=discord.Embed(title="T"), file=picture(), view=Panel())
    await (await sent.reply("Two")).delete()
    await sent.edit(content="Three", attachments=[])
    await channel.fetch_message(sent.id)
    [_ async for _ in channel.history(limit=5)]
    await channel.typing()
    await (await member.create_dm()).send("Only you")
    with pytest.raises(discord.Forbidden) as blocked:
        await (await client.fetch_user(sam.id)).send("Hello")
    assert blocked.value.code == 50007
    for scope in (None, guild):
        await client.tree.fetch_commands(guild=scope)
        path = f"/applications/{client.application_id}" + (f"/guilds/{guild.id}" if scope else "") + "/commands"
        one = {"name": "ping", "description": "Pong", "type": 1}
        made = await http.request(discord.http.Route("POST", path), json=one)
        held = discord.http.Route("GET", f"{path}/{made['id']}")
        await http.request(held)
        await http.request(discord.http.Route("PATCH", f"{path}/{made['id']}"), json={"description": "Pong again"})
        await http.request(discord.http.Route("DELETE", f"{path}/{made['id']}"))
        await http.request(discord.http.Route("PUT", path), json=[one])


def unused(requests):
    """The routes of the stand-in that nobody has used, but for those that the official description leaves out."""

    def used(route):
        parts = (PREFIX + route.path).split("/")
        return any(
            exchange.method == route.method
            and len(asked := exchange.path.split("/")) == len(parts)
            and all(part.startswith("{") or part == word for part, word in zip(parts, asked, strict=True))
            for exchange in requests
        )

    return [f"{route.method} {route.path}" for route in ROUTES if not (route.form or used(route))]


async def test_every_route_answers_as_described(description):
    client = make_client()
    async with (
        standin(record=True, rate_limits=False, privileged_intents=MEMBERS_INTENT) as server,
        connected(server, client),
    ):
        client._connection._intents.members = True
        await use_everything(server)
        await read_everything(client, server)
        assert_none(Traffic(description).problems(server.requests))
        assert unused(server.requests) == []


async def test_refusals_are_answered_as_described(description):
    client = make_client()

    @client.tree.command(description="Answers twice")
    async def twice(interaction):
        await interaction.response.send_message("one")
        with pytest.raises(discord.HTTPException) as again:
            await interaction.client.http.request(
                discord.http.Route("POST", f"/interactions/{interaction.id}/{interaction.token}/callback"),
                json={"type": 4, "data": {"content": "two", "allowed_mentions": {"parse": []}}},
            )
        assert again.value.code == 40060
        with pytest.raises(discord.HTTPException) as wrong:
            await interaction.followup.send("x" * 2001, embed=discord.Embed(title="y" * 257))
        assert wrong.value.code == 50035
        with pytest.raises(discord.NotFound):
            await interaction.followup.fetch_message(1)
        server.fault("rate_limit", scope="user", retry_after=0.01)
        await interaction.followup.send("done")

    async with standin(record=True) as server, connected(server, client):
        await server.person("Mara").command("twice").followup()
        problems = Traffic(description).problems(server.requests)
        assert {exchange.status for exchange in server.requests} >= {200, 400, 404, 429}
        assert_none([problem for problem in problems if ") answer" in problem])
        assert [problem for problem in problems if "2001" in problem or "257" in problem] != []
