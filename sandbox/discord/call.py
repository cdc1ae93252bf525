"""One request of the bot as the routes see it, and the table entry that leads there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import md5
from typing import Any

from sandbox.discord.message import Uploads
from sandbox.discord.rules import Refusal
from sandbox.discord.state import State
from sandbox.discord.world import Json, User


@dataclass(slots=True)
class Call:
    """A request whose body was read and whose sender is known."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    uploads: Uploads = field(default_factory=dict)
    authorization: str = ""
    user: User | None = None
    """Whose OAuth2 token it bears; None: the bot's, or none."""

    @property
    def fields(self) -> Json:
        """The body as an object; none at all counts as an empty one."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise Refusal(400, 50035, "Invalid Form Body")
        return self.body

    def flag(self, name: str) -> bool:
        """A switch in the query string."""
        return self.query.get(name, "").lower() in {"true", "1"}


@dataclass(frozen=True, slots=True)
class Created:
    """An answer with status 201."""

    answer: Json


Handler = Callable[[State, Call], Any]


@dataclass(frozen=True)
class Route:
    """A route: its handler returns the JSON to answer (None for 204).

    `token` routes carry their right in the path or the body; `bearer` ones are open to people too, by OAuth2; `form`
    ones take nothing but a form.
    """

    method: str
    path: str
    handler: Handler
    limit: int = 50
    window_s: float = 1.0
    token: bool = False
    bearer: bool = False
    form: bool = False

    @property
    def unlimited(self) -> bool:
        """Callbacks are not counted: each token takes one."""
        return self.path.endswith("/callback")

    @cached_property
    def bucket(self) -> str:
        """What X-RateLimit-Bucket calls this route."""
        return md5(f"{self.method} {self.path}".encode(), usedforsecurity=False).hexdigest()
