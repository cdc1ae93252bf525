"""Numbers and moments as the reader writes them: separators by their choice or Discord locale, times by Discord."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import discord
from babel import Locale
from babel.core import UnknownLocaleError
from babel.numbers import format_decimal, get_decimal_symbol, get_group_symbol, get_minus_sign_symbol

from services.errors import NotANumber

_DISCORD_NAMES = {"no": "nb", "zh-CN": "zh_Hans_CN", "zh-TW": "zh_Hant_TW", "es-419": "es_419"}
_SCALES: tuple[tuple[Decimal, str], ...] = (
    (Decimal(10) ** 12, " tn"),
    (Decimal(10) ** 9, " bn"),
    (Decimal(10) ** 6, " m"),
    (Decimal(10) ** 3, " k"),
)


@lru_cache(maxsize=64)
def locale_of(discord_locale: str) -> Locale:
    """Return Babel's locale for one of Discord's; English where Babel has none."""
    try:
        return Locale.parse(_DISCORD_NAMES.get(discord_locale, discord_locale.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return Locale("en", "US")


def locale_for(interaction: discord.Interaction[Any]) -> Locale:
    """Return the number format that the person chose, else that of their Discord."""
    chosen = interaction.client.services.people.remembered(interaction.user.id).numbers
    return locale_of(chosen or interaction.locale.value)


def price(value: Decimal | float, locale: Locale) -> str:
    """Return a price with two decimals, four below a dollar."""
    return _signed(value, "#,##0.00##" if -1 < value < 1 else "#,##0.00", locale)


def strike(value: float, locale: Locale) -> str:
    """Return a strike with the decimals it has."""
    return _signed(round(value, 3), "#,##0.###", locale)


def count(value: int, locale: Locale) -> str:
    """Return a whole number with separators."""
    return _signed(value, "#,##0", locale)


def decimals(value: float, places: int, locale: Locale) -> str:
    """Return a number with as many decimals as asked for, at least one."""
    return _signed(round(value, places) + 0.0, f"#,##0.{'0' * places}", locale)


def percent(fraction: Decimal | float, locale: Locale, *, sign: bool = False, places: int = 2) -> str:
    """Return a fraction as a percentage with two decimals or as many as asked for, in the locale's own way."""
    exact = fraction if isinstance(fraction, Decimal) else Decimal(str(fraction))
    value = round(exact, places + 2) + 0
    return ("+" if sign and value > 0 else "") + _signed(value, _percent_pattern(locale, places), locale)


def change(value: Decimal, locale: Locale) -> str:
    """Return a difference with its sign."""
    value = round(value, 4) + 0
    return ("+" if value > 0 else "") + price(value, locale)


def money(value: Decimal, locale: Locale, *, sign: bool = False) -> str:
    """Return an amount of dollars to the cent: `−$1,180.50`."""
    lead = "−" if value < 0 else "+" if sign and value > 0 else ""
    return f"{lead}${_signed(abs(value), '#,##0.00', locale)}"


def dollars(value: float, locale: Locale, *, sign: bool = False) -> str:
    """Return an amount of dollars, short: `−$1.18 bn`."""
    amount = abs(Decimal(repr(value)))
    scale, unit = next(((s, u) for s, u in _SCALES if amount >= s), (Decimal(1), ""))
    text = format_decimal(amount / scale, "#,##0.00", locale=locale)
    lead = "−" if value < 0 else "+" if sign else ""
    return f"{lead}${text}{unit}"


def typed(text: str, locale: Locale) -> Decimal:
    """Return the number that a person typed: `1,250.5` or `1.250,5` by their locale, with or without a dollar sign.

    A single separator in front of other than three digits is always the decimal one. Raises NotANumber.
    """
    plain = re.sub(r"[\s$'’_]", "", text)
    group, decimal = get_group_symbol(locale), get_decimal_symbol(locale)
    if not re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(group)}\d{{3}})+({re.escape(decimal)}\d*)?", plain):
        group, decimal = ("", re.sub(r"[^.,]", "", plain))
        if len(decimal) > 1:
            raise NotANumber(text)
    plain = plain.replace(group, "").replace(decimal or ".", ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", plain) or len(plain) > 20:
        raise NotANumber(text)
    return Decimal(plain)


def moment(at: datetime, style: str = "R") -> str:
    """Return a Discord timestamp, which each reader sees in their own zone and words."""
    return f"<t:{int(at.timestamp())}:{style}>"


def duration(span: timedelta) -> str:
    """Return a length of time in its largest unit."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            amount = seconds // size
            return f"{amount} {unit}{'s' if unit == 'day' and amount > 1 else ''}"
    return f"{seconds} s"


@lru_cache(maxsize=64)
def _percent_pattern(locale: Locale, places: int) -> str:
    pattern: str = locale.percent_formats[None].pattern
    return pattern.replace("#,##0", f"#,##0.{'0' * places}")


@lru_cache(maxsize=4096)
def _signed(value: Decimal | float, pattern: str, locale: Locale) -> str:
    text: str = format_decimal(value, pattern, locale=locale)
    return text.replace(get_minus_sign_symbol(locale), "−", 1).replace("-", "−", 1)
