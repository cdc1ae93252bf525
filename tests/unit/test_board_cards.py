from bot import board_cards
from bot.numbers import locale_of

EN, DE = locale_of("en-US"), locale_of("de")
SPY = {
    "symbol": "SPY",
    "name": "SPDR S&P 500 ETF Trust",
    "price": "601.2",
    "previous_close": "599.1",
    "change_percent": "0.35",
    "open": "600",
    "low": "598.5",
    "high": "603",
    "volume": "45000000",
    "gamma": {"call_wall": "610", "put_wall": "590", "flip": None},
}
BARE = dict.fromkeys(SPY, None) | {"symbol": "NEW"}
PAYLOAD = {
    "day": "2026-11-20",
    "half_day": False,
    "closes_at": "2026-11-20T21:00:00+00:00",
    "missing": ["ZZZ"],
    "rows": [SPY, BARE],
}


def test_the_opening_carries_its_facts_in_the_first_line():
    headline, embed = board_cards.opening(PAYLOAD, EN)
    assert headline == "🔔 **Open** · **SPY** 601.20 ▲ +0.35% · **NEW** —"
    assert embed.title == "Friday, November 20, 2026"
    assert "call wall 610.00 · put wall 590.00" in str(embed.description)
    assert "ZZZ" in str(embed.fields[0].value)


def test_the_close_tells_range_and_volume_in_the_readers_numbers():
    headline, embed = board_cards.closing(PAYLOAD, DE)
    assert headline == "🏁 **Close** · **SPY** 601,20 ▲ +0,35\N{NO-BREAK SPACE}% · **NEW** —"
    assert "range 598,50 – 603,00" in str(embed.description)
    assert "45.000.000" in str(embed.description)


def test_ten_symbols_name_three_in_the_first_line():
    headline, embed = board_cards.closing(PAYLOAD | {"rows": [SPY] * 10}, EN)
    assert headline.endswith("7 more")
    assert len(embed) < 6000
