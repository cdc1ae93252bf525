"""Every answer to an interaction: within three seconds, exactly once, and in words when something went wrong."""

import asyncio
import io
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import discord
import structlog
from discord import app_commands

from bot import audience
from bot.audience import Audience
from bot.client import PulseBot
from services.errors import LimitReached, OtherVersion, PulseError

# Discord waits three seconds for a first answer; this leaves it two for the way there, and one retry.
PATIENCE_S = 1.0
DEADLINE_S = 30.0
QUICK_DEADLINE_S = 1.5
TRIES = 4

ALREADY_ANSWERED = 40060
UNKNOWN_INTERACTION = 10062
UNKNOWN_WEBHOOK = 10015
INVALID_WEBHOOK_TOKEN = 50027
UNKNOWN_MESSAGE = 10008
MALFORMED = 400

log = structlog.get_logger(__name__)

Interaction = discord.Interaction[PulseBot]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file under a reply; `description` is read to people who do not see it."""

    filename: str
    data: bytes
    description: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person gets to see; the first line of `content` is what a push notification shows."""

    content: str = ""
    embed: discord.Embed | None = None
    view: discord.ui.View | None = None
    attachment: Attachment | None = None
    private: bool = False
    form: discord.ui.Modal | None = None
    """A form to open instead of a message; only for work that is answered as `quick`."""
    overtaken: "Callable[[], Awaitable[Reply | None]] | None" = None
    """Asked once this reply is out: a newer one, if a notice may have shown more in the same message meanwhile."""
    is_problem: bool = field(default=False, kw_only=True)
    """A problem never replaces the message whose button was pressed."""


async def answer(
    interaction: Interaction, work: Awaitable[Reply], *, edit: bool = False, private: bool = False, quick: bool = False
) -> None:
    """Answer an interaction with what `work` returns, deferring first when it takes long.

    `edit` puts the reply into the message whose button was pressed; `private` keeps a deferred answer to the person,
    and so does the person's own wish, which new messages follow.
    `quick` never defers, because a form cannot follow a deferral; slow work ends as a problem instead.
    A second delivery of the same interaction is ignored.
    """
    if not interaction.client.first_time(interaction.id):
        asyncio.ensure_future(work).cancel()
        return
    reference = secrets.token_hex(4)
    if task := asyncio.current_task():
        interaction.client.answering.add(task)
        task.add_done_callback(interaction.client.answering.discard)
    with structlog.contextvars.bound_contextvars(trace=reference, interaction=interaction.id, user=interaction.user.id):
        delivery, deferring = _Delivery(interaction, edit=edit), list[asyncio.Task[None]]()

        def readers() -> Audience:
            return audience.decide(interaction, edit=edit, private=private)

        def defer() -> None:
            deferring.append(asyncio.create_task(delivery.defer(private=readers().hidden)))

        waiting = None if quick else asyncio.get_running_loop().call_later(PATIENCE_S, defer)
        reply = await _outcome(interaction, readers, work, reference, QUICK_DEADLINE_S if quick else DEADLINE_S)
        if waiting:
            waiting.cancel()
        for task in deferring:
            await task
        reply = replace(
            reply,
            content=reply.content + audience.notes(interaction),
            private=reply.private or (readers().hidden and not edit),
        )
        if not await delivery.send(reply):
            # Discord takes the answer for malformed: our fault, of which the person must not hear by silence.
            await delivery.send(_broken(reference))
        log.info("answered", command=_name(interaction), problem=reply.is_problem, deferred=bool(deferring))
        await _catch_up(delivery, reply)


def problem(text: str, view: discord.ui.View | None = None) -> Reply:
    """Return the private reply that tells a person what went wrong and what to do, a line for each reason."""
    content = "\n".join(f"⚠️ {line}" for line in text.splitlines())
    return Reply(content=content, view=view, private=True, is_problem=True)


def _cure(error: PulseError) -> discord.ui.View | None:
    """Return the button that leads on from an error, told by its custom id alone: the views build on this file."""
    if not isinstance(error, LimitReached):
        return None
    return discord.ui.View(timeout=None).add_item(discord.ui.Button(label="See plans", custom_id="plan:show"))


def _broken(reference: str) -> Reply:
    return problem(
        f"Something broke on our side. Try again; if it stays, tell the operator this reference: **{reference}**."
    )


async def _outcome(
    interaction: Interaction, readers: Callable[[], Audience], work: Awaitable[Reply], reference: str, deadline_s: float
) -> Reply:
    try:
        async with asyncio.timeout(deadline_s):
            await interaction.client.services.people.preferences(interaction.user.id)
            readers()
            return await work
    except PulseError as error:
        log.info("refused", error=type(error).__name__, reason=str(error))
        return problem(str(error), _cure(error))
    except TimeoutError:
        log.exception("too slow")
        return problem(f"That took too long and was stopped. Try again in a minute. Reference {reference}.")
    except Exception:
        log.exception("unexpected error")
        return _broken(reference)


async def _catch_up(delivery: "_Delivery", reply: Reply) -> None:
    newer: Reply | None = reply
    while newer and newer.overtaken:
        try:
            newer = await newer.overtaken()
        except PulseError as error:
            log.warning("answer not checked again", reason=str(error))
            return
        if newer:
            await delivery.send(newer)


class _Delivery:
    """Brings one reply to Discord, whether or not an earlier attempt arrived."""

    def __init__(self, interaction: Interaction, *, edit: bool) -> None:
        self._interaction = interaction
        self._edit = edit
        self._acknowledged = False

    async def defer(self, *, private: bool) -> None:
        response = self._interaction.response
        try:
            await response.defer(ephemeral=private, thinking=not self._edit)
        except discord.HTTPException as error:
            self._acknowledged = error.code == ALREADY_ANSWERED
            log.warning("defer failed", status=error.status, code=error.code)
        except (aiohttp.ClientError, OSError) as error:
            log.warning("defer failed", error=repr(error))
        else:
            self._acknowledged = True

    async def send(self, reply: Reply) -> bool:
        """Bring the reply; False when Discord refuses what it says, rather than when it cannot be brought."""
        in_doubt = False
        for attempt in range(TRIES):
            first = not self._acknowledged
            try:
                await (self._first(reply) if first else self._later(reply))
            except discord.HTTPException as error:
                if error.code == ALREADY_ANSWERED and in_doubt:
                    self._acknowledged = True
                    return True  # it had arrived
                if not self._may_repeat(error):
                    return error.status != MALFORMED
            except (aiohttp.ClientError, OSError) as error:
                log.warning("answer interrupted", error=repr(error), attempt=attempt)
            else:
                self._acknowledged = True
                return True
            # A first answer that may have arrived is sent again: a second one is refused, and that tells.
            in_doubt = first
            await asyncio.sleep(0.1 * 2**attempt)
        return True

    def _may_repeat(self, error: discord.HTTPException) -> bool:
        if error.code == ALREADY_ANSWERED:
            self._acknowledged = True
            return True
        if error.code == UNKNOWN_MESSAGE and self._acknowledged:
            self._acknowledged = False
            return True
        if error.code in {UNKNOWN_INTERACTION, UNKNOWN_WEBHOOK, INVALID_WEBHOOK_TOKEN}:
            log.warning("interaction expired before its answer", code=error.code)
        elif error.status < 500:
            log.error("answer refused", status=error.status, code=error.code, text=error.text)
        return error.status >= 500

    async def _first(self, reply: Reply) -> None:
        response = self._interaction.response
        if reply.form:
            await response.send_modal(reply.form)
            return
        if self._edit and not reply.is_problem:
            files = files_of(reply)
            await response.edit_message(content=reply.content, embed=reply.embed, view=reply.view, attachments=files)
            return
        arguments: dict[str, Any] = {"content": reply.content, "ephemeral": reply.private}
        # an embed weighs all of its parts to tell whether it is true
        arguments |= {k: v for k, v in (("embed", reply.embed), ("view", reply.view)) if v is not None}
        if files := files_of(reply):
            arguments["files"] = files
        await response.send_message(**arguments)

    async def _later(self, reply: Reply) -> None:
        if reply.form:  # it is open already: the answer to its opening was lost on the way back
            return
        if self._edit and reply.is_problem:
            view = reply.view or discord.utils.MISSING
            await self._interaction.followup.send(content=reply.content, ephemeral=True, view=view)
            return
        await self._interaction.edit_original_response(
            content=reply.content, embed=reply.embed, view=reply.view, attachments=files_of(reply)
        )


async def unclaimed(interaction: Interaction) -> None:
    """Answer a press that no button of this process knows."""
    await answer(interaction, _raising(OtherVersion()))


class Tree(app_commands.CommandTree[PulseBot]):
    """discord.py's command tree, whose errors all end as words."""

    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Let a command through; a completion that is delivered twice only once."""
        return interaction.type is not discord.InteractionType.autocomplete or interaction.client.first_time(
            interaction.id
        )

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        """Answer what failed before a command began: its options, or a command that this process does not know."""
        cause = (
            error.__cause__
            if isinstance(error, app_commands.TransformerError | app_commands.CommandInvokeError)
            else error
        )
        if isinstance(error, app_commands.CommandNotFound):
            cause = PulseError("That command has just changed. Wait a minute, reload Discord and try it again.")
        await answer(interaction, _raising(cause or error), private=True)


async def _raising(error: BaseException) -> Reply:
    raise error


def files_of(reply: Reply) -> list[discord.File]:
    if reply.attachment is None:
        return []
    picture = reply.attachment
    return [discord.File(io.BytesIO(picture.data), picture.filename, description=picture.description)]


def _name(interaction: Interaction) -> str:
    if interaction.command:
        return f"/{interaction.command.qualified_name}"
    data: Mapping[str, Any] = interaction.data or {}
    return str(data.get("custom_id", "?"))
