"""`pulse gamma`: the levels of a symbol or of a recorded chain in a terminal, as words, JSON or a picture."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from services.clock import NEW_YORK
from services.errors import PulseError, UnknownSymbol, UserError
from services.expiration import Expiry
from services.lens import RATE
from services.source_words import lateness

# numpy and matplotlib are imported where they are needed: `pulse` builds this parser whatever it is asked for.
if TYPE_CHECKING:
    from services.feeds.base import Chain
    from services.gamma import Gamma


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pulse gamma`."""
    parser.add_argument(
        "symbol", metavar="SYMBOL_OR_FILE", help="a symbol, or a Cboe quote table (CSV) or answer (JSON)"
    )
    parser.add_argument(
        "--mode", choices=("ours", "vendor", "perfiliev", "gflows"), default="ours", help="by whose definitions"
    )
    parser.add_argument("--volume", action="store_true", help="count the contracts traded today, not those open")
    parser.add_argument("--per-point", action="store_true", help="exposures per point instead of per 1 %% move")
    parser.add_argument("--rate", type=float, default=RATE, help=f"yearly interest rate, continuous (default {RATE})")
    parser.add_argument(
        "--asof", type=_moment, help="measure time from this moment (ISO 8601, New York unless it says)"
    )
    parser.add_argument("--expiry", type=_expiry, default=Expiry.ALL, help="all, 0dte, week, opex, 94d, or a date")
    parser.add_argument("--json", action="store_true", help="print JSON; exposures are dollars")
    parser.add_argument("--png", type=Path, metavar="OUT", help="also draw the picture into this file")
    parser.add_argument("--tall", action="store_true", help="draw it 1080×1350 instead of 1200×800")


def run(arguments: argparse.Namespace, load: "Callable[[str], Chain]") -> int:
    """Print the levels; `load` gets the chain of a symbol. Returns the exit status, 2 with a sentence on stderr."""
    try:
        gamma = _analyze(arguments, load)
        if arguments.png:
            from services.charts import LANDSCAPE, PORTRAIT, gamma_picture  # noqa: PLC0415 - most runs draw nothing

            size = PORTRAIT if arguments.tall else LANDSCAPE
            arguments.png.write_bytes(gamma_picture(gamma, size=size))
    except (PulseError, OSError) as error:
        sys.stderr.write(f"pulse: {error}\n".replace("**", "").replace("`", ""))
        return 2
    sys.stdout.write(_as_json(gamma) if arguments.json else _in_words(gamma))
    return 0


def _analyze(arguments: argparse.Namespace, load: "Callable[[str], Chain]") -> "Gamma":
    from services.gamma import Lens, Mode, analyze  # noqa: PLC0415 - numpy

    chain = _chain(arguments.symbol, load)
    if arguments.asof:
        chain = replace(chain, as_of=arguments.asof)
    lens = Lens(arguments.expiry, Mode(arguments.mode), arguments.volume, arguments.per_point)
    return analyze(chain, lens, rate=arguments.rate)


def _chain(named: str, load: "Callable[[str], Chain]") -> "Chain":
    from services.feeds import cboe_files  # noqa: PLC0415 - numpy
    from services.symbols import canonical  # noqa: PLC0415 - rapidfuzz

    path = Path(named)
    if path.is_file():
        return cboe_files.read(path).chain
    try:
        symbol = canonical(named)
    except UnknownSymbol as error:
        # BRK/B is a symbol.
        if "/" in named or path.suffix.lower() in {".csv", ".json"}:
            raise UserError(f"There is no file {named}.") from error
        raise
    return load(symbol)


def _as_json(gamma: "Gamma") -> str:
    levels = (
        "total gross zero_dte flip call_wall put_wall max_call_gamma max_put_gamma abs_gamma call_oi_wall put_oi_wall "
        "max_pain expected_move vanna charm contracts coverage"
    )
    lens = gamma.lens
    facts = {
        "symbol": gamma.symbol,
        "spot": gamma.spot,
        "asof": gamma.as_of.isoformat(),
        "source": gamma.source,
        "open_interest_date": gamma.open_interest_date and gamma.open_interest_date.isoformat(),
        "mode": lens.mode,
        "counting": "volume" if lens.by_volume else "open interest",
        "per": "point" if lens.per_point else "1 %",
    }
    by_expiry = [{"expiry": day.isoformat(), "net": net, "gross": gross} for day, net, gross in gamma.by_expiry]
    sources = {kind: share for share, kind in gamma.iv_sources}
    values = {name: getattr(gamma, name) for name in levels.split()}
    return json.dumps(facts | values | {"iv_sources": sources, "by_expiry": by_expiry}, indent=2) + "\n"


def _in_words(gamma: "Gamma") -> str:
    from services.gamma_words import iv_sources, per  # noqa: PLC0415 - numpy

    local = gamma.as_of.astimezone(NEW_YORK)
    nearest, last = gamma.expiries[0], gamma.expiries[-1]
    until = f" to {last:%d %b %Y}" if last != nearest else ""
    counts = "volume" if gamma.lens.by_volume else "open interest"
    mood = "positive" if gamma.total >= 0 else "negative"
    lines = (
        ("as of", f"{local:%d %b %Y %H:%M} New York, {gamma.source}, {lateness(gamma.delay)}"),
        (counts, "of the day" if gamma.lens.by_volume else _dated(gamma.open_interest_date)),
        ("spot", _price(gamma.spot)),
        ("net gamma", f"{_dollars(gamma.total)} {per(gamma).replace('1%', '1 %')} ({mood})"),
        ("gross gamma", f"{_dollars(gamma.gross).lstrip('+')}, {gamma.zero_dte:.1%} of it 0DTE"),
        ("flip", _price(gamma.flip)),
        ("call wall", _price(gamma.call_wall)),
        ("put wall", _price(gamma.put_wall)),
        ("most gamma", _sides(gamma.abs_gamma, gamma.max_call_gamma, gamma.max_put_gamma)),
        (f"most {'traded' if gamma.lens.by_volume else 'open'}", _sides(None, gamma.call_oi_wall, gamma.put_oi_wall)),
        ("max pain", f"{_price(gamma.max_pain)} on {nearest:%d %b %Y}"),
        ("expected move", f"{'± ' if gamma.expected_move else ''}{_price(gamma.expected_move)} to {nearest:%d %b %Y}"),
        *((("vanna", f"{_dollars(gamma.vanna)} of delta per point of volatility"),) if gamma.vanna is not None else ()),
        *((("charm", f"{_dollars(gamma.charm)} of delta per day"),) if gamma.charm is not None else ()),
        ("expiries", f"{len(gamma.expiries)}, {nearest:%d %b %Y}{until}"),
        *(
            (f"  {each.day:%d %b %Y}", f"{_dollars(each.net)} net, {each.gross / (gamma.gross or 1.0):.1%} of gross")
            for each in gamma.by_expiry
        ),
        ("contracts", f"{gamma.contracts:,}, {gamma.coverage:.1%} of {counts} with an implied volatility"),
        ("volatility", ", ".join(iv_sources(gamma))),
        ("convention", "dealers long calls, short puts"),
    )
    return "\n".join((gamma.symbol, *(f"  {name:<14} {text}" for name, text in lines))) + "\n"


def _sides(both: float | None, calls: float | None, puts: float | None) -> str:
    first = "" if both is None else f"{_price(both)}, "
    return f"{first}calls {_price(calls)}, puts {_price(puts)}"


def _dated(day: date | None) -> str:
    return "undated" if day is None else f"of {day:%d %b %Y}"


def _price(value: float | None) -> str:
    return "none" if value is None else f"{value:,.2f}"


def _dollars(value: float) -> str:
    sign = "−" if value < 0 else "+"
    size, unit = (abs(value) / 1e9, "bn") if abs(value) >= 1e9 else (abs(value) / 1e6, "m")
    return f"{sign}${size:,.2f} {unit}"


def _moment(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a moment such as 2022-12-12T15:30") from error
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=NEW_YORK)).astimezone(UTC)


def _expiry(text: str) -> Expiry | date:
    with suppress(ValueError):
        return Expiry(text.lower())
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(Expiry)}, or a date (YYYY-MM-DD)") from error
