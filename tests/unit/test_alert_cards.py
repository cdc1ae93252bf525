from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot import alert_cards
from bot.notice_cards import RENDER
from bot.numbers import locale_of
from db.models import Alert, AlertState, Condition, Firing, Notice, NoticeState, Pause, Place, Urgency
from services.alerts import Added, Entry, Log

EN, DE = locale_of("en-US"), locale_of("de")
AT = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
TOKEN = "t" * 22
ALERT = Alert(
    id=1,
    token=TOKEN,
    user_id=7,
    symbol="SPY",
    condition=Condition.ABOVE,
    level=Decimal(605),
    always=False,
    place=Place(channel_id=9),
    state=AlertState.ACTIVE,
    armed=True,
    after=AT,
    after_id=0,
    reference=Decimal(600),
    version=1,
    known=True,
    created_at=AT,
)
FIRED = {
    "token": TOKEN,
    "symbol": "SPY",
    "condition": "above",
    "level": "605",
    "price": "605.12",
    "before": "604.9",
    "at": AT.isoformat(),
    "late_s": 0,
    "gap": False,
    "always": False,
    "state": "fired",
}


def test_the_first_line_says_what_crossed_which_way_and_where_it_is_now():
    assert alert_cards.fired(FIRED, None, EN)[0] == "🔔 **SPY** ▲ above **605.00** · now 605.12"
    down = FIRED | {"price": "604.5", "before": "605.3"}
    headline, embed = alert_cards.fired(down, None, DE)
    assert headline == "🔔 **SPY** ▼ below **605,00** · now 604,50"
    assert embed.colour == alert_cards.RED


def test_a_late_alert_says_how_late_and_why():
    headline, embed = alert_cards.fired(FIRED | {"late_s": 43.2}, None, EN)
    assert headline.endswith("· late by 43 s")
    assert "data was away" in str(embed.description)


def test_a_gap_says_that_the_day_opened_beyond_the_level():
    assert "opened beyond" in str(alert_cards.fired(FIRED | {"gap": True}, None, EN)[1].description)


@pytest.mark.parametrize(("dm", "named"), [(True, False), (False, True)])
async def test_the_owner_is_named_only_where_others_read(dm, named):
    notice = Notice(
        urgency=Urgency.P1, kind="alert", key="k", place=Place(channel_id=9, dm=dm), payload=FIRED, user_id=7
    )
    reply = RENDER["alert"](notice, EN)
    assert ("<@7>" in str(reply.embed.description)) is named
    labels = [item.item.label for item in reply.view.children]
    assert labels == ["Snooze 1 h", "Re-arm", "Quote", "Buy"]


async def test_an_alert_that_fires_every_time_needs_no_rearming():
    notice = Notice(
        urgency=Urgency.P1, kind="alert", key="k", place=Place(dm=True), payload=FIRED | {"always": True}, user_id=7
    )
    assert [item.item.label for item in RENDER["alert"](notice, EN).view.children] == ["Snooze 1 h", "Quote", "Buy"]


def test_a_new_alert_says_how_far_away_it_is_or_that_it_is_past():
    headline, embed = alert_cards.added(Added(ALERT, Decimal(600)), "told in <#9>", EN)
    assert headline == "🔔 Alert set: **SPY above 605.00** · told in <#9>"
    assert embed.fields[1].value == "+0.83%"
    assert "already above" in str(alert_cards.added(Added(ALERT, Decimal(606)), "", EN)[1].description)


def test_paused_data_stands_first_in_the_list():
    headline, embed = alert_cards.listed([ALERT], Pause(AT, "no trades come"), {}, EN)
    assert headline == "🔔 **1 of 1 alert armed**"
    assert str(embed.description).startswith("⚠️ **All alerts wait since")
    assert embed.colour == alert_cards.AMBER


@pytest.mark.parametrize(
    ("state", "sleeping", "start"),
    [
        (AlertState.ACTIVE, None, "🟢 **SPY above 605.00**"),
        (AlertState.ACTIVE, AT, "😴 until <t:"),
        (AlertState.PAUSED, AT, "⏸️ paused **SPY"),
        (AlertState.FIRED, None, "☑️ fired **SPY"),
    ],
)
def test_a_line_tells_state_and_place(state, sleeping, start):
    line = alert_cards.line(replace(ALERT, state=state), sleeping, EN)
    assert line.startswith(start)
    assert line.endswith("<#9>")


def test_twenty_five_alerts_fit():
    many = [replace(ALERT, symbol="ABCDE.PR", level=Decimal("123456.1234"), always=True)] * 25
    assert len(str(alert_cards.listed(many, Pause(AT, "x" * 100), {}, EN)[1].description)) <= 4096


def test_the_log_says_evaluated_fired_delivered():
    firing = Firing("k", AT, Decimal("605.12"), Decimal("604.9"), 43.0, gap=False)
    entries = (Entry(firing, NoticeState.SENT, AT + timedelta(seconds=1)), Entry(firing, NoticeState.MISSED, None))
    _, embed = alert_cards.detail(Log(ALERT, AT, entries), None, None, EN)
    told = {field.name: str(field.value) for field in embed.fields}
    assert told["Evaluated"].startswith("up to <t:")
    assert "at 605.12, late by 43 s · delivered <t:" in told["Fired"]
    assert "could not be delivered" in told["Fired"]


def test_a_long_log_fits():
    firing = Firing("k", AT, Decimal("123456.1234"), Decimal(1), 4300.0, gap=False)
    log = Log(ALERT, AT, (Entry(firing, NoticeState.MERGED, AT),) * 25)
    assert all(len(str(field.value)) <= 1024 for field in alert_cards.detail(log, None, None, EN)[1].fields)
