from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.order_models import Side
from services.brokers.paper import match, sell
from services.clock import Phase, Session
from services.feeds.base import Quote
from services.market import Line

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
PRICES = st.decimals("0.01", "9999.99", places=2)
LOTS = st.lists(st.tuples(st.integers(1, 500), PRICES), min_size=1, max_size=8)


def line(bid: Decimal | None, ask: Decimal | None, size: int | None = None, phase=Phase.OPEN, stale=False) -> Line:
    quote = Quote("SPY", Decimal(1), NOON, "Tape", timedelta(0), bid=bid, ask=ask, bid_size=size, ask_size=size)
    return Line(quote, timedelta(0), stale, Session(phase, NOON, NOON, half_day=False))


@given(
    st.sampled_from(Side), PRICES, st.integers(1, 10_000), PRICES, PRICES, st.one_of(st.none(), st.integers(0, 9999))
)
def test_nobody_pays_more_or_gets_less_or_more_shares_than_shown(side, limit, left, bid, ask, size):
    met = match(side, limit, left, line(bid, ask, size))
    reached = limit >= ask if side is Side.BUY else limit <= bid
    if not reached or size == 0:
        assert met is None
        return
    shares, price = met
    assert price == (ask if side is Side.BUY else bid)
    assert shares == (left if size is None else min(left, size))


@pytest.mark.parametrize("side", Side)
def test_nothing_trades_without_a_price_a_session_or_a_fresh_quote(side):
    one = Decimal(1)
    assert match(side, one, 5, line(one, one)) == (5, one)
    assert match(side, one, 5, line(None, None)) is None
    assert match(side, one, 5, line(one, one, stale=True)) is None
    for phase in (Phase.PRE, Phase.POST, Phase.CLOSED):
        assert match(side, one, 5, line(one, one, phase=phase)) is None


def sold_in(parts, lots, price):
    """Sell in several parts, taking the shares out in between as the books do."""
    held = dict(enumerate(lots))
    total, realised = {}, Decimal(0)
    for part in parts:
        taken, gain = sell([(lot, *held[lot]) for lot in sorted(held) if held[lot][0]], part, price)
        realised += gain
        for lot, shares in taken:
            total[lot] = total.get(lot, 0) + shares
            held[lot] = (held[lot][0] - shares, held[lot][1])
    return total, realised, sum((shares * paid for shares, paid in held.values()), Decimal(0))


@given(LOTS, PRICES, st.data())
def test_any_split_of_a_sale_takes_the_same_lots_and_money_to_the_last_digit(lots, price, data):
    most = sum(shares for shares, _ in lots)
    parts = data.draw(st.lists(st.integers(1, most), min_size=1, max_size=6).filter(lambda p: sum(p) <= most))
    whole = sold_in([sum(parts)], lots, price)
    assert sold_in(parts, lots, price) == whole
    # nothing is made or lost: what was paid for the sold shares and the gain are the proceeds
    paid = sum((shares * each for shares, each in lots), Decimal(0))
    assert price * sum(parts) == paid - whole[2] + whole[1]


def test_first_bought_is_first_sold():
    lots = [(1, 5, Decimal(10)), (2, 5, Decimal(20))]
    assert sell(lots, 7, Decimal(30)) == ([(1, 5), (2, 2)], Decimal(5 * 20 + 2 * 10))


def test_what_is_not_held_cannot_be_sold():
    with pytest.raises(AssertionError):
        sell([(1, 5, Decimal(10))], 6, Decimal(30))
