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
