"""The synthetic market over HTTP: Alpaca's two APIs, Tradier's, Cboe's files, and the routes that turn the clock."""

from dataclasses import replace

from aiohttp import web

from sandbox.alpaca import MarketData, Trading
from sandbox.brokers import Brokers
from sandbox.cboe import Delayed
from sandbox.desk import Desk
from sandbox.face import ALPACA, CBOE, TOKENS, TRADIER, Answer, Face
from sandbox.market import Market
from sandbox.market_stream import MarketStream
from sandbox.option_chain import Chains
from sandbox.tradier_market import TradierMarket


def routes(market: Market, brokers: Brokers | None = None) -> list[web.RouteDef]:
    """Return each vendor's addresses under /alpaca, /tradier and /cboe, and /sandbox/market."""
    brokers = brokers or Brokers()
    chains = Chains(market)
    data, trading, desk = MarketData(market, chains), Trading(market, chains), Desk(market, brokers.admit)
    tradier, delayed = TradierMarket(market, chains, data), Delayed(market, chains, data)
    stream = MarketStream(market, data, desk.faulty, brokers)
    paper, live, profile = replace(ALPACA, door="paper"), replace(ALPACA, door="live"), replace(TRADIER, door="read")
    listed: dict[str, Answer] = {
        "clock": trading.clock,
        "calendar": trading.calendar,
        "assets": trading.assets,
        "assets/{symbol}": trading.asset,
        "options/contracts": trading.option_contracts,
    }
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
        },
        paper: {f"/alpaca/paper/v2/{name}": answer for name, answer in listed.items()},
        live: {f"/alpaca/live/v2/{name}": answer for name, answer in listed.items()},
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
        web.get("/alpaca/paper/v2/account", desk.attend(paper, brokers.alpaca_account)),
        web.get("/alpaca/live/v2/account", desk.attend(live, brokers.alpaca_account)),
        web.post("/alpaca/live/oauth/token", desk.attend(TOKENS, brokers.alpaca_token)),
        web.get("/tradier/v1/user/profile", desk.attend(profile, brokers.tradier_profile)),
        web.post("/tradier/v1/oauth/accesstoken", desk.attend(TOKENS, brokers.tradier_token)),
        web.post("/tradier/v1/oauth/refreshtoken", desk.attend(TOKENS, brokers.tradier_refresh)),
        *brokers.pages(),
        web.get("/alpaca/data/v2/{feed:iex|sip}", stream.serve),
        web.get("/sandbox/market", desk.show),
        web.post("/sandbox/market/clock", desk.turn),
        web.post("/sandbox/market/nudge", desk.nudge),
        web.get("/sandbox/market/requests", desk.count_requests),
        web.get("/sandbox/market/faults", desk.list_faults),
        web.post("/sandbox/market/faults", desk.add_fault),
        web.delete("/sandbox/market/faults", desk.clear_faults),
    ]
