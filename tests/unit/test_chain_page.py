"""Pages of a chain: which strikes, what is known of each contract, and how that reads."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st
from option_chains import AS_OF, chain

from bot import chain_cards, expiry_words
from bot.pictures import Scene
from db.models import Theme
from services.chain_page import STRIKES, Side, page
from services.errors import BadData, NothingExpires, OtherVersion
from services.expirations import expirations, find, part
from services.greeks import greeks

ENGLISH = Locale("en", "US")
TODAY, NEAR, MONTHLY = date(2026, 11, 20), date(2026, 11, 27), date(2026, 12, 18)


def shown(made, side=Side.BOTH, lowest=None, *, in_greeks=False):
    found = page(made, expirations(made)[0], side, lowest)
    return chain_cards.chain(found, side, ENGLISH, in_greeks=in_greeks)


def test_the_money_is_in_the_middle():
    found = page(chain(NEAR, spot=100.4), expirations(chain(NEAR))[0], Side.CALLS, None)
    strikes = [contract.strike for contract in found.contracts]
    assert strikes == [105, 104, 103, 102, 101, 100, 99, 98, 97, 96]
    assert all(contract.is_call for contract in found.contracts)
    assert (found.lower, found.higher) == (86, 106)


def test_a_call_comes_before_its_put():
    found = page(chain(NEAR), expirations(chain(NEAR))[0], Side.BOTH, None)
    assert [(contract.strike, contract.is_call) for contract in found.contracts[:4]] == [
        (102, True),
        (102, False),
        (101, True),
        (101, False),
    ]


@given(st.sets(st.integers(1, 400), min_size=1, max_size=60), st.floats(1, 400), st.sampled_from(list(Side)))
def test_paging_reaches_every_strike_and_ends(strikes, spot, side):
    made = chain(NEAR, spot=spot, strikes=sorted(strikes))
    expiration = expirations(made)[0]
    found = first = page(made, expiration, side, None)
    seen = {contract.strike for contract in first.contracts}
    for _ in range(60):
        if found.higher is None:
            break
        found = page(made, expiration, side, found.higher)
        assert min(contract.strike for contract in found.contracts) > max(seen)
        seen |= {contract.strike for contract in found.contracts}
    found = first
    for _ in range(60):
        if found.lower is None:
            break
        before = min(contract.strike for contract in found.contracts)
        found = page(made, expiration, side, found.lower)
        seen |= {contract.strike for contract in found.contracts}
        assert min(contract.strike for contract in found.contracts) < before
    assert seen == {float(strike) for strike in strikes}


def test_greeks_that_the_source_states_are_kept_and_the_others_computed():
    made = chain(NEAR)
    delta = np.where(made.is_call, 0.5, -0.5)
    delta[made.strike == 100] = -999
    found = page(replace(made, delta=delta), expirations(made)[0], Side.BOTH, None)
    assert found.computed == {"delta", "gamma", "theta", "vega"}
    by_name = {(contract.strike, contract.is_call): contract for contract in found.contracts}
    assert by_name[101, True].delta == 0.5
    years = expirations(made)[0].days_left(AS_OF) / 365
    ours = greeks(
        100.0,
        100 * np.exp(0.045 * np.array([years])),
        np.exp(-0.045 * np.array([years])),
        np.array([100.0]),
        np.array([years]),
        np.array([0.2]),
        np.array([True]),
    )
    for name, column in ours._asdict().items():
        assert getattr(by_name[100, True], name) == pytest.approx(float(column[0]), rel=1e-4), name


def test_what_is_not_known_is_a_dash_with_its_reason():
    made = chain(NEAR, iv=lambda *_: 0.2)
    silent = made.strike == 101
    made = replace(
        made,
        bid=np.where(silent, 0.0, made.bid),
        iv=np.where(silent, np.nan, made.iv),
        open_interest=np.where(silent, np.nan, made.open_interest),
    )
    headline, embed = shown(made, Side.CALLS, in_greeks=True)
    assert re.search(r"\*\*101 C\*\* — / [\d.]+ · mid —\n-# IV — · Δ — · Γ — · Θ — · vega —", embed.description)
    assert "— = nobody bids; no IV stated or in the prices, so no greeks; no open interest" in embed.footer.text
    assert "Δ, Γ, Θ, vega computed from IV where the source has none" in embed.footer.text
    assert re.match(r"\*\*TEST\*\* 100\.00 · straddle \d\.\d\d by Fri 27 Nov · IV at the money 20\.0%$", headline)


def test_volatility_from_prices_is_told():
    made = chain(NEAR)
    found = page(replace(made, iv=np.zeros(len(made.iv))), expirations(made)[0], Side.PUTS, None)
    assert found.solved == STRIKES
    assert all(contract.iv == pytest.approx(0.2, abs=0.01) for contract in found.contracts)
    _, embed = shown(replace(made, iv=np.zeros(len(made.iv))), Side.PUTS)
    assert "IV of 10 computed from mid prices" in embed.footer.text


def test_the_money_is_marked_once_on_its_page_and_on_no_other():
    made = chain(NEAR, spot=100.4)
    for side in Side:
        lines = shown(made, side)[1].description.split("\n")
        (at,) = [place for place, line in enumerate(lines) if "the money" in line]
        assert "**101" in "".join(lines[at - 5 : at])
        assert "**100" in lines[at + 1]
    assert "the money" not in shown(made, Side.CALLS, 106)[1].description
    assert "the money" not in shown(made, Side.CALLS, 86)[1].description
    beyond = chain(NEAR, spot=130.0)
    assert "➤ **TEST 130.00** · the money\n**120 C**" in shown(beyond, Side.CALLS)[1].description
    below = chain(NEAR, spot=70.0)
    assert shown(below, Side.CALLS)[1].description.endswith("➤ **TEST 70.00** · the money")


def test_every_message_fits_discord():
    made = chain(NEAR, spot=12_345.67, strikes=np.arange(12_000, 12_700, 0.5), open_interest=1_234_567.0)
    for side in Side:
        for in_greeks in (False, True):
            headline, embed = shown(made, side, in_greeks=in_greeks)
            assert len(embed) <= 2_500
            assert len(headline) <= 120


def test_a_chain_without_price_or_contracts_of_a_side_is_refused():
    made = chain(NEAR)
    with pytest.raises(BadData, match="gives no price"):
        page(replace(made, spot=0.0), expirations(made)[0], Side.BOTH, None)
    calls = part(made, expirations(made)[0])
    calls = replace(calls, is_call=np.full(len(calls.strike), True))
    with pytest.raises(BadData, match="lists no TEST puts"):
        page(calls, expirations(made)[0], Side.PUTS, None)


def test_expirations_are_found_by_code_date_and_word():
    made = chain(TODAY, NEAR, (MONTHLY, True), MONTHLY)
    listed = expirations(made)
    assert [each.code for each in listed] == ["2026-11-20", "2026-11-27", "2026-12-18am", "2026-12-18"]
    assert [each.monthly for each in listed] == [True, False, True, True]

    def code(wanted):
        return find(listed, wanted, "TEST", AS_OF).code

    assert code("2026-12-18am") == "2026-12-18am"
    assert code("2026-12-18") == "2026-12-18"
    assert code("2026-11-27am") == "2026-11-27"
    assert code("0dte") == "2026-11-20"
    assert code("opex") == "2026-11-20"
    with pytest.raises(NothingExpires, match=r"expires on Sat 28 Nov 2026\. Nearest: Fri 20 Nov 2026, Fri 27 Nov 2026"):
        code("2026-11-28")
    with pytest.raises(OtherVersion):
        code("soon")
    with pytest.raises(NothingExpires, match="has expired"):
        expirations(replace(made, as_of=datetime(2027, 3, 1, tzinfo=UTC)))


def test_long_lists_of_expirations_are_turned_like_pages():
    days = [date.fromordinal(MONTHLY.toordinal() + 7 * week) for week in range(60)]
    made = chain(*days, strikes=[99, 100, 101])
    listed, seen = expirations(made), set()
    chosen = listed[0]
    scene = Scene("chain", ("TEST", chosen.code, "both", "", ""), Theme.DARK)
    for _ in range(3):
        options = expiry_words.choose(scene, listed, chosen, AS_OF, ENGLISH).item.options
        assert len(options) <= 25
        assert len({option.value for option in options}) == len(options)
        assert [option.value for option in options if option.default] == [chosen.code]
        seen |= {option.value for option in options if not option.label.startswith(("▲", "▼"))}
        last = options[-1]
        if last.label.startswith("▼"):
            chosen = find(listed, last.value, "TEST", AS_OF)
    assert seen == {each.code for each in listed}
    first = expiry_words.choose(scene, listed, listed[23], AS_OF, ENGLISH).item.options[0]
    assert (first.label, first.value) == ("▲ Earlier expirations", listed[22].code)


@pytest.mark.parametrize(
    ("day", "words"),
    [(TODAY, "today · 0DTE · monthly"), (date(2026, 11, 21), "tomorrow"), (NEAR, "in 7 days · weekly")],
)
def test_expirations_tell_how_far_away_and_what_they_are(day, words):
    (expiration,) = expirations(chain(day, strikes=[100]))
    assert expiry_words.facts(expiration, AS_OF) == words


def test_completions_fit_what_is_typed():
    listed = expirations(chain(TODAY, NEAR, (MONTHLY, True), MONTHLY, strikes=[100]))

    def values(typed):
        return [code for _, code in expiry_words.matching(listed, typed, AS_OF, ENGLISH)]

    assert values("") == ["2026-11-20", "2026-11-27", "2026-12-18"]
    assert values("nov27") == values("27 nov") == values("2026-11-27") == values("next fri") == ["2026-11-27"]
    assert values("monthly") == ["2026-11-20", "2026-12-18"]
    assert values("0dte") == ["2026-11-20"]
    assert values("dec") == ["2026-12-18"]
    assert values("xyz") == []
