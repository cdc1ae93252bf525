import pytest
from pydantic import ValidationError

from services.settings import Settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_secrets_never_show(monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "very-secret-token")
    monkeypatch.setenv("DATABASE_URL", "postgresql://pulse:db-password@localhost/pulse")
    settings = Settings()
    assert "very-secret-token" not in repr(settings)
    assert {"very-secret-token", "db-password"} <= set(settings.secrets())


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://pulse:db-password@/pulse?host=/run/postgresql", "db-password"),
        ("postgres://pulse:db%2Fpassword@one:5432,two:5432/pulse", "db/password"),
        ("postgresql:///pulse?user=pulse&password=db-password", "db-password"),
        ("postgresql://pulse@localhost/pulse", None),
    ],
)
def test_every_form_of_postgresqls_address_is_taken_and_its_password_masked(monkeypatch, url, password):
    monkeypatch.setenv("DATABASE_URL", url)
    settings = Settings()
    assert settings.database_url.get_secret_value() == url
    assert set(settings.secrets()) >= {url, password} - {None}
    assert "password" not in repr(settings)


def test_an_address_of_another_database_is_refused_without_showing_it(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://pulse:db-password@localhost/pulse")
    with pytest.raises(ValidationError, match="must begin with postgresql://") as refused:
        Settings()
    assert "db-password" not in str(refused.value)


def test_feeds_keep_the_order_given(monkeypatch, tmp_path):
    monkeypatch.setenv("FEEDS", "replay, alpaca")
    monkeypatch.setenv("REPLAY_DIR", str(tmp_path))
    monkeypatch.setenv("ALPACA_DATA_KEY", "k")
    monkeypatch.setenv("ALPACA_DATA_SECRET", "s")
    assert Settings().feed_order == ("replay", "alpaca")


def test_without_feeds_the_configured_ones_are_asked(monkeypatch, tmp_path):
    assert Settings().feed_order == ()
    monkeypatch.setenv("REPLAY_DIR", str(tmp_path))
    assert Settings().feed_order == ("replay",)


def test_cboe_is_asked_only_where_feeds_names_it_and_a_licence_is_stated(monkeypatch, tmp_path):
    monkeypatch.setenv("CBOE_LICENSED", "true")
    monkeypatch.setenv("TRADIER_DATA_TOKEN", "t")
    monkeypatch.setenv("REPLAY_DIR", str(tmp_path))
    assert Settings().feed_order == ("tradier", "replay")
    monkeypatch.setenv("FEEDS", "cboe,tradier")
    assert Settings().feed_order == ("cboe", "tradier")


@pytest.mark.parametrize(
    ("environment", "cure"),
    [
        ({"FEEDS": "replay"}, "set REPLAY_DIR"),
        ({"FEEDS": "alpaca"}, "set ALPACA_DATA_KEY and ALPACA_DATA_SECRET"),
        ({"FEEDS": "tradier"}, "set TRADIER_DATA_TOKEN"),
        ({"FEEDS": "cboe"}, "set CBOE_LICENSED=true if you hold both"),
        ({"FEEDS": "cboe", "CBOE_LICENSED": "false"}, "prior written approval and a licence"),
        ({"REPLAY_DIR": "/no/such/folder"}, "is not a folder"),
        ({"SHARD_IDS": "0,1"}, "set both or neither"),
        ({"FEEDS": "bloomberg"}, "alpaca"),
        ({"WEB_PORT": "99999"}, "65535"),
    ],
)
def test_each_wrong_setting_says_its_cure(monkeypatch, environment, cure):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=cure):
        Settings()


def test_shards_are_a_list(monkeypatch):
    monkeypatch.setenv("SHARD_IDS", "0,1")
    monkeypatch.setenv("SHARD_COUNT", "4")
    assert Settings().shard_ids == (0, 1)


def test_the_readme_and_the_example_name_every_setting():
    from pathlib import Path  # noqa: PLC0415

    root = Path(__file__).parents[2]
    for text in ((root / "README.md").read_text(), (root / ".env.example").read_text()):
        assert [name.upper() for name in Settings.model_fields if name.upper() not in text] == []


def test_a_process_has_its_share_of_the_shards(monkeypatch):
    assert Settings().share_of_shards == 1
    monkeypatch.setenv("SHARD_IDS", "0,1")
    monkeypatch.setenv("SHARD_COUNT", "8")
    assert Settings().share_of_shards == 0.25


KEY = "k1:" + "A" * 43
DISCORD = {"DISCORD_APPLICATION_ID": "80351110224678912", "DISCORD_CLIENT_SECRET": "discord-secret"}
ALPACA = {"ALPACA_CLIENT_ID": "alpaca-id", "ALPACA_CLIENT_SECRET": "alpaca-secret"}
LINKING = {**DISCORD, **ALPACA, "SECRET_KEYS": KEY}


def with_environment(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_brokers_that_are_set_up_can_be_linked_in_a_fixed_order(monkeypatch):
    assert Settings().brokers == ()
    tradier = {"TRADIER_CLIENT_ID": "tradier-id", "TRADIER_CLIENT_SECRET": "tradier-secret"}
    assert with_environment(monkeypatch, {**LINKING, **tradier}).brokers == ("alpaca", "tradier")


def test_the_secrets_of_links_never_show_and_each_key_is_masked(monkeypatch):
    settings = with_environment(monkeypatch, {**LINKING, "SECRET_KEYS": f"{KEY}, k2:{'B' * 43}"})
    secrets = {"discord-secret", "alpaca-secret", "A" * 43, "B" * 43}
    assert not [secret for secret in secrets if secret in repr(settings)]
    assert secrets <= set(settings.secrets())


@pytest.mark.parametrize(
    ("environment", "cure"),
    [
        ({**LINKING, "ALPACA_CLIENT_SECRET": ""}, "ALPACA_CLIENT_ID and ALPACA_CLIENT_SECRET go together"),
        ({**LINKING, "TRADIER_CLIENT_SECRET": "s"}, "TRADIER_CLIENT_ID and TRADIER_CLIENT_SECRET go together"),
        ({**LINKING, "SECRET_KEYS": ""}, "run `pulse vault key` and set SECRET_KEYS"),
        ({**LINKING, "SECRET_KEYS": "k1:short"}, "32 bytes as base64url; `pulse vault key`"),
        ({**LINKING, "DISCORD_CLIENT_SECRET": ""}, "set DISCORD_APPLICATION_ID and DISCORD_CLIENT_SECRET"),
        ({**LINKING, "DISCORD_APPLICATION_ID": ""}, "set DISCORD_APPLICATION_ID and DISCORD_CLIENT_SECRET"),
        ({**LINKING, "WEB_HOST": "0.0.0.0"}, "PUBLIC_URL is http://0.0.0.0:8081, .* set it to the https:// address"),
        ({**LINKING, "PUBLIC_URL": "http://pulse.example.com"}, "set it to the https:// address"),
        ({**LINKING, "PUBLIC_URL": "http://127.0.0.1.example.com"}, "set it to the https:// address"),
        ({**LINKING, "WEB_PORT": "0"}, "set PUBLIC_URL or WEB_PORT"),
        ({"PUBLIC_URL": "https://pulse.example.com/bot"}, "must be an address alone"),
        ({"PUBLIC_URL": "https://me:secret@pulse.example.com"}, "must be an address alone"),
        ({"PUBLIC_URL": "https://pulse.example.com/?a=b"}, "must be an address alone"),
        ({"TRUSTED_PROXIES": "proxy"}, "IPv4"),
    ],
)
def test_each_wrong_setting_for_links_says_its_cure(monkeypatch, environment, cure):
    with pytest.raises(ValidationError, match=cure) as refused:
        with_environment(monkeypatch, environment)
    assert "A" * 43 not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://127.0.0.1:8081"),
        ({"WEB_PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"WEB_HOST": "::1"}, "http://[::1]:8081"),
        ({"WEB_HOST": "localhost"}, "http://localhost:8081"),
        ({"PUBLIC_URL": "https://pulse.example.com/", "WEB_HOST": "0.0.0.0"}, "https://pulse.example.com"),
        ({"PUBLIC_URL": "https://pulse.example.com:8443"}, "https://pulse.example.com:8443"),
    ],
)
def test_browsers_come_to_the_web_server_or_where_the_operator_says(monkeypatch, environment, address):
    assert with_environment(monkeypatch, {**LINKING, **environment}).public_address == address


def test_without_links_any_address_may_be_listened_on(monkeypatch):
    assert with_environment(monkeypatch, {"WEB_HOST": "0.0.0.0", "WEB_PORT": "0"}).public_address == "http://0.0.0.0:0"


def test_proxies_are_addresses_or_networks(monkeypatch):
    settings = with_environment(monkeypatch, {"TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.1, fd00::/8"})
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "192.168.1.1/32", "fd00::/8"]
