"""What people do: write, type commands, press, choose, submit. The page and the tests act through this."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sandbox.discord import components as kinds
from sandbox.discord import rules
from sandbox.discord.interaction import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from sandbox.discord.message import Draft, Message, compose
from sandbox.discord.rules import FILE_BYTES, Refusal
from sandbox.discord.state import State
from sandbox.discord.world import ADMINISTRATOR, DM, Channel, Json, User

GUILD_CONTEXT, BOT_DM_CONTEXT, PRIVATE_CONTEXT = range(3)
SUB_COMMAND, SUB_COMMAND_GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, FILE = range(1, 12)
VALUES: dict[int, tuple[type, ...]] = {INTEGER: (int,), BOOLEAN: (bool,), NUMBER: (int, float)}
CHOSEN = {
    kinds.USER_SELECT: USER,
    kinds.ROLE_SELECT: ROLE,
    kinds.MENTIONABLE_SELECT: MENTIONABLE,
    kinds.CHANNEL_SELECT: CHANNEL,
}
NO_RESPONSE = "The application did not respond"


def write(state: State, user: User, channel: Channel, content: str) -> Message:
    """A person says something in a channel that they see."""
    if not channel.seen_by(user):
        raise Refusal(403, 50001, "Missing Access")
    draft = Draft(state.world, state.base_url, channel, {"content": content}, {})
    message = compose(draft, user)
    tell_created(state, message)
    return message


def tell_created(state: State, message: Message) -> None:
    """Keep a new message and tell everybody who may see it."""
    state.keep_message(message)
    _tell(state, "MESSAGE_CREATE", message)


def tell_updated(state: State, message: Message) -> None:
    """Tell everybody who may see a message that it changed."""
    _tell(state, "MESSAGE_UPDATE", message)


def tell_deleted(state: State, message: Message) -> None:
    """Forget a message and tell everybody who saw it."""
    state.messages_in(message.channel).pop(message.id, None)
    gone = {"id": message.id, "channel_id": message.channel.id}
    guild = {"guild_id": message.channel.guild.id} if message.channel.guild else {}
    if message.owner is None and state.world.bot_is_in(message.channel):
        tell = partial(state.gateway.dispatch_message, "MESSAGE_DELETE", gone | guild, concerns_bot=True)
        state.after_answer(tell)
    state.after_answer(partial(state.pages.publish, "MESSAGE_DELETE", gone, to=message.owner, channel=message.channel))


def _tell(state: State, event: str, message: Message) -> None:
    bot = state.world.bot
    mentioned = any(user["id"] == bot.id for user in message.wire["mentions"])
    concerned = message.channel.guild is None or message.wire["author"]["id"] == bot.id or mentioned
    if message.owner is None and state.world.bot_is_in(message.channel):
        state.after_answer(partial(state.gateway.dispatch_message, event, message.event(), concerns_bot=concerned))
    shown = message.page()
    state.after_answer(partial(state.pages.publish, event, shown, to=message.owner, channel=message.channel))


def interact(state: State, user: User, channel: Channel, kind: int, data: Json, nonce: str = "") -> Interaction:
    """Set off an interaction as Discord's client does, and tell the bot; Refusal when the client would not let them."""
    if not channel.seen_by(user):
        raise Refusal(403, 50001, "Missing Access")
    if not state.gateway.reachable:
        raise Refusal(503, 0, f"{state.world.bot.username} is offline")
    interaction = Interaction(state.world.ids(), kind, user, channel, data, _owners(state, user, channel), nonce)
    STARTS[kind](state, interaction)
    state.keep_interaction(interaction)
    payload = _payload(state, interaction)
    twice = state.faults.take("duplicate_interactions") is not None
    guild_id = channel.guild.id if channel.guild else None
    for _ in range(1 + twice):
        state.after_answer(partial(state.gateway.dispatch, "INTERACTION_CREATE", payload, guild_id))
    asyncio.get_running_loop().call_later(state.answer_window_s, _give_up, state, interaction)
    return interaction


def _give_up(state: State, interaction: Interaction) -> None:
    if interaction.answered is not None:
        return
    interaction.failed = True
    interaction.changed()
    result = {"nonce": interaction.nonce, "id": interaction.id}
    if interaction.kind == AUTOCOMPLETE:
        state.pages.publish("AUTOCOMPLETE", result | {"choices": []}, to=interaction.user.id)
    else:
        failed = result | {"state": "failed", "message": NO_RESPONSE}
        state.pages.publish("INTERACTION_RESULT", failed, to=interaction.user.id)


def _owners(state: State, user: User, channel: Channel) -> dict[str, str]:
    owners = {"1": user.id} if user.installed else {}
    if channel.guild is not None and state.world.bot.id in channel.guild.members:
        owners["0"] = channel.guild.id
    elif channel.type == DM:
        owners["0"] = "0"
    if not owners:
        raise Refusal(404, 10063, "Unknown application command")
    return owners


def context_of(channel: Channel) -> int:
    """Where an interaction happens: 0 guild, 1 direct channel with the bot, 2 other private channel."""
    if channel.guild is not None:
        return GUILD_CONTEXT
    return BOT_DM_CONTEXT if channel.type == DM else PRIVATE_CONTEXT


def _payload(state: State, interaction: Interaction) -> Json:
    user, channel, world = interaction.user, interaction.channel, state.world
    guild = channel.guild
    bot_may = channel.permissions(world.bot)
    payload: Json = {
        "id": interaction.id,
        "application_id": world.application_id,
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": channel.id,
        "channel": channel.wire() | ({"permissions": str(channel.permissions(user))} if guild else {}),
        "app_permissions": str(bot_may),
        "locale": user.locale,
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": interaction.owners,
        "context": context_of(channel),
        "attachment_size_limit": FILE_BYTES,
    }
    if guild is None:
        payload["user"] = user.wire()
    else:
        member = guild.members[user.id].wire() | {"permissions": str(channel.permissions(user))}
        payload |= {"guild_id": guild.id, "guild_locale": "en-US", "member": member}
        payload["guild"] = {"id": guild.id, "locale": "en-US", "features": []}
    if interaction.source is not None:
        payload["message"] = interaction.source.wire
    return payload


def _start_command(state: State, interaction: Interaction) -> None:
    data = interaction.data
    command = state.commands.get(str(data.get("id")))
    if command is None or not _offered(command, interaction):
        raise Refusal(404, 10063, "Unknown application command")
    kind = command["type"]
    data |= {"name": command["name"], "type": kind}
    if command.get("guild_id"):
        data["guild_id"] = command["guild_id"]
    if kind == 1:
        options = data.setdefault("options", [])
        words = _check_options(command.get("options", []), options, complete=interaction.kind == COMMAND)
        interaction.command_text = " ".join([f"/{command['name']}", *words])
        _resolve(state, interaction, _ids_in(options))
    else:
        interaction.command_text = command["name"]
        _resolve(state, interaction, [(USER if kind == 2 else 0, str(data.get("target_id")))])


def _offered(command: Json, interaction: Interaction) -> bool:
    guild, needed = interaction.channel.guild, command["default_member_permissions"]
    if guild is not None and needed is not None:
        held = interaction.channel.permissions(interaction.user)
        if held & (int(needed) or ADMINISTRATOR) != (int(needed) or ADMINISTRATOR):
            return False
    if command.get("guild_id"):
        return guild is not None and guild.id == command["guild_id"]
    installed = any(str(kind) in interaction.owners for kind in command["integration_types"])
    contexts = command.get("contexts", [0, 1, 2] if command["dm_permission"] else [0])
    return installed and context_of(interaction.channel) in contexts


def _check_options(known: list[Json], given: list[Json], *, complete: bool) -> list[str]:
    """Refuse what the client would not send; return the words of the command line."""
    by_name = {option["name"]: option for option in known}
    words: list[str] = []
    for option in given:
        expected = by_name.get(option.get("name", ""))
        if expected is None or expected["type"] != option.get("type"):
            raise Refusal(400, 50035, f"No option {option.get('name')} of type {option.get('type')}")
        if expected["type"] in {SUB_COMMAND, SUB_COMMAND_GROUP}:
            inner = _check_options(expected.get("options", []), option.setdefault("options", []), complete=complete)
            words += [option["name"], *inner]
            continue
        if complete:
            _check_value(expected, option.get("value"))
        words.append(f"{option['name']}:{_shown(option.get('value', ''))}")
    absent = {option["name"] for option in known if option.get("required")} - {option["name"] for option in given}
    if complete and absent:
        raise Refusal(400, 50035, f"{', '.join(sorted(absent))} is required")
    return words


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_value(option: Json, value: Any) -> None:
    wanted = VALUES.get(option["type"], (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and option["type"] != BOOLEAN):
        raise Refusal(400, 50035, f"{option['name']} is not of the right type")
    choices = [choice["value"] for choice in option.get("choices") or ()]
    if choices and value not in choices:
        raise Refusal(400, 50035, f"{option['name']} must be one of {choices}")
    size = len(value) if isinstance(value, str) else value
    names = ("min_length", "max_length") if isinstance(value, str) else ("min_value", "max_value")
    low, high = (option.get(name) for name in names)
    if (low is not None and size < low) or (high is not None and size > high):
        raise Refusal(400, 50035, f"{option['name']} must be between {low} and {high}")


def _ids_in(options: Iterable[Json]) -> Iterable[tuple[int, str]]:
    for option in options:
        if "options" in option:
            yield from _ids_in(option["options"])
        elif option["type"] in {USER, CHANNEL, ROLE, MENTIONABLE}:
            yield option["type"], str(option.get("value"))


def _resolve(state: State, interaction: Interaction, ids: Iterable[tuple[int, str]]) -> None:
    """Fill `resolved` with the objects behind ids; each id with the kind of option that holds it, 0 for a message."""
    resolved: Json = {}
    channel = interaction.channel
    guild = channel.guild
    for kind, number in ids:
        if kind in {USER, MENTIONABLE} and (user := state.world.users.get(number)):
            resolved.setdefault("users", {})[number] = user.wire()
            if guild and (member := guild.members.get(number)):
                may = {"permissions": str(channel.permissions(user))}
                resolved.setdefault("members", {})[number] = member.wire(with_user=False) | may
        elif kind in {ROLE, MENTIONABLE} and guild and (role := guild.roles.get(number)):
            resolved.setdefault("roles", {})[number] = role.wire()
        elif kind == CHANNEL and (place := state.world.channels.get(number)):
            may = {"permissions": str(place.permissions(interaction.user))}
            resolved.setdefault("channels", {})[number] = place.wire() | may
        elif kind == 0 and (message := state.messages_in(channel).get(number)):
            resolved.setdefault("messages", {})[number] = message.wire
        else:
            raise Refusal(400, 50035, f"{number} cannot be chosen here")
    for name, found in resolved.items():
        interaction.data.setdefault("resolved", {}).setdefault(name, {}).update(found)


def _start_component(state: State, interaction: Interaction) -> None:
    data, channel = interaction.data, interaction.channel
    message = state.messages_in(channel).get(str(data.pop("message_id", "")))
    if message is None or message.owner not in {None, interaction.user.id}:
        raise rules.unknown("Message", 10008)
    parts = kinds.walk(message.wire["components"])
    component = next((part for part in parts if part.get("custom_id") == data.get("custom_id", ...)), None)
    if component is None or message.wire["author"]["id"] != state.world.bot.id:
        raise Refusal(400, 50035, "No such component on this message")
    if component.get("disabled"):
        raise Refusal(400, 50035, "This component is disabled")
    interaction.source = message
    data |= {"component_type": component["type"], "id": component["id"]}
    if component["type"] in kinds.SELECTS:
        _check_choice(state, interaction, component, data.setdefault("values", []))


def _check_choice(state: State, interaction: Interaction, select: Json, values: list[Any]) -> None:
    least, most = select.get("min_values", 1), select.get("max_values", 1)
    if not least <= len(values) <= most and (values or select.get("required", True)):
        raise Refusal(400, 50035, f"Choose {least} to {most}")
    if select["type"] == kinds.STRING_SELECT:
        if not {option["value"] for option in select["options"]}.issuperset(values):
            raise Refusal(400, 50035, "No such option")
        return
    _resolve(state, interaction, [(CHOSEN[select["type"]], str(value)) for value in values])


def _start_modal_submit(state: State, interaction: Interaction) -> None:
    data = interaction.data
    data.pop("message_id", None)
    opened = state.modals.get((interaction.user.id, str(data.get("custom_id"))))
    if opened is None:
        raise Refusal(404, 0, "No such form is open")
    interaction.parent, interaction.source = opened, opened.source
    given = {item["custom_id"]: item for item in kinds.walk(data.get("components") or []) if "custom_id" in item}
    fields = (opened.modal_shown or {})["components"]
    for field in kinds.walk(fields):
        if "custom_id" in field:
            _check_field(state, interaction, field, given.get(field["custom_id"]))
    data["components"] = [kinds.filled(field, given) for field in fields]


def _check_field(state: State, interaction: Interaction, field: Json, entered: Json | None) -> None:
    if entered is None:
        raise Refusal(400, 50035, f"{field['custom_id']} is missing")
    if field["type"] == kinds.TEXT_INPUT:
        _check_text(field, entered.get("value", ""))
    elif field["type"] in kinds.SELECTS:
        _check_choice(state, interaction, field, entered.setdefault("values", []))


def _check_text(field: Json, value: str) -> None:
    least = field.get("min_length") or (1 if field.get("required", True) else 0)
    most = field.get("max_length") or 4000
    if (value or field.get("required", True)) and not least <= len(value) <= most:
        raise Refusal(400, 50035, f"{field['custom_id']} must be {least} to {most} characters long")


STARTS: dict[int, Callable[[State, Interaction], None]] = {
    COMMAND: _start_command,
    AUTOCOMPLETE: _start_command,
    COMPONENT: _start_component,
    MODAL_SUBMIT: _start_modal_submit,
}
