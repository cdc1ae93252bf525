from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.models import Place
from db.order_models import Order, OrderState, Side, Spec, Tif
from db.orders import OPEN_STATES, Intent
from services.brokers.base import Word
from services.execution import order_json, order_of
from services.order_states import (
    AT_BROKER,
    MOVES,
    OPEN,
    PROVEN,
    Verdict,
    after_miss,
    believe,
    cancelling,
    moved,
)

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
QUIET = timedelta(seconds=30)
S = OrderState


def test_queries_take_the_same_states_for_open():
    assert set(OPEN_STATES.strip("()").replace("'", "").split(", ")) == OPEN


def intent(state=S.UNKNOWN, *, sent_ago_s=0, deadline_in_s=30, misses=0, **order) -> Intent:
    kept = Order(
        id=1,
        token="t" * 22,
        user_id=7,
        account_id=1,
        client_order_id="pe-1",
        spec=Spec("SPY", Side.BUY, 10, Decimal("100.00"), Tif.DAY),
        worst=Decimal("100.00"),
        state=state,
        filled=0,
        cost=Decimal(0),
        version=1,
        sends=1,
        reason=None,
        created_at=NOON,
        updated_at=NOON,
        label="Paper",
        mode="PAPER",
    )
    sent, deadline = NOON - timedelta(seconds=sent_ago_s), NOON + timedelta(seconds=deadline_in_s)
    return Intent(replace(kept, **order), "paper", Place(), False, sent, misses, deadline, NOON)


def test_every_state_has_its_row_in_the_table():
    assert set(MOVES) == set(OrderState)


@given(
    st.sampled_from([state for state in OrderState if state is not S.CONFIRMED]),
    st.integers(1, 50),
    st.integers(0, 60),
    st.sampled_from(Word),
)
def test_whatever_a_broker_says_leads_to_a_state_that_the_table_allows(ours, quantity, filled, word):
    if ours is S.PARTIAL:
        filled = max(filled, 1)
    told = believe(ours, quantity, filled, word)
    assert told is ours or told in MOVES[ours]
    if filled >= quantity:
        assert told is S.FILLED


@pytest.mark.parametrize("ours", sorted(PROVEN))
def test_an_older_word_does_not_reopen_what_the_broker_has_ended(ours):
    filled = 10 if ours is S.FILLED else 3
    assert believe(ours, 10, filled, Word.WORKING) is ours


@pytest.mark.parametrize("ours", [S.VOID, S.REJECTED, S.DENIED, S.NEEDS_REVIEW])
def test_evidence_opens_again_what_we_had_concluded_ourselves(ours):
    assert believe(ours, 10, 0, Word.WORKING) is S.WORKING
    assert believe(ours, 10, 4, Word.WORKING) is S.PARTIAL
    assert believe(ours, 10, 10, Word.WORKING) is S.FILLED


def test_a_fill_outruns_a_cancel():
    assert believe(S.PENDING_CANCEL, 10, 3, Word.WORKING) is S.PENDING_CANCEL
    assert believe(S.PENDING_CANCEL, 10, 10, Word.FILLED) is S.FILLED
    assert believe(S.CANCELED, 10, 10, Word.CANCELED) is S.FILLED


@pytest.mark.parametrize(
    ("keyed", "may_send", "sent_ago_s", "deadline_in_s", "misses", "verdict"),
    [
        (True, True, 1, 20, 0, Verdict.SEND_AGAIN),
        (True, False, 1, 20, 0, Verdict.WAIT),
        (False, True, 1, 20, 0, Verdict.WAIT),  # without a key a second send is a second order
        (True, True, 31, 0, 1, Verdict.WAIT),  # the deadline is over; two answers are not three
        (True, True, 31, 0, 2, Verdict.GIVE_UP),
        (True, True, 29, 0, 9, Verdict.WAIT),  # still quiet
        (False, True, 31, 20, 2, Verdict.GIVE_UP),
    ],
)
def test_not_found_counts_late_and_a_resend_needs_a_key_and_time(
    keyed, may_send, sent_ago_s, deadline_in_s, misses, verdict
):
    missed = intent(sent_ago_s=sent_ago_s, deadline_in_s=deadline_in_s, misses=misses)
    assert after_miss(missed, keyed=keyed, quiet=QUIET, now=NOON, may_send=may_send) is verdict


@pytest.mark.parametrize("state", OrderState)
def test_cancelling_follows_the_table(state):
    after = cancelling(intent(state), NOON)
    assert after.cancel_asked
    assert after.order.state is state or after.order.state in MOVES[state]
    if state in {S.WORKING, S.PARTIAL}:
        assert after.order.state is S.PENDING_CANCEL
    if state in OPEN - AT_BROKER - {S.CONFIRMED}:
        assert after.order.state is state  # it is on its way: nobody can stop it before it has arrived


@given(
    st.sampled_from(OrderState),
    st.decimals("0.0001", "99999", places=4),
    st.one_of(st.none(), st.decimals("0.01", "99999", places=2)),
    st.integers(0, 10_000),
)
def test_an_order_comes_back_from_json_as_it_went(state, cost, limit, filled):
    order = intent(state, filled=filled, cost=cost, spec=Spec("BRK.B", Side.SELL, 10_000, limit, Tif.GTC)).order
    assert order_of(order_json(order)) == order


def test_a_state_is_left_with_its_reason():
    assert moved(intent(), S.VOID, None, "gone").order.reason == "gone"
