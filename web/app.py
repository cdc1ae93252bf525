"""The web server: its routes, and whether this process may be sent work."""

import asyncio

import structlog
from aiohttp import web

from services.wiring import Services
from web.middleware import answer_errors, harden

SERVICES = web.AppKey("services", Services)
LAG_PROBE_S = 0.25

log = structlog.get_logger(__name__)


def build(services: Services) -> web.Application:
    """Return the application with every route."""
    app = web.Application(middlewares=[harden, answer_errors], client_max_size=256 * 1024)
    app[SERVICES] = services
    app.add_routes([web.get("/livez", live), web.get("/readyz", ready)])
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


async def serve(services: Services, stop: asyncio.Event) -> None:
    """Listen until `stop`; raises OSError when the port is taken."""
    settings = services.settings
    runner = web.AppRunner(build(services), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.web_host, settings.web_port).start()
        log.info("web server listens", addresses=[f"{host}:{port}" for host, port, *_ in runner.addresses])
        await stop.wait()
    finally:
        await runner.cleanup()
