import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse import main
from services.errors import PulseError, TokenUnreadable
from services.vault import Vault, make_key, read_keys
from services.vault_cli import told

OLD, NEW = "k1:" + base64.urlsafe_b64encode(b"o" * 32).decode(), "k2:" + base64.urlsafe_b64encode(b"n" * 32).decode()
PLACE = ("user_broker_connections", 7, 80351110224678912, "alpaca")


def test_what_is_encrypted_opens_with_its_key_and_shows_nothing():
    blob = Vault.of(OLD).close(b"a token", *PLACE)
    assert b"token" not in blob
    assert Vault.of(OLD).open(blob, *PLACE) == b"a token"


def test_the_same_text_is_never_encrypted_alike():
    vault = Vault.of(OLD)
    assert len({vault.close(b"a token", *PLACE) for _ in range(50)}) == 50


@pytest.mark.parametrize("changed", range(4))
def test_a_blob_that_is_moved_does_not_open(changed):
    blob = Vault.of(OLD).close(b"a token", *PLACE)
    elsewhere = [part if number != changed else f"{part}1" for number, part in enumerate(PLACE)]
    with pytest.raises(TokenUnreadable):
        Vault.of(OLD).open(blob, *elsewhere)


def test_parts_of_a_place_do_not_run_together():
    blob = Vault.of(OLD).close(b"a token", "table", 1, 23)
    with pytest.raises(TokenUnreadable):
        Vault.of(OLD).open(blob, "table", 12, 3)


def test_no_single_byte_can_be_changed():
    vault = Vault.of(f"{OLD},{NEW}")
    blob = vault.close(b"a token", *PLACE)
    for number in range(len(blob)):
        for changed in (blob[number] ^ 1, blob[number] ^ 3):  # the latter makes k2 of k1
            with pytest.raises(TokenUnreadable):
                vault.open(blob[:number] + bytes([changed]) + blob[number + 1 :], *PLACE)


@given(st.binary(max_size=80))
def test_whatever_lies_there_is_unreadable_and_nothing_worse(blob):
    with pytest.raises(TokenUnreadable):
        Vault.of(OLD).open(blob, *PLACE)


def test_the_first_key_encrypts_and_all_decrypt():
    old = Vault.of(OLD).close(b"a token", *PLACE)
    both = Vault.of(f" {NEW} , {OLD} ")
    assert both.open(old, *PLACE) == b"a token"
    new = both.close(b"a token", *PLACE)
    assert Vault.of(NEW).open(new, *PLACE) == b"a token"
    assert new.startswith(both.head)
    assert not old.startswith(both.head)
    with pytest.raises(TokenUnreadable, match="missing from SECRET_KEYS"):
        Vault.of(NEW).open(old, *PLACE)


def test_another_key_of_the_same_name_does_not_open():
    blob = Vault.of(OLD).close(b"a token", *PLACE)
    with pytest.raises(TokenUnreadable):
        Vault.of("k1:" + NEW.partition(":")[2]).open(blob, *PLACE)


def test_without_keys_nothing_opens_and_nothing_is_encrypted():
    vault = Vault.of(None)
    with pytest.raises(TokenUnreadable):
        vault.close(b"a token", *PLACE)
    with pytest.raises(TokenUnreadable):
        vault.open(Vault.of(OLD).close(b"a token", *PLACE), *PLACE)


def test_a_made_key_is_one_and_never_the_same():
    keys = [make_key() for _ in range(20)]
    assert len({key for pair in keys for key in read_keys(pair).values()}) == 20
    assert {len(key) for pair in keys for key in read_keys(pair).values()} == {32}


def test_keys_are_taken_with_and_without_padding():
    assert read_keys(OLD.rstrip("=")) == read_keys(OLD) == {"k1": b"o" * 32}


@pytest.mark.parametrize(
    "written",
    [
        "",
        ",",
        "k1",
        "k1:",
        "k1:c2hvcnQ=",
        OLD + "AAAA",
        f"{OLD},{OLD}",
        f"k:1:{OLD}",
        "k 1:" + OLD[3:],
        ":" + OLD[3:],
        "k1:ä" + OLD[4:],
        "k" * 33 + OLD[2:],
    ],
)
def test_what_is_no_key_is_refused_with_the_cure_and_without_quoting_it(written):
    with pytest.raises(ValueError, match="pulse vault key") as refused:
        read_keys(written)
    assert OLD[3:] not in str(refused.value)


def test_a_rotation_says_what_came_of_it():
    assert "3 encrypted anew; everything is under k2 now" in told("k2", 3, [])
    with pytest.raises(PulseError, match="opens the links 4, 5"):
        told("k2", 3, [4, 5])


def test_the_command_makes_a_first_key_before_anything_is_set(capsys):
    assert main(["vault", "key"]) == 0
    assert len(read_keys(capsys.readouterr().out)) == 1
