"""How often one visitor may ask: a burst, then an even pace; nobody is locked out, whatever others do in their name."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_REMEMBERED = 20_000


class Pace:
    """Allows each key `burst` uses at once and then one in each `every_s` seconds."""

    def __init__(self, burst: int, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._slack_s = (burst - 1) * every_s
        self._paid_until: OrderedDict[Hashable, float] = OrderedDict()

    def wait_s(self, key: Hashable) -> float:
        """Count a use and return 0, or return the seconds to wait until the next is allowed."""
        now = self._clock()
        paid_until = max(self._paid_until.get(key, now), now)
        if (wait_s := paid_until - self._slack_s - now) > 0:
            return wait_s
        self._paid_until[key] = paid_until + self._every_s
        self._paid_until.move_to_end(key)
        if len(self._paid_until) > MOST_REMEMBERED:
            self._paid_until.popitem(last=False)
        return 0.0

    def forget(self) -> None:
        """Forget who has asked."""
        self._paid_until.clear()
