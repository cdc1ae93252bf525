"""The facts of the price chart in words: its alternative text, and the figures and phrases written on it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from services.bars import Part
from services.clock import NEW_YORK
from services.price_series import OptionLevels, PriceSeries
from services.ranges import INTERVAL_WORDS, RANGE_WORDS, Range
from services.source_words import lateness


def alt_text(series: PriceSeries, levels: OptionLevels) -> str:
    """Tell the picture's facts in at most 1,024 characters, for readers who hear it."""
    s = series
    facts = [
        f"Candles of {INTERVAL_WORDS[s.interval]} of {s.symbol} over {RANGE_WORDS[s.reach]}.",
        f"To {moment(s.last_at, s.delay)}{hours(s)}.",
        f"Last {figure(s.last)}, {dollars(s)} ({share(s)}) {measured_from(s)}.",
        f"High {figure(s.high)}, low {figure(s.low)}.",
        *([f"Previous close {figure(s.previous_close)}."] if s.previous_close else ()),
        *(f"{average.name} {figure(float(average.values[-1]))}." for average in s.averages),
        *([f"VWAP {figure(now)}."] if (now := vwap_now(s)) else ()),
        *(f"{level.name} {figure(level.price)}, {distance(level.price, s.last)} away." for level in levels.prices),
    ]
    return f"{' '.join(facts)} {'; '.join(provenance(s, levels))}."[:1024]


def provenance(series: PriceSeries, levels: OptionLevels) -> list[str]:
    """Tell what the picture rests on: source, delay, hours, what is missing, and whose the levels are."""
    s = series
    left_out = [f"the last {len(s.candles)} candles"] if s.left_out else []
    volume = [] if s.has_volume else ["no volume from this source, so no VWAP" if s.interval.intraday else "no volume"]
    return [f"{s.source}, {lateness(s.delay)}", *left_out, *_shown(s), *_half_days(s), *volume, levels.words]


def figure(price: float) -> str:
    """Write a price with two decimals, four below a dollar."""
    return f"{price:,.{4 if abs(price) < 1 else 2}f}"


def dollars(series: PriceSeries) -> str:
    """Write the change over the range in dollars, with its sign."""
    places = 4 if series.base < 1 else 2
    move = round(series.change, places)
    return f"{'+' if move >= 0 else '−'}{abs(move):,.{places}f}"


def share(series: PriceSeries) -> str:
    """Write the change over the range in percent, with its sign."""
    return distance(series.last, series.base)


def measured_from(series: PriceSeries) -> str:
    """Tell what the change is measured from."""
    if not series.base_is_close:
        return "since the first price of the range"
    return "since the previous close" if series.reach is Range.DAY else f"in {RANGE_WORDS[series.reach]}"


def distance(price: float, base: float) -> str:
    """Write how far a price is from another, in percent of that one."""
    return f"{round(price / base - 1, 4) + 0.0:+.2%}".replace("-", "−")


def moment(at: datetime, delay: timedelta | None) -> str:
    """Write a moment in New York time, of a recording with its year."""
    local = at.astimezone(NEW_YORK)
    return f"{local.day} {local:%b}{f' {local.year}' if delay is None else ''} {local:%H:%M} ET"


def hours(series: PriceSeries) -> str:
    """Name the part of the day that the last candle belongs to, unless it is the regular session."""
    return {Part.PRE: " · pre-market", Part.POST: " · after hours"}.get(Part(int(series.candles.part[-1])), "")


def vwap_now(series: PriceSeries) -> float | None:
    """Return the newest VWAP of the last day, None before its open."""
    if series.vwap is None:
        return None
    of_last_day = series.vwap[series.candles.day == series.candles.day[-1]]
    known = of_last_day[np.isfinite(of_last_day)]
    return float(known[-1]) if len(known) else None


def _shown(series: PriceSeries) -> list[str]:
    if not series.interval.intraday:
        return []
    if series.reach is Range.DAY:
        return ["pre-market and after hours shaded"]
    return ["regular hours" if series.candles.regular.all() else "regular hours, then what has traded since"]


def _half_days(series: PriceSeries) -> Sequence[str]:
    days = [_day(day) for day in series.half_days]
    return [f"half day{'s' if len(days) > 1 else ''}: {', '.join(days)}"] if days else []


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"
