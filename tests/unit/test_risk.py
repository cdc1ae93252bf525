from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.order_models import Balance, Limits, Side, Spec, Tif, TradingState
from services.clock import Phase, Session
from services.feeds.base import Quote
from services.market import Line
from services.risk import Facts, HouseRules, check, drift, drift_allowed, worst_price

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
OPEN = Session(Phase.OPEN, NOON - timedelta(hours=2), NOON + timedelta(hours=4), half_day=False)
RULES = HouseRules()
PRICES = st.decimals("0.05", "5000", places=2)


def line(bid="99.90", ask="100.00", session=OPEN, stale=False) -> Line:
    quote = Quote(
        "SPY", Decimal(ask), NOON, "Tape", timedelta(0), bid=Decimal(bid), ask=Decimal(ask), bid_size=100, ask_size=100
    )
    return Line(quote, timedelta(minutes=3) if stale else timedelta(0), stale, session)


def facts(**changed) -> Facts:
    usual = Facts(
        trading=TradingState.ACTIVE,
        balance=Balance(Decimal(100_000), Decimal(0), Decimal(0), Decimal(0)),
        held=50,
        last_minute=0,
        twin=False,
        usual=None,
        bought_today=Decimal(0),
        opposite=False,
        unsettled=False,
        in_flight_money=Decimal(0),
        in_flight_shares=0,
    )
    return replace(usual, **changed)


def order(quantity=10, limit: str | None = "100.00", tif=Tif.DAY, side=Side.BUY) -> Spec:
    return Spec("SPY", side, quantity, None if limit is None else Decimal(limit), tif)


def codes(spec: Spec, known: Facts | None = None, at: Line | None = None, **limits) -> set[str]:
    at = at or line()
    own = Limits(7, **limits)
    worst = worst_price(spec, at.quote.bid, at.quote.ask, own.collar_bp)
    return {objection.code for objection in check(spec, worst, at, known or facts(), own, RULES)}


def test_an_ordinary_order_meets_no_objection():
    for spec in (order(), order(limit=None), order(side=Side.SELL, limit="99.90"), order(tif=Tif.IOC)):
        assert codes(spec) == set()


@pytest.mark.parametrize(
    ("spec", "known", "code"),
    [
        (order(0), facts(), "quantity"),
        (order(10_001, "100.00", side=Side.SELL), facts(held=20_000), "quantity"),
        (order(limit="105.01"), facts(), "band"),
        (order(limit="94.99"), facts(), "band"),
        (order(limit="100.001"), facts(), "tick"),
        (order(251), facts(), "equity"),
        (order(10), facts(balance=Balance(Decimal(900), Decimal(0), Decimal(99_100), Decimal(0))), "power"),
        (order(10), facts(in_flight_money=Decimal(99_500)), "power"),
        (order(51, side=Side.SELL, limit="99.90"), facts(), "holding"),
        (order(10, side=Side.SELL, limit="99.90"), facts(in_flight_shares=41), "holding"),
        (order(), facts(last_minute=10), "rate"),
        (order(), facts(opposite=True), "wash"),
        (order(), facts(unsettled=True), "unsettled"),
        (order(), facts(twin=True), "twin"),
        (order(), facts(usual=Decimal(100)), "unusual"),
        (order(), facts(trading=TradingState.HALTED), "halted"),
        (order(), facts(trading=TradingState.REDUCING), "reducing"),
    ],
)
def test_each_guard_says_no_by_itself(spec, known, code):
    assert codes(spec, known) == {code}


def test_only_the_second_looks_can_be_overcome():
    at, own = line(), Limits(7)
    known = facts(
        twin=True, usual=Decimal(1), last_minute=99, opposite=True, unsettled=True, trading=TradingState.HALTED
    )
    soft = {o.code for o in check(order(), Decimal(100), at, known, own, RULES) if o.ask_again}
    assert soft == {"twin", "unusual"}


def test_every_reason_is_told_at_once_with_its_limit():
    objections = check(order(20_000, "120.00"), Decimal(120), line(), facts(last_minute=12), Limits(7), RULES)
    words = " ".join(objection.words for objection in objections)
    assert {o.code for o in objections} == {"quantity", "band", "equity", "house", "power", "rate"}
    for limit in ("1 to 10,000", "5% is the most", "$25,000.00", "$250,000.00", "$100,000.00", "10 is the most"):
        assert limit in words


def test_a_person_s_own_limits_hold():
    assert codes(order(), max_order=Decimal("999.99")) == {"max_order"}
    assert codes(order(), facts(bought_today=Decimal("1.00")), max_day=Decimal(1000)) == {"max_day"}
    assert codes(order(), max_day=Decimal(1000)) == set()
    assert codes(order(side=Side.SELL, limit="99.90"), max_order=Decimal(1), max_day=Decimal(1)) == set()


def test_what_makes_a_position_smaller_passes_the_kill_switch():
    assert codes(order(side=Side.SELL, limit="99.90"), facts(trading=TradingState.REDUCING)) == set()


@pytest.mark.parametrize("phase", [Phase.PRE, Phase.POST, Phase.CLOSED])
def test_outside_of_the_session_only_orders_that_can_wait_pass(phase):
    shut = line(session=replace(OPEN, phase=phase))
    assert codes(order(), at=shut) == set()
    assert codes(order(tif=Tif.GTC), at=shut) == set()
    assert codes(order(limit=None), at=shut) == {"session"}
    assert codes(order(tif=Tif.IOC), at=shut) == {"session"}


def test_a_stale_quote_refuses_everything():
    assert codes(order(), at=line(stale=True)) == {"stale"}


def test_sub_penny_ticks_below_one_dollar():
    cheap = line("0.4990", "0.5000")
    assert codes(order(limit="0.5001"), at=cheap) == set()
    assert codes(order(limit="0.50005"), at=cheap) == {"tick"}


@given(PRICES, st.integers(0, 400), st.integers(1, 200), st.sampled_from(Side))
def test_a_market_order_never_leaves_outside_of_its_collar(bid, spread, collar_bp, side):
    ask = bid + Decimal(spread) / 100
    worst = worst_price(order(limit=None, side=side), bid, ask, collar_bp)
    collar = Decimal(collar_bp) / 10_000
    if side is Side.BUY:
        assert ask <= worst <= ask * (1 + collar)
    else:
        assert bid * (1 - collar) <= worst <= bid


@given(PRICES, PRICES, st.sampled_from(Side))
def test_a_limit_leaves_as_it_was_typed(bid, limit, side):
    assert worst_price(order(limit=str(limit), side=side), bid, bid, 50) == limit


def test_drift_is_measured_where_the_order_trades():
    shown = Decimal("99.90"), Decimal("100.00")
    assert drift(Side.BUY, shown, (Decimal("99.90"), Decimal("100.30"))) == Decimal("0.003")
    assert drift(Side.SELL, shown, (Decimal("99.90"), Decimal("100.30"))) == 0
    assert drift_allowed(shown, None) == Decimal("0.0025")
    assert drift_allowed(shown, 40) == Decimal("0.004")
    assert drift_allowed((Decimal(99), Decimal(100)), 40) == Decimal("0.01")
