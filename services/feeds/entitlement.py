"""Which of a vendor's feeds an account may read, found out by asking for the best one first."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.errors import FeedForbids

F = TypeVar("F")
T = TypeVar("T")


class Entitlement(Generic[F]):
    """Feeds, best first; those that the vendor forbids are not asked for again."""

    def __init__(self, feeds: Sequence[F]) -> None:
        self._left = list(feeds)

    @property
    def best(self) -> F:
        """The best one that has not been forbidden."""
        return self._left[0]

    async def ask(self, question: Callable[[F], Awaitable[T]]) -> T:
        """Return what the best feed answers that the account may read; raises FeedForbids where it may read none."""
        while True:
            feed = self.best
            try:
                return await question(feed)
            except FeedForbids:
                if self.best is feed:  # else somebody has found it out meanwhile
                    if len(self._left) == 1:
                        raise
                    del self._left[0]
