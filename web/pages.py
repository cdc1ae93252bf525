"""What a browser is shown: the templates, their look, and the policy that lets them do nothing else."""

import hashlib
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from db.models import Theme
from services import palette
from web.stops import STOPS

FOLDER = Path(__file__).parent
FONTS = Path(palette.__file__).parent / "fonts"
FONT_FILES = "Inter-Medium.otf", "Inter-SemiBold.otf", "Inter-Bold.otf"
KEPT_FOR = "public, max-age=31536000, immutable"
POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action "
)


class Pages:
    """Everything that pages are made of, read once."""

    def __init__(self, origin: str) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        palettes = {"dark": palette.PALETTES[Theme.DARK], "light": palette.PALETTES[Theme.LIGHT]}
        style = self._templates.get_template("style.css").render(palettes).encode()
        files = {
            "style.css": ("text/css", style),
            "icon.svg": ("image/svg+xml", (FOLDER / "static/icon.svg").read_bytes()),
        }
        files |= {name: ("font/otf", (FONTS / name).read_bytes()) for name in FONT_FILES}
        self._files = files
        version = hashlib.sha256(b"".join(content for _, content in files.values())).hexdigest()[:12]
        self._templates.globals |= {"origin": origin, "static": f"/static/{version}"}

    def page(self, template: str, status: int = 200, *, forms_to: str = "'none'", **words: object) -> web.Response:
        """Return a page; `forms_to` are the addresses that its forms may lead to, redirects included."""
        text = self._templates.get_template(template).render(words)
        response = web.Response(text=text, content_type="text/html", status=status)
        response.headers["Content-Security-Policy"] = POLICY + forms_to
        # with no-referrer browsers would not tell the origin of a form either
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    def stop(self, name: str, status: int | None = None, reference: str | None = None) -> web.Response:
        """Return the page of one of STOPS, with its own status unless another is given."""
        stop = STOPS[name]
        return self.page("stop.html", stop.status if status is None else status, stop=stop, reference=reference)

    async def file(self, request: web.Request) -> web.Response:
        """Return what pages are drawn with; its address changes with its content."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        kind, content = found
        return web.Response(body=content, content_type=kind, headers={"Cache-Control": KEPT_FOR})


PAGES = web.AppKey("pages", Pages)
