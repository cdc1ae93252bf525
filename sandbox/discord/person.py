"""A person at the keyboard, for tests: types commands, presses buttons, chooses, fills in forms."""

from dataclasses import dataclass
from typing import Any

from sandbox.discord import people
from sandbox.discord.components import CHECKBOXES, SELECTS, TEXT_INPUT, UPLOAD, walk
from sandbox.discord.interaction import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from sandbox.discord.state import State
from sandbox.discord.world import Channel, Json, User

SEVERAL = SELECTS | {UPLOAD, CHECKBOXES}


@dataclass(frozen=True, slots=True)
class Person:
    """Someone in a channel. Each act returns an `Interaction` whose outcome can be awaited."""

    state: State
    user: User
    channel: Channel

    @property
    def id(self) -> int:
        return int(self.user.id)

    def command(self, line: str, **options: Any) -> Interaction:
        """Send a slash command: `command("quote", symbols="SPY")`, with sub-commands `command("alert add", at=9)`."""
        return self._command(COMMAND, line, options)

    def type(self, line: str, **options: Any) -> Interaction:
        """Type a slash command up to its last option, which is being completed; await `.choices()`."""
        return self._command(AUTOCOMPLETE, line, options)

    def press(self, message: Json, button: str) -> Interaction:
        """Press a button by its label or custom id."""
        return self._component(message, self._find(message, button), {})

    def choose(self, message: Json, select: str, *values: str) -> Interaction:
        """Choose values in a select, found by its custom id or placeholder."""
        return self._component(message, self._find(message, select), {"values": list(values)})

    def submit(self, opened: Interaction, **values: Any) -> Interaction:
        """Send the form that `opened` brought; values by custom id or label in snake case, the others as prefilled."""
        modal = opened.modal_shown
        assert modal is not None, "no form has opened; await .modal() first"
        filled = [_filled(component, values) for component in modal["components"]]
        data = {"custom_id": modal["custom_id"], "components": filled}
        return self._interact(MODAL_SUBMIT, data)

    def say(self, content: str) -> Json:
        """Write a plain message."""
        message = people.write(self.state, self.user, self.channel, content)
        self.state.flush()
        return message.page()

    def delete(self, message: Json) -> None:
        """Delete a message of this channel, as those may who manage messages."""
        people.tell_deleted(self.state, self.state.messages_in(self.channel)[message["id"]])
        self.state.flush()

    def reads(self) -> list[Json]:
        """The messages that this person sees here, oldest first."""
        return [message.page() for message in self.state.seen_by(self.channel, self.user)]

    def _interact(self, kind: int, data: Json) -> Interaction:
        interaction = people.interact(self.state, self.user, self.channel, kind, data)
        self.state.flush()
        return interaction

    def _command(self, kind: int, line: str, values: dict[str, Any]) -> Interaction:
        name, *path = line.removeprefix("/").split()
        found = [command for command in self.state.commands.values() if command["name"] == name]
        assert found, f"the bot has registered {sorted(c['name'] for c in self.state.commands.values())}, not {name}"
        options: list[Json] = []
        known, inner = found[0].get("options", []), options
        for word in path:
            step = next(option for option in known if option["name"] == word)
            inner.append({"name": word, "type": step["type"], "options": []})
            known, inner = step.get("options", []), inner[-1]["options"]
        types = {option["name"]: option["type"] for option in known}
        inner += [{"name": option, "type": types.get(option, 3), "value": value} for option, value in values.items()]
        if kind == AUTOCOMPLETE:
            inner[-1]["focused"] = True
        return self._interact(kind, {"id": found[0]["id"], "name": name, "type": 1, "options": options})

    def _find(self, message: Json, wanted: str) -> Json:
        parts = [part for part in walk(message["components"]) if "custom_id" in part]
        names = ("custom_id", "label", "placeholder")
        found = next((part for part in parts if wanted in {part.get(name) for name in names}), None)
        assert found, f"no {wanted} among {[part.get('label') or part['custom_id'] for part in parts]}"
        return found

    def _component(self, message: Json, component: Json, more: Json) -> Interaction:
        about = {"message_id": message["id"], "custom_id": component["custom_id"], "component_type": component["type"]}
        return self._interact(COMPONENT, about | more)


def _filled(component: Json, values: dict[str, Any], label: str = "") -> Json:
    """The component as Discord's client sends it back with what was typed."""
    shell: Json = {"type": component["type"]}
    if "components" in component:
        return shell | {"components": [_filled(inner, values) for inner in component["components"]]}
    if "component" in component:
        return shell | {"component": _filled(component["component"], values, component["label"])}
    if "custom_id" not in component:
        return shell
    shell["custom_id"] = component["custom_id"]
    name = (component.get("label") or label).lower().replace(" ", "_")
    value = values.get(component["custom_id"], values.get(name))
    if component["type"] == TEXT_INPUT:
        return shell | {"value": str((component.get("value") or "") if value is None else value)}
    if component["type"] in SEVERAL:
        return shell | {"values": value or []}
    return shell | {"value": value}
