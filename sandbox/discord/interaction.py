"""One interaction from the press to its last answer, and what a test may await of it."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.discord.message import Message
from sandbox.discord.world import Channel, Json, User

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5


class NoAnswer(AssertionError):
    """The bot did not do in time what the test waited for."""


@dataclass(eq=False)
class Interaction:
    """What a person set off, and how the bot answered so far."""

    id: str
    kind: int
    user: User
    channel: Channel
    data: Json
    owners: dict[str, str]
    nonce: str = ""
    source: Message | None = None
    parent: "Interaction | None" = None
    command_text: str | None = None
    token: str = ""
    created: float = field(default_factory=time.monotonic)
    answered: int | None = None
    answered_after_s: float | None = None
    failed: bool = False
    expired: bool = False
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    final: Message | None = None
    modal_shown: Json | None = None
    choices_shown: list[Json] | None = None
    _waiting: set[asyncio.Future[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.token = f"{self.id}.{secrets.token_urlsafe(48)}"

    @property
    def user_install_only(self) -> bool:
        return "0" not in self.owners

    def metadata(self) -> Json:
        """The `interaction_metadata` of messages that answer."""
        metadata: Json = {
            "id": self.id,
            "type": self.kind,
            "user": self.user.wire(),
            "authorizing_integration_owners": self.owners,
        }
        if self.kind == COMPONENT and self.source is not None:
            metadata["interacted_message_id"] = self.source.id
        if self.kind == MODAL_SUBMIT and self.parent is not None:
            metadata["triggering_interaction_metadata"] = self.parent.metadata()
        if self.kind == COMMAND:
            metadata |= {"name": self.data["name"], "command_type": self.data.get("type", 1)}
        return metadata

    # What the stand-in reports.

    def changed(self) -> None:
        """Wake whoever waits."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # What a test awaits.

    async def acknowledged(self, within: float = 3.5) -> int:
        """Wait for the first answer and return its callback type (4 message, 5 deferred, 6, 7 update, 8, 9 modal)."""
        await self._until(lambda: self.answered is not None, "a first answer", within)
        assert self.answered is not None
        return self.answered

    async def message(self, within: float = 10) -> Json:
        """Wait for the message that the person reads in the end: the answer, or what replaced "is thinking…".

        For a button it is the message that was updated. The object is Discord's message object.
        """
        await self._until(lambda: self.final is not None, "a message", within)
        assert self.final is not None
        return self.final.page()

    async def followup(self, number: int = 0, within: float = 10) -> Json:
        """Wait for a further message, the first by default."""
        await self._until(lambda: len(self.followups) > number, f"follow-up {number}", within)
        return self.followups[number].page()

    async def modal(self, within: float = 3.5) -> Json:
        """Wait for a form to open and return it: custom_id, title, components."""
        await self._until(lambda: self.modal_shown is not None, "a modal", within)
        assert self.modal_shown is not None
        return self.modal_shown

    async def choices(self, within: float = 3.5) -> list[Json]:
        """Wait for the suggestions while typing: a list of name and value."""
        await self._until(lambda: self.choices_shown is not None, "choices", within)
        assert self.choices_shown is not None
        return self.choices_shown

    async def failure(self, within: float = 4) -> None:
        """Wait until the person reads "The application did not respond"."""
        await self._until(lambda: self.failed, "a failure", within)

    async def _until(self, done: Callable[[], bool], what: str, within: float) -> None:
        deadline = time.monotonic() + within
        while not done():
            if self.failed or (left := deadline - time.monotonic()) <= 0:
                raise NoAnswer(f"{self.command_text or self.data} brought no {what}, but {self._so_far()}")
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await asyncio.wait({waiter}, timeout=left)
            finally:
                self._waiting.discard(waiter)

    def _so_far(self) -> str:
        if self.failed:
            return "the application did not respond"
        return "nothing yet" if self.answered is None else f"callback type {self.answered}"
