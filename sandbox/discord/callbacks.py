"""How the bot answers interactions: the callback, @original and follow-ups."""

import time
from copy import deepcopy
from functools import partial
from typing import Any

from sandbox.discord import people
from sandbox.discord.call import Call, Route
from sandbox.discord.components import check_modal, numbered
from sandbox.discord.interaction import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from sandbox.discord.message import Draft, Message, Uploads, compose, revise
from sandbox.discord.rules import EPHEMERAL, LOADING, Form, Refusal, unknown
from sandbox.discord.state import State
from sandbox.discord.world import Json

REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = range(4, 10)
ALLOWED = {
    COMMAND: {REPLY, DEFER, MODAL},
    COMPONENT: {REPLY, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {REPLY, DEFER, DEFER_UPDATE, UPDATE},
}
FOLLOWUPS_OF_USER_INSTALL = 5
COMMAND_MESSAGE, REPLY_MESSAGE = 20, 19


def callback(state: State, call: Call) -> Any:
    """The first answer: once, within three seconds, of a type that fits."""
    interaction = state.interactions.get(call.params["interaction"])
    waited = time.monotonic() - interaction.created if interaction else 0.0
    if interaction is None or interaction.token != call.params["token"]:
        raise unknown("interaction", 10062)
    if interaction.answered is not None:
        raise Refusal(400, 40060, "Interaction has already been acknowledged.")
    if interaction.failed or waited > state.answer_window_s:
        raise unknown("interaction", 10062)
    kind, body = _kind_and_data(interaction, call)
    if kind in {REPLY, DEFER}:
        interaction.original = _first_message(state, interaction, body, call.uploads, loading=kind == DEFER)
        interaction.final = None if kind == DEFER else interaction.original
    elif kind in {DEFER_UPDATE, UPDATE}:
        interaction.original = interaction.source
        if kind == UPDATE:
            _update(state, interaction, body, call.uploads)
    elif kind == CHOICES:
        _offer(state, interaction, body)
    else:
        _open_modal(state, interaction, body)
    interaction.answered, interaction.answered_after_s = kind, waited
    _acknowledge(state, interaction)
    return _outcome(interaction, kind) if call.flag("with_response") else None


def _kind_and_data(interaction: Interaction, call: Call) -> tuple[int, Json]:
    form = Form()
    kind = call.fields.get("type")
    body = form.object(("data",), call.fields.get("data"))
    allowed = set(ALLOWED[interaction.kind])
    if interaction.source is None:
        allowed -= {DEFER_UPDATE, UPDATE}
    if form.required(("type",), kind):
        form.one_of(("type",), kind, allowed)
    form.check()
    assert isinstance(kind, int)
    return kind, body


def _first_message(state: State, interaction: Interaction, body: Json, uploads: Uploads, *, loading: bool) -> Message:
    if loading:
        body = {"flags": body.get("flags") or 0}
    message = _send(state, interaction, body, uploads, LOADING if loading else 0)
    message.command_text = interaction.command_text
    return message


def _send(state: State, interaction: Interaction, body: Json, uploads: Uploads, flags: int = 0) -> Message:
    owner = interaction.user.id if (body.get("flags") or 0) & EPHEMERAL else None
    extra: Json = {
        "type": COMMAND_MESSAGE if interaction.kind == COMMAND else 0,
        "application_id": state.world.application_id,
        "webhook_id": state.world.application_id,
        "interaction_metadata": interaction.metadata(),
    }
    answers = interaction.original or (interaction.source if interaction.kind == COMPONENT else None)
    if answers is not None:
        guild = interaction.channel.guild
        extra["type"] = REPLY_MESSAGE
        extra["message_reference"] = {"type": 0, "channel_id": answers.channel.id, "message_id": answers.id}
        extra["message_reference"] |= {"guild_id": guild.id} if guild else {}
    draft = Draft(state.world, state.base_url, interaction.channel, body, uploads)
    message = compose(draft, state.world.bot, flags, extra, owner)
    _remember(state, message)
    people.tell_created(state, message)
    return message


def _remember(state: State, message: Message) -> None:
    for attachment in message.attachments:
        state.keep_attachment(attachment)


def _update(state: State, interaction: Interaction, body: Json, uploads: Uploads) -> None:
    message = interaction.source
    assert message is not None
    if message.id not in state.messages_in(message.channel):
        raise unknown("Message", 10008)
    _revise(state, interaction, message, body, uploads)


def _revise(state: State, interaction: Interaction, message: Message, body: Json, uploads: Uploads) -> None:
    revise(Draft(state.world, state.base_url, message.channel, body, uploads, message))
    _remember(state, message)
    interaction.final = interaction.final or message
    people.tell_updated(state, message)


def _offer(state: State, interaction: Interaction, body: Json) -> None:
    choices = check_choices(body)
    interaction.choices_shown = choices
    offered = {"nonce": interaction.nonce, "id": interaction.id, "choices": choices}
    state.after_answer(partial(state.pages.publish, "AUTOCOMPLETE", offered, to=interaction.user.id))


def check_choices(body: Json) -> list[Json]:
    """At most 25 suggestions, each with a name of 1–100 characters and a value up to 100."""
    form = Form()
    choices: list[Json] = []
    for path, choice in form.objects(("data", "choices"), body.get("choices"), 25):
        form.text((*path, "name"), choice.get("name"), 100, least=1, required=True)
        value = choice.get("value")
        if isinstance(value, str):
            form.text((*path, "value"), value, 100)
        elif not isinstance(value, int | float) or isinstance(value, bool):
            form.required((*path, "value"), None)
        choices.append({"name": choice.get("name"), "value": value})
    if body.get("choices") is None:
        form.required(("data", "choices"), None)
    form.check()
    return choices


def _open_modal(state: State, interaction: Interaction, body: Json) -> None:
    form = Form()
    check_modal(form, body)
    form.check()
    components = numbered(deepcopy(body["components"]))
    modal = {"custom_id": body["custom_id"], "title": body["title"], "components": components}
    interaction.modal_shown = modal
    state.keep_modal(interaction, modal["custom_id"])
    opened = {"nonce": interaction.nonce, "id": interaction.id, "modal": modal}
    state.after_answer(partial(state.pages.publish, "MODAL", opened, to=interaction.user.id))


def _acknowledge(state: State, interaction: Interaction) -> None:
    if interaction.kind == MODAL_SUBMIT:
        state.modals.pop((interaction.user.id, interaction.data["custom_id"]), None)
    if interaction.kind != AUTOCOMPLETE:
        done = {"nonce": interaction.nonce, "id": interaction.id, "state": "acknowledged"}
        state.after_answer(partial(state.pages.publish, "INTERACTION_RESULT", done, to=interaction.user.id))
    state.after_answer(interaction.changed)


def _outcome(interaction: Interaction, kind: int) -> Json:
    guild = interaction.channel.guild
    about: Json = {"id": interaction.id, "type": interaction.kind, "channel_id": interaction.channel.id}
    about |= {"guild_id": guild.id} if guild else {}
    message = interaction.original
    if message is None:
        return {"interaction": about}
    about["response_message_id"] = message.id
    about["response_message_loading"] = kind == DEFER
    about["response_message_ephemeral"] = message.owner is not None
    outcome: Json = {"interaction": about}
    if kind in {REPLY, UPDATE}:
        outcome["resource"] = {"type": kind, "message": message.wire}
    return outcome


def _by_webhook(state: State, call: Call) -> Interaction:
    if call.params["application"] != state.world.application_id:
        raise unknown("Webhook", 10015)
    interaction = state.by_token(call.params["token"])
    if interaction is None or interaction.answered in {None, CHOICES}:
        raise unknown("Webhook", 10015)
    if interaction.expired or time.monotonic() - interaction.created > state.token_lifetime_s:
        raise Refusal(401, 50027, "Invalid Webhook Token")
    return interaction


def _message_of(state: State, call: Call) -> tuple[Interaction, Message]:
    interaction = _by_webhook(state, call)
    wanted = call.params.get("message", "@original")
    candidates = [interaction.original, *interaction.followups]
    found = next((m for m in candidates if m is not None and wanted in {"@original", m.id}), None)
    if found is None or found.id not in state.messages_in(interaction.channel):
        raise unknown("Message", 10008)
    return interaction, found


def follow_up(state: State, call: Call) -> Json:
    """A further message; the first one after "is thinking…" takes its place."""
    interaction = _by_webhook(state, call)
    original = interaction.original
    if original is not None and original.loading and original.id in state.messages_in(original.channel):
        _revise(state, interaction, original, call.fields, call.uploads)
        state.after_answer(interaction.changed)
        return original.wire
    if interaction.user_install_only and len(interaction.followups) >= FOLLOWUPS_OF_USER_INSTALL:
        raise Refusal(400, 40094, "This interaction has reached the maximum number of follow up messages")
    message = _send(state, interaction, call.fields, call.uploads)
    interaction.followups.append(message)
    interaction.final = interaction.final or message
    state.after_answer(interaction.changed)
    return message.wire


def get_answer(state: State, call: Call) -> Json:
    return _message_of(state, call)[1].wire


def edit_answer(state: State, call: Call) -> Json:
    interaction, message = _message_of(state, call)
    _revise(state, interaction, message, call.fields, call.uploads)
    state.after_answer(interaction.changed)
    return message.wire


def delete_answer(state: State, call: Call) -> None:
    _, message = _message_of(state, call)
    people.tell_deleted(state, message)


WEBHOOK = "/webhooks/{application}/{token}"
ROUTES = (
    Route("POST", "/interactions/{interaction}/{token}/callback", callback, limit=5, token=True),
    Route("POST", WEBHOOK, follow_up, limit=5, window_s=2, token=True),
    Route("GET", WEBHOOK + "/messages/{message}", get_answer, limit=5, window_s=2, token=True),
    Route("PATCH", WEBHOOK + "/messages/{message}", edit_answer, limit=5, window_s=2, token=True),
    Route("DELETE", WEBHOOK + "/messages/{message}", delete_answer, limit=5, window_s=2, token=True),
)
