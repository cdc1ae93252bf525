"""Every error that a person can meet, in one tree.

    PulseError                    str(error) is safe to show and says what to do next
    ├── UserError                 the request cannot be answered as asked
    │   ├── UnknownSymbol         with the nearest matches
    │   ├── IsOption              an option where its underlying is asked for
    │   ├── AdjustedRoot          a contract that does not deliver 100 shares
    │   ├── NoChain               the symbol has no listed options at our sources
    │   ├── NoBars                no source has candles
    │   ├── NothingExpires        no expiry is left for the chosen filter
    │   ├── NothingTraded         the range of a chart holds no candle
    │   ├── ImpossibleInterval    candles too short or too long for the range of a chart
    │   ├── NoSymbols
    │   ├── TooManySymbols
    │   ├── NotANumber            what was typed as a price or a quantity
    │   ├── NotAnExpiry           what was typed as an expiration
    │   ├── OrderRefused          with every guard that says no
    │   ├── PreviewGone           the ticket has ended, or is somebody else's
    │   ├── UnknownOrder          likewise for an order
    │   ├── UnknownAlert          likewise for an alert
    │   ├── TooManyAlerts
    │   ├── TooManyWatches
    │   ├── LimitReached          all uses of the day; says when they come back
    │   ├── BadLevel              a price at which no alert makes sense
    │   ├── BrokerNotOffered      the operator has not set it up for links
    │   ├── NotLinked             the person has no such link to a broker
    │   ├── LinkExpired           the way through the browser has ended, or is not this browser's
    │   ├── WrongPerson           somebody else's link was opened
    │   ├── LinkDenied            the broker sent the person back without a permission
    │   ├── AccountTaken          another member has linked the same account
    │   ├── SignInExpired         the browser has begun no such sign-in, or it is used up
    │   ├── SignInDenied          Cancel was pressed on Discord's page
    │   ├── SignedOut             nobody is signed in with this browser any more
    │   └── OtherVersion          a button that this version of the bot does not know
    ├── BrokerError
    │   ├── BrokerRejected        the broker said no, in its words; final as the answer to a first send only
    │   ├── BrokerUnavailable     nothing was sent, or a read failed; safe to repeat
    │   ├── TokenUnreadable       a key is missing from SECRET_KEYS
    │   └── OutcomeUnknown        an order may have arrived: never send it blindly again, settle it
    │       └── DuplicateOrder    the broker has our id already: it exists, ask for it
    ├── BadData                   the source answered, but drawing it would be a guess
    ├── FeedUnavailable           a source is down, slow or refusing; safe to repeat
    │   ├── FeedSignedOut         it does not know the key or token that it was asked with
    │   └── FeedForbids           it knows whom it answers, and what was asked for is not theirs
    ├── DiscordAway               Discord's sign-in cannot be reached; safe to repeat
    ├── StorageUnavailable        the stored files cannot be reached at the moment; safe to repeat
    └── DatabaseAway              PostgreSQL cannot be reached at the moment

Raise where the fact is known; catch only at the edges: `bot.replies`, `web.middleware`, the job runner, `pulse`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from db.pool import DatabaseUnavailable


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


class IsOption(UserError):
    """An option was named where its underlying is asked for: whoever means the one must not get the other."""

    def __init__(self, option: str, underlying: str) -> None:
        super().__init__(
            f"**{option}** is an option; what I can show and trade here is its underlying. Type `{underlying}`, "
            f"or `/chain symbol:{underlying}` for its options."
        )


class AdjustedRoot(UserError):
    """A root with a digit, such as AAPL1: the contract was changed by a split or a merger."""

    def __init__(self, root: str) -> None:
        plain = "".join(character for character in root if not character.isdigit())
        super().__init__(
            f"**{root}** is an adjusted option root: since a split, merger or special dividend its contracts deliver "
            f"something else than 100 shares, so levels and prices of it would mislead. Type `{plain}`."
        )


class NoChain(UserError):
    """The symbol is known but has no listed options at our sources."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(f"**{symbol}** has no option chain at our data sources. `/quote` still works for it.")


class NoBars(UserError):
    """None of our sources has candles."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"None of our data sources has bars of **{symbol}**. `/quote` and `/gamma` may still work.")


class NothingExpires(UserError):
    """The expiry filter leaves no contract."""


class NothingTraded(UserError):
    """The range of a chart holds no candle."""

    def __init__(self, words: str) -> None:
        super().__init__(f"Our data sources have no trade of it in the last {words}. Choose a longer range.")


class ImpossibleInterval(UserError):
    """Candles of this length do not fit the range of a chart; the text says which do."""


class NoSymbols(UserError):
    """A list of symbols holds none."""

    def __init__(self) -> None:
        super().__init__("Type at least one symbol, such as `SPY`, or several separated by spaces.")


class TooManySymbols(UserError):
    """More symbols were asked for than one answer can hold."""

    def __init__(self, asked: int, most: int) -> None:
        super().__init__(f"That is {asked} symbols; one `/quote` shows up to {most}. Split them over several commands.")


class NotANumber(UserError):
    """What was typed as a price or a quantity is none."""

    def __init__(self, typed: str) -> None:
        shown = "".join(c for c in typed if c.isalnum() or c in " .,-+$%")[:20].strip() or "that"
        super().__init__(f"I cannot read **{shown}** as a number. Type it like 187.50, without words.")


class NotAnExpiry(UserError):
    """What was typed as an expiration is none."""

    def __init__(self, typed: str) -> None:
        shown = "".join(c for c in typed if c.isalnum() or c in " .,-/")[:20].strip() or "that"
        super().__init__(
            f"I cannot read **{shown}** as an expiration. Type it like `27 Nov`, `2026-11-27`, `next friday`, `0dte`, "
            "`weekly` or `monthly`, or pick one from the list."
        )


class OrderRefused(UserError):
    """The order cannot be placed like this; `reasons` has every guard that says no."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


class PreviewGone(UserError):
    """The ticket cannot become an order any more; nothing was sent."""


class UnknownOrder(UserError):
    """The person has no such order."""

    def __init__(self) -> None:
        super().__init__("You have no such order. `/orders` lists yours.")


class UnknownAlert(UserError):
    """The person has no such alert."""

    def __init__(self) -> None:
        super().__init__("You have no such alert any more. `/alerts` lists yours.")


class TooManyAlerts(UserError):
    """The person has as many alerts as one may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"You have {most} alerts, which is the most. Delete one in `/alerts` first.")


class LimitReached(UserError):
    """The person has used what their plan includes in a day; `resets_at` is aware UTC."""

    def __init__(self, plan: str, most: str, what: str, resets_at: datetime) -> None:
        self.resets_at = resets_at
        super().__init__(
            f"You have used the {most} {what} that a day of the **{plan.upper()}** plan includes. "
            f"They are back <t:{resets_at.timestamp():.0f}:R>."
        )


class TooManyWatches(UserError):
    """The server, or the person in direct messages, has as many watches as one may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} watches here already, which is the most. Stop one of them first.")


class BadLevel(UserError):
    """An alert at this price makes no sense; the text says which would."""


class BrokerNotOffered(UserError):
    """Members cannot link this broker here."""

    def __init__(self, offered: Sequence[str]) -> None:
        names = " and ".join(f"**{name.title()}**" for name in offered)
        super().__init__(
            f"Here you can link {names}. Pick one from the list."
            if offered
            else "No broker can be linked here yet: the operator has to set one up."
        )


class NotLinked(UserError):
    """The person has no such link, or it was not activated in time."""

    def __init__(self) -> None:
        super().__init__("You have no such link any more. `/accounts` lists yours; `/link` makes a new one.")


class LinkExpired(UserError):
    """The way from `/link` through the browser has ended, was used, or was begun in another browser."""

    def __init__(self) -> None:
        super().__init__("This link was used already, is too old, or belongs to another browser. Type `/link` again.")


class WrongPerson(UserError):
    """The browser is signed in as somebody else than the one who typed `/link`."""

    def __init__(self) -> None:
        super().__init__(
            "This link was made for somebody else, so it was ended and nothing was linked. Never open a link that "
            "somebody sends you: type `/link` yourself and use your own."
        )


class LinkDenied(UserError):
    """The broker sent the person back without a permission."""

    def __init__(self, broker: str, reason: str) -> None:
        shown = "".join(c for c in reason if c.isascii() and (c.isalnum() or c in " _.-"))[:60]
        why = "you did not allow it" if reason == "access_denied" else f"it says “{shown or 'no'}”"
        super().__init__(f"{broker.title()} was not linked: {why}. Type `/link` in Discord to try again.")


class AccountTaken(UserError):
    """Another member has linked the same account."""

    def __init__(self, broker: str) -> None:
        super().__init__(
            f"This {broker.title()} account is linked by another member already, so nothing was linked. They were "
            "told; they have to `/unlink` it first."
        )


class SignInExpired(UserError):
    """The browser has begun no such sign-in, or it was used already, or ten minutes have passed."""

    def __init__(self) -> None:
        super().__init__("This sign-in has ended. Open the link in Discord again; if it is too old, type `/link`.")


class SignInDenied(UserError):
    """The person did not let Discord say who they are."""

    def __init__(self) -> None:
        super().__init__("You were not signed in, so nothing was linked. Type `/link` in Discord to begin again.")


class SignedOut(UserError):
    """Nobody is signed in with the browser that asks, or not any more."""

    def __init__(self) -> None:
        super().__init__("You are not signed in here. Type `/link` in Discord to begin again.")


class OtherVersion(UserError):
    """What was pressed belongs to an earlier or a later version of the bot."""

    def __init__(self) -> None:
        super().__init__("This button is from another version of me. Run its command again.")


class BrokerError(PulseError):
    """A broker did not do what it was asked."""


class BrokerRejected(BrokerError):
    """The broker said no, in its own words."""


class BrokerUnavailable(BrokerError):
    """The broker was not reached, so nothing was sent, or a read failed; safe to repeat."""


class TokenUnreadable(BrokerError):
    """What is kept encrypted does not open with any of our keys."""

    def __init__(self) -> None:
        super().__init__(
            "Your link cannot be read: its key is missing from SECRET_KEYS. The operator has to put it back; "
            "`/link` makes the link anew."
        )


class OutcomeUnknown(BrokerError):
    """The broker may or may not have taken the order."""


class DuplicateOrder(OutcomeUnknown):
    """The broker has an order under our id already."""


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


class FeedSignedOut(FeedUnavailable):
    """The source does not know the key or token that it was asked with, or no longer."""


class FeedForbids(FeedUnavailable):
    """What was asked for is not part of the account's subscription or agreements."""


class DiscordAway(PulseError):
    """Discord's sign-in cannot be reached at the moment, or its answer cannot be read."""

    def __init__(self) -> None:
        super().__init__("Discord cannot be reached right now. Open the link in Discord again in a minute.")


class StorageUnavailable(PulseError):
    """The stored files cannot be reached at the moment; safe to repeat."""

    def __init__(self) -> None:
        super().__init__("Our stored files cannot be reached right now. Try again in a minute.")


class DatabaseAway(PulseError):
    """PostgreSQL cannot be reached at the moment; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "Our database cannot be reached right now, so nothing was saved. Try again in a minute; "
            "`/status` shows when it is back."
        )


@contextmanager
def outages_told() -> Iterator[None]:
    """Raise DatabaseAway where PostgreSQL is away."""
    try:
        yield
    except DatabaseUnavailable as error:
        raise DatabaseAway from error
