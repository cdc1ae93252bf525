"""The states of an order: what may follow what, and what a broker's word or silence means. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from db.order_models import OrderState
from db.orders import Intent
from services.brokers.base import Word

ENOUGH_MISSES = 3

S = OrderState
ON_THE_WAY = frozenset({S.SUBMITTING, S.UNKNOWN})
AT_BROKER = frozenset({S.WORKING, S.PARTIAL, S.PENDING_CANCEL})
OPEN = ON_THE_WAY | AT_BROKER | {S.CONFIRMED, S.NEEDS_REVIEW}
PROVEN = frozenset({S.FILLED, S.CANCELED, S.EXPIRED})
"""Ends that only a broker's word brings about."""
_WORDS = AT_BROKER | PROVEN | {S.REJECTED}
MOVES: Mapping[OrderState, frozenset[OrderState]] = {
    S.CONFIRMED: frozenset({S.SUBMITTING, S.DENIED, S.CANCELED}),
    S.SUBMITTING: _WORDS | {S.UNKNOWN, S.NEEDS_REVIEW},
    S.UNKNOWN: _WORDS | {S.SUBMITTING, S.VOID, S.NEEDS_REVIEW},
    S.WORKING: _WORDS | {S.NEEDS_REVIEW},
    S.PARTIAL: (_WORDS | {S.NEEDS_REVIEW}) - {S.WORKING},
    S.PENDING_CANCEL: PROVEN | {S.PENDING_CANCEL, S.REJECTED, S.NEEDS_REVIEW},
    # a proven end changes only when more was filled than we knew, or when the broker contradicts itself
    S.FILLED: frozenset({S.FILLED, S.NEEDS_REVIEW}),
    S.CANCELED: frozenset({S.CANCELED, S.FILLED, S.NEEDS_REVIEW}),
    S.EXPIRED: frozenset({S.EXPIRED, S.FILLED, S.NEEDS_REVIEW}),
    # these are our own conclusions: the broker's word opens them again
    S.REJECTED: _WORDS | {S.NEEDS_REVIEW},
    S.DENIED: _WORDS | {S.NEEDS_REVIEW},
    S.VOID: _WORDS | {S.NEEDS_REVIEW},
    S.NEEDS_REVIEW: _WORDS | {S.NEEDS_REVIEW},
}
_SAID = {Word.FILLED: S.FILLED, Word.CANCELED: S.CANCELED, Word.EXPIRED: S.EXPIRED, Word.REJECTED: S.REJECTED}


class Verdict(StrEnum):
    """What follows when a broker does not know an order."""

    SEND_AGAIN = "send again"
    WAIT = "wait"
    GIVE_UP = "give up"


def believe(ours: OrderState, quantity: int, filled: int, word: Word) -> OrderState:
    """Return the state of an order after a broker's word; `filled` counts every execution known by now.

    Executions outweigh the word, and an end that a broker has proven outweighs an older word that comes late.
    """
    if filled >= quantity:
        return S.FILLED
    if ours in PROVEN:
        return ours
    if word is not Word.WORKING:
        return _SAID[word]
    if ours is S.PENDING_CANCEL:
        return ours
    return S.PARTIAL if filled else S.WORKING


def after_miss(intent: Intent, *, keyed: bool, quiet: timedelta, now: datetime, may_send: bool) -> Verdict:
    """Return what follows when the broker does not know an order that may have been sent.

    Sending again needs a broker that refuses a second order of the same id, and the time before the deadline. Giving up
    needs the whole quiet period since the last send, and three answers.
    """
    assert intent.sent_at is not None, "only what was sent can be missed"
    if keyed and may_send and now < intent.deadline:
        return Verdict.SEND_AGAIN
    if now - intent.sent_at >= quiet and intent.misses + 1 >= ENOUGH_MISSES:
        return Verdict.GIVE_UP
    return Verdict.WAIT


def moved(intent: Intent, state: OrderState, look_at: datetime | None, reason: str | None = None) -> Intent:
    """Return an order in another state, due at `look_at`."""
    return replace(intent, order=replace(intent.order, state=state, reason=reason), look_at=look_at)


def cancelling(intent: Intent, now: datetime) -> Intent:
    """Return an order whose end is wanted: at once where it was never sent, at the broker where it is there."""
    intent = replace(intent, cancel_asked=True)
    if intent.order.state is S.CONFIRMED:
        return moved(intent, S.CANCELED, None, "Cancelled before it was sent.")
    if intent.order.state in {S.WORKING, S.PARTIAL}:
        return moved(intent, S.PENDING_CANCEL, now)
    return intent
