"""Whatever breaks on the way, alerts fire at the trades at which a full replay says that they must."""

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from alert_oracle import replay
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from db.models import Alert, AlertState, Condition, Place
from services.crossings import Crossings, position
from services.feeds.base import Tick

CASES = int(os.environ.get("PULSE_ORACLE_CASES", "1500"))
START = datetime(2026, 11, 20, 15, tzinfo=UTC)
SYMBOLS = ("SPY", "QQQ")
# around the level of 100, on it, just inside and just outside of the band in which nothing is armed again
PRICES = [Decimal(text) for text in ("99.5", "99.89", "99.9", "99.95", "100", "100.05", "100.1", "100.11", "101")]
LEVELS = [Decimal(text) for text in ("99.9", "100", "100.05")]


@dataclass
class Store:
    """What PostgreSQL keeps, with the conditions of the statements in `db.alerts`."""

    alerts: dict[int, Alert] = field(default_factory=dict)
    marks: dict = field(default_factory=dict)
    fired: list = field(default_factory=list)

    def write(self, changes):
        self.write_alerts(changes)
        for alert in changes.known:
            if self.alerts[alert.id].version == alert.version:
                self.alerts[alert.id] = replace(self.alerts[alert.id], known=True)
        self.marks |= {mark.symbol: mark for mark in changes.marks}

    def write_alerts(self, changes):
        for change in changes.alerts:
            now, tick = self.alerts[change.alert.id], change.tick
            after = (now.after, now.after_id)
            if now.state is AlertState.ACTIVE and now.version == change.alert.version and after < position(tick):
                at = {"after": tick.at, "after_id": tick.trade_id, "reference": tick.price, "known": True}
                self.alerts[now.id] = replace(now, state=change.state, armed=change.armed, **at)
                self.fired += [(now.id, position(fired.tick)) for fired in change.fired]


class World:
    """A tape, a store, and a worker that is now and then cut off, late or dead."""

    def __init__(self):
        self.tape, self.store, self.lives = [], Store(), []
        self.untold, self.connected = [], True
        self.restart()

    def trade(self, symbol, price):
        # two trades a moment, told apart by their ids
        n = len(self.tape)
        tick = Tick(SYMBOLS[symbol], START + timedelta(seconds=n // 2), n, PRICES[price])
        self.tape.append(tick)
        if self.connected:
            self.crossings.feed(tick)
            self.tell()

    def make(self, symbol, condition, level, always, with_price):
        seen = [tick for tick in self.tape if tick.symbol == SYMBOLS[symbol]]
        after = position(self.tape[-1]) if self.tape else (START, -1)
        alert = Alert(
            id=len(self.store.alerts),
            token="",
            user_id=1,
            symbol=SYMBOLS[symbol],
            condition=list(Condition)[condition],
            level=LEVELS[level],
            always=always,
            place=Place(),
            state=AlertState.ACTIVE,
            armed=True,
            after=after[0],
            after_id=after[1],
            reference=seen[-1].price if seen and with_price else None,
            version=1,
            known=False,
            created_at=START,
        )
        self.change(alert)

    def arm_again(self, number, seconds):
        done = [alert for alert in self.store.alerts.values() if alert.state is AlertState.FIRED]
        if done:
            alert, (at, trade_id) = done[number % len(done)], position(self.tape[-1])
            at = {"after": at + timedelta(seconds=seconds), "after_id": trade_id, "reference": None, "armed": False}
            self.change(replace(alert, state=AlertState.ACTIVE, version=alert.version + 1, known=False, **at))

    def change(self, alert):
        self.store.alerts[alert.id] = alert
        self.lives.append(alert)
        self.untold.append(alert.id)

    def hear(self):
        """The worker is told what people have changed since."""
        told, self.untold = self.untold, []
        for number in told:
            if not self.crossings.add(self.store.alerts[number]):
                self.write()
                self.load()
                return
        if self.connected:
            self.catch_up()

    def cut(self):
        self.connected = False

    def connect(self):
        self.connected = True
        self.catch_up()

    def catch_up(self):
        self.feed_missed()
        self.tell()

    def feed_missed(self):
        needed = {symbol: ladder.needed_from for symbol, ladder in self.crossings.ladders.items()}
        for tick in self.tape:
            if tick.symbol in needed and position(tick) > needed[tick.symbol]:
                self.crossings.feed(tick)

    def tell(self):
        if self.crossings.urgent:
            self.write()

    def write(self):
        self.store.write(self.crossings.take())

    def restart(self):
        """The worker dies with all that it has not written."""
        self.untold = []
        self.load()

    def die_writing(self):
        """The worker dies between the transactions in which it writes, after an outage where there was one."""
        self.connected = True
        self.feed_missed()
        self.store.write_alerts(self.crossings.take())
        self.restart()

    def lose_a_firing(self, symbol, price):
        """The worker dies between a trade and the writing of what it did."""
        n = len(self.tape)
        tick = Tick(SYMBOLS[symbol], START + timedelta(seconds=n // 2), n, PRICES[price])
        self.tape.append(tick)
        if self.connected:
            self.crossings.feed(tick)
        self.restart()

    def load(self):
        active = [alert for alert in self.store.alerts.values() if alert.state is AlertState.ACTIVE]
        self.crossings = Crossings(active, self.store.marks.values())
        if self.connected:
            self.catch_up()


small = st.integers(0, 2)
symbols = st.sampled_from([0, 0, 0, 1])
trade = st.tuples(st.just("trade"), symbols, st.integers(0, len(PRICES) - 1))
steps = st.one_of(
    *[trade] * 6,
    st.tuples(st.just("make"), symbols, small, small, st.booleans(), st.booleans()),
    st.tuples(st.just("lose_a_firing"), symbols, st.integers(0, len(PRICES) - 1)),
    st.tuples(st.just("arm_again"), small, st.integers(0, 4)),
    st.sampled_from([("cut",), ("connect",), ("hear",), ("hear",), ("write",), ("restart",), ("die_writing",)]),
)


# An alert that no trade has judged yet, on a symbol with a mark that an earlier alert has left.
LEFT_A_MARK = [
    ("trade", 0, 0),
    ("make", 0, 1, 0, False, False),
    ("lose_a_firing", 0, 3),
    ("make", 0, 1, 0, False, True),
    ("trade", 0, 0),
    ("cut",),
    ("trade", 0, 0),
    ("restart",),
    ("write",),
    ("restart",),
]


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=10, max_size=80))
@example(LEFT_A_MARK)
def test_any_stream_with_any_mishaps_fires_what_a_full_replay_fires(history):
    world = World()
    for name, *arguments in history:
        getattr(world, name)(*arguments)
    world.hear()
    world.connect()
    world.write()
    # only what has fired for good is begun anew, so lives of one alert do not overlap
    expected = [firing for life in world.lives for firing in replay(life, world.tape)]
    assert sorted(world.store.fired) == sorted(expected)
