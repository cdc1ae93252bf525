"""How a channel's board looks: the levels of the open, and the summary of the close."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import discord
from babel import Locale
from babel.dates import format_date

from bot import numbers
from bot.embeds import GREEN, GREY, RED
from bot.numbers import moment

Row = Mapping[str, Any]
MOST_NAMED = 3
LEVELS = {"call_wall": "call wall", "put_wall": "put wall", "flip": "flip"}


def opening(payload: Mapping[str, Any], locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of the levels that a trading day begins with."""
    embed = _board(payload, locale, [_opened(row, locale) for row in payload["rows"]])
    half = ", half day" if payload["half_day"] else ""
    closes = datetime.fromisoformat(payload["closes_at"])
    embed.add_field(name="Today", value=f"closes {moment(closes, 't')} ({moment(closes)}){half}", inline=False)
    return f"🔔 **Open** · {facts(payload['rows'], locale)}", embed


def closing(payload: Mapping[str, Any], locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of how a trading day ended."""
    embed = _board(payload, locale, [_closed(row, locale) for row in payload["rows"]])
    return f"🏁 **Close** · {facts(payload['rows'], locale)}", embed


def _board(payload: Mapping[str, Any], locale: Locale, lines: Sequence[str]) -> discord.Embed:
    day = format_date(date.fromisoformat(payload["day"]), "full", locale=locale)
    embed = discord.Embed(title=day, colour=colour_of_moves(payload["rows"]), description="\n".join(lines))
    if payload["missing"]:
        embed.add_field(name="No data", value=", ".join(payload["missing"]), inline=False)
    return embed


def colour_of_moves(rows: Sequence[Row]) -> discord.Colour:
    """Return green where the moves add up to a rise, red to a fall."""
    mood = sum((Decimal(row["change_percent"]) for row in rows if row["change_percent"] is not None), Decimal(0))
    return GREEN if mood > 0 else RED if mood < 0 else GREY


def facts(rows: Sequence[Row], locale: Locale) -> str:
    """Return the first few rows in one line."""
    named = " · ".join(headline(row, locale) for row in rows[:MOST_NAMED])
    return named + (f" · {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else "")


def _opened(row: Row, locale: Locale) -> str:
    line = f"**{row['symbol']}** opens {price(row, 'price', locale)}{_move(row, locale)}"
    below = [f"closed {price(row, 'previous_close', locale)}"] if row["previous_close"] else []
    gamma = row.get("gamma") or {}
    below += [f"{words} {price(gamma, name, locale)}" for name, words in LEVELS.items() if gamma.get(name)]
    return line + (f"\n-# {' · '.join(below)}" if below else "")


def _closed(row: Row, locale: Locale) -> str:
    line = headline(row, locale)
    below = [f"open {price(row, 'open', locale)}"] if row["open"] else []
    if row["low"] and row["high"]:
        below.append(f"range {price(row, 'low', locale)} – {price(row, 'high', locale)}")
    if row["volume"]:
        below.append(f"vol {numbers.count(int(row['volume']), locale)}")
    return line + (f"\n-# {' · '.join(below)}" if below else "")


def _move(row: Row, locale: Locale) -> str:
    if row["change_percent"] is None:
        return ""
    share = Decimal(row["change_percent"]) / 100
    light = "▲" if share > 0 else "▼" if share < 0 else "•"
    return f" {light} {numbers.percent(share, locale, sign=True)}"


def headline(row: Row, locale: Locale) -> str:
    """Return symbol, price, the hours that it is of unless they are the regular ones, and move."""
    hours = f" {row['hours']}" if row.get("hours") else ""
    return f"**{row['symbol']}** {price(row, 'price', locale)}{hours}{_move(row, locale)}"


def price(row: Row, name: str, locale: Locale) -> str:
    """Return one of a row's prices, a dash where there is none."""
    return "—" if row[name] is None else numbers.price(Decimal(row[name]), locale)
