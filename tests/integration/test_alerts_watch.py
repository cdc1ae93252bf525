"""Alerts over the real database and the stand-in's stream, on good days and on every kind of bad one."""

import asyncio
import json

import pytest
from alert_stage import HERE, MARA, staged, until

from db.models import AlertState, Condition
from services import watch


@pytest.fixture
async def stage(database):
    async with staged(database) as stage:
        yield stage


async def test_a_crossed_level_is_told_once(stage):
    async with stage.watching():
        await stage.says("none are set")
        alert = await stage.alert(0.5)
        await stage.says("1 on 1")
        stage.nudge(1)
        (notice,) = await stage.fired()
        stage.nudge(-2)
        stage.nudge(2)
        await stage.fired(1)
    told = json.loads(notice["payload"])
    assert (told["token"], told["symbol"], told["condition"], told["state"]) == (alert.token, "SPY", "above", "fired")
    assert (notice["user_id"], notice["urgency"], notice["private"]) == (MARA, "P1", False)
    assert json.loads(notice["place"])["channel_id"] == HERE.channel_id
    assert told["late_s"] == 0
    assert not told["gap"]
    assert (await stage.alerts.get(MARA, alert.token)).state is AlertState.FIRED


async def test_what_happened_during_a_drop_fires_late_and_says_so(stage):
    async with stage.watching():
        alert = await stage.alert(0.5)
        await stage.says("1 on 1")
        await stage.fault(kind="connection_limit")
        await stage.fault(kind="drop", count=1)
        await stage.fault(kind="status", status=503, path_contains="/trades")
        await stage.says("another connection")
        stage.nudge(1)
        await asyncio.sleep(2.2)
        stage.nudge(-2)
        assert await stage.notices() == []
        paused = (await stage.alerts.list(MARA)).paused
        assert paused.reason
        await stage.heal()
        (notice,) = await stage.fired(within_s=20)
        assert json.loads(notice["payload"])["late_s"] > 1.9
        await stage.says("none are set")
        assert (await stage.alerts.list(MARA)).paused is None
    assert (await stage.alerts.get(MARA, alert.token)).state is AlertState.FIRED


@pytest.mark.parametrize(
    ("kind", "reason"), [("connection_limit", "another connection uses our key"), ("auth_refused", "refused our key")]
)
async def test_a_refused_stream_is_said_and_requests_do_meanwhile(stage, kind, reason):
    await stage.fault(kind=kind)
    async with stage.watching():
        await stage.alert(0.5)
        await stage.says(reason)
        assert reason in (await stage.alerts.list(MARA)).paused.reason
        assert stage.health.parts["alerts"].ok is False
        stage.nudge(1)
        if kind == "connection_limit":
            await stage.fired(within_s=15)


async def test_a_silent_stream_is_left_for_a_new_one(stage, monkeypatch):
    monkeypatch.setattr(watch, "SILENT_S", 1.0)
    async with stage.watching():
        await stage.alert(0.5)
        await stage.alert(9)
        await stage.says("2 on 1")
        await stage.fault(kind="silent")
        await stage.says("silent for 1 s")
        stage.nudge(1)
        await stage.fired(within_s=10)
        assert (await stage.alerts.list(MARA)).paused
        await stage.heal()
        await stage.says("1 on 1")
        assert (await stage.alerts.list(MARA)).paused is None


async def test_a_restarted_worker_goes_on_where_the_last_one_stopped(stage):
    async with stage.watching():
        await stage.alert(0.5)
        await stage.says("1 on 1")
        await asyncio.sleep(1)
    stage.nudge(1)
    await asyncio.sleep(1)
    stage.nudge(-2)
    async with stage.watching():
        await stage.fired()


async def test_an_alert_made_while_nobody_watched_is_not_forgotten(stage):
    await stage.alert(0.5)
    stage.nudge(1)
    await asyncio.sleep(1)
    stage.nudge(-2)
    async with stage.watching():
        await stage.fired()


async def test_one_of_several_workers_watches_and_the_next_takes_over(stage):
    async with stage.watching() as first:
        await stage.alert(0.5)
        await stage.alert(5)
        await stage.says("2 on 1")
        async with stage.watching():
            await stage.says("another worker")
            stage.nudge(1)
            await stage.fired()
            first.cancel()
            await stage.says("1 on 1")
            stage.nudge(5)
            await stage.fired(2)


async def test_a_worker_that_was_overtaken_writes_nothing(stage, database):
    async with stage.watching():
        await stage.alert(0.5)
        await stage.says("1 on 1")
        overtaking = stage.watch()
        await overtaking._load()
        stage.nudge(1)
        await stage.says("waits for the database")
        assert await stage.notices() == []
        await stage.fired()


async def test_a_restart_of_postgresql_is_waited_out(own_server, kill):
    from db.pool import Database  # noqa: PLC0415

    database = await Database.open(own_server.url)
    async with staged(database) as stage, stage.watching():
        await stage.alert(0.5)
        await stage.says("1 on 1")
        kill(own_server)
        stage.nudge(1)
        await stage.says("none are set", within_s=20)
        await stage.fired()
    await database.close()


async def test_changes_by_people_take_effect_at_once(stage):
    async with stage.watching():
        one, two, three, four = [await stage.alert(0.5) for _ in range(4)]
        await stage.says("4 on 1")
        await stage.alerts.pause(MARA, one.token)
        await stage.alerts.delete(MARA, two.token)
        await stage.alerts.snooze(MARA, three.token, 60)
        assert stage.alerts.snoozed_until(await stage.alerts.get(MARA, three.token))
        await stage.says("2 on 1")
        stage.nudge(1)
        (notice,) = await stage.fired()
        assert json.loads(notice["payload"])["token"] == four.token
        await stage.alerts.resume(MARA, one.token)
        await stage.alerts.rearm(MARA, four.token)
        await stage.says("3 on 1")
        await asyncio.sleep(1)
        stage.nudge(-2)
        await asyncio.sleep(1)
        stage.nudge(2)
        notices = await stage.fired(3)
        assert {json.loads(each["payload"])["token"] for each in notices[1:]} == {one.token, four.token}


async def test_a_snoozed_alert_sleeps_over_a_restart_and_wakes(stage):
    async with stage.watching():
        alert = await stage.alert(0.5)
        await stage.alerts.snooze(MARA, alert.token, 30)
        await stage.says("1 on 1")
    stage.nudge(1)
    async with stage.watching():
        await stage.says("1 on 1")
        await asyncio.sleep(1)
        stage.nudge(-2)
        await asyncio.sleep(1)
        stage.nudge(2)
        await asyncio.sleep(1)
        assert await stage.notices() == []
        stage.nudge(-2)
        stage.synthetic.jump("2026-11-20T11:45:00")
        await asyncio.sleep(1)
        stage.nudge(2)
        await stage.fired()


async def test_an_alert_that_repeats_fires_again_after_the_price_was_back(stage):
    async with stage.watching():
        alert = await stage.alert(0.5, always=True)
        await stage.says("1 on 1")
        for count in (1, 2):
            stage.nudge(1)
            await stage.fired(count)
            stage.nudge(-1)
            await asyncio.sleep(1)
    assert (await stage.alerts.get(MARA, alert.token)).state is AlertState.ACTIVE


async def test_the_log_says_evaluated_fired_and_delivered(stage, database):
    async with stage.watching():
        alert = await stage.alert(0.5)
        assert (await stage.alerts.log(MARA, alert.token)).evaluated_to is None
        await stage.says("1 on 1")
        stage.nudge(1)
        (notice,) = await stage.fired()
        log = await stage.alerts.log(MARA, alert.token)
        (entry,) = log.entries
        assert (entry.delivery, entry.delivered_at) == ("waiting", None)
        assert entry.firing.price >= alert.level > entry.firing.before
        assert log.evaluated_to >= entry.firing.at
        async with database.transaction() as conn:
            sent = "UPDATE app.notices SET state = 'sent', delivered_at = now() WHERE id = $1"
            await conn.execute(sent, notice["id"])
        (entry,) = (await stage.alerts.log(MARA, alert.token)).entries
        assert (entry.delivery, bool(entry.delivered_at)) == ("sent", True)


async def test_a_jump_between_two_days_is_called_a_gap(stage):
    async with stage.watching():
        await stage.alert(0.5)
        await stage.says("1 on 1")
        await asyncio.sleep(0.7)
        stage.synthetic.jump("next_day")
        stage.nudge(5)
        (notice,) = await stage.fired()
    assert json.loads(notice["payload"])["gap"] is True


async def test_a_clock_that_is_set_back_begins_the_alerts_anew(stage):
    async with stage.watching():
        await stage.alert(0.5)
        await stage.says("1 on 1")
        await asyncio.sleep(1)
        stage.synthetic.jump("2026-11-20T10:00:00")
        await asyncio.sleep(1.5)
        assert await stage.notices() == []
    async with stage.watching():
        await stage.says("1 on 1")
        stage.nudge(-5)
        await asyncio.sleep(1)
        stage.nudge(10)
        await stage.fired()


async def test_a_gap_of_hours_is_judged_by_minute_bars(stage):
    async with stage.watching():
        await stage.alert(0.5)
        await stage.says("1 on 1")
        await asyncio.sleep(1)
    stage.nudge(1)
    stage.synthetic.jump("2026-11-20T12:00:00")
    stage.nudge(-2)
    stage.synthetic.jump("2026-11-20T14:30:00")
    async with stage.watching():
        (notice,) = await stage.fired()
    assert json.loads(notice["payload"])["late_s"] > 3600


async def test_a_burst_of_alerts_is_told_completely(stage):
    async with stage.watching():
        price = await stage.price()
        for user in range(10):
            await asyncio.gather(*(stage.alert(0.5 + n / 1000, user=user + 1, price=price) for n in range(60)))
        await stage.says("600 on 1")
        stage.nudge(2)
        await stage.fired(600, within_s=20)
        await until(lambda: stage.health.parts["alerts"].detail == "none are set")


async def test_below_and_through_fire_as_well(stage):
    async with stage.watching():
        await stage.alert(-0.5, Condition.BELOW)
        await stage.alert(-0.5, Condition.CROSSES, symbol="QQQ")
        await stage.alert(-0.5, Condition.ABOVE, symbol="IWM")
        await stage.says("3 on 3")
        for symbol in ("SPY", "QQQ", "IWM"):
            stage.nudge(-1, symbol)
        await stage.fired(2)
