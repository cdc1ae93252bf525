"""Option chains put together from the rows that adapters collect."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from services.feeds import alpaca_chain, tradier_chain
from services.feeds.alpaca_wire import OptionSnapshot
from services.feeds.chain_table import OPEN_INTEREST, Row, chain, joined, newest, table

CALL = Row(600.0, 20777, True, False, 5.0, 5.2, 0.2, 0.01, 0.5, 900, 12, 1_795_190_000.0)
PUT = Row(610.0, 20805, False, True, None, None, None, None, None, None, None, None)


def put_together(rows):
    return chain(rows, symbol="SPY", spot=601.5, as_of=datetime(2026, 11, 20, tzinfo=UTC), source="X", delay=None)


def test_rows_become_columns_and_what_is_not_said_is_nan():
    found = put_together(table([CALL, PUT]))
    assert (found.symbol, found.spot, found.source, found.delay) == ("SPY", 601.5, "X", None)
    assert found.as_of == datetime(2026, 11, 20, tzinfo=UTC)
    assert found.open_interest_date is None
    assert (found.strike.tolist(), found.expiry.tolist()) == ([600.0, 610.0], [20777, 20805])
    assert (found.is_call.tolist(), found.am_settled.tolist()) == ([True, False], [False, True])
    assert (found.expiry.dtype, found.is_call.dtype, found.am_settled.dtype) == (np.int32, np.bool_, np.bool_)
    said = [found.bid, found.ask, found.iv, found.gamma, found.delta, found.open_interest, found.volume]
    assert [column[0] for column in said] == [5.0, 5.2, 0.2, 0.01, 0.5, 900.0, 12.0]
    assert all(np.isnan(column[1]) for column in said)


def test_the_newest_row_tells_the_moment():
    later = CALL._replace(quoted=CALL.quoted + 60.5)
    moment = datetime.fromtimestamp(CALL.quoted, UTC)
    assert newest(table([CALL, PUT])) == moment
    assert newest(table([CALL, later, PUT])) == moment + timedelta(seconds=60.5)
    assert newest(table([PUT])) is None


def test_tables_are_joined_in_order_and_none_of_them_is_a_table_too():
    assert joined([]).shape == table([]).shape == (0, len(Row._fields))
    both = joined([table([PUT]), table([]), table([CALL, PUT])])
    assert put_together(both).strike.tolist() == [610.0, 600.0, 610.0]


def test_open_interest_may_be_told_later():
    rows = table([CALL, PUT])
    rows[:, OPEN_INTEREST] = [7, np.nan]
    found = put_together(rows)
    assert found.open_interest.tolist() == pytest.approx([7, np.nan], nan_ok=True)
    assert found.volume[0] == 12


QUOTED = datetime(2026, 11, 20, 16, 7, 23, tzinfo=UTC)
ROW = Row(600.5, 20777, True, False, 5.0, 5.2, 0.21, 0.011, 0.51, None, 12.0, QUOTED.timestamp())


def test_alpacas_snapshots_are_rows():
    snapshot = {
        "latestQuote": {"t": QUOTED.isoformat(), "bp": 5.0, "ap": 5.2},
        "impliedVolatility": 0.21,
        "greeks": {"delta": 0.51, "gamma": 0.011},
        "dailyBar": {"v": 12},
    }
    read = msgspec.convert(snapshot, OptionSnapshot)
    assert alpaca_chain._row("SPY261120C00600500", read) == ROW
    assert alpaca_chain._row("SPX261120P00600500", read)[:4] == (600.5, 20777, False, True)
    assert alpaca_chain._row("SPY261120C00600500", OptionSnapshot())[4:] == (None,) * 8


def test_tradiers_options_are_rows():
    option = {
        "symbol": "SPY261120C00600500",
        "root_symbol": "SPY",
        "strike": 600.5,
        "option_type": "call",
        "expiration_date": "2026-11-20",
        "contract_size": 100,
        "bid": 5.0,
        "ask": 5.2,
        "volume": 12,
        "open_interest": 900,
        "trade_date": 0,
        "bid_date": int(QUOTED.timestamp() * 1000),
        "ask_date": 0,
        "greeks": {"delta": 0.51, "gamma": 0.011, "mid_iv": 0.21, "smv_vol": 0.3},
    }
    bare = {name: option[name] for name in ("symbol", "strike", "expiration_date")}
    bare |= {"root_symbol": "SPXW", "option_type": "put", "greeks": None}
    rows = tradier_chain.table(msgspec.json.encode({"options": {"option": [option, bare]}}))
    assert rows[0].tolist() == [*ROW._replace(open_interest=900)]
    assert rows[1, :4].tolist() == [600.5, 20777, False, False]
    assert np.isnan(rows[1, 4:]).all()
