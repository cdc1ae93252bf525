"""Who may see and change the rows of orders, and how PostgreSQL finds them."""

import asyncpg
import pytest
from trading import MARA, OTTO, floor_on

from db.orders import OPEN_STATES

OF_PEOPLE = ("accounts", "previews", "orders", "fills", "audit")
BOOKS = ("paper_accounts", "paper_orders", "paper_fills", "trading_states", "presses")


@pytest.fixture
async def floor(database_url):
    async with floor_on(database_url) as opened:
        for user in (MARA, OTTO):
            await opened.buy(10, user=user)
        yield opened


@pytest.mark.parametrize("table", OF_PEOPLE)
async def test_people_see_their_own_rows_only(floor, table):
    for user in (MARA, OTTO):
        async with floor.database.as_user(user) as conn:
            rows = await conn.fetch(f"SELECT user_id FROM app.{table}")
        assert {row["user_id"] for row in rows} == {user}


@pytest.mark.parametrize("table", OF_PEOPLE)
async def test_people_write_nothing_that_moves_money(floor, table):
    for attempt in (f"UPDATE app.{table} SET user_id = user_id", f"DELETE FROM app.{table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with floor.database.as_user(MARA) as conn:
                await conn.execute(attempt)


@pytest.mark.parametrize("table", BOOKS)
async def test_people_do_not_even_read_the_books(floor, table):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with floor.database.as_user(MARA) as conn:
            await conn.execute(f"SELECT FROM app.{table}")


@pytest.mark.parametrize("table", ["audit", "fills", "presses"])
async def test_the_service_cannot_rewrite_what_happened(floor, table):
    async with floor.database.acquire() as conn:
        for attempt in (f"UPDATE app.{table} SET user_id = 1", f"DELETE FROM app.{table}", f"TRUNCATE app.{table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await conn.execute(attempt)


@pytest.mark.parametrize("table", [*OF_PEOPLE, *BOOKS])
async def test_nothing_of_the_order_path_is_ever_deleted(floor, table):
    async with floor.database.acquire() as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(f"DELETE FROM app.{table}")


async def test_limits_are_the_one_thing_that_people_write_themselves(floor):
    async with floor.database.as_user(MARA) as conn:
        await conn.execute("INSERT INTO app.limits (user_id, collar_bp) VALUES ($1, 20)", MARA)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with floor.database.as_user(MARA) as conn:
            await conn.execute("INSERT INTO app.limits (user_id, collar_bp) VALUES ($1, 20)", OTTO)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("UPDATE app.orders SET client_order_id = (SELECT min(client_order_id) FROM app.orders)", "client_order_id"),
        ("UPDATE app.orders SET user_id = 5", "fkey"),
        ("UPDATE app.orders SET state = 'done'", "state"),
        ("UPDATE app.orders SET filled = -1", "filled"),
        ("UPDATE app.paper_accounts SET cash = -0.01", "cash"),
        ("UPDATE app.paper_orders SET filled = quantity + 1", "check"),
        ("UPDATE app.paper_fills SET held = quantity + 1", "paper_fills_check"),
        ("INSERT INTO app.fills SELECT * FROM app.fills", "fills_pkey"),
        ("UPDATE app.accounts SET user_id = 5", "key"),
    ],
)
async def test_the_database_itself_refuses_what_must_not_be(floor, change, constraint):
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=constraint):
        async with floor.database.acquire() as conn:
            await conn.execute(change)


async def test_one_ticket_cannot_make_two_orders(floor):
    async with floor.database.acquire() as conn:
        with pytest.raises(asyncpg.UniqueViolationError):
            await conn.execute(
                """
                INSERT INTO app.orders (user_id, token, account_id, client_order_id, symbol, side, quantity, tif, worst,
                    state, place, deadline, created_at, updated_at)
                SELECT user_id, token, account_id, 'pe-other', symbol, side, quantity, tif, worst, 'confirmed', place,
                    deadline, created_at, updated_at FROM app.orders LIMIT 1
                """
            )


PATHS = {
    "what is due": "SELECT id FROM app.orders WHERE look_at <= now() ORDER BY look_at LIMIT 100",
    "the latest of a person": "SELECT id FROM app.orders WHERE user_id = 5 ORDER BY id DESC LIMIT 25",
    "one of a person": "SELECT id FROM app.orders WHERE user_id = 5 AND token = 'x'",
    "the open ones of an account": (
        f"SELECT 1 FROM app.orders WHERE user_id = 5 AND account_id = 5 AND state IN {OPEN_STATES}"
    ),
    "the last minute of an account": "SELECT 1 FROM app.orders WHERE account_id = 5 AND created_at > now()",
    "by our id": "SELECT id FROM app.orders WHERE client_order_id = ANY (ARRAY['x'])",
    "a ticket": "SELECT 1 FROM app.previews WHERE user_id = 5 AND token = 'x'",
    "an account": "SELECT 1 FROM app.accounts WHERE user_id = 5 AND broker = 'paper' AND closed_at IS NULL",
    "fills of an order": "SELECT 1 FROM app.fills WHERE order_id = 5",
    "an execution": "SELECT 1 FROM app.fills WHERE account_id = 5 AND execution_id = 'x'",
    "audit of a person": "SELECT 1 FROM app.audit WHERE user_id = 5 ORDER BY id DESC LIMIT 50",
    "audit of an order": "SELECT 1 FROM app.audit WHERE order_id = 5",
    "paper order by our id": "SELECT 1 FROM app.paper_orders WHERE client_order_id = 'x'",
    "paper orders that wait": "SELECT 1 FROM app.paper_orders WHERE state = 'working' AND account_id = 5",
    "paper lots": "SELECT 1 FROM app.paper_fills WHERE account_id = 5 AND symbol = 'SPY' AND held > 0 ORDER BY id",
    "paper fills of an order": "SELECT 1 FROM app.paper_fills WHERE order_id = 5",
}


async def test_every_path_of_a_query_has_its_index(floor):
    """No path reads a whole table once there are many rows."""
    async with floor.database.acquire() as conn:
        await conn.execute("SET enable_seqscan = off")
        try:
            for name, query in PATHS.items():
                plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {query}"))
                assert "Seq Scan" not in plan, f"{name}:\n{plan}"
        finally:
            await conn.execute("RESET enable_seqscan")
