"""Expirations as people choose among them: weekday, date, how far away, and what kind."""

from collections.abc import Sequence
from datetime import datetime

import discord
from babel import Locale
from babel.dates import format_date

from bot.pictures import Choose, Scene
from services.clock import new_york_day
from services.errors import NotAnExpiry
from services.expirations import Expiration
from services.typed_expiry import typed_expiry

MOST_OPTIONS = 25
_ON_A_PAGE = MOST_OPTIONS - 2


def day(expiration: Expiration, locale: Locale) -> str:
    """Write an expiration with its weekday: `Fri 18 Dec`, with AM where it settles at the open."""
    written = format_date(expiration.day, "E d MMM", locale=locale)
    return f"{written}{' AM' if expiration.am_settled else ''}"


def away(expiration: Expiration, as_of: datetime) -> str:
    """Write how far away an expiration is, in New York's days."""
    days = (expiration.day - new_york_day(as_of)).days
    return {0: "today", 1: "tomorrow"}.get(days, f"in {days} days")


def kind(expiration: Expiration, as_of: datetime) -> str:
    """Name what an expiration is called, "" for those between."""
    today = ["0DTE"] if expiration.day == new_york_day(as_of) else []
    usual = "monthly" if expiration.monthly else "weekly" if expiration.day.weekday() == 4 else ""
    return " · ".join(filter(None, (*today, usual)))


def facts(expiration: Expiration, as_of: datetime) -> str:
    """Write distance and kind: `in 27 days · monthly`."""
    return " · ".join(filter(None, (away(expiration, as_of), kind(expiration, as_of))))


def matching(listed: Sequence[Expiration], typed: str, now: datetime, locale: Locale) -> list[tuple[str, str]]:
    """Return words and date of each day on which something expires and that fits what was typed so far."""
    parts = typed.lower().split()
    try:
        meant = {typed_expiry(typed, new_york_day(now))}
    except NotAnExpiry:
        meant = set()
    found = {}
    for each in listed:
        words = f"{day(each._replace(am_settled=False), locale)} {each.day.year} · {facts(each, now)}"
        spellings = f"{words} {each.day} {each.day:%b%d %d%b %A %B}".lower()
        if each.day in meant or all(part in spellings for part in parts):
            found[str(each.day)] = words
    return [(words, code) for code, words in found.items()]


def choose(scene: Scene, listed: Sequence[Expiration], chosen: Expiration, as_of: datetime, locale: Locale) -> Choose:
    """Return a select of the expirations around the chosen one; its first and last options lead to the others."""
    begin = listed.index(chosen) // _ON_A_PAGE * _ON_A_PAGE
    end = begin + _ON_A_PAGE
    options = [
        discord.SelectOption(
            label=f"{day(each, locale)} {each.day.year}",
            value=each.code,
            description=facts(each, as_of),
            default=each == chosen,
        )
        for each in listed[begin:end]
    ]
    if begin:
        options.insert(0, _more("▲ Earlier expirations", listed[begin - 1], locale))
    if end < len(listed):
        options.append(_more("▼ Later expirations", listed[end], locale))
    return Choose(scene, 1, "Expiration …", options)


def _more(words: str, to: Expiration, locale: Locale) -> discord.SelectOption:
    return discord.SelectOption(label=words, value=to.code, description=f"to {day(to, locale)} {to.day.year}")
