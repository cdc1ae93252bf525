"""The synthetic market: seeded prices that can be computed for any moment, on a clock that people may turn."""

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sandbox.listings import LISTED, Listed
from services.clock import NEW_YORK

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]

STEP_S = 5
"""Distance between two nodes of a price path; in between it is a straight line, so extremes lie on nodes."""
STEPS_A_MINUTE = 60 // STEP_S
PRE_S, POST_S = 19_800, 14_400
"""From 04:00 to 09:30, and for four hours after the close."""
PRE_STEPS, POST_STEPS = PRE_S // STEP_S, POST_S // STEP_S
TRADING_DAYS = 252
ANCHOR = date(2026, 11, 20)
"""The day on whose close the prices of `LISTED` hold."""
DAYS_BACK = 2600
"""How far the calendar reaches back, so that charts of five years have averages."""
_EPOCH = date(2010, 1, 1)
_WALKED = timedelta(days=365 + 400)
"""Days this far before the calendar's end (a year ahead) are not walked step by step: five years take a blink."""
_MARKET_VOLATILITY = 0.135
_OVERNIGHT = 0.2
"""Share of a day's variance that falls between the close and the next open."""


class Clock:
    """A clock that can be paused, sped up and set; it moves with real monotonic time."""

    def __init__(self, start: datetime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._base, self._mark = start, monotonic()
        self.speed, self.paused = 1.0, False

    def now(self) -> datetime:
        passed = 0.0 if self.paused else (self._monotonic() - self._mark) * self.speed
        return self._base + timedelta(seconds=passed)

    def turn(self, *, to: datetime | None = None, speed: float | None = None, paused: bool | None = None) -> None:
        self._base, self._mark = to or self.now(), self._monotonic()
        self.speed = self.speed if speed is None else speed
        self.paused = self.paused if paused is None else paused


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Bars as columns; `start` in seconds since 1970."""

    start: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Ints

    def __len__(self) -> int:
        return len(self.start)

    def cut(self, keep: NDArray[np.bool_]) -> "Candles":
        return Candles(*(getattr(self, name)[keep] for name in self.__slots__))


class Market:
    """Prices of `LISTED` at any moment of a calendar of (open, close) pairs; days are counted by their index in it."""

    def __init__(
        self,
        sessions: Sequence[tuple[datetime, datetime]],
        *,
        seed: int = 75,
        start: datetime | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions, self.seed = sessions, seed
        self._opens = np.array([int(opens.timestamp()) for opens, _ in sessions], np.int64)
        self._closes = np.array([int(closes.timestamp()) for _, closes in sessions], np.int64)
        self._dates = [opens.astimezone(NEW_YORK).date() for opens, _ in sessions]
        self._long_ago = bisect_right(self._dates, self._dates[-1] - _WALKED)
        self._nudges: list[tuple[str, float, float]] = []
        self._walk = lru_cache(100)(self._draw_walk)
        self._moves = lru_cache(None)(self._draw_moves)
        self._levels = lru_cache(None)(self._sum_levels)
        self._volumes = lru_cache(64)(self._draw_volumes)
        self._days = lru_cache(2000)(self._whole_day)
        self.clock = Clock(start or self._first_moment(datetime.now(UTC)), monotonic)

    def _first_moment(self, now: datetime) -> datetime:
        day = self.day(now.timestamp())
        if self.phase(now.timestamp()) == "open":
            return now
        last = day if now.timestamp() >= self._opens[day] else day - 1
        return self.sessions[max(last, 0)][0] + timedelta(hours=1)

    async def close(self) -> None:
        """Nothing runs in the background: a moment's prices are computed when asked for."""

    # --- time

    def now(self) -> datetime:
        """Return the simulated time, aware UTC, held inside the calendar."""
        (first, _), (_, last) = self.sessions[0], self.sessions[-1]
        return min(max(self.clock.now(), first), last)

    def day(self, at: float) -> int:
        """Return the index of the trading day, from 04:00 New York, that has begun last."""
        return max(int(np.searchsorted(self._opens - PRE_S, at, "right")) - 1, 0)

    def date_of(self, day: int) -> date:
        return self._dates[day]

    def day_on_or_before(self, wanted: date) -> int:
        return bisect_right(self._dates, wanted) - 1

    def days(self) -> int:
        return len(self._dates)

    def hours(self, day: int) -> tuple[int, int]:
        """Return open and close of a day in seconds since 1970."""
        return int(self._opens[day]), int(self._closes[day])

    def phase(self, at: float) -> str:
        """Return open, pre, post or closed."""
        opens, closes = self.hours(self.day(at))
        if opens <= at < closes:
            return "open"
        if opens - PRE_S <= at < opens:
            return "pre"
        return "post" if closes <= at < closes + POST_S else "closed"

    def jump(self, target: str) -> None:
        """Set the clock to the next open or close, into the next day's session, or to an ISO time; ValueError else."""
        now = self.now()
        sessions = self.sessions
        if target == "open":
            to = next((opens for opens, _ in sessions if opens > now), None)
        elif target == "close":
            to = next((closes for _, closes in sessions if closes > now), None)
        elif target == "next_day":
            today = now.astimezone(NEW_YORK).date()
            ahead = (opens for opens, _ in sessions if opens.astimezone(NEW_YORK).date() > today)
            to = next((opens + timedelta(hours=1) for opens in ahead), None)
        else:
            to = datetime.fromisoformat(target)
            to = (to if to.tzinfo else to.replace(tzinfo=NEW_YORK)).astimezone(UTC)
        if to is None or not sessions[0][0] <= to <= sessions[-1][1]:
            raise ValueError(f"the calendar goes from {self._dates[0]} to {self._dates[-1]}")
        self.clock.turn(to=to)

    # --- prices

    def nudge(self, symbol: str, percent: float) -> None:
        """Move a symbol, and what shares its path, from now on."""
        self._nudges.append((LISTED[symbol].path, self.now().timestamp(), math.log1p(percent / 100)))

    @property
    def nudges(self) -> int:
        """How often people have moved prices: part of the key of everything that is kept."""
        return len(self._nudges)

    def traded_at(self, symbol: str, at: float) -> float:
        """Return the latest moment, not after `at`, at which the symbol could trade; indices only while open."""
        day = self.day(at)
        opens, closes = self.hours(day)
        if LISTED[symbol].is_index:
            return min(at, closes) if at >= opens else self._closes[max(day - 1, 0)]
        return min(at, closes + POST_S)

    def price(self, symbol: str, at: float) -> float:
        """Return the price at a moment, in cents; between sessions the last one."""
        at = self.traded_at(symbol, at)
        day = self.day(at)
        position = max(at - self.hours(day)[0] + PRE_S, 0) / STEP_S
        before = int(position)
        around = self._log_path(LISTED[symbol], day, slice(before, before + 2))
        log = around[0] + (position - before) * (around[-1] - around[0])
        return round(math.exp(log + self._nudged(LISTED[symbol].path, at)), 2)

    def last_close(self, symbol: str, day: int) -> float:
        """Return the official close of a day."""
        return self.price(symbol, float(self._closes[max(day, 0)]))

    def today(self, at: float) -> int:
        """Return the day whose session has begun last."""
        day = self.day(at)
        return day if at > self.hours(day)[0] else max(day - 1, 0)

    def change(self, symbol: str, at: float) -> float:
        """Return the move since the close before the latest trade's day, as a fraction."""
        before = self.last_close(symbol, self.day(self.traded_at(symbol, at)) - 1)
        return self.price(symbol, at) / before - 1

    def daily(self, symbol: str, day: int, until: float) -> Candles:
        """Return the bar of one regular session as far as it has come by `until`, which is after its open."""
        _, closes = self.hours(day)
        if until >= closes:
            return self._days(symbol, day, self._nudges_before(closes))
        return self._session(symbol, day, until)

    def dailies(self, symbol: str, first: int, last: int, until: float) -> Candles:
        """Return the daily bars of the days first..last, as far as they have begun."""
        begun = [day for day in range(max(first, 0), last + 1) if self._opens[day] < until]
        return join([self.daily(symbol, day, until) for day in begun])

    def minutes(self, symbol: str, day: int, until: float, since: float = 0) -> Candles:
        """Return the minute bars of one day, extended hours included, from a full minute to the running one."""
        opens, closes = self.hours(day)
        index = LISTED[symbol].is_index
        since = max(since, opens if index else opens - PRE_S)
        until = min(until, closes if index else closes + POST_S)
        if until <= since:
            return join([])
        prices = self._nodes(symbol, day, since, until)
        count = math.ceil((until - since) / 60)
        padded = np.append(prices, np.full(STEPS_A_MINUTE, prices[-1]))[: count * STEPS_A_MINUTE + 1]
        inside = padded[:-1].reshape(count, STEPS_A_MINUTE)
        after = padded[STEPS_A_MINUTE::STEPS_A_MINUTE]
        return Candles(
            int(since) + 60 * np.arange(count, dtype=np.int64),
            inside[:, 0],
            np.maximum(inside.max(1), after),
            np.minimum(inside.min(1), after),
            after,
            np.diff(self._traded(symbol, day, since + 60.0 * np.arange(count + 1), until)),
        )

    def _whole_day(self, symbol: str, day: int, _nudges: int) -> Candles:
        if day < self._long_ago:
            return self._rough_day(LISTED[symbol], day)
        return self._session(symbol, day, float(self._closes[day]))

    def _rough_day(self, listed: Listed, day: int) -> Candles:
        rng = np.random.default_rng([self.seed, crc32(listed.symbol.encode()), self._dates[day].toordinal(), 2])
        common, own = _loadings(listed)
        gap, move = common * self._moves("market")[day] + own * self._moves(listed.path)[day]
        ends = self._level(listed, day) + np.array([gap, gap + move])
        beyond = 0.4 * math.hypot(common, own) * np.abs(rng.standard_normal(2))
        opened, close = np.round(np.exp(ends), 2).reshape(2, 1)
        high, low = np.round(np.exp([[ends.max() + beyond[0]], [ends.min() - beyond[1]]]), 2)
        volume = np.array([self._volume(listed, day, rng)], np.int64)
        return Candles(self._midnight(day), opened, high, low, close, volume)

    def _midnight(self, day: int) -> Ints:
        midnight = datetime.combine(self._dates[day], datetime.min.time(), NEW_YORK)
        return np.array([int(midnight.timestamp())])

    def _session(self, symbol: str, day: int, until: float) -> Candles:
        opens = int(self._opens[day])
        prices = self._nodes(symbol, day, opens, until)
        volume = self._traded(symbol, day, np.array([opens, until]), until)
        return Candles(
            self._midnight(day),
            prices[:1],
            prices.max(keepdims=True),
            prices.min(keepdims=True),
            prices[-1:],
            np.diff(volume),
        )

    def _nodes(self, symbol: str, day: int, since: float, until: float) -> Floats:
        begins = int(self._opens[day]) - PRE_S
        first, last = int(since - begins) // STEP_S, int(until - begins) // STEP_S
        logs = self._log_path(LISTED[symbol], day, slice(first, last + 1))
        for moved, when, size in self._nudges:
            if moved == LISTED[symbol].path:
                logs[max(math.ceil((when - begins) / STEP_S) - first, 0) :] += size
        return np.round(np.append(np.exp(logs), self.price(symbol, until)), 2)

    def _nudged(self, path: str, at: float) -> float:
        return sum(size for moved, when, size in self._nudges if moved == path and when <= at)

    def _nudges_before(self, at: float) -> int:
        return sum(when <= at for _, when, _ in self._nudges)

    # --- the random part

    def _log_path(self, listed: Listed, day: int, part: slice) -> Floats:
        common, own = _loadings(listed)
        walk = common * self._walk("market", day)[part]
        if own:
            walk = walk + own * self._walk(listed.path, day)[part]
        return np.asarray(walk + self._level(listed, day), np.float64)

    def _level(self, listed: Listed, day: int) -> float:
        """Return the logarithm of the close before a day."""
        levels = self._levels(listed.path)
        before = _memory(listed.path) * levels[day - 1] if day else 0.0
        return float(math.log(listed.price) + before - levels[max(self.day_on_or_before(ANCHOR), 0)])

    def _draw_moves(self, name: str) -> Floats:
        rng = np.random.default_rng([self.seed, crc32(name.encode())])
        span = (self._dates[-1] - _EPOCH).days + 2
        moves = rng.standard_normal((span, 2)) * np.sqrt([_OVERNIGHT, 1 - _OVERNIGHT])
        return moves[[(day - _EPOCH).days for day in self._dates]]

    def _sum_levels(self, path: str) -> Floats:
        common, own = _loadings(next(listed for listed in LISTED.values() if listed.path == path))
        moves = common * self._moves("market").sum(1) + own * self._moves(path).sum(1)
        growth = _memory(path) ** np.arange(len(moves))
        return np.asarray(growth * np.cumsum(moves / growth))

    def _draw_walk(self, name: str, day: int) -> NDArray[np.float32]:
        moves = self._moves(name)
        gap, move = moves[day]
        next_gap = moves[day + 1][0] if day + 1 < len(moves) else 0.0
        rng = np.random.default_rng([self.seed, crc32(name.encode()), self._dates[day].toordinal()])
        steps = int(self._closes[day] - self._opens[day]) // STEP_S
        # More moves at the open and the close than at noon: the U of every trading day.
        noon = np.linspace(-1, 1, steps)
        pre = _bridge(rng, np.full(PRE_STEPS, 0.03 / PRE_STEPS), 0.5 * gap, gap)
        regular = _bridge(rng, (1 - _OVERNIGHT) / steps * (0.6 + 1.2 * noon**2), gap, gap + move)
        post = _bridge(rng, np.full(POST_STEPS, 0.02 / POST_STEPS), gap + move, gap + move + 0.3 * next_gap)
        return np.concatenate([[0.5 * gap], pre, regular, post], dtype=np.float32, casting="same_kind")

    def _draw_volumes(self, symbol: str, day: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng([self.seed, crc32(symbol.encode()), self._dates[day].toordinal(), 1])
        opens, closes = self.hours(day)
        minutes = (closes - opens) // 60
        total = self._volume(LISTED[symbol], day, rng)
        noon = np.linspace(-1, 1, minutes)
        weights = (0.5 + 1.5 * noon**2) * np.exp(0.5 * rng.standard_normal(minutes))
        regular = total * weights / weights.sum()
        quiet = total * 1e-4 * np.exp(rng.standard_normal((PRE_S + POST_S) // 60))
        each = np.concatenate([quiet[: PRE_S // 60], regular, quiet[PRE_S // 60 :]])
        times = opens - PRE_S + 60.0 * np.arange(len(each) + 1)
        return times, np.concatenate([[0.0], np.cumsum(each)])

    def _volume(self, listed: Listed, day: int, rng: np.random.Generator) -> float:
        opens, closes = self.hours(day)
        return listed.volume * math.exp(0.25 * rng.standard_normal()) * (closes - opens) / 23_400

    def _traded(self, symbol: str, day: int, times: Floats, until: float) -> Ints:
        if LISTED[symbol].is_index:
            return np.zeros(len(times), np.int64)
        minutes, total = self._volumes(symbol, day)
        return np.interp(np.minimum(times, until), minutes, total).astype(np.int64)


def join(parts: list[Candles]) -> Candles:
    """Put bars one after the other."""
    if not parts:
        none = np.empty(0)
        return Candles(none.astype(np.int64), none, none, none, none, none.astype(np.int64))
    return Candles(*(np.concatenate([getattr(part, name) for part in parts]) for name in Candles.__slots__))


def merge(bars: Candles, seconds: int, offset: int = 0) -> Candles:
    """Join short bars to longer ones that start at multiples of `seconds` from `offset`."""
    if not len(bars):
        return bars
    slot = (bars.start - offset) // seconds
    first = np.flatnonzero(np.diff(slot, prepend=slot[0] - 1))
    last = np.append(first[1:], len(slot)) - 1
    return Candles(
        slot[first] * seconds + offset,
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )


def _loadings(listed: Listed) -> tuple[float, float]:
    common = listed.beta * _MARKET_VOLATILITY
    own = math.sqrt(max(listed.volatility**2 - common**2, 0.0))
    return common / math.sqrt(TRADING_DAYS), own / math.sqrt(TRADING_DAYS)


def _memory(path: str) -> float:
    """How much of a level is left after a day: volatility returns to its mean within weeks, prices never."""
    return 0.95 if path == "VIX" else 1.0


def _bridge(rng: np.random.Generator, variances: Floats, start: float, end: float) -> Floats:
    steps = np.cumsum(rng.standard_normal(len(variances)) * np.sqrt(variances))
    share = np.cumsum(variances) / variances.sum()
    return np.asarray(start + steps + share * (end - start - steps[-1]))
