"""How a watch looks: the message that a channel keeps, its end, and what its owner is told when it is gone."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import discord
from babel import Locale

from bot import numbers
from bot.board_cards import LEVELS, Row, colour_of_moves, facts, headline
from bot.embeds import AMBER, GREY, session
from bot.numbers import moment
from services.clock import Phase, Session


def watch(payload: Mapping[str, Any], locale: Locale) -> tuple[str, discord.Embed]:
    """Return headline and embed of the quotes and levels that a channel keeps."""
    rows = payload["rows"]
    lines = [_line(row, locale) for row in rows] or ["No source answers at the moment; the next edit tries again."]
    embed = discord.Embed(colour=colour_of_moves(rows), description="\n".join(lines))
    if payload["missing"]:
        embed.add_field(name="No data", value=", ".join(payload["missing"]), inline=False)
    now = _session(payload["session"])
    embed.add_field(name="Market", value=session(now), inline=False)
    if rows:
        embed.add_field(name="Data", value="\n".join(_sources(rows)), inline=False)
    embed.add_field(name="This message", value=_pace(payload, now), inline=False)
    return f"👁️ {facts(rows, locale) if rows else '**No data**'}", embed


def ended(payload: Mapping[str, Any]) -> str:
    """Return what stands in the place of a watch that somebody has stopped."""
    return f"⏹️ **Watch ended** · {', '.join(payload['symbols'])} · stopped by <@{payload['ended_by']}>"


def removed(payload: Mapping[str, Any]) -> tuple[str, discord.Embed]:
    """Return what the owner is told when a watch has lost its message or its place."""
    where = "in our direct messages" if payload["direct"] else f"in <#{payload['channel_id']}>"
    reasons = {
        "message deleted": "its message was deleted, which I take for a no",
        "deleted": "the channel was deleted",
        "missing permission": "I lack a permission there (View Channel, Send Messages, Embed Links)",
    }
    why = reasons.get(payload["reason"], f"Discord says: {payload['reason']}")
    words = f"I have stopped it: {why}. `/watch symbols:{' '.join(payload['symbols'])}` puts it up again."
    return (
        f"👁️ Your watch of **{', '.join(payload['symbols'])}** {where} has ended",
        discord.Embed(colour=AMBER, description=words),
    )


def set_up(symbols: Sequence[str], channel_id: int, every_min: int) -> tuple[str, discord.Embed]:
    """Return what is answered to whoever has put a watch up or changed it."""
    words = (
        f"Edited in place every {every_min} min while the market is open, and once more at the close. "
        "`/watch` again changes it; **Stop** under it, `/watch symbols:stop`, or deleting the message ends it."
    )
    return f"👁️ Watch in <#{channel_id}>: **{', '.join(symbols)}**", discord.Embed(colour=GREY, description=words)


def _line(row: Row, locale: Locale) -> str:
    stale = " ⚠️ stale" if row["stale"] else ""
    gamma = row["gamma"] or {}
    levels = [f"{words} {_level(gamma[name], locale)}" for name, words in LEVELS.items() if gamma.get(name)]
    if not levels:
        return f"{headline(row, locale)}{stale}"
    return f"{headline(row, locale)}{stale}\n-# {' · '.join(levels)} · {moment(datetime.fromisoformat(gamma['as_of']))}"


def _level(text: str, locale: Locale) -> str:
    whole = text.endswith(".00")
    return numbers.strike(float(text), locale) if whole else numbers.price(Decimal(text), locale)


def _sources(rows: Sequence[Row]) -> list[str]:
    """Return a line for each source, with the oldest that it has told."""
    levels = [row["gamma"] for row in rows if row["gamma"]]
    return [_source(row) for row in _oldest(rows)] + [f"levels: {_source(row)}" for row in _oldest(levels)]


def _oldest(told: Sequence[Row]) -> Sequence[Row]:
    return list({row["source"]: row for row in sorted(told, key=lambda row: str(row["as_of"]), reverse=True)}.values())


def _source(row: Row) -> str:
    at, delay = datetime.fromisoformat(row["as_of"]), row["delay_s"]
    late = f"delayed {numbers.duration(timedelta(seconds=delay))}" if delay else "real time"
    return f"{row['source']} · {'recording' if delay is None else late} · {moment(at, 'T')} ({moment(at)})"


def _pace(payload: Mapping[str, Any], now: Session) -> str:
    then = datetime.fromisoformat(payload["next_at"])
    if now.phase is Phase.OPEN:
        return f"edited every {payload['every_min']} min · next {moment(then, 't')} ({moment(then)})"
    return f"edited every {payload['every_min']} min while the market is open · again after {moment(now.opens_at, 'f')}"


def _session(state: Mapping[str, Any]) -> Session:
    opens, closes = (datetime.fromisoformat(state[name]) for name in ("opens_at", "closes_at"))
    return Session(Phase(state["phase"]), opens, closes, bool(state["half_day"]))
