"""Signing in with the stand-in Discord, over plain HTTP and in a browser, and the consent pages as people see them."""

import re

import httpx
import pytest
from discord_spec import Description, Traffic
from playwright.async_api import expect
from standin import standin
from test_story import browser  # noqa: F401 - a fixture

from sandbox.grants import Client, challenge_of

BACK = "http://127.0.0.1:8081/auth/discord/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Visitor:
    """An application's web server and a person's browser in one."""

    def __init__(self, server, http):
        self.server, self.http = server, http
        self.client = {"client_id": server.world.application_id, "client_secret": "secret"}

    async def decide(self, person="mara", decision="allow", **query):
        asked = {"client_id": self.client["client_id"], "redirect_uri": BACK, "response_type": "code"}
        asked |= {"scope": "identify", "state": "s", "code_challenge": challenge_of(VERIFIER)}
        asked |= {"code_challenge_method": "S256", **query}
        form = {"person": person, "decision": decision}
        return await self.http.post("/oauth2/authorize", params={k: v for k, v in asked.items() if v}, data=form)

    async def code(self, person="mara"):
        return httpx.URL((await self.decide(person)).headers["Location"]).params["code"]

    async def token(self, code, /, **form):
        about = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return await self.http.post("/api/v10/oauth2/token", data={**about, **self.client, **form})

    async def me(self, token):
        return await self.http.get("/api/v10/users/@me", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
async def visitor():
    async with (
        standin(token="t", client_secret="secret", redirects=(BACK,), record=True, rate_limits=False) as server,
        httpx.AsyncClient(base_url=server.base_url) as http,
    ):
        yield Visitor(server, http)


async def test_a_person_signs_in_and_is_known_by_their_token(visitor, shared_specs):
    answer = await visitor.token(await visitor.code("Jonas"))
    told = answer.json()
    assert set(told) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 604_800, "identify")
    visitor.server.requests.clear()
    me = await visitor.me(told["access_token"])
    jonas = visitor.server.world.user("Jonas")
    assert (me.json()["id"], me.json()["locale"]) == (jonas.id, "de")
    assert not me.json().keys() & {"email", "bot"}
    assert me.headers["X-RateLimit-Remaining"]
    assert (await visitor.me("guess")).status_code == 401
    described = Description(shared_specs / "discord" / "openapi.json")
    assert Traffic(described, ours=False).problems(visitor.server.requests) == []
    assert len(visitor.server.requests) == 2


async def test_secrets_are_not_recorded(visitor):
    visitor.server.requests.clear()
    await visitor.token(await visitor.code())
    assert not visitor.server.requests


async def test_a_persons_token_opens_nothing_of_the_bots(visitor):
    token = (await visitor.token(await visitor.code())).json()["access_token"]
    for kind in ("Bearer", "Bot"):
        answer = await visitor.http.get("/api/v10/gateway/bot", headers={"Authorization": f"{kind} {token}"})
        assert answer.status_code == 401
    bearing = {"Authorization": "Bearer t"}
    assert (await visitor.http.get("/api/v10/users/@me", headers=bearing)).status_code == 401


async def test_who_did_not_allow_to_be_known_is_not(visitor):
    answer = await visitor.decide(scope="role_connections.write")
    code = httpx.URL(answer.headers["Location"]).params["code"]
    assert (await visitor.me((await visitor.token(code)).json()["access_token"])).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "error", "status"),
    [
        ({"client_secret": "guess"}, "invalid_client", 401),
        ({"client_id": "1"}, "invalid_client", 401),
        ({"redirect_uri": "http://elsewhere"}, "invalid_grant", 400),
        ({"code_verifier": "guess"}, "invalid_grant", 400),
        ({"code_verifier": ""}, "invalid_grant", 400),
        ({"code": "guess"}, "invalid_grant", 400),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
    ],
)
async def test_a_code_is_no_use_to_others(visitor, wrong, error, status):
    answer = await visitor.token(await visitor.code(), **wrong)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_the_address_that_ends_with_a_token_takes_forms_alone(visitor):
    about = {"grant_type": "authorization_code", "code": await visitor.code(), "redirect_uri": BACK}
    json = about | {"code_verifier": VERIFIER} | visitor.client
    assert (await visitor.http.post("/api/v10/oauth2/token", json=json)).status_code == 401
    form = {**about, "code_verifier": VERIFIER}
    basic = (visitor.client["client_id"], "secret")
    assert (await visitor.http.post("/api/oauth2/token", data=form, auth=basic)).status_code == 200


async def test_tokens_are_refreshed_and_revoked_together(visitor):
    first = (await visitor.token(await visitor.code())).json()
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **visitor.client}
    second = (await visitor.http.post("/api/v10/oauth2/token", data=again)).json()
    assert (await visitor.me(first["access_token"])).status_code == 401
    assert (await visitor.me(second["access_token"])).status_code == 200
    revoke = {"token": second["refresh_token"], "token_type_hint": "refresh_token"}
    assert (await visitor.http.post("/api/v10/oauth2/token/revoke", data=revoke)).status_code == 401
    answer = await visitor.http.post("/api/v10/oauth2/token/revoke", data=revoke | visitor.client)
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await visitor.me(second["access_token"])).status_code == 401


async def test_only_the_registered_address_gets_an_answer(visitor):
    assert (await visitor.decide(redirect_uri="http://elsewhere")).status_code == 400
    assert (await visitor.decide(redirect_uri=None)).status_code == 400
    assert (await visitor.decide(client_id="1")).status_code == 400
    denied = httpx.URL((await visitor.decide(decision="deny")).headers["Location"])
    assert (denied.params["error"], denied.params["state"]) == ("access_denied", "s")
    for query, error in (({"scope": None}, "invalid_scope"), ({"code_challenge_method": None}, "invalid_request")):
        refused = httpx.URL((await visitor.decide(**query)).headers["Location"])
        assert refused.params["error"] == error


async def test_signing_in_goes_wrong_to_order(visitor):
    code = await visitor.code()
    visitor.server.fault("server_error", status=503, path_contains="/oauth2/token")
    assert (await visitor.token(code)).status_code == 503
    visitor.server.fault("invalid_grant")
    assert (await visitor.token(code)).json()["error"] == "invalid_grant"
    assert (await visitor.token(code)).status_code == 200


async def test_the_pages_know_who_speaks_and_the_panel_ends_what_was_allowed(
    sandbox,
    browser,  # noqa: F811 - that fixture
    monkeypatch,
):
    monkeypatch.setattr(sandbox.brokers.alpaca, "client", Client())
    context = await browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = await context.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    await page.route("http://back.example/**", lambda route: route.fulfill(body="Welcome back"))
    await page.goto(f"{sandbox.url}/?as=jonas")
    await expect(page.get_by_role("textbox")).to_be_visible()
    ask = "/alpaca/oauth/authorize?client_id=any&response_type=code&scope=data&redirect_uri=http://back.example/"
    await page.goto(sandbox.url + ask)
    await expect(page.get_by_role("radio", name="Jonas")).to_be_checked()
    await expect(page.get_by_role("radio", name="Paper")).to_be_checked()
    assert await page.evaluate(OVERFLOW) == 0
    await page.get_by_text("Live", exact=True).click()
    await page.get_by_role("button", name="Authorize").click()
    await page.wait_for_url("http://back.example/?code=*")
    code = httpx.URL(page.url).params["code"]
    allowed = sandbox.brokers.alpaca.redeem(code, "http://back.example/", None)
    assert (allowed.person, allowed.mode, allowed.scopes) == ("jonas", "live", ("data",))
    await page.goto(sandbox.url + ask)
    await page.get_by_role("button", name="Cancel").click()
    await page.wait_for_url("http://back.example/?error=access_denied*")

    await page.goto(sandbox.url)
    await page.get_by_role("button", name="World").click()
    panel = page.locator("details").filter(has_text="Who has linked an account")
    await panel.locator("summary").click()
    row = panel.get_by_role("listitem").filter(has_text=re.compile(r"Jonas, Alpaca ••\d{4}"))
    await row.get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("live · revoked")
    await expect(row.get_by_role("button")).to_have_count(0)
    assert sandbox.brokers.alpaca.holder(allowed.access) is None
    assert problems == []
    await context.close()
