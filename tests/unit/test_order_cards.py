from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import discord
import pytest

from bot import account_cards, order_cards, tickets
from bot.notice_cards import RENDER
from bot.numbers import locale_of
from db.models import Notice, Place, Urgency
from db.order_models import Account, Balance, Limits, Order, OrderState, Position, Side, Spec, Tif, TradingState
from services.clock import Phase, Session
from services.execution import order_json
from services.kill_switch import Panic
from services.portfolios import Holding, Portfolio
from services.risk import HouseRules
from services.tickets import Ticket

EN, DE = locale_of("en-US"), locale_of("de")
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
TOKEN = "a" * 22
ACCOUNT = Account(1, 7, "paper", "Paper", "PAPER")
SPEC = Spec("SPY", Side.BUY, 10, Decimal("601.25"), Tif.DAY)
TICKET = Ticket(
    token=TOKEN,
    expires_at=NOW + timedelta(seconds=60),
    account=ACCOUNT,
    spec=SPEC,
    worst=Decimal("601.25"),
    collar_bp=None,
    bid=Decimal("601.20"),
    ask=Decimal("601.24"),
    as_of=NOW - timedelta(seconds=2),
    age=timedelta(seconds=2),
    source="Alpaca IEX",
    session=Session(Phase.OPEN, NOW - timedelta(hours=1), NOW + timedelta(hours=5), half_day=False),
    cost=Decimal("6012.50"),
    buying_power=Decimal(100_000),
    buying_power_after=Decimal("93987.50"),
    warnings=(),
    why=None,
    again=False,
)
ORDER = Order(
    id=5,
    token=TOKEN,
    user_id=7,
    account_id=1,
    client_order_id="pe-0123",
    spec=SPEC,
    worst=Decimal("601.25"),
    state=OrderState.WORKING,
    filled=0,
    cost=Decimal(0),
    version=2,
    sends=1,
    reason=None,
    created_at=NOW,
    updated_at=NOW,
    label="Paper",
    mode="PAPER",
)


def fields(embed: discord.Embed) -> dict[str, str]:
    return {str(field.name): str(field.value) for field in embed.fields}


def test_the_first_line_of_a_ticket_carries_mode_side_size_price_and_cost():
    headline, _ = order_cards.ticket(TICKET, EN)
    assert headline == "🧪 **PAPER** · Buy 10 **SPY** at 601.25 or better · costs at most $6,012.50"
    german, _ = order_cards.ticket(TICKET, DE)
    assert german == "🧪 **PAPER** · Buy 10 **SPY** at 601,25 or better · costs at most $6.012,50"


def test_a_ticket_shows_all_that_the_design_asks_for():
    _, embed = order_cards.ticket(TICKET, EN)
    told = fields(embed)
    assert "601.20 / 601.24" in told["Bid / ask"]
    assert "2 s old" in told["Bid / ask"]
    assert told["Estimated cost"] == "**$6,012.50**"
    assert told["Buying power"] == "$100,000.00 → **$93,987.50**"
    assert "Open" in told["Market"]
    assert f"<t:{int(TICKET.expires_at.timestamp())}:R>" in str(embed.description)
    assert "PAPER" in str(embed.title)
    assert embed.footer.text == "PAPER account · simulated money"


def test_a_market_order_shows_its_worst_price_and_collar():
    market = replace(TICKET, spec=replace(SPEC, limit=None), worst=Decimal("604.24"), collar_bp=50)
    headline, embed = order_cards.ticket(market, EN)
    assert "at market" in headline
    assert fields(embed)["Limit"] == "market, never above **604.24** (collar 0.50%)"
    _, sale = order_cards.ticket(replace(market, spec=replace(market.spec, side=Side.SELL)), EN)
    assert "never below" in fields(sale)["Limit"]
    assert "Estimated proceeds" in fields(sale)


def test_a_fresh_ticket_says_first_that_nothing_was_sent():
    headline, _ = order_cards.ticket(replace(TICKET, why="The price moved 0.4 %."), EN)
    assert headline.splitlines()[0] == "⚠️ Nothing was sent: The price moved 0.4 %."
    assert "PAPER" in headline.splitlines()[1]


@pytest.mark.parametrize("mode", ["PAPER", "LIVE"])
@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("filled", [0, 4, 10])
def test_every_state_says_mode_and_symbol_in_its_first_line_and_fits_discord(mode, state, filled):
    order = replace(ORDER, mode=mode, state=state, filled=filled, cost=Decimal("601.2") * filled, reason="Because.")
    headline, embed = order_cards.order(order, EN)
    first = headline.splitlines()[0]
    assert f"**{mode}**" in first
    assert "LIVE" not in first or mode == "LIVE"
    assert "**SPY**" in first
    assert len(headline) <= 2000
    assert len(embed) <= 6000
    assert "Because." in str(embed.description)
    assert mode in str(embed.footer.text)


@pytest.mark.parametrize(
    ("state", "filled", "first"),
    [
        (OrderState.CONFIRMED, 0, "📨 🧪 **PAPER** · On its way: buy 10 **SPY** at 601.25 or better"),
        (OrderState.WORKING, 0, "⏳ 🧪 **PAPER** · Sent, waiting in the market: buy 10 **SPY** at 601.25 or better"),
        (OrderState.PARTIAL, 4, "🟡 🧪 **PAPER** · Bought 4 of 10 **SPY** at 601.20 · $2,404.80 · the rest waits"),
        (OrderState.FILLED, 10, "✅ 🧪 **PAPER** · Bought 10 **SPY** at 601.20 · $6,012.00"),
        (OrderState.CANCELED, 4, "⚪ 🧪 **PAPER** · Bought 4 of 10 **SPY** at 601.20 · $2,404.80 · cancelled"),
        (OrderState.CANCELED, 0, "⚪ 🧪 **PAPER** · Cancelled: buy 10 **SPY** at 601.25 or better"),
    ],
)
def test_the_fact_stands_first(state, filled, first):
    order = replace(ORDER, state=state, filled=filled, cost=Decimal("601.2") * filled)
    assert order_cards.headline(order, EN) == first


def test_an_unknown_outcome_says_not_to_enter_the_order_again():
    _, embed = order_cards.order(replace(ORDER, state=OrderState.UNKNOWN), EN)
    assert "Do not enter it again" in str(embed.description)


async def test_only_open_orders_have_a_cancel_button():
    for state in OrderState:
        reply = tickets.order(replace(ORDER, state=state), EN)
        cancel = state in {
            OrderState.CONFIRMED,
            OrderState.SUBMITTING,
            OrderState.UNKNOWN,
            OrderState.WORKING,
            OrderState.PARTIAL,
            OrderState.NEEDS_REVIEW,
        }
        assert (reply.view is not None) is cancel


async def test_a_notice_of_an_order_looks_like_the_answer_to_its_press():
    notice = Notice(urgency=Urgency.P0, kind="order", key="5:working:2", place=Place(), payload=order_json(ORDER))
    told, answered = RENDER["order"](notice, EN), tickets.order(ORDER, EN)
    assert told.content == answered.content
    assert told.embed == answered.embed
    assert told.private


async def test_a_correction_says_that_it_is_one():
    notice = Notice(urgency=Urgency.P0, kind="order.correction", key="k", place=Place(), payload=order_json(ORDER))
    assert "Correction" in RENDER["order.correction"](notice, EN).content


def test_the_list_has_open_orders_before_those_that_ended():
    done = replace(ORDER, state=OrderState.FILLED, filled=10, cost=Decimal(6012))
    headline, embed = order_cards.orders([ORDER, done], EN)
    assert headline == "📋 **1 open order**"
    assert "waiting" in str(embed.description)
    assert str(embed.description).index("waiting") < str(embed.description).index("Bought 10")
    assert order_cards.orders([], EN)[0] == "📋 **No open orders**"


def test_twenty_five_open_orders_fit():
    long = replace(ORDER, reason="x" * 60, spec=replace(SPEC, symbol="ABCDE.PR"))
    done = replace(long, state=OrderState.CANCELED, filled=4, cost=Decimal(2400))
    _, embed = order_cards.orders([long] * 20 + [done] * 5, EN)
    assert len(str(embed.description)) <= 4096
    assert "and 5 more" in str(embed.description)


def test_positions_tell_profit_in_words_and_signs():
    held = Holding(Position("SPY", 10, Decimal(6000), Decimal(0)), Decimal(603), NOW)
    away = Holding(Position("QQQ", 2, Decimal(1000), Decimal(0)), None, None)
    money = Balance(Decimal(93_000), Decimal(0), Decimal(7000), Decimal("12.5"))
    headline, embed = account_cards.positions(Portfolio(ACCOUNT, money, (held, away)), EN)
    assert headline == "🧪 **PAPER** · 2 positions · P&L **+$30.00**"
    assert "▲ **+$30.00** (+0.50%)" in str(embed.description)
    assert "no price right now" in str(embed.description)
    assert fields(embed)["Realised"] == "▲ +$12.50"


def test_balance_starts_with_what_can_be_spent():
    money = Balance(Decimal(93_000), Decimal(1000), Decimal(7000), Decimal(-5))
    headline, embed = account_cards.balance(ACCOUNT, money, EN)
    assert headline == "🧪 **PAPER** · **$92,000.00** to spend"
    assert fields(embed)["Realised P&L"] == "▼ −$5.00"


def test_limits_name_the_rules_of_the_house():
    _, embed = account_cards.limits(Limits(7), HouseRules(), EN)
    assert "10,000 shares" in fields(embed)["Rules of the house"]
    assert fields(embed)["Most in one order"] == "the house's"


def test_panic_tells_what_still_passes():
    headline, embed = account_cards.panic(Panic(TradingState.REDUCING, 2), everybody=False)
    assert headline == "🛑 **No new entries for you** · 2 open orders being cancelled"
    assert "Resume trading" in str(embed.description)
