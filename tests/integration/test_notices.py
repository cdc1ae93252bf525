"""Notices in the database: who may see them, how they are grouped, and by which indexes they are found."""

import pytest

from db import notices as stored
from db.models import DueNotice, Notice, Place, Urgency
from db.pool import PostgresError
from services import notices
from services.notices import plan

P0, P1, P2 = Urgency


def notice(key, **more):
    return Notice(urgency=P1, kind="alert", key=key, payload={}, **more)


async def test_people_see_their_own_notices_only(database):
    async with database.as_user(7) as conn:
        await notices.write(conn, notice("mine", user_id=7, place=Place(dm=True)))
        assert [row["key"] for row in await conn.fetch("SELECT key FROM app.notices")] == ["mine"]
    async with database.as_user(8) as conn:
        assert await conn.fetch("SELECT key FROM app.notices") == []
        # the same key is no business of a stranger
        assert await notices.write(conn, notice("mine", user_id=8, place=Place(dm=True))) is not None
    with pytest.raises(PostgresError, match="row-level security"):
        async with database.as_user(8) as conn:
            await notices.write(conn, notice("yours", user_id=7, place=Place(dm=True)))


async def test_a_place_survives_the_database(database):
    place = Place(channel_id=1, guild_id=2, message_id=3, dm=True)
    assert stored.place_of(stored.place_json(place)) == place
    assert stored.place_of({}) == Place()


async def test_what_is_due_is_found_by_index(database):
    async with database.transaction() as conn:
        await conn.execute(
            """
            INSERT INTO app.notices (urgency, kind, key, user_id, subject, private, place, payload, due_at, state)
            SELECT 'P0', 'order', n::text, 7, (n % 50)::text, true, '{"dm": true}', '{}', now(), 'sent'
            FROM generate_series(1, 5000) AS n
            """
        )
        queries = {
            "notices_urgency_due_at_idx": "SELECT id FROM app.notices WHERE state = 'waiting' AND urgency = 'P0' "
            "AND due_at <= now() ORDER BY due_at LIMIT 100",
            "notices_kind_subject_user_id_id_idx": "SELECT id FROM app.notices WHERE kind = 'order' AND subject = '3' "
            "AND subject <> '' AND user_id IS NOT DISTINCT FROM 7 AND state = 'sent' ORDER BY id DESC LIMIT 1",
            "notices_user_id_idx": "SELECT id FROM app.notices WHERE user_id = 7 AND state = 'missed'",
            "notices_user_id_kind_key_key": "SELECT state FROM app.notices WHERE user_id = 7 "
            "AND kind = 'order' AND key = ANY ('{1,2}')",
        }
        for index, query in queries.items():
            plan_text = "\n".join(row["QUERY PLAN"] for row in await conn.fetch(f"EXPLAIN {query}"))
            assert index in plan_text, plan_text


def due(number, place="channel 1", *, subject=None, tries=0, digest=None):
    return DueNotice(number, place, subject, tries, digest)


def test_six_alerts_of_one_place_share_a_message_and_five_do_not():
    assert plan([due(n) for n in range(6)], {}, 16, P1) == [[0, 1, 2, 3, 4, 5]]
    assert plan([due(n) for n in range(5)], {}, 16, P1) == [[n] for n in range(5)]
    assert plan([due(n, f"user {n}") for n in range(6)], {}, 16, P1) == [[n] for n in range(6)]
    assert plan([due(n) for n in range(6)], {}, 16, P0) == [[n] for n in range(6)]


def test_an_alert_waits_while_its_place_has_had_five_within_two_seconds():
    assert plan([due(1), due(2)], {"channel 1": 4}, 16, P1) == []
    assert plan([due(1), due(2)], {"channel 1": 3}, 16, P1) == [[1], [2]]


def test_what_was_tried_goes_as_it_was():
    tried = [due(1, tries=1), due(2, tries=1, digest=2), due(3, tries=1, digest=2), *(due(n) for n in range(4, 10))]
    assert plan(tried, {}, 16, P1) == [[1], [2, 3], [4, 5, 6, 7, 8, 9]]


def test_of_a_subject_only_the_newest_goes():
    subject = ("order", "1", 7)
    assert plan([due(2, subject=subject), due(1, subject=subject), due(3)], {}, 16, P0) == [[2], [3]]
