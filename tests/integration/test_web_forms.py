import asyncio
import re
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from web_stage import leads_to, new_browser, running_stage, tidy_stage  # noqa: F401 - fixtures

from services.web_sessions import csrf_token, new_secret
from web import session
from web.session import MOST_OF_A_FORM

EVIL = "https://evil.example"
ANOTHER = "another-browser-has-this-one-of-43-letters-"


@pytest.fixture
async def page(stage, browser):
    return await browser.open(await stage.link())


async def still_good(browser, page):
    return (await browser.press(page)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "http://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Cookie": ""},
        {"Cookie": f"pulse={ANOTHER}"},
    ],
)
async def test_a_form_that_another_site_or_browser_sends_does_nothing(page, browser, headers):
    refused = await browser.press(page, **headers)
    assert refused.status_code == 403
    assert "did not come from our page" in refused.text
    assert await still_good(browser, page)


async def test_a_browser_that_names_no_site_of_origin_may_press(page, browser):
    assert (await browser.press(page, Sec_Fetch_Site=None)).status_code == 303


@pytest.mark.parametrize("token", [None, "", "ä", ANOTHER, csrf_token(ANOTHER)])
async def test_a_form_without_the_token_of_its_browser_does_nothing(page, browser, token):
    assert (await browser.press(page, fields={"csrf": token, "more": "1"})).status_code == 403
    assert await still_good(browser, page)


@pytest.mark.parametrize("action", ["initiate", "cancel"])
async def test_neither_do_the_forms_of_the_consent_page(stage, browser, action):
    consent = await browser.consent(await stage.link())
    assert (await browser.press(consent, action, Origin=EVIL)).status_code == 403
    assert (await browser.press(consent, action, fields={"csrf": ""})).status_code == 403
    assert leads_to(await browser.press(consent, "cancel"), "/connect/stopped/cancelled")


@pytest.mark.parametrize("shown", [None, "", "0", "-1", "1e3", "¹", "9" * 30])
async def test_a_consent_to_something_that_was_not_shown_leads_nowhere(stage, browser, shown):
    consent = await browser.consent(await stage.link())
    assert (await browser.press(consent, "initiate", fields={"request": shown})).status_code == 410


async def test_huge_and_strange_bodies_are_refused_before_they_are_read(stage, page, browser):
    def send(content, **headers):
        known = {"Origin": stage.url, "Content-Type": "application/x-www-form-urlencoded"}
        return browser.http.post(page.url, content=content, headers=known | headers)

    async def in_pieces():
        yield b"csrf="
        yield b"a"

    assert (await send(b"a" * (MOST_OF_A_FORM + 1))).status_code == 413
    assert (await send(in_pieces())).status_code == 413
    assert (await send(b"{}", **{"Content-Type": "application/json"})).status_code == 415
    assert (await send(b"a=b", **{"Content-Encoding": "gzip"})).status_code in {400, 415}
    assert (await send(b"&".join(b"a=b" for _ in range(11)))).status_code == 400
    assert (await send(b"csrf=\xff")).status_code == 400
    assert await still_good(browser, page)


async def test_who_sends_a_form_without_end_is_cut_off(stage, page, browser, monkeypatch):
    monkeypatch.setattr(session, "FORM_WITHIN_S", 0.05)

    async def halting():
        yield b"csrf="
        await asyncio.sleep(0.2)
        yield b"a" * 38

    headers = {"Origin": stage.url, "Content-Type": session.FORM_TYPE, "Content-Length": "43"}
    answer = await browser.http.post(page.url, content=halting(), headers=headers)
    assert answer.status_code == 408
    assert await still_good(browser, page)


async def test_who_names_another_host_is_still_sent_to_our_own_address(stage, browser):
    link = await stage.link()
    hostile = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    page = await browser.http.get(link, headers=hostile)
    assert "evil" not in page.text
    assert "evil" not in str(page.headers)
    assert (await browser.press(page, Origin="http://evil.example", Host="evil.example")).status_code == 403
    away = await browser.press(page, Host="evil.example")
    assert httpx.URL(away.headers["Location"]).params["redirect_uri"] == f"{stage.url}/auth/discord/callback"


@pytest.mark.parametrize(
    "path", ["//evil.example", "/connect/s/%2f%2fevil.example", "/\\evil.example", "/%0d%0aLocation:x"]
)
async def test_no_address_leads_out_of_here(stage, browser, path):
    for suffix in ("", "?next=https://evil.example&url=//evil.example", "?state=x&redirect_uri=https://evil.example"):
        answer = await browser.http.get(stage.url + path + suffix)
        assert answer.headers.get("Location", "/connect/stopped/").startswith("/connect/stopped/")
        assert "evil.example" not in answer.headers.get("Location", "")


async def test_pages_may_do_nothing_but_show_themselves_and_go_where_they_say(stage, browser):
    link = await browser.open(await stage.link())
    consent = await browser.consent(await stage.link())
    host = httpx.URL(stage.world).netloc.decode()
    for page in (link, consent):
        policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["style-src"] == "'self'"
        assert policy["form-action"] == f"'self' {host}"
        assert "script" not in page.text
        assert " style=" not in page.text
        assert page.headers["Cache-Control"] == "no-store"
        # with no-referrer browsers would send `Origin: null` along with the form
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["X-Frame-Options"] == "DENY"


async def test_answers_to_callbacks_are_neither_kept_nor_told_to_others(stage, browser):
    back = await browser.answer(await browser.press(await browser.open(await stage.link())))
    answers = [await browser.open(back), await browser.open(back)]
    back = await browser.answer(await browser.press(await browser.open("/connect/consent"), "initiate"))
    answers += [await browser.open(back), await browser.open(back)]
    for answer in answers:
        assert answer.status_code == 303
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not re.search("code=|state=", answer.headers["Location"])


async def test_what_pages_are_drawn_with_is_kept_by_browsers_and_comes_from_here(stage, page, browser):
    style = re.search(r'href="([^"]+/style.css)"', page.text)[1]
    answer = await browser.open(style)
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    assert not re.search(r"https?:|@import", answer.text)
    for name in [*re.findall(r'url\("([^"]+)"\)', answer.text), "icon.svg"]:
        assert (await browser.open(style.replace("style.css", name))).status_code == 200
    for name in ("link.html", "..%2fconnect.py", "nothing"):
        assert (await browser.open(style.replace("style.css", name))).status_code == 404


async def test_who_asks_without_end_is_slowed_down_and_told_when_to_come_back(stage, browser):
    answers = [await browser.http.get(f"{stage.url}/connect/s/{new_secret()}") for _ in range(70)]
    assert [answer.status_code for answer in answers[:60]] == [410] * 60
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (await browser.open("/nowhere")).status_code == 429
    assert (await browser.open("/livez")).status_code == 200


async def test_guessing_answers_is_slowed_down_sooner(stage, browser):
    answers = [await browser.open(f"/auth/discord/callback?state={new_secret()}&code=x") for _ in range(21)]
    assert [answer.headers["Location"] for answer in answers[-2:]] == [
        "/connect/stopped/sign-in-ended",
        "/connect/stopped/too-often",
    ]


async def test_one_account_is_slowed_down_from_wherever_it_asks(stage, browser):
    await browser.consent(await stage.link())
    limit = stage.app[session.BROWSERS]._people
    for _ in range(39):
        limit.wait_s(stage.person("Mara"))
    assert (await browser.open("/connect/consent")).status_code == 429
    assert (await browser.open("/connect/stopped/cancelled")).status_code == 200


async def test_programs_are_answered_in_json_with_the_same_status(stage, browser):
    for path, status in {"/nowhere": 404, f"/connect/s/{new_secret()}": 410, "/connect/consent": 401}.items():
        answer = await browser.open(path, headers={"Accept": "application/json"})
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert (await browser.http.put(f"{stage.url}/connect/consent")).status_code == 405


async def test_while_the_database_is_away_pages_say_so(stage, browser, monkeypatch):
    link = await stage.link()

    class Away:
        async def acquire(self, **_):
            raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(stage.database, "_pool", Away())
        page = await browser.open(link)
    assert page.status_code == 503
    assert "database cannot be reached" in page.text


async def test_what_nobody_foresaw_is_told_with_the_reference_of_the_log(stage, browser, monkeypatch):
    await browser.consent(await stage.link())
    monkeypatch.setattr(stage.links, "brokers", None)
    monkeypatch.setattr(stage.links, "offered", None)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        page = await browser.open("/connect/consent")
        sent_away = await browser.open("/broker-oauth/callback/alpaca?state=x&code=y")
    assert page.status_code == 500
    seen = [re.search(r"Reference <code>([0-9a-f]{8})</code>", page.text)[1]]
    assert sent_away.status_code == 303
    words = (await browser.open(sent_away.headers["Location"])).text
    seen.append(re.search(r"Reference <code>([0-9a-f]{8})</code>", words)[1])
    assert [log["trace"] for log in logs if log["event"] == "unexpected error"] == seen
    assert "Reference" not in (await browser.open("/connect/stopped/broken?reference=%3Cb%3Ehello")).text


async def test_links_states_and_codes_are_not_written_to_the_log(stage, browser, monkeypatch):
    link = await stage.link()
    monkeypatch.setattr(stage.links, "brokers", None)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        assert (await browser.open(link)).status_code == 500
        await browser.open("/auth/discord/callback?state=the-state&code=the-code")
    assert logs[0]["path"] == "/connect/s/{token}"
    written = repr([{name: value for name, value in log.items() if name != "exc_info"} for log in logs])
    assert not [secret for secret in (link.rpartition("/")[2], "the-state", "the-code") if secret in written]


@pytest.mark.parametrize(
    "request_of",
    [
        b"GET /connect/s/hush\x01 HTTP/1.1\r\n\r\n",
        b"GET /connect/consent HTTP/1.1\r\nCookie: pulse=hush\0\r\n\r\n",
        b"GET /connect/consent HTTP/1.1\r\nCookie: pulse=hush" + b"h" * 9000 + b"\r\n\r\n",
    ],
    ids=["path", "cookie", "long cookie"],
)
async def test_a_request_that_cannot_be_read_is_not_quoted_in_the_log(stage, caplog, request_of):
    caplog.set_level("INFO")
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(stage.url).port)
    writer.write(request_of)
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    await writer.wait_closed()
    assert "request not understood" in caplog.text
    assert "hush" not in caplog.text
