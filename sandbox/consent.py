"""The page of a stand-in on which a person allows an application something, and where their answer leads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NoReturn
from urllib.parse import urlsplit

from aiohttp import web
from yarl import URL

from sandbox.grants import Grants

WHO = "sandbox_person"
"""The cookie in which the page of the stand-in Discord keeps who speaks."""
APPLICATION = "PulseEngine"
_SAFE = {
    "Cache-Control": "no-store",
    # No form-action: browsers would hold the way back to the application against it.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be chosen; `username` is what the cookie knows them by."""

    id: str
    name: str
    colour: str
    username: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What an application came with."""

    redirect: str
    bound: bool
    scopes: tuple[str, ...]
    modes: tuple[str, ...]
    state: str | None
    challenge: str | None


class Consent:
    """The two halves of an authorization endpoint: GET asks, POST takes the answer.

    `scopes` says each in words; `modes` are the kinds of account to choose from, the first by default; `required` is
    whether the application must name its redirect address instead of relying on the registered one.
    """

    def __init__(
        self,
        service: str,
        grants: Grants,
        people: Sequence[Person],
        scopes: Mapping[str, str],
        *,
        modes: Mapping[str, str] | None = None,
        redirect_required: bool = True,
        scope_required: bool = True,
    ) -> None:
        self._service, self._grants, self._people, self._scopes = service, grants, people, scopes
        self._modes = modes or {}
        self._redirect_required, self._scope_required = redirect_required, scope_required

    def routes(self, path: str) -> list[web.RouteDef]:
        return [web.get(path, self.show), web.post(path, self.decide)]

    async def show(self, request: web.Request) -> web.Response:
        """Ask; nothing changes."""
        ask = self._asked(request.query)
        chosen = self._person(request.cookies.get(WHO, "")) or self._people[0]
        return web.Response(text=self._page(ask, chosen), content_type="text/html", headers=_SAFE)

    async def decide(self, request: web.Request) -> web.Response:
        """Take the fields `decision` (allow or deny), `person` and, where there are several, `mode`."""
        ask = self._asked(request.query)
        form = await request.post()
        if form.get("decision") != "allow":
            said = f"{self._service} was told not to allow it."
            _back(ask, error="access_denied", error_description=said)
        person, mode = self._person(str(form.get("person", ""))), str(form.get("mode") or next(iter(ask.modes), ""))
        if person is None or (ask.modes and mode not in ask.modes):
            self._refuse("Choose one of the people and accounts on the page.")
        redirect = ask.redirect if ask.bound else None
        code = self._grants.permit(person.id, ask.scopes, mode=mode, redirect=redirect, challenge=ask.challenge)
        _back(ask, code=code)

    def _asked(self, query: Mapping[str, str]) -> Ask:
        client = self._grants.client
        if not query.get("client_id") or client.id not in {None, query["client_id"]}:
            self._refuse("The application is unknown: its client_id is not registered here.")
        named = query.get("redirect_uri", "")
        redirect = named or ("" if self._redirect_required else next(iter(client.redirects), ""))
        if not client.knows_redirect(redirect):
            self._refuse("The address to return to is not one that the application has registered.")
        scopes = tuple(filter(None, re.split(r"[ ,]", query.get("scope", ""))))
        modes = tuple(mode for mode in self._modes if query.get("env", mode) == mode)
        challenge = query.get("code_challenge")
        ask = Ask(redirect, bool(named), scopes, modes, query.get("state"), challenge)
        # Tradier has one kind of answer, and no parameter to say so.
        if query.get("response_type", "" if self._redirect_required else "code") != "code":
            _back(ask, error="unsupported_response_type", error_description="response_type must be code.")
        if not self._scopes.keys() >= set(scopes) or (self._scope_required and not scopes):
            _back(
                ask, error="invalid_scope", error_description="The requested scope is invalid, unknown, or malformed."
            )
        if challenge is not None and query.get("code_challenge_method") != "S256":
            _back(ask, error="invalid_request", error_description="code_challenge_method must be S256.")
        return ask

    def _person(self, named: str) -> Person | None:
        return next((one for one in self._people if named.lower() in {one.id, one.username, one.name.lower()}), None)

    def _refuse(self, why: str) -> NoReturn:
        body = f"<h1>{escape(self._service)} cannot go on</h1><p>{escape(why)}</p>"
        raise web.HTTPBadRequest(text=_document(self._service, body), content_type="text/html", headers=_SAFE)

    def _page(self, ask: Ask, chosen: Person) -> str:
        people = "".join(
            _choice("person", one.username, _face(one), one.name, checked=one is chosen) for one in self._people
        )
        modes = "".join(
            _choice("mode", mode, "", self._modes[mode], checked=mode == ask.modes[0]) for mode in ask.modes
        )
        wants = "".join(f"<li>{escape(self._scopes[scope])}</li>" for scope in ask.scopes)
        wants = wants or "<li>Read your account, and nothing else</li>"
        accounts = f'<fieldset><legend>Which account</legend><div class="choices">{modes}</div></fieldset>'
        host = escape(urlsplit(ask.redirect).netloc)
        return _document(
            self._service,
            f"""<div class="meeting"><img src="/page/icon.svg" alt="" width="56" height="56" />
<span class="towards" aria-hidden="true"></span>
<span class="service" aria-hidden="true">{escape(self._service[0])}</span></div>
<h1>{APPLICATION} asks for access to {escape(_possessive(self._service))}</h1>
<form method="post">
<fieldset><legend>You are</legend><div class="choices">{people}</div></fieldset>
{accounts if modes else ""}
<section><h2>It wants to</h2><ul class="wants">{wants}</ul></section>
<footer><button class="button secondary" name="decision" value="deny">Cancel</button>
<button class="button primary" name="decision" value="allow">Authorize</button></footer>
</form>
<p class="faint">You go back to {host}</p>""",
        )


def _back(ask: Ask, **answer: str) -> NoReturn:
    told = answer if ask.state is None else answer | {"state": ask.state}
    raise web.HTTPFound(URL(ask.redirect).update_query(told), headers=_SAFE)


def _possessive(service: str) -> str:
    return "your Discord account" if service == "Discord" else f"your account at {service}"


def _choice(name: str, value: str, face: str, title: str, *, checked: bool) -> str:
    radio = f'<input type="radio" name="{name}" value="{escape(value)}"{" checked" * checked} />'
    return f'<label class="choice">{radio}{face}<span>{escape(title)}</span></label>'


def _face(person: Person) -> str:
    colour = person.colour if re.fullmatch(r"#[0-9a-f]{6}", person.colour) else "#5b6472"
    return (
        '<svg class="face" viewBox="0 0 32 32" aria-hidden="true">'
        f'<circle cx="16" cy="16" r="16" fill="{colour}"/>'
        f'<text x="16" y="21.5" text-anchor="middle" fill="#10131a">{escape(person.name[0].upper())}</text></svg>'
    )


def _document(service: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="dark" />
<title>{escape(service)} · sandbox</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml" />
<link rel="stylesheet" href="/page/theme.css" />
<link rel="stylesheet" href="/page/consent.css" />
</head>
<body class="consent">
<p class="pretend">Part of the sandbox, not the real {escape(service)}</p>
<main>{body}</main>
</body>
</html>
"""
