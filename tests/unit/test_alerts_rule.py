"""When an alert fires, arms and keeps quiet."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from db.models import Alert, AlertState, Condition, Mark, Place
from services.alerts import Added, _refuse_odd
from services.crossings import Crossings
from services.errors import BadLevel
from services.feeds.base import Tick

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
ABOVE, BELOW, CROSSES = Condition.ABOVE, Condition.BELOW, Condition.CROSSES


def alert(condition=ABOVE, level="100", reference=None, always=False, after=START, **other):
    fields = {"id": 1, "token": "t", "user_id": 1, "symbol": "SPY", "condition": condition, "level": Decimal(level)}
    fields |= {"always": always, "place": Place(), "state": AlertState.ACTIVE, "armed": True, "after": after}
    fields |= {"after_id": 0, "reference": Decimal(reference) if reference else None, "version": 1, "known": False}
    return Alert(**fields | {"created_at": START} | other)


def ticks(*prices, begin=1):
    return [Tick("SPY", START + timedelta(seconds=begin + n), 0, Decimal(price)) for n, price in enumerate(prices)]


def fired(crossings):
    return [(str(each.before), str(each.tick.price)) for change in crossings.take().alerts for each in change.fired]


def firings(one, *prices):
    crossings = Crossings([one])
    for tick in ticks(*prices):
        crossings.feed(tick)
    return fired(crossings)


@pytest.mark.parametrize(
    ("condition", "reference", "prices", "expected"),
    [
        (ABOVE, "99", ["99.99", "100"], [("99.99", "100")]),
        (ABOVE, "99", ["103"], [("99", "103")]),
        (ABOVE, None, ["103", "104"], []),
        (ABOVE, "100", ["101", "100", "101"], []),
        (ABOVE, "101", ["102", "99.99", "100.5"], [("99.99", "100.5")]),
        (BELOW, "101", ["100.01", "100"], [("100.01", "100")]),
        (BELOW, "100", ["99", "100", "99"], []),
        (BELOW, "99", ["98", "100.01", "97"], [("100.01", "97")]),
        (CROSSES, "99", ["100"], [("99", "100")]),
        (CROSSES, "101", ["99.5"], [("101", "99.5")]),
        (CROSSES, "100", ["100.5", "100", "99"], [("100.5", "100")]),
    ],
)
def test_an_alert_fires_when_its_level_is_crossed_and_only_then(condition, reference, prices, expected):
    assert firings(alert(condition, reference=reference), *prices) == expected


def test_an_alert_that_repeats_waits_until_the_price_has_gone_back_far_enough():
    repeats = alert(ABOVE, reference="99", always=True)
    assert firings(repeats, "100", "99.95", "100", "99.9", "100") == [("99", "100")]
    assert firings(repeats, "100", "99.89", "100") == [("99", "100"), ("99.89", "100")]


def test_one_that_repeats_both_ways_fires_on_the_way_back():
    assert firings(alert(CROSSES, reference="99", always=True), "101", "99") == [("99", "101"), ("101", "99")]
    assert firings(alert(CROSSES, reference="99", always=True), "100.05", "99.95") == [("99", "100.05")]


def test_trades_before_the_alert_do_not_count():
    assert firings(alert(ABOVE, reference="99", after=START + timedelta(seconds=3)), "98", "101", "99", "99.5") == []


def test_a_snoozed_alert_wakes_on_the_side_where_the_price_then_is():
    asleep = alert(ABOVE, after=START + timedelta(seconds=3), armed=False)
    assert firings(asleep, "101", "99", "101", "101", "99", "101") == [("99", "101")]


def test_an_alert_that_comes_to_be_known_late_is_judged_by_what_it_has_missed():
    crossings = Crossings([alert(id=2, level="500")])
    for tick in ticks("99", "99", "99", "101", "99.95"):
        crossings.feed(tick)
    assert crossings.add(alert(ABOVE, reference="99", always=True, after=START + timedelta(seconds=2)))
    assert fired(crossings) == [("99", "101")]
    for tick in ticks("100", "99.8", "100", begin=6):
        crossings.feed(tick)
    assert fired(crossings) == [("99.8", "100")]


def test_trades_that_are_not_remembered_are_asked_for():
    crossings = Crossings([alert(id=2, level="500", after=START + timedelta(seconds=5))])
    assert not crossings.add(alert(reference="99"))
    for tick in ticks("99", begin=6):
        crossings.feed(tick)
    assert not crossings.add(alert(reference="99"))


def test_what_the_worker_knew_goes_on_from_the_mark_of_its_symbol():
    mark = Mark("SPY", START + timedelta(seconds=2), 0, Decimal(101))
    assert fired(_fed(Crossings([alert(reference="99", known=True)], [mark]), "101", "101", "102")) == []
    assert fired(_fed(Crossings([alert(reference="99")], [mark]), "101", "101", "102")) == [("99", "101")]


def test_a_changed_or_removed_alert_takes_what_it_did_unseen_along():
    crossings = _fed(Crossings([alert(reference="99")]), "101")
    crossings.remove(1)
    assert (fired(crossings), len(crossings), dict(crossings.ladders)) == ([], 0, {})


def test_changes_are_written_as_of_the_last_of_them():
    crossings = _fed(Crossings([alert(reference="99", always=True)]), "100", "99", "99.5")
    (change,) = crossings.take().alerts
    assert (change.armed, change.tick, change.state) == (True, ticks("100", "99")[1], AlertState.ACTIVE)
    assert [mark.price for mark in _fed(crossings, "98", begin=9).take().marks] == [Decimal(98)]


@pytest.mark.parametrize(
    ("condition", "price", "already"),
    [(ABOVE, "100", True), (ABOVE, "99", False), (BELOW, "100", True), (BELOW, "101", False), (CROSSES, "100", False)],
)
def test_a_new_alert_says_when_the_price_is_past_its_level_already(condition, price, already):
    assert Added(alert(condition), Decimal(price)).already is already
    assert not Added(alert(condition), None).already


@pytest.mark.parametrize("level", ["0", "-1", "NaN", "Infinity", "1.23456", "9.99", "1000.01"])
def test_levels_that_make_no_sense_are_refused_in_words(level):
    with pytest.raises(BadLevel, match="price"):
        _refuse_odd(Decimal(level), Decimal(100))


@pytest.mark.parametrize("level", ["10", "1000", "99.1234", "1E2"])
def test_levels_that_make_sense_pass(level):
    _refuse_odd(Decimal(level), Decimal(100))


def test_symbols_without_alerts_are_forgotten():
    crossings = Crossings(replace(alert(reference="99"), id=n, level=Decimal(100 + n)) for n in range(100))
    _fed(crossings, "1000")
    assert len(fired(crossings)) == 100
    assert not crossings.ladders


def _fed(crossings, *prices, begin=1):
    for tick in ticks(*prices, begin=begin):
        crossings.feed(tick)
    return crossings
