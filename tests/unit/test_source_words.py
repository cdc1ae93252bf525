"""How late a source is, in words."""

from datetime import timedelta

from services.source_words import lateness


def test_a_delay_is_told_in_minutes_and_none_is_a_recording():
    assert lateness(timedelta(minutes=15)) == "delayed 15 min"
    assert lateness(timedelta(hours=2)) == "delayed 120 min"
    assert lateness(timedelta()) == "real time"
    assert lateness(None) == "recording"
