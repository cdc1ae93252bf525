"""What every HTTP answer has in common: safe headers, an even pace, and errors in words with a reference."""

import secrets

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from services.errors import PulseError
from web.connect import STOPPED
from web.pages import PAGES
from web.session import BROWSERS
from web.stops import STOPS, name_of

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "pulse",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_ONLY_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
_UNPACED = "/livez", "/readyz", "/static/"

log = structlog.get_logger(__name__)


@web.middleware
async def harden(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the security headers to every answer; what a page says for itself stays."""
    response = await handler(request)
    for name, value in (_HEADERS | (_ONLY_HTTPS if request.app[BROWSERS].secure else {})).items():
        response.headers.setdefault(name, value)
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into a page or JSON that says what to do; unexpected ones carry the reference that the log has."""
    reference = secrets.token_hex(4)
    with structlog.contextvars.bound_contextvars(trace=reference, path=_logged(request)):
        try:
            return await handler(request)
        except (web.HTTPException, PulseError) as refusal:
            return _refused(request, refusal)
        except Exception as error:
            log.exception("unexpected error")
            return _refused(request, error, reference)


@web.middleware
async def slow_down(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who asks more often than people do; health and what pages are drawn with are free."""
    if not request.path.startswith(_UNPACED):
        request.app[BROWSERS].slow_down(request)
    return await handler(request)


def _refused(request: web.Request, error: Exception, reference: str | None = None) -> web.Response:
    name = name_of(error)
    if "text/html" not in request.headers.get("Accept", ""):
        return _json(error, STOPS[name].status, reference)
    if "state" in request.query or "code" in request.query:  # not to stay in the address bar
        query = f"?reference={reference}" if reference else ""
        return web.Response(status=303, headers={"Location": f"{STOPPED}/{name}{query}"})
    answer = request.app[PAGES].stop(name, getattr(error, "status", None), reference)
    if isinstance(error, web.HTTPException) and "Retry-After" in error.headers:
        answer.headers["Retry-After"] = error.headers["Retry-After"]
    return answer


def _json(error: Exception, status: int, reference: str | None) -> web.Response:
    if isinstance(error, web.HTTPException):
        return web.json_response({"error": error.reason}, status=error.status)
    if isinstance(error, PulseError):
        return web.json_response({"error": str(error)}, status=status)
    return web.json_response({"error": f"Something broke on our side. Reference {reference}."}, status=status)


def _logged(request: web.Request) -> str:
    # the link of /connect/s/<token> is a secret for as long as it lives
    resource = request.match_info.route.resource
    return resource.canonical if resource else request.path
