"""Tokens of links: renewed in time by one worker, never lost on the way, ended when the broker has ended them."""

import asyncio
from datetime import timedelta

import pytest
from link_stage import (
    ALICE,
    BOB,
    FIREFOX,
    NEW,
    OLD,
    age,
    emptied,
    linked,
    linking,
    row_of,
    serving,
    told,
)

from db import links as rows
from db.link_models import LinkState
from pulse import main
from services import link_tokens
from services.broker_oauth import WHOLE_S
from services.jobs import Again
from services.link_tokens import LEASE, STORE_WITHIN_S, rotate
from services.vault import Vault, make_key

DAY = timedelta(seconds=86400)
RENEWABLE = {
    "access_token": "tradier-1",
    "refresh_token": "refresh-1",
    "expires_in": 86400,
    "scope": "read market",
}
ENDED = (400, {"error": "invalid_grant"})


@pytest.fixture(autouse=True)
def reread_soon(monkeypatch):
    monkeypatch.setattr(link_tokens, "REREAD_AFTER_S", 0.05)


@pytest.fixture
async def database(database_of_file):
    yield database_of_file
    await emptied(database_of_file)


@pytest.fixture
async def stage():
    async with serving() as served:
        served[0].token = dict(RENEWABLE)
        yield served


@pytest.fixture
def broker(stage):
    return stage[0]


@pytest.fixture
async def links(stage, database):
    async with linking(database, stage[1]) as made:
        yield made


@pytest.fixture
async def link(links):
    return await linked(links, broker="tradier", active=True)


async def token(links, user=ALICE):
    access = await links.data_access(user)
    return access.token if access else None


def refreshes(broker):
    return [form for path, _, form in broker.asked if path.endswith("refreshtoken")]


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def jobs_due(database):
    async with database.acquire() as conn:
        found = await conn.fetch("SELECT name FROM app.jobs WHERE state = 'waiting' AND due_at <= now()")
    return [row["name"] for row in found]


async def test_a_token_is_renewed_at_four_fifths_of_its_life(links, link, database, broker):
    await age(database, "user_broker_connections", DAY * 0.79)
    await links.refresh({})
    assert refreshes(broker) == []
    await age(database, "user_broker_connections", DAY * 0.01)
    await links.refresh({})
    assert [form["refresh_token"] for form in refreshes(broker)] == ["refresh-1"]
    assert await token(links) == "tradier-2"
    kept = await row_of(database, link.id)
    assert timedelta(hours=23) < kept["expires_at"] - kept["renewed_at"] <= DAY
    assert kept["due_at"] - kept["renewed_at"] == DAY * 0.8
    await age(database, "user_broker_connections", DAY * 0.8)
    await links.refresh({})
    assert [form["refresh_token"] for form in refreshes(broker)] == ["refresh-1", "refresh-2"]
    assert [kind for kind, _, _ in await told(database)] == ["link", "link"], "nobody is told of a renewal"


async def test_a_refresh_token_that_is_not_replaced_is_used_again(links, link, database, broker):
    broker.renewed = (200, {"access_token": "tradier-2", "expires_in": 86400})
    for _ in range(2):
        await age(database, "user_broker_connections", DAY * 0.8)
        await links.refresh({})
    assert [form["refresh_token"] for form in refreshes(broker)] == ["refresh-1", "refresh-1"]


async def test_the_new_token_is_stored_before_anybody_uses_it(links, link, database, broker):
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    assert await token(links) == "tradier-1"
    broker.slow_refresh.set()
    await renewing
    assert await token(links) == "tradier-2"
    assert broker.paths()[-1].endswith("refreshtoken"), "nothing was asked with it"


async def test_of_two_workers_one_renews_and_the_other_looks_again(links, link, stage, database):
    broker, url = stage
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    async with linking(database, url) as other:
        with pytest.raises(Again) as again:
            await other.refresh({})
        assert LEASE - timedelta(seconds=10) < again.value.after <= LEASE + timedelta(seconds=1)
        broker.slow_refresh.set()
        await renewing
        await other.refresh({})
    assert len(refreshes(broker)) == 1


def test_a_lease_lasts_until_the_broker_has_answered_and_the_answer_is_stored():
    assert LEASE.total_seconds() > WHOLE_S + STORE_WITHIN_S


async def test_no_transaction_is_open_while_the_broker_thinks(links, link, database, broker):
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    async with database.transaction() as conn:
        await conn.execute("SET LOCAL lock_timeout = '100ms'")
        await conn.execute("SELECT FROM app.user_broker_connections WHERE id = $1 FOR UPDATE", link.id)
    broker.slow_refresh.set()
    await renewing


async def test_a_worker_that_dies_while_renewing_leaves_the_link_to_the_next(links, link, database, broker):
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    dying = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    dying.cancel()
    await asyncio.wait({dying})
    broker.slow_refresh.set()
    with pytest.raises(Again):
        await links.refresh({})
    assert len(refreshes(broker)) == 1
    await age(database, "user_broker_connections", LEASE + timedelta(seconds=1))
    await links.refresh({})
    assert await token(links) == "tradier-2"


async def test_a_new_token_is_stored_though_the_database_goes_away_meanwhile(links, link, database, broker, superuser):
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    storing = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%SET tokens =%'"
    async with database.transaction() as conn:
        await conn.execute("SELECT FROM app.user_broker_connections WHERE id = $1 FOR UPDATE", link.id)
        broker.slow_refresh.set()
        async with asyncio.timeout(5):
            while not await superuser.fetchval(f"SELECT bool_or(pg_terminate_backend(pid)) {storing}"):
                await asyncio.sleep(0.01)
    await renewing
    assert (await token(links), len(refreshes(broker))) == ("tradier-2", 1)


async def test_unlinking_while_a_token_is_renewed_brings_nothing_back(links, link, database, broker):
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    await links.unlink(ALICE, link.id)
    broker.slow_refresh.set()
    await renewing
    assert await row_of(database, link.id) is None


async def test_linking_again_while_a_token_is_renewed_keeps_the_newest(links, link, database, broker):
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    broker.token = {**RENEWABLE, "access_token": "linked-again"}
    await linked(links, broker="tradier")
    broker.slow_refresh.set()
    await renewing
    assert await token(links) == "linked-again"


async def test_a_grant_that_ended_signs_out_once_and_tells_its_owner(links, link, database, broker):
    broker.renewed = ENDED
    await age(database, "user_broker_connections", DAY * 0.8)
    await links.refresh({})
    await links.refresh({})
    assert len(refreshes(broker)) == 1
    assert (await links.list(ALICE))[0].state is LinkState.SIGNED_OUT
    assert (await row_of(database, link.id))["tokens"] is None
    assert await token(links) is None
    assert await links.owners() == frozenset()
    kind, payload, place = (await told(database))[-1]
    assert (kind, payload["state"], payload["id"], place["dm"]) == ("link.signed_out", "signed_out", link.id, True)
    assert payload["why"] == "Tradier does not renew our access: it was withdrawn or has ended."
    assert [kind for kind, _, _ in await told(database)].count("link.signed_out") == 1


async def test_a_grant_that_ended_because_somebody_else_renewed_it_is_read_again(
    links, link, database, broker, monkeypatch
):
    monkeypatch.setattr(link_tokens, "REREAD_AFTER_S", 0.5)
    broker.renewed = ENDED
    await age(database, "user_broker_connections", DAY * 0.8)
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    await asyncio.sleep(0.2)  # the answer has come, and the other worker is about to store what it got
    async with database.transaction() as conn:
        present = await rows.lock_active(conn, link.id)
        sealed = link_tokens.seal(Vault.of(OLD), present.connection, "from the other worker", "refresh-2")
        assert await rows.renew_tokens(conn, present, sealed, DAY, DAY)
    await renewing
    assert await token(links) == "from the other worker"
    assert (await links.list(ALICE))[0].state is LinkState.ACTIVE
    assert [kind for kind, _, _ in await told(database)] == ["link", "link"]


@pytest.mark.parametrize("answer", [(500, {}), (503, {}), (429, {}), (200, {"no": "token"})])
async def test_a_broker_that_is_away_is_asked_again_later(links, link, database, broker, answer):
    good, broker.renewed = broker.renewed, answer
    await age(database, "user_broker_connections", DAY * 2)
    await links.refresh({})
    await links.refresh({})
    assert len(refreshes(broker)) == 1
    assert (await links.list(ALICE))[0].state is LinkState.ACTIVE, "also after its end: it can still be renewed"
    broker.renewed = good
    await age(database, "user_broker_connections", timedelta(minutes=4))
    await links.refresh({})
    assert await token(links) == "tradier-2"


async def test_a_broker_that_is_away_is_not_asked_for_each_link(links, link, database, broker):
    broker.profile = {"profile": {"account": {"account_number": "6YA05555", "status": "active"}}}
    await linked(links, BOB, FIREFOX, "tradier", active=True)
    broker.renewed = (503, {})
    await age(database, "user_broker_connections", DAY * 0.8)
    await links.refresh({})
    assert len(refreshes(broker)) == 1


async def test_a_refusal_of_ours_signs_nobody_out_before_the_end(links, link, database, broker):
    broker.renewed = (401, {"error": "invalid_client"})
    await age(database, "user_broker_connections", DAY * 0.8)
    await links.refresh({})
    assert (await links.list(ALICE))[0].state is LinkState.ACTIVE
    assert await token(links) == "tradier-1"
    await age(database, "user_broker_connections", DAY * 0.2)
    await links.refresh({})
    assert (await links.list(ALICE))[0].state is LinkState.SIGNED_OUT
    assert "limited time" in (await told(database))[-1][1]["why"]


async def test_one_link_that_is_refused_holds_up_no_other(links, link, database, broker):
    broker.profile = {"profile": {"account": {"account_number": "6YA05555", "status": "active"}}}
    await linked(links, BOB, FIREFOX, "tradier", active=True)
    broker.renewed = (401, {"error": "invalid_client"})
    await age(database, "user_broker_connections", DAY * 0.8)
    await links.refresh({})
    assert len(refreshes(broker)) == 2


async def test_without_a_refresh_token_a_link_ends_with_its_token(links, database, broker):
    broker.token = {key: value for key, value in RENEWABLE.items() if key != "refresh_token"}
    link = await linked(links, broker="tradier", active=True)
    await age(database, "user_broker_connections", DAY * 0.99)
    await links.refresh({})
    assert await token(links) == "tradier-1"
    await age(database, "user_broker_connections", DAY * 0.01)
    await links.refresh({})
    assert refreshes(broker) == []
    assert (await links.list(ALICE))[0].state is LinkState.SIGNED_OUT
    kind, payload, _ = (await told(database))[-1]
    assert (kind, payload["why"]) == ("link.signed_out", "Tradier gives access for a limited time, and that is over.")
    assert (await links.list(ALICE))[0].id == link.id


async def test_a_token_without_an_end_is_left_alone(links, database, broker):
    broker.token = {"access_token": "alpaca-token", "scope": "data"}
    await linked(links, active=True)
    await age(database, "user_broker_connections", DAY * 400)
    await links.refresh({})
    assert await token(links) == "alpaca-token"


async def test_a_refused_token_is_renewed_at_once_by_the_worker(links, link, database, broker):
    await links.refused(link.id, "tradier-1")
    await links.refused(link.id, "tradier-1")
    assert refreshes(broker) == [], "whoever waits for an answer does not wait for this"
    assert await jobs_due(database) == ["links.refresh"]
    await links.refresh({})
    assert await token(links) == "tradier-2"
    await links.refused(link.id, "tradier-1")
    await links.refresh({})
    assert len(refreshes(broker)) == 1, "that was about the old token"


async def test_a_token_that_is_refused_as_soon_as_it_is_new_signs_out(links, link, database, broker):
    await links.refused(link.id, "tradier-1")
    await links.refresh({})
    await links.refused(link.id, "tradier-2")
    assert (await links.list(ALICE))[0].state is LinkState.SIGNED_OUT


async def test_a_token_that_is_refused_an_hour_after_its_renewal_is_renewed_again(links, link, database, broker):
    await links.refused(link.id, "tradier-1")
    await links.refresh({})
    await age(database, "user_broker_connections", timedelta(hours=1))
    await links.refused(link.id, "tradier-2")
    assert (await links.list(ALICE))[0].state is LinkState.ACTIVE
    await links.refresh({})
    assert len(refreshes(broker)) == 2


async def test_a_refused_token_without_another_signs_out_and_tells_once(links, database, broker):
    broker.token = {"access_token": "alpaca-token", "scope": "data"}
    link = await linked(links, active=True)
    await asyncio.gather(*(links.refused(link.id, "alpaca-token") for _ in range(5)))
    assert (await links.list(ALICE))[0].state is LinkState.SIGNED_OUT
    ((kind, payload, _),) = (await told(database))[2:]
    assert (kind, payload["state"]) == ("link.signed_out", "signed_out")
    assert payload["why"] == "Alpaca does not take our access any more: it was withdrawn or has ended."
    await links.refused(link.id, "alpaca-token")
    await links.refused(4711, "alpaca-token")


async def test_each_signing_out_is_told_anew(links, database, broker):
    broker.token = {"access_token": "alpaca-token", "scope": "data"}
    for _ in range(2):
        link = await linked(links)
        if link.state is LinkState.PENDING:
            await links.activate(ALICE, link.id)
        await links.refused(link.id, "alpaca-token")
    assert [kind for kind, _, _ in await told(database)].count("link.signed_out") == 2


async def test_a_wrong_token_ends_nothing(links, link):
    await links.refused(link.id, "not the present one")
    assert (await links.list(ALICE))[0].state is LinkState.ACTIVE


async def test_nor_does_a_late_refusal_of_a_token_that_was_replaced_by_linking_again(links, broker):
    broker.token = {"access_token": "alpaca-1", "scope": "data"}
    link = await linked(links, active=True)
    broker.token = {"access_token": "alpaca-2", "scope": "data"}
    await linked(links)
    await links.refused(link.id, "alpaca-1")
    assert await token(links) == "alpaca-2"


async def test_rotation_brings_everything_under_the_first_key_and_may_be_repeated(links, link, stage, database):
    broker, url = stage
    broker.profile = {"profile": {"account": {"account_number": "6YA05555", "status": "active"}}}
    await linked(links, BOB, FIREFOX, "tradier", active=True)
    both = Vault.of(f"{NEW},{OLD}")
    before = (await row_of(database, link.id))["version"]
    done = await rotate(database, both)
    assert (done.sealed, done.unreadable) == (2, [])
    assert (await rotate(database, both)).sealed == 0
    assert (await row_of(database, link.id))["version"] == before, "nobody has to hear of it"
    async with linking(database, url, keys=NEW) as renewed:
        assert await token(renewed, ALICE) == await token(renewed, BOB) == "tradier-1"


async def test_rotation_goes_in_steps_and_names_what_it_cannot_read(links, link, stage, database, monkeypatch):
    broker, url = stage
    monkeypatch.setattr(link_tokens, "BATCH", 1)
    broker.profile = {"profile": {"account": {"account_number": "6YA05555", "status": "active"}}}
    async with linking(database, url, keys=make_key()) as lost:
        unreadable = await linked(lost, BOB, FIREFOX, "tradier", active=True)
    broker.profile = {"profile": {"account": {"account_number": "6YA06666", "status": "active"}}}
    await linked(links, ALICE, broker="tradier", active=True)
    done = await rotate(database, Vault.of(f"{NEW},{OLD}"))
    assert (done.sealed, done.unreadable) == (2, [unreadable.id])


async def test_rotation_does_not_undo_what_is_renewed_meanwhile(links, link, database, monkeypatch):
    read = rows.list_sealed_otherwise
    renewed = False

    async def and_then_renewed(conn, *args):
        nonlocal renewed
        batch = await read(conn, *args)
        if not renewed:
            renewed = True
            await age(database, "user_broker_connections", DAY * 0.8)
            await links.refresh({})
        return batch

    monkeypatch.setattr(rows, "list_sealed_otherwise", and_then_renewed)
    done = await rotate(database, Vault.of(f"{NEW},{OLD}"))
    assert done.sealed == 1, "the renewed one, under the old key by a process that was not restarted yet"
    both = Vault.of(NEW)
    async with database.acquire() as conn:
        present = await rows.get_for_data(conn, ALICE, {"tradier": "market"})
    assert link_tokens.unseal(both, present).access == "tradier-2"


async def test_a_renewal_survives_a_rotation_in_between(stage, link, links, database):
    broker, url = stage
    await age(database, "user_broker_connections", DAY * 0.8)
    broker.slow_refresh.clear()
    renewing = asyncio.create_task(links.refresh({}))
    await until(lambda: refreshes(broker))
    await rotate(database, Vault.of(f"{NEW},{OLD}"))
    broker.slow_refresh.set()
    await renewing
    async with linking(database, url, keys=f"{NEW},{OLD}") as rotated:
        assert await token(rotated) == "tradier-2"


async def test_a_link_whose_key_is_missing_waits_for_it(links, link, stage, database):
    _, url = stage
    await age(database, "user_broker_connections", DAY * 0.8)
    async with linking(database, url, keys=make_key()) as other:
        await other.refresh({})
        await other.refused(link.id, "tradier-1")
    assert (await links.list(ALICE))[0].state is LinkState.ACTIVE
    await age(database, "user_broker_connections", timedelta(minutes=5))
    await links.refresh({})
    assert await token(links) == "tradier-2"


async def test_the_command_encrypts_everything_anew(links, link, stage, database, monkeypatch, capsys):
    monkeypatch.setattr("services.log.setup_logging", lambda *_: None)  # that of the tests stays
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("SECRET_KEYS", f"{NEW},{OLD}")
    assert await asyncio.to_thread(main, ["vault", "rotate"], env_file=None) == 0
    assert f"1 encrypted anew; everything is under {NEW.partition(':')[0]} now" in capsys.readouterr().out
    async with linking(database, stage[1], keys=NEW) as renewed:
        assert await token(renewed) == "tradier-1"
    monkeypatch.setenv("SECRET_KEYS", make_key())
    assert await asyncio.to_thread(main, ["vault", "rotate"], env_file=None) == 2
    assert f"opens the links {link.id}: put the missing one back" in capsys.readouterr().err
