"""Alerts and boards as PostgreSQL keeps them: whose they are, how many there may be, and how they are found."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from alert_stage import FRIDAY, HERE, MARA, staged

from db import alerts
from db.alerts import Draft
from db.models import Condition, Pause, Place
from services.boards import Boards
from services.directory import Directory
from services.errors import DatabaseAway, TooManyAlerts, TooManySymbols, UnknownAlert, UnknownSymbol
from services.feeds.base import Listing
from services.jobs import Again
from services.levels import Levels

OTHER = MARA + 1
SEQUENTIAL = "Seq Scan"


@pytest.fixture
async def stage(database):
    async with staged(database, paused=True) as stage:
        yield stage


@pytest.fixture
async def boards(stage):
    class Apart:
        """Computes where it is called, as a pool of processes would elsewhere."""

        async def run(self, work, *arguments):
            return await asyncio.to_thread(work, *arguments)

    stage.market.directory = Directory([Listing(symbol, symbol) for symbol in ("SPY", "QQQ", "VIX")])
    return Boards(stage.database, stage.market, Levels(Apart()))


async def board_notices(stage):
    async with stage.database.acquire() as conn:
        rows = await conn.fetch("SELECT kind, key, place, payload FROM app.notices ORDER BY id")
    return [
        (row["kind"], row["key"], json.loads(row["place"])["channel_id"], json.loads(row["payload"])) for row in rows
    ]


async def test_nobody_sees_or_changes_the_alerts_of_others(stage, database):
    alert = await stage.alert()
    verbs = stage.alerts
    assert (await verbs.list(MARA)).alerts == (alert,)
    assert (await verbs.list(OTHER)).alerts == ()
    for verb in (verbs.get, verbs.pause, verbs.resume, verbs.rearm, verbs.delete, verbs.log):
        with pytest.raises(UnknownAlert):
            await verb(OTHER, alert.token)
    with pytest.raises(UnknownAlert):
        await verbs.snooze(OTHER, alert.token, 5)
    async with database.as_user(OTHER) as conn:
        assert await conn.fetch("SELECT * FROM app.alerts") == []
        assert await conn.fetch("SELECT * FROM app.alert_firings") == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with database.as_user(OTHER) as conn:
            await alerts.add_alert(conn, draft(user=MARA), 10)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.as_user(MARA) as conn:
            await conn.execute("INSERT INTO app.alert_firings VALUES (1, 'k', 1, now(), 1, 1, 0, false)")
    assert await verbs.get(MARA, alert.token) == alert


async def test_an_unknown_symbol_is_refused_at_once(stage):
    with pytest.raises(UnknownSymbol):
        await stage.alerts.add(MARA, "NOPE", Condition.ABOVE, Decimal(1), HERE)


async def test_an_alert_can_be_made_while_the_sources_are_down(stage):
    await stage.fault(kind="status", status=503)
    made = await stage.alerts.add(MARA, "SPY", Condition.ABOVE, Decimal(800), HERE)
    assert (made.price, made.alert.reference, made.already) == (None, None, False)


async def test_an_alert_that_begins_anew_knows_no_price_until_the_next_trade(stage):
    alert = await stage.alert()
    assert alert.reference
    for verb in (stage.alerts.resume, stage.alerts.rearm):
        begun = await verb(MARA, alert.token)
        assert (begun.reference, begun.known) == (None, False)
        assert begun.version > alert.version


async def test_nobody_has_more_alerts_than_a_hundred_even_at_once(stage):
    price = await stage.price()
    made = await asyncio.gather(*(stage.alert(price=price) for _ in range(105)), return_exceptions=True)
    assert sum(isinstance(each, TooManyAlerts) for each in made) == 5
    assert len((await stage.alerts.list(MARA)).alerts) == 100
    await stage.alert(user=OTHER)


async def test_an_outage_is_said_in_words(own_server, kill):
    from db.pool import Database  # noqa: PLC0415

    database = await Database.open(own_server.url)
    async with staged(database) as stage:
        await stage.alert()
        kill(own_server)
        with pytest.raises(DatabaseAway):
            await stage.alerts.list(MARA)
    await database.close()


async def test_the_pause_is_there_for_everybody_to_read(stage, database):
    assert "no worker" in (await stage.alerts.list(MARA)).paused.reason
    async with database.transaction() as conn:
        await alerts.set_pause(conn, Pause(FRIDAY, "gone"))
    assert (await stage.alerts.list(MARA)).paused == Pause(FRIDAY, "gone")
    async with database.transaction() as conn:
        await alerts.set_pause(conn, None)
    assert (await stage.alerts.list(MARA)).paused is None


async def test_alerts_are_found_by_indexes(database):
    for user in range(1, 40):
        async with database.as_user(user) as conn:
            for _ in range(20):
                await alerts.add_alert(conn, draft(user=user), 100)
    async with database.acquire() as conn:
        await conn.execute("SET enable_seqscan = off")
        service = {
            "SELECT id FROM app.alerts WHERE state = 'active' AND id = ANY ('{1,2,3}')": 1,
            "UPDATE app.alerts SET armed = false WHERE id = 3": 1,
            "UPDATE app.alerts SET known = false WHERE symbol = 'SPY' AND state = 'active'": 1,
            "SELECT * FROM app.boards WHERE guild_id = 1": 1,
        }
        for query in service:
            assert SEQUENTIAL not in await plan(conn, query), query
        await conn.execute("RESET enable_seqscan")
    async with database.as_user(7) as conn:
        await conn.execute("SET LOCAL enable_seqscan = off")
        for query in (
            "SELECT id FROM app.alerts WHERE user_id = 7 ORDER BY id",
            "SELECT id FROM app.alerts WHERE user_id = 7 AND token = 'x'",
            "SELECT key FROM app.alert_firings WHERE alert_id = 3 ORDER BY at DESC LIMIT 25",
            "SELECT at FROM app.alert_marks WHERE symbol = 'SPY'",
        ):
            assert SEQUENTIAL not in await plan(conn, query), query


async def test_a_board_belongs_to_a_channel_of_a_guild(boards):
    board = await boards.set_board(3, 7, ["SPY", "QQQ"], MARA)
    await boards.set_board(3, 8, ["VIX"], MARA)
    await boards.set_board(4, 9, ["SPY"], MARA)
    changed = await boards.set_board(3, 7, ["QQQ"], OTHER)
    assert (board.symbols, changed.symbols, changed.set_by) == (("SPY", "QQQ"), ("QQQ",), OTHER)
    assert [each.channel_id for each in await boards.list(3)] == [7, 8]
    assert await boards.remove(3, 7) == changed
    assert await boards.remove(3, 7) is None
    with pytest.raises(UnknownSymbol):
        await boards.set_board(3, 7, ["NOPE"], MARA)
    with pytest.raises(TooManySymbols):
        await boards.set_board(3, 7, ["SPY"] * 11, MARA)


async def test_boards_tell_the_levels_of_the_open_once_a_day(boards, stage):
    await boards.set_board(3, 7, ["SPY", "VIX"], MARA)
    await boards.set_board(4, 9, ["SPY"], MARA)
    stage.synthetic.jump("2026-11-20T09:31:00")
    opening = {"slot": "2026-11-20", "at": stage.synthetic.now().isoformat()}
    await boards.opening(opening)
    await boards.opening(opening)
    (kind, key, channel, told), (_, _, other, _) = await board_notices(stage)
    assert (kind, key, channel, other) == ("board.open", "7:2026-11-20", 7, 9)
    spy, vix = told["rows"]
    assert (told["day"], told["half_day"], told["closes_at"], told["missing"]) == (
        "2026-11-20",
        False,
        "2026-11-20T21:00:00+00:00",
        [],
    )
    assert spy["price"] == spy["open"]
    assert Decimal(spy["change_percent"]) == round(
        (Decimal(spy["price"]) / Decimal(spy["previous_close"]) - 1) * 100, 2
    )
    assert set(spy["gamma"]) == {"call_wall", "put_wall", "flip"}
    assert abs(float(spy["gamma"]["call_wall"]) / float(spy["price"]) - 1) < 0.2
    assert vix["gamma"] is None


async def test_boards_tell_how_the_day_ended(boards, stage):
    await boards.set_board(3, 7, ["SPY"], MARA)
    stage.synthetic.jump("2026-11-20T16:01:00")
    await boards.closing({"slot": "2026-11-20", "at": stage.synthetic.now().isoformat()})
    ((kind, _, _, told),) = await board_notices(stage)
    (spy,) = told["rows"]
    assert kind == "board.close"
    assert told["closes_at"] == "2026-11-20T21:00:00+00:00"
    assert Decimal(spy["low"]) <= Decimal(spy["open"]) <= Decimal(spy["high"])
    assert int(spy["volume"]) > 1_000_000


async def test_boards_wait_for_data_but_not_for_ever(boards, stage):
    await boards.set_board(3, 7, ["SPY"], MARA)
    await stage.price()
    await stage.fault(kind="status", status=503)
    at = stage.synthetic.now()
    with pytest.raises(Again):
        await boards.opening({"slot": "2026-11-20", "at": at.isoformat()})
    await boards.opening({"slot": "2026-11-20", "at": (at - timedelta(hours=1)).isoformat()})
    assert await board_notices(stage) == []


async def plan(conn, query):
    return "\n".join(row["QUERY PLAN"] for row in await conn.fetch(f"EXPLAIN {query}"))


def draft(user):
    return Draft(
        token=f"{user}-{datetime.now(UTC).timestamp()}",
        user_id=user,
        symbol="SPY",
        condition=Condition.ABOVE,
        level=Decimal(100),
        always=False,
        place=Place(dm=True),
        after=FRIDAY,
        reference=Decimal(99),
    )
