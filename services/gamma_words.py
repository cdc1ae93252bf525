"""The facts of the gamma picture in words: its alternative text, and the figures and phrases written on it."""

from datetime import date

import numpy as np

from services.clock import NEW_YORK
from services.expiration import Expiry, is_stand_in
from services.gamma import Gamma
from services.lens import Mode
from services.source_words import lateness

_STAND_INS = {Expiry.ZERO_DTE: "next expiry", Expiry.WEEK: "nearest expiry"}
_FILTERS = {Expiry.ZERO_DTE: "0DTE", Expiry.WEEK: "this week", Expiry.OPEX: "OPEX", Expiry.NEAR: "94 days"}
_MODES = {
    Mode.VENDOR: "The source's own gamma",
    Mode.PERFILIEV: "Perfiliev's definitions",
    Mode.GFLOWS: "gflows' definitions",
}


def alt_text(gamma: Gamma) -> str:
    """Tell the picture's facts in at most 1,024 characters, for readers who hear it."""
    g = gamma
    local = g.as_of.astimezone(NEW_YORK)
    sign = "positive" if g.total >= 0 else "negative"
    facts = [
        f"Gamma exposure of {g.symbol} by strike on {_day(local)} at {local:%H:%M} ET, {expiries(g)}.",
        f"Spot {g.spot:,.2f}.",
        f"Net {money(g.total, signed=True)} {per(g)}: {sign} gamma; gross {money(g.gross)}.",
        *(
            f"{name} {strike(wall)} ({money(net_at(g, wall))} net)."
            for name, wall in (("Call wall", g.call_wall), ("Put wall", g.put_wall))
            if wall is not None
        ),
        "No flip." if g.flip is None else f"Gamma flip {g.flip:,.2f}, {distance(g.flip, g.spot)} from spot.",
    ]
    if g.expected_move:
        facts.append(f"Expected move ±{g.expected_move:,.2f} by {_day(g.expiries[0])}.")
    return f"{' '.join(facts)} {'; '.join(provenance(g))}."[:1024]


def money(dollars: float, *, signed: bool = False, short: bool = False) -> str:
    """Write dollars with three digits and K, M, B or T; `short` drops zeros behind the point."""
    size = abs(dollars)
    power = next((power for power in (4, 3, 2, 1) if size >= 0.9995 * 1000**power), 0)
    value = size / 1000**power
    figure = f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
    if short and "." in figure:
        figure = figure.rstrip("0").rstrip(".")
    sign = "−" if dollars < 0 else "+" if signed else ""
    return f"{sign}${figure}{('', 'K', 'M', 'B', 'T')[power]}"


def strike(price: float) -> str:
    """Write a strike with thousands separators and no needless zeros."""
    return f"{price:,.2f}".rstrip("0").rstrip(".")


def provenance(gamma: Gamma) -> list[str]:
    """Tell what the picture rests on: convention, dates, coverage and sources."""
    g = gamma
    dated = f"open interest of {_day(g.open_interest_date)}" if g.open_interest_date else "open interest undated"
    if g.lens.by_volume:
        dated = "volume of the day, not open interest"
    mode = [_MODES[g.lens.mode]] if g.lens.mode in _MODES else []
    known = f"{g.coverage:.1%} of it with IV"
    return [*mode, "Dealers long calls, short puts", dated, known, *iv_sources(g), f"{g.source}, {lateness(g.delay)}"]


def per(gamma: Gamma) -> str:
    """Name the move that exposures are given for."""
    return "per point" if gamma.lens.per_point else "per 1% move"


def iv_sources(gamma: Gamma) -> list[str]:
    """Tell where the implied volatilities come from, each with its share of the open interest."""
    return [f"{share:.1%} {kind}" for share, kind in gamma.iv_sources]


def stand_in(gamma: Gamma) -> str | None:
    """Name the only expiry of a filter of whose own day or week nothing is left, else return None."""
    expiry = gamma.lens.expiry
    if not (isinstance(expiry, Expiry) and is_stand_in(expiry, gamma.expiries[0], gamma.as_of)):
        return None
    return _STAND_INS[expiry]


def moment(gamma: Gamma) -> str:
    """Write the moment of the chain in New York time."""
    local = gamma.as_of.astimezone(NEW_YORK)
    return f"{local.day} {local:%b %H:%M} ET"


def expiries(gamma: Gamma) -> str:
    """Name the filter and count the expiries, or name the only one."""
    days = gamma.expiries
    only = f"{days[0].day} {days[0]:%b}"
    if instead := stand_in(gamma):
        return f"{instead} {only}"
    count = f"{len(days)} expiries" if len(days) != 1 else f"expiry {only}"
    name = _FILTERS.get(gamma.lens.expiry) if isinstance(gamma.lens.expiry, Expiry) else None
    return f"{name} · {count}" if name else count


def distance(price: float, spot: float) -> str:
    """Write how far a price is from spot, in percent of spot."""
    share = price / spot - 1
    return f"{share:+.{1 if abs(share) >= 0.001 else 2}%}".replace("-", "−")


def net_at(gamma: Gamma, price: float) -> float:
    """Return the net exposure of the strike nearest to a price, in dollars per 1 % move."""
    at = int(np.argmin(np.abs(gamma.strikes - price)))
    return float(gamma.call_gex[at] + gamma.put_gex[at])


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
