"""What time it is at a source, by its answers."""

import email.utils
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta


class SourceClock:
    """Goes on from the last moment that the source told; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the time at the source (aware UTC); ours before it has told one."""
        if self._told is None:
            return datetime.now(UTC)
        said, at = self._told
        return said + timedelta(seconds=self._clock() - at)

    def heard(self, at: datetime) -> None:
        """Take note of a moment (aware UTC) that the source told: the time there cannot be earlier."""
        if at > self.now():
            self._told = (at, self._clock())

    def note(self, headers: Mapping[str, str]) -> None:
        """Take over the time of an HTTP answer, if it has one."""
        try:
            said = email.utils.parsedate_to_datetime(headers.get("Date", "")).astimezone(UTC)
            # A cache in between keeps the date and adds the age.
            said += timedelta(seconds=int(headers.get("Age", "0")))
        except ValueError:
            return
        # The header is cut to the second: an estimate inside that second is finer than it.
        if self._told is None or not timedelta(0) <= self.now() - said < timedelta(seconds=1):
            self._told = (said, self._clock())
