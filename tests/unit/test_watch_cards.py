"""How a watch looks, and which way its message goes."""

from datetime import UTC, datetime

import pytest
from babel import Locale

from bot import watch_cards
from bot.delivery import Edit, Post, ways
from bot.notice_cards import RENDER
from db.models import Notice, Place, TakenNotice, Urgency

AT = datetime(2026, 11, 20, 16, tzinfo=UTC)
ENGLISH = Locale("en", "US")


def row(symbol="SPY", gamma=True, **more):
    levels = {"call_wall": "610.00", "put_wall": "590.00", "flip": "598.37"}
    told = {"as_of": AT.isoformat(), "source": "Alpaca indicative", "delay_s": 900.0}
    return {
        "symbol": symbol,
        "name": None,
        "price": "601.22",
        "previous_close": "600.00",
        "change_percent": "0.20",
        "as_of": AT.isoformat(),
        "source": "Alpaca IEX",
        "delay_s": 0.0,
        "stale": False,
        "gamma": {**levels, **told} if gamma else None,
        **more,
    }


def payload(*rows, phase="open", missing=()):
    return {
        "token": "0123456789ab",
        "session": {
            "phase": phase,
            "opens_at": "2026-11-23T14:30:00+00:00",
            "closes_at": "2026-11-23T21:00:00+00:00",
            "half_day": False,
        },
        "at": AT.isoformat(),
        "every_min": 5,
        "next_at": AT.isoformat(),
        "rows": list(rows),
        "missing": list(missing),
    }


def fields(embed):
    return {field.name: field.value for field in embed.fields}


def test_the_first_line_carries_prices_and_each_number_its_age_and_source():
    headline, embed = watch_cards.watch(payload(row(), row("QQQ")), ENGLISH)
    stamp = int(AT.timestamp())
    assert headline == "👁️ **SPY** 601.22 ▲ +0.20% · **QQQ** 601.22 ▲ +0.20%"
    assert (embed.description or "").splitlines()[1] == f"-# call wall 610 · put wall 590 · flip 598.37 · <t:{stamp}:R>"
    assert fields(embed)["Data"].splitlines() == [
        f"Alpaca IEX · real time · <t:{stamp}:T> (<t:{stamp}:R>)",
        f"levels: Alpaca indicative · delayed 15 min · <t:{stamp}:T> (<t:{stamp}:R>)",
    ]
    assert fields(embed)["This message"] == f"edited every 5 min · next <t:{stamp}:t> (<t:{stamp}:R>)"


def test_a_price_of_other_hours_says_so():
    headline, embed = watch_cards.watch(payload(row(hours="at the close"), phase="after hours"), ENGLISH)
    assert headline == "👁️ **SPY** 601.22 at the close ▲ +0.20%"
    assert (embed.description or "").startswith("**SPY** 601.22 at the close ▲ +0.20%")


def test_of_several_ages_the_oldest_is_told():
    older = row("QQQ", as_of="2026-11-20T15:00:00+00:00")
    told = fields(watch_cards.watch(payload(older, row()), ENGLISH)[1])["Data"]
    assert told.startswith(f"Alpaca IEX · real time · <t:{int(AT.timestamp()) - 3600}:T>")


def test_numbers_follow_the_locale():
    headline, embed = watch_cards.watch(payload(row(price="7801.5")), Locale("de"))
    assert "7.801,50" in headline
    assert "flip 598,37" in (embed.description or "")


def test_what_is_stale_missing_or_without_levels_is_told():
    headline, embed = watch_cards.watch(payload(row(stale=True, gamma=False), missing=["NOPE"]), ENGLISH)
    assert headline.startswith("👁️ **SPY**")
    assert embed.description == "**SPY** 601.22 ▲ +0.20% ⚠️ stale"
    assert fields(embed)["No data"] == "NOPE"
    assert "levels" not in fields(embed)["Data"]


def test_without_any_answer_the_message_says_so():
    headline, embed = watch_cards.watch(payload(missing=["SPY"]), ENGLISH)
    assert headline == "👁️ **No data**"
    assert "the next edit tries again" in (embed.description or "")


def test_after_the_close_it_says_when_it_goes_on():
    _, embed = watch_cards.watch(payload(row(), phase="after hours"), ENGLISH)
    assert fields(embed)["This message"].startswith("edited every 5 min while the market is open · again after <t:")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("message deleted", "its message was deleted"),
        ("deleted", "the channel was deleted"),
        ("missing permission", "I lack a permission there"),
        ("Missing Access", "Discord says: Missing Access"),
    ],
)
def test_its_owner_is_told_why_it_ended(reason, words):
    about = {"channel_id": "5", "direct": False, "reason": reason, "symbols": ["SPY", "QQQ"]}
    headline, embed = watch_cards.removed(about)
    assert headline == "👁️ Your watch of **SPY, QQQ** in <#5> has ended"
    assert words in (embed.description or "")
    assert "`/watch symbols:SPY QQQ`" in (embed.description or "")
    assert "in our direct messages" in watch_cards.removed({**about, "direct": True})[0]


def taken(shown=None, closed=False):
    notice = Notice(
        urgency=Urgency.P2,
        kind="watch",
        key="k",
        subject="s",
        place=Place(channel_id=5, guild_id=6),
        payload={},
        user_id=7,
        private=False,
    )
    return TakenNotice(notice, "channel 5", "n", 1, None, False, shown, None, closed)


def test_its_message_is_edited_or_posted_and_never_goes_anywhere_else():
    assert ways(taken((5, 9)), AT) == [Edit(5, 9)]
    assert ways(taken(), AT) == [Post(5)]


async def test_it_has_a_button_until_somebody_stops_it():
    def rendered(told):
        return RENDER["watch"](Notice(urgency=Urgency.P2, kind="watch", key="k", place=Place(), payload=told), ENGLISH)

    running = rendered(payload(row()))
    assert [item.custom_id for item in running.view.children] == ["watch:stop:0123456789ab"]
    ended = rendered({"ended_by": "7", "symbols": ["SPY"]})
    assert ended.content == "⏹️ **Watch ended** · SPY · stopped by <@7>"
    assert (ended.view, ended.embed) == (None, None)
