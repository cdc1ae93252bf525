"""What the stream has said stands in for a request only while it is certain to be the present."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.feeds.base import Quote, Tick, Touch
from services.tape import KEPT_S, LIVE_S, MOST_WANTED, REFUSED_S, SEED_S, WANTED_S, Tape

AT = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


class Seconds:
    now = 1000.0

    def __call__(self):
        return self.now


def moment(seconds):
    return AT + timedelta(seconds=seconds)


def seed(symbol="SPY", at=0.0, **more):
    known = {"traded_at": moment(at), "quoted_at": moment(at), "bid": Decimal(100), "ask": Decimal(101)}
    return Quote(symbol, Decimal("100.5"), moment(at), "Alpaca IEX", timedelta(0), **known | more)


def touch(bid, ask, at, symbol="SPY"):
    return Touch(symbol, moment(at), Decimal(bid), Decimal(ask), 100, 200)


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def tape(clock):
    tape = Tape(monotonic=clock)
    tape.want(["SPY"])
    tape.follow(["SPY"])
    return tape


def test_a_symbol_is_live_when_it_is_followed_seeded_and_heard_of(tape):
    assert tape.quotes(["SPY"]) is None
    assert tape.unseeded() == {"SPY"}
    tape.seed([seed()])
    assert tape.quotes(["SPY"]) is None
    tape.hear([], [touch(102, 103, 1)])
    (quote,) = tape.quotes(["SPY"])
    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (102, 103, 100, 200)
    assert quote.price == Decimal("100.5")
    assert quote.quoted_at == quote.as_of == moment(1)
    assert tape.quotes(["SPY", "QQQ"]) is None


def test_what_was_said_before_the_seed_does_not_undo_it(tape):
    tape.hear([Tick("SPY", moment(-1), 1, Decimal(90))], [touch(90, 91, -1)])
    tape.seed([seed()])
    (quote,) = tape.quotes(["SPY"])
    assert (quote.price, quote.bid) == (Decimal("100.5"), 100)


def test_what_was_said_between_the_answer_and_its_arrival_counts(tape):
    tape.hear([Tick("SPY", moment(2), 1, Decimal(104))], [touch(103, 105, 2)])
    tape.seed([seed(day_low=Decimal(99), day_high=Decimal(103))])
    (quote,) = tape.quotes(["SPY"])
    assert (quote.price, quote.bid, quote.traded_at) == (104, 103, moment(2))
    assert (quote.day_low, quote.day_high) == (99, 104)


def test_a_late_message_does_not_turn_the_price_back(tape):
    tape.seed([seed()])
    tape.hear([Tick("SPY", moment(2), 2, Decimal(104))], [touch(103, 105, 2)])
    tape.hear([Tick("SPY", moment(1), 1, Decimal(80))], [touch(80, 81, 1)])
    (quote,) = tape.quotes(["SPY"])
    assert (quote.price, quote.bid) == (104, 103)


def test_nothing_is_live_after_a_silence_or_without_the_stream(tape, clock):
    tape.seed([seed()])
    tape.hear([], [touch(1, 2, 1)])
    clock.now += LIVE_S + 0.1
    assert tape.quotes(["SPY"]) is None
    tape.hear([], [touch(1, 2, 2)])
    assert tape.quotes(["SPY"])
    tape.forget()
    assert tape.quotes(["SPY"]) is None
    tape.hear([], [touch(1, 2, 3)])
    assert tape.quotes(["SPY"]) is None


def test_a_subscription_that_ended_and_began_again_must_be_seeded_anew(tape):
    tape.seed([seed()])
    tape.follow([])
    tape.follow(["SPY"])
    tape.hear([], [touch(1, 2, 3)])
    assert tape.quotes(["SPY"]) is None


def test_range_and_volume_are_never_older_than_a_minute(tape, clock):
    tape.seed([seed()])
    clock.now += SEED_S + 1
    tape.hear([], [touch(1, 2, 3)])
    assert tape.quotes(["SPY"]) is None


def test_wants_end_and_have_little_room(clock):
    tape, called = Tape(monotonic=clock), []
    tape.on_want = lambda: called.append(clock.now)
    first = [f"A{n}" for n in range(MOST_WANTED)]
    tape.want(first)
    assert tape.wanted() == set(first)
    tape.want(["LATE"])
    assert "LATE" not in tape.wanted()
    clock.now += KEPT_S + 1
    tape.want(["A0"])
    tape.want(["LATE"])
    assert tape.wanted() == {*first, "LATE"} - {"A1"}
    clock.now += WANTED_S + 1
    assert tape.wanted() == set()
    assert called


def test_whoever_follows_is_woken_for_new_symbols_only(clock):
    tape, called = Tape(monotonic=clock), []
    tape.on_want = lambda: called.append(1)
    tape.want(["SPY"])
    tape.follow(["SPY"])
    tape.want(["SPY"])
    assert len(called) == 1


def test_a_plan_without_room_is_left_in_peace_for_a_while(tape, clock):
    tape.refuse()
    tape.want(["SPY"])
    assert tape.wanted() == set()
    clock.now += REFUSED_S + 1
    tape.want(["SPY"])
    assert tape.wanted() == {"SPY"}
