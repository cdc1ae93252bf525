"""What people are told about their links to brokers, and what the audit keeps of it: all of it P0 and private."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from db import audit
from db.link_models import AuthorizedLink, BrokerConnection, LinkRequest, SealedLink
from db.models import Notice, Place, Urgency
from db.pool import Connection
from services import notices

BEHIND_ANSWER_S = 1.0
_WHY = {
    "refused": "{} does not take our access any more: it was withdrawn or has ended.",
    "ended": "{} does not renew our access: it was withdrawn or has ended.",
    "expired": "{} gives access for a limited time, and that is over.",
}


def told_of(link: BrokerConnection, state: str | None = None) -> dict[str, Any]:
    """Return a link as notices tell of it; `state` is what became of one that is gone."""
    return {
        "id": link.id,
        "broker": link.broker,
        "label": link.label,
        "mode": link.mode,
        "state": state or link.state,
        "scopes": list(link.scopes),
    }


async def tell_made(conn: Connection, link: SealedLink) -> None:
    """Tell of a link that has come from its broker."""
    await _write_down(conn, link.connection, "link made")
    key = f"{link.connection.id}:{link.version}"
    await notices.write(conn, _of_link(link.connection, key, told_of(link.connection), link.place))


async def tell_activated(conn: Connection, link: SealedLink) -> None:
    """Tell of a link that is used from now on; the answer to the press says it first."""
    await _write_down(conn, link.connection, "link activated")
    told = _of_link(link.connection, f"{link.connection.id}:{link.version}", told_of(link.connection), link.place)
    await notices.write(conn, told, after_s=BEHIND_ANSWER_S)


async def tell_removed(conn: Connection, link: BrokerConnection, place: Place, what: str) -> None:
    """Tell of a link that its owner has "discarded" or "unlinked"; the answer to the press says it first."""
    await _write_down(conn, link, f"link {what}")
    told = _of_link(link, f"{link.id}:{what}", told_of(link, what), place)
    await notices.write(conn, told, after_s=BEHIND_ANSWER_S)


async def tell_late(conn: Connection, link: BrokerConnection) -> None:
    """Tell of a link that was not activated in time."""
    await _write_down(conn, link, "link discarded", "late")
    payload = {**told_of(link, "discarded"), "why": "late"}
    await notices.write(conn, _of_link(link, f"{link.id}:late", payload, Place(dm=True)))


async def tell_signed_out(conn: Connection, link: BrokerConnection, version: int, why: str) -> None:
    """Tell of a link that its broker has "refused" or "ended", or whose time has "expired"."""
    await _write_down(conn, link, "link signed out", why)
    payload = {**told_of(link), "why": _WHY[why].format(link.broker.title())}
    await notices.write(conn, _notice("link.signed_out", f"{link.id}:{version}", link.user_id, payload))


async def tell_misuse(conn: Connection, request: LinkRequest, place: Place, other: int) -> None:
    """Tell both that somebody's way to a broker was opened by somebody else."""
    for user_id, why, where in (
        (request.user_id, "wrong_person_owner", place),
        (other, "wrong_person_other", None),
    ):
        payload = {"why": why, "broker": request.broker}
        await notices.write(conn, _notice("link.refused", f"{request.id}:{why}", user_id, payload, where))


async def tell_taken(conn: Connection, back: AuthorizedLink, present: BrokerConnection) -> None:
    """Tell both that a member's account was to be linked by another; neither learns who the other is."""
    for user_id, why, where, label in (
        (back.request.user_id, "taken_new", back.place, {}),
        (present.user_id, "taken_owner", None, {"label": present.label}),
    ):
        payload = {"why": why, "broker": present.broker, **label}
        await notices.write(conn, _notice("link.refused", f"{back.request.id}:{why}", user_id, payload, where))


def _of_link(link: BrokerConnection, key: str, payload: Mapping[str, Any], place: Place) -> Notice:
    return _notice("link", key, link.user_id, payload, place, subject=str(link.id))


def _notice(
    kind: str, key: str, user_id: int, payload: Mapping[str, Any], place: Place | None = None, subject: str = ""
) -> Notice:
    place = place or Place(dm=True)
    return Notice(
        urgency=Urgency.P0, kind=kind, key=key, place=place, payload=payload, user_id=user_id, subject=subject
    )


async def _write_down(conn: Connection, link: BrokerConnection, event: str, why: str = "") -> None:
    detail = {"link": link.id, "broker": link.broker, "label": link.label, "mode": link.mode}
    await audit.add(conn, link.user_id, datetime.now(UTC), event, {**detail, "why": why} if why else detail)
