import asyncpg
import pytest

from db import users
from db.models import Person, Preferences, Theme
from db.pool import Database, connect

ALICE, BOB = 80351110224678912, 80351110224678913


@pytest.fixture
async def both(database):
    for user in (ALICE, BOB):
        async with database.as_user(user) as conn:
            await users.set_preferences(conn, user, "en-GB", theme=Theme.LIGHT)
    return database


async def rows(conn, table):
    return [row["user_id"] for row in await conn.fetch(f"SELECT user_id FROM app.{table} ORDER BY user_id")]


async def test_what_is_chosen_is_remembered_and_the_rest_stays(database):
    async with database.as_user(ALICE) as conn:
        assert await users.get_person(conn, ALICE) is None
        assert await users.set_preferences(conn, ALICE, "de", theme=Theme.LIGHT) == Preferences(ALICE, Theme.LIGHT)
        chosen = await users.set_preferences(conn, ALICE, "de", numbers="fr", private=True)
        assert chosen == Preferences(ALICE, Theme.LIGHT, "fr", private=True)
        chosen = await users.set_preferences(conn, ALICE, "de", numbers="", theme=Theme.COLOUR_BLIND_LIGHT)
        assert chosen == Preferences(ALICE, Theme.COLOUR_BLIND_LIGHT, None, private=True)
    async with database.as_user(ALICE) as conn:
        assert await users.get_person(conn, ALICE) == Person(
            Preferences(ALICE, Theme.COLOUR_BLIND_LIGHT, None, private=True), plan=None
        )


async def test_a_person_with_a_plan_and_no_choices_has_the_defaults(database):
    async with database.acquire() as conn:
        await users.set_plan(conn, ALICE, "pro")
    async with database.as_user(ALICE) as conn:
        assert await users.get_person(conn, ALICE) == Person(Preferences(ALICE, Theme.DARK), "pro")


@pytest.mark.parametrize("table", ["profiles", "preferences"])
async def test_people_see_their_own_rows_only(both, table):
    async with both.as_user(ALICE) as conn:
        assert await rows(conn, table) == [ALICE]
    async with both.as_user(BOB) as conn:
        assert await rows(conn, table) == [BOB]


async def test_people_cannot_change_rows_of_others(both):
    async with both.as_user(ALICE) as conn:
        assert await conn.execute("UPDATE app.preferences SET theme = 'dark' WHERE user_id = $1", BOB) == "UPDATE 0"
        assert await users.get_person(conn, BOB) is None
    async with both.as_user(BOB) as conn:
        assert await users.get_person(conn, BOB) == Person(Preferences(BOB, Theme.LIGHT), plan=None)


@pytest.mark.parametrize("user", [BOB, ALICE + 7])
async def test_people_cannot_write_for_others(both, user):
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with both.as_user(ALICE) as conn:
            await users.set_preferences(conn, user, "en-GB", theme=Theme.DARK)


async def test_people_cannot_give_their_rows_away(both):
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with both.as_user(ALICE) as conn:
            await conn.execute("UPDATE app.preferences SET user_id = $1", ALICE + 7)


async def test_nobody_in_particular_sees_and_writes_nothing(both, database_url):
    conn = await connect(database_url, role="pulse_user")
    try:
        assert await rows(conn, "profiles") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await conn.execute("INSERT INTO app.profiles (user_id, locale) VALUES (1, 'de')")
    finally:
        await conn.close()


async def test_the_user_does_not_outlive_the_transaction(database_url):
    database = await Database.open(database_url, max_size=1)
    try:
        async with database.as_user(ALICE) as conn:
            assert await conn.fetchval("SELECT app.uid()") == ALICE
        async with database.acquire() as conn:
            assert await conn.fetchval("SELECT current_user") == "pulse_service"
            assert await conn.fetchval("SELECT current_setting('app.user_id', true)") == ""
    finally:
        await database.close()


class OneConnection:
    """A pool that hands a connection back as it was left, without the reset of asyncpg's."""

    def __init__(self, connection):
        self.connection = connection

    async def acquire(self, **_):
        return self.connection

    async def release(self, connection):
        pass


async def test_the_user_ends_with_the_transaction_itself(database_url):
    conn = await connect(database_url, role="pulse_service")
    try:
        async with Database(OneConnection(conn), database_url).as_user(ALICE):
            assert await conn.fetchval("SELECT app.uid()") == ALICE
        assert await conn.fetchval("SELECT current_user") == "pulse_service"
        await conn.execute("SET ROLE pulse_user")
        assert await conn.fetchval("SELECT app.uid()") is None
    finally:
        await conn.close()


async def test_an_id_that_is_not_a_number_reaches_no_sql(database):
    with pytest.raises(ValueError, match="Unknown format code 'd'"):
        async with database.as_user("1'; DROP TABLE app.preferences; --"):
            pass


async def test_the_service_reads_everybody_but_writes_nobody(both):
    async with both.acquire() as conn:
        assert await rows(conn, "preferences") == [ALICE, BOB]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("UPDATE app.preferences SET theme = 'dark'")


async def test_even_the_owner_of_the_tables_is_bound(both, database_url):
    conn = await connect(database_url, role="pulse_owner")
    try:
        assert await rows(conn, "profiles") == []
    finally:
        await conn.close()


async def test_every_table_with_a_user_id_has_row_level_security_forced(database):
    async with database.acquire() as conn:
        tables = await conn.fetch(
            """
            SELECT relname, relrowsecurity AND relforcerowsecurity AS bound,
                EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid) AS ruled
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'
            WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p')
            """
        )
    assert {"profiles", "preferences"} <= {table["relname"] for table in tables}
    assert [table["relname"] for table in tables if not (table["bound"] and table["ruled"])] == []


async def test_views_ask_for_the_rights_of_their_reader(database):
    async with database.acquire() as conn:
        views = await conn.fetch(
            """
            SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('v', 'm')
            AND NOT coalesce(reloptions, '{}') @> '{security_invoker=true}'
            """
        )
    assert views == []


async def test_no_role_or_login_of_ours_stands_above_the_policies(database):
    async with database.acquire() as conn:
        roles = await conn.fetch(
            "SELECT rolname, rolsuper OR rolbypassrls AS above FROM pg_roles WHERE rolname LIKE 'pulse%'"
        )
    assert {role["rolname"] for role in roles} >= {"pulse", "pulse_owner", "pulse_service", "pulse_user"}
    assert [role["rolname"] for role in roles if role["above"]] == []


async def test_public_has_no_right_in_the_schema(database):
    async with database.acquire() as conn:
        granted = await conn.fetch(
            """
            WITH object (name, acl) AS (
                SELECT nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = 'app'
                UNION ALL SELECT relname, coalesce(relacl, acldefault('r', relowner)) FROM pg_class
                    WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
                UNION ALL SELECT proname, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
                    WHERE pronamespace = 'app'::regnamespace
            )
            SELECT name, privilege_type FROM object, aclexplode(acl) WHERE grantee = 0
            """
        )
    assert granted == []
