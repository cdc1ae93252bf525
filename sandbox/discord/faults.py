"""Faults on order: what the next connections, requests and interactions shall suffer."""

import time
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord.gateway import INVALID, RECONNECT, Gateway
from sandbox.discord.rules import Refusal
from sandbox.discord.world import Json

RESUMABLE = 4000

WAITING = {
    "duplicate_interactions": (),
    "callback_delay": ("seconds",),
    "callback_refuse": ("status",),
    "rate_limit": ("scope", "retry_after"),
    "server_error": ("status",),
    "old_edits": (),
    "invalid_grant": (),
    "abort": (),
}
AT_ONCE = {"gateway_drop", "gateway_reset", "reconnect", "invalid_session", "gateway_away"}


@dataclass(slots=True)
class Fault:
    """A fault that waits for its occasion, `count` times, on paths that contain `path_contains`."""

    kind: str
    count: int = 1
    path_contains: str = ""
    fields: Json = field(default_factory=dict)

    def wire(self) -> Json:
        return {"kind": self.kind, "count": self.count, "path_contains": self.path_contains, **self.fields}


class Faults:
    """The faults that wait, and the ones that strike the gateway at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._waiting: list[Fault] = []

    def add(self, order: Json) -> None:
        """Take an order such as `{"kind": "server_error", "status": 502, "count": 2}`; Refusal when it is unclear."""
        kind = order.get("kind")
        if kind in AT_ONCE:
            self._strike(str(kind), order)
            return
        if kind not in WAITING:
            raise Refusal(400, 0, f"No such fault: {kind}")
        if missing := [name for name in WAITING[kind] if name not in order]:
            raise Refusal(400, 0, f"{kind} needs {', '.join(missing)}")
        rest = {name: value for name, value in order.items() if name not in {"kind", "count", "path_contains"}}
        self._waiting.append(Fault(str(kind), int(order.get("count", 1)), str(order.get("path_contains", "")), rest))

    def _strike(self, kind: str, order: Json) -> None:
        if kind == "gateway_away":
            self._gateway.away_until = time.monotonic() + float(order.get("seconds", 5))
        for connection in self._gateway.connections():
            if kind == "gateway_drop":
                connection.cut()
            elif kind == "gateway_reset":
                connection.close(RESUMABLE)
            elif kind == "reconnect":
                connection.send(RECONNECT)
            elif kind == "invalid_session":
                resumable = bool(order.get("resumable", False))
                if not resumable:
                    self._gateway.forget(connection)
                connection.send(INVALID, data=resumable)

    def take(self, kind: str, path: str = "") -> Json | None:
        """Use up one waiting fault of this kind and return its fields, None when there is none."""
        if not self._waiting:
            return None
        for fault in self._waiting:
            if fault.kind == kind and fault.path_contains in path:
                fault.count -= 1
                if fault.count <= 0:
                    self._waiting.remove(fault)
                return fault.fields
        return None

    def clear(self) -> None:
        self._waiting.clear()
        self._gateway.away_until = 0.0

    def wire(self) -> list[Any]:
        return [fault.wire() for fault in self._waiting]
