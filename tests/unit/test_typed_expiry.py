"""What people type as an expiration."""

from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import NotAnExpiry
from services.expiration import Expiry
from services.typed_expiry import typed_expiry

SUNDAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-27", date(2026, 11, 27)),
        ("2026/12/4", date(2026, 12, 4)),
        ("27 Nov", date(2026, 11, 27)),
        ("nov27", date(2026, 11, 27)),
        ("27nov", date(2026, 11, 27)),
        ("Nov 27, 2026", date(2026, 11, 27)),
        ("27nov26", date(2026, 11, 27)),
        ("november 27", date(2026, 11, 27)),
        ("15 jan", date(2027, 1, 15)),
        ("21 nov", date(2027, 11, 21)),
        ("29 feb", date(2028, 2, 29)),
        ("friday", date(2026, 11, 27)),
        ("this fri", date(2026, 11, 27)),
        ("next friday", date(2026, 11, 27)),
        ("next wednesday", date(2026, 11, 25)),
        ("tomorrow", date(2026, 11, 23)),
        ("today", SUNDAY),
        ("0DTE", Expiry.ZERO_DTE),
        (" Weekly ", Expiry.WEEK),
        ("monthly", Expiry.OPEX),
        ("OPEX", Expiry.OPEX),
    ],
)
def test_dates_and_words_are_read(typed, meant):
    assert typed_expiry(typed, SUNDAY) == meant


def test_friday_is_the_coming_one_and_next_friday_that_of_the_next_week():
    tuesday, friday = date(2026, 11, 24), date(2026, 11, 27)
    assert typed_expiry("friday", tuesday) == friday
    assert typed_expiry("next friday", tuesday) == date(2026, 12, 4)
    assert typed_expiry("friday", friday) == friday
    assert typed_expiry("next friday", friday) == date(2026, 12, 4)


@pytest.mark.parametrize(
    "typed", ["", "soon", "31 feb", "2026-13-01", "nov", "32 nov", "11/27", "next week", "ma 3", "1e5"]
)
def test_what_cannot_be_read_is_refused_in_words(typed):
    with pytest.raises(NotAnExpiry, match=r"as an expiration\. Type it like `27 Nov`"):
        typed_expiry(typed, SUNDAY)


@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.integers(0, 364))
def test_a_date_without_a_year_is_the_next_one(today, ahead):
    meant = today + timedelta(days=ahead)
    for text in (f"{meant.day} {meant:%b}", f"{meant:%b}{meant.day}", f"{meant:%B} {meant.day}", meant.isoformat()):
        found = typed_expiry(text, today)
        assert found == meant or (meant.month, meant.day) == (2, 29)


@given(st.text(max_size=30))
def test_no_text_breaks_it(text):
    with suppress(NotAnExpiry):
        assert isinstance(typed_expiry(text, SUNDAY), Expiry | date)
