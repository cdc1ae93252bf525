"""Recorded market data: a folder of Cboe files and candles, read as if it were a source."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

import structlog

from services.errors import BadData, NoChain, UnknownSymbol
from services.feeds import bar_files, cboe_files
from services.feeds.base import Bar, Bars, Chain, Feed, Listing, Offer, Quote
from services.symbols import canonical

log = structlog.get_logger(__name__)

_HEAD = 2048
_KEPT = 4  # parsed SPX chains take about 2 MB each
_VENDORS = frozenset({"yahoofinance", "yahoo", "cboe", "stooq", "nasdaq", "barchart", "quotedata", "options", "chain"})


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    as_of: datetime
    name: str | None = None


@dataclass(slots=True)
class _Shelf:
    """The files of one symbol, the newest first."""

    chains: list[_File] = field(default_factory=list)
    bars: list[_File] = field(default_factory=list)


class Replay(Feed):
    """The feed over `REPLAY_DIR`: files at any depth whose name starts with the symbol, the newest recording first.

    Formats are told by content: Cboe's quote table (CSV), Cboe's delayed-quotes answer (JSON), tables of candles (CSV).
    Anything else, and anything broken, is left out with a warning.
    """

    name = "replay"
    offers = frozenset({Offer.LISTINGS, Offer.QUOTES, Offer.CHAINS, Offer.BARS})

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shelves: dict[str, _Shelf] | None = None
        self._recordings: dict[Path, cboe_files.Recording] = {}
        self._candles: dict[Path, tuple[Bar, ...]] = {}
        self._reading = Lock()

    async def listings(self) -> Sequence[Listing]:
        """Return the symbols that have a file, with the name from the newest chain's header."""
        return await asyncio.to_thread(self._listings)

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return quotes from the chain's header, or from the last candle where there is no chain."""
        return await asyncio.to_thread(self._quotes, symbols)

    async def chain(self, symbol: str) -> Chain:
        """Return the newest recorded chain."""
        return await asyncio.to_thread(self.load_chain, symbol)

    async def bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> Bars:
        """Return recorded candles with start ≤ time < end, put together from shorter ones where needed."""
        found = await asyncio.to_thread(self._bars, symbol, interval, start, end)
        return Bars(symbol, tuple(found), bar_files.SOURCE, None, self.now())

    async def close(self) -> None:
        """Forget what was read."""
        self._recordings.clear()
        self._candles.clear()

    def load_chain(self, symbol: str) -> Chain:
        """Return the newest recorded chain; blocks while it reads. Raises `UnknownSymbol` or `NoChain`."""
        with self._reading:
            if symbol not in self._scanned():
                raise UnknownSymbol(symbol)
            recording = self._recording(symbol)
        if recording is None:
            raise NoChain(symbol)
        return recording.chain

    def _listings(self) -> list[Listing]:
        with self._reading:
            shelves = self._scanned()
        return [
            Listing(symbol, next((file.name for file in shelf.chains if file.name), symbol))
            for symbol, shelf in sorted(shelves.items())
        ]

    def _quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        with self._reading:
            found = {symbol: self._quote(symbol) for symbol in symbols}
        return {symbol: quote for symbol, quote in found.items() if quote}

    def _quote(self, symbol: str) -> Quote | None:
        if recording := self._recording(symbol):
            return recording.quote
        tables = self._tables(symbol)
        return bar_files.quote(symbol, tables[0]) if tables else None

    def _bars(self, symbol: str, interval: timedelta, start: datetime, end: datetime) -> list[Bar]:
        with self._reading:
            fine_enough = [table for table in self._tables(symbol) if bar_files.interval(table) <= interval]
        if not fine_enough:
            return []
        bars = max(fine_enough, key=bar_files.interval)
        if bar_files.interval(bars) < interval:
            bars = bar_files.resample(bars, interval)
        return [bar for bar in bars if start <= bar.start < end]

    def _recording(self, symbol: str) -> cboe_files.Recording | None:
        shelf = self._scanned().get(symbol, _Shelf())
        for file in list(shelf.chains):
            try:
                return self._read(file.path, symbol)
            except (BadData, OSError) as error:
                _left_out(file.path, str(error))
                shelf.chains.remove(file)
        return None

    def _read(self, path: Path, symbol: str) -> cboe_files.Recording:
        recording = self._recordings.pop(path, None) or cboe_files.read(path, symbol)
        self._recordings[path] = recording
        if len(self._recordings) > _KEPT:
            del self._recordings[next(iter(self._recordings))]
        return recording

    def _tables(self, symbol: str) -> list[tuple[Bar, ...]]:
        shelf = self._scanned().get(symbol, _Shelf())
        for file in [file for file in shelf.bars if file.path not in self._candles]:
            try:
                self._candles[file.path] = bar_files.read(file.path)
            except (BadData, OSError, UnicodeDecodeError) as error:
                _left_out(file.path, str(error))
                shelf.bars.remove(file)
        return [self._candles[file.path] for file in shelf.bars]

    def _scanned(self) -> dict[str, _Shelf]:
        if self._shelves is None:
            self._shelves = _scan(self._folder)
        return self._shelves


def _scan(folder: Path) -> dict[str, _Shelf]:
    shelves: dict[str, _Shelf] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".csv", ".json"} or not path.is_file():
            continue
        try:
            _shelve(shelves, path)
        except (ValueError, OSError) as error:
            _left_out(path, str(error))
    for shelf in shelves.values():
        shelf.chains.sort(key=lambda file: file.as_of, reverse=True)
        shelf.bars.sort(key=lambda file: file.as_of, reverse=True)
    return shelves


def _shelve(shelves: dict[str, _Shelf], path: Path) -> None:
    symbol = _symbol(path)
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", "replace")
        file.seek(max(path.stat().st_size - _HEAD, 0))
        tail = file.read().decode("utf-8", "replace")
    if bar_files.is_bar_table(head.partition("\n")[0]):
        last = tail.strip().rpartition("\n")[2]
        as_of = bar_files.moment(last.partition(",")[0])
        shelves.setdefault(symbol, _Shelf()).bars.append(_File(path, as_of))
    elif moment := cboe_files.moment_of_header(head) or cboe_files.moment_of_header(tail):
        shelves.setdefault(symbol, _Shelf()).chains.append(_File(path, moment, cboe_files.name_of_header(head)))
    else:
        raise ValueError("neither a Cboe quote table or answer, nor a table of candles")


def _symbol(path: Path) -> str:
    for word in re.split(r"[_\s-]+", path.stem):
        if word and word.lower() not in _VENDORS:
            try:
                return canonical(word)
            except UnknownSymbol:
                break
    raise ValueError("its name does not start with a symbol")


def _left_out(path: Path, reason: str) -> None:
    log.warning("recording left out", file=str(path), reason=reason)
