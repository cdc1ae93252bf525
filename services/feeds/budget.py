"""How many requests a source still takes, by what its answers say."""

from collections.abc import Callable
from dataclasses import dataclass, replace

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_FARTHEST_RESET_S = 300.0
"""A source that counts by the minute does not mean a later one."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One window of a source's count; `resets_at` is in seconds of the budget's clock."""

    limit: int
    left: int
    resets_at: float


class Budget:
    """Counts down from what the source said last, and stays quiet while it must; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._allowance: Allowance | None = None
        self._under_way = 0
        self._quiet_until = 0.0
        self._pause_s = _FIRST_PAUSE_S

    @property
    def allowance(self) -> Allowance | None:
        """The running window; None where the source has not said, or its window is over."""
        if self._allowance and self._clock() >= self._allowance.resets_at:
            self._allowance = None
        return self._allowance

    def wait_s(self, requests: int = 1, *, kept: int = 0) -> float:
        """Return the seconds until that many requests may be sent and some are `kept`, 0 for now."""
        now, allowance = self._clock(), self.allowance
        full_at = allowance.resets_at if allowance and allowance.left < requests + kept else now
        return max(full_at, self._quiet_until, now) - now

    def spend(self) -> None:
        """Count a request that is being sent."""
        self._under_way += 1
        if allowance := self.allowance:
            self._allowance = replace(allowance, left=max(allowance.left - 1, 0))

    def settle(self) -> None:
        """Count a request that has ended, however it did."""
        self._under_way -= 1

    def note(self, limit: int, left: int, reset_s: float) -> None:
        """Take over what the answer to a request under way says: the seconds are those until it counts anew."""
        resets_at = self._clock() + min(max(reset_s, 0.0), _FARTHEST_RESET_S)
        # The other requests under way were perhaps not counted yet when the source wrote this.
        left = max(left - (self._under_way - 1), 0)
        known = self.allowance
        if known and abs(resets_at - known.resets_at) < 2:
            left = min(left, known.left)
        self._allowance = Allowance(limit, left, resets_at)

    def refused(self, wait_s: float | None) -> float:
        """Stay quiet after "too many requests" for as long as it says, or for longer each time; returns the seconds."""
        if wait_s is None:
            wait_s, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
        wait_s = min(wait_s, _FARTHEST_RESET_S)
        self._quiet_until = max(self._quiet_until, self._clock() + wait_s)
        return wait_s

    def accepted(self) -> None:
        """Forget how often it refused."""
        self._pause_s = _FIRST_PAUSE_S
