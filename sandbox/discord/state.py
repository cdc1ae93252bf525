"""What the stand-in remembers, and the one queue through which everything is told."""

from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from sandbox.discord.faults import Faults
from sandbox.discord.gateway import Gateway
from sandbox.discord.interaction import Interaction
from sandbox.discord.message import Attachment, Message
from sandbox.discord.pages import Pages
from sandbox.discord.world import Channel, Json, User, World, opening_bell
from sandbox.grants import Client, Grants

MESSAGES_KEPT = 500
ATTACHMENTS_KEPT = 300
INTERACTIONS_KEPT = 5_000
MODALS_KEPT = 500
REQUESTS_KEPT = 10_000
LOGIN_S = 604_800.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A recorded request of the bot with our answer; the body of a multipart request is its `payload_json`."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any
    files: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class State:
    """Everything behind the routes.

    `token` and `client_secret` None accept any that is not empty, `redirects` () any address of the web; `record` keeps
    `requests`; `elsewhere` tells the page that the bot is on another Discord.
    """

    token: str | None = None
    base_url: str = ""
    application_id: str | None = None
    client_secret: str | None = None
    redirects: tuple[str, ...] = ()
    record: bool = False
    elsewhere: bool = False
    rate_limits: bool = True
    privileged_intents: int = 0
    answer_window_s: float = 3.0
    token_lifetime_s: float = 900.0
    world: World = field(init=False)
    gateway: Gateway = field(init=False)
    faults: Faults = field(init=False)
    pages: Pages = field(init=False)
    logins: Grants = field(init=False)
    requests: deque[Exchange] = field(init=False)
    unknown_requests: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.world = opening_bell(self.application_id)
        self.gateway = Gateway(self.world, self.accepts, self.privileged_intents)
        self.faults = Faults(self.gateway)
        self.pages = Pages(self.world)
        client = Client(self.world.application_id, self.client_secret, self.redirects)
        self.logins = Grants(client, LOGIN_S, refreshes=True, token=lambda: token_urlsafe(22))
        self.gateway.on_presence = lambda online: self.pages.publish("BOT_PRESENCE", {"online": online})
        self.requests = deque(maxlen=REQUESTS_KEPT)
        self.unknown_requests = []
        self.commands: dict[str, Json] = {}
        self.interactions: dict[str, Interaction] = {}
        self.modals: dict[tuple[str, str], Interaction] = {}
        self.attachments: dict[str, Attachment] = {}
        self._messages: dict[str, dict[str, Message]] = {}
        self._queue: deque[Callable[[], None]] = deque()

    @property
    def bot_token(self) -> str:
        """The token to give to the bot; its first part holds the application id, which some clients read."""
        return self.token or f"{b64encode(self.world.application_id.encode()).decode()}.sandbox.no-secret-here"

    def accepts(self, token: str) -> bool:
        """Whether this is the token of the bot."""
        return bool(token) and self.token in {None, token}

    def after_answer(self, tell: Callable[[], None]) -> None:
        """Tell something once the answer under way has been written, in the order of these calls."""
        self._queue.append(tell)

    def flush(self) -> None:
        """Tell everything that waits."""
        while self._queue:
            self._queue.popleft()()

    def messages_in(self, channel: Channel) -> dict[str, Message]:
        """The messages of a channel by id, oldest first, ephemeral ones included."""
        return self._messages.setdefault(channel.id, {})

    def seen_by(self, channel: Channel, user: User) -> list[Message]:
        """What this user may read here, oldest first."""
        if not channel.seen_by(user):
            return []
        return [message for message in self.messages_in(channel).values() if message.owner in {None, user.id}]

    def keep_message(self, message: Message) -> None:
        kept = self.messages_in(message.channel)
        kept[message.id] = message
        message.channel.last_message_id = message.id
        trim(kept, MESSAGES_KEPT)

    def keep_attachment(self, attachment: Attachment) -> None:
        self.attachments[attachment.id] = attachment
        trim(self.attachments, ATTACHMENTS_KEPT)

    def keep_modal(self, interaction: Interaction, custom_id: str) -> None:
        """Remember which form is open before whom, until it is answered."""
        self.modals[interaction.user.id, custom_id] = interaction
        trim(self.modals, MODALS_KEPT)

    def keep_interaction(self, interaction: Interaction) -> None:
        self.interactions[interaction.id] = interaction
        trim(self.interactions, INTERACTIONS_KEPT)

    def expire_tokens(self) -> None:
        """Let every interaction's token be older than its 15 minutes."""
        for interaction in self.interactions.values():
            interaction.expired = True

    def by_token(self, token: str) -> Interaction | None:
        """The interaction that a webhook token belongs to; the token begins with the id."""
        interaction = self.interactions.get(token.partition(".")[0])
        return interaction if interaction is not None and interaction.token == token else None


def trim(kept: dict[Any, Any], most: int) -> None:
    """Forget the oldest entries beyond `most`."""
    while len(kept) > most:
        del kept[next(iter(kept))]
