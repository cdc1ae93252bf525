"""Notices on their way: a real PostgreSQL, a stand-in Discord over real sockets, and bots that are killed."""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import discord
import pytest
from discord import app_commands
from standin import Client, connected, pointed_at, standin

from bot import delivery as module
from bot.brakes import Brakes
from bot.delivery import Delivery
from bot.notice_cards import channel_closed
from bot.replies import Reply
from db import notices as stored
from db.embedded import embedded
from db.migrate import migrate
from db.models import Notice, NoticeState, Place, Urgency
from db.pool import Database, connect
from sandbox.discord.world import SEND_MESSAGES, User
from services import notices
from services.notices import Outbox

ROOT = Path(__file__).parents[2]
P0, P1, P2 = Urgency


def plain(notice, _locale):
    return Reply(notice.payload["text"])


def broken(_notice, _locale):
    raise KeyError("payload of another version")


RENDER = {"channel.closed": channel_closed, "order": plain, "alert": plain, "board": plain, "broken": broken}


@pytest.fixture(scope="module")
async def server(tmp_path_factory):
    async with embedded(tmp_path_factory.mktemp("delivery")) as running:
        await migrate(running.url)
        yield running


@pytest.fixture
async def database(server):
    opened = await Database.open(server.url)
    async with opened.transaction() as conn:
        await conn.execute("DELETE FROM app.notices")
        await conn.execute("DELETE FROM app.refusing_channels")
    superuser = await connect(server.superuser_url)
    await superuser.execute("TRUNCATE app.direct_channels")
    await superuser.close()
    yield opened
    await opened.close()


@pytest.fixture
async def world():
    async with standin(record=True) as running:
        yield running


@asynccontextmanager
async def bot(world, database, render=RENDER):
    async with pointed_at(world), discord.Client(intents=discord.Intents.none()) as client:
        delivery = Delivery(client, Outbox(database), render)
        await client.login("sandbox-token")
        async with delivery.running():
            yield delivery


def notice(key, text="", *, urgency=P1, kind="alert", place=None, **more):
    return Notice(urgency=urgency, kind=kind, key=key, place=place, payload={"text": text or key}, **more)


async def write(database, *told, **options):
    async with database.transaction() as conn:
        for one in told:
            await notices.write(conn, one, **options)


async def states(database):
    async def read():
        async with database.acquire() as conn:
            rows = await conn.fetch("SELECT key, state FROM app.notices ORDER BY id")
        return {row["key"]: row["state"] for row in rows}

    # PostgreSQL may be killed while this looks on
    return await database.retry(read, within_s=20)


async def settled(database, within_s=15.0):
    deadline = time.monotonic() + within_s
    while "waiting" in (found := await states(database)).values():
        assert time.monotonic() < deadline, {key: state for key, state in found.items() if state == "waiting"}
        await asyncio.sleep(0.02)
    return found


def read(world, channel, user="Mara"):
    return [message["content"] for message in world.messages(channel, user)]


def at(world, channel="alerts-feed"):
    return Place(channel_id=int(world.channel(channel, None).id))


def person(world, name="Mara"):
    return int(world.world.user(name).id)


async def test_a_notice_is_shown_as_soon_as_it_is_committed(world, database):
    world.rate_limits = False
    async with bot(world, database):
        await asyncio.sleep(0.3)
        seconds = []
        for n in range(10):
            begun = time.perf_counter()
            await write(database, notice(f"n{n}", place=at(world), private=False, urgency=P0))
            while f"n{n}" not in read(world, "alerts-feed"):
                await asyncio.sleep(0.002)
            seconds.append(time.perf_counter() - begun)
    print(f"commit to message: median {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms")
    assert statistics.median(seconds) < 0.15


async def test_the_same_key_is_told_once(world, database):
    once = notice("price 600", place=at(world), private=False)
    async with database.transaction() as conn:
        assert await notices.write(conn, once) is not None
        assert await notices.write(conn, once) is None
    async with bot(world, database):
        await settled(database)
    assert read(world, "alerts-feed") == ["price 600"]


async def test_a_subject_has_one_message_which_is_edited(world, database):
    mara = person(world)

    def order(key):
        return notice(key, urgency=P0, kind="order", subject="order 1", user_id=mara, place=Place(dm=True))

    async with bot(world, database):
        for key in ("working", "partial 3 of 10", "filled"):
            await write(database, order(key))
            await settled(database)
    assert read(world, "dm") == ["filled"]
    await write(database, order("a correction"), order("the last word"))
    async with bot(world, database):
        assert (await settled(database))["a correction"] == "merged"
    assert read(world, "dm") == ["the last word"]


async def test_of_a_board_the_latest_wins(world, database):
    board = [notice(f"v{n}", urgency=P2, kind="board", subject="b", place=at(world), private=False) for n in range(5)]
    await write(database, *board)
    async with bot(world, database):
        assert Counter((await settled(database)).values()) == {"merged": 4, "sent": 1}
    assert read(world, "alerts-feed") == ["v4"]


async def test_an_order_is_told_in_its_ticket_and_later_in_a_direct_message(world, database):
    client = Client()
    tokens = asyncio.Queue()

    async def buy(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("ticket", ephemeral=True)
        tokens.put_nowait(interaction.token)

    client.tree.add_command(app_commands.Command(name="buy", description="Buy", callback=buy))
    delivery = Delivery(client, Outbox(database), RENDER)
    async with connected(world, client), delivery.running():
        await world.person("Mara").command("buy").message()
        place = Place(token=await tokens.get(), token_expires_at=datetime.now(UTC) + timedelta(minutes=15))
        told = {"urgency": P0, "kind": "order", "subject": "o", "user_id": person(world), "place": place}
        await write(database, notice("sent", **told))
        await settled(database)
        assert read(world, "trading-floor") == ["sent"]
        assert read(world, "trading-floor", "Jonas") == []
        world.fault("expire_tokens")
        await write(database, notice("filled", **told))
        await settled(database)
    assert read(world, "trading-floor") == ["sent"]
    assert read(world, "dm") == ["filled"]


async def test_news_that_overtake_the_answer_to_a_press_wait_for_it(world, database):
    client = Client()

    async def buy(interaction: discord.Interaction) -> None:
        place = Place(token=interaction.token, token_expires_at=datetime.now(UTC) + timedelta(minutes=15))
        await write(database, notice("filled", urgency=P0, kind="order", user_id=interaction.user.id, place=place))
        await asyncio.sleep(0.5)
        await interaction.response.send_message("sent", ephemeral=True)

    client.tree.add_command(app_commands.Command(name="buy", description="Buy", callback=buy))
    delivery = Delivery(client, Outbox(database), RENDER)
    async with connected(world, client), delivery.running():
        await world.person("Mara").command("buy").message()
        await settled(database)
    assert read(world, "trading-floor") == ["filled"]
    assert read(world, "dm") == []


async def test_a_refused_direct_message_goes_to_the_channel_of_the_alert(world, database):
    sam = person(world, "Sam")  # takes no direct messages
    place = Place(channel_id=at(world).channel_id, dm=True)
    async with bot(world, database):
        await write(database, notice("SPY above 600", place=place, user_id=sam, private=False))
        await settled(database)
    assert read(world, "alerts-feed") == ["SPY above 600"]


async def test_what_is_private_waits_for_the_next_command_when_no_way_is_open(world, database):
    sam = person(world, "Sam")
    place = Place(channel_id=at(world).channel_id, dm=True)
    async with bot(world, database):
        await write(database, notice("filled", urgency=P0, kind="order", place=place, user_id=sam))
        assert await settled(database) == {"filled": "missed"}
    assert read(world, "alerts-feed", "Sam") == []
    assert await notices.missed(database, person(world)) == []
    (missed,) = await notices.missed(database, sam)
    assert (missed.payload["text"], missed.locale) == ("filled", "en-US")
    assert await notices.missed(database, sam) == []


async def test_a_deleted_channel_is_given_up_at_once_and_its_owner_told(world, database):
    gone = Place(channel_id=int(world.world.ids()))
    mara = person(world)

    def posts():
        return sum(str(gone.channel_id) in exchange.path for exchange in world.requests)

    async with bot(world, database):
        await write(database, notice("first", place=gone, user_id=mara, private=False))
        await settled(database)
        await write(database, notice("second", place=gone, user_id=mara, private=False))
        await settled(database)
        assert posts() == 1
        (told,) = [line for line in read(world, "dm") if "deleted" in line]
        assert told.startswith(f"📭 <#{gone.channel_id}> was deleted, so what you had set up there comes to you here.")
        assert {"first", "second"} <= set(read(world, "dm"))
        async with database.transaction() as conn:
            await notices.reopen(conn, gone.channel_id)
        await write(database, notice("third", place=gone, user_id=mara, private=False))
        await settled(database)
        assert posts() == 2


async def test_a_channel_that_refuses_three_times_is_given_up_with_both_possible_causes(world, database):
    channel = world.channel("alerts-feed", None)
    bot_id, mara = world.world.bot.id, person(world)
    channel.overwrites[bot_id] = (0, SEND_MESSAGES)
    async with bot(world, database):
        for n in range(5):
            await write(database, notice(f"n{n}", place=at(world), user_id=mara, private=False))
            await settled(database)
    refused = [e for e in world.requests if e.status == 403]
    assert len(refused) == 3
    (told,) = [line for line in read(world, "dm") if line.startswith("📭")]
    assert "permission" in told
    assert "time-out" in told
    assert {f"n{n}" for n in range(5)} <= set(read(world, "dm"))


async def test_a_channel_that_takes_messages_again_is_not_given_up(world, database):
    channel = world.channel("alerts-feed", None)
    bot_id, mara = world.world.bot.id, person(world)
    async with bot(world, database):
        for n in range(6):
            if n % 3 == 2:
                channel.overwrites.pop(bot_id)
            else:
                channel.overwrites[bot_id] = (0, SEND_MESSAGES)
            await write(database, notice(f"n{n}", place=at(world), user_id=mara, private=False))
            await settled(database)
    assert read(world, "alerts-feed") == ["n2", "n5"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rate_limit", "scope": "user", "retry_after": 0.3},
        {"kind": "rate_limit", "scope": "global", "retry_after": 0.3},
        {"kind": "server_error", "status": 502, "count": 7},  # discord.py gives up after five
        {"kind": "abort", "count": 3},
        {"kind": "abort", "count": 1},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('scope') or fault.get('count')}",
)
async def test_a_faulty_discord_delays_a_notice_but_shows_it_once(world, database, fault, monkeypatch):
    monkeypatch.setattr("discord.http.asyncio.sleep", quickly)
    world.fault(**fault, path_contains="/messages")
    async with bot(world, database):
        await write(database, notice("n", urgency=P0, place=at(world), private=False))
        assert await settled(database, 30) == {"n": "sent"}
    assert read(world, "alerts-feed") == ["n"]


real_sleep = asyncio.sleep


async def quickly(seconds, *result):
    return await real_sleep(min(seconds, 0.05), *result)


async def test_two_bots_show_each_notice_once(world, database):
    subjects = [
        notice(f"o{n}", urgency=P0, kind="order", subject=f"s{n % 4}", user_id=person(world), place=Place(dm=True))
        for n in range(12)
    ]
    channels = ("trading-floor", "gamma-levels", "alerts-feed")
    singles = [notice(f"p{n}", urgency=P0, place=at(world, channels[n % 3]), private=False) for n in range(12)]
    world.rate_limits = False
    async with bot(world, database), bot(world, database):
        for one in [*subjects, *singles]:
            await write(database, one)
        await settled(database, 30)
    assert sorted(text for channel in channels for text in read(world, channel)) == sorted(f"p{n}" for n in range(12))
    assert sorted(read(world, "dm")) == sorted(f"o{n}" for n in range(8, 12))


async def test_more_than_five_alerts_for_one_place_become_a_digest(world, database):
    def alert(key, channel):
        return notice(key, place=at(world, channel), private=False)

    await write(database, *(alert(f"n{n}", "gamma-levels") for n in range(5)))
    async with bot(world, database):
        await write(database, *(alert(f"m{n}", "trading-floor") for n in range(30)))
        # one by one, as they fire: five go at once, the others wait for each other
        for n in range(12):
            await write(database, alert(f"k{n}", "alerts-feed"))
            await asyncio.sleep(0.02)
        await settled(database)
    assert sorted(read(world, "gamma-levels")) == [f"n{n}" for n in range(5)]
    (told,) = world.messages("trading-floor", "Mara")
    assert told["content"] == "🔔 30 alerts fired at once"
    lines = told["embeds"][0]["description"].splitlines()
    assert lines == [*(f"• m{n}" for n in range(20)), "… and 10 more. `/alerts` lists them all."]
    assert read(world, "alerts-feed") == [*(f"k{n}" for n in range(5)), "🔔 7 alerts fired at once"]


async def test_a_digest_never_mixes_people_or_shows_one_server_what_was_set_up_in_another(world, database):
    mine = [notice(f"m{n}", user_id=person(world), place=at(world)) for n in range(4)]
    yours = [notice(f"j{n}", user_id=person(world, "Jonas"), place=at(world)) for n in range(4)]
    refused = [
        notice(
            f"s{n}",
            user_id=person(world, "Sam"),
            private=False,
            place=Place(channel_id=at(world, ("trading-floor", "gamma-levels")[n % 2]).channel_id, dm=True),
        )
        for n in range(6)
    ]
    await write(database, *mine, *yours, *refused)
    async with bot(world, database):
        found = await settled(database)
    assert sorted(read(world, "dm")) == [f"m{n}" for n in range(4)]
    assert sorted(read(world, "dm", "Jonas")) == [f"j{n}" for n in range(4)]
    assert {found[f"s{n}"] for n in range(6)} == {"missed"}
    assert read(world, "trading-floor") == read(world, "gamma-levels") == read(world, "alerts-feed") == []


async def test_a_notice_that_cannot_be_drawn_stops_no_other(world, database):
    await write(database, *(notice(k, kind=k, place=at(world), private=False) for k in ("broken", "alert", "unknown")))
    async with bot(world, database):
        assert await settled(database) == {"broken": "dead", "alert": "sent", "unknown": "dead"}


async def test_a_refused_token_stops_everything(world, database):
    async with bot(world, database) as delivery:
        world.token = "another"
        await write(database, notice("n", urgency=P0, place=at(world), private=False))
        async with asyncio.timeout(5):
            while not delivery._brakes.locked_out:
                await asyncio.sleep(0.01)
        count = len(world.requests)
        await write(database, notice("m", urgency=P0, place=at(world), private=False))
        await asyncio.sleep(0.5)
        assert len(world.requests) == count
    assert set((await states(database)).values()) == {"waiting"}


async def test_deliveries_are_known_by_key(world, database):
    mara = person(world)
    await write(database, notice("fired", user_id=mara, place=at(world), private=False))
    async with bot(world, database):
        await settled(database)
    async with database.as_user(mara) as conn:
        ((key, (state, delivered_at)),) = (await notices.deliveries(conn, mara, "alert", ["fired", "never"])).items()
    assert (key, state) == ("fired", NoticeState.SENT)
    assert datetime.now(UTC) - delivered_at < timedelta(seconds=30)


# A nursery of bots: it imports once, then forks one for each line that it reads, which the test kills.
NURSERY = """
import asyncio, os, sys
from datetime import timedelta
import discord
from discord.http import Route
from bot.delivery import Delivery
from bot.replies import Reply
from db.pool import Database
from services import notices
from services.notices import Outbox

notices.LEASE, notices.RENEW_S = timedelta(seconds=0.4), 0.1

def plain(notice, _locale):
    return Reply(notice.payload["text"])

async def main():
    Route.BASE = sys.argv[2] + "/api/v10"
    async with discord.Client(intents=discord.Intents.none()) as client:
        delivery = Delivery(client, Outbox(await Database.open(sys.argv[1])), dict.fromkeys(("order", "alert"), plain))
        await client.login("sandbox-token")
        async with delivery.running():
            print("born", flush=True)
            await asyncio.sleep(3600)

for _ in sys.stdin:
    may_begin, begin = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(may_begin, 1)  # what it says comes after its number
        try:
            asyncio.run(main())
        finally:
            os._exit(1)
    print(pid, flush=True)
    os.write(begin, b"!")
    os.close(begin)
    os.close(may_begin)
    os.waitpid(pid, 0)
    print("died", flush=True)
"""


@asynccontextmanager
async def nursery(world, server):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "ignore", "-c", NURSERY, server.url, world.base_url),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    async def bear():
        process.stdin.write(b"\n")
        return int(await process.stdout.readline())

    async def line():
        async with asyncio.timeout(20):
            return (await process.stdout.readline()).decode().strip() or "died"

    try:
        yield bear, line
    finally:
        process.stdin.close()
        await process.wait()


async def test_bots_killed_at_random_moments_neither_lose_nor_double(world, server, database):
    world.rate_limits = False
    mara, written, rounds = person(world), [], 20
    people = [("dm", "Jonas"), ("dm", "Aiko")]
    channels = [("trading-floor", "Mara"), ("gamma-levels", "Mara"), ("alerts-feed", "Mara")]
    async with nursery(world, server) as (bear, line):
        for n in range(rounds):
            pid = await bear()
            assert await line() == "born"
            for k in range(2):
                channel, user = [*people, *channels][(2 * n + k) % 5]
                place = Place(dm=True) if channel == "dm" else at(world, channel)
                one = notice(f"{n}.{k}", urgency=P0, place=place, private=False, user_id=person(world, user))
                edit = notice(f"v{n}.{k}", urgency=P0, kind="order", subject="o", user_id=mara, place=Place(dm=True))
                written.append(one.key)
                await write(database, one)
                await write(database, edit)
            await asyncio.sleep(0.002 * n)
            os.kill(pid, signal.SIGKILL)
            while not (await line()).endswith("died"):  # whoever is killed may leave half a line
                pass
    async with bot(world, database):
        await settled(database, 30)
    assert sorted(text for place in [*people, *channels] for text in read(world, *place)) == sorted(written)
    assert read(world, "dm") == [f"v{rounds - 1}.1"]


async def test_a_killed_postgresql_neither_loses_nor_doubles_what_is_on_its_way(world, server, database):
    places = [("dm", "Jonas"), ("dm", "Aiko"), ("trading-floor", "Mara"), ("gamma-levels", "Mara")]
    told = []
    for n in range(16):
        channel, user = places[n % 4]
        place = Place(dm=True) if channel == "dm" else at(world, channel)
        told.append(notice(f"n{n}", urgency=P0, place=place, private=False, user_id=person(world, user)))
    world.rate_limits = False
    async with bot(world, database):
        await write(database, *told)
        while not any(read(world, *place) for place in places):
            await asyncio.sleep(0.002)
        os.kill(int((server.log.parent / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        await Database.retry(lambda: states(database), within_s=20)
        await settled(database, 20)
    assert sorted(text for place in places for text in read(world, *place)) == sorted(one.key for one in told)


async def test_orders_are_not_held_up_by_a_burst_of_two_thousand_alerts(world, database, monkeypatch):
    crowd = []
    for n in range(60):
        user = User(world.world.ids(), f"u{n}", f"U{n}", "en-US", "#ffffff")
        world.world.users[user.id] = user
        crowd.append(int(user.id))
        if n >= 5:  # the others hear from us for the first time, and Discord lets us open few channels in a while
            async with database.transaction() as conn:
                await stored.add_direct_channel(conn, crowd[n], int(world.world.dm(user).id))
    burst = [
        # five for each of thirty people, which come one by one, and the others for one channel
        notice(f"n{n}", user_id=crowd[n % 30], place=Place(dm=True) if n < 150 else at(world), private=False)
        for n in range(2000)
    ]
    waits = []
    async with bot(world, database):
        await asyncio.sleep(0.2)
        writing = asyncio.create_task(write(database, *burst))
        for n in range(40):
            user = crowd[n]
            begun = time.perf_counter()
            order = notice(f"o{n}", urgency=P0, kind="order", subject=f"o{n}", user_id=user, place=Place(dm=True))
            await write(database, order)
            async with database.acquire() as conn:
                while await conn.fetchval("SELECT state FROM app.notices WHERE key = $1", f"o{n}") == "waiting":
                    await asyncio.sleep(0.005)
            waits.append(time.perf_counter() - begun)
        await writing
        found = await settled(database, 60)
    assert Counter(found.values()) == {"sent": 2040}
    invalid = [e for e in world.requests if e.status in {401, 403, 429}]
    print(f"orders: median {statistics.median(waits) * 1000:.0f} ms, worst {max(waits) * 1000:.0f} ms")
    print(f"{len(world.requests)} requests, {len(invalid)} refused")
    assert max(waits) < 2
    assert not invalid


def test_the_brakes_stop_what_matters_less_first():
    now = 0.0
    brakes = Brakes(lambda: now)
    for refused, stopped in ((999, set()), (1000, {P2}), (2999, {P2}), (3000, {P1, P2}), (9000, {P1, P2})):
        while len(brakes._refused) < refused:
            brakes.count(403, "/api/v10/channels/1/messages")
        assert {urgency for urgency in Urgency if not brakes.allow(urgency)} == stopped
    now = 601.0
    assert all(brakes.allow(urgency) for urgency in Urgency)
    brakes.count(429, "/api/v10/channels/1/messages", shared=True)
    assert not brakes._refused
    brakes.count(401, "/api/v10/webhooks/1/expired")
    assert brakes.allow(P0)
    brakes.count(401, "/api/v10/channels/1/messages")
    assert not brakes.allow(P0)


def test_what_the_brakes_hold_back_is_said():
    brakes = Brakes(lambda: 0.0)
    assert brakes.trouble is None
    for refused, words in ((1000, "boards wait: Discord refused 1,000 "), (3000, "alerts and boards wait: ")):
        while len(brakes._refused) < refused:
            brakes.count(403, "/api/v10/channels/1/messages")
        assert brakes.trouble.startswith(words)
    brakes.count(401, "/api/v10/channels/1/messages")
    assert "DISCORD_TOKEN" in brakes.trouble


async def test_a_bot_of_some_shards_keeps_to_its_share_of_the_pace(monkeypatch):
    now = 0.0

    async def wait(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr("bot.brakes.asyncio.sleep", wait)
    for share, taken in ((1.0, 100 / 25), (0.25, 400 / 25)):
        begun = now
        brakes = Brakes(lambda: now, share)
        for _ in range(101):
            await brakes.pace(P1)
        assert now - begun == pytest.approx(taken - 0.2, abs=0.05)


async def test_what_a_stalled_loop_let_pile_up_does_not_go_out_at_once():
    brakes, sent = Brakes(), []

    async def send():
        await brakes.pace(P0)
        sent.append(time.monotonic())

    sending = [asyncio.create_task(send()) for _ in range(60)]
    await asyncio.sleep(0)
    time.sleep(1.4)  # noqa: ASYNC251 - the stall
    await asyncio.gather(*sending)
    assert all(later - sooner > 0.99 for sooner, later in zip(sent, sent[40:], strict=False))


def test_pauses_between_tries_grow_to_a_minute():
    assert module.pause(1) <= 1
    assert 45 <= module.pause(20) <= 60
