"""A price chart in words, for readers of each locale."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from test_price_chart import NONE, levels_of, walk

from bot import chart_cards, embeds
from bot.numbers import locale_of
from services.clock import Phase, Session
from services.price_history import PricePicture
from services.ranges import Interval, Range

NOW = datetime(2026, 11, 20, 18, tzinfo=ZoneInfo("America/New_York"))


def told(series, levels=NONE, locale="en-US", phase=Phase.OPEN, late=timedelta(seconds=4)):
    session = Session(phase, NOW, NOW + timedelta(hours=2), half_day=False)
    picture = PricePicture(series, levels, b"", series.last_at + late)
    headline, embed = chart_cards.chart(picture, session, locale_of(locale))
    return headline, embed, {field.name: field.value for field in embed.fields}


def test_the_first_line_carries_price_hours_and_change():
    series = walk()
    headline, embed, fields = told(series)
    up = series.change > 0
    assert headline.startswith(f"**SPY** {series.last:,.2f} after hours {'▲ +' if up else '▼ −'}")
    assert headline.endswith("% since the previous close")
    assert embed.colour == (embeds.GREEN if up else embeds.RED)
    assert embed.description == "1 day, candles of 5 min"
    lower = replace(series, base=series.last + 1)
    assert " ▼ −" in told(lower)[0]
    assert told(lower)[1].colour == embeds.RED
    assert fields["High / low"] == f"{series.high:,.2f} / {series.low:,.2f}"


def test_numbers_are_the_readers():
    series = walk(Range.YEAR, Interval.DAY, spot=12_000)
    headline, _, fields = told(series, levels_of(series, 0.05, -0.05, None), "de")
    german = f"{series.last:,.2f}".translate(str.maketrans(",.", ".,"))
    assert headline.startswith(f"**SPY** {german} ")
    assert "Call wall" in fields["Gamma levels"]
    call, put = fields["Gamma levels"].splitlines()
    assert "(+5,00" in call
    assert "(−5,00" in put


def test_the_age_the_delay_and_the_source_are_told():
    series = walk()
    at = int(series.last_at.timestamp())
    begun = replace(series, last_from=series.last_at - timedelta(seconds=20))
    assert told(begun)[2]["Data"] == f"Alpaca IEX · real time · at most 24 s old when shown · <t:{at}:T>"
    days = replace(series, last_from=None)
    assert told(days)[2]["Data"] == f"Alpaca IEX · real time · the last candle goes on · as of <t:{at}:T>"
    closed = told(series, phase=Phase.CLOSED, late=timedelta(hours=9))[2]["Data"]
    assert closed == f"Alpaca IEX · real time · last candle to <t:{at}:f> (<t:{at}:R>)"


def test_without_levels_the_foot_says_why():
    _, embed, fields = told(walk())
    assert "Gamma levels" not in fields
    assert embed.footer.text == "No gamma levels: no options at our sources"


@pytest.mark.parametrize("pair", [(Range.DAY, Interval.FIVE_MINUTES), (Range.FIVE_YEARS, Interval.WEEK)])
def test_a_single_candle_is_told_like_any_other(pair):
    series = walk(*pair, "2026-11-20T09:31", keep=0.0)
    headline, _, fields = told(series)
    assert "**SPY**" in headline
    assert fields["Previous close"] == "—" or series.previous_close
