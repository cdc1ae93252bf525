"""Alpaca's calendar, as the sandbox serves it, against the computed one."""

import json
from datetime import UTC, date, datetime

import pytest
from aiohttp import web

from services.clock import NEW_YORK, Calendar, corrected, load_calendar
from services.errors import FeedUnavailable
from services.feeds.alpaca import Alpaca
from services.feeds.alpaca_wire import by_key
from services.sessions import Keeper

MOURNING = date(2026, 12, 9)


@pytest.fixture(scope="module")
def computed():
    return load_calendar(date(2026, 11, 22)).sessions


def served(sessions):
    days = [(opens.astimezone(NEW_YORK), closes.astimezone(NEW_YORK)) for opens, closes in sessions]
    return json.dumps([{"date": f"{o:%Y-%m-%d}", "open": f"{o:%H:%M}", "close": f"{c:%H:%M}"} for o, c in days])


@pytest.fixture
async def alpaca():
    """An Alpaca that says of its calendar what the test puts into `said`, and keeps what it was asked."""
    said, asked = [], []

    async def calendar(request):
        asked.append(dict(request.query))
        return web.Response(text=said[0], content_type="application/json")

    app = web.Application()
    app.router.add_get("/v2/calendar", calendar)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    url = f"http://{host}:{port}"
    feed = Alpaca(url, url, by_key("key", "secret"))
    yield feed, said, asked
    await feed.close()
    await runner.cleanup()


async def test_what_the_broker_says_is_the_calendar(alpaca, computed):
    feed, said, asked = alpaca
    closed = [session for session in computed if session[0].astimezone(NEW_YORK).date() != MOURNING]
    said.append(served(closed))
    calendar = Calendar(computed)
    assert await Keeper(calendar, feed.sessions).correct()
    assert calendar.sessions == tuple(closed) == corrected(computed, tuple(closed))
    assert not calendar.is_session(MOURNING)
    first, last = (each[0].astimezone(NEW_YORK).date().isoformat() for each in (computed[0], computed[-1]))
    assert asked == [{"start": f"{first}T00:00:00Z", "end": f"{last}T00:00:00Z"}]
    assert calendar.at(datetime(2026, 11, 27, 17, tzinfo=UTC)).half_day


def day(date, opens, closes):
    return {"date": date, "open": opens, "close": closes}


@pytest.mark.parametrize(
    "nonsense",
    [
        {"message": "no"},
        [day("2026-11-27", "soon", "13:00")],
        [day("2026-11-27", "13:00", "09:30")],
        [day("2026-11-27", "09:30", "16:00"), day("2026-11-25", "09:30", "16:00")],
    ],
)
async def test_a_calendar_that_makes_no_sense_changes_nothing(alpaca, computed, nonsense):
    feed, said, _ = alpaca
    said.append(json.dumps(nonsense))
    calendar = Calendar(computed)
    with pytest.raises(FeedUnavailable):
        await feed.sessions(date(2026, 11, 1), date(2026, 12, 31))
    assert not await Keeper(calendar, feed.sessions).correct()
    assert calendar.sessions == computed
