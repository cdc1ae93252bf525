"""What people allow an application: codes that count once, tokens that end."""

import base64
from types import SimpleNamespace

import pytest

from sandbox.grants import Client, Denied, Grants, challenge_of, client_of

BACK = "http://127.0.0.1/back"


@pytest.fixture
def clock():
    return SimpleNamespace(now=1_000_000.0)


@pytest.fixture
def grants(clock):
    made = (f"token-{number}" for number in range(100))
    return Grants(Client("id", "secret", (BACK,)), 100.0, refreshes=True, token=made.__next__, clock=lambda: clock.now)


def permitted(grants, **about):
    return grants.permit("mara", ("data",), **{"mode": "paper", "redirect": BACK} | about)


def test_a_code_becomes_a_token_once(grants):
    code = permitted(grants)
    grant = grants.redeem(code, BACK, None)
    assert (grant.person, grant.scopes, grant.mode, grant.ends_at) == ("mara", ("data",), "paper", 1_000_100.0)
    assert grants.holder(grant.access) is grant
    with pytest.raises(Denied, match="code") as refused:
        grants.redeem(code, BACK, None)
    assert (refused.value.status, refused.value.body["error"]) == (400, "invalid_grant")


def test_a_code_lives_ten_minutes(grants, clock):
    late, in_time = permitted(grants), permitted(grants)
    clock.now += 600
    grants.redeem(in_time, BACK, None)
    clock.now += 1
    with pytest.raises(Denied, match="code"):
        grants.redeem(late, BACK, None)


def test_a_code_is_for_the_address_that_asked_for_it(grants):
    with pytest.raises(Denied, match="redirect_uri"):
        grants.redeem(permitted(grants), BACK + "/other", None)
    grants.redeem(permitted(grants, redirect=None), None, None)


def test_a_code_with_a_challenge_takes_its_verifier(grants):
    # the example of RFC 7636, appendix B
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge_of(verifier) == challenge
    grants.redeem(permitted(grants, challenge=challenge), BACK, verifier)
    for wrong in (None, "", "another"):
        with pytest.raises(Denied, match="code_verifier"):
            grants.redeem(permitted(grants, challenge=challenge), BACK, wrong)


def test_a_token_ends_in_time_and_a_refresh_replaces_both(grants, clock):
    grant = grants.redeem(permitted(grants), BACK, None)
    first, second = grant.access, grant.refresh
    clock.now += 100
    assert grants.holder(first) is None
    fresh = grants.refresh(second)
    assert grants.holder(fresh.access) is fresh
    assert not {fresh.access, fresh.refresh} & {first, second}
    assert fresh.ends_at == clock.now + 100
    assert grants.holder(first) is None
    assert grants.knows(first)
    assert len(grants.of("mara")) == 1
    with pytest.raises(Denied, match="refresh_token"):
        grants.refresh(second)
    with pytest.raises(Denied, match="refresh_token"):
        grants.refresh(None)


@pytest.mark.parametrize("which", ["access", "refresh"])
def test_revoking_either_token_ends_both(grants, which):
    grant = grants.redeem(permitted(grants), BACK, None)
    other = grants.redeem(permitted(grants), BACK, None)
    grants.revoke(getattr(grant, which))
    assert grants.holder(grant.access) is None
    with pytest.raises(Denied):
        grants.refresh(grant.refresh)
    assert grants.holder(other.access)


def test_what_was_ended_early_can_be_refreshed_only_if_it_expired(grants):
    grant = grants.redeem(permitted(grants), BACK, None)
    assert grants.end("jonas", "revoked") == 0
    assert grants.end("mara", "expired") == 1
    assert grants.holder(grant.access) is None
    assert grants.holder(grants.refresh(grant.refresh).access)
    assert grants.end("mara", "revoked") == 1
    with pytest.raises(Denied):
        grants.refresh(grant.refresh)


def test_each_change_is_told_and_can_be_taken_over(grants, clock):
    told = []
    grants.changed = lambda: told.append([(grant.access, grant.state) for grant in grants.written()])
    grant = grants.redeem(permitted(grants), BACK, None)
    grants.end("mara", "expired")
    grants.revoke(grant.access)
    assert told == [[("token-0", state)] for state in ("valid", "expired", "revoked")]
    again = Grants(clock=lambda: clock.now)
    again.read(grants.written())
    assert again.knows("token-0")
    assert again.holder("token-0") is None


def test_nothing_registered_lets_everybody_in_but_nobody():
    Client().check("any", "thing")
    for nobody in ((None, "secret"), ("id", None), ("", "")):
        with pytest.raises(Denied) as refused:
            Client().check(*nobody)
        assert refused.value.status == 401
    assert Client().knows_redirect("https://somewhere")
    assert not Client().knows_redirect("")
    assert not Client().knows_redirect("javascript:alert(1)")


def test_a_registered_client_is_held_to_all_of_it():
    client = Client("id", "secret", (BACK,))
    client.check("id", "secret")
    for wrong in (("other", "secret"), ("id", "other")):
        with pytest.raises(Denied, match="unknown"):
            client.check(*wrong)
    assert client.knows_redirect(BACK)
    assert not client.knows_redirect(BACK + "?more")


def test_a_client_shows_itself_by_basic_or_in_its_form():
    form = {"client_id": "in", "client_secret": "form"}
    assert client_of("", form) == ("in", "form")
    assert client_of(f"Basic {base64.b64encode(b'id:a:b').decode()}", form) == ("id", "a:b")
    assert client_of("Basic ???", form) == (None, None)
