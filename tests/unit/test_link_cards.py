"""What members read about their linked brokers, and what they can press there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot import commands, link_cards, link_views
from bot.notice_cards import RENDER
from bot.numbers import locale_of
from db.link_models import BrokerConnection, LinkState
from db.models import Notice, Place, Urgency
from db.order_models import Account, Balance
from services.errors import UserError

EN = locale_of("en-US")
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
PAPER = Account(1, 7, "paper", "Paper", "PAPER")
MONEY = Balance(Decimal(100_000), Decimal(0), Decimal(0), Decimal(0))
ALPACA = BrokerConnection(
    id=12,
    user_id=7,
    broker="alpaca",
    mode="PAPER",
    label="••1234",
    scopes=("data",),
    state=LinkState.ACTIVE,
    created_at=NOW - timedelta(minutes=2),
    activated_at=NOW - timedelta(minutes=1),
    expires_at=None,
)
TRADIER = replace(
    ALPACA, id=13, broker="tradier", mode="LIVE", label="••9876", activated_at=NOW, scopes=("read", "market")
)
WAITING = replace(ALPACA, state=LinkState.PENDING, activated_at=None)
LOST = replace(ALPACA, state=LinkState.SIGNED_OUT)


def told(kind="link", **payload):
    about = {"id": 12, "broker": "alpaca", "label": "••1234", "mode": "PAPER", "scopes": ["data"]} | payload
    notice = Notice(urgency=Urgency.P0, kind=kind, key="k", place=Place(), payload=about, user_id=7)
    reply = RENDER[kind](notice, EN)
    assert reply.private
    return reply


def buttons(reply):
    return {item.item.label: item.item.custom_id for item in reply.view.children}


def listed(*links, source=None, can_link=True):
    return link_cards.accounts(PAPER, MONEY, links, source, EN, can_link=can_link)


def fields(embed):
    return {field.name: field.value for field in embed.fields}


def test_the_offer_says_in_two_lines_what_happens_and_that_nobody_asks_for_a_password():
    headline, embed = link_cards.offer("alpaca", NOW)
    assert headline == f"🔗 **Link Alpaca** · the button works until <t:{NOW.timestamp():.0f}:t>"
    what, warning = embed.description.splitlines()
    assert "sign in with Discord, allow it at Alpaca" in what
    assert "Nobody from here ever asks for a password" in warning
    assert "I cannot trade or move money." in embed.footer.text


def test_a_single_broker_need_not_be_named_and_without_any_the_operator_is():
    assert link_views.chosen(("alpaca",), "") == "alpaca"
    assert link_views.chosen(("alpaca", "tradier"), "") is None
    assert link_views.chosen(("alpaca", "tradier"), "tradier") == "tradier"
    with pytest.raises(UserError, match="has to set `ALPACA_CLIENT_ID` or `TRADIER_CLIENT_ID`"):
        link_views.chosen((), "alpaca")


def test_the_end_of_linking_asks_with_mode_and_number_in_the_first_line():
    reply = told(state="pending")
    assert reply.content == "🔗 **Alpaca ••1234** · 🧪 **PAPER** · market data: activate?"
    assert buttons(reply) == {"Activate": "link:activate:12", "Discard": "link:discard:12"}
    assert told(state="pending", mode="LIVE").content.startswith("🔗 **Alpaca ••1234** · 💵 **LIVE** ·")


def test_an_active_link_says_where_its_data_is_used_and_offers_private_answers():
    reply = told(state="active")
    assert reply.content == "✅ **Alpaca ••1234** · 🧪 **PAPER** · gives you market data now"
    assert "in direct messages with me, and in answers that only you can see" in reply.embed.description
    assert "licensed to you alone" in reply.embed.description
    assert buttons(reply) == {"Market answers for me alone": "link:alone:", "Your accounts": "link:accounts:"}


def test_whatever_ended_can_be_linked_again():
    for state in ("discarded", "unlinked"):
        reply = told(state=state)
        assert buttons(reply) == {"Link again": "link:again:alpaca"}
        assert "deleted here" in reply.embed.description
        assert "remove this app in your Alpaca account" in reply.embed.description


def test_what_was_not_activated_in_time_says_so():
    assert "in time" in told(state="discarded", why="late").embed.description
    assert "in time" not in told(state="discarded").embed.description


def test_a_signed_out_link_tells_why_and_leads_back():
    reply = told("link.signed_out", state="signed_out", why="Alpaca takes our access no more.")
    assert reply.content == "⚠️ **Alpaca ••1234** · signed out: link it again"
    assert reply.embed.description.startswith("Alpaca takes our access no more. Until you link it again")
    assert buttons(reply) == {"Link again": "link:again:alpaca", "Unlink": "link:ask:12"}


@pytest.mark.parametrize(
    ("why", "first", "advice"),
    [
        ("wrong_person_owner", "Somebody else opened your link to Alpaca", "pass it to nobody"),
        ("wrong_person_other", "You opened somebody else's link to Alpaca", "type `/link` yourself"),
        ("taken_new", "Another member has linked this Alpaca account", "type `/unlink` there first"),
        ("taken_owner", "Somebody else tried to link your Alpaca ••1234", "change your password at Alpaca now"),
    ],
)
def test_a_stopped_link_tells_each_side_what_to_do_and_names_nobody(why, first, advice):
    reply = told("link.refused", why=why)
    assert first in reply.content
    assert advice in reply.embed.description
    assert "<@" not in reply.content + reply.embed.description


def test_without_links_the_list_shows_the_paper_account_and_the_way_to_a_broker():
    headline, embed = listed()
    assert headline == "🗂️ Orders: paper account · no broker linked"
    assert fields(embed) == {"PAPER account": "🟢 Your orders go here: simulated money, $100,000.00 to spend"}
    assert "`/link`" in embed.description
    assert embed.footer.text is None
    assert listed(can_link=False)[1].description is None


def test_the_list_says_which_broker_is_asked_and_which_waits_in_reserve():
    headline, embed = listed(TRADIER, ALPACA, source=TRADIER)
    assert headline == "🗂️ Orders: paper account · market data: **Tradier ••9876**"
    shown = fields(embed)
    assert shown["LIVE · Tradier ••9876"] == f"🟢 Your market data comes from here · since <t:{NOW.timestamp():.0f}:R>"
    assert shown["PAPER · Alpaca ••1234"].startswith("⚪ In reserve")
    assert embed.footer.text == link_cards.WHERE_USED


def test_a_link_that_waits_says_until_when():
    headline, embed = listed(WAITING)
    assert headline == "🗂️ **Alpaca ••1234** waits for you to activate it"
    ends = WAITING.created_at + timedelta(minutes=15)
    assert f"<t:{ends.timestamp():.0f}:R>" in fields(embed)["PAPER · Alpaca ••1234"]


def test_a_lost_link_stands_in_the_first_line_whatever_else_works():
    headline, embed = listed(TRADIER, LOST, source=TRADIER)
    assert headline == "⚠️ **Alpaca ••1234** is signed out: link it again"
    assert fields(embed)["PAPER · Alpaca ••1234"].startswith("🔴 Signed out")


def test_each_link_of_the_list_has_the_buttons_of_its_state():
    def labels(link):
        return [button.item.label for button in link_views.controls(link)]

    assert labels(ALPACA) == ["Unlink Alpaca ••1234"]
    assert labels(WAITING) == ["Activate Alpaca ••1234", "Discard Alpaca ••1234"]
    assert labels(LOST) == ["Link Alpaca again", "Unlink Alpaca ••1234"]


def test_no_two_buttons_of_a_list_share_an_id():
    """Discord refuses a message in which they do."""
    view = link_views.under_list([LOST, replace(LOST, id=14, label="••5555"), TRADIER], can_link=True)
    ids = [item.item.custom_id for item in view.children]
    assert ids == ["link:again:alpaca", "link:ask:12", "link:ask:14", "link:ask:13", "link:again:"]


def test_a_list_of_very_many_links_keeps_within_what_a_message_holds():
    view = link_views.under_list([replace(LOST, id=number) for number in range(40)], can_link=True)
    assert len(view.children) <= 25
    assert view.children[-1].item.label == "Link a broker"


@pytest.mark.parametrize("custom_id", ["link:again:", "link:again:tradier", "link:alone:", "link:unlink:12"])
def test_every_button_is_known_after_a_restart(custom_id):
    matching = [button for button in commands.BUTTONS if button.__discord_ui_compiled_template__.fullmatch(custom_id)]
    assert matching == [link_views.LinkButton]
