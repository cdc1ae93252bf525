"""How the parts of this process are doing, told by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One part's last word on itself."""

    ok: bool
    detail: str


class Health:
    """What `/status` and `/readyz` read; a part that never reported is not part of this process."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}

    def report(self, name: str, *, ok: bool, detail: str) -> None:
        """Replace what a part says of itself."""
        self._parts[name] = Part(ok, detail)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts that have reported."""
        return self._parts
