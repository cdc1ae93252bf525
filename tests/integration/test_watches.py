"""Watches in the database: one a channel, whose they are, and what is written for their messages."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from history_stage import CALENDAR, CLOSES, LATE, OPENS, SLOT, Stage
from obstore.store import LocalStore

from db import boards, notices
from db.models import NoticeState, Urgency
from db.pool import PostgresError
from services.chart_pool import ChartPool
from services.directory import Directory
from services.errors import FeedUnavailable, TooManySymbols, TooManyWatches, UnknownSymbol
from services.feeds.base import Listing
from services.levels import Levels
from services.market import Market
from services.notices import Outbox
from services.storage import Storage
from services.watches import MOST_WATCHES, Watches

ALICE, BOB, GUILD, CHANNEL = 7, 8, 100, 200


@pytest.fixture(scope="module")
async def pool():
    opened = ChartPool(1)
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
def stage(database, pool, tmp_path):
    return Stage(database, pool, Storage(LocalStore(tmp_path)))


@pytest.fixture
def watches(stage):
    return Watches(stage.database, stage.market, Levels(stage.pool))


def later(stage):
    """The same watches, when nothing is kept of what a source has answered."""
    market = Market([stage.source], CALENDAR)
    return Watches(stage.database, market, Levels(stage.pool))


async def put_up(watches, channel=CHANNEL, guild=GUILD, person=ALICE, symbols=("SPY",), every=5):
    return await watches.put_up(channel, guild, person, symbols, every)


async def written(database, kind="watch"):
    async with database.acquire() as conn:
        rows = await conn.fetch(
            "SELECT key, subject, user_id, payload, state FROM app.notices WHERE kind = $1 ORDER BY id", kind
        )
    return [{**row, "payload": json.loads(row["payload"])} for row in rows]


async def test_a_channel_has_one_which_changes_but_stays_its_owners(watches, database):
    first = await put_up(watches)
    second = await put_up(watches, person=BOB, symbols=("QQQ", "SPY"), every=15)
    assert (second.token, second.user_id) == (first.token, ALICE)
    assert (second.symbols, second.every_min) == (("QQQ", "SPY"), 15)
    async with database.transaction() as conn:
        assert await boards.list_watches(conn) == [second]
        assert await boards.list_watches(conn, 5) == []
        jobs = await conn.fetch("SELECT name FROM app.jobs")
    assert [row["name"] for row in jobs] == ["watch.show"], "a second press waits for the same showing"


async def test_people_see_their_own_only_and_change_none(watches, database):
    await put_up(watches)
    async with database.as_user(ALICE) as conn:
        assert await conn.fetchval("SELECT count(*) FROM app.watches") == 1
    async with database.as_user(BOB) as conn:
        assert await conn.fetchval("SELECT count(*) FROM app.watches") == 0
    with pytest.raises(PostgresError, match="permission denied"):
        async with database.as_user(ALICE) as conn:
            await conn.execute("DELETE FROM app.watches")


async def test_unknown_and_too_many_symbols_or_watches_are_refused(watches, stage):
    stage.market.directory = Directory([Listing("SPY", "SPDR S&P 500")])
    with pytest.raises(UnknownSymbol):
        await put_up(watches, symbols=("SPYY",))
    with pytest.raises(TooManySymbols):
        await put_up(watches, symbols=("SPY",) * 11)
    for number in range(MOST_WATCHES):
        await put_up(watches, channel=number)
    with pytest.raises(TooManyWatches):
        await put_up(watches, channel=MOST_WATCHES)
    await put_up(watches, channel=0, every=1)
    for number in range(MOST_WATCHES):
        await put_up(watches, channel=1000 + number, guild=None)
    with pytest.raises(TooManyWatches):
        await put_up(watches, channel=2000, guild=None)
    await put_up(watches, channel=2000, guild=None, person=BOB)


async def test_a_tick_writes_one_notice_a_watch_however_often_its_job_runs(watches, stage):
    await stage.point()
    await put_up(watches, symbols=("SPY", "NOPE"))
    await put_up(watches, channel=201, every=15)
    stage.source.at = SLOT + (SLOT - OPENS)
    for _ in range(2):
        await watches.tick({"slot": "x", "at": stage.source.at.isoformat()}, every_min=5)
    [notice] = await written(stage.database)
    told = notice["payload"]
    assert told["missing"] == ["NOPE"]
    [row] = told["rows"]
    assert (row["price"], row["source"], row["stale"]) == ("600.0", "Stage", False)
    assert row["gamma"]["call_wall"]
    assert row["gamma"]["as_of"] < row["as_of"], "the stored levels, with their own time"
    assert stage.source.asked == ["SPY"], "no chain is asked for where levels are stored"
    await watches.tick({"slot": "x", "at": "later"})
    assert len(await written(stage.database)) == 3, "without a pace both are shown"


async def test_without_stored_levels_they_are_asked_for_and_else_left_out(watches, stage):
    stage.source.spots["BARE"] = 10.0
    watch = await put_up(watches, symbols=("SPY", "BARE"))
    await watches.show({"token": watch.token})
    [notice] = await written(stage.database)
    levels = {row["symbol"]: row["gamma"] for row in notice["payload"]["rows"]}
    assert levels["SPY"]["put_wall"]
    assert levels["BARE"] is None
    await watches.show({"token": "ended meanwhile"})


async def test_outdated_levels_are_asked_for_and_stand_where_that_fails_but_not_for_ever(watches, stage):
    async def told(at):
        stage.source.at = at
        await later(stage).tick({"slot": "x", "at": at.isoformat()})
        return (await written(stage.database))[-1]["payload"]["rows"][0]["gamma"]

    await stage.point()
    await put_up(watches)
    stored = (await told(SLOT + timedelta(minutes=59)))["as_of"]
    assert stored == (SLOT - LATE).isoformat()
    noon = SLOT + timedelta(minutes=61)
    assert (await told(noon))["as_of"] == (noon - LATE).isoformat(), "nothing was stored for an hour of the session"
    stage.source.wrong["SPY"] = FeedUnavailable("Stage", "on strike")
    assert (await told(CLOSES + timedelta(hours=12)))["as_of"] == stored
    assert await told(SLOT + timedelta(days=4, minutes=1)) is None


async def test_the_levels_of_the_close_stand_until_the_next_session_has_its_own(watches, stage):
    stage.source.at = CLOSES + LATE
    await stage.point(slot=CLOSES, closing=True)
    await put_up(watches)
    asked = len(stage.source.asked)
    stage.source.at = CALENDAR.sessions[3][0] + timedelta(minutes=20)
    await later(stage).tick({"slot": "x", "at": "x"})
    [notice] = await written(stage.database)
    assert notice["payload"]["rows"][0]["gamma"]["as_of"] == CLOSES.isoformat()
    assert len(stage.source.asked) == asked


async def test_after_the_close_the_price_is_that_of_the_close_and_of_other_hours_it_says_so(watches, stage):
    stage.source.day_close = Decimal(610)
    await put_up(watches)
    for at, price, change, hours in (
        (SLOT, "600.0", "50.00", None),
        (CLOSES + timedelta(hours=2), "610", "52.50", "at the close"),
        (CALENDAR.sessions[3][0] - timedelta(hours=1), "600.0", "50.00", "pre-market"),
    ):
        stage.source.at = at
        await later(stage).tick({"slot": "x", "at": at.isoformat()})
        [row] = (await written(stage.database))[-1]["payload"]["rows"]
        assert (row["price"], row["change_percent"], row["hours"]) == (price, change, hours)
    stage.source.day_close, stage.source.at = None, CLOSES + timedelta(hours=2)
    await later(stage).tick({"slot": "x", "at": "again"})
    [row] = (await written(stage.database))[-1]["payload"]["rows"]
    assert (row["price"], row["hours"]) == ("600.0", "after hours"), "the source tells no close"


async def test_a_channel_that_was_given_up_is_tried_again_with_a_new_watch(watches, database):
    async with database.transaction() as conn:
        assert await notices.add_refusal(conn, CHANNEL, "missing permission", 1)
    await put_up(watches)
    async with database.acquire() as conn:
        assert not await conn.fetchval("SELECT count(*) FROM app.refusing_channels")


async def test_while_no_source_answers_messages_stay_as_they_are(watches, stage):
    watch = await put_up(watches)
    stage.source.spots.clear()
    await watches.tick({"slot": "x", "at": "x"})
    assert await written(stage.database) == []
    await watches.show({"token": watch.token})
    [first] = await written(stage.database)
    assert (first["payload"]["rows"], first["payload"]["missing"]) == ([], ["SPY"])


async def test_a_tick_that_comes_after_the_end_writes_nothing(watches, stage, monkeypatch):
    watch = await put_up(watches)
    lines = stage.market.lines

    async def stopped_meanwhile(symbols):
        await watches.stop(ALICE, token=watch.token)
        return await lines(symbols)

    monkeypatch.setattr(stage.market, "lines", stopped_meanwhile)
    await watches.tick({"slot": "x", "at": "x"})
    assert [notice["key"] for notice in await written(stage.database)] == [f"{watch.token}:end"]


async def test_at_the_close_it_says_when_it_goes_on(watches, stage):
    await put_up(watches)
    stage.source.at = CLOSES + (SLOT - OPENS)
    await watches.tick({"slot": "2026-11-20", "at": "x"})
    [notice] = await written(stage.database)
    assert notice["payload"]["session"]["phase"] == "after hours"
    assert notice["payload"]["session"]["opens_at"] == "2026-11-23T14:30:00+00:00"


async def test_stopping_is_the_last_notice_of_its_message(watches, database):
    watch = await put_up(watches)
    assert await watches.stop(BOB, token=watch.token) == watch
    assert await watches.stop(BOB, token=watch.token) is None
    assert await watches.stop(BOB, channel_id=CHANNEL) is None
    [notice] = await written(database)
    assert (notice["subject"], notice["user_id"]) == (watch.token, ALICE)
    assert notice["payload"] == {"ended_by": str(BOB), "symbols": ["SPY"]}


async def test_a_message_that_is_gone_ends_its_watch_and_tells_the_owner_once(watches, database):
    watch = await put_up(watches)
    await watches.tick({"slot": "x", "at": "x"})
    outbox = Outbox(database)
    [parcel], _ = await outbox.take(Urgency.P2, 4)
    await outbox.removed(parcel, "message deleted")
    [notice] = await written(database)
    assert notice["state"] == NoticeState.DEAD
    async with database.acquire() as conn:
        [payload] = [
            json.loads(row["payload"])
            for row in await conn.fetch("SELECT payload FROM app.jobs WHERE name = 'watch.removed'")
        ]
    for _ in range(2):
        await watches.removed(payload)
    [told] = await written(database, "watch.removed")
    assert told["user_id"] == ALICE
    assert told["payload"] == {
        "channel_id": str(CHANNEL),
        "direct": False,
        "reason": "message deleted",
        "symbols": ["SPY"],
    }
    assert await watches.get(watch.token) is None


async def test_what_newer_edits_have_replaced_is_forgotten_and_the_newest_is_kept(watches, database):
    await put_up(watches)
    for number in range(3):
        await watches.tick({"slot": "x", "at": str(number)})
    async with database.transaction() as conn:
        await conn.execute("UPDATE app.notices SET state = 'sent', created_at = now() - interval '2 days'")
        await notices.forget_replaced(conn, ["watch"], timedelta(days=1))
    assert [notice["key"].endswith("2") for notice in await written(database)] == [True]


async def test_every_query_has_its_index(database):
    async with database.transaction() as conn:
        await conn.execute(
            """
            INSERT INTO app.watches (channel_id, guild_id, user_id, token, symbols, every_min)
            SELECT n, n % 50, n % 70, n::text, '{SPY}', 5 FROM generate_series(1, 5000) AS n
            """
        )
        await conn.execute(
            """
            INSERT INTO app.notices (urgency, kind, key, user_id, subject, private, place, payload, due_at, state)
            SELECT 'P2', 'order', n::text, 7, (n % 50)::text, false, '{}', '{}', now(), 'sent'
            FROM generate_series(1, 5000) AS n
            """
        )
        await conn.execute("ANALYZE app.notices, app.watches")
        queries = {
            "watches_pkey": "SELECT 1 FROM app.watches WHERE channel_id = 9",
            "watches_token_key": "SELECT 1 FROM app.watches WHERE token = '9'",
            "watches_of_guild": "SELECT count(*) FROM app.watches WHERE channel_id <> 1 "
            "AND (guild_id = 9 OR (9 IS NULL AND guild_id IS NULL AND user_id = 5))",
            "watches_of_user": "SELECT count(*) FROM app.watches WHERE channel_id <> 1 "
            "AND (guild_id = NULL OR (NULL IS NULL AND guild_id IS NULL AND user_id = 5))",
            "notices_kind_subject_user_id_id_idx": """
                DELETE FROM app.notices AS old WHERE kind = ANY ('{watch}') AND subject <> '' AND state <> 'waiting'
                AND EXISTS (SELECT FROM app.notices AS newer WHERE newer.kind = old.kind
                    AND newer.subject = old.subject AND newer.user_id IS NOT DISTINCT FROM old.user_id
                    AND newer.id > old.id AND newer.state = 'sent')
            """,
        }
        for index, query in queries.items():
            plan = "\n".join(row["QUERY PLAN"] for row in await conn.fetch(f"EXPLAIN {query}"))
            assert index in plan, plan
