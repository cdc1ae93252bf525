"""What is remembered of a person: read once, heard of when it changes, and done without while PostgreSQL is away."""

import asyncio
import signal
import time

import asyncpg
import psutil
import pytest

from db import symbols, users
from db.models import Preferences, Theme
from db.pool import Database
from services.errors import DatabaseAway
from services.outage import PATIENCE_S, Outage
from services.people import People
from services.plans import Plan
from services.recent import Recent

ALICE, BOB = 80351110224678912, 80351110224678913


async def change(database, user=ALICE, **choices):
    async with database.as_user(user) as conn:
        await users.set_preferences(conn, user, "de", **choices)


async def test_a_person_is_read_once_until_told_that_something_changed(database):
    people = People(database, Outage())
    assert await people.preferences(ALICE) == Preferences(ALICE, Theme.DARK)
    await change(database, theme=Theme.LIGHT, numbers="fr", private=True)
    assert await people.theme(ALICE) is Theme.DARK
    people.forget(ALICE)
    assert people.remembered(ALICE).theme is Theme.DARK, "until it is read again"
    assert await people.preferences(ALICE) == Preferences(ALICE, Theme.LIGHT, "fr", private=True)
    assert people.remembered(ALICE).numbers == "fr"
    assert people.remembered(BOB) == Preferences(BOB, Theme.DARK)


async def test_what_is_chosen_holds_at_once_and_the_rest_stays(database):
    people = People(database, Outage())
    await people.preferences(ALICE)
    assert await people.choose(ALICE, "de", numbers="fr") == Preferences(ALICE, Theme.DARK, "fr")
    await people.choose_theme(ALICE, Theme.COLOUR_BLIND_LIGHT, "de")
    assert people.remembered(ALICE) == Preferences(ALICE, Theme.COLOUR_BLIND_LIGHT, "fr")
    assert await people.choose(ALICE, "de", numbers="") == Preferences(ALICE, Theme.COLOUR_BLIND_LIGHT)


async def test_a_plan_is_known_of_strangers_to_the_settings_too(database):
    people = People(database, Outage())
    assert await people.plan(ALICE) is None
    async with database.acquire() as conn:
        await users.set_plan(conn, ALICE, Plan.PRO)
    people.forget()
    assert await people.plan(ALICE) is Plan.PRO
    assert await people.theme(ALICE) is Theme.DARK


async def test_what_changes_while_it_is_read_is_read_again(database):
    people = People(database, Outage())
    reading = asyncio.create_task(people.theme(ALICE))
    await asyncio.sleep(0)
    people.forget(ALICE)
    await reading
    await change(database, theme=Theme.LIGHT)
    assert await people.theme(ALICE) is Theme.LIGHT


async def test_a_database_that_hangs_holds_up_one_answer_and_no_more(own_server, kill):
    database = await Database.open(own_server.url)
    try:
        outage = Outage()
        people, recent = People(database, outage), Recent(database, outage)
        await change(database, theme=Theme.LIGHT)
        assert await people.theme(ALICE) is Theme.LIGHT
        people.forget()
        kill(own_server, signal.SIGSTOP)
        for process in _backends(own_server):
            process.send_signal(signal.SIGSTOP)
        try:
            started = time.perf_counter()
            assert await people.theme(ALICE) is Theme.LIGHT, "what was known last"
            assert await people.theme(BOB) is Theme.DARK
            assert await recent.symbols(BOB) == ()
            assert time.perf_counter() - started < PATIENCE_S + 0.5
        finally:
            for process in _backends(own_server):
                process.send_signal(signal.SIGCONT)
            kill(own_server, signal.SIGCONT)
        outage.end()
        assert await people.theme(ALICE) is Theme.LIGHT
    finally:
        await database.close()


def _backends(server):
    """The processes of a server beside its first, which answers nobody by itself."""
    home = str(server.log.parent)
    masters = [p for p in psutil.process_iter(["cmdline"]) if home in " ".join(p.info["cmdline"] or ())]
    return [child for master in masters for child in master.children(recursive=True)]


async def test_choosing_without_a_database_says_so():
    database = await Database.open("postgresql://pulse@127.0.0.1:1/pulse")
    try:
        people = People(database, Outage())
        with pytest.raises(DatabaseAway):
            await people.choose(ALICE, "de", private=True)
        assert not people.remembered(ALICE).private
    finally:
        await database.close()


async def test_recent_symbols_are_newest_first_each_once_and_few(database):
    recent = Recent(database, Outage())
    recent.note(ALICE, ["SPY", "QQQ"])
    recent.note(ALICE, ["NVDA", "SPY"])
    assert await recent.symbols(ALICE) == ("NVDA", "SPY", "QQQ")
    await recent.write()
    recent.note(ALICE, [f"S{n}" for n in range(9)])
    assert await recent.symbols(ALICE) == (*(f"S{n}" for n in range(9)), "NVDA")
    await recent.write()
    assert await Recent(database, Outage()).symbols(ALICE) == await recent.symbols(ALICE)
    assert await recent.symbols(BOB) == ()


async def test_two_processes_add_to_the_same_list(database):
    one, two = Recent(database, Outage()), Recent(database, Outage())
    one.note(ALICE, ["SPY", "QQQ"])
    await one.write()
    two.note(ALICE, ["NVDA", "QQQ"])
    await two.write()
    await two.write()
    assert await Recent(database, Outage()).symbols(ALICE) == ("NVDA", "QQQ", "SPY")


async def test_people_see_their_own_recent_symbols_only(database):
    async with database.acquire() as conn:
        await symbols.add_recent(conn, {ALICE: ["SPY"], BOB: ["QQQ"]}, 10)
    async with database.as_user(ALICE) as conn:
        assert await symbols.list_recent(conn, ALICE) == ["SPY"]
        assert await symbols.list_recent(conn, BOB) == []
        assert len(await conn.fetch("SELECT FROM app.recent_symbols")) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.as_user(ALICE) as conn:
            await conn.execute("UPDATE app.recent_symbols SET symbols = '{X}'")
