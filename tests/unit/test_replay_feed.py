"""The feed over a folder of recordings."""

import asyncio
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
import structlog

from services.errors import BadData, NoChain, UnknownSymbol
from services.feeds import bar_files, cboe_files
from services.feeds.replay import Replay

TABLE = """
{name},Last: {last},Change:  {change}
"Date: {date}",Bid: 100.1,Ask: 100.3,Size: 2*4,"Volume: 75,744,434"
Expiration Date,Calls,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest,Strike,Puts,Last Sale,Net,Bid,Ask,\
Volume,IV,Delta,Gamma,Open Interest
Fri Mar 20 2026,{root}260320C00100000,1,0,2.0,2.2,7,0.3,0.5,0.05,11,100.00,\
{root}260320P00100000,1,0,1.9,2.1,8,0.31,-0.5,0.05,12
Fri Mar 20 2026,{root}260320C00102500,1,0,,2.2,"1,200",0.3,0.5,0.05,11,102.50,\
{root}260320P00102500,1,0,1.9,2.1,8,,-0.5,0.05,12
"""
ANSWER = """{{"timestamp":"{timestamp}","data":{{"options":[
{{"option":"{root}260320C00100000","bid":2.0,"ask":2.2,"iv":0.3,"open_interest":11.0,"volume":7.0,"delta":0.5,"gamma":0.05,"theo":2.1}},
{{"option":"{root}1260320C00100000","bid":9.0,"ask":9.2,"iv":0.3,"open_interest":99.0,"volume":7.0,"delta":0.5,"gamma":0.05}},
{{"option":"{root}260320P00100000","bid":null,"ask":2.1,"iv":0.0,"open_interest":12.0,"volume":8.0,"delta":-0.5,"gamma":0.05}}
],"symbol":"^{root}","current_price":{price},"prev_day_close":99.5,"bid":0.0,"ask":0.0,"open":99.7,"high":101.25,"low":99.1,"volume":0}},"symbol":"_{root}"}}"""
DAILY = "Date,Open,High,Low,Close,Adj Close,Volume\n2026-03-09,1,3,0.5,2,2,10\n2026-03-10,2,4.25,1.5,3.10,3,20\n"
MINUTES = """Date,Open,Close,High,Low,Volume
11/5/2019 9:30,10,11,12,9,1
11/5/2019 9:31,11,12,13,10,2
11/5/2019 9:35,12,13,14,11,3
11/6/2019 9:30,20,21,22,19,4
"""


def table(root="ABC", when="March 11, 2026 at 2:00 PM EDT", last="100.25", change="0.75", name="ABC Incorporated"):
    return TABLE.format(root=root, date=when, last=last, change=change, name=name)


def answer(root="ABC", timestamp="2026-03-12 01:00:00", price="101.5000"):
    return ANSWER.format(root=root, timestamp=timestamp, price=price)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "abc_20260311.csv").write_text(table())
    (tmp_path / "deep" / "deeper" / "abc_20260310.csv").write_text(table(when="March 10, 2026 at 2:00 PM EDT"))
    (tmp_path / "deep" / "yahoofinance-XYZ-2026.csv").write_text(DAILY)
    (tmp_path / "deep" / "MIN_NOV2019.csv").write_text(MINUTES)
    return tmp_path


async def test_symbols_and_names_come_from_the_files(folder):
    listings = await Replay(folder).listings()
    assert [(listing.symbol, listing.name) for listing in listings] == [
        ("ABC", "ABC Incorporated"),
        ("MIN", "MIN"),
        ("XYZ", "XYZ"),
    ]


async def test_the_newest_chain_wins_whatever_its_format(folder):
    feed = Replay(folder)
    assert (await feed.chain("ABC")).as_of == datetime(2026, 3, 11, 18, 0, tzinfo=UTC)
    (folder / "deep" / "_ABC.json").write_text(answer())
    chain = await Replay(folder).chain("ABC")
    assert chain.as_of == datetime(2026, 3, 12, 1, 0, tzinfo=UTC)
    assert chain.spot == 101.5


async def test_quotes_are_exactly_as_written(folder):
    quote = (await Replay(folder).quotes(["ABC", "NOPE"]))["ABC"]
    assert str(quote.price) == "100.25"
    assert quote.previous_close == Decimal("99.50")
    assert (quote.bid, quote.ask, quote.volume) == (Decimal("100.1"), Decimal("100.3"), 75_744_434)
    assert quote.delay is None
    assert quote.name == "ABC Incorporated"
    assert "Cboe" in quote.source


async def test_quotes_of_an_answer(folder):
    (folder / "abc.json").write_text(answer())
    quote = (await Replay(folder).quotes(["ABC"]))["ABC"]
    assert str(quote.price) == "101.5000"
    assert (quote.previous_close, quote.day_open) == (Decimal("99.5"), Decimal("99.7"))
    assert (quote.day_low, quote.day_high) == (Decimal("99.1"), Decimal("101.25"))
    assert (quote.bid, quote.ask, quote.volume) == (None, None, None), "Cboe writes 0 for none"


async def test_quotes_come_from_candles_where_there_is_no_chain(folder):
    quotes = await Replay(folder).quotes(["XYZ", "MIN"])
    daily, minute = quotes["XYZ"], quotes["MIN"]
    assert (str(daily.price), daily.previous_close) == ("3.10", Decimal(2))
    assert (daily.day_low, daily.day_high, daily.volume) == (Decimal("1.5"), Decimal("4.25"), 20)
    assert daily.as_of == datetime(2026, 3, 10, 20, 0, tzinfo=UTC)
    assert (minute.price, minute.previous_close) == (Decimal(21), Decimal(13))
    assert minute.as_of == datetime(2019, 11, 6, 14, 31, tzinfo=UTC)


async def test_candles_are_put_together(folder):
    feed = Replay(folder)
    start, end = datetime(2019, 11, 5, tzinfo=UTC), datetime(2019, 11, 6, tzinfo=UTC)
    minutes = (await feed.bars("MIN", timedelta(minutes=1), start, end)).bars
    assert [bar.start.minute for bar in minutes] == [30, 31, 35]
    first, second = (await feed.bars("MIN", timedelta(minutes=5), start, end)).bars
    assert (first.open, first.high, first.low, first.close, first.volume) == (10, 13, 9, 12, 3)
    assert second.start == datetime(2019, 11, 5, 14, 35, tzinfo=UTC)
    days = (await feed.bars("MIN", timedelta(days=1), start, datetime(2019, 11, 8, tzinfo=UTC))).bars
    assert [(bar.start, bar.close) for bar in days] == [
        (datetime(2019, 11, 5, 5, tzinfo=UTC), 13),
        (datetime(2019, 11, 6, 5, tzinfo=UTC), 21),
    ]
    assert (await feed.bars("XYZ", timedelta(minutes=1), start, end)).bars == ()
    assert (await feed.bars("NOPE", timedelta(days=1), start, end)).bars == ()


async def test_unknown_symbols_and_symbols_without_options(folder):
    feed = Replay(folder)
    with pytest.raises(UnknownSymbol):
        await feed.chain("NOPE")
    with pytest.raises(NoChain):
        await feed.chain("XYZ")


async def test_what_cannot_be_read_is_left_out_with_a_warning(folder):
    (folder / "foreign_1.csv").write_text("a,b\n1,2\n")
    (folder / "foreign_2.json").write_text('{"symbol":"SPY","quotes":[]}')
    (folder / "empty.csv").write_bytes(b"")
    (folder / "noise.json").write_bytes(bytes(range(256)) * 20)
    (folder / "20260311.csv").write_text(table())
    (folder / "bad_bars.csv").write_text("Date,Open,High,Low,Close\nsome day,1,2,3,4\n")
    (folder / "notes.txt").write_text("not looked at")
    (folder / "abc_99.json").write_text(answer(timestamp="2026-04-01 01:00:00")[:500])
    (folder / "abc_98.csv").write_text(table(when="March 31, 2026 at 2:00 PM EDT").replace("Puts", "Nothing"))
    with structlog.testing.capture_logs() as logs:
        feed = Replay(folder)
        assert [listing.symbol for listing in await feed.listings()] == ["ABC", "MIN", "XYZ"]
        assert (await feed.chain("ABC")).as_of == datetime(2026, 3, 11, 18, 0, tzinfo=UTC)
    left_out = {entry["file"].rpartition("/")[2] for entry in logs if entry["log_level"] == "warning"}
    assert left_out == {
        *("foreign_1.csv", "foreign_2.json", "empty.csv", "noise.json", "20260311.csv", "bad_bars.csv"),
        *("abc_99.json", "abc_98.csv"),
    }


async def test_an_empty_folder_has_no_symbols(tmp_path):
    assert await Replay(tmp_path).listings() == []
    assert await Replay(tmp_path / "not there").quotes(["SPY"]) == {}


async def test_a_chain_is_read_once(folder):
    feed = Replay(folder)
    first, second = await asyncio.gather(feed.chain("ABC"), feed.chain("ABC"))
    shutil.rmtree(folder)
    assert first is second
    assert await feed.chain("ABC") is first
    await feed.close()
    with pytest.raises(NoChain), structlog.testing.capture_logs():
        await feed.chain("ABC")


def test_the_time_is_now(tmp_path):
    assert abs(Replay(tmp_path).now() - datetime.now(UTC)) < timedelta(seconds=5)


# -- formats


def test_columns_of_a_quote_table():
    chain = cboe_files.parse_quote_table(table()).chain
    assert chain.symbol == "ABC"
    assert list(chain.strike) == [100, 100, 102.5, 102.5]
    assert list(chain.is_call) == [True, False, True, False]
    assert list(chain.volume) == [7, 8, 1200, 8]
    assert list(chain.open_interest) == [11, 12, 11, 12]
    assert np.isnan(chain.bid[2])
    assert np.isnan(chain.iv[3])
    assert {date(1970, 1, 1) + timedelta(days=int(day)) for day in chain.expiry} == {date(2026, 3, 20)}
    assert chain.open_interest_date == date(2026, 3, 10)


def test_adjusted_contracts_are_left_out_and_null_is_nothing():
    chain = cboe_files.parse_delayed_quotes(answer().encode()).chain
    assert list(chain.open_interest) == [11, 12]
    assert np.isnan(chain.bid[1])
    assert chain.open_interest_date == date(2026, 3, 10), "the answer is of the evening of the 11th in New York"


@pytest.mark.parametrize(
    ("root", "symbol", "am"),
    [("SPX", "SPX", True), ("SPXW", "SPX", False), ("RUTW", "RUT", False), ("VIX", "VIX", True)],
)
def test_the_root_says_when_it_settles_and_whose_it_is(root, symbol, am):
    chain = cboe_files.parse_quote_table(table(root=root)).chain
    assert chain.symbol == symbol
    assert set(chain.am_settled.tolist()) == {am}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("December 12, 2022 at 8:30 PM EST", datetime(2022, 12, 13, 1, 30, tzinfo=UTC)),
        ("May 16, 2025 at 7:23 PM EDT", datetime(2025, 5, 16, 23, 23, tzinfo=UTC)),
        ("Nov 5, 2024 at 15:59 EST", datetime(2024, 11, 5, 20, 59, tzinfo=UTC)),
    ],
)
def test_dates_of_headers_are_new_york_time(text, moment):
    assert cboe_files.parse_quote_table(table(when=text)).chain.as_of == moment


@pytest.mark.parametrize("name", ["ABC26032", "ABC260320X00100000", "", "ABC2603C0C00100000"])
def test_a_row_with_a_broken_contract_symbol_is_left_out(name):
    chain = cboe_files.parse_quote_table(table().replace("ABC260320C00100000", name)).chain
    assert list(chain.is_call) == [False, True, False]


def test_open_interest_of_a_monday_is_fridays():
    monday = cboe_files.parse_quote_table(table(when="March 9, 2026 at 2:00 PM EDT")).chain
    assert monday.open_interest_date == date(2026, 3, 6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace("Last: 100.25", "Last: 0"), "no price"),
        (lambda text: text.replace("March", "Smarch"), "date"),
        (lambda text: text[:60], "Expiration Date"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path, spoil, words):
    path = tmp_path / "abc.csv"
    path.write_text(spoil(table()))
    with pytest.raises(BadData, match=words):
        cboe_files.read(path)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-10", datetime(2026, 3, 10, 4, tzinfo=UTC)),
        ("2026-03-10 09:30:00", datetime(2026, 3, 10, 13, 30, tzinfo=UTC)),
        ("2026-03-10T14:30:00Z", datetime(2026, 3, 10, 14, 30, tzinfo=UTC)),
        ("11/5/2019 9:30", datetime(2019, 11, 5, 14, 30, tzinfo=UTC)),
        ("11/5/2019", datetime(2019, 11, 5, 5, tzinfo=UTC)),
    ],
)
def test_dates_of_candles(text, moment):
    assert bar_files.moment(text) == moment


def test_a_broken_candle_names_its_line(tmp_path):
    path = tmp_path / "xyz.csv"
    path.write_text(DAILY + "2026-03-11,null,null,null,null,null,null\n2026-03-12,x,1,1,1,1,1\n")
    with pytest.raises(BadData, match=r"xyz\.csv, line 5"):
        bar_files.read(path)


# -- the shared recordings


async def test_recorded_folder(shared_data):
    with structlog.testing.capture_logs() as logs:
        feed = Replay(shared_data)
        symbols = {listing.symbol: listing.name for listing in await feed.listings()}
    assert symbols == {
        "AAPL": "AAPL",
        "RUT": "Livevol Forward Russell 2000 Index",
        "SP500": "SP500",
        "SPX": "Standard & Poors 500 Index",
        "SPY": "SPDR S&P 500 ETF Trust",
    }
    assert any("SPY_20260712.json" in entry.get("file", "") for entry in logs), "the foreign format is named"
    quotes = await feed.quotes(["SPX", "AAPL", "SP500"])
    assert (str(quotes["SPX"].price), quotes["SPX"].previous_close) == ("3990.5601", Decimal("3934.38"))
    assert quotes["SPX"].as_of == datetime(2022, 12, 13, 1, 30, tzinfo=UTC)
    assert str(quotes["AAPL"].price) == "178.460007"
    assert str(quotes["SP500"].price) == "3140.98"
    assert (await feed.chain("RUT")).as_of.year == 2023
    assert (await feed.chain("SPX")).spot == 3990.5601
    day = datetime(2019, 11, 5, tzinfo=UTC)
    assert len((await feed.bars("SP500", timedelta(minutes=1), day, day + timedelta(days=1))).bars) == 391
    assert len((await feed.bars("SP500", timedelta(days=1), day, day + timedelta(days=3))).bars) == 3
