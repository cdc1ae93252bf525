"""`pulse gamma` as a person or a script meets it."""

import argparse
import json
from datetime import date, datetime

import pytest
import structlog
from PIL import Image

from services import gamma_cli
from services.errors import NoChain
from services.feeds.replay import Replay

KEYS = [
    "symbol",
    "spot",
    "asof",
    "source",
    "open_interest_date",
    "mode",
    "counting",
    "per",
    "total",
    "gross",
    "zero_dte",
    "flip",
    "call_wall",
    "put_wall",
    "max_call_gamma",
    "max_put_gamma",
    "abs_gamma",
    "call_oi_wall",
    "put_oi_wall",
    "max_pain",
    "expected_move",
    "vanna",
    "charm",
    "contracts",
    "coverage",
    "iv_sources",
    "by_expiry",
]


def nowhere(symbol):
    raise NoChain(symbol)


@pytest.fixture
def spx(shared_data):
    return str(shared_data / "cboe" / "spx_20221212.csv")


def pulse_gamma(*words, load=nowhere) -> int:
    parser = argparse.ArgumentParser(prog="pulse gamma")
    gamma_cli.add_arguments(parser)
    return gamma_cli.run(parser.parse_args(words), load)


def test_json_of_a_file_has_exactly_the_keys(spx, capsys):
    assert pulse_gamma(spx, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert list(facts) == KEYS
    assert (facts["symbol"], facts["spot"], facts["call_wall"], facts["put_wall"]) == ("SPX", 3990.5601, 4100.0, 3800.0)
    assert f"{facts['total'] / 1e9:.2f} {facts['flip']:.1f}" == "-1.18 3996.6"
    assert datetime.fromisoformat(facts["asof"]) == datetime.fromisoformat("2022-12-12T20:30:00-05:00")


def test_reference_modes(spx, capsys):
    assert pulse_gamma(spx, "--json", "--mode", "gflows", "--rate", "0.04") == 0
    assert json.loads(capsys.readouterr().out)["flip"] == pytest.approx(4000.349562836413, rel=1e-9)
    assert pulse_gamma(spx, "--json", "--mode", "perfiliev") == 0
    assert json.loads(capsys.readouterr().out)["total"] / 1e9 == pytest.approx(-1.0751568923311934, rel=1e-9)


def test_words_for_a_symbol(shared_data, capsys):
    with structlog.testing.capture_logs():
        assert pulse_gamma("$spx", load=Replay(shared_data).load_chain) == 0
    words = capsys.readouterr().out
    for part in (
        "SPX",
        "12 Dec 2022 20:30 New York",
        "3,990.56",
        "−$1.18 bn",
        "3,996.61",
        "4,100.00",
        "3,800.00",
        "negative",
        "Cboe file, recording",
        "% vendor",
    ):
        assert part in words
    assert max(map(len, words.splitlines())) <= 100


def test_filters_and_another_moment(spx, capsys):
    assert pulse_gamma(spx, "--json", "--expiry", "opex") == 0
    opex = json.loads(capsys.readouterr().out)
    assert pulse_gamma(spx, "--json", "--expiry", "2022-12-16") == 0
    assert json.loads(capsys.readouterr().out) == opex
    assert pulse_gamma(spx, "--json", "--asof", "2022-12-16T17:00") == 0
    later = json.loads(capsys.readouterr().out)
    assert later["asof"] == "2022-12-16T22:00:00+00:00"
    assert later["contracts"] < 18_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["SPX"], "no option chain"),
        (["no such thing"], "do not know"),
        (["BRK/B"], "no option chain"),
        (["./missing.csv"], "There is no file ./missing.csv."),
        (["missing.JSON"], "There is no file missing.JSON."),
        (["/no/such/folder/chain"], "There is no file /no/such/folder/chain."),
        (["FILE", "--expiry", "2022-12-25"], "Available: 13 Dec 2022"),
        (["FILE", "--asof", "2030-01-01"], "has expired"),
        (["FILE", "--png", "/no/such/folder/a.png"], "No such file"),
    ],
)
def test_errors_are_one_sentence_on_stderr_and_two(spx, capsys, words, told):
    assert pulse_gamma(*[spx if word == "FILE" else word for word in words]) == 2
    seen = capsys.readouterr()
    assert told in seen.err
    assert seen.err.count("\n") == 1
    assert "**" not in seen.err
    assert not seen.out


def test_a_file_that_is_no_chain(tmp_path, capsys):
    path = tmp_path / "notes.csv"
    path.write_text("hello\n")
    assert pulse_gamma(str(path)) == 2
    assert "notes.csv is not a whole Cboe quote table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["SPX", "--expiry", "nextweek"], "'nextweek' is none of all, 0dte, week, opex, 94d, or a date (YYYY-MM-DD)"),
        (["SPX", "--asof", "noon"], "'noon' is not a moment such as 2022-12-12T15:30"),
        (["SPX", "--mode", "mine"], "invalid choice"),
        ([], "required"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(words, told, capsys):
    with pytest.raises(SystemExit) as stop:
        pulse_gamma(*words)
    assert stop.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "usage" in said
    assert told in said


def test_picture(spx, tmp_path, capsys):
    target = tmp_path / "spx.png"
    assert pulse_gamma(spx, "--png", str(target)) == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    assert "flip" in capsys.readouterr().out


def test_dates_are_dates():
    assert gamma_cli._expiry("2022-12-16") == date(2022, 12, 16)
    assert gamma_cli._expiry("0DTE") == "0dte"


def test_every_lens_and_the_tall_picture_are_had_offline(spx, tmp_path, capsys):
    out = tmp_path / "spx.png"
    words = (
        "--mode",
        "gflows",
        "--rate",
        "0.04",
        "--volume",
        "--per-point",
        "--expiry",
        "94d",
        "--tall",
        "--png",
        str(out),
    )
    assert pulse_gamma(spx, *words, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["mode"], facts["counting"], facts["per"]) == ("gflows", "volume", "point")
    assert facts["vanna"] is None
    assert sum(each["net"] for each in facts["by_expiry"]) == pytest.approx(facts["total"])
    assert facts["by_expiry"][-1]["expiry"] <= "2023-03-16"
    with Image.open(out) as picture:
        assert picture.size == (1080, 1350)
    assert pulse_gamma(spx, "--mode", "vendor") == 0
    told = capsys.readouterr().out
    for words in ("most gamma     4,000.00, calls 4,000.00, puts 4,000.00", "vanna ", "charm ", "    16 Dec 2022 "):
        assert words in told
