"""Plans: how fresh the data of each is, and how much of it a day holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

LIVE_QUOTE = timedelta(seconds=1)
LIVE_CHAIN = timedelta(seconds=5)


class Plan(StrEnum):
    """What a person has; the operator, and later the billing, decide it."""

    FREE = "free"
    PRO = "pro"
    ELITE = "elite"


class Kind(StrEnum):
    """What is counted, each use once."""

    QUOTE = "quote"
    CHAIN = "chain"
    """Whatever needs an option chain: gamma, levels, volatility, the chain itself, their history."""
    CHART = "chart"
    EXPORT = "export"


WORDS: Mapping[Kind, str] = {
    Kind.QUOTE: "quotes",
    Kind.CHAIN: "gamma and option answers",
    Kind.CHART: "price charts",
    Kind.EXPORT: "exports",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan includes; an answer of the market may be kept for as long as the ages say."""

    plan: Plan
    quote_age: timedelta
    chain_age: timedelta
    most: Mapping[Kind, int | None]
    """Uses a day; None is without a limit. `app.tier_limits` holds the same numbers, and PostgreSQL enforces them."""


# A new number needs a migration that changes app.tier_limits; a test compares the two.
#                        quotes at most this old | chains                | quotes a day | chains | charts | exports
_TABLE = {
    Plan.FREE: (timedelta(minutes=1), timedelta(minutes=15), 200, 50, 50, 5),
    Plan.PRO: (LIVE_QUOTE, timedelta(minutes=1), 5000, 1000, 1000, 100),
    Plan.ELITE: (LIVE_QUOTE, LIVE_CHAIN, None, None, None, None),
}
PLANS: Mapping[Plan, Terms] = {
    plan: Terms(plan, quote_age, chain_age, dict(zip(Kind, most, strict=True)))
    for plan, (quote_age, chain_age, *most) in _TABLE.items()
}
