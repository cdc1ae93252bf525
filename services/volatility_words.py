"""The facts of the volatility pictures in words: their alternative text, and the figures and phrases on them."""

from enum import StrEnum

from services.clock import NEW_YORK
from services.expirations import Expiration
from services.source_words import lateness
from services.volatility import Term, Volatility

_CLEAN = "IV of the out-of-the-money side, else solved from mid prices"
_MOST_TOLD = 6
_FAR_DAYS = 300


class View(StrEnum):
    """What a volatility picture shows."""

    SKEW = "skew"
    TERM = "term"
    CONE = "cone"


def alt_text(volatility: Volatility, chosen: Term, view: View) -> str:
    """Tell the picture's facts in at most 1,024 characters, for readers who hear it."""
    v, by = volatility, day(chosen.expiration)
    facts = [f"{title(view)} of {v.symbol}, {moment(v)}.", f"Spot {v.spot:,.2f}."]
    if v.iv30 is not None:
        facts.append(f"30-day IV {percent(v.iv30)}.")
    if chosen.atm_iv is not None:
        facts.append(f"IV at the money {percent(chosen.atm_iv)} on {by}.")
    match view:
        case View.SKEW:
            facts += _wings(chosen)
        case View.TERM:
            told = [f"{day(term.expiration)} {percent(term.atm_iv)}" for term in v.terms if term.atm_iv is not None]
            facts.append(f"By expiry: {', '.join(told[:_MOST_TOLD])}.")
        case View.CONE:
            told = [f"±{figure(term.move)} by {day(term.expiration)}" for term in v.terms if term.move is not None]
            facts.append(f"Expected move {', '.join(told[:_MOST_TOLD])}.")
    return f"{' '.join(facts)} {'; '.join(provenance(v, view))}."[:1024]


def title(view: View) -> str:
    """Name a view."""
    return {
        View.SKEW: "Volatility skew",
        View.TERM: "Volatility term structure",
        View.CONE: "Expected move",
    }[view]


def provenance(volatility: Volatility, view: View) -> list[str]:
    """Tell what the picture rests on: definitions, source and delay."""
    how = {
        View.SKEW: [_CLEAN, "25-delta: where a call or put has a delta of 0.25"],
        View.TERM: [_CLEAN, "at the forward of each expiry", "30 days linear in total variance"],
        View.CONE: ["Straddle at the money", "where it is not quoted 0.8 × spot × IV × root of time"],
    }[view]
    return [*how, f"{volatility.source}, {lateness(volatility.delay)}"]


def moment(volatility: Volatility) -> str:
    """Write the moment of the chain in New York time."""
    local = volatility.as_of.astimezone(NEW_YORK)
    return f"{local.day} {local:%b %H:%M} ET"


def day(expiration: Expiration, *, weekday: bool = True) -> str:
    """Write an expiration: `Fri 18 Dec`, with AM where it settles at the open."""
    name = f"{expiration.day:%a} " if weekday else ""
    return f"{name}{expiration.day.day} {expiration.day:%b}{' AM' if expiration.am_settled else ''}"


def short_day(term: Term) -> str:
    """Write an expiration under an axis: `18 Dec`, or `Dec 2027` where it is most of a year away."""
    when = term.expiration.day
    return f"{when.day} {when:%b}" if term.days < _FAR_DAYS else f"{when:%b %Y}"


def percent(volatility: float) -> str:
    """Write a volatility in percent with one decimal."""
    return f"{100 * volatility:.1f}%"


def points(difference: float) -> str:
    """Write a difference of volatilities in points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def figure(price: float) -> str:
    """Write a price with the decimals that matter."""
    return f"{price:,.{4 if abs(price) < 1 else 2 if abs(price) < 10_000 else 1}f}"


def strike(price: float) -> str:
    """Write a strike with thousands separators and no needless zeros."""
    return f"{price:,.3f}".rstrip("0").rstrip(".")


def left(term: Term) -> str:
    """Write how long an expiration is away."""
    days = round(term.days)
    return f"{days} days" if days > 1 else "1 day" if days else "today"


def _wings(term: Term) -> list[str]:
    if term.skew is None or term.skew.risk_reversal is None:
        return ["No 25-delta risk reversal."]
    put, call = term.skew.put_wing, term.skew.call_wing
    assert put, "a risk reversal has both wings"
    assert call, "likewise"
    wings = f"25-delta put {percent(put[1])} at {figure(put[0])}, call {percent(call[1])} at {figure(call[0])}"
    return [f"{wings}, risk reversal {points(term.skew.risk_reversal)} points."]
