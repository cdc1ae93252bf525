"""Who has accounts at the brokers of the sandbox, and what the brokers say of them."""

from dataclasses import dataclass
from hashlib import blake2s
from typing import Literal
from uuid import UUID

from sandbox.discord.world import PEOPLE
from sandbox.face import Json

Mode = Literal["paper", "live"]


@dataclass(frozen=True, slots=True)
class Customer:
    """A member of the sandbox's Discord who trades; `subscribed` to Alpaca's whole market, which costs money."""

    username: str
    name: str
    colour: str
    subscribed: bool = False
    several: bool = False
    """Has two accounts at Tradier, the first of them closed."""

    def alpaca_number(self, mode: str) -> str:
        """The number of the Alpaca account of this mode."""
        digits = f"{_number(self.username, mode) % 10**9:09d}"
        return f"PA3{digits}" if mode == "paper" else digits

    def alpaca_account(self, mode: str) -> Json:
        """https://docs.alpaca.markets/reference/getaccount-1."""
        cash = "100000" if mode == "paper" else "25412.37"
        zero = dict.fromkeys(_ZERO, "0")
        return zero | {
            "id": str(UUID(bytes=blake2s(f"{self.username} {mode}".encode(), digest_size=16).digest())),
            "account_number": self.alpaca_number(mode),
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": "USD",
            "created_at": "2025-03-03T14:30:00.123456Z",
            "balance_asof": "2026-11-19",
            "multiplier": "1",
            "options_approved_level": 2,
            "options_trading_level": 2,
            **dict.fromkeys(_MONEY, cash),
            **dict.fromkeys(_SWITCHES, False),
        }

    def tradier_profile(self) -> Json:
        """https://documentation.tradier.com/brokerage-api/user/get-profile: one account as itself, many as a list."""
        accounts = [_tradier_account(self.username, state) for state in self._tradier_states()]
        one_or_many = accounts if len(accounts) > 1 else accounts[0]
        return {"profile": {"account": one_or_many, "id": f"id-{self.username}", "name": self.name}}

    def tradier_number(self) -> str:
        """The number of the open account at Tradier."""
        return str(_tradier_account(self.username, "active")["account_number"])

    def _tradier_states(self) -> tuple[str, ...]:
        return ("closed", "active") if self.several else ("active",)


CUSTOMERS = tuple(
    Customer(username, name, colour, subscribed=username == "jonas", several=username == "jonas")
    for username, name, _, colour, _ in PEOPLE
)

_MONEY = (
    "buying_power",
    "cash",
    "equity",
    "last_equity",
    "non_marginable_buying_power",
    "options_buying_power",
    "portfolio_value",
    "regt_buying_power",
)
_ZERO = (
    "accrued_fees",
    "initial_margin",
    "intraday_adjustments",
    "last_maintenance_margin",
    "long_market_value",
    "maintenance_margin",
    "pending_reg_taf_fees",
    "short_market_value",
    "sma",
)
_SWITCHES = (
    "account_blocked",
    "shorting_enabled",
    "trade_suspended_by_user",
    "trading_blocked",
    "transfers_blocked",
)


def _tradier_account(username: str, state: str) -> Json:
    return {
        "account_number": f"6YB{_number(username, state) % 10**5:05d}",
        "classification": "individual",
        "date_created": "2025-03-03T14:30:00.000Z",
        "day_trader": False,
        "option_level": 3,
        "status": state,
        "type": "margin",
        "last_update_date": "2026-10-01T14:30:00.000Z",
    }


def _number(*parts: str) -> int:
    return int.from_bytes(blake2s(" ".join(parts).encode(), digest_size=8).digest(), "big")
