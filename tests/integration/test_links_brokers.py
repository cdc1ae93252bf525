"""What goes to the brokers' OAuth, and what is made of their answers."""

import base64

import httpx
import pytest
import structlog
from link_stage import ADDRESS, oauth, query_of, serving

from services.broker_oauth import Client, GrantEnded, Tokens, TradierOAuth
from services.errors import BrokerRejected, BrokerUnavailable
from services.link_tokens import Kept


@pytest.fixture
async def stage():
    async with serving() as served:
        yield served


@pytest.fixture
def broker(stage):
    return stage[0]


@pytest.fixture
async def both(stage):
    made = oauth(stage[1])
    yield made
    for one in made.values():
        await one.close()


@pytest.fixture
def alpaca(both):
    return both["alpaca"]


@pytest.fixture
def tradier(both):
    return both["tradier"]


def test_alpacas_page_is_asked_for_data_and_lets_the_member_choose_the_account(alpaca):
    url = alpaca.authorize_url("the-state", "https://pulse.example.com/broker-oauth/callback/alpaca")
    assert query_of(url) == {
        "response_type": "code",
        "client_id": "our-id",
        "redirect_uri": "https://pulse.example.com/broker-oauth/callback/alpaca",
        "state": "the-state",
        "scope": "data",
    }
    assert "our-secret" not in url


def test_tradiers_page_is_asked_as_its_documents_say(tradier, stage):
    url = tradier.authorize_url("the-state", "https://pulse.example.com/broker-oauth/callback/tradier")
    assert url == f"{stage[1]}/tradier/oauth/authorize?client_id=our-id&scope=read,market&state=the-state"


async def test_alpacas_code_becomes_a_token_by_a_form(alpaca, broker):
    tokens = await alpaca.exchange("the-code", "https://here/callback")
    assert (tokens.access, tokens.refresh, tokens.lasts_s, tokens.scopes) == ("alpaca-token", None, None, ("data",))
    path, headers, form = broker.asked[0]
    assert path == "/alpaca/token"
    assert form == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "client_id": "our-id",
        "client_secret": "our-secret",
        "redirect_uri": "https://here/callback",
    }
    assert "Authorization" not in headers
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


async def test_tradiers_code_becomes_a_token_by_basic_authentication(tradier, broker):
    broker.token = {"access_token": "t", "expires_in": 86399, "scope": "read write trade market", "status": "approved"}
    tokens = await tradier.exchange("the-code", "https://here/callback")
    assert (tokens.access, tokens.refresh, tokens.lasts_s) == ("t", None, 86399)
    assert tokens.scopes == ("read", "write", "trade", "market")
    path, headers, form = broker.asked[0]
    assert path == "/tradier/oauth/accesstoken"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"our-id:our-secret").decode()
    assert headers["Accept"] == "application/json"
    assert form == {"grant_type": "authorization_code", "code": "the-code"}


async def test_tradiers_tokens_are_renewed_likewise(tradier, broker):
    tokens = await tradier.refresh("refresh-1")
    assert (tokens.access, tokens.refresh, tokens.lasts_s) == ("tradier-2", "refresh-2", 86400)
    path, headers, form = broker.asked[0]
    assert path == "/tradier/oauth/refreshtoken"
    assert headers["Authorization"].startswith("Basic ")
    assert form == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}


async def test_alpaca_has_nothing_to_refresh(alpaca, broker):
    with pytest.raises(GrantEnded):
        await alpaca.refresh("none")
    assert broker.asked == []


@pytest.mark.parametrize(
    ("live", "paper", "mode", "asked"),
    [(200, 401, "LIVE", 1), (200, 200, "LIVE", 1), (401, 200, "PAPER", 2), (403, 200, "PAPER", 2)],
)
async def test_alpacas_account_is_live_or_paper_by_the_host_that_knows_it(alpaca, broker, live, paper, mode, asked):
    broker.live, broker.paper = live, paper
    account = await alpaca.account("alpaca-token")
    assert (account.number, account.mode, account.label) == ("PA3XYZ1234", mode, "••1234")
    assert len(broker.asked) == asked
    assert all(headers["Authorization"] == "Bearer alpaca-token" for _, headers, _ in broker.asked)
    assert "XYZ" not in repr(account)


async def test_an_account_that_no_host_knows_is_not_guessed(alpaca, broker):
    broker.live, broker.paper = 401, 403
    with pytest.raises(BrokerRejected, match="does not say which account"):
        await alpaca.account("alpaca-token")


async def test_a_live_host_that_is_away_does_not_make_an_account_a_paper_one(alpaca, broker):
    broker.live = 503
    with pytest.raises(BrokerUnavailable):
        await alpaca.account("alpaca-token")
    assert broker.paths() == ["/live/v2/account"]


@pytest.mark.parametrize(
    "accounts",
    [
        {"account_number": "6YA01234", "status": "active"},
        [{"account_number": "6YA09999", "status": "active"}, {"account_number": "6YA01234", "status": "Active"}],
        [{"account_number": "6YA00001", "status": "closed"}, {"account_number": "6YA01234", "status": "active"}],
    ],
)
async def test_tradier_names_one_account_or_several_in_any_order(tradier, broker, accounts):
    broker.profile = {"profile": {"account": accounts, "id": "id-x", "name": "Somebody"}}
    account = await tradier.account("tradier-1")
    assert (account.number, account.mode) == ("6YA01234", "LIVE")


@pytest.mark.parametrize("accounts", ["null", None, [], {"account_number": "6YA00001", "status": "closed"}])
async def test_a_tradier_login_without_an_active_account_is_refused(tradier, broker, accounts):
    broker.profile = {"profile": {"account": accounts}}
    with pytest.raises(BrokerRejected, match="no active account"):
        await tradier.account("tradier-1")


def test_tradiers_sandbox_is_paper():
    modes = [TradierOAuth(Client("a", "b"), f"https://{host}.tradier.com/v1")._mode for host in ("api", "sandbox")]
    assert modes == ["LIVE", "PAPER"]


@pytest.mark.parametrize(("number", "label"), [("PA3XYZ1234", "••1234"), ("1234567", "••4567"), ("123456", "••56")])
async def test_a_label_never_shows_most_of_a_number(alpaca, broker, number, label):
    broker.account = {"account_number": number}
    assert (await alpaca.account("t")).label == label


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_grant"},
        {"fault": {"faultstring": "Invalid Refresh Token"}},
        {"ErrorCode": "invalid_request", "Error": "Refresh Token is invalid"},
    ],
)
async def test_a_grant_that_ended_is_known_by_the_answer(tradier, broker, body):
    broker.renewed = (400, body)
    with pytest.raises(GrantEnded):
        await tradier.refresh("refresh-1")


async def test_a_code_that_ended_is_known_by_tradiers_words(tradier, broker):
    broker.failing = (401, {"fault": {"faultstring": "Invalid Authorization Code"}})
    with pytest.raises(GrantEnded):
        await tradier.exchange("c", "")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_of_ours_is_for_the_operator_to_mend(tradier, broker, status):
    broker.renewed = (status, {"error": "invalid_client", "description": "invalid secret our-secret"})
    with pytest.raises(BrokerRejected, match="TRADIER_CLIENT_ID") as refused:
        await tradier.refresh("refresh-1")
    assert not isinstance(refused.value, GrantEnded)
    assert "our-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"error": "invalid_grant"}),
        (502, {}),
        (429, {}),
        (408, {}),
        (200, {}),
        (200, []),
        (200, {"access_token": ""}),
        (200, {"access_token": None}),
        (200, {"access_token": "tradier-2", "refresh_token": "refresh 2"}),
        (200, {"access_token": "tradier-2", "expires_in": 10**15}),
        (200, {"access_token": "tradier-2", "expires_in": -1}),
        (200, {"access_token": "tradier-2", "scope": "read\0market"}),
    ],
)
async def test_whatever_else_a_broker_answers_may_be_asked_again(tradier, broker, status, body):
    broker.renewed = (status, body)
    with pytest.raises(BrokerUnavailable, match="Tradier is not available right now"):
        await tradier.refresh("refresh-1")


@pytest.mark.parametrize("access", ["hush\0", "hush hush", "hush\r\nHost: evil.example.com", "hush\n", "hush\u00e9"])
async def test_a_token_that_no_header_can_hold_is_neither_sent_nor_quoted(alpaca, broker, access):
    broker.token = {"access_token": access, "scope": "data"}
    with structlog.testing.capture_logs() as logs, pytest.raises(BrokerUnavailable, match="makes no sense") as refused:
        await alpaca.account((await alpaca.exchange("the-code", ADDRESS)).access)
    assert "hush" not in f"{logs}{refused.value!r}"
    assert broker.paths() == ["/alpaca/token"]


@pytest.mark.parametrize("number", ["", "\0", "A\u202eB1234", "12345`**", "1" * 65, "6YA 1234"])
async def test_an_account_number_that_is_none_is_not_taken(alpaca, broker, number):
    broker.account = {"account_number": number}
    with pytest.raises(BrokerUnavailable, match="makes no sense"):
        await alpaca.account("alpaca-token")


async def test_redirects_are_not_followed_with_our_secrets(both, monkeypatch):
    seen = []

    def answer(request):
        seen.append(request.url.path)
        return httpx.Response(307, headers={"Location": "https://evil.example.com/"})

    tradier = both["tradier"]
    await tradier._client.aclose()
    tradier._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    with pytest.raises(BrokerRejected):
        await tradier.refresh("refresh-1")
    assert seen == ["/tradier/oauth/refreshtoken"]


async def test_a_broker_that_cannot_be_reached_is_away():
    tradier = TradierOAuth(Client("a", "b"), "http://127.0.0.1:1/v1")
    try:
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            await tradier.refresh("refresh-1")
    finally:
        await tradier.close()


async def test_a_broker_that_answers_drop_by_drop_is_away_too(tradier, broker, monkeypatch):
    monkeypatch.setattr("services.broker_oauth.WHOLE_S", 0.1)
    broker.slow_refresh.clear()
    with pytest.raises(BrokerUnavailable, match="cannot be reached"):
        await tradier.refresh("refresh-1")


def test_secrets_show_in_no_repr():
    assert "secret" not in repr(Client("id", "secret"))
    assert "token" not in repr(Tokens(access="token", refresh="token", lasts_s=1, scopes=()))
    assert "token" not in repr(Kept("token", "token"))


def test_an_issuer_is_the_brokers_own_address(alpaca, stage):
    assert alpaca.is_issuer(stage[1])
    assert alpaca.is_issuer(f"{stage[1]}/")
    for other in ("https://evil.example.com", stage[1].replace("http:", "https:"), "", f"{stage[1]}0"):
        assert not alpaca.is_issuer(other)
