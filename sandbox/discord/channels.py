"""Channels, direct messages and the messages in them, as the bot reads and writes them."""

from typing import Any

from sandbox.discord import people
from sandbox.discord.call import Call, Route
from sandbox.discord.message import Draft, Message, compose, revise
from sandbox.discord.rules import Refusal, missing_access, missing_permissions, unknown
from sandbox.discord.state import State
from sandbox.discord.world import (
    ATTACH_FILES,
    DM,
    EMBED_LINKS,
    MANAGE_MESSAGES,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    VIEW_CHANNEL,
    Channel,
    Json,
)

HISTORY = 100


def _channel(state: State, call: Call, needed: int = 0) -> Channel:
    channel = state.world.channels.get(call.params["channel"])
    if channel is None:
        raise unknown("Channel", 10003)
    held = channel.permissions(state.world.bot)
    if not held & VIEW_CHANNEL:
        raise missing_access()
    if held & needed != needed:
        raise missing_permissions()
    return channel


def _message(state: State, call: Call, needed: int = READ_MESSAGE_HISTORY) -> Message:
    channel = _channel(state, call, needed)
    message = state.messages_in(channel).get(call.params["message"])
    if message is None or message.owner is not None:
        raise unknown("Message", 10008)
    return message


def get_channel(state: State, call: Call) -> Json:
    return _channel(state, call).wire()


def list_messages(state: State, call: Call) -> list[Json]:
    """Newest first; `limit`, `before` and `after` as usual."""
    channel = _channel(state, call, READ_MESSAGE_HISTORY)
    limit = int(call.query.get("limit", 50))
    before, after = int(call.query.get("before", 1 << 63)), int(call.query.get("after", 0))
    found = [m for m in state.messages_in(channel).values() if m.owner is None and after < int(m.id) < before]
    chosen = found[:limit] if "after" in call.query else found[-limit:]
    return [message.wire for message in reversed(chosen[:HISTORY])]


def get_message(state: State, call: Call) -> Json:
    return _message(state, call).wire


def send_message(state: State, call: Call) -> Json:
    """A message of the bot; with `enforce_nonce` the same nonce brings the earlier one again."""
    body = call.fields
    needed = SEND_MESSAGES | (ATTACH_FILES if call.uploads else 0) | (EMBED_LINKS if body.get("embeds") else 0)
    channel = _channel(state, call, needed)
    if channel.type == DM and any(user.dm_blocked for user in channel.recipients):
        raise Refusal(403, 50007, "Cannot send messages to this user")
    nonce = body.get("nonce")
    if nonce is not None and body.get("enforce_nonce"):
        held = next((m for m in reversed(state.messages_in(channel).values()) if m.wire.get("nonce") == nonce), None)
        if held is not None:
            return held.wire
    extra: Json = {"nonce": nonce} if nonce is not None else {}
    extra |= _reference(state, channel, body.get("message_reference"))
    draft = Draft(state.world, state.base_url, channel, body, call.uploads)
    message = compose(draft, state.world.bot, extra=extra)
    for attachment in message.attachments:
        state.keep_attachment(attachment)
    people.tell_created(state, message)
    return message.wire


def _reference(state: State, channel: Channel, reference: Any) -> Json:
    if not reference:
        return {}
    number = str(reference.get("message_id"))
    if number not in state.messages_in(channel):
        if reference.get("fail_if_not_exists", True):
            raise Refusal(400, 50035, "Invalid Form Body", _unknown_reference())
        return {}
    guild = {"guild_id": channel.guild.id} if channel.guild else {}
    return {"type": 19, "message_reference": {"type": 0, "channel_id": channel.id, "message_id": number} | guild}


def _unknown_reference() -> Json:
    return {"message_reference": {"_errors": [{"code": "REPLIES_UNKNOWN_MESSAGE", "message": "Unknown message"}]}}


def edit_message(state: State, call: Call) -> Json:
    message = _message(state, call)
    if message.wire["author"]["id"] != state.world.bot.id:
        raise Refusal(403, 50005, "Cannot edit a message authored by another user")
    revise(Draft(state.world, state.base_url, message.channel, call.fields, call.uploads, message))
    for attachment in message.attachments:
        state.keep_attachment(attachment)
    people.tell_updated(state, message)
    return message.wire


def delete_message(state: State, call: Call) -> None:
    message = _message(state, call, 0)
    if message.wire["author"]["id"] != state.world.bot.id:
        if message.channel.guild is None:
            raise Refusal(403, 50003, "Cannot execute action on a DM channel")
        _channel(state, call, MANAGE_MESSAGES)
    people.tell_deleted(state, message)


def type_in(state: State, call: Call) -> None:
    _channel(state, call, SEND_MESSAGES)


def open_dm(state: State, call: Call) -> Json:
    user = state.world.users.get(str(call.fields.get("recipient_id")))
    if user is None or user.bot:
        raise Refusal(400, 50033, "Invalid Recipient(s)")
    return state.world.dm(user).wire()


ROUTES = (
    Route("GET", "/channels/{channel}", get_channel),
    Route("GET", "/channels/{channel}/messages", list_messages),
    Route("POST", "/channels/{channel}/messages", send_message, limit=5, window_s=5),
    Route("GET", "/channels/{channel}/messages/{message}", get_message),
    Route("PATCH", "/channels/{channel}/messages/{message}", edit_message, limit=5, window_s=5),
    Route("DELETE", "/channels/{channel}/messages/{message}", delete_message, limit=5, window_s=1),
    Route("POST", "/channels/{channel}/typing", type_in, limit=5, window_s=5),
    Route("POST", "/users/@me/channels", open_dm, limit=10, window_s=10),
)
