"""The guards before an order: pure, and every one that says no is told at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from db.order_models import Balance, Limits, Side, Spec, Tif, TradingState
from services.clock import Phase
from services.market import Line

CENT, SUB_CENT = Decimal("0.01"), Decimal("0.0001")
LEAST_DRIFT = Decimal("0.0025")


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What the operator allows everybody; money in dollars."""

    most_shares: int = 10_000
    most_money: Decimal = Decimal(250_000)
    """In one buy."""
    equity_share: Decimal = Decimal("0.25")
    """Of an account's equity at cost, in one buy."""
    limit_band: Decimal = Decimal("0.05")
    """How far a limit may be from the quote."""
    a_minute: int = 10
    """Most orders in 60 s."""
    unusual: int = 10
    """So many times the usual order asks for a second look."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at the press, besides the quote; `in_flight` is what the broker's books may not show yet."""

    trading: TradingState
    balance: Balance
    held: int
    last_minute: int
    twin: bool
    """The same account, symbol, side and quantity within 60 s."""
    usual: Decimal | None
    """The median money of the last orders; None before there are five."""
    bought_today: Decimal
    opposite: bool
    """An open order of the account trades the symbol the other way."""
    unsettled: bool
    """An order of the same account, symbol and side has an outcome that nobody knows yet."""
    in_flight_money: Decimal
    in_flight_shares: int


@dataclass(frozen=True, slots=True)
class Objection:
    """A guard that says no, or, where `ask_again`, wants the person to press twice."""

    code: str
    words: str
    ask_again: bool = False


def check(spec: Spec, worst: Decimal, line: Line, facts: Facts, limits: Limits, rules: HouseRules) -> list[Objection]:
    """Return every objection to an order that can cost at most `worst` a share; none means that it may go."""
    return [
        *_market(spec, worst, line, rules),
        *_size(spec, worst, facts, limits, rules),
        *_history(spec, worst, facts, rules),
        *_switch(spec, facts),
    ]


def worst_price(spec: Spec, bid: Decimal, ask: Decimal, collar_bp: int) -> Decimal:
    """Return the limit that leaves: the person's own, or for "market" the touch with its collar, on a whole tick."""
    if spec.limit is not None:
        return spec.limit
    collar = Decimal(collar_bp) / 10_000
    if spec.side is Side.BUY:
        return max(ask, _on_tick(ask * (1 + collar), ROUND_FLOOR))
    return min(bid, _on_tick(bid * (1 - collar), ROUND_CEILING))


def drift(side: Side, shown: tuple[Decimal, Decimal], now: tuple[Decimal, Decimal]) -> Decimal:
    """Return how far the price to be paid has moved since it was shown, as a fraction; quotes are (bid, ask)."""
    touch = 1 if side is Side.BUY else 0
    return abs(now[touch] - shown[touch]) / shown[touch]


def drift_allowed(shown: tuple[Decimal, Decimal], drift_bp: int | None) -> Decimal:
    """Return the largest of 25 bp, one spread and the person's own setting, as a fraction."""
    bid, ask = shown
    return max(LEAST_DRIFT, (ask - bid) / ask, Decimal(drift_bp or 0) / 10_000)


def money(amount: Decimal) -> str:
    """Return dollars in words, to the cent."""
    return f"${amount:,.2f}"


def _market(spec: Spec, worst: Decimal, line: Line, rules: HouseRules) -> Iterator[Objection]:
    session, quote = line.session, line.quote
    if line.stale:
        minutes = round(line.age.total_seconds() / 60)
        yield Objection("stale", f"The newest quote of {spec.symbol} is {minutes} minutes old; orders need a live one.")
    if session.phase is not Phase.OPEN and (spec.limit is None or spec.tif is Tif.IOC):
        yield Objection(
            "session",
            f"The market is not open ({session.phase}); it opens <t:{session.opens_at.timestamp():.0f}:R>. "
            "A limit order with `day` or `gtc` can wait for it.",
        )
    if spec.limit is None:
        return
    step = CENT if spec.limit >= 1 else SUB_CENT
    if spec.limit % step:
        yield Objection("tick", f"A limit of {spec.limit} is between two ticks: prices here move in steps of ${step}.")
    touch = (quote.ask if spec.side is Side.BUY else quote.bid) or quote.price
    off = abs(worst - touch) / touch
    if off > rules.limit_band:
        yield Objection(
            "band",
            f"A limit of ${spec.limit} is {off:.1%} from the market (${touch}); {rules.limit_band:.0%} is the most.",
        )


def _size(spec: Spec, worst: Decimal, facts: Facts, limits: Limits, rules: HouseRules) -> Iterator[Objection]:
    if not 1 <= spec.quantity <= rules.most_shares:
        yield Objection("quantity", f"{spec.quantity:,} shares: one order can have 1 to {rules.most_shares:,}.")
    if spec.side is Side.SELL:
        free = facts.held - facts.in_flight_shares
        if spec.quantity > free:
            yield Objection(
                "holding", f"You can sell {max(free, 0):,} {spec.symbol}: selling what you do not hold is not possible."
            )
        return
    cost = spec.quantity * worst
    power = facts.balance.buying_power - facts.in_flight_money
    caps = (
        ("equity", facts.balance.equity * rules.equity_share, f"{rules.equity_share:.0%} of your equity"),
        ("house", rules.most_money, "the house's limit for one order"),
        ("max_order", limits.max_order, "your own limit for one order (`/limits`)"),
        ("max_day", limits.max_day and limits.max_day - facts.bought_today, "what your own limit leaves for today"),
        ("power", power, "your buying power"),
    )
    for code, cap, name in caps:
        if cap is not None and cost > cap:
            yield Objection(code, f"It can cost {money(cost)}, more than {name}: {money(max(cap, Decimal(0)))}.")


def _history(spec: Spec, worst: Decimal, facts: Facts, rules: HouseRules) -> Iterator[Objection]:
    if facts.last_minute >= rules.a_minute:
        yield Objection(
            "rate", f"You placed {facts.last_minute} orders in the last minute; {rules.a_minute} is the most."
        )
    if facts.opposite:
        other = "sell" if spec.side is Side.BUY else "buy"
        yield Objection(
            "wash", f"You have an open {other} order of {spec.symbol}: cancel it first, or you trade with yourself."
        )
    if facts.unsettled:
        yield Objection(
            "unsettled",
            f"Your last {spec.side} order of {spec.symbol} is sent but not confirmed yet. Do not enter it again; "
            "`/orders` shows what became of it.",
        )
    if facts.twin:
        yield Objection(
            "twin",
            f"You placed the same order ({spec.side} {spec.quantity} {spec.symbol}) less than a minute ago.",
            True,
        )
    if facts.usual is not None and spec.quantity * worst >= rules.unusual * facts.usual:
        yield Objection(
            "unusual",
            f"It is {rules.unusual} or more times as large as your usual order ({money(facts.usual)}).",
            ask_again=True,
        )


def _switch(spec: Spec, facts: Facts) -> Iterator[Objection]:
    if facts.trading is TradingState.HALTED:
        yield Objection("halted", "Trading is halted: only cancelling works at the moment.")
    elif facts.trading is TradingState.REDUCING and spec.side is Side.BUY:
        yield Objection("reducing", "The kill switch is on: only selling what you hold, and cancelling, works.")


def _on_tick(price: Decimal, rounding: str) -> Decimal:
    return price.quantize(CENT if price >= 1 else SUB_CENT, rounding)
