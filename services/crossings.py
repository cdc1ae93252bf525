"""When prices cross the levels of alerts: one rule, at a cost per trade that does not grow with the alerts."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from db.models import Alert, AlertState, Condition, Mark
from services.feeds.base import Tick

HYSTERESIS = Decimal("0.001")
"""Share of the level by which the price must go back before an alert that has fired may fire again."""
REMEMBERED = 512
"""Trades of a symbol that are kept for alerts that become known a moment after they were made."""

Position = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Fired:
    """A trade crossed the level of an armed alert; `before` and `before_at` are the price until then."""

    alert: Alert
    tick: Tick
    before: Decimal
    before_at: datetime


@dataclass(frozen=True, slots=True)
class Armed:
    """A trade went far enough back for an alert to fire again."""

    alert: Alert
    tick: Tick


Event = Fired | Armed


class _Rung(NamedTuple):
    """A price at which something happens to an alert: a firing one is to be reached, any other to be passed.

    Those that wait for a fall have their height negated, so that either way a rung is due where it is smaller than
    (height of the price, 1).
    """

    height: Decimal
    to_be_passed: bool
    serial: int
    alert: Alert
    armed: bool


class Ladder:
    """The alerts of one symbol, each waiting at the next prices that mean something to it.

    `above L` fires at a trade at L or higher after a price below L, `below` mirrors it, `crosses` does both. What has
    fired must see a price more than `HYSTERESIS` back before it may fire again.
    """

    def __init__(self) -> None:
        self.last: Tick | None = None
        self._rises: list[_Rung] = []
        self._falls: list[_Rung] = []
        self._fresh: list[tuple[Position, int, Alert]] = []
        self._serials: dict[int, int] = {}
        self._counter = count()
        self._recent: deque[Tick] = deque(maxlen=REMEMBERED)

    def __len__(self) -> int:
        return len(self._serials)

    def __contains__(self, alert_id: object) -> bool:
        return alert_id in self._serials

    @property
    def begun(self) -> bool:
        """Whether trades are needed from some moment on."""
        return self.last is not None or bool(self._fresh)

    @property
    def needed_from(self) -> Position:
        """The trade after which all are needed: the last one, or where the first alert begins."""
        return position(self.last) if self.last else self._fresh[0][0]

    def add(self, alert: Alert, missed: Iterable[Tick] = ()) -> list[Event]:
        """Watch an alert, in place of what was known of it; returns what happened to it in the trades it has missed.

        `missed` ends with the last trade; trades up to the alert's own `after` do not count.
        """
        if self.last is None or position(self.last) <= (alert.after, alert.after_id):
            heappush(self._fresh, ((alert.after, alert.after_id), self._serial(alert), alert))
            return []
        alone = Ladder()
        alone.add(alert)
        events = [event for tick in missed for event in alone.feed(tick)]
        final = events[-1] if events else None
        if alert.id in alone:
            armed = isinstance(final, Armed) if final else alert.armed
            self._place(alert, self.last.price, armed=armed)
        else:
            self.remove(alert.id)
        return events

    def remove(self, alert_id: int) -> None:
        """Stop watching an alert; its rungs go when the price comes by."""
        self._serials.pop(alert_id, None)

    def feed(self, tick: Tick) -> list[Event]:
        """Return what a trade does to the alerts, in order; one that is not newer than the last does nothing."""
        last, here = self.last, position(tick)
        if last is not None and here <= position(last):
            return []
        if self._fresh and self._fresh[0][0] < here:
            self._take_in(tick)
        self.last = tick
        self._recent.append(tick)
        events: list[Event] = []
        price = tick.price
        rises, falls = self._rises, self._falls
        while rises and rises[0] < (price, 1):
            events += self._reach(heappop(rises), tick, last)
        while falls and falls[0] < (-price, 1):
            events += self._reach(heappop(falls), tick, last)
        return events

    def since(self, after: Position) -> list[Tick] | None:
        """Return the trades later than `after`, or None where they are not all remembered."""
        if not self._recent or position(self._recent[0]) > after:
            return None
        return [tick for tick in self._recent if position(tick) > after]

    def _serial(self, alert: Alert) -> int:
        serial = self._serials[alert.id] = next(self._counter)
        return serial

    def _take_in(self, tick: Tick) -> None:
        while self._fresh and self._fresh[0][0] < position(tick):
            _, serial, alert = heappop(self._fresh)
            if self._serials.get(alert.id) == serial:
                self._place(alert, tick.price if alert.reference is None else alert.reference, armed=alert.armed)

    def _place(self, alert: Alert, price: Decimal, *, armed: bool) -> None:
        serial = self._serial(alert)
        for rises, height, fires in _rungs(alert, price, armed=armed):
            rung = _Rung(height if rises else -height, not fires, serial, alert, armed)
            heappush(self._rises if rises else self._falls, rung)

    def _reach(self, rung: _Rung, tick: Tick, last: Tick | None) -> Iterator[Event]:
        alert = rung.alert
        if self._serials.get(alert.id) != rung.serial:
            return
        if rung.to_be_passed:
            self._place(alert, tick.price, armed=True)
            if not rung.armed:
                yield Armed(alert, tick)
            return
        if last is not None and position(last) > (alert.after, alert.after_id):
            before, before_at = last.price, last.at
        else:
            assert alert.reference is not None, "without a price before, a trade only says which side it is on"
            before, before_at = alert.reference, alert.after
        if alert.always:
            self._place(alert, tick.price, armed=False)
        else:
            self.remove(alert.id)
        yield Fired(alert, tick, before, before_at)


@dataclass(slots=True)
class Change:
    """What has become of one alert since the last time that changes were taken."""

    alert: Alert
    fired: list[Fired]
    armed: bool
    tick: Tick
    """At which it became so."""

    @property
    def state(self) -> AlertState:
        """The state that it is in now."""
        return AlertState.FIRED if self.fired and not self.alert.always else AlertState.ACTIVE


@dataclass(frozen=True, slots=True)
class Changes:
    """What must be written at once, so that whoever reads it can go on as if nothing had happened in between."""

    alerts: Sequence[Change]
    known: Sequence[Alert]
    """Alerts that have been taken up."""
    marks: Sequence[Mark]


class Crossings:
    """All alerts that are watched, and what is yet to be written of them."""

    def __init__(self, alerts: Iterable[Alert] = (), marks: Iterable[Mark] = ()) -> None:
        self._ladders: dict[str, Ladder] = {}
        self._symbols: dict[int, str] = {}
        self._changes: dict[int, Change] = {}
        self._known: dict[int, Alert] = {}
        self._moved: set[str] = set()
        begun = {mark.symbol: mark for mark in marks}
        gone_on = (_gone_on(alert, begun.get(alert.symbol)) for alert in alerts)
        for alert in sorted(gone_on, key=lambda alert: (alert.after, alert.after_id)):
            self.add(alert)

    def __len__(self) -> int:
        return len(self._symbols)

    def __contains__(self, alert_id: object) -> bool:
        return alert_id in self._symbols

    @property
    def ladders(self) -> Mapping[str, Ladder]:
        """The ladders of the symbols whose trades are wanted."""
        return self._ladders

    @property
    def urgent(self) -> bool:
        """Whether an alert has fired that nobody has been told of."""
        return any(change.fired for change in self._changes.values())

    def add(self, alert: Alert) -> bool:
        """Watch an alert, in place of what was known of it.

        False, and it is not watched, where it has missed trades that are not remembered.
        """
        self.remove(alert.id)
        ladder = self._ladders.get(alert.symbol, Ladder())
        after = (alert.after, alert.after_id)
        missed = ladder.since(after) if ladder.begun and after < ladder.needed_from else []
        if missed is None:
            return False
        self._ladders[alert.symbol] = ladder
        self._symbols[alert.id] = alert.symbol
        if not alert.known:
            self._known[alert.id] = alert
        self._note(ladder.add(alert, missed))
        return True

    def remove(self, alert_id: int) -> None:
        """Stop watching an alert, and its symbol with the last of its alerts."""
        self._changes.pop(alert_id, None)
        self._known.pop(alert_id, None)
        self._leave(alert_id)

    def feed(self, tick: Tick) -> None:
        """Judge the alerts of a symbol by a trade."""
        ladder = self._ladders.get(tick.symbol)
        if ladder is None:
            return
        self._note(ladder.feed(tick))
        self._moved.add(tick.symbol)

    def take(self) -> Changes:
        """Return what must be written, all of it in one transaction, and forget it."""
        last = [self._ladders[symbol].last for symbol in self._moved if symbol in self._ladders]
        marks = [Mark(tick.symbol, tick.at, tick.trade_id, tick.price) for tick in last if tick]
        # An alert without a trade yet must not be taken for judged up to a mark that was left by earlier ones.
        known = [alert for alert in self._known.values() if self._ladders[alert.symbol].last]
        changes = Changes(list(self._changes.values()), known, marks)
        for change in changes.alerts:
            if change.state is AlertState.FIRED:
                self._leave(change.alert.id)
        for alert in known:
            del self._known[alert.id]
        self._changes, self._moved = {}, set()
        return changes

    def _leave(self, alert_id: int) -> None:
        ladder = self._ladders.get(symbol := self._symbols.pop(alert_id, ""))
        if ladder is not None:
            ladder.remove(alert_id)
            if not len(ladder):
                del self._ladders[symbol]

    def _note(self, events: Iterable[Event]) -> None:
        for event in events:
            change = self._changes.setdefault(event.alert.id, Change(event.alert, [], armed=True, tick=event.tick))
            change.tick, change.armed = event.tick, isinstance(event, Armed)
            if isinstance(event, Fired):
                change.fired.append(event)


def position(tick: Tick) -> Position:
    """Return what orders the trades of a symbol."""
    return tick.at, tick.trade_id


def _gone_on(alert: Alert, mark: Mark | None) -> Alert:
    """Return the alert as it was at its symbol's mark, which it has reached if the worker knew it."""
    if mark is None or not alert.known or (mark.at, mark.trade_id) <= (alert.after, alert.after_id):
        return alert
    return replace(alert, after=mark.at, after_id=mark.trade_id, reference=mark.price)


def _rungs(alert: Alert, price: Decimal, *, armed: bool) -> list[tuple[bool, Decimal, bool]]:
    """Return (on a rise, height, fires there) of where an alert waits while the price is `price`."""
    level = alert.level
    back = Decimal(0) if armed else level * HYSTERESIS
    fire_up, fire_down = (True, level, True), (False, level, True)
    turn_down, turn_up = (False, level - back, False), (True, level + back, False)
    if alert.condition is Condition.ABOVE:
        return [fire_up if armed and price < level else turn_down]
    if alert.condition is Condition.BELOW:
        return [fire_down if armed and price > level else turn_up]
    if not armed or price == level:
        return [turn_down, turn_up]
    return [fire_up if price < level else fire_down]
