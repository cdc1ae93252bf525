"""The synthetic market: the same prices for the same seed and moment, and chains that a real one could be."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.listings import LISTED
from sandbox.market import Market, merge
from sandbox.option_chain import Chains, volatility
from services import gamma
from services.clock import NEW_YORK
from services.feeds.base import Chain

HOLIDAYS = {date(2026, 6, 19), date(2026, 11, 26), date(2026, 12, 25), date(2027, 1, 1), date(2027, 3, 26)}
HALF_DAYS = {date(2026, 11, 27), date(2026, 12, 24)}


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def sessions() -> list[tuple[datetime, datetime]]:
    days = (date(2025, 11, 17) + timedelta(days=i) for i in range(730))
    return [
        (
            datetime.combine(day, time(9, 30), NEW_YORK).astimezone(UTC),
            datetime.combine(day, time(13 if day in HALF_DAYS else 16), NEW_YORK).astimezone(UTC),
        )
        for day in days
        if day.weekday() < 5 and day not in HOLIDAYS
    ]


SESSIONS = sessions()
FRIDAY = new_york("2026-11-20T11:07:23")
AT = FRIDAY.timestamp()


class Seconds:
    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


def market(seed: int = 75, start: datetime = FRIDAY, monotonic=None) -> Market:
    return Market(SESSIONS, seed=seed, start=start, monotonic=monotonic or Seconds())


def chain_of(world: Market, symbol: str) -> Chain:
    at = world.now().timestamp()
    chains = Chains(world)
    contracts, prices = chains.contracts(symbol, at), chains.prices(symbol, at)
    return Chain(
        symbol=symbol,
        spot=world.price(symbol, at),
        as_of=world.now(),
        source="sandbox",
        delay=timedelta(0),
        open_interest_date=contracts.open_interest_date,
        strike=contracts.strike,
        expiry=np.array([(day - date(1970, 1, 1)).days for day in contracts.expiration.tolist()], np.int32),
        is_call=contracts.is_call,
        am_settled=np.array([root in {"SPX", "NDX", "RUT"} for root in contracts.root]),
        bid=prices.bid,
        ask=prices.ask,
        iv=prices.iv,
        gamma=prices.gamma,
        delta=prices.delta,
        open_interest=contracts.open_interest.astype(float),
        volume=prices.volume.astype(float),
    )


@given(st.floats(0, 300 * 86_400), st.sampled_from(sorted(LISTED)))
def test_a_price_depends_on_seed_and_moment_alone(seconds, symbol):
    at = SESSIONS[5][0].timestamp() + seconds
    asked_before = market()
    for other in ("VIX", symbol):
        asked_before.price(other, at + 86_400)
    assert asked_before.price(symbol, at) == market().price(symbol, at) > 0


def test_another_seed_is_another_market():
    assert market(1).price("SPY", AT) != market(2).price("SPY", AT)


def test_prices_move_within_the_day_and_stand_still_at_night():
    world = market()
    day = {world.price("AAPL", AT + s) for s in range(0, 3600, 60)}
    night = {world.price("AAPL", new_york("2026-11-20T20:00:00").timestamp() + s) for s in range(0, 7 * 3600, 600)}
    assert len(day) > 30
    assert len(night) == 1


def test_volatility_is_that_of_the_listing():
    world = market()
    for symbol, low, high in (("SPY", 0.10, 0.18), ("TSLA", 0.45, 0.68)):
        closes = world.dailies(symbol, 1, world.day(AT) - 1, AT).close
        assert low < np.std(np.diff(np.log(closes))) * 252**0.5 < high


def test_a_fund_follows_its_index():
    world = market()
    ratio = [world.price("SPX", AT + s) / world.price("SPY", AT + s) for s in range(0, 14_400, 900)]
    assert max(ratio) / min(ratio) < 1.0002


def test_bars_of_all_lengths_agree():
    world = market()
    day = world.day(AT)
    opens, _ = world.hours(day)
    daily = world.daily("NVDA", day, AT)
    minutes = world.minutes("NVDA", day, AT)
    regular = minutes.cut(minutes.start >= opens)
    assert regular.high.max() == daily.high[0]
    assert regular.low.min() == daily.low[0]
    assert regular.open[0] == daily.open[0]
    assert regular.close[-1] == daily.close[0] == world.price("NVDA", AT)
    assert abs(regular.volume.sum() - daily.volume[0]) <= 2
    hours = merge(minutes, 3600)
    assert hours.volume.sum() == minutes.volume.sum()
    assert hours.high.max() == minutes.high.max()


def test_the_running_minute_alone_is_the_last_of_all_minutes():
    world = market()
    alone = world.minutes("SPY", world.day(AT), AT, AT // 60 * 60)
    every = world.minutes("SPY", world.day(AT), AT)
    assert [getattr(alone, name)[0] for name in alone.__slots__[:5]] == [
        getattr(every, name)[-1] for name in every.__slots__[:5]
    ]


def test_yesterdays_bar_closes_at_the_previous_close():
    world = market()
    day = world.day(AT)
    assert world.daily("SPY", day - 1, AT).close[0] == world.last_close("SPY", day - 1)
    assert world.change("SPY", AT) == pytest.approx(world.price("SPY", AT) / world.last_close("SPY", day - 1) - 1)


def test_a_half_day_ends_at_one():
    world = market()
    moment = new_york("2026-11-27T12:59:59").timestamp()
    assert [world.phase(moment), world.phase(moment + 2)] == ["open", "post"]
    minutes = world.minutes("SPY", world.day(moment), moment + 86_400)
    assert len(minutes) == (330 + 210 + 240)


def test_a_holiday_is_closed():
    assert market().phase(new_york("2026-11-26T12:00:00").timestamp()) == "closed"


def test_a_nudge_persists_and_leaves_the_past_alone():
    world, calm = market(), market()
    before, yesterday = AT - 600, AT - 86_400
    world.nudge("SPY", 1.0)
    for later in (AT, AT + 60, AT + 3600, AT + 5 * 86_400):
        assert world.price("SPY", later) == pytest.approx(calm.price("SPY", later) * 1.01, rel=1e-4)
        assert world.price("SPX", later) == pytest.approx(calm.price("SPX", later) * 1.01, rel=1e-4)
        assert world.price("AAPL", later) == calm.price("AAPL", later)
    assert world.price("SPY", before) == calm.price("SPY", before)
    assert world.price("SPY", yesterday) == calm.price("SPY", yesterday)
    assert world.daily("SPY", world.day(AT), AT + 1).high[0] == world.price("SPY", AT + 1)


def test_the_clock_starts_in_the_latest_session_when_the_market_is_shut():
    world = market()
    for shut in ("2026-11-22T14:00:00", "2026-11-20T17:00:00", "2026-11-23T09:00:00"):
        assert world._first_moment(new_york(shut)) == new_york("2026-11-20T10:30:00")
    assert world._first_moment(FRIDAY) == FRIDAY


def test_the_clock_can_be_paused_and_sped_up():
    real = Seconds()
    world = market(monotonic=real)
    real.passed += 10
    assert world.now() - FRIDAY == timedelta(seconds=10)
    world.clock.turn(speed=600)
    real.passed += 1
    assert world.now() - FRIDAY == timedelta(seconds=610)
    world.clock.turn(paused=True)
    real.passed += 100
    assert world.now() - FRIDAY == timedelta(seconds=610)
    world.clock.turn(paused=False)
    real.passed += 1
    assert world.now() - FRIDAY == timedelta(seconds=1210)


@pytest.mark.parametrize(
    ("target", "lands"),
    [
        ("open", "2026-11-23T09:30:00"),
        ("close", "2026-11-20T16:00:00"),
        ("next_day", "2026-11-23T10:30:00"),
        ("2026-11-25T15:59:00", "2026-11-25T15:59:00"),
        ("2026-11-25T20:59:00+00:00", "2026-11-25T15:59:00"),
    ],
)
def test_the_clock_jumps(target, lands):
    world = market()
    world.jump(target)
    assert world.now() == new_york(lands)


@pytest.mark.parametrize("target", ["2031-01-01T00:00:00+00:00", "tomorrow"])
def test_the_clock_refuses_what_it_does_not_know(target):
    with pytest.raises(ValueError, match=r"calendar|isoformat"):
        market().jump(target)


def test_the_clock_never_leaves_the_calendar():
    real = Seconds()
    world = market(monotonic=real)
    real.passed = 1e9
    assert world.now() == SESSIONS[-1][1]


@given(
    st.sampled_from(["SPX", "TSLA", "KO"]),
    st.floats(-0.6, 0.6),
    st.floats(0.0005, 1.5),
    st.floats(0.0005, 1.5),
    st.floats(0.6, 2.5),
)
def test_total_variance_grows_with_time(symbol, k, one, other, fear):
    listed = LISTED[symbol]
    near, far = sorted((one, other))
    years = np.array([near, far])
    total = volatility(listed, np.array([k, k]), years, fear) ** 2 * years
    assert total[0] <= total[1] * (1 + 1e-12)


def slices(chain: Chain):
    """Calls and puts of one expiry and root on common strikes, with their mids."""
    mid = (chain.bid + chain.ask) / 2
    for key in {*zip(chain.expiry.tolist(), chain.am_settled.tolist(), strict=True)}:
        here = (chain.expiry == key[0]) & (chain.am_settled == key[1])
        calls, puts = np.flatnonzero(here & chain.is_call), np.flatnonzero(here & ~chain.is_call)
        assert np.array_equal(chain.strike[calls], chain.strike[puts])
        yield chain.strike[calls], mid[calls], mid[puts], (chain.ask - chain.bid)[calls] + (chain.ask - chain.bid)[puts]


@pytest.mark.parametrize("symbol", ["SPX", "SPY", "AAPL"])
def test_put_call_parity_holds_at_the_mids(symbol):
    for strike, calls, puts, _ in slices(chain_of(market(), symbol)):
        tick = 0.11 if symbol == "SPX" else 0.06
        slope, forward = np.polyfit(strike, calls - puts, 1)
        assert -1.001 < slope < -0.95
        assert np.abs(calls - puts - (slope * strike + forward)).max() <= tick


@pytest.mark.parametrize("symbol", ["SPX", "SPY", "AAPL", "TSLA"])
def test_no_butterfly_or_vertical_pays_for_nothing(symbol):
    for strike, calls, puts, _ in slices(chain_of(market(), symbol)):
        tick = 0.11 if symbol == "SPX" else 0.06
        step = np.diff(strike)
        for mids, sign in ((calls, -1), (puts, 1)):
            slope = np.diff(mids) / step
            assert (sign * slope >= -tick / step).all()
            assert (np.abs(slope) <= 1 + tick / step).all()
            assert (np.diff(slope) >= -2 * tick / np.minimum(step[1:], step[:-1])).all()


def test_open_interest_and_listing_do_not_change_during_the_day():
    world = market()
    chains = Chains(world)
    morning = chains.contracts("SPX", AT)
    world.nudge("SPX", -3)
    afternoon = chains.contracts("SPX", AT + 4 * 3600)
    assert morning.symbols == afternoon.symbols
    assert np.array_equal(morning.open_interest, afternoon.open_interest)
    assert morning.open_interest_date == date(2026, 11, 19)
    again = Chains(market()).contracts("SPX", AT)
    assert np.array_equal(morning.open_interest, again.open_interest)


@pytest.mark.parametrize("symbol", [symbol for symbol, listed in LISTED.items() if listed.has_options])
def test_every_symbol_has_a_chain_whatever_happens_to_its_price(symbol):
    world = market()
    chains = Chains(world)
    before = chains.contracts(symbol, AT)
    world.nudge(symbol, 100)
    world.nudge(symbol, 100)
    monday = AT + 3 * 86_400
    for at in (AT, monday):
        assert np.isfinite(chains.prices(symbol, at).ask).all()
    after = chains.contracts(symbol, monday)
    assert before.strike.min() > 0
    assert after.strike.max() > 1.5 * before.strike.max()


def test_open_interest_changes_little_from_day_to_day():
    chains = Chains(market())
    friday, monday = chains.contracts("SPY", AT), chains.contracts("SPY", AT + 3 * 86_400)
    later = dict(zip(monday.symbols, monday.open_interest.tolist(), strict=True))
    listed = zip(friday.symbols, friday.open_interest.tolist(), strict=True)
    both = [(interest, later[name]) for name, interest in listed if name in later]
    assert len(both) > 1000
    assert np.corrcoef(np.array(both).T)[0, 1] > 0.85


def test_listings_have_the_size_and_the_expiries_of_real_ones():
    chains = Chains(market())
    spx, spy, apple = (chains.contracts(symbol, AT) for symbol in ("SPX", "SPY", "AAPL"))
    assert 3000 < len(spx.symbols) <= 6000
    assert 1500 < len(spy.symbols) <= 4000
    assert 200 < len(apple.symbols) < 1000
    for each in (spx, spy, apple):
        assert len(set(each.symbols)) == len(each.symbols)
        assert each.symbols == sorted(each.symbols)
    monthly = {day for day, root in zip(spx.expiration.tolist(), spx.root, strict=True) if root == "SPX"}
    assert {date(2026, 12, 18), date(2027, 1, 15), date(2027, 3, 19)} <= monthly
    assert date(2026, 11, 23) in spx.expiration.tolist()
    assert {day.weekday() for day in apple.expiration.tolist()} <= {3, 4}
    assert date(2026, 11, 23) not in apple.expiration.tolist()
    am = {settles for settles, root in zip(spx.settles, spx.root, strict=True) if root == "SPX"}
    assert {datetime.fromtimestamp(settles, NEW_YORK).time() for settles in am} == {time(9, 30)}


def test_vendors_know_no_volatility_where_prices_say_nothing():
    chain = chain_of(market(), "SPX")
    far = chain.bid == 0
    assert far.any()
    assert np.isnan(chain.iv[far]).all()
    assert np.isfinite(chain.iv).mean() > 0.85
    assert (chain.ask > chain.bid).all()


@pytest.mark.parametrize("symbol", ["SPX", "SPY", "AAPL"])
def test_walls_stand_around_spot_and_the_flip_near_it(symbol):
    found = [gamma.analyze(chain_of(market(seed), symbol)) for seed in range(1, 13)]
    around = [g.put_wall < g.spot < g.call_wall for g in found]
    near = [g.flip is not None and abs(g.flip / g.spot - 1) < 0.05 for g in found]
    assert sum(around) >= 10
    assert sum(near) >= 10
    assert all(g.put_wall < g.call_wall for g in found)
    assert min(g.coverage for g in found) > 0.95
    assert len({(g.call_wall, g.put_wall) for g in found}) > 3


def test_a_nudge_moves_spot_through_a_chain_that_stays():
    world = market()
    before = gamma.analyze(chain_of(world, "SPX"))
    world.nudge("SPX", 1.0)
    after = gamma.analyze(chain_of(world, "SPX"))
    assert after.spot == pytest.approx(before.spot * 1.01, rel=1e-4)
    assert after.put_wall == before.put_wall
    assert after.total > before.total


@pytest.mark.parametrize("moment", ["2026-11-20T15:58:00", "2026-11-20T18:00:00", "2026-11-22T12:00:00"])
def test_a_chain_can_be_analysed_at_any_hour(moment):
    world = market(start=new_york(moment))
    at = Chains(world).prices("SPY", world.now().timestamp()).at
    assert at <= new_york("2026-11-20T16:00:00").timestamp()
    assert gamma.analyze(chain_of(world, "SPY")).coverage > 0.95
