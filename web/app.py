"""The web server: its routes, and whether this process may be sent work."""

import asyncio
import logging

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError

from services.wiring import Services
from web import connect
from web.connect import SERVICES
from web.middleware import answer_errors, harden, slow_down
from web.pages import PAGES, Pages
from web.session import BROWSERS, Browsers

LAG_PROBE_S = 0.25
KEEP_ALIVE_S = 75.0

log = structlog.get_logger(__name__)


class _Unquoted(logging.Filter):
    """Lets the log say that a request could not be read, and quote none of it: cookies and links are secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, HttpProcessingError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "request not understood: %s", (type(error).__name__,)
            record.exc_info = None
        return True


_server_log = logging.getLogger("web.server")
_server_log.addFilter(_Unquoted())


def build(services: Services) -> web.Application:
    """Return the application with every route."""
    app = web.Application(middlewares=[harden, answer_errors, slow_down], client_max_size=256 * 1024)
    settings = services.settings
    app[SERVICES] = services
    app[BROWSERS] = Browsers(settings.public_address, settings.trusted_proxies, services.web_sessions)
    app[PAGES] = pages = Pages(app[BROWSERS].origin)
    app.add_routes([web.get("/livez", live), web.get("/readyz", ready)])
    app.add_routes([web.get("/static/{version}/{name}", pages.file), *connect.ROUTES])
    return app


async def live(_request: web.Request) -> web.Response:
    """Tell that the event loop turns, and how late it wakes (milliseconds)."""
    loop = asyncio.get_running_loop()
    due = loop.time() + LAG_PROBE_S
    await asyncio.sleep(LAG_PROBE_S)
    return web.json_response({"alive": True, "loop_lag_ms": round((loop.time() - due) * 1000, 1)})


async def ready(request: web.Request) -> web.Response:
    """Tell whether every part of this process can do its work; 503 with the reasons when not."""
    parts = await request.app[SERVICES].parts()
    fine = all(part.ok for part in parts.values())
    body = {"ready": fine, "parts": {name: {"ok": part.ok, "detail": part.detail} for name, part in parts.items()}}
    return web.json_response(body, status=200 if fine else 503)


def runner(app: web.Application, shutdown_timeout: float = 60.0) -> web.AppRunner:
    """Return what brings an application to a port."""
    return web.AppRunner(
        app, access_log=None, keepalive_timeout=KEEP_ALIVE_S, logger=_server_log, shutdown_timeout=shutdown_timeout
    )


async def serve(services: Services, stop: asyncio.Event) -> None:
    """Listen until `stop`; raises OSError when the port is taken."""
    settings = services.settings
    if settings.brokers and not settings.trusted_proxies and settings.public_url.scheme == "https":
        log.warning("all visitors share one rate limit: set TRUSTED_PROXIES to the proxy that speaks TLS for us")
    running = runner(build(services))
    await running.setup()
    try:
        await web.TCPSite(running, settings.web_host, settings.web_port).start()
        log.info("web server listens", addresses=[f"{host}:{port}" for host, port, *_ in running.addresses])
        await stop.wait()
    finally:
        await running.cleanup()
