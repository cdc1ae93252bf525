"""Alerts that went off: how what was judged is stored, and how its people are told."""

from collections.abc import Sequence
from datetime import datetime

from db import alerts
from db.alerts import Judgement
from db.models import Firing, Notice, Urgency
from db.pool import Connection
from services import notices
from services.clock import NEW_YORK
from services.crossings import Change, Fired

LATE_S = 2.0


async def store(conn: Connection, changes: Sequence[Change], late_at: datetime | None) -> None:
    """Store what became of alerts and tell whom it concerns; `late_at` is the time if the trades were missed live."""
    judged = [Judgement(c.alert, c.state, c.armed, c.tick.at, c.tick.trade_id, c.tick.price) for c in changes]
    still = await alerts.set_judged(conn, judged)
    fired = [
        (change, _firing(fired, late_at)) for change in changes if change.alert.id in still for fired in change.fired
    ]
    if fired:
        await alerts.add_firings(conn, [(change.alert, firing) for change, firing in fired])
    for change, firing in fired:
        await notices.write(conn, _notice(change, firing))


def _firing(fired: Fired, late_at: datetime | None) -> Firing:
    tick = fired.tick
    late_s = (late_at - tick.at).total_seconds() if late_at else 0.0
    return Firing(
        key=f"{fired.alert.token}:{tick.at.isoformat()}:{tick.trade_id}",
        at=tick.at,
        price=tick.price,
        before=fired.before,
        late_s=late_s if late_s >= LATE_S else 0.0,
        gap=tick.at.astimezone(NEW_YORK).date() > fired.before_at.astimezone(NEW_YORK).date(),
    )


def _notice(change: Change, firing: Firing) -> Notice:
    alert = change.alert
    return Notice(
        urgency=Urgency.P1,
        kind="alert",
        key=firing.key,
        place=alert.place,
        user_id=alert.user_id,
        private=False,
        payload={
            "token": alert.token,
            "symbol": alert.symbol,
            "condition": alert.condition,
            "level": str(alert.level),
            "price": str(firing.price),
            "before": str(firing.before),
            "at": firing.at.isoformat(),
            "late_s": firing.late_s,
            "gap": firing.gap,
            "always": alert.always,
            "state": change.state,
        },
    )
