"""The append-only record of what was shown, pressed, sent and answered."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from db.pool import Connection


async def add(
    conn: Connection, user_id: int, at: datetime, event: str, detail: Mapping[str, Any], order_id: int | None = None
) -> None:
    """Write down one event; `detail` is JSON with money as strings."""
    await conn.execute("SELECT app.add_audit($1, $2, $3, $4, $5)", user_id, at, event, order_id, json.dumps(detail))
