"""The way from `/link` to an activated account: whose it is, how often it can be walked, and who is told."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from link_stage import (
    ADDRESS,
    ALICE,
    BOB,
    CHROME,
    FIREFOX,
    OLD,
    PLACE,
    age,
    authorized,
    emptied,
    linked,
    linking,
    oauth,
    query_of,
    row_of,
    serving,
    token_of,
    told,
)

from db import link_requests
from db import links as rows
from db.link_models import LinkState
from db.listener import listening
from db.models import Place
from db.pool import Database
from services.errors import (
    AccountTaken,
    BrokerNotOffered,
    BrokerUnavailable,
    DatabaseAway,
    LinkDenied,
    LinkExpired,
    NotLinked,
    TokenUnreadable,
    WrongPerson,
)
from services.vault import make_key


@pytest.fixture
async def database(database_of_file):
    yield database_of_file
    await emptied(database_of_file)


@pytest.fixture
async def stage():
    async with serving() as served:
        yield served


@pytest.fixture
def broker(stage):
    return stage[0]


@pytest.fixture
async def links(stage, database):
    async with linking(database, stage[1]) as made:
        yield made


async def everything_in(database, table):
    async with database.acquire() as conn:
        return str([dict(row) for row in await conn.fetch(f"SELECT * FROM app.{table}")])


async def begun(links, user=ALICE, broker="alpaca"):
    return token_of(await links.start(user, broker, PLACE, "de"))


async def test_a_link_is_short_unguessable_and_kept_as_a_hash_only(links, database):
    urls = [await links.start(user, "alpaca", PLACE, "de") for user in range(1, 20)]
    tokens = [token_of(url) for url in urls]
    assert all(url.startswith(f"{ADDRESS}/connect/s/") and len(url) <= 512 for url in urls)
    assert {len(base64.urlsafe_b64decode(token + "=")) for token in tokens} == {32}
    assert len(set(tokens)) == 19
    kept = await everything_in(database, "link_requests")
    assert not any(token in kept for token in tokens)
    assert str(hashlib.sha256(tokens[0].encode()).digest()) in kept


async def test_opening_a_link_changes_nothing(links):
    token = await begun(links)
    for _ in range(3):
        request = await links.open(token)
        assert (request.user_id, request.broker) == (ALICE, "alpaca")
    assert await links.claim(token, ALICE, CHROME) == await links.claimed(ALICE, CHROME)


async def test_a_link_lasts_five_minutes(links, database):
    token = await begun(links)
    left = (await links.open(token)).expires_at - datetime.now(UTC)
    assert timedelta(minutes=4, seconds=50) < left <= timedelta(minutes=5)
    await age(database, "link_requests", timedelta(minutes=5, seconds=1))
    with pytest.raises(LinkExpired):
        await links.open(token)
    with pytest.raises(LinkExpired):
        await links.claim(token, ALICE, CHROME)


async def test_a_link_is_used_once_and_belongs_to_that_browser(links):
    token = await begun(links)
    request = await links.claim(token, ALICE, CHROME)
    with pytest.raises(LinkExpired):
        await links.open(token)
    with pytest.raises(LinkExpired):
        await links.claim(token, ALICE, FIREFOX)
    with pytest.raises(LinkExpired):
        await links.claimed(ALICE, FIREFOX)
    with pytest.raises(LinkExpired):
        await links.authorize(ALICE, FIREFOX, request.id)
    assert await links.claim(token, ALICE, CHROME) == request, "the page was loaded again"


async def test_of_browsers_that_use_a_link_at_once_one_gets_it(links):
    token = await begun(links)
    results = await asyncio.gather(
        *(links.claim(token, ALICE, bytes([n]) * 32) for n in range(8)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["LinkExpired"] * 7 + ["LinkRequest"]


async def test_a_new_link_ends_the_earlier_way_wherever_it_was(links):
    first = await begun(links)
    second = await begun(links, broker="tradier")
    with pytest.raises(LinkExpired):
        await links.open(first)
    request = await links.claim(second, ALICE, CHROME)
    state = query_of(await links.authorize(ALICE, CHROME, request.id))["state"]
    third = await begun(links)
    with pytest.raises(LinkExpired):
        await links.claimed(ALICE, CHROME)
    with pytest.raises(LinkExpired):
        await links.finish("tradier", CHROME, ALICE, {"code": "c", "state": state})
    assert (await links.open(third)).broker == "alpaca"


async def test_two_people_link_beside_each_other(links):
    mine, theirs = await begun(links, ALICE), await begun(links, BOB)
    assert (await links.claim(mine, ALICE, CHROME)).user_id == ALICE
    assert (await links.claim(theirs, BOB, FIREFOX)).user_id == BOB


async def test_a_link_that_is_sent_to_somebody_else_is_burned_and_both_are_told(links, database):
    token = await begun(links, ALICE)
    with pytest.raises(WrongPerson, match="Never open a link that somebody sends you"):
        await links.claim(token, BOB, FIREFOX)
    for user, session in ((ALICE, CHROME), (BOB, FIREFOX)):
        with pytest.raises(LinkExpired):
            await links.claim(token, user, session)
    ((kind, payload, place),) = await told(database, ALICE)
    assert (kind, payload) == ("link.refused", {"why": "wrong_person_owner", "broker": "alpaca"})
    assert place["interaction"]["token"] == "interaction"
    ((kind, payload, place),) = await told(database, BOB)
    assert (kind, payload) == ("link.refused", {"why": "wrong_person_other", "broker": "alpaca"})
    assert place["dm"], "a person who never typed /link"
    assert place["interaction"] is None


async def test_a_brokers_page_that_is_sent_to_somebody_else_links_nothing(links, database, broker):
    state = await authorized(links, ALICE, CHROME)
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", FIREFOX, BOB, {"code": "code-of-the-victim", "state": state})
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", CHROME, ALICE, {"code": "code-of-the-victim", "state": state})
    assert broker.asked == [], "the code went nowhere"
    assert await links.list(ALICE) == await links.list(BOB) == ()


@pytest.mark.parametrize(
    ("name", "session", "user"),
    [("tradier", CHROME, ALICE), ("alpaca", FIREFOX, ALICE), ("alpaca", CHROME, BOB), ("schwab", CHROME, ALICE)],
)
async def test_an_answer_of_another_broker_browser_or_person_ends_the_way(links, broker, name, session, user):
    state = await authorized(links)
    for answer_of in ((name, session, user), ("alpaca", CHROME, ALICE)):
        with pytest.raises(LinkExpired):
            await links.finish(*answer_of, {"code": "c", "state": state})
    assert broker.asked == []


async def test_an_answer_with_a_foreign_or_no_state_links_nothing_and_ends_nothing(links, broker):
    state = await authorized(links)
    for answer in ({"code": "c", "state": "x" * 43}, {"code": "c"}, {"code": "c", "state": "\ud800"}, {}):
        with pytest.raises(LinkExpired):
            await links.finish("alpaca", CHROME, ALICE, answer)
    assert broker.asked == []
    await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state})


async def test_an_answer_comes_within_ten_minutes(links, database, broker):
    state = await authorized(links)
    left = (await links.claimed(ALICE, CHROME)).expires_at - datetime.now(UTC)
    assert timedelta(minutes=9, seconds=50) < left <= timedelta(minutes=10)
    await age(database, "link_requests", timedelta(minutes=10, seconds=1))
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state})
    assert broker.asked == []


async def test_of_answers_with_one_state_that_come_at_once_one_counts(links, broker, database):
    state = await authorized(links)
    answers = [links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state}) for _ in range(8)]
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["BrokerConnection"] + ["LinkExpired"] * 7
    assert broker.paths().count("/alpaca/token") == 1
    assert len(await told(database)) == 1


async def test_states_are_unguessable_and_kept_as_hashes_only(links, database):
    state = await authorized(links)
    assert len(base64.urlsafe_b64decode(state + "=")) == 32
    kept = await everything_in(database, "link_requests")
    assert state not in kept
    assert str(hashlib.sha256(state.encode()).digest()) in kept


async def test_going_back_from_the_broker_and_on_again_voids_the_first_state(links):
    token = await begun(links)
    request = await links.claim(token, ALICE, CHROME)
    first, second = [query_of(await links.authorize(ALICE, CHROME, request.id))["state"] for _ in range(2)]
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": first})
    assert (await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": second})).user_id == ALICE
    with pytest.raises(LinkExpired):
        await links.authorize(ALICE, CHROME, request.id)


async def test_a_state_is_set_by_its_browser_in_time_only(links, database):
    request = await links.claim(await begun(links), ALICE, CHROME)

    async def begins(session):
        async with database.transaction() as conn:
            return await link_requests.set_state(conn, request, session, b"s" * 32, ADDRESS, timedelta(minutes=1))

    assert not await begins(FIREFOX)
    assert await begins(CHROME)
    await age(database, "link_requests", timedelta(minutes=1, seconds=1))
    assert not await begins(CHROME)


async def test_a_way_that_is_overtaken_while_it_leads_to_the_broker_leads_nowhere(links, database):
    request = await links.claim(await begun(links), ALICE, CHROME)
    async with database.transaction() as conn:
        await conn.execute("SELECT FROM app.link_requests FOR UPDATE")
        leaving = asyncio.create_task(links.authorize(ALICE, CHROME, request.id))
        await asyncio.sleep(0.1)
        await link_requests.set_request(conn, ALICE, "de", "tradier", b"n" * 32, PLACE, timedelta(minutes=5))
    with pytest.raises(LinkExpired):
        await leaving


async def test_a_page_that_shows_another_request_sends_nobody_to_a_broker(links):
    first = await links.claim(await begun(links), ALICE, CHROME)
    second = await links.claim(await begun(links, broker="tradier"), ALICE, CHROME)
    with pytest.raises(LinkExpired):
        await links.authorize(ALICE, CHROME, first.id)
    assert "/tradier/oauth/authorize" in await links.authorize(ALICE, CHROME, second.id)


async def test_the_issuer_counts_where_it_is_sent(links, stage):
    state = await authorized(links)
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state, "iss": "https://evil.example.com"})
    state = await authorized(links)
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state, "iss": "http://[::1"})
    assert stage[0].asked == []
    state = await authorized(links)
    await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state, "iss": stage[1]})


async def test_the_answer_goes_with_the_address_that_was_sent(stage, database):
    async with linking(database, stage[1]) as links:
        token = await begun(links)
        request = await links.claim(token, ALICE, CHROME)
        sent = query_of(await links.authorize(ALICE, CHROME, request.id))
    assert sent["redirect_uri"] == f"{ADDRESS}/broker-oauth/callback/alpaca"
    async with linking(database, stage[1]) as restarted:
        restarted._address = "https://elsewhere.example.com"
        await restarted.finish("alpaca", CHROME, ALICE, {"code": "c", "state": sent["state"]})
    assert stage[0].asked[0][2]["redirect_uri"] == sent["redirect_uri"]


async def test_who_says_no_at_the_broker_is_told_so_and_nothing_is_asked(links, broker):
    state = await authorized(links)
    with pytest.raises(LinkDenied, match="Alpaca was not linked: you did not allow it"):
        await links.finish("alpaca", CHROME, ALICE, {"error": "access_denied", "code": "c", "state": state})
    with pytest.raises(LinkExpired):
        await links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": state})
    assert broker.asked == []


@pytest.mark.parametrize("answer", [{}, {"code": ""}, {"error": ""}])
async def test_an_answer_without_a_code_is_a_no(links, broker, answer):
    state = await authorized(links)
    with pytest.raises(LinkDenied):
        await links.finish("alpaca", CHROME, ALICE, {"state": state, **answer})
    assert broker.asked == []


async def test_a_brokers_words_cannot_dress_up(links):
    state = await authorized(links)
    with pytest.raises(LinkDenied) as denied:
        await links.finish("alpaca", CHROME, ALICE, {"error": "<b>@everyone</b> http://x", "state": state})
    assert "beveryoneb httpx" in str(denied.value)


async def test_a_link_waits_for_a_press_in_discord(links, database):
    made = await linked(links)
    assert (made.state, made.mode, made.label) == (LinkState.PENDING, "PAPER", "••1234")
    assert (made.broker, made.scopes, made.activated_at) == ("alpaca", ("data",), None)
    assert await links.data_access(ALICE) is None
    assert await links.owners() == frozenset()
    ((kind, payload, place),) = await told(database)
    assert kind == "link"
    assert payload == {
        "id": made.id,
        "broker": "alpaca",
        "label": "••1234",
        "mode": "PAPER",
        "state": "pending",
        "scopes": ["data"],
    }
    assert place["interaction"]["token"] == "interaction"


async def test_only_its_owner_activates_a_link(links, database):
    made = await linked(links)
    with pytest.raises(NotLinked):
        await links.activate(BOB, made.id)
    active = await links.activate(ALICE, made.id)
    assert active.state is LinkState.ACTIVE
    assert active.activated_at
    access = await links.data_access(ALICE)
    assert (access.connection_id, access.broker, access.token) == (made.id, "alpaca", "alpaca-token")
    assert "alpaca-token" not in repr(access)
    assert await links.data_access(BOB) is None
    assert await links.owners() == {ALICE}
    assert links.gives_data(active)
    assert not links.gives_data(made)


async def test_two_presses_activate_once(links, database):
    made = await linked(links)
    both = await asyncio.gather(links.activate(ALICE, made.id), links.activate(ALICE, made.id))
    assert both[0] == both[1]
    assert [payload["state"] for _, payload, _ in await told(database)] == ["pending", "active"]


async def test_activating_comes_too_late_after_a_quarter_of_an_hour(links, database):
    made = await linked(links)
    await age(database, "user_broker_connections", timedelta(minutes=15, seconds=1))
    with pytest.raises(NotLinked):
        await links.activate(ALICE, made.id)
    await links.tidy({})
    await links.tidy({})
    assert await row_of(database, made.id) is None
    _, (kind, payload, place) = await told(database)
    assert (kind, payload["state"], payload["why"], place["dm"]) == ("link", "discarded", "late", True)


async def test_tidying_leaves_what_is_young_or_active(links, database, broker):
    active = await linked(links, active=True)
    await age(database, "user_broker_connections")
    broker.account = {"account_number": "PA-ANOTHER"}
    young = await linked(links)
    await begun(links, BOB)
    await links.tidy({})
    assert [link.id for link in await links.list(ALICE)] == [young.id, active.id]
    await age(database, "link_requests", timedelta(minutes=6))
    await links.tidy({})
    assert await everything_in(database, "link_requests") == "[]"


async def test_a_pending_link_can_be_discarded_and_an_active_one_not(links, database):
    made = await linked(links)
    with pytest.raises(NotLinked):
        await links.discard(BOB, made.id)
    assert (await links.discard(ALICE, made.id)).id == made.id
    assert await row_of(database, made.id) is None
    again = await linked(links, active=True)
    with pytest.raises(NotLinked):
        await links.discard(ALICE, again.id)
    assert [payload["state"] for _, payload, _ in await told(database)] == [
        "pending",
        "discarded",
        "pending",
        "active",
    ]


async def test_unlinking_removes_the_row_with_its_tokens(links, database):
    made = await linked(links, active=True)
    with pytest.raises(NotLinked):
        await links.unlink(BOB, made.id)
    assert (await links.unlink(ALICE, made.id)).label == "••1234"
    assert await row_of(database, made.id) is None
    assert await links.data_access(ALICE) is None
    with pytest.raises(NotLinked):
        await links.unlink(ALICE, made.id)
    assert (await told(database))[-1][1]["state"] == "unlinked"


async def test_an_account_belongs_to_the_first_and_both_are_told_without_names(links, database):
    mine = await linked(links, ALICE, active=True)
    state = await authorized(links, BOB, FIREFOX)
    with pytest.raises(AccountTaken) as taken:
        await links.finish("alpaca", FIREFOX, BOB, {"code": "c", "state": state})
    assert await links.list(BOB) == ()
    assert (await links.data_access(ALICE)).connection_id == mine.id
    assert (await told(database, BOB))[-1][:2] == ("link.refused", {"why": "taken_new", "broker": "alpaca"})
    kind, payload, place = (await told(database, ALICE))[-1]
    assert (kind, payload["why"], payload["label"], place["dm"]) == ("link.refused", "taken_owner", "••1234", True)
    said = str(taken.value) + str(await told(database))
    assert str(ALICE) not in said
    assert str(BOB) not in said


async def test_a_signed_out_account_is_still_its_owners_until_released(links, database):
    mine = await linked(links, ALICE, active=True)
    await links.refused(mine.id, "alpaca-token")
    with pytest.raises(AccountTaken):
        await linked(links, BOB, FIREFOX)
    await links.unlink(ALICE, mine.id)
    assert (await linked(links, BOB, FIREFOX)).user_id == BOB


async def test_a_pending_link_that_was_left_keeps_nobody_out(links, database):
    await linked(links, ALICE)
    with pytest.raises(AccountTaken):
        await linked(links, BOB, FIREFOX)
    await age(database, "user_broker_connections")
    assert (await linked(links, BOB, FIREFOX)).user_id == BOB
    assert await links.list(ALICE) == ()


async def test_of_two_members_who_link_one_account_at_once_one_gets_it(links, database, broker):
    states = [await authorized(links, ALICE, CHROME), await authorized(links, BOB, FIREFOX)]
    results = await asyncio.gather(
        links.finish("alpaca", CHROME, ALICE, {"code": "c", "state": states[0]}),
        links.finish("alpaca", FIREFOX, BOB, {"code": "c", "state": states[1]}),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["AccountTaken", "BrokerConnection"]


async def test_one_account_number_at_two_brokers_is_two_accounts(links, broker):
    broker.profile = {"profile": {"account": {"account_number": "PA3XYZ1234", "status": "active"}}}
    await linked(links, ALICE)
    assert (await linked(links, BOB, FIREFOX, "tradier")).user_id == BOB


async def test_linking_again_replaces_the_tokens_in_the_same_row_and_stays_active(links, database, broker):
    first = await linked(links, active=True)
    broker.token = {**broker.token, "access_token": "second-token"}
    again = await linked(links)
    assert (again.id, again.state, again.created_at) == (first.id, LinkState.ACTIVE, first.created_at)
    assert (await links.data_access(ALICE)).token == "second-token"
    await links.refused(first.id, "second-token")
    assert (await links.list(ALICE))[0].state is LinkState.SIGNED_OUT
    broker.token = {**broker.token, "access_token": "third-token"}
    assert (await linked(links)).state is LinkState.ACTIVE
    assert (await links.data_access(ALICE)).token == "third-token"


async def test_linking_again_does_not_activate_what_nobody_had_activated(links, database):
    first = await linked(links)
    await age(database, "user_broker_connections", timedelta(minutes=14))
    again = await linked(links)
    assert (again.id, again.state) == (first.id, LinkState.PENDING)
    assert again.created_at > first.created_at, "which `/accounts` counts the 15 minutes from"
    await age(database, "user_broker_connections", timedelta(minutes=14))
    assert (await links.activate(ALICE, again.id)).state is LinkState.ACTIVE, "its time began anew"


async def test_the_newest_link_that_allows_market_data_is_read(links, broker):
    first = await linked(links, active=True)
    broker.token = {"access_token": "tradier-1", "scope": "read market", "expires_in": 86399}
    second = await linked(links, broker="tradier", active=True)
    assert (await links.data_access(ALICE)).connection_id == second.id
    assert [link.id for link in await links.list(ALICE)] == [second.id, first.id]
    broker.token = {"access_token": "alpaca-2", "scope": "data"}
    await linked(links)
    assert (await links.data_access(ALICE)).connection_id == first.id, "it was linked last, as its card says"
    assert [link.id for link in await links.list(ALICE)] == [first.id, second.id]
    broker.token = {"access_token": "blind", "scope": "account:write"}
    broker.account = {"account_number": "PA-ANOTHER"}
    blind = await linked(links, active=True)
    assert not links.gives_data(blind)
    assert (await links.data_access(ALICE)).connection_id == first.id
    assert await links.owners() == {ALICE}


async def test_a_broker_that_the_operator_took_away_is_neither_offered_nor_used(links, database, stage):
    made = await linked(links, active=True)
    token = await begun(links, BOB)
    only = {"tradier": oauth(stage[1])["tradier"]}
    async with linking(database, stage[1], brokers=only) as fewer:
        assert fewer.offered == ("tradier",)
        with pytest.raises(BrokerNotOffered, match=r"\*\*Tradier\*\*"):
            await fewer.start(ALICE, "alpaca", PLACE, "de")
        with pytest.raises(LinkExpired):
            await fewer.open(token)
        assert await fewer.data_access(ALICE) is None
        assert (await fewer.unlink(ALICE, made.id)).id == made.id
    async with linking(database, stage[1], keys=None, brokers={}) as none:
        with pytest.raises(BrokerNotOffered, match="operator"):
            await none.start(ALICE, "alpaca", PLACE, "de")
        assert await none.list(ALICE) == ()


async def test_tokens_lie_encrypted_and_moved_ones_do_not_open(links, database, broker):
    first = await linked(links, active=True)
    broker.account = {"account_number": "PA-OF-BOB"}
    broker.token = {**broker.token, "access_token": "token-of-bob"}
    second = await linked(links, BOB, FIREFOX, active=True)
    kept = await everything_in(database, "user_broker_connections")
    assert "alpaca-token" not in kept
    assert "token-of-bob" not in kept
    async with database.acquire() as conn:
        await conn.execute(
            """
            UPDATE app.user_broker_connections AS one SET tokens = other.tokens
            FROM app.user_broker_connections AS other WHERE one.id = $1 AND other.id = $2
            """,
            first.id,
            second.id,
        )
    with pytest.raises(TokenUnreadable):
        await links.data_access(ALICE)
    assert (await links.data_access(BOB)).token == "token-of-bob"


@pytest.mark.parametrize("change", ["user_id = 7", "broker = 'tradier'", "id = 4711"])
async def test_a_row_that_is_given_to_another_person_broker_or_place_does_not_open(links, database, stage, change):
    await linked(links, active=True)
    async with database.acquire() as conn:
        await conn.execute(f"UPDATE app.user_broker_connections SET {change}, scopes = '{{data,market}}'")
    with pytest.raises(TokenUnreadable):
        await links.data_access(7 if "user_id" in change else ALICE)


async def test_without_its_key_a_link_says_who_has_to_put_it_back(links, database, stage):
    await linked(links, active=True)
    async with linking(database, stage[1], keys=make_key()) as other:
        with pytest.raises(TokenUnreadable, match="operator has to put it back"):
            await other.data_access(ALICE)
    async with linking(database, stage[1], keys=f"{make_key()},{OLD}") as rotated:
        assert (await rotated.data_access(ALICE)).token == "alpaca-token"


async def test_people_read_their_own_links_without_tokens_and_account_numbers(links, database):
    made = await linked(links)
    async with database.as_user(BOB) as conn:
        assert await conn.fetchval("SELECT count(id) FROM app.user_broker_connections") == 0
    async with database.as_user(ALICE) as conn:
        assert await conn.fetchval("SELECT id FROM app.user_broker_connections") == made.id
    for sql in (
        "SELECT tokens FROM app.user_broker_connections",
        "SELECT broker_account FROM app.user_broker_connections",
        "UPDATE app.user_broker_connections SET state = 'active'",
        "DELETE FROM app.user_broker_connections",
        "SELECT * FROM app.link_requests",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.as_user(ALICE) as conn:
                await conn.execute(sql)


async def test_everybody_who_listens_hears_of_every_change(links, database, broker):
    heard = asyncio.Queue()
    ready = asyncio.Event()

    async def next_of():
        async with asyncio.timeout(5):
            return await heard.get()

    async with listening(
        database.url, ("links",), on_notify=lambda _, user: heard.put_nowait(int(user)), on_resync=ready.set
    ):
        await ready.wait()
        made = await linked(links)
        assert await next_of() == ALICE
        await links.activate(ALICE, made.id)
        assert await next_of() == ALICE
        async with database.transaction() as conn:
            await rows.set_due(conn, made.id)  # concerns workers alone
        await links.refused(made.id, "alpaca-token")
        assert await next_of() == ALICE
        await links.unlink(ALICE, made.id)
        assert await next_of() == ALICE
        await asyncio.sleep(0.1)
        assert heard.empty()


async def test_the_audit_keeps_each_step_without_the_account(links, database):
    made = await linked(links, active=True)
    await links.unlink(ALICE, made.id)
    async with database.acquire() as conn:
        rows = await conn.fetch(
            "SELECT event, detail FROM app.audit WHERE (detail ->> 'link')::bigint = $1 ORDER BY id", made.id
        )
    assert [row["event"] for row in rows] == ["link made", "link activated", "link unlinked"]
    assert not any("PA3XYZ" in row["detail"] for row in rows)


@pytest.mark.parametrize("failing", [(500, {}), (503, {}), (429, {})])
async def test_a_broker_that_is_away_links_nothing_and_says_so(links, broker, failing):
    broker.failing = failing
    with pytest.raises(BrokerUnavailable, match="Alpaca is not available right now"):
        await linked(links)
    assert await links.list(ALICE) == ()


async def test_a_code_that_the_broker_does_not_know_any_more_asks_to_begin_anew(links, broker):
    broker.failing = (400, {"error": "invalid_grant"})
    with pytest.raises(LinkExpired):
        await linked(links)


async def test_without_a_database_nothing_is_begun(stage):
    away = await Database.open("postgresql://pulse@127.0.0.1:1/pulse")
    try:
        async with linking(away, stage[1]) as links:
            with pytest.raises(DatabaseAway):
                await links.start(ALICE, "alpaca", Place(), "de")
            with pytest.raises(DatabaseAway):
                await links.data_access(ALICE)
    finally:
        await away.close()
