"""Queries on notices and on the channels that refuse them; PostgreSQL's clock is the only one that counts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from db.models import DueNotice, Notice, NoticeState, Place, TakenNotice, Urgency
from db.pool import Connection

_CLAIMING = 0x6E6F7469  # "noti"
_COLUMNS = """
notices.id, urgency, kind, key, notices.user_id, subject, private, place, payload, notices.created_at,
coalesce((
    SELECT coalesce(numbers, locale) FROM app.profiles LEFT JOIN app.preferences USING (user_id)
    WHERE profiles.user_id = notices.user_id
), 'en-US') AS locale
"""
_TAKE = f"""
WITH chosen AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS chosen (id, digest)),
first AS (
    SELECT chosen.id, older.nonce FROM chosen JOIN app.notices AS newer USING (id)
    CROSS JOIN LATERAL (
        SELECT nonce FROM app.notices AS tried
        WHERE tried.kind = newer.kind AND tried.subject = newer.subject AND tried.subject <> ''
            AND tried.user_id IS NOT DISTINCT FROM newer.user_id
            AND tried.state = 'waiting' AND tried.tries > 0 AND tried.id < newer.id
        ORDER BY tried.id LIMIT 1
    ) AS older
)
UPDATE app.notices SET bot = $3, due_at = now() + $4::interval, tries = tries + 1, digest = chosen.digest,
    nonce = coalesce(first.nonce, notices.nonce)
FROM chosen LEFT JOIN first USING (id) WHERE notices.id = chosen.id
RETURNING {_COLUMNS}, place_key, notices.nonce, tries, notices.digest, first.nonce IS NOT NULL AS inherited,
    (SELECT channel_id FROM app.direct_channels AS opened WHERE opened.user_id = notices.user_id) AS direct,
    EXISTS (
        SELECT FROM app.refusing_channels AS refusing WHERE closed_at IS NOT NULL
        AND refusing.channel_id = (place ->> 'channel_id')::bigint
    ) AS closed,
    (
        SELECT ARRAY[shown.channel_id, shown.message_id] FROM app.notices AS shown
        WHERE shown.kind = notices.kind AND shown.subject = notices.subject AND shown.subject <> ''
            AND shown.user_id IS NOT DISTINCT FROM notices.user_id
            AND shown.state = 'sent' AND shown.message_id IS NOT NULL
        ORDER BY shown.id DESC LIMIT 1
    ) AS shown
"""  # noqa: S608 a constant of ours


def place_json(place: Place) -> dict[str, Any]:
    """Return a place as it is kept in jsonb."""
    interaction = None
    if place.token:
        expires = place.token_expires_at.isoformat() if place.token_expires_at else None
        interaction = {"token": place.token, "expires_at": expires}
    return {
        "channel_id": place.channel_id,
        "guild_id": place.guild_id,
        "message_id": place.message_id,
        "interaction": interaction,
        "dm": place.dm,
    }


def place_of(kept: Mapping[str, Any]) -> Place:
    """Return the place that `place_json` made."""
    interaction = kept.get("interaction") or {}
    expires = interaction.get("expires_at")
    return Place(
        channel_id=kept.get("channel_id"),
        guild_id=kept.get("guild_id"),
        message_id=kept.get("message_id"),
        token=interaction.get("token"),
        token_expires_at=datetime.fromisoformat(expires) if expires else None,
        dm=bool(kept.get("dm")),
    )


async def add_notice(conn: Connection, notice: Notice, after: timedelta) -> int | None:
    """Add a notice and tell the bots; returns its id, None where its key was there."""
    added: int | None = await conn.fetchval(
        "SELECT app.add_notice($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        notice.urgency,
        notice.kind,
        notice.key,
        notice.user_id,
        notice.subject,
        notice.private,
        json.dumps(place_json(notice.place)),
        json.dumps(notice.payload),
        after,
    )
    return added


async def lock_claims(conn: Connection, urgency: Urgency) -> None:
    """Let one claim of a class follow the other, so that two bots never take one subject."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", (_CLAIMING << 8) + int(urgency[1]))


async def list_due(conn: Connection, urgency: Urgency, most: int) -> list[DueNotice]:
    """Return due notices, oldest first, without those whose subject another bot is just showing."""
    rows = await conn.fetch(
        """
        SELECT id, place_key, kind, subject, user_id, tries, digest FROM app.notices AS due
        WHERE state = 'waiting' AND urgency = $1 AND due_at <= now() AND (subject = '' OR NOT EXISTS (
            SELECT FROM app.notices AS busy
            WHERE busy.kind = due.kind AND busy.subject = due.subject AND busy.subject <> ''
                AND busy.user_id IS NOT DISTINCT FROM due.user_id
                AND busy.state = 'waiting' AND busy.bot IS NOT NULL AND busy.due_at > now()
        ))
        ORDER BY due_at, id LIMIT $2
        """,
        urgency,
        most,
    )
    return [
        DueNotice(
            row["id"],
            row["place_key"] or "",
            (row["kind"], row["subject"], row["user_id"]) if row["subject"] else None,
            row["tries"],
            row["digest"],
        )
        for row in rows
    ]


async def take_notices(
    conn: Connection, bot: UUID, chosen: Mapping[int, int | None], lease: timedelta
) -> list[TakenNotice]:
    """Lease notices, by id with the digest that each belongs to, in the transaction that listed them."""
    rows = await conn.fetch(_TAKE, list(chosen), list(chosen.values()), bot, lease)
    return [
        TakenNotice(
            _notice(row),
            row["place_key"] or "",
            row["nonce"],
            row["tries"],
            row["digest"],
            row["inherited"],
            tuple(row["shown"]) if row["shown"] else None,
            row["direct"],
            row["closed"],
        )
        for row in sorted(rows, key=lambda row: int(row["id"]))
    ]


async def seconds_to_next(conn: Connection, urgency: Urgency) -> float | None:
    """Return when the next notice of a class is due, in seconds from now; None when none waits."""
    seconds = await conn.fetchval(
        """
        SELECT extract(epoch FROM min(due_at) - now())::float FROM app.notices
        WHERE state = 'waiting' AND urgency = $1
        """,
        urgency,
    )
    return None if seconds is None else float(seconds)


async def renew_leases(conn: Connection, bot: UUID, ids: Sequence[int], lease: timedelta) -> None:
    """Keep what a bot is delivering."""
    await conn.execute(
        """
        UPDATE app.notices SET due_at = now() + $3::interval
        WHERE bot = $1 AND state = 'waiting' AND id = ANY ($2::bigint[])
        """,
        bot,
        list(ids),
        lease,
    )


async def settle_notices(
    conn: Connection,
    bot: UUID,
    ids: Sequence[int],
    state: NoticeState,
    message: tuple[int, int] | None = None,
    error: str | None = None,
) -> None:
    """Store what became of delivered notices; older ones of a subject that now shows a newer one are merged."""
    await conn.execute(
        """
        WITH settled AS (
            UPDATE app.notices SET state = $3, bot = NULL, error = $6, channel_id = $4, message_id = $5,
                delivered_at = CASE WHEN $3 = 'sent' THEN now() END
            WHERE id = ANY ($2::bigint[]) AND bot = $1 AND state = 'waiting'
            RETURNING id, kind, subject, user_id, state
        )
        UPDATE app.notices AS older SET state = 'merged', bot = NULL, delivered_at = now()
        FROM settled
        WHERE older.kind = settled.kind AND older.subject = settled.subject AND older.subject <> ''
            AND older.user_id IS NOT DISTINCT FROM settled.user_id
            AND older.state = 'waiting' AND older.id < settled.id AND settled.state = 'sent'
        """,
        bot,
        list(ids),
        state,
        *(message or (None, None)),
        error,
    )


async def set_back(conn: Connection, bot: UUID, ids: Sequence[int], after: timedelta, error: str) -> None:
    """Let notices be taken again after a while."""
    await conn.execute(
        """
        UPDATE app.notices SET bot = NULL, due_at = now() + $3::interval, error = $4
        WHERE id = ANY ($2::bigint[]) AND bot = $1 AND state = 'waiting'
        """,
        bot,
        list(ids),
        after,
        error,
    )


async def take_missed(conn: Connection, user_id: int) -> list[Notice]:
    """Return what a person could not be told, oldest first, and count it as told."""
    rows = await conn.fetch(
        f"""
        UPDATE app.notices SET state = 'sent', delivered_at = now()
        WHERE user_id = $1 AND state = 'missed' RETURNING {_COLUMNS}
        """,  # noqa: S608 a constant of ours
        user_id,
    )
    return sorted((_notice(row) for row in rows), key=lambda notice: notice.id)


async def list_deliveries(
    conn: Connection, user_id: int, kind: str, keys: Sequence[str]
) -> dict[str, tuple[NoticeState, datetime | None]]:
    """Return by key what became of a person's notices, and when it was delivered."""
    rows = await conn.fetch(
        """
        SELECT key, state, delivered_at FROM app.notices
        WHERE user_id = $1 AND kind = $2 AND key = ANY ($3::text[])
        """,
        user_id,
        kind,
        list(keys),
    )
    return {row["key"]: (NoticeState(row["state"]), row["delivered_at"]) for row in rows}


async def add_direct_channel(conn: Connection, user_id: int, channel_id: int) -> None:
    """Remember the direct channel of a person."""
    await conn.execute(
        "INSERT INTO app.direct_channels (user_id, channel_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        user_id,
        channel_id,
    )


async def add_refusal(conn: Connection, channel_id: int, reason: str, most: int) -> bool:
    """Count a refusal of a channel; tells whether this one closed it, which the `most`-th in a row does."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO app.refusing_channels AS known (channel_id, refusals, reason, closed_at)
            VALUES ($1, 1, $2, CASE WHEN $3 <= 1 THEN now() END)
            ON CONFLICT (channel_id) DO UPDATE SET refusals = known.refusals + 1, reason = excluded.reason,
                closed_at = CASE WHEN known.refusals + 1 >= $3 THEN now() END
                WHERE known.closed_at IS NULL
            RETURNING closed_at IS NOT NULL
            """,
            channel_id,
            reason,
            most,
        )
    )


async def forget_refusals(conn: Connection, channel_id: int, *, closed: bool) -> None:
    """Take a channel for willing again; a closed one only where `closed` says so."""
    await conn.execute(
        "DELETE FROM app.refusing_channels WHERE channel_id = $1 AND (closed_at IS NULL OR $2)", channel_id, closed
    )


async def forget_delivered(conn: Connection, older_than: timedelta) -> None:
    """Remove what was delivered long ago."""
    await conn.execute(
        "DELETE FROM app.notices WHERE state <> 'waiting' AND delivered_at < now() - $1::interval", older_than
    )


async def forget_replaced(conn: Connection, kinds: Sequence[str], older_than: timedelta) -> None:
    """Remove of these kinds what a newer notice of the same subject has replaced for a while."""
    await conn.execute(
        """
        DELETE FROM app.notices AS old
        WHERE kind = ANY ($1::text[]) AND subject <> '' AND state <> 'waiting' AND created_at < now() - $2::interval
            AND EXISTS (
                SELECT FROM app.notices AS newer
                WHERE newer.kind = old.kind AND newer.subject = old.subject
                    AND newer.user_id IS NOT DISTINCT FROM old.user_id AND newer.id > old.id AND newer.state = 'sent'
            )
        """,
        list(kinds),
        older_than,
    )


def _notice(row: Mapping[str, Any]) -> Notice:
    return Notice(
        urgency=Urgency(row["urgency"]),
        kind=row["kind"],
        key=row["key"],
        place=place_of(json.loads(row["place"])),
        payload=json.loads(row["payload"]),
        user_id=row["user_id"],
        subject=row["subject"],
        private=row["private"],
        id=row["id"],
        created_at=row["created_at"],
        locale=row["locale"],
    )
