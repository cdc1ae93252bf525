"""The sandbox's one web server: the stand-in Discord, its page, the synthetic market, and the brokers."""

from pathlib import Path

from aiohttp import web

from sandbox import market_api
from sandbox.brokers import Brokers
from sandbox.discord import server
from sandbox.discord.server import Discord
from sandbox.market import Market

PAGE = Path(__file__).parent / "page"
_CSP = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'"


def build(discord: Discord, market: Market, brokers: Brokers | None = None) -> web.Application:
    """Return the application; the caller starts and closes `discord` and `market`."""
    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.add_routes([web.get("/", index), web.static("/page", PAGE)])
    app.on_response_prepare.append(_always_fresh)
    app.add_routes(server.routes(discord))
    app.add_routes(market_api.routes(market, brokers))
    return app


async def _always_fresh(request: web.Request, response: web.StreamResponse) -> None:
    """Keep browsers from showing the page of an older version."""
    if request.path == "/" or request.path.startswith("/page/"):
        response.headers["Cache-Control"] = "no-cache"


async def index(_request: web.Request) -> web.FileResponse:
    """Serve the page."""
    return web.FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": _CSP})
