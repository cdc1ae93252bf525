"""What the demo tells the product of its surroundings."""

import pytest

from sandbox import demo
from sandbox.discord.world import opening_bell
from services.settings import Settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def surroundings(home):
    return demo._surroundings(8080, 8123, "token", home)


def settings(environment):
    known = {name.lower(): value for name, value in environment.items() if name.lower() in Settings.model_fields}
    return Settings(_env_file=None, **known)


def test_everything_that_linking_takes_is_set(tmp_path):
    told = settings(surroundings(tmp_path))
    assert str(told.public_url) == "http://127.0.0.1:8123/"
    assert told.discord_application_id == int(opening_bell().application_id)
    assert told.discord_client_secret.get_secret_value() == "token"
    assert (told.alpaca_client_id, told.tradier_client_id) == ("sandbox", "sandbox")
    assert str(told.alpaca_authorize_url) == "http://127.0.0.1:8080/alpaca/oauth/authorize"
    assert told.web_port == 8123


def test_the_keys_are_made_once_and_for_the_owner_alone(tmp_path):
    first = surroundings(tmp_path)["SECRET_KEYS"]
    assert surroundings(tmp_path)["SECRET_KEYS"] == first
    assert [path.name for path in tmp_path.iterdir()] == ["secret-keys"]
    assert (tmp_path / "secret-keys").stat().st_mode & 0o777 == 0o600


def test_what_the_caller_has_set_wins(tmp_path, monkeypatch):
    given = {"SECRET_KEYS": "mine", "PUBLIC_URL": "https://pulse.example", "ALPACA_CLIENT_ID": "my-app"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert surroundings(tmp_path).items() >= given.items()
    assert not (tmp_path / "secret-keys").exists()


def test_on_a_real_discord_nobody_links_unless_they_can_sign_in(tmp_path, monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "real")
    told = surroundings(tmp_path)
    assert not {"ALPACA_CLIENT_ID", "TRADIER_CLIENT_ID", "SECRET_KEYS", "DISCORD_API_URL"} & told.keys()
    settings(told)
    monkeypatch.setenv("DISCORD_CLIENT_SECRET", "real")
    monkeypatch.setenv("DISCORD_APPLICATION_ID", "1")
    told = surroundings(tmp_path)
    assert told.keys() >= {"ALPACA_CLIENT_ID", "TRADIER_CLIENT_ID", "SECRET_KEYS"}
    assert told["DISCORD_CLIENT_SECRET"] == "real"


def test_the_brokers_know_the_product_and_nobody_else(tmp_path):
    environment = surroundings(tmp_path)
    brokers = demo._brokers(environment, tmp_path)
    for name, grants in (("alpaca", brokers.alpaca), ("tradier", brokers.tradier)):
        grants.client.check("sandbox", "token")
        assert grants.client.redirects == (f"http://127.0.0.1:8123/broker-oauth/callback/{name}",)
    code = brokers.alpaca.permit("mara", ("data",), redirect=None)
    grant = brokers.alpaca.redeem(code, None, None)
    assert demo._brokers(environment, tmp_path).alpaca.holder(grant.access)
