"""The synthetic market over HTTP: Alpaca's two APIs, Tradier's, Cboe's files, and the routes that turn the clock."""

from aiohttp import web

from sandbox.alpaca import MarketData, Trading
from sandbox.cboe import Delayed
from sandbox.desk import Desk
from sandbox.face import ALPACA, CBOE, TRADIER, Answer, Face
from sandbox.market import Market
from sandbox.market_stream import MarketStream
from sandbox.option_chain import Chains
from sandbox.tradier_market import TradierMarket


def routes(market: Market) -> list[web.RouteDef]:
    """Return each vendor's addresses under /alpaca, /tradier and /cboe, and /sandbox/market."""
    chains = Chains(market)
    data, trading, desk = MarketData(market, chains), Trading(market, chains), Desk(market)
    tradier, delayed = TradierMarket(market, chains, data), Delayed(market, chains, data)
    stream = MarketStream(market, data, desk.faulty)
    faces: dict[Face, dict[str, Answer]] = {
        ALPACA: {
            "/alpaca/data/v2/stocks/snapshots": data.snapshots,
            "/alpaca/data/v2/stocks/{symbol}/snapshot": data.snapshot,
            "/alpaca/data/v2/stocks/quotes/latest": data.latest_quotes,
            "/alpaca/data/v2/stocks/trades/latest": data.latest_trades,
            "/alpaca/data/v2/stocks/trades": data.trades,
            "/alpaca/data/v2/stocks/bars": data.bars,
            "/alpaca/data/v2/stocks/{symbol}/bars": data.bars_of_one,
            "/alpaca/data/v1beta1/options/snapshots/{underlying}": data.option_snapshots,
            "/alpaca/paper/v2/clock": trading.clock,
            "/alpaca/paper/v2/calendar": trading.calendar,
            "/alpaca/paper/v2/assets": trading.assets,
            "/alpaca/paper/v2/assets/{symbol}": trading.asset,
            "/alpaca/paper/v2/options/contracts": trading.option_contracts,
        },
        TRADIER: {
            "/tradier/v1/markets/quotes": tradier.quotes,
            "/tradier/v1/markets/options/expirations": tradier.expirations,
            "/tradier/v1/markets/options/chains": tradier.chains,
            "/tradier/v1/markets/history": tradier.history,
            "/tradier/v1/markets/timesales": tradier.timesales,
        },
        CBOE: {"/cboe/api/global/delayed_quotes/options/{name}.json": delayed.options},
    }
    return [
        *(web.get(path, desk.guard(face, answer)) for face, each in faces.items() for path, answer in each.items()),
        web.get("/alpaca/data/v2/{feed:iex|sip}", stream.serve),
        web.get("/sandbox/market", desk.show),
        web.post("/sandbox/market/clock", desk.turn),
        web.post("/sandbox/market/nudge", desk.nudge),
        web.get("/sandbox/market/requests", desk.count_requests),
        web.get("/sandbox/market/faults", desk.list_faults),
        web.post("/sandbox/market/faults", desk.add_fault),
        web.delete("/sandbox/market/faults", desk.clear_faults),
    ]
