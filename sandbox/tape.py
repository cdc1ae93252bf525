"""The trades of the synthetic market: the same ones for whoever asks, live or afterwards."""

import time
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from sandbox.listings import LISTED, Listed
from sandbox.market import POST_S, PRE_S, Market

EXCHANGES = {"NASDAQ": "Q", "NYSE": "N", "ARCA": "P", "BATS": "Z"}
TAPES = {"NASDAQ": "C", "NYSE": "A", "ARCA": "B", "BATS": "B"}
A_SECOND = 2
"""Trades of each symbol while it trades."""
_STEP_US = 10**6 // A_SECOND


class Tape:
    """Trades in Alpaca's shape, numbered by their place in time."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def last(self, listed: Listed, at: float) -> dict[str, Any]:
        """Return the latest trade at a moment (seconds since 1970)."""
        at_us = _microseconds(self._market.traded_at(listed.symbol, at))
        number = at_us // _STEP_US
        return self._trade(listed, number if _moment_us(listed, number) <= at_us else number - 1)

    def between(self, symbol: str, after: float, until: float) -> Iterator[tuple[dict[str, Any], float]]:
        """Yield trades and their moments, oldest first, later than `after` and not later than `until`."""
        listed = LISTED[symbol]
        for day in range(self._market.day(after), self._market.day(until) + 1):
            opens, closes = self._market.hours(day)
            begins, ends = (opens, closes) if listed.is_index else (opens - PRE_S, closes + POST_S)
            first, last = _microseconds(max(after, begins)), _microseconds(min(until, ends))
            for number in range(first // _STEP_US, last // _STEP_US + 1):
                moment = _moment_us(listed, number)
                if first < moment <= last:
                    yield self._trade(listed, number), moment / 1e6

    def _trade(self, listed: Listed, number: int) -> dict[str, Any]:
        moment, salt = _moment_us(listed, number), salt_of(listed.symbol, number)
        return {
            # less than half a microsecond is invented, so that whoever rounds has the moment
            "t": f"{_second(moment // 10**6)}.{moment % 10**6:06d}{salt % 500:03d}Z",
            "x": EXCHANGES[listed.exchange],
            "p": self._market.price(listed.symbol, moment / 1e6),
            "s": 1 + salt % 300,
            "c": ["@"],
            "i": number,
            "z": TAPES[listed.exchange],
        }


def salt_of(symbol: str, number: int) -> int:
    """Return what makes one moment of a symbol look unlike the next."""
    return crc32(f"{symbol}{number}".encode())


def stamp(at: float, salt: int) -> str:
    """Return RFC 3339 with nanoseconds, the last of which are invented."""
    return f"{_second(at)}.{int(at % 1 * 1e6):06d}{salt % 1000:03d}Z"


def _second(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _moment_us(listed: Listed, number: int) -> int:
    return number * _STEP_US + salt_of(listed.symbol, number) % 900 * _STEP_US // 1000


def _microseconds(at: float) -> int:
    return round(at * 1e6)
