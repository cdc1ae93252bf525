"""What every HTTP answer has in common: safe headers, and errors in words with a reference."""

import secrets

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from services.errors import PulseError

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

log = structlog.get_logger(__name__)


@web.middleware
async def harden(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the security headers to every answer, refusals included."""
    try:
        response = await handler(request)
    except web.HTTPException as refusal:
        refusal.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into JSON that says what to do; the unexpected ones carry the reference that the log has."""
    reference = secrets.token_hex(4)
    with structlog.contextvars.bound_contextvars(trace=reference, path=request.path):
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            return web.json_response({"error": refusal.reason}, status=refusal.status)
        except PulseError as error:
            return web.json_response({"error": str(error)}, status=503)
        except Exception:
            log.exception("unexpected error")
            return web.json_response({"error": f"Something broke on our side. Reference {reference}."}, status=500)
