"""Where a visitor's way ends, and the words for it: what happened, and what to do next."""

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web

from services import errors

AGAIN = "Type /link in Discord to begin again."


class Stop(NamedTuple):
    """One page of words."""

    status: int
    title: str
    happened: str
    next: str


STOPS: Mapping[str, Stop] = {
    "cancelled": Stop(200, "You stopped here", "Nothing was linked, and you are signed out of this page.", AGAIN),
    "link-ended": Stop(
        410,
        "This link has ended",
        "A link works once and for five minutes, and a newer one replaces it.",
        "If your account already shows in Discord, all is well. If not, type /link there again.",
    ),
    "sign-in-ended": Stop(
        410,
        "This sign-in has ended",
        "It began in another browser, was used already, or took more than ten minutes. Nothing was linked.",
        "Open the link in Discord again. If that shows this page once more, choose “Open in browser” in the menu of "
        "the window in which it opens. After five minutes, type /link for a new one.",
    ),
    "sign-in-denied": Stop(
        403, "You did not sign in", "Discord says that you cancelled, so nothing was linked.", AGAIN
    ),
    "signed-out": Stop(
        401,
        "Nobody is signed in here",
        "You are signed out after 30 minutes without a click, and another browser does not know you. Nothing was "
        "linked.",
        "Type /link in Discord and do all steps in the same browser. If you did not begin this yourself, somebody may "
        "have tried to link your broker account to theirs: close this page.",
    ),
    "wrong-person": Stop(
        403,
        "This link is somebody else’s",
        "The Discord account that you signed in with did not ask for it. The link is void, nothing was linked, and "
        "both accounts are told.",
        "If somebody sent you the link, they may have wanted your broker account linked to theirs: close this page. If "
        "both accounts are yours, type /link with the one that you sign in with.",
    ),
    "denied": Stop(
        403, "Your broker gave no access", "You cancelled there, or it does not allow this. Nothing was linked.", AGAIN
    ),
    "taken": Stop(
        409,
        "This account is linked already",
        "Another member has linked the same broker account. Nothing was changed, and both are told in Discord.",
        "If the other member is you, type /unlink there first. If not, change your password at the broker.",
    ),
    "broker-away": Stop(
        502,
        "Your broker did not answer",
        "It let you in, but could not be asked for the rest. Nothing was linked.",
        "Type /link in Discord again in a few minutes.",
    ),
    "discord-away": Stop(
        502,
        "Discord did not answer",
        "So we do not know who you are. Nothing was linked.",
        "Open the link again in a minute.",
    ),
    "database-away": Stop(
        503,
        "One moment, please",
        "Our database cannot be reached right now, so nothing was linked.",
        "Open the link in Discord again in a minute. If it has ended by then, type /link for a new one.",
    ),
    "broken": Stop(
        500,
        "Something broke on our side",
        "Nothing more is known yet; the operator’s log has the details.",
        "Type /link in Discord to try again, and tell the operator the reference if it stays so.",
    ),
    "foreign-form": Stop(
        403,
        "This did not come from our page",
        "A button was pressed on a page of another site, of another browser, or on one that is too old.",
        "Open the link in Discord again.",
    ),
    "too-often": Stop(
        429, "A little slower, please", "There were too many requests from here.", "Try again in a minute."
    ),
    "nowhere": Stop(404, "There is nothing here", "No page has this address.", "Open the link in Discord again."),
    "refused": Stop(
        400, "That did not work", "The request is not one that our pages make.", "Open the link in Discord again."
    ),
}
_OF_ERRORS: Mapping[type[BaseException], str] = {
    errors.LinkExpired: "link-ended",
    errors.LinkDenied: "denied",
    errors.WrongPerson: "wrong-person",
    errors.AccountTaken: "taken",
    errors.BrokerError: "broker-away",
    errors.SignInExpired: "sign-in-ended",
    errors.SignInDenied: "sign-in-denied",
    errors.SignedOut: "signed-out",
    errors.DiscordAway: "discord-away",
    errors.DatabaseAway: "database-away",
    web.HTTPForbidden: "foreign-form",
    web.HTTPTooManyRequests: "too-often",
    web.HTTPNotFound: "nowhere",
}


def name_of(error: BaseException) -> str:
    """Return which of STOPS an error leads to."""
    for kind, name in _OF_ERRORS.items():
        if isinstance(error, kind):
            return name
    return "refused" if isinstance(error, web.HTTPException | errors.PulseError) else "broken"
