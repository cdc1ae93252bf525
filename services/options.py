"""Option chains as people read them: pages of strikes, files, and volatility with its pictures."""

from collections.abc import Callable
from dataclasses import dataclass

from db.models import Theme
from services import chain_csv
from services.chain_page import Page, Side, page
from services.chart_pool import ChartPool
from services.charts import volatility_picture
from services.errors import BadData
from services.expirations import Expiration, expirations, find, part
from services.feeds.base import Chain
from services.levels import Kept
from services.market import Chains
from services.volatility import Term, Volatility, analyze_volatility
from services.volatility_words import View, day

MOST_KEPT = 128
"""A picture takes some 60 KB, the facts of it up to 130 KB."""
_USUAL_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a chain, and the expirations that there are."""

    page: Page
    expirations: tuple[Expiration, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A chain as a file (CSV), and what it holds; None as expiration means all of them."""

    chain: Chain
    expiration: Expiration | None
    csv: bytes


@dataclass(frozen=True, slots=True)
class VolatilityPicture:
    """The facts, the term and the view that were chosen, and their drawing (PNG)."""

    volatility: Volatility
    chosen: Term
    view: View
    png: bytes


class Options:
    """Reads the chains that a `source` has; what takes long is done outside the event loop, once for each chain."""

    def __init__(self, pool: ChartPool) -> None:
        self._pool = pool
        self._kept = Kept(MOST_KEPT)

    async def page(self, source: Chains, symbol: str, wanted: str, side: Side, lowest: float | None) -> Listed:
        """Return strikes of the expiration that `wanted` names as in `expirations.find`, the nearest for "".

        From `lowest` up, or around the money for None. Raises UnknownSymbol, NoChain, NothingExpires, BadData or
        FeedUnavailable.
        """
        chain = await source.chain(symbol)
        listed = expirations(chain)
        chosen = find(listed, wanted, symbol, chain.as_of) if wanted else listed[0]
        return Listed(page(chain, chosen, side, lowest), listed)

    async def table(self, source: Chains, symbol: str, wanted: str) -> Table:
        """Return the chain as CSV, whole for "", else one expiration; raises as `page`."""
        chain = await source.chain(symbol)
        chosen = find(expirations(chain), wanted, symbol, chain.as_of) if wanted else None
        rows = part(chain, chosen) if chosen else chain
        return Table(rows, chosen, await self._pool.run(chain_csv.write, rows))

    async def volatility(self, source: Chains, symbol: str) -> Volatility:
        """Return what the options say of volatility; raises as `page`."""
        return await self._volatility(await source.chain(symbol))

    async def picture(
        self, source: Chains, symbol: str, wanted: str, view: View | None, theme: Theme
    ) -> VolatilityPicture:
        """Return the picture of a view for the expiration that `wanted` names, about a week away for "".

        None as view means the first that there are quotes for. Raises as `page`, and BadData when the expiration does
        not have what the view shows.
        """
        chain = await source.chain(symbol)
        found = await self._volatility(chain)
        view = view or _first_view(found, wanted)
        place = _place(found, wanted, view)
        png = await self._kept.get(
            chain,
            (view, place, theme),
            lambda: self._pool.run(volatility_picture, found, place, view, theme),
        )
        return VolatilityPicture(found, found.terms[place], view, png)

    async def _volatility(self, chain: Chain) -> Volatility:
        # A chain takes megabytes on its way to a worker, what is found in it a twentieth of that.
        return await self._kept.get(chain, "volatility", lambda: self._pool.run(analyze_volatility, chain))


def place_of(volatility: Volatility, wanted: str) -> int:
    """Return the place of the term that `wanted` names as in `expirations.find`; raises NothingExpires."""
    listed = [term.expiration for term in volatility.terms]
    return listed.index(find(listed, wanted, volatility.symbol, volatility.as_of))


_SHOWN: dict[View, Callable[[Term], object]] = {
    View.SKEW: lambda term: term.skew,
    View.TERM: lambda term: term.atm_iv,
    View.CONE: lambda term: term.move,
}


def _first_view(volatility: Volatility, wanted: str) -> View:
    terms = (volatility.terms[place_of(volatility, wanted)],) if wanted else volatility.terms
    return next((view for view in View if any(map(_SHOWN[view], terms))), View.SKEW)


def _place(volatility: Volatility, wanted: str, view: View) -> int:
    v, shows = volatility, _SHOWN[view]
    if not wanted:
        able = [place for place, term in enumerate(v.terms) if shows(term)]
        if not able:
            raise BadData(f"No {v.symbol} expiration has enough quotes for this picture. Choose another one.")
        return min(able, key=lambda place: abs(v.terms[place].days - _USUAL_DAYS))
    place = place_of(v, wanted)
    if not shows(v.terms[place]):
        raise BadData(_missing(v.symbol, v.terms[place], view))
    return place


def _missing(symbol: str, term: Term, view: View) -> str:
    when = day(term.expiration)
    if view is View.SKEW:
        return (
            f"Only {term.strikes} strikes of {symbol} on {when} have an implied volatility, too few for a skew. "
            "Choose another expiration, or the term structure."
        )
    return f"The quotes of {symbol} on {when} do not tell this at the money. Choose another expiration."
