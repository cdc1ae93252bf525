"""Cboe's two file formats: the quote table's CSV and the delayed-quotes JSON."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.clock import NEW_YORK
from services.errors import BadData
from services.feeds.base import AM_ROOTS, Chain, Quote
from services.feeds.json_table import JsonTable, NotAlike, json_tables

SOURCE = "Cboe file"
LIVE_SOURCE = "Cboe delayed"
LIVE_DELAY = timedelta(minutes=15)

_LINE_OF_TITLES = "Expiration Date,"
_DATE_FORMATS = (
    "%B %d, %Y at %I:%M %p",
    "%b %d, %Y at %I:%M %p",
    "%B %d, %Y at %H:%M",
    "%b %d, %Y at %H:%M",
    "%Y-%m-%d %H:%M:%S",
)
_CALL, _PUT = ord("C") - ord("0"), ord("P") - ord("0")
_TAIL = 15  # characters of a contract's name after its root: six of the expiry, C or P, eight of the strike
_COLUMNS = ("bid", "ask", "iv", "gamma", "delta", "open_interest", "volume")
_TITLES = ("Bid", "Ask", "IV", "Gamma", "Delta", "Open Interest", "Volume")

Strings = Sequence[str]
Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Recording:
    """What one file holds of one symbol."""

    quote: Quote
    chain: Chain


class _Option(msgspec.Struct, gc=False):
    option: str
    bid: float | None = None
    ask: float | None = None
    iv: float | None = None
    gamma: float | None = None
    delta: float | None = None
    open_interest: float | None = None
    volume: float | None = None


class _Underlying(msgspec.Struct, kw_only=True, gc=False):
    current_price: Decimal | None = None
    prev_day_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    open: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    volume: Decimal | None = None
    last_trade_time: datetime | None = None


class _Data(_Underlying, kw_only=True, gc=False):
    options: list[_Option]


class _UnreadData(_Underlying, kw_only=True, gc=False):
    options: msgspec.Raw


class _Answer(msgspec.Struct, gc=False):
    timestamp: str
    symbol: str
    data: _Data


class _UnreadAnswer(msgspec.Struct, gc=False):
    timestamp: str
    symbol: str
    data: _UnreadData


class _Names(NamedTuple):
    """The names of contracts, taken apart."""

    roots: Strings
    root: NDArray[np.int64]
    """Of each contract, as its number among the roots."""
    tails: NDArray[np.uint8]
    """The characters after the root: a row for each of the fifteen places, a column for each contract."""


_decoder = msgspec.json.Decoder(_Answer)
_unread_decoder = msgspec.json.Decoder(_UnreadAnswer)


def read(path: Path, symbol: str | None = None) -> Recording:
    """Read a file of either format, told apart by content; raises `BadData` that says what is wrong with the file.

    Without `symbol` the recording is named after its contracts.
    """
    content = path.read_bytes()
    try:
        if content.lstrip()[:1] == b"{":
            return parse_delayed_quotes(content, symbol)
        return parse_quote_table(content.decode("utf-8-sig"), symbol)
    except (ValueError, KeyError, IndexError, InvalidOperation, msgspec.DecodeError) as error:
        raise BadData(
            f"{path.name} is not a whole Cboe quote table (CSV) or delayed-quotes answer (JSON): {error}."
        ) from error


def parse_delayed_quotes(content: bytes, symbol: str | None = None) -> Recording:
    """Parse an answer of `delayed_quotes/options/{SYM}.json`: `timestamp` is UTC, IV a fraction with 0 for none."""
    answer, names, columns = _at_once(content) or _one_by_one(content)
    data = answer.data
    as_of = datetime.strptime(answer.timestamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    name = symbol or answer.symbol.lstrip("_^$").upper()
    quote = Quote(
        symbol=name,
        price=_price(data.current_price),
        as_of=as_of,
        traded_at=_to_utc(data.last_trade_time) if data.last_trade_time else None,
        source=SOURCE,
        delay=None,
        previous_close=data.prev_day_close,
        bid=data.bid or None,
        ask=data.ask or None,
        day_open=data.open or None,
        day_low=data.low or None,
        day_high=data.high or None,
        volume=int(data.volume or 0) or None,
    )
    return Recording(quote, _chain(quote, names, columns))


def read_live(file: str, symbol: str) -> Recording:
    """Read a fresh answer of `delayed_quotes` as what was true when its symbol traded last.

    Raises ValueError, InvalidOperation or msgspec.DecodeError.
    """
    recording = parse_delayed_quotes(Path(file).read_bytes(), symbol)
    as_of = recording.quote.traded_at or recording.quote.as_of - LIVE_DELAY
    return Recording(
        replace(recording.quote, as_of=as_of, source=LIVE_SOURCE, delay=LIVE_DELAY),
        replace(recording.chain, as_of=as_of, source=LIVE_SOURCE, delay=LIVE_DELAY),
    )


def parse_quote_table(text: str, symbol: str | None = None) -> Recording:
    """Parse the CSV behind "download quotes": two lines of header in New York time, then a call and a put per line."""
    header, titles, body = text.partition(_LINE_OF_TITLES)
    if not titles:
        raise ValueError('there is no line that begins with "Expiration Date"')
    rows = [row for row in csv.reader((titles + body).splitlines()) if row]
    first, *rows = rows
    whole = [row for row in rows if len(row) == len(first)]
    table = list(zip(*whole, strict=True)) or [()] * len(first)
    put = first.index("Puts")
    names = _interleave(table[first.index("Calls")], table[put])
    columns = {
        name: _floats(_interleave(table[first.index(title)], table[first.index(title, put)]))
        for name, title in zip(_COLUMNS, _TITLES, strict=True)
    }
    quote = _quote_of_header(header, symbol or (_symbol(names[0]) if names else ""))
    return Recording(quote, _chain(quote, _taken_apart(names), columns))


def moment_of_header(text: str) -> datetime | None:
    """Return the as-of moment (aware UTC) in the beginning or the end of a file of either format, if it is there."""
    if stamp := re.search(r'"timestamp"\s*:\s*"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"', text):
        return datetime.strptime(stamp[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    if (line := re.search(r"Date:\s*([^\"\n]+)", text)) and _LINE_OF_TITLES in text:
        return _moment(line[1])
    return None


def name_of_header(text: str) -> str | None:
    """Return the name of the underlying in a quote table's header; JSON answers have none."""
    found = re.search(r"^\"?([^,\"{}\n]+)\"?,\s*Last:", text, re.MULTILINE)
    return found[1].strip() if found else None


def _quote_of_header(header: str, symbol: str) -> Quote:
    facts = {
        key: value.replace(",", "").strip()
        for key, value in re.findall(r"(Last|Change|Bid|Ask|Volume):\s*(-?[\d,]*\.?\d+)", header)
    }
    numbers = {key: Decimal(value) for key, value in facts.items()}
    line = re.search(r"Date:\s*([^\"\n]+)", header)
    if line is None:
        raise ValueError("its header has no date")
    price = _price(numbers.get("Last"))
    return Quote(
        symbol=symbol,
        price=price,
        as_of=_moment(line[1]),
        source=SOURCE,
        delay=None,
        previous_close=price - numbers["Change"] if "Change" in numbers else None,
        bid=numbers.get("Bid") or None,
        ask=numbers.get("Ask") or None,
        volume=int(numbers.get("Volume", 0)) or None,
        name=name_of_header(header),
    )


def _one_by_one(content: bytes) -> tuple[_Answer, _Names, Columns]:
    answer = _decoder.decode(content)
    options = answer.data.options
    return answer, _taken_apart([each.option for each in options]), {key: _column(options, key) for key in _COLUMNS}


def _at_once(content: bytes) -> tuple[_UnreadAnswer, _Names, Columns] | None:
    # What cannot be read so, be it sound or not, is read or refused one by one.
    try:
        answer = _unread_decoder.decode(content)
        tables = json_tables(memoryview(answer.data.options), ("option", *_COLUMNS))
        roots, tails, columns = zip(
            *[(*_cut_out(table), table.numbers(slice(1, None))) for table in tables], strict=True
        )
    except (NotAlike, msgspec.DecodeError, UnicodeDecodeError):
        return None
    each, root = np.unique(np.concatenate(roots), return_inverse=True)
    texts = [int(word).to_bytes(8, "little").strip(b"\0").decode() for word in each]
    names = _Names(texts, root, np.concatenate(tails, axis=1))
    return answer, names, dict(zip(_COLUMNS, np.concatenate(columns, axis=1), strict=True))


def _cut_out(table: JsonTable) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    begin, end = table.begin[:, 0] + 1, table.end[:, 0] - 1  # between the quotes
    length = end - begin - _TAIL
    if (table.content[[begin - 1, end]] != ord('"')).any() or (length < 0).any() or (length > 8).any():
        raise NotAlike
    roots = table.words[begin] << (8 * (8 - length)).astype(np.uint64)
    return roots, table.content[np.arange(-_TAIL, 0)[:, np.newaxis] + end]


def _taken_apart(names: Strings) -> _Names:
    roots = [name[:-_TAIL] for name in names]
    each = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    tails = "".join([name[-_TAIL:].rjust(_TAIL) for name in names]).encode("ascii", "replace")
    return _Names(
        list(each),
        np.fromiter(map(each.__getitem__, roots), np.int64, len(roots)),
        np.frombuffer(tails, np.uint8).reshape(len(names), _TAIL).T.copy(),
    )


def _chain(quote: Quote, names: _Names, columns: Columns) -> Chain:
    digits = names.tails - np.uint8(ord("0"))
    # a digit in the root marks an adjusted contract, which delivers something else than a hundred shares
    sound = _of_roots(names.roots, str.isalpha)[names.root] & _well_formed(digits)
    am_settled = _of_roots(names.roots, AM_ROOTS.__contains__)[names.root]
    if not sound.all():
        digits, am_settled = digits[:, sound], am_settled[sound]
        columns = {name: column[sound] for name, column in columns.items()}
    year, month, day = (digits[place].astype(np.int32) * 10 + digits[place + 1] for place in (0, 2, 4))
    first_of_month = (np.datetime64("2000-01", "M") + year * 12 + month - 1).astype("datetime64[D]")
    return Chain(
        symbol=quote.symbol,
        spot=float(quote.price),
        as_of=quote.as_of,
        source=quote.source,
        delay=None,
        open_interest_date=_previous_weekday(quote.as_of.astimezone(NEW_YORK).date()),
        strike=10.0 ** np.arange(7, -1, -1) @ digits[7:] / 1000,
        expiry=(first_of_month.astype(np.int64) + day - 1).astype(np.int32),
        is_call=digits[6] == _CALL,
        am_settled=am_settled,
        **columns,
    )


def _of_roots(roots: Strings, is_so: Callable[[str], bool]) -> NDArray[np.bool_]:
    return np.array([is_so(root.strip()) for root in roots], np.bool_)


def _well_formed(digits: NDArray[np.uint8]) -> NDArray[np.bool_]:
    # what stands before "0" in the alphabet is far beyond nine, because bytes have no sign
    numbers, side = np.delete(digits, 6, axis=0), digits[6]
    result: NDArray[np.bool_] = (numbers <= 9).all(axis=0) & ((side == _CALL) | (side == _PUT))
    return result


def _symbol(name: str) -> str:
    root = name[:-15].strip()
    return root[:-1] if root.endswith("W") and root[:-1] in AM_ROOTS else root


def _price(value: Decimal | None) -> Decimal:
    if value is None or value <= 0:
        raise ValueError("it has no price of the underlying")
    return value


def _moment(text: str) -> datetime:
    words = re.sub(r"\s+", " ", text).strip().rstrip(",")
    words = re.sub(r" E[SD]T\b", "", re.split(r",\s*Bid", words)[0])
    for form in _DATE_FORMATS:
        try:
            naive = datetime.strptime(words, form)  # noqa: DTZ007  # the zone follows: Cboe writes New York time
        except ValueError:
            continue
        return _to_utc(naive)
    raise ValueError(f"its date {words!r} has a form that is not known")


def _to_utc(naive: datetime) -> datetime:
    return naive.replace(tzinfo=NEW_YORK).astimezone(UTC)


def _previous_weekday(day: date) -> date:
    # open interest is counted overnight: a day's table shows that of the session before; holidays are not looked up
    return day - timedelta(days={0: 3, 6: 2}.get(day.weekday(), 1))


def _interleave(calls: Strings, puts: Strings) -> list[str]:
    both = [""] * (2 * len(calls))
    both[::2], both[1::2] = calls, puts
    return both


def _column(options: Sequence[_Option], name: str) -> NDArray[np.float64]:
    values = map(attrgetter(name), options)
    try:
        return np.fromiter(values, np.float64, len(options))
    except TypeError:  # something is not said
        return np.array([getattr(option, name) for option in options], np.float64)


def _floats(values: Strings) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except ValueError:
        return np.array([_number(str(value)) for value in values], dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return float("nan")
