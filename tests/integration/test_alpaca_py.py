"""alpaca-py, Alpaca's own client, understands the stand-in, and reads out of it what our adapter does."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest
from alpaca.data.enums import DataFeed, OptionsFeed
from alpaca.data.historical import OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.requests import OptionChainRequest, StockBarsRequest, StockLatestQuoteRequest, StockSnapshotRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetCalendarRequest, GetOptionContractsRequest
from feed_stage import FRIDAY, staged


@pytest.fixture(scope="module")
async def stage():
    async with staged() as stage:
        yield stage


@pytest.fixture(scope="module")
def ours(stage):
    return stage.alpaca()


@pytest.fixture(scope="module")
def stocks(stage):
    client = StockHistoricalDataClient("key", "secret", url_override=f"{stage.address}/alpaca/data")
    yield client
    client._session.close()


@pytest.fixture(scope="module")
def options(stage):
    client = OptionHistoricalDataClient("key", "secret", url_override=f"{stage.address}/alpaca/data")
    yield client
    client._session.close()


@pytest.fixture(scope="module")
def trading(stage):
    client = TradingClient("key", "secret", url_override=f"{stage.address}/alpaca/paper")
    yield client
    client._session.close()


async def test_snapshots_and_quotes(stocks, ours):
    request = StockSnapshotRequest(symbol_or_symbols=["SPY", "KO"], feed=DataFeed.IEX)
    theirs = await asyncio.to_thread(stocks.get_stock_snapshot, request)
    found = await ours.quotes(["SPY", "KO"])
    assert {symbol: Decimal(str(each.latest_trade.price)) for symbol, each in theirs.items()} == {
        symbol: quote.price for symbol, quote in found.items()
    }
    request = StockLatestQuoteRequest(symbol_or_symbols="SPY", feed=DataFeed.IEX)
    top = (await asyncio.to_thread(stocks.get_stock_latest_quote, request))["SPY"]
    assert (Decimal(str(top.bid_price)), int(top.bid_size)) == (found["SPY"].bid, found["SPY"].bid_size)


async def test_bars_over_several_pages(stocks, ours):
    start = FRIDAY - timedelta(days=20)
    request = StockBarsRequest(symbol_or_symbols="SPY", timeframe=TimeFrame.Minute, start=start, end=FRIDAY)
    theirs = (await asyncio.to_thread(stocks.get_stock_bars, request))["SPY"]
    found = (await ours.bars("SPY", timedelta(minutes=1), start, FRIDAY)).bars
    assert len(found) > 10_000
    assert [(bar.timestamp, Decimal(str(bar.close))) for bar in theirs] == [(bar.start, bar.close) for bar in found]


async def test_option_chain_and_contracts(options, trading, ours):
    request = OptionChainRequest(underlying_symbol="KO", feed=OptionsFeed.INDICATIVE)
    theirs = await asyncio.to_thread(options.get_option_chain, request)
    found = await ours.chain("KO")
    assert len(theirs) == len(found.strike)
    known = [each for each in theirs.values() if each.implied_volatility is not None]
    assert sum(each.implied_volatility for each in known) == pytest.approx(found.iv[found.iv > 0].sum())
    assert sum(each.greeks.gamma for each in known) == pytest.approx(found.gamma[found.gamma > 0].sum())
    request = GetOptionContractsRequest(underlying_symbols=["KO"], expiration_date_lte=date(2036, 1, 1), limit=10_000)
    contracts = (await asyncio.to_thread(trading.get_option_contracts, request)).option_contracts
    assert sum(int(each.open_interest) for each in contracts) == found.open_interest.sum()
    assert {each.open_interest_date for each in contracts} == {found.open_interest_date}


async def test_calendar_and_clock(trading, ours):
    request = GetCalendarRequest(start=date(2026, 11, 20), end=date(2026, 12, 4))
    theirs = await asyncio.to_thread(trading.get_calendar, request)
    found = await ours.sessions(date(2026, 11, 20), date(2026, 12, 4))
    assert len(theirs) == len(found) == 10
    assert (await asyncio.to_thread(trading.get_clock)).is_open
