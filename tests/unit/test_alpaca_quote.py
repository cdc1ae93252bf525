from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import BookTop, Snapshot, Trade, by_key

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)


def quote(bid: str, ask: str):
    feed = Alpaca("http://data", "http://paper", by_key("key", "secret"))
    top = BookTop(t=NOON, bp=Decimal(bid), ap=Decimal(ask))
    return feed._quote("THIN", Snapshot(latest_trade=Trade(t=YESTERDAY, p=Decimal("10.01")), latest_quote=top), "iex")


async def test_an_old_trade_under_a_fresh_quote_keeps_its_own_age():
    found = quote("9.90", "10.10")
    assert (found.as_of, found.traded_at) == (NOON, YESTERDAY)


async def test_an_empty_quote_makes_no_price_fresh():
    found = quote("0", "0")
    assert (found.as_of, found.bid, found.ask) == (YESTERDAY, None, None)
