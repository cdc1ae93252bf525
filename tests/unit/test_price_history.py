"""Price charts on the way from the sources to the picture: kept pictures, recordings, and levels that are missing."""

import asyncio
import gc
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest

from db.models import Theme
from services.clock import load_calendar
from services.errors import BadData, FeedUnavailable, NoChain, NothingTraded
from services.feeds.base import Bar, Bars, Feed, Offer, Quote
from services.levels import Levels
from services.market import Market
from services.plans import PLANS, Plan
from services.price_history import MOST_PICTURES, PriceHistory
from services.price_series import OptionLevels, PriceLevel
from services.ranges import Interval, Range
from services.readers import Reader

CALENDAR = load_calendar(date(2026, 11, 22), 500)
NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


class Source(Feed):
    """A feed with a day candle for each day up to its last one, and whatever chain it is told to fail with."""

    name = "source"
    offers = frozenset(Offer)

    def __init__(self, *, last=NOW, delay=timedelta(0), no_chain=None):
        self.last, self.delay, self.no_chain = last, delay, no_chain or NoChain("SPY")

    async def bars(self, symbol, _interval, start, end):
        days = [self.last.replace(hour=5) - timedelta(days=back) for back in range(400)]
        found = [Bar(day, *[Decimal(100)] * 4, 10) for day in sorted(days) if start <= day <= end]
        return Bars(symbol, tuple(found), "source", self.delay, self.now())

    async def quotes(self, symbols):
        return {symbol: Quote(symbol, Decimal(100), self.last, "source", self.delay) for symbol in symbols}

    async def chain(self, _symbol):
        if isinstance(self.no_chain, float):
            await asyncio.sleep(self.no_chain)
        raise self.no_chain

    def now(self):
        return NOW

    async def close(self):
        pass


class Desk:
    """Draws here and counts how often."""

    def __init__(self):
        self.drawn = 0

    async def run(self, _work, *_arguments):
        self.drawn += 1
        await asyncio.sleep(0)
        return b"%d" % self.drawn


class Charts:
    """Price charts as one person asks for them."""

    def __init__(self, charts, reader):
        self.all = charts
        self.series, self.option_levels, self.picture = (
            partial(verb, reader) for verb in (charts.series, charts.option_levels, charts.picture)
        )


def history(source, desk=None):
    market, desk = Market([source], CALENDAR), desk or Desk()
    return Charts(PriceHistory(Levels(desk), desk), Reader(market, PLANS[Plan.ELITE]))


async def picture(charts, symbol="SPY", theme=Theme.DARK, *, with_levels=False):
    return await charts.picture(symbol, Range.HALF_YEAR, Interval.DAY, theme, with_levels=with_levels)


async def test_one_picture_serves_all_who_ask_for_the_same():
    desk = Desk()
    charts = history(Source(), desk)
    await asyncio.gather(*(picture(charts) for _ in range(20)))
    assert desk.drawn == 1
    await picture(charts, theme=Theme.LIGHT)
    assert desk.drawn == 2
    await charts.picture("SPY", Range.HALF_YEAR, Interval.WEEK, Theme.DARK, with_levels=False)
    await charts.picture("SPY", Range.YEAR, Interval.DAY, Theme.DARK, with_levels=False)
    assert desk.drawn == 4
    await charts.picture("SPY", Range.HALF_YEAR, Interval.DAY, Theme.DARK, with_levels=True)
    assert desk.drawn == 5, "its line on the levels is another"


async def test_pictures_are_kept_up_to_a_bound():
    desk = Desk()
    charts = history(Source(), desk)
    for theme in Theme:
        for number in range(MOST_PICTURES // 4 + 1):
            await picture(charts, f"S{number}", theme)
    assert len(charts.all._kept._made) == MOST_PICTURES
    drawn = desk.drawn
    await picture(charts, "S8", Theme.COLOUR_BLIND_LIGHT)
    assert desk.drawn == drawn
    await picture(charts, "S0")
    assert desk.drawn == drawn + 1


async def test_a_picture_goes_with_the_answer_that_it_shows(monkeypatch):
    monkeypatch.setattr("services.market.BARS_KEPT", timedelta(0))
    desk = Desk()
    charts = history(Source(), desk)
    for _ in range(3):
        await picture(charts)
        await asyncio.sleep(0)
    gc.collect()
    assert (desk.drawn, len(charts.all._kept._made)) == (3, 1), "the same time at the source, and yet another answer"


async def test_a_drawing_that_failed_is_tried_again():
    desk = Desk()
    charts = history(Source(), desk)
    good, desk.run = desk.run, None
    with pytest.raises(TypeError):
        await picture(charts)
    desk.run = good
    assert (await picture(charts)).png == b"1"


async def test_a_recording_is_charted_up_to_its_end():
    ended = datetime(2018, 1, 10, 21, tzinfo=UTC)
    series = await history(Source(last=ended, delay=None)).series("SPY", Range.HALF_YEAR, Interval.DAY)
    assert series.last_at.date() == date(2018, 1, 10)
    assert len(series.candles) > 100


async def test_a_live_source_without_trades_is_refused():
    with pytest.raises(NothingTraded):
        await history(Source(last=datetime(2018, 1, 10, 21, tzinfo=UTC))).series("SPY", Range.YEAR, Interval.DAY)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (NoChain("SPY"), "no gamma levels: no options at our sources"),
        (FeedUnavailable("source", "it is down"), "no gamma levels: the options are not available right now"),
        (BadData("too old"), "no gamma levels: the options are not available right now"),
    ],
)
async def test_without_levels_the_reason_is_told_instead(failure, words):
    levels = await history(Source(no_chain=failure)).option_levels("SPY")
    assert levels == OptionLevels((), words)


async def test_who_has_used_up_the_day_is_told_so_and_costs_no_request():
    levels = (await picture(history(Source(no_chain=AssertionError())))).levels
    assert levels.words == "no gamma levels: today's gamma answers of your plan are used up"


async def test_a_chart_does_not_wait_for_slow_options(monkeypatch):
    monkeypatch.setattr("services.price_history.LEVELS_WITHIN_S", 0.01)
    levels = await history(Source(no_chain=5.0)).option_levels("SPY")
    assert levels.words == "gamma levels are on their way: refresh"


async def test_levels_of_another_time_are_left_out(monkeypatch):
    charts = history(Source())
    old = OptionLevels((PriceLevel("Flip", 99.0),), "gamma levels of 1 Nov", NOW - timedelta(days=19))

    async def levels(_reader, _symbol, found=old):
        return found

    monkeypatch.setattr(charts.all, "option_levels", levels)
    assert (await picture(charts, with_levels=True)).levels == OptionLevels((), "no gamma levels of that time")
    monkeypatch.setattr(charts.all, "option_levels", lambda *_: levels(*_, found=replace(old, as_of=NOW)))
    assert (await picture(charts, with_levels=True)).levels.prices == old.prices
