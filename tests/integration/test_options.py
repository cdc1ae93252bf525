"""Options as the commands ask for them: real workers, one analysis a chain, and thin chains that say what they lack."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from option_chains import AS_OF, chain

from db.models import Theme
from services import chain_csv
from services.chain_page import Side
from services.chart_pool import ChartPool
from services.clock import Calendar
from services.errors import BadData, NothingExpires
from services.feeds.base import Chain, Feed, Offer
from services.market import Market
from services.options import Options
from services.volatility_words import View

NEAR, MONTHLY = date(2026, 11, 27), date(2026, 12, 18)
OPENS = AS_OF - timedelta(hours=1)


class OneChain(Feed):
    """A feed of one chain."""

    name, offers = "one", frozenset({Offer.CHAINS})

    def __init__(self, made: Chain) -> None:
        self._made = made

    async def chain(self, _symbol):
        return self._made

    def now(self):
        return AS_OF


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ChartPool]:
    pool = ChartPool(1)
    yield pool
    await pool.close()


class Asking:
    """Options as one asks them of a market that has one chain."""

    def __init__(self, pool, made):
        market = Market([OneChain(made)], Calendar(((OPENS, OPENS + timedelta(hours=6)),)))
        found = Options(pool)
        self.page, self.table, self.picture = (
            partial(verb, market) for verb in (found.page, found.table, found.picture)
        )


def options(pool, made) -> Asking:
    return Asking(pool, made)


def without_skew(made: Chain, day: date) -> Chain:
    """The chain with three strikes left on a day."""
    keep = (made.expiry != (day - date(1970, 1, 1)).days) | (np.abs(made.strike - 100) <= 1)
    names = (
        "strike",
        "expiry",
        "is_call",
        "am_settled",
        "bid",
        "ask",
        "iv",
        "gamma",
        "delta",
        "open_interest",
        "volume",
    )
    return replace(made, **{name: getattr(made, name)[keep] for name in names})


async def test_a_page_and_a_table_are_of_the_expiration_that_was_named(pool):
    found = options(pool, chain(NEAR, MONTHLY))
    listed = await found.page("TEST", "", Side.CALLS, None)
    assert listed.page.expiration.day == NEAR
    assert [each.day for each in listed.expirations] == [NEAR, MONTHLY]
    assert (await found.page("TEST", "opex", Side.CALLS, None)).page.expiration.day == MONTHLY
    whole, one = await found.table("TEST", ""), await found.table("TEST", "2026-12-18")
    assert len(chain_csv.read(whole.csv).strike) == 2 * len(chain_csv.read(one.csv).strike)
    with pytest.raises(NothingExpires, match="Nearest: Fri 27 Nov 2026, Fri 18 Dec 2026"):
        await found.page("TEST", "2026-12-01", Side.CALLS, None)


async def test_a_picture_is_drawn_once_for_many_who_ask(pool):
    found = options(pool, chain(NEAR, MONTHLY))
    pictures = await asyncio.gather(*(found.picture("TEST", "", None, Theme.DARK) for _ in range(5)))
    assert all(picture.png is pictures[0].png for picture in pictures)
    assert all(picture.volatility is pictures[0].volatility for picture in pictures)
    assert pictures[0].view is View.SKEW
    assert pictures[0].chosen.expiration.day == NEAR
    assert (await found.picture("TEST", "", None, Theme.LIGHT)).png != pictures[0].png


async def test_what_an_expiration_lacks_is_named_or_another_view_taken(pool):
    found = options(pool, without_skew(chain(NEAR, MONTHLY), NEAR))
    assert (await found.picture("TEST", "", None, Theme.DARK)).chosen.expiration.day == MONTHLY
    first = await found.picture("TEST", "2026-11-27", None, Theme.DARK)
    assert (first.view, first.chosen.skew) == (View.TERM, None)
    with pytest.raises(BadData, match="Only 3 strikes of TEST on Fri 27 Nov have an implied volatility"):
        await found.picture("TEST", "2026-11-27", View.SKEW, Theme.DARK)


async def test_a_stale_chain_is_refused(pool):
    old = replace(chain(NEAR), as_of=AS_OF - timedelta(hours=2))
    with pytest.raises(BadData, match="too old to draw"):
        await options(pool, old).picture("TEST", "", None, Theme.DARK)
