"""Volatility as CSV."""

import csv
import io

from services.volatility import Volatility

_TITLES = ("expiry", "settled", "days", "strike", "iv", "atm_iv", "forward", "expected_move", "risk_reversal_25")


def table(volatility: Volatility) -> bytes:
    """Return a line for each strike of each expiration, in UTF-8; what is of an expiration stands in all its lines.

    `days` to settlement; `iv`, `atm_iv` and `risk_reversal_25` annual fractions; `strike`, `forward` and
    `expected_move` (±) in the underlying's unit. An expiration without a skew has one line without strike and iv; what
    its quotes do not tell is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_TITLES)
    for term in volatility.terms:
        about = (term.expiration.day.isoformat(), "AM" if term.expiration.am_settled else "PM", f"{term.days:.4f}")
        reversal = term.skew.risk_reversal if term.skew else None
        facts = (_text(term.atm_iv), _text(term.forward), _text(term.move), _text(reversal))
        curve = zip(term.skew.strike.tolist(), term.skew.iv.tolist(), strict=True) if term.skew else [("", "")]
        writer.writerows((*about, strike, iv, *facts) for strike, iv in curve)
    return text.getvalue().encode()


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
