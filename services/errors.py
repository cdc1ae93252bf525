"""Every error that a person can meet, in one tree.

    PulseError                    str(error) is safe to show and says what to do next
    ├── UserError                 the request cannot be answered as asked
    │   ├── UnknownSymbol         with the nearest matches
    │   ├── NoChain               the symbol has no listed options at our sources
    │   ├── NothingExpires        no expiry is left for the chosen filter
    │   ├── NoSymbols
    │   └── TooManySymbols
    ├── BadData                   the source answered, but drawing it would be a guess
    ├── FeedUnavailable           a source is down, slow or refusing; safe to repeat
    └── DatabaseAway              PostgreSQL cannot be reached at the moment

Raise where the fact is known; catch only at the edges: `bot.replies`, `web.middleware`, the job runner, `pulse`.
"""

from collections.abc import Sequence


class PulseError(Exception):
    """An error whose text may be shown to the person who met it."""


class UserError(PulseError):
    """The request cannot be answered as asked; the text says what to change."""


class UnknownSymbol(UserError):
    """No source knows the symbol."""

    def __init__(self, symbol: str, nearest: Sequence[str] = ()) -> None:
        self.symbol = symbol
        self.nearest = tuple(nearest)
        meant = " or ".join(f"**{name}**" for name in self.nearest)
        hint = f"Did you mean {meant}?" if meant else "Pick one from the list that opens as you type."
        super().__init__(f"I do not know **{symbol}**. {hint}")


class NoChain(UserError):
    """The symbol is known but has no listed options at our sources."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(f"**{symbol}** has no option chain at our data sources. `/quote` still works for it.")


class NothingExpires(UserError):
    """The expiry filter leaves no contract."""


class NoSymbols(UserError):
    """A list of symbols holds none."""

    def __init__(self) -> None:
        super().__init__("Type at least one symbol, such as `SPY`, or several separated by spaces.")


class TooManySymbols(UserError):
    """More symbols were asked for than one answer can hold."""

    def __init__(self, asked: int, most: int) -> None:
        super().__init__(f"That is {asked} symbols; one `/quote` shows up to {most}. Split them over several commands.")


class BadData(PulseError):
    """The source answered, but the answer is not good enough to draw or to trade on."""


class FeedUnavailable(PulseError):
    """A market data source is down, slow or refusing; nothing is wrong with the request."""

    def __init__(self, feed: str, reason: str, retry_after_s: float | None = None, *, cure: str | None = None) -> None:
        self.feed, self.reason, self.retry_after_s = feed, reason, retry_after_s
        wait = f"{round(retry_after_s)} s" if retry_after_s and retry_after_s >= 1 else "a minute"
        cure = cure or f"Try again in {wait}"
        super().__init__(
            f"Market data from {feed} is not available right now ({reason}). {cure}; `/status` shows every source."
        )


class DatabaseAway(PulseError):
    """PostgreSQL cannot be reached at the moment; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "Our database cannot be reached right now, so nothing was saved. Try again in a minute; "
            "`/status` shows when it is back."
        )
