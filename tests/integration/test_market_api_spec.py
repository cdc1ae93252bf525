"""What the synthetic market says to Alpaca's clients is what Alpaca's own description allows."""

import json
from datetime import UTC, date, datetime, time, timedelta

import httpx
import jsonschema_rs
import pytest
from aiohttp import web

from sandbox import market_api
from sandbox.market import Market
from services.clock import NEW_YORK

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
FRIDAY = datetime(2026, 11, 20, 11, 7, 23, tzinfo=NEW_YORK).astimezone(UTC)
ANSWERS = [
    ("data", "/v2/stocks/snapshots", "?symbols=SPY,BRK.B,SPX,VIX&feed=iex"),
    ("data", "/v2/stocks/{symbol}/snapshot", "", "AAPL"),
    ("data", "/v2/stocks/quotes/latest", "?symbols=SPY,SPX"),
    ("data", "/v2/stocks/trades/latest", "?symbols=SPY,SPX"),
    ("data", "/v2/stocks/trades", "?symbols=SPY,SPX&limit=50"),
    ("data", "/v2/stocks/bars", "?symbols=SPY,AAPL&timeframe=1Min&limit=50"),
    ("data", "/v2/stocks/bars", "?symbols=SPY&timeframe=1Day&start=2026-10-01"),
    ("data", "/v2/stocks/{symbol}/bars", "?timeframe=1Hour", "SPY"),
    ("data", "/v1beta1/options/snapshots/{underlying_symbol}", "?feed=indicative&limit=1000", "SPX"),
    ("data", "/v1beta1/options/snapshots/{underlying_symbol}", "?limit=1000", "F"),
    ("data", "/v1beta1/options/snapshots/{underlying_symbol}", "", "NOPE"),
    ("paper", "/v2/account", ""),
    ("paper", "/v2/clock", ""),
    ("paper", "/v2/calendar", "?start=2026-11-20&end=2026-12-31"),
    ("paper", "/v2/assets", "?status=active"),
    ("paper", "/v2/assets", "?asset_class=us_index"),
    ("paper", "/v2/assets/{symbol_or_asset_id}", "", "BRK.B"),
    ("paper", "/v2/options/contracts", "?underlying_symbols=SPX,AAPL&limit=10000&expiration_date_lte=2028-01-01"),
]


@pytest.fixture(scope="module")
async def api():
    days = (date(2026, 1, 5) + timedelta(days=i) for i in range(600))
    sessions = [
        tuple(datetime.combine(day, time(*at), NEW_YORK).astimezone(UTC) for at in ((9, 30), (16, 0)))
        for day in days
        if day.weekday() < 5 and day != date(2026, 11, 26)
    ]
    app = web.Application()
    app.add_routes(market_api.routes(Market(sessions, start=FRIDAY)))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", headers=KEYS) as client:
        yield client
    await runner.cleanup()


@pytest.fixture(scope="module")
def described(shared_specs):
    return {
        face: json.loads((shared_specs / "alpaca" / name).read_text())
        for face, name in (("data", "market-data-api.json"), ("paper", "trading-api.json"))
    }


@pytest.mark.parametrize(("face", "path", "query", "parts"), [(*each[:3], each[3:]) for each in ANSWERS])
async def test_answers_are_what_the_official_description_says(api, described, face, path, query, parts):
    document = described[face]
    operation = document["paths"][path]["get"]
    address = path
    for part in parts:
        address = address[: address.index("{")] + part + address[address.index("}") + 1 :]
    answer = await api.get(f"/alpaca/{face}{address}{query}")
    assert answer.status_code == 200, answer.text
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {"components": document["components"], "allOf": [schema]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    errors = [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in validator.iter_errors(answer.json())]
    assert not errors, errors[:5]
    assert answer.content.strip() not in {b"{}", b"[]"}


async def test_every_answer_carries_simulated_time_and_the_rate_limit(api):
    answer = await api.get("/alpaca/paper/v2/clock")
    assert answer.headers["Date"].startswith("Fri, 20 Nov 2026 16:07:")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert int(answer.headers["X-RateLimit-Remaining"]) < int(answer.headers["X-RateLimit-Limit"])
    assert int(answer.headers["X-RateLimit-Reset"]) >= FRIDAY.timestamp()


async def test_no_key_is_refused(api):
    for address in ("/alpaca/data/v2/stocks/snapshots?symbols=SPY", "/alpaca/paper/v2/clock"):
        answer = await api.get(address, headers={"APCA-API-SECRET-KEY": ""})
        assert answer.status_code == 401
        assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/alpaca/data/v2/stocks/snapshots", 400),
        ("/alpaca/data/v2/stocks/snapshots?symbols=SPY,$X", 400),
        ("/alpaca/data/v2/stocks/snapshots?symbols=SPY&feed=moon", 400),
        ("/alpaca/data/v2/stocks/NOPE/snapshot", 404),
        ("/alpaca/data/v2/stocks/bars?symbols=SPY&timeframe=7Weeks", 400),
        ("/alpaca/data/v2/stocks/bars?symbols=SPY&timeframe=1Day&start=soon", 400),
        ("/alpaca/data/v1beta1/options/snapshots/SPY?limit=1001", 400),
        ("/alpaca/data/v1beta1/options/snapshots/SPY?page_token=x", 400),
        ("/alpaca/data/v1beta1/options/snapshots/SPY?feed=moon", 400),
        ("/alpaca/data/v1beta1/options/snapshots/SPY?expiration_date_lte=soon", 422),
        ("/alpaca/paper/v2/options/contracts?strike_price_gte=high", 422),
        ("/alpaca/paper/v2/assets/NOPE", 404),
    ],
)
async def test_wrong_requests_are_answered_in_alpacas_form(api, address, status):
    answer = await api.get(address)
    assert answer.status_code == status
    assert isinstance(answer.json()["code"], int)
    assert answer.json()["message"]


async def test_option_filters_choose(api):
    query = {
        "type": "put",
        "strike_price_gte": "700",
        "strike_price_lte": "750",
        "expiration_date": "2026-12-18",
        "root_symbol": "SPY",
        "limit": "1000",
    }
    answer = await api.get("/alpaca/data/v1beta1/options/snapshots/SPY", params=query)
    names = list(answer.json()["snapshots"])
    assert len(names) > 5
    assert {name[:10] for name in names} == {"SPY261218P"}
    assert all(700 <= int(name[-8:]) / 1000 <= 750 for name in names)


async def test_pages_join_without_gap_or_repetition(api):
    whole = (await api.get("/alpaca/data/v1beta1/options/snapshots/AAPL?limit=1000")).json()["snapshots"]
    names, token = [], ""
    while token is not None:
        query = {"limit": "70"} | ({"page_token": token} if token else {})
        page = (await api.get("/alpaca/data/v1beta1/options/snapshots/AAPL", params=query)).json()
        names += page["snapshots"]
        token = page["next_page_token"]
    assert names == list(whole)


async def test_bars_of_several_symbols_page_by_symbol_then_time(api):
    address = "/alpaca/data/v2/stocks/bars?symbols=SPY,AAPL&timeframe=5Min&start=2026-11-19&end=2026-11-20"
    whole = (await api.get(address + "&limit=10000")).json()["bars"]
    found, token = {"AAPL": [], "SPY": []}, ""
    while token is not None:
        page = (await api.get(address + "&limit=100" + (f"&page_token={token}" if token else ""))).json()
        for symbol, bars in page["bars"].items():
            found[symbol] += bars
        token = page["next_page_token"]
    assert found == whole
    assert len(found["SPY"]) == 192


async def test_contracts_stop_at_the_weekend_unless_told_otherwise(api):
    address = "/alpaca/paper/v2/options/contracts?underlying_symbols=SPY&limit=10000"
    near = (await api.get(address)).json()["option_contracts"]
    everything = (await api.get(address + "&expiration_date_lte=2030-01-01")).json()["option_contracts"]
    assert {contract["expiration_date"] for contract in near} == {"2026-11-20"}
    assert len({contract["expiration_date"] for contract in everything}) > 20
    assert all(isinstance(contract["open_interest"], str) for contract in everything)
    assert {contract["open_interest_date"] for contract in everything} == {"2026-11-19"}


async def test_the_desk_shows_and_turns_the_market(api):
    shown = (await api.get("/sandbox/market")).json()
    assert {"now", "new_york", "session", "speed", "paused", "symbols"} == set(shown)
    assert shown["new_york"].startswith("Fri 20 Nov 11:07:")
    assert shown["session"] == "open"
    spy = next(each for each in shown["symbols"] if each["symbol"] == "SPY")
    nudged = (await api.post("/sandbox/market/nudge", json={"symbol": "SPY", "percent": -2})).json()
    after = next(each for each in nudged["symbols"] if each["symbol"] == "SPY")
    assert after["price"] == pytest.approx(spy["price"] * 0.98, rel=1e-3)
    assert after["change_percent"] == pytest.approx(spy["change_percent"] - 2, abs=0.1)
    closed = (await api.post("/sandbox/market/clock", json={"jump": "close", "speed": 60, "paused": True})).json()
    assert (closed["new_york"], closed["session"]) == ("Fri 20 Nov 16:00:00", "post")
    assert (closed["speed"], closed["paused"]) == (60, True)
    for path, body in (
        ("clock", {"speed": 6000}),
        ("clock", {"jump": "2040-01-01"}),
        ("nudge", {"symbol": "NOPE", "percent": 1}),
        ("nudge", {"symbol": "SPY", "percent": -99}),
        ("faults", {"kind": "earthquake"}),
    ):
        refused = await api.post(f"/sandbox/market/{path}", json=body)
        assert refused.status_code == 400
        assert refused.json()["message"]
    await api.post("/sandbox/market/clock", json={"jump": FRIDAY.isoformat(), "speed": 1, "paused": False})
