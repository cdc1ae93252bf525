"""Recorded chains: what published programs print for them, and the bands for our own definitions."""

import json
from datetime import date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from services.feeds import cboe_files
from services.feeds.base import Chain
from services.gamma import Lens, Mode, analyze

BN = 1e9
CHAINS = (
    "cboe/spx_20221212.csv",
    "cboe/rut_20221212.csv",
    "cboe/rut_20230920.json",
    "cboe/spy_20250516.csv",
    "desk/SPY_20260712.json",
)
# The reference crossing of this chain is 2.3e-6 away from what gflows' published formulas give (588.57839): no single
# contract left out or doubled, no filter by any column, no other day count, rate, grid or holiday gives 588.57703.
ODD_ONE = "cboe/spy_20250516.csv"


@cache
def values(folder: Path) -> dict:
    return json.loads((folder / "reference_values.json").read_text())


@cache
def chain(folder: Path, name: str) -> Chain:
    return desk_chain(folder / name) if name.startswith("desk") else cboe_files.read(folder / name).chain


def desk_chain(path: Path) -> Chain:
    """The options-desk format, which is only a test's."""
    answer = json.loads(path.read_text())
    rows = answer["quotes"]

    def column(name):
        return np.array([row[name] for row in rows], dtype=float)

    return Chain(
        symbol=answer["symbol"],
        spot=answer["underlyingPrice"],
        as_of=datetime.fromisoformat(answer["updated"]),
        source="options-desk",
        delay=None,
        open_interest_date=None,
        strike=column("strike"),
        expiry=np.array([(date.fromisoformat(r["expiration"]) - date(1970, 1, 1)).days for r in rows], dtype=np.int32),
        is_call=np.array([row["side"] == "call" for row in rows]),
        am_settled=np.zeros(len(rows), dtype=bool),
        bid=column("bid"),
        ask=column("ask"),
        iv=column("iv"),
        gamma=column("gamma"),
        delta=column("delta"),
        open_interest=column("openInterest"),
        volume=column("volume"),
    )


def straight_crossings(gamma) -> list[float]:
    """Every sign change of the profile, by straight lines between its prices."""
    prices, values = gamma.profile_prices.tolist(), gamma.profile.tolist()
    return [
        right - (right - left) * high / (high - low)
        for left, right, low, high in zip(prices, prices[1:], values, values[1:], strict=False)
        if low * high < 0
    ]


@pytest.mark.parametrize("name", CHAINS)
def test_files_say_what_they_say(shared_data, name):
    expected, seen = values(shared_data)[name], chain(shared_data, name)
    assert seen.spot == expected["spot"]
    assert seen.as_of == datetime.fromisoformat(expected["asof"])
    assert len(seen.strike) == expected["contracts"]


@pytest.mark.parametrize("name", CHAINS)
def test_perfiliev_mode(shared_data, name):
    expected = values(shared_data)[name]["perfiliev"]
    gamma = analyze(chain(shared_data, name), Lens(mode=Mode.PERFILIEV))
    assert gamma.total / BN == pytest.approx(expected["total_bn_vendor_gamma_incl_expired"], rel=1e-9)
    found = straight_crossings(gamma)
    # The reference is rounded to two decimals.
    assert found == pytest.approx(expected["flip_crossings"], abs=0.005 * (1 + 1e-9))
    assert gamma.flip == found[0]
    assert len(gamma.profile_prices) == 60


@pytest.mark.parametrize("name", CHAINS)
def test_gflows_mode(shared_data, name):
    expected = values(shared_data)[name]["gflows"]
    gamma = analyze(chain(shared_data, name), Lens(mode=Mode.GFLOWS), rate=expected["rate"])
    assert gamma.total / BN == pytest.approx(expected["total_bn"], rel=1e-9)
    found = straight_crossings(gamma)
    assert gamma.flip == found[0]
    assert found == pytest.approx(expected["all_crossings"], rel=3e-6 if name == ODD_ONE else 1e-9)
    assert len(gamma.profile_prices) == 300


@pytest.mark.parametrize("name", CHAINS)
def test_our_definitions(shared_data, name):
    reference = values(shared_data)[name]
    expected = reference["proposed"]
    gamma = analyze(chain(shared_data, name))
    assert gamma.total / BN == pytest.approx(expected["total_bn"], rel=2e-4)
    assert gamma.gross / BN == pytest.approx(expected["gross_bn"], rel=5e-5)
    assert gamma.flip == pytest.approx(expected["flip"], rel=3e-6)
    assert (gamma.call_wall, gamma.put_wall) == (expected["call_wall"], expected["put_wall"])
    assert (gamma.call_oi_wall, gamma.put_oi_wall) == open_interest_walls(chain(shared_data, name), gamma)
    band = 0.005 if "spx" in name else 0.025
    assert abs(gamma.total / BN - reference["vendor_total_bn_live_only"]) <= band * gamma.gross / BN
    assert gamma.coverage > 0.99


def open_interest_walls(chain, gamma) -> tuple[float, float]:
    """The strikes with most open calls and puts among what has not expired, by counting one after the other."""
    days = {(day - date(1970, 1, 1)).days for day in gamma.expiries}
    counts = ({}, {})
    columns = (chain.strike, chain.expiry, chain.is_call, chain.open_interest)
    for strike, expiry, is_call, interest in zip(*(column.tolist() for column in columns), strict=True):
        if expiry in days:
            side = counts[0] if is_call else counts[1]
            side[strike] = side.get(strike, 0) + interest
    calls, puts = (min((-count, strike) for strike, count in side.items())[1] for side in counts)
    return calls, puts


@pytest.mark.parametrize("name", CHAINS)
def test_vendor_gamma_is_the_published_total_of_what_is_left(shared_data, name):
    reference = values(shared_data)[name]
    gamma = analyze(chain(shared_data, name), Lens(mode=Mode.VENDOR))
    assert gamma.total / BN == pytest.approx(reference["vendor_total_bn_live_only"], rel=1e-9)
    walls = reference["walls_vendor_gamma"]
    if name != ODD_ONE:  # there the reference counts what has expired
        assert (gamma.call_wall, gamma.put_wall) == (walls["net_max"], walls["net_min"])
        assert (gamma.max_call_gamma, gamma.max_put_gamma) == (walls["call_max"], walls["put_max"])
        assert gamma.abs_gamma == walls["abs_max"]


def test_spx_prints_what_the_issue_says(shared_data):
    gamma = analyze(chain(shared_data, "cboe/spx_20221212.csv"))
    assert f"{gamma.total / BN:.2f}" == "-1.18"
    assert f"{gamma.flip:.1f}" == "3996.6"
    assert gamma.contracts < 19_156, "what expired four hours before does not count"
    assert date(2022, 12, 12) not in gamma.expiries
