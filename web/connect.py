"""The way from a short link in Discord through Discord's sign-in and a consent to a broker, and back.

GET  /connect/s/{token}              the link: says what will happen, and changes nothing
POST /connect/s/{token}              uses the link; who is not signed in goes to Discord first
GET  /auth/discord/callback          Discord's answer: the browser is signed in, under a new cookie
GET  /connect/consent                who links what, and what that allows
POST /broker-oauth/initiate          goes to the broker
GET  /broker-oauth/callback/{broker} the broker's answer
GET  /connect/done                   what is left to do in Discord
POST /connect/cancel                 signs out
GET  /connect/stopped/{why}          where a callback leads that failed, so that its query leaves the address bar

Whatever goes wrong is raised, and `web.middleware` makes one of `web.stops` of it.
"""

import re

from aiohttp import web
from yarl import URL

from db.link_models import LinkRequest
from services.errors import LinkExpired, SignInExpired, WrongPerson
from services.web_sessions import SignedIn, csrf_token, new_secret
from services.wiring import Services
from web.pages import PAGES
from web.session import BROWSERS
from web.stops import STOPS

SERVICES = web.AppKey("services", Services)
CONSENT, DONE, STOPPED = "/connect/consent", "/connect/done", "/connect/stopped"


async def show_link(request: web.Request) -> web.Response:
    """Show what a short link leads to; programs that fetch links ahead learn nothing of who it is for."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    link = await services.links.open(request.match_info["token"])
    cookie = browsers.cookie(request) or new_secret()
    discord = URL(str(services.settings.discord_api_url)).authority
    page = request.app[PAGES].page(
        "link.html",
        forms_to=f"'self' {discord}",
        action=request.path,
        broker=services.links.brokers[link.broker],
        person=await browsers.person(request),
        csrf=csrf_token(cookie),
    )
    browsers.remember(page, cookie)
    return page


async def follow_link(request: web.Request) -> web.Response:
    """Use a short link: at once for who is signed in, else after Discord has said who is there."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    await browsers.form(request)
    token = request.match_info["token"]
    person = await browsers.person(request)
    if person:
        await _claim(services, person, token)
        return _to(CONSENT)
    await services.links.open(token)
    cookie = browsers.cookie(request)
    assert cookie, "the form was checked against it"
    return _to(await services.web_sessions.begin(cookie, token))


async def arrive(request: web.Request) -> web.Response:
    """Sign in whom Discord has recognised, and use the link that they came for."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    cookie = browsers.cookie(request)
    if cookie is None:
        raise SignInExpired
    arrival = await services.web_sessions.finish(cookie, request.query)
    await _claim(services, arrival.person, arrival.link)
    answer = _to(CONSENT)
    browsers.remember(answer, arrival.cookie)
    return answer


async def ask_consent(request: web.Request) -> web.Response:
    """Show who is about to link what, and what that allows."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    person = await browsers.signed_in(request)
    link = await services.links.claimed(person.user_id, person.session)
    return _consent(request, person, link)


async def initiate(request: web.Request) -> web.Response:
    """Go to the broker with what the consent page has shown."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    fields = await browsers.form(request)
    person = await browsers.signed_in(request)
    shown = fields.get("request", "")
    if not (shown.isascii() and shown.isdigit()):
        raise LinkExpired
    return _to(await services.links.authorize(person.user_id, person.session, int(shown[:18])))


async def finish(request: web.Request) -> web.Response:
    """Take the broker's answer, and leave its address behind."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    broker = request.match_info["broker"]
    if broker not in services.links.offered:
        raise web.HTTPNotFound
    person = await browsers.signed_in(request)
    made = await services.links.finish(broker, person.session, person.user_id, request.query)
    return _to(f"{DONE}?link={made.id}")


async def show_done(request: web.Request) -> web.Response:
    """Show what was linked, and what is left to do."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    person = await browsers.signed_in(request)
    wanted = request.query.get("link")
    made = next((link for link in await services.links.list(person.user_id) if str(link.id) == wanted), None)
    if made is None or made.broker not in services.links.brokers:
        raise LinkExpired
    return request.app[PAGES].page("done.html", link=made, broker=services.links.brokers[made.broker], person=person)


async def cancel(request: web.Request) -> web.Response:
    """Sign out; what was begun is not finished by anybody else, and ends by itself."""
    services, browsers = request.app[SERVICES], request.app[BROWSERS]
    await browsers.form(request)
    await services.web_sessions.end(await browsers.signed_in(request))
    answer = _to(f"{STOPPED}/cancelled")
    browsers.forget(answer)
    return answer


async def show_stop(request: web.Request) -> web.Response:
    """Say why the way ended."""
    why = request.match_info["why"]
    if why not in STOPS:
        raise web.HTTPNotFound
    return request.app[PAGES].stop(why, 200, reference=_reference(request))


ROUTES = (
    web.get("/connect/s/{token}", show_link),
    web.post("/connect/s/{token}", follow_link),
    web.get("/auth/discord/callback", arrive, allow_head=False),
    web.get(CONSENT, ask_consent),
    web.post("/broker-oauth/initiate", initiate),
    web.get("/broker-oauth/callback/{broker}", finish, allow_head=False),
    web.get(DONE, show_done),
    web.post("/connect/cancel", cancel),
    web.get(STOPPED + "/{why}", show_stop),
)


async def _claim(services: Services, person: SignedIn, token: str) -> None:
    try:
        await services.links.claim(token, person.user_id, person.session)
    except WrongPerson:
        # so that Discord is asked anew who is there, when the next link is opened
        await services.web_sessions.end(person)
        raise


def _consent(request: web.Request, person: SignedIn, link: LinkRequest) -> web.Response:
    broker, cookie = request.app[SERVICES].links.brokers[link.broker], request.app[BROWSERS].cookie(request)
    assert cookie, "somebody is signed in with it"
    return request.app[PAGES].page(
        "consent.html",
        forms_to=f"'self' {broker.host}{_siblings(broker.host)}",
        broker=broker,
        person=person,
        request=link.id,
        csrf=csrf_token(cookie),
    )


def _siblings(host: str) -> str:
    # browsers hold a form to its policy over all redirects, and a broker may send on to a host beside it
    name = URL(f"//{host}").host or ""
    above = name.partition(".")[2]
    return f" *.{above}" if "." in above and not name.rpartition(".")[2].isdigit() else ""


def _to(address: str) -> web.Response:
    return web.Response(status=303, headers={"Location": address})


def _reference(request: web.Request) -> str | None:
    given = request.query.get("reference", "")
    return given if re.fullmatch("[0-9a-f]{8}", given) else None
