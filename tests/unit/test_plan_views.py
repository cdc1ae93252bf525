from datetime import UTC, datetime
from decimal import Decimal

import pytest
from babel import Locale

from bot import numbers
from bot.plan_views import card
from bot.preference_views import AS_DISCORD, FORMATS, SAMPLE, THEMES
from db.models import Theme
from services.plans import PLANS, WORDS, Kind, Plan
from services.usage import Today

EN = Locale("en", "US")
RESET = datetime(2026, 11, 21, 5, tzinfo=UTC)


def fields(embed):
    return {field.name: field.value for field in embed.fields}


def today(plan, complete=True, **used):
    return Today(PLANS[plan], {kind: used.get(kind.value, 0) for kind in Kind}, RESET, complete)


def test_the_first_line_tells_of_the_limit_that_ends_first():
    headline, embed = card(today(Plan.FREE, quote=100, chain=26, export=2), EN)
    assert headline == "**FREE** plan · 26 of 50 gamma and option answers used today"
    told = fields(embed)
    assert told["Quotes today"] == "▰▰▰▰▰▱▱▱▱▱ 100 of 200 · 100 left"
    assert told["Gamma and option answers today"] == "▰▰▰▰▰▰▱▱▱▱ 26 of 50 · 24 left"
    assert "<t:1795237200:R>" in told["The next day begins"]


def test_a_single_use_shows_and_more_than_the_limit_does_not_overflow():
    _, embed = card(today(Plan.FREE, quote=1, export=9), EN)
    told = fields(embed)
    assert told["Quotes today"].startswith("▰▱▱▱▱▱▱▱▱▱ 1 of 200")
    assert told["Exports today"] == "▰▰▰▰▰▰▰▰▰▰ 9 of 5 · none left"


def test_without_limits_only_the_uses_are_told():
    headline, embed = card(today(Plan.ELITE, quote=1234), EN)
    assert headline == "**ELITE** plan · no limits"
    assert fields(embed)["Quotes today"] == "1,234 used · no limit"


def test_what_every_plan_includes_is_told_and_which_is_ones_own():
    free, pro, elite = fields(card(today(Plan.PRO), EN)[1])["What the plans include"].splitlines()
    assert free.startswith("**FREE**: 200 quotes, 50 gamma and option answers, 50 price charts, 5 exports a day;")
    assert free.endswith("; quotes up to 1 min old, options up to 15 min old")
    assert pro.startswith("**PRO** (yours): 5,000 quotes, 1,000 gamma and option answers,")
    assert pro.endswith("; quotes live, options up to 1 min old")
    assert elite == "**ELITE**: no limits; quotes and options live"


def test_without_the_database_the_card_says_that_it_may_be_too_little():
    assert "may be too little" in card(today(Plan.FREE, complete=False), EN)[1].description


def test_every_plan_has_a_number_or_no_limit_for_every_kind():
    assert set(PLANS) == set(Plan)
    for terms in PLANS.values():
        assert set(terms.most) == set(Kind) == set(WORDS)
        assert terms.quote_age <= terms.chain_age


def test_better_plans_are_better_in_everything():
    def generous(terms):
        return [10**9 if most is None else most for most in terms.most.values()]

    for worse, better in ((Plan.FREE, Plan.PRO), (Plan.PRO, Plan.ELITE)):
        assert all(a < b for a, b in zip(generous(PLANS[worse]), generous(PLANS[better]), strict=True))
        assert PLANS[worse].chain_age > PLANS[better].chain_age


@pytest.mark.parametrize(("form", "example"), [(f, e) for f, e in FORMATS.items() if f != AS_DISCORD])
def test_a_number_format_is_shown_as_it_writes(form, example):
    written = numbers.price(SAMPLE, numbers.locale_of(form))
    assert written.replace("\u202f", " ").replace("\xa0", " ") == example
    assert numbers.typed(example, numbers.locale_of(form)) == Decimal("1234.56")


def test_every_theme_can_be_chosen():
    assert set(THEMES) == set(Theme)
