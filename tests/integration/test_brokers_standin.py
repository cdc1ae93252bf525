"""Linking at the stand-ins of Alpaca and Tradier: the way to a token, whose it is, what it opens, how it ends."""

import json
from types import SimpleNamespace

import aiohttp
import httpx
import jsonschema_rs
import pytest
from feed_stage import FRIDAY, serving, sessions

from sandbox import market_api
from sandbox.brokers import Brokers
from sandbox.face import TRADIER as TRADIER_FACE
from sandbox.face import Credential, Refused
from sandbox.grants import Client
from sandbox.market import Market

BACK = "http://127.0.0.1:8081/broker-oauth/callback"
ALPACA = {"client_id": "a-id", "redirect_uri": f"{BACK}/alpaca", "response_type": "code", "scope": "data"}
TRADIER = {"client_id": "t-id", "scope": "read,market"}
PAGES = {"alpaca": "/alpaca/oauth/authorize", "tradier": "/tradier/v1/oauth/authorize"}
SNAPSHOT = "/alpaca/data/v2/stocks/snapshots?symbols=SPY&feed="
QUOTE = "/tradier/v1/markets/quotes?symbols=SPY"
PROFILE = "/tradier/v1/user/profile"


class Bank:
    """The two brokers with one registered application, and somebody who walks their pages."""

    def __init__(self, http, sockets, brokers, clock):
        self.http, self.sockets, self.brokers, self.clock = http, sockets, brokers, clock

    async def decide(self, broker, person="mara", decision="allow", mode="paper", **query):
        asked = {**(ALPACA if broker == "alpaca" else TRADIER), "state": "s&t", **query}
        form = {"person": person, "decision": decision, "mode": mode}
        return await self.http.post(PAGES[broker], params={k: v for k, v in asked.items() if v}, data=form)

    async def code(self, broker, **about):
        answer = await self.decide(broker, **about)
        assert answer.status_code == 302, answer.text
        return httpx.URL(answer.headers["Location"]).params["code"]

    async def alpaca_token(self, code, /, **form):
        about = {"grant_type": "authorization_code", "code": code, "client_id": "a-id", "client_secret": "a-secret"}
        about |= {"redirect_uri": ALPACA["redirect_uri"], **form}
        return await self.http.post("/alpaca/live/oauth/token", data=about)

    async def tradier_token(self, path="accesstoken", auth=("t-id", "t-secret"), **form):
        return await self.http.post(f"/tradier/v1/oauth/{path}", auth=auth, data=form)

    async def linked(self, broker, **about):
        """The header that a linked account is read with."""
        code = await self.code(broker, **about)
        if broker == "alpaca":
            answer = await self.alpaca_token(code)
        else:
            answer = await self.tradier_token(grant_type="authorization_code", code=code)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def read(self, path, header):
        return await self.http.get(path, headers=header)


@pytest.fixture(scope="module")
async def bank():
    clock = SimpleNamespace(now=1_795_000_000.0)
    market = Market(sessions(), start=FRIDAY)
    market.clock.turn(paused=True)
    brokers = Brokers(
        keys={"own-key", "own-token"},
        alpaca=Client("a-id", "a-secret", (f"{BACK}/alpaca",)),
        tradier=Client("t-id", "t-secret", (f"{BACK}/tradier",)),
        clock=lambda: clock.now,
    )
    async with (
        serving(*market_api.routes(market, brokers)) as address,
        httpx.AsyncClient(base_url=address) as http,
        aiohttp.ClientSession() as sockets,
    ):
        yield Bank(http, sockets, brokers, clock)


@pytest.fixture(autouse=True)
async def anew(bank):
    yield
    bank.brokers.tradier.refreshes = False
    await bank.http.delete("/sandbox/market/faults")


async def test_the_page_asks_and_changes_nothing(bank):
    page = await bank.http.get(PAGES["alpaca"], params=ALPACA, headers={"Cookie": "sandbox_person=jonas"})
    assert 'value="jonas" checked' in page.text
    assert 'value="mara" checked' not in page.text
    assert 'value="paper" checked' in page.text
    assert "Read market data" in page.text
    assert "Place, change" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    stranger = await bank.http.get(PAGES["alpaca"], params=ALPACA, headers={"Cookie": "sandbox_person=nobody"})
    assert 'value="mara" checked' in stranger.text
    assert (await bank.http.get("/sandbox/brokers")).json() == []


async def test_what_an_application_says_never_becomes_part_of_the_page(bank):
    nasty = {"state": '"><script>1</script>', "redirect_uri": "http://x/<script>", "env": "<script>"}
    for name, value in nasty.items():
        page = await bank.http.get(PAGES["alpaca"], params={**ALPACA, name: value})
        assert page.headers["Content-Type"].startswith("text/html")
        assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("broker", "wrong"),
    [
        ("alpaca", {"client_id": "stranger"}),
        ("alpaca", {"client_id": None}),
        ("alpaca", {"redirect_uri": "https://elsewhere.example"}),
        ("alpaca", {"redirect_uri": None}),
        ("tradier", {"client_id": "stranger"}),
        ("tradier", {"redirect_uri": "https://elsewhere.example"}),
        ("alpaca", {"person": "nobody"}),
        ("alpaca", {"mode": "margin"}),
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(bank, broker, wrong):
    answer = await bank.decide(broker, **wrong)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("broker", "about", "error"),
    [
        ("alpaca", {"decision": "deny"}, "access_denied"),
        ("tradier", {"decision": "deny"}, "access_denied"),
        ("alpaca", {"scope": "everything"}, "invalid_scope"),
        ("tradier", {"scope": None}, "invalid_scope"),
        ("alpaca", {"response_type": "token"}, "unsupported_response_type"),
        ("alpaca", {"response_type": None}, "unsupported_response_type"),
        ("alpaca", {"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
async def test_a_refusal_leads_back_with_its_reason(bank, broker, about, error):
    answer = await bank.decide(broker, **about)
    back = httpx.URL(answer.headers["Location"])
    assert answer.status_code == 302
    assert str(back).startswith(f"{BACK}/{broker}?")
    assert (back.params["error"], back.params["state"]) == (error, "s&t")
    assert "code" not in back.params


async def test_alpaca_gives_a_token_without_an_end(bank):
    answer = await bank.alpaca_token(await bank.code("alpaca"))
    told = answer.json()
    assert set(told) == {"access_token", "token_type", "scope"}
    assert (told["token_type"], told["scope"]) == ("bearer", "data")
    assert len(told["access_token"]) == 36


@pytest.mark.parametrize(
    ("wrong", "error", "status"),
    [
        ({"client_secret": "guess"}, "invalid_client", 401),
        ({"client_id": "other"}, "invalid_client", 401),
        ({"redirect_uri": "https://elsewhere.example"}, "invalid_grant", 400),
        ({"code": "made-up"}, "invalid_grant", 400),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type", 400),
    ],
)
async def test_alpaca_refuses_in_the_words_of_oauth(bank, wrong, error, status):
    answer = await bank.alpaca_token(await bank.code("alpaca"), **wrong)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_a_code_counts_once_over_http_too(bank):
    code = await bank.code("alpaca")
    assert (await bank.alpaca_token(code)).status_code == 200
    assert (await bank.alpaca_token(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(("mode", "other"), [("paper", "live"), ("live", "paper")])
async def test_an_alpaca_account_is_found_on_its_own_host_alone(bank, shared_specs, mode, other):
    header = await bank.linked("alpaca", mode=mode)
    answer = await bank.read(f"/alpaca/{mode}/v2/account", header)
    account = answer.json()
    assert account["account_number"].startswith("PA3") == (mode == "paper")
    assert (await bank.read(f"/alpaca/{other}/v2/account", header)).status_code == 401
    assert (await bank.read(f"/alpaca/{mode}/v2/clock", header)).status_code == 200
    assert (await bank.read(f"/alpaca/{other}/v2/clock", header)).status_code == 401
    document = json.loads((shared_specs / "alpaca" / "trading-api.json").read_text())
    whole = {"components": document["components"], "$ref": "#/components/schemas/Account"}
    assert [*jsonschema_rs.Draft202012Validator(whole, validate_formats=True).iter_errors(account)] == []
    assert set(account) <= set(document["components"]["schemas"]["Account"]["properties"])


async def test_the_application_may_ask_for_one_kind_of_account(bank):
    page = await bank.http.get(PAGES["alpaca"], params={**ALPACA, "env": "live"})
    assert 'value="paper"' not in page.text
    assert (await bank.decide("alpaca", env="live", mode="paper")).status_code == 400
    header = await bank.linked("alpaca", env="live", mode="")
    assert (await bank.read("/alpaca/live/v2/account", header)).status_code == 200


async def test_accounts_of_different_people_are_different(bank):
    numbers = {
        (await bank.read(f"/alpaca/{mode}/v2/account", await bank.linked("alpaca", person=person, mode=mode))).json()[
            "account_number"
        ]
        for person in ("mara", "Jonas", "aiko", "sam")
        for mode in ("paper", "live")
    }
    assert len(numbers) == 8


async def test_a_token_reads_market_data_and_only_a_subscriber_the_whole_market(bank):
    header = await bank.linked("alpaca")
    assert (await bank.read(SNAPSHOT + "iex", header)).status_code == 200
    refused = await bank.read(SNAPSHOT + "sip", header)
    assert (refused.status_code, refused.json()["message"][:12]) == (403, "subscription")
    assert (await bank.read("/alpaca/data/v1beta1/options/snapshots/F?feed=opra", header)).status_code == 403
    jonas = await bank.linked("alpaca", person="jonas")
    assert (await bank.read(SNAPSHOT + "sip", jonas)).status_code == 200
    assert (await bank.read("/alpaca/data/v1beta1/options/snapshots/F?feed=opra", jonas)).status_code == 200


async def test_a_token_without_the_scope_reads_no_market_data(bank):
    header = await bank.linked("alpaca", scope=None)
    assert (await bank.read(SNAPSHOT + "iex", header)).status_code == 403
    assert (await bank.read("/alpaca/paper/v2/account", header)).status_code == 200
    reader = await bank.linked("tradier", scope="read")
    assert (await bank.read(QUOTE, reader)).status_code == 403
    assert (await bank.read(PROFILE, reader)).status_code == 200


async def test_the_own_keys_go_on_working_and_strangers_are_refused(bank):
    own = {"APCA-API-KEY-ID": "own-key", "APCA-API-SECRET-KEY": "x"}
    assert (await bank.read(SNAPSHOT + "sip", own)).status_code == 200
    assert (await bank.read("/alpaca/paper/v2/account", own)).status_code == 200
    assert (await bank.read("/alpaca/live/v2/account", own)).status_code == 401
    assert (await bank.read(SNAPSHOT + "iex", own | {"APCA-API-KEY-ID": "other"})).status_code == 401
    assert (await bank.read(SNAPSHOT + "iex", {"Authorization": "Bearer own-key"})).status_code == 401
    assert (await bank.read(QUOTE, {"Authorization": "Bearer own-token"})).status_code == 200
    assert (await bank.read(QUOTE, {"Authorization": "Bearer stranger"})).status_code == 401
    assert (await bank.read(QUOTE, {"Authorization": "Basic own-token"})).status_code == 401


async def streamed(bank, token, feed="iex"):
    """What the stream says to whoever shows a token, and the open socket."""
    socket = await bank.sockets.ws_connect(f"{bank.http.base_url}/alpaca/data/v2/{feed}")
    assert (await socket.receive_json())[0]["msg"] == "connected"
    await socket.send_json({"action": "auth", "key": "oauth", "secret": token})
    said = (await socket.receive_json())[0]
    return (said.get("code") or said["msg"]), socket


async def test_each_person_has_one_stream_of_what_they_pay_for(bank):
    mara, jonas = [
        (await bank.linked("alpaca", person=person))["Authorization"].removeprefix("Bearer ")
        for person in ("mara", "jonas")
    ]
    said, first = await streamed(bank, mara)
    assert said == "authenticated"
    assert (await streamed(bank, mara))[0] == 406
    assert (await streamed(bank, jonas, "sip"))[0] == "authenticated"
    assert (await streamed(bank, mara, "sip"))[0] == 409
    assert (await streamed(bank, "stranger"))[0] == 402
    await first.close()
    said, again = await streamed(bank, mara)
    assert said == "authenticated"
    await again.close()


async def test_each_token_has_its_own_rate(bank):
    mara, jonas = await bank.linked("tradier"), await bank.linked("tradier", person="jonas")
    left = [int((await bank.read(QUOTE, who)).headers["X-Ratelimit-Available"]) for who in (mara, mara, jonas)]
    assert left == [119, 118, 119]


async def test_tradier_gives_a_token_for_a_day(bank):
    code = await bank.code("tradier")
    answer = await bank.tradier_token(grant_type="authorization_code", code=code)
    told = answer.json()
    assert set(told) == {"access_token", "expires_in", "issued_at", "scope", "status"}
    assert (told["expires_in"], told["scope"], told["status"]) == (86_399, "read market", "approved")
    assert told["issued_at"].endswith("-05:00")
    header = {"Authorization": f"Bearer {told['access_token']}"}
    assert (await bank.read(QUOTE, header)).status_code == 200
    bank.clock.now += 86_399
    assert (await bank.read(QUOTE, header)).status_code == 401


async def test_tradier_takes_the_secret_by_basic_alone(bank):
    code = await bank.code("tradier")
    form = {"grant_type": "authorization_code", "code": code}
    answer = await bank.tradier_token(auth=None, client_id="t-id", client_secret="t-secret", **form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await bank.tradier_token(auth=("t-id", "guess"), **form)).status_code == 401
    assert (await bank.tradier_token(**form | {"grant_type": "password"})).json()["error"] == "unsupported_grant_type"
    assert (await bank.tradier_token(**form)).status_code == 200


async def test_tradier_shows_one_account_as_itself_and_several_as_a_list(bank):
    mara = (await bank.read(PROFILE, await bank.linked("tradier"))).json()["profile"]
    jonas = (await bank.read(PROFILE, await bank.linked("tradier", person="jonas"))).json()["profile"]
    assert (mara["id"], mara["account"]["status"]) == ("id-mara", "active")
    assert [account["status"] for account in jonas["account"]] == ["closed", "active"]
    assert len({mara["account"]["account_number"], *(each["account_number"] for each in jonas["account"])}) == 3


async def test_only_partners_refresh(bank):
    code = await bank.code("tradier")
    assert (await bank.tradier_token("refreshtoken", grant_type="refresh_token")).status_code == 403
    bank.brokers.tradier.refreshes = True
    first = (await bank.tradier_token(grant_type="authorization_code", code=code)).json()
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await bank.tradier_token("refreshtoken", **again)
    assert second.json()["access_token"] != first["access_token"]
    assert (await bank.read(QUOTE, {"Authorization": f"Bearer {first['access_token']}"})).status_code == 401
    assert (await bank.read(QUOTE, {"Authorization": f"Bearer {second.json()['access_token']}"})).status_code == 200
    assert (await bank.tradier_token("refreshtoken", **again)).json()["error"] == "invalid_grant"


async def test_the_brokers_end_what_the_panel_says(bank):
    alpaca, tradier = await bank.linked("alpaca", person="sam"), await bank.linked("tradier", person="sam")
    other = await bank.linked("alpaca", person="aiko")
    shown = await bank.http.post("/sandbox/brokers/end", json={"broker": "alpaca", "state": "revoked", "person": "sam"})
    number = (await bank.read("/alpaca/paper/v2/account", other)).json()["account_number"]
    of = {(each["broker"], each["person"]): each for each in shown.json()}
    assert of["alpaca", "sam"]["state"] == "revoked"
    assert of["tradier", "sam"]["state"] == "valid"
    assert of["alpaca", "aiko"] == {
        "broker": "alpaca",
        "person": "aiko",
        "name": "Aiko",
        "account": f"••{number[-4:]}",
        "mode": "paper",
        "scopes": ["data"],
        "state": "valid",
    }
    refused = await bank.read(SNAPSHOT + "iex", alpaca)
    assert (refused.status_code, refused.json()["message"]) == (401, "unauthorized.")
    assert (await bank.read(QUOTE, tradier)).status_code == 200
    await bank.http.post("/sandbox/brokers/end", json={"broker": "tradier", "state": "expired"})
    assert (await bank.read(QUOTE, tradier)).json()["fault"]["faultstring"] == "Invalid Access Token"
    assert "access" not in shown.text
    assert (
        await bank.http.post("/sandbox/brokers/end", json={"broker": "ibkr", "state": "revoked"})
    ).status_code == 400


async def test_token_endpoints_go_wrong_to_order(bank):
    code = await bank.code("alpaca")
    unwell = {"kind": "status", "status": 503, "path_contains": "/oauth/"}
    for fault, status in ((unwell, 503), ({"kind": "invalid_grant"}, 400)):
        await bank.http.post("/sandbox/market/faults", json={**fault, "count": 1})
        # what is meant for token endpoints leaves the others alone, and is not used up by them
        own = {"APCA-API-KEY-ID": "own-key", "APCA-API-SECRET-KEY": "x"}
        assert (await bank.read(SNAPSHOT + "iex", own)).status_code == 200
        assert (await bank.alpaca_token(code)).status_code == status
    assert (await bank.alpaca_token(code)).status_code == 200


async def test_what_was_allowed_outlives_the_stand_in(tmp_path):
    kept = tmp_path / "links.json"
    first = Brokers(kept=kept)
    grant = first.alpaca.redeem(first.alpaca.permit("mara", ("data",), mode="live", redirect=None), None, None)
    code = first.tradier.permit("jonas", ("read",), redirect=None)
    tradier = first.tradier.redeem(code, None, None)
    first.tradier.end("jonas", "revoked")
    assert kept.stat().st_mode & 0o777 == 0o600
    second = Brokers(kept=kept)
    assert second.alpaca.holder(grant.access).mode == "live"
    assert second.tradier.knows(tradier.access)
    assert second.tradier.holder(tradier.access) is None
    assert [path.name for path in tmp_path.iterdir()] == ["links.json"]


async def test_where_any_key_will_do_an_ended_token_does_not():
    brokers = Brokers()
    grant = brokers.tradier.redeem(brokers.tradier.permit("mara", ("market",), redirect=None), None, None)
    brokers.admit(TRADIER_FACE, Credential("whoever", bearer=True), {})
    brokers.admit(TRADIER_FACE, Credential(grant.access, bearer=True), {})
    brokers.tradier.end("mara", "revoked")
    with pytest.raises(Refused, match="Invalid Access Token"):
        brokers.admit(TRADIER_FACE, Credential(grant.access, bearer=True), {})
