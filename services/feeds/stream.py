"""Alpaca's live trades over a websocket (https://docs.alpaca.markets/docs/real-time-stock-pricing-data)."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import msgspec
from aiohttp import ClientWSTimeout

from services.errors import FeedUnavailable
from services.feeds.alpaca import StockFeed, Trade
from services.feeds.base import Tick

_NAME = "Alpaca"
_HANDSHAKE_S = 5.0
_HEARTBEAT_S = 10.0
_GOODBYE_S = 0.5
_REFUSALS: Mapping[int, tuple[str, float]] = {
    402: ("its stream refused our key", 60),
    405: ("its stream follows fewer symbols in our plan", 30),
    406: ("another connection uses our key, and its stream allows one", 5),
    407: ("its stream found us too slow", 1),
    409: ("our plan does not include its stream", 60),
}
"""What the error codes mean, and the seconds until it is worth trying again."""


class _Message(Trade):
    t: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    p: Decimal = Decimal(0)
    T: str = ""
    S: str = ""
    msg: str = ""
    code: int = 0


_decode = msgspec.json.Decoder(list[_Message]).decode


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

    async def follow(self, symbols: Iterable[str]) -> None:
        """Ask for the trades of more symbols."""
        await self.send({"action": "subscribe", "trades": sorted(symbols)})

    async def leave(self, symbols: Iterable[str]) -> None:
        """Ask for no more trades of symbols."""
        await self.send({"action": "unsubscribe", "trades": sorted(symbols)})

    async def ticks(self) -> list[Tick]:
        """Wait for the next message; returns the trades in it that make a last price, often none."""
        return [message.tick(message.S) for message in await self._receive() if message.T == "t" and message.counts]

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
                raise FeedUnavailable(_NAME, reason, pause_s)
        return messages
