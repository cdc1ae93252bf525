"""What could not be brought to a person is told under the next thing they ask."""

from collections.abc import Awaitable
from dataclasses import replace

import structlog

from bot.notice_cards import RENDER
from bot.numbers import locale_for
from bot.replies import Interaction, Reply
from services import notices
from services.errors import DatabaseAway

MOST_TOLD = 8

log = structlog.get_logger(__name__)


async def told(interaction: Interaction, work: Awaitable[Reply]) -> Reply:
    """Return the reply with the first lines of what its reader has missed."""
    reply = await work
    locale = locale_for(interaction)
    try:
        missed = await notices.missed(interaction.client.services.database, interaction.user.id)
    except DatabaseAway as error:
        log.warning("missed notices not read", reason=str(error))
        return reply
    if not missed:
        return reply
    lines = [RENDER[notice.kind](notice, locale).content.partition("\n")[0] for notice in missed[-MOST_TOLD:]]
    if left := len(missed) - len(lines):
        lines.append(f"and {left} more before")
    below = "\n".join(f"> {line}" for line in ["📬 **While I could not reach you:**", *lines])
    return replace(reply, content=f"{reply.content}\n{below}")
