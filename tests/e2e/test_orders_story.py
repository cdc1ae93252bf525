"""What a trader does: a ticket, a confirm, a fill; and everything that may go wrong in between."""

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from running import product_running, sandbox_running, take_port, until
from test_market_commands import fields, labels
from test_outages import postmaster

from services import orders as orders_on_paper
from services.market import QUOTES_KEPT


def now_reads(person, message) -> dict:
    return next(m for m in person.reads() if m["id"] == message["id"])


async def becomes(person, message, pattern: str, within_s: float = 10.0) -> dict:
    """Wait until a message that is there already says something new."""
    try:
        await until(lambda: re.search(pattern, now_reads(person, message)["content"]), within_s)
    except TimeoutError:
        pytest.fail(f"still {now_reads(person, message)['content']!r}, not {pattern!r}")
    return now_reads(person, message)


async def settle_down(sandbox, symbol: str, percent: float) -> None:
    """Move a price, and wait until no kept quote tells of the one before."""
    sandbox.market.nudge(symbol, percent)
    await asyncio.sleep(QUOTES_KEPT.total_seconds() + 0.1)


async def press(person, message, button: str) -> dict:
    return await person.press(message, button).message()


async def fill_in(person, message, button: str, **values) -> dict:
    opened = person.press(message, button)
    await opened.modal()
    return await person.submit(opened, **values).message()


async def price_of(product, symbol: str = "SPY") -> Decimal:
    return (await product.services.market.quotes((symbol,))).lines[0].quote.price


@pytest.fixture
async def trader(sandbox, product):
    """Somebody with a fresh paper account in a healed world whose market is open."""
    person = sandbox.discord.person("Mara")
    asked = await person.command("paper reset").message()
    await press(person, asked, "Start anew")
    yield person
    await sandbox.heal()


async def test_buy_change_size_confirm_fill_positions_balance(trader):
    ticket = await trader.command("buy", symbol="SPY", quantity=5).message()
    assert ticket["flags"] & 64
    first_line = r"🧪 \*\*PAPER\*\* · Buy 5 \*\*SPY\*\* at market · costs at most \$[\d,]+\.\d\d$"
    assert re.match(first_line, ticket["content"])
    told = fields(ticket)
    assert set(told) == {"Bid / ask", "Limit", "Good", "Estimated cost", "Buying power", "Market"}
    assert "old" in told["Bid / ask"]
    assert "never above" in told["Limit"]
    assert "$100,000.00 → " in told["Buying power"]
    assert re.search(r"Open until <t:\d+:T> \(<t:\d+:R>\)", ticket["embeds"][0]["description"])
    assert "PAPER" in ticket["embeds"][0]["title"]
    assert "simulated money" in ticket["embeds"][0]["footer"]["text"]
    assert labels(ticket) == ["Confirm", "Change size", "Change limit", "Cancel"]

    changed = await fill_in(trader, ticket, "Change size", shares="10")
    assert changed["id"] == ticket["id"]
    assert "Buy 10 **SPY**" in changed["content"]

    await press(trader, changed, "Confirm")
    filled = await becomes(trader, ticket, "Bought 10")
    assert re.match(r"✅ 🧪 \*\*PAPER\*\* · Bought 10 \*\*SPY\*\* at \d+\.\d\d · \$[\d,]+\.\d\d$", filled["content"])
    assert filled["components"] == []

    held = await trader.command("positions").message()
    assert re.match(r"🧪 \*\*PAPER\*\* · 1 position · P&L \*\*[+−]?\$", held["content"])
    assert "**SPY** 10 at" in held["embeds"][0]["description"]
    money = await trader.command("balance").message()
    assert re.match(r"🧪 \*\*PAPER\*\* · \*\*\$9\d,\d{3}\.\d\d\*\* to spend$", money["content"])


async def test_a_resting_limit_waits_is_listed_and_fills_when_the_market_comes(trader, product, sandbox):
    limit = (await price_of(product)) * Decimal("0.98")
    ticket = await trader.command("buy", symbol="SPY", quantity=3, limit=f"{limit:.2f}").message()
    assert "or better" in ticket["content"]
    await press(trader, ticket, "Confirm")
    waiting = await becomes(trader, ticket, "waiting in the market")
    assert labels(waiting) == ["Cancel order"]
    listed = await trader.command("orders").message()
    assert "1 open order" in listed["content"]
    sandbox.market.nudge("SPY", -3.0)
    filled = await becomes(trader, ticket, "Bought 3")
    assert filled["components"] == []
    await settle_down(sandbox, "SPY", 3.1)


async def test_an_open_order_is_cancelled_from_the_list(trader, product):
    limit = (await price_of(product)) * Decimal("0.97")
    ticket = await trader.command("buy", symbol="SPY", quantity=2, limit=f"{limit:.2f}", tif="gtc").message()
    await press(trader, ticket, "Confirm")
    await becomes(trader, ticket, "waiting")
    listed = await trader.command("orders").message()
    cancel = next(label for label in labels(listed) if label.startswith("Cancel buy 2 SPY"))
    again = await press(trader, listed, cancel)
    assert again["id"] == listed["id"]
    await becomes(trader, ticket, r"[Cc]ancelled")


async def test_an_open_order_is_cancelled_under_its_own_card(trader, product):
    limit = (await price_of(product, "QQQ")) * Decimal("0.97")
    ticket = await trader.command("buy", symbol="QQQ", quantity=2, limit=f"{limit:.2f}").message()
    await press(trader, ticket, "Confirm")
    waiting = await becomes(trader, ticket, "waiting")
    await press(trader, waiting, "Cancel order")
    gone = await becomes(trader, ticket, r"Cancelled: buy 2")
    assert gone["components"] == []


async def test_cancel_puts_the_ticket_away_and_sends_nothing(trader, product):
    ticket = await trader.command("buy", symbol="SPY", quantity=1).message()
    gone = await press(trader, ticket, "Cancel")
    assert gone["content"] == "✖️ Ticket cancelled, nothing was sent"
    assert gone["components"] == []
    assert "No open orders" in (await trader.command("orders").message())["content"]


async def test_two_presses_are_one_order_and_both_see_its_state(trader, product):
    ticket = await trader.command("buy", symbol="SPY", quantity=7).message()
    presses = [trader.press(ticket, "Confirm") for _ in range(2)]
    shown = [await pressed.message() for pressed in presses]
    assert {message["id"] for message in shown} == {ticket["id"]}
    await becomes(trader, ticket, "Bought 7")
    held = await trader.command("positions").message()
    assert "**SPY** 7 at" in held["embeds"][0]["description"]


async def test_a_redelivered_press_is_one_order(trader, sandbox):
    ticket = await trader.command("buy", symbol="SPY", quantity=4).message()
    sandbox.discord.fault("duplicate_interactions", count=1)
    await press(trader, ticket, "Confirm")
    await becomes(trader, ticket, "Bought 4")
    held = await trader.command("positions").message()
    assert "**SPY** 4 at" in held["embeds"][0]["description"]


async def test_an_answer_that_comes_late_does_not_hide_the_fill(trader, sandbox):
    ticket = await trader.command("buy", symbol="SPY", quantity=2).message()
    sandbox.discord.fault("callback_delay", seconds=1.2, count=1)
    await press(trader, ticket, "Confirm")
    await becomes(trader, ticket, "Bought 2")
    await asyncio.sleep(1.5)
    assert "Bought 2" in now_reads(trader, ticket)["content"]


async def test_a_lost_answer_still_tells_the_fill(trader, sandbox):
    """The press is committed, but Discord takes no answer to it: the word comes as a direct message."""
    private = sandbox.discord.person("Mara", "dm")
    ticket = await trader.command("buy", symbol="SPY", quantity=9).message()
    sandbox.discord.fault("callback_refuse", status=500, count=20)
    pressed = trader.press(ticket, "Confirm")
    await pressed.failure()
    await sandbox.heal()
    await until(lambda: any("Bought 9" in m["content"] for m in private.reads()), 20)


async def test_a_price_that_ran_away_gives_a_fresh_ticket(trader, sandbox):
    ticket = await trader.command("buy", symbol="SPY", quantity=1).message()
    await settle_down(sandbox, "SPY", 1.5)
    fresh = await press(trader, ticket, "Confirm")
    assert fresh["id"] == ticket["id"]
    assert fresh["content"].startswith("⚠️ Nothing was sent: ")
    assert labels(fresh) == ["Confirm", "Change size", "Change limit", "Cancel"]
    await press(trader, fresh, "Confirm")
    await becomes(trader, ticket, "Bought 1")
    await settle_down(sandbox, "SPY", -1.5)


async def test_every_broken_rule_is_told_at_once_with_its_limit(trader):
    refused = await trader.command("buy", symbol="SPY", quantity=20_000, limit="1").message()
    assert refused["content"].startswith("⚠️ ")
    assert refused["flags"] & 64
    assert "10,000" in refused["content"]
    assert "5" in refused["content"]
    assert len(refused["content"].splitlines()) >= 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"symbol": "SPYY", "quantity": 1}, "I do not know **SPYY**"),
        ({"symbol": "SPY", "quantity": 0}, "1"),
        ({"symbol": "SPY", "quantity": 1, "limit": "abc"}, "I cannot read **abc** as a number"),
        ({"symbol": "SPY", "quantity": -5}, "1"),
        ({"symbol": "SPY", "quantity": 2**53 - 1}, "10,000"),
        ({"symbol": "SPY", "quantity": 1, "limit": "99999999999999999999"}, "5%"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(trader, options, words):
    refused = await trader.command("buy", **options).message()
    assert refused["content"].startswith("⚠️ ")
    assert words in refused["content"]
    assert refused["flags"] & 64


async def test_nonsense_in_a_form_leaves_the_ticket_alone(trader):
    ticket = await trader.command("buy", symbol="SPY", quantity=1).message()
    opened = trader.press(ticket, "Change size")
    form = await opened.modal()
    assert form["title"] == "Change size"
    refused = await trader.submit(opened, shares="a few").message()
    assert refused["id"] != ticket["id"]
    assert "I cannot read **a few** as a number" in refused["content"]
    half = trader.press(ticket, "Change size")
    await half.modal()
    assert "whole shares" in (await trader.submit(half, shares="1.5").message())["content"]
    await press(trader, now_reads(trader, ticket), "Cancel")


async def test_a_form_shows_what_is_set_now_and_changes_the_limit(trader, product):
    ticket = await trader.command("buy", symbol="SPY", quantity=12).message()
    opened = trader.press(ticket, "Change size")
    form = await opened.modal()
    assert form["components"][0]["component"]["value"] == "12"
    limit = (await price_of(product)) * Decimal("0.99")
    changed = await fill_in(trader, ticket, "Change limit", limit_price=f"{limit:.2f}")
    assert f"at {limit:,.2f} or better" in changed["content"]
    market = await fill_in(trader, changed, "Change limit", limit_price="")
    assert "at market" in market["content"]
    await press(trader, market, "Cancel")


async def test_the_message_of_a_ticket_says_when_it_ended(trader, product, monkeypatch):
    monkeypatch.setattr(orders_on_paper, "TICKET_LIVES", timedelta(seconds=1))
    ticket = await trader.command("buy", symbol="SPY", quantity=1).message()
    ended = await becomes(trader, ticket, "Ticket ended")
    assert "nothing was sent" in ended["content"]
    assert ended["components"] == []


async def test_numbers_are_read_and_written_as_the_reader_does(sandbox, product):
    jonas = sandbox.discord.person("Jonas")
    limit = (await price_of(product)) * Decimal("0.98")
    typed = f"{limit:.2f}".replace(".", ",")
    ticket = await jonas.command("buy", symbol="SPY", quantity=1, limit=typed).message()
    assert f"at {typed} or better" in ticket["content"]
    assert re.search(r"\$\d{1,3}(\.\d{3})*,\d\d", fields(ticket)["Buying power"])
    await press(jonas, ticket, "Cancel")


async def test_what_others_opened_is_not_mine_to_press(trader, sandbox, product):
    ticket = await trader.command("buy", symbol="SPY", quantity=1).message()
    aiko = sandbox.discord.person("Aiko")
    orders = product.services.orders
    token = ticket["components"][0]["components"][0]["custom_id"].rsplit(":", 1)[1]
    assert await orders.spec_of(aiko.id, token) is None
    await press(trader, ticket, "Cancel")


async def test_limits_are_shown_changed_and_taken_away(trader):
    shown = await trader.command("limits").message()
    assert "Rules of the house" in fields(shown)
    changed = await trader.command("limits", order="500").message()
    assert "$500.00" in changed["content"]
    refused = await trader.command("buy", symbol="SPY", quantity=10).message()
    assert "$500.00" in refused["content"]
    again = await trader.command("limits", order="0").message()
    assert "$500.00" not in again["content"]


async def test_panic_cancels_and_lets_nothing_new_through_until_resumed(trader, product):
    limit = (await price_of(product)) * Decimal("0.97")
    ticket = await trader.command("buy", symbol="SPY", quantity=2, limit=f"{limit:.2f}").message()
    await press(trader, ticket, "Confirm")
    await becomes(trader, ticket, "waiting")
    stopped = await trader.command("panic").message()
    assert stopped["content"].startswith("🛑 **No new entries for you** · 1 open order being cancelled")
    await becomes(trader, ticket, "[Cc]ancelled")
    refused = await trader.command("buy", symbol="SPY", quantity=1).message()
    assert refused["content"].startswith("⚠️ ")
    resumed = await press(trader, stopped, "Resume trading")
    assert "Trading is on" in resumed["content"]
    ticket = await trader.command("buy", symbol="SPY", quantity=1).message()
    assert labels(ticket)[0] == "Confirm"
    await press(trader, ticket, "Cancel")


async def test_only_the_operator_halts_everybody(trader, sandbox):
    refused = await trader.command("panic", who="everybody").message()
    assert "Only the operator" in refused["content"]
    sam = sandbox.discord.person("Sam")
    asked = await sam.command("panic", who="everybody").message()
    stopped = await press(sam, asked, "Halt trading for everybody")
    assert "Trading is halted for everybody" in stopped["content"]
    try:
        assert (await trader.command("buy", symbol="SPY", quantity=1).message())["content"].startswith("⚠️ ")
    finally:
        resumed = await press(sam, stopped, "Resume trading for everybody")
    assert "Trading is on" in resumed["content"]


async def test_selling_from_the_list_of_positions(trader):
    ticket = await trader.command("buy", symbol="SPY", quantity=6).message()
    await press(trader, ticket, "Confirm")
    await becomes(trader, ticket, "Bought 6")
    held = await trader.command("positions").message()
    sale = await fill_in(trader, held, "Sell SPY", shares="6")
    assert "Sell 6 **SPY** at market · brings at least" in sale["content"]
    await press(trader, sale, "Confirm")
    await becomes(trader, sale, "Sold 6")
    assert "No positions" in (await trader.command("positions").message())["content"]


async def test_what_could_not_be_brought_is_told_at_the_next_command(sandbox, product):
    """Sam takes no direct messages, and the answer to a press can be edited for 15 minutes only."""
    sam = sandbox.discord.person("Sam")
    limit = (await price_of(product)) * Decimal("0.98")
    ticket = await sam.command("buy", symbol="SPY", quantity=2, limit=f"{limit:.2f}").message()
    await press(sam, ticket, "Confirm")
    await becomes(sam, ticket, "waiting")
    sandbox.discord.expire_tokens()
    sandbox.market.nudge("SPY", -3.0)
    try:
        async with asyncio.timeout(10):
            while "While I could not reach you" not in (told := await sam.command("orders").message())["content"]:
                await asyncio.sleep(0.3)
    finally:
        await settle_down(sandbox, "SPY", 3.1)
    assert "Bought 2" in told["content"]
    assert "While I could not reach you" not in (await sam.command("orders").message())["content"]


async def test_ticket_and_open_form_survive_a_restart_of_the_bot(tmp_path):
    async with sandbox_running() as world:
        mara = world.discord.person("Mara")
        async with running_product(world, tmp_path):
            ticket = await mara.command("buy", symbol="SPY", quantity=5).message()
            opened = mara.press(ticket, "Change size")
            await opened.modal()
        async with running_product(world, tmp_path):
            changed = await mara.submit(opened, shares="3").message()
            assert "Buy 3 **SPY**" in changed["content"]
            await press(mara, changed, "Confirm")
            await becomes(mara, ticket, "Bought 3")


WITHOUT_DATABASE = [
    ("buy", {"symbol": "SPY", "quantity": 1}),
    ("sell", {"symbol": "SPY", "quantity": 1}),
    ("orders", {}),
    ("positions", {}),
    ("balance", {}),
    ("limits", {}),
    ("limits", {"order": "500"}),
    ("paper reset", {}),
    ("panic", {}),
    ("alert", {"symbol": "SPY", "condition": "above", "value": "700"}),
    ("alerts", {}),
    ("setup board", {}),
    ("setup board", {"symbols": "SPY"}),
]


async def test_the_operator_sets_the_most_that_one_order_may_cost(tmp_path):
    async with sandbox_running() as world:
        environment = {**world.environment(), "MOST_ORDER_VALUE": "1000"}
        async with product_running(environment, tmp_path, take_port()) as product:
            await until(lambda: world.discord.gateway.reachable and len(product.services.market.directory))
            mara = world.discord.person("Mara")
            refused = await mara.command("buy", symbol="SPY", quantity=5).message()
            assert "more than the house's limit for one order: $1,000.00." in refused["content"]
            assert "$1,000.00" in str((await mara.command("limits").message())["embeds"])


async def test_without_a_database_every_command_says_so(tmp_path):
    nowhere = {"DATABASE_URL": f"postgresql://pulse:pulse@127.0.0.1:{take_port()}/pulse"}
    async with sandbox_running() as world, product_running(world.environment() | nowhere, tmp_path, take_port()):
        await until(lambda: world.discord.gateway.reachable)
        sam = world.discord.person("Sam")
        asked = [(line, sam.command(line, **options)) for line, options in WITHOUT_DATABASE]
        for line, waiting in asked:
            answer = await waiting.message()
            assert answer["content"].startswith("⚠️ Our database cannot be reached right now"), line
            assert answer["flags"] & 64


async def test_a_database_killed_between_ticket_and_press_loses_and_doubles_nothing(tmp_path):
    async with sandbox_running() as world, running_product(world, tmp_path) as product:
        mara = world.discord.person("Mara")
        ticket = await mara.command("buy", symbol="SPY", quantity=5).message()
        os.kill(postmaster(tmp_path), signal.SIGKILL)
        opened = mara.press(ticket, "Change size")
        await opened.modal()
        pressed = await mara.press(ticket, "Confirm").message()
        if pressed["content"].startswith("⚠️ "):
            assert "database" in pressed["content"]
            async with asyncio.timeout(15):
                while not (await product.services.parts())["database"].ok:
                    await asyncio.sleep(0.1)
            await press(mara, now_reads(mara, ticket), "Confirm")
        await becomes(mara, ticket, "Bought 5")
        assert "**SPY** 5 at" in (await mara.command("positions").message())["embeds"][0]["description"]


@asynccontextmanager
async def running_product(world, home):
    async with product_running(world.environment(), home, take_port()) as product:
        await until(lambda: (part := product.services.health.parts.get("gateway")) and part.ok)
        await until(lambda: len(product.services.market.directory))
        yield product
