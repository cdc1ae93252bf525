"""Alpaca's live trades over a websocket (https://docs.alpaca.markets/docs/real-time-stock-pricing-data)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import msgspec
from aiohttp import ClientWSTimeout

from services.errors import FeedUnavailable
from services.feeds.alpaca import StockFeed
from services.feeds.alpaca_wire import Trade
from services.feeds.base import Tick, Touch

_NAME = "Alpaca"
_HANDSHAKE_S = 5.0
_HEARTBEAT_S = 10.0
_GOODBYE_S = 0.5
_TOO_MANY = 405
_REFUSALS: Mapping[int, tuple[str, float]] = {
    402: ("its stream refused our key", 60),
    _TOO_MANY: ("its stream follows fewer symbols in our plan", 30),
    406: ("another connection uses our key, and its stream allows one", 5),
    407: ("its stream found us too slow", 1),
    409: ("our plan does not include its stream", 60),
}
"""What the error codes mean, and the seconds until it is worth trying again."""


class TooManyFollowed(FeedUnavailable):
    """The plan allows fewer symbols than were asked for."""


class _Message(Trade):
    t: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    p: Decimal = Decimal(0)
    bp: Decimal = Decimal(0)
    ap: Decimal = Decimal(0)
    bs: int | None = None
    as_: int | None = msgspec.field(name="as", default=None)
    T: str = ""
    S: str = ""
    msg: str = ""
    code: int = 0
    quotes: list[str] | None = None

    @property
    def touch(self) -> Touch:
        """Return a message of the channel "quotes" in our words; a price of 0 means none."""
        return Touch(self.S, self.t, self.bp or None, self.ap or None, self.bs, self.as_)


_decode = msgspec.json.Decoder(list[_Message]).decode


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message of the stream says."""

    ticks: Sequence[Tick]
    """The trades that make a last price."""
    touches: Sequence[Touch]
    following: frozenset[str] | None
    """The symbols whose bids and asks are sent from now on; None unless that has just changed."""


class AlpacaStream:
    """Where to connect to, and as whom; Alpaca allows one connection at a time."""

    def __init__(self, url: str, key: str, secret: str, *, feed: StockFeed = "iex") -> None:
        self._url = f"{url.rstrip('/')}/v2/{feed}"
        self._key, self._secret = key, secret

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["LiveTrades"]:
        """Lend an open, authenticated connection; raises FeedUnavailable, with the pause that the refusal calls for."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_HANDSHAKE_S):
                    session = await stack.enter_async_context(aiohttp.ClientSession())
                    connecting = session.ws_connect(
                        self._url, heartbeat=_HEARTBEAT_S, max_msg_size=0, timeout=ClientWSTimeout(ws_close=_GOODBYE_S)
                    )
                    live = LiveTrades(await stack.enter_async_context(connecting))
                    await live.expect("connected")
                    await live.send({"action": "auth", "key": self._key, "secret": self._secret})
                    await live.expect("authenticated")
            except TimeoutError as error:
                raise FeedUnavailable(_NAME, "its stream does not answer in time") from error
            except (aiohttp.ClientError, OSError) as error:
                raise FeedUnavailable(_NAME, "its stream cannot be reached") from error
            yield live


class LiveTrades:
    """One connection, on which every method may raise FeedUnavailable."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def follow(self, symbols: Iterable[str], *, quotes: Iterable[str] = ()) -> None:
        """Ask for the trades of more symbols, and for the bids and asks of more."""
        await self.send({"action": "subscribe", "trades": sorted(symbols), "quotes": sorted(quotes)})

    async def leave(self, symbols: Iterable[str], *, quotes: Iterable[str] = ()) -> None:
        """Ask for no more trades of symbols, and no more bids and asks."""
        await self.send({"action": "unsubscribe", "trades": sorted(symbols), "quotes": sorted(quotes)})

    async def hear(self) -> Heard:
        """Wait for the next message."""
        messages = await self._receive()
        followed = [message.quotes for message in messages if message.T == "subscription"]
        return Heard(
            [message.tick(message.S) for message in messages if message.T == "t" and message.counts],
            [message.touch for message in messages if message.T == "q"],
            frozenset(followed[-1] or ()) if followed else None,
        )

    async def expect(self, word: str) -> None:
        """Wait for one of the messages of the handshake."""
        while not any(message.T == "success" and message.msg == word for message in await self._receive()):
            pass

    async def send(self, message: Mapping[str, object]) -> None:
        """Send one request."""
        try:
            await self._socket.send_str(msgspec.json.encode(message).decode())
        except (aiohttp.ClientError, OSError) as error:
            raise FeedUnavailable(_NAME, "its stream broke off") from error

    async def _receive(self) -> list[_Message]:
        received = await self._socket.receive()
        if received.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            raise FeedUnavailable(_NAME, "its stream broke off")
        try:
            messages = _decode(received.data)
        except msgspec.DecodeError as error:
            raise FeedUnavailable(_NAME, "its stream sent nonsense") from error
        for message in messages:
            if message.T == "error":
                reason, pause_s = _REFUSALS.get(message.code, (f"its stream said: {message.msg[:100]}", None))
                kind = TooManyFollowed if message.code == _TOO_MANY else FeedUnavailable
                raise kind(_NAME, reason, pause_s)
        return messages
