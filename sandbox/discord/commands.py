"""The bot's application commands: what Discord accepts, and the register of them."""

import re
from collections.abc import Collection
from functools import partial
from typing import Any

from sandbox.discord.call import Call, Created, Route
from sandbox.discord.rules import Form, Path, Refusal, missing_access, unknown
from sandbox.discord.state import State
from sandbox.discord.world import Json

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
COUNTS = {CHAT_INPUT: 100, USER: 15, MESSAGE: 15}
OPTIONS = CHOICES = 25
CHARACTERS = 8000
NAME = re.compile(r"[-_'\w]{1,32}")
SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER, NUMBER = 1, 2, 3, 4, 10
NESTING = {SUB_COMMAND, SUB_COMMAND_GROUP}
LOCALE = re.compile(
    "ar|bg|cs|da|de|el|en-GB|en-US|es-419|es-ES|fi|fr|he|hi|hr|hu|id|it|ja|ko|lt|nl|no|pl|pt-BR|ro|ru|sv-SE|th|tr|uk|vi"
    "|zh-CN|zh-TW"
)
SAFE_INTEGER = 2**53


def check_command(form: Form, path: Path, command: Json) -> None:
    """Names, descriptions, options, contexts and the 8,000 characters in all."""
    kind = command.get("type") or CHAT_INPUT
    form.one_of((*path, "type"), kind, COUNTS)
    _check_name(form, path, command, free=kind != CHAT_INPUT)
    if kind == CHAT_INPUT:
        _check_description(form, path, command)
        _check_options(form, (*path, "options"), command.get("options"), {*range(1, 12)})
    elif command.get("description"):
        words = "Context menu commands cannot have description"
        form.fault((*path, "description"), "APPLICATION_COMMAND_INVALID_DESCRIPTION", words)
    for name, known in (("contexts", {0, 1, 2}), ("integration_types", {0, 1})):
        for index, value in enumerate(form.listed((*path, name), command.get(name), 3)):
            form.one_of((*path, name, index), value, known)
    if _length(command) > CHARACTERS:
        form.fault(path, "APPLICATION_COMMAND_TOO_LARGE", f"Command exceeds maximum size ({CHARACTERS})")


def _check_name(form: Form, path: Path, item: Json, *, free: bool = False) -> None:
    name = form.text((*path, "name"), item.get("name"), 32, least=1, required=True)
    if name and not free and not (NAME.fullmatch(name) and name == name.lower()):
        form.fault((*path, "name"), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    _check_localizations(form, (*path, "name_localizations"), item.get("name_localizations"), 32)


def _check_description(form: Form, path: Path, item: Json) -> None:
    form.text((*path, "description"), item.get("description"), 100, least=1, required=True)
    _check_localizations(form, (*path, "description_localizations"), item.get("description_localizations"), 100)


def _check_localizations(form: Form, path: Path, texts: Any, most: int) -> None:
    for locale, text in form.object(path, texts).items():
        if not LOCALE.fullmatch(locale):
            form.fault((*path, locale), "LOCALE_TYPE_INVALID", f"{locale} is not a locale")
        form.text((*path, locale), text, most, least=1, required=True)


def _check_options(form: Form, path: Path, options: Any, kinds: Collection[int]) -> None:
    names: set[Any] = set()
    optional_seen = False
    types: set[Any] = set()
    for at, option in form.objects(path, options, OPTIONS):
        kind = option.get("type")
        if not form.one_of((*at, "type"), kind, kinds):
            continue
        types.add(kind in NESTING)
        _check_name(form, at, option)
        _check_description(form, at, option)
        if option.get("name") in names:
            form.fault((*at, "name"), "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")
        names.add(option.get("name"))
        if option.get("required") and optional_seen:
            words = "Required options must be placed before non-required options"
            form.fault(at, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", words)
        optional_seen = optional_seen or not option.get("required")
        _check_option(form, at, option)
    if len(types) > 1:
        words = "Sub-command and sub-command group option types are mutually exclusive to all other types"
        form.fault(path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", words)


def _check_option(form: Form, path: Path, option: Json) -> None:
    kind = option["type"]
    if kind in NESTING:
        inside = {*range(3, 12)} if kind == SUB_COMMAND else {SUB_COMMAND}
        _check_options(form, (*path, "options"), option.get("options"), inside)
    elif option.get("options"):
        form.fault((*path, "options"), "APPLICATION_COMMAND_OPTIONS_NOT_ALLOWED", "This option cannot have options")
    choices = form.listed((*path, "choices"), option.get("choices"), CHOICES)
    if (choices or option.get("autocomplete")) and kind not in {STRING, INTEGER, NUMBER}:
        words = "Only string, integer and number options may have choices or autocomplete"
        form.fault((*path, "choices"), "APPLICATION_COMMAND_OPTIONS_CHOICES_INVALID", words)
    if choices and option.get("autocomplete"):
        words = "Options with choices cannot have autocomplete"
        form.fault((*path, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", words)
    for at, choice in form.objects((*path, "choices"), choices, CHOICES):
        form.text((*at, "name"), choice.get("name"), 100, least=1, required=True)
        _check_choice_value(form, (*at, "value"), choice.get("value"), kind)
    form.whole((*path, "min_length"), option.get("min_length"), 0, 6000)
    form.whole((*path, "max_length"), option.get("max_length"), 1, 6000)


def _check_choice_value(form: Form, path: Path, value: Any, kind: int) -> None:
    if not form.required(path, value):
        return
    if kind == STRING:
        form.text(path, value, 100)
    elif kind == INTEGER:
        form.whole(path, value, -SAFE_INTEGER, SAFE_INTEGER)


def _length(item: Json) -> int:
    """Characters of names, descriptions and choice values, the longest localization counting."""
    own = 0
    for name in ("name", "description"):
        texts = [item.get(name) or "", *(item.get(f"{name}_localizations") or {}).values()]
        own += max(len(text) for text in texts)
    choices = sum(len(str(choice.get(key, ""))) for choice in item.get("choices") or () for key in ("name", "value"))
    return own + choices + sum(_length(option) for option in item.get("options") or ())


def check_all(commands: list[Any]) -> None:
    """A whole set: each command, the counts per type, and unique names within a type."""
    form = Form()
    seen: set[tuple[int, Any]] = set()
    counts = dict.fromkeys(COUNTS, 0)
    for path, command in form.objects((), commands, sum(COUNTS.values())):
        check_command(form, path, command)
        key = (command.get("type") or CHAT_INPUT, command.get("name"))
        if key in seen:
            words = "Application command names must be unique"
            form.fault((*path, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", words)
        seen.add(key)
        counts[key[0]] = counts.get(key[0], 0) + 1
    form.check()
    for kind, most in COUNTS.items():
        if counts[kind] > most:
            raise Refusal(400, 30032, f"Maximum number of application commands reached ({most}).")


def _scope(state: State, call: Call) -> str | None:
    if call.params["application"] != state.world.application_id:
        raise unknown("Application", 10002)
    guild = call.params.get("guild")
    if guild is not None and (guild not in state.world.guilds or not state.world.guilds[guild].has(state.world.bot)):
        raise missing_access()
    return guild


def _in_scope(state: State, scope: str | None) -> list[Json]:
    return [command for command in state.commands.values() if command.get("guild_id") == scope]


def _shaped_option(option: Json) -> Json:
    shape = {name: value for name, value in option.items() if value not in (None, {}, [])}
    if option["type"] not in NESTING:
        shape["required"] = bool(option.get("required"))
    for name in ("name", "description"):
        shape.setdefault(f"{name}_localizations", None)
    if "options" in shape:
        shape["options"] = [_shaped_option(inner) for inner in shape["options"]]
    if "choices" in shape:
        shape["choices"] = [{"name_localizations": None} | choice for choice in shape["choices"]]
    return shape


def _register(state: State, scope: str | None, command: Json) -> tuple[Json, bool]:
    """Add a command, or replace the one of the same type and name; return it and whether it is new."""
    kind = command.get("type") or CHAT_INPUT
    held = next((c for c in _in_scope(state, scope) if (c["type"], c["name"]) == (kind, command["name"])), None)
    permissions = command.get("default_member_permissions")
    wire: Json = {
        "id": held["id"] if held else state.world.ids(),
        "application_id": state.world.application_id,
        "version": state.world.ids(),
        "type": kind,
        "name": command["name"],
        "name_localizations": command.get("name_localizations") or None,
        "description": command.get("description") or "",
        "description_localizations": command.get("description_localizations") or None,
        "default_member_permissions": None if permissions is None else str(permissions),
        "nsfw": bool(command.get("nsfw")),
        "integration_types": command.get("integration_types") or [0],
        "options": [_shaped_option(option) for option in command.get("options") or []],
    }
    if scope is None:
        wire |= {"dm_permission": command.get("dm_permission") is not False, "contexts": command.get("contexts")}
        if wire["contexts"] is None:
            del wire["contexts"]
    else:
        wire["guild_id"] = scope
    state.commands[wire["id"]] = wire
    return wire, held is None


def _announce(state: State) -> None:
    state.after_answer(partial(state.pages.publish, "COMMANDS_UPDATE", {"commands": list(state.commands.values())}))


def list_commands(state: State, call: Call) -> list[Json]:
    return _in_scope(state, _scope(state, call))


def replace_commands(state: State, call: Call) -> list[Json]:
    scope = _scope(state, call)
    if not isinstance(call.body, list):
        raise Refusal(400, 50035, "Invalid Form Body")
    check_all(call.body)
    before = _in_scope(state, scope)
    result = [_register(state, scope, command)[0] for command in call.body]
    kept = {command["id"] for command in result}
    for command in before:
        if command["id"] not in kept:
            del state.commands[command["id"]]
    _announce(state)
    return result


def add_command(state: State, call: Call) -> Any:
    scope, command = _scope(state, call), call.fields
    form = Form()
    check_command(form, (), command)
    form.check()
    named = (command.get("type") or CHAT_INPUT, command["name"])
    check_all([*(held for held in _in_scope(state, scope) if (held["type"], held["name"]) != named), command])
    wire, new = _register(state, scope, command)
    _announce(state)
    return Created(wire) if new else wire


def _find(state: State, call: Call) -> Json:
    scope = _scope(state, call)
    command = state.commands.get(call.params["command"])
    if command is None or command.get("guild_id") != scope:
        raise unknown("application command", 10063)
    return command


def get_command(state: State, call: Call) -> Json:
    return _find(state, call)


def edit_command(state: State, call: Call) -> Json:
    held = _find(state, call)
    changed = held | call.fields | {"type": held["type"]}
    form = Form()
    check_command(form, (), changed)
    form.check()
    check_all([*(command for command in list_commands(state, call) if command is not held), changed])
    held["name"] = changed["name"]
    wire, _ = _register(state, held.get("guild_id"), changed)
    _announce(state)
    return wire


def delete_command(state: State, call: Call) -> None:
    del state.commands[_find(state, call)["id"]]
    _announce(state)


ROUTES = tuple(
    Route(method, f"/applications/{{application}}{scope}/commands{tail}", handler)
    for scope in ("", "/guilds/{guild}")
    for method, tail, handler in (
        ("GET", "", list_commands),
        ("PUT", "", replace_commands),
        ("POST", "", add_command),
        ("GET", "/{command}", get_command),
        ("PATCH", "/{command}", edit_command),
        ("DELETE", "/{command}", delete_command),
    )
)
