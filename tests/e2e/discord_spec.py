"""Holds recorded Discord traffic to the official OpenAPI description, and to limits that it leaves out."""

import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
from jsonschema_rs import ValidationError, ValidationErrorKind

from sandbox.discord.state import Exchange

VERSION = re.compile(r"^/api/v10")
NUMBER = re.compile(r"\d{15,}[^/]*")
# The description says that the codes of field errors are numbers; Discord's documentation and practice are words.
FIELD_ERROR = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["code", "message"],
}
# What clients say by themselves beyond the description, always with the value that means nothing.
IGNORED = {
    "RichEmbed": ["flags"],
    "ApplicationCommandCreateRequest": ["nsfw"],
    "ApplicationCommandUpdateRequest": ["nsfw"],
    "ComponentEmojiForRequest": ["animated"],
    "IncomingWebhookInteractionRequest": ["enforce_nonce"],
    "IncomingWebhookRequestPartial": ["enforce_nonce"],
    "IncomingWebhookUpdateForInteractionCallbackRequestPartial": ["tts", "enforce_nonce"],
    "IncomingWebhookUpdateRequestPartial": ["tts", "enforce_nonce"],
    "MessageEditRequestPartial": ["tts"],
}
BRANCHES = ValidationErrorKind.OneOfNotValid, ValidationErrorKind.AnyOf


def in_objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value, itself first."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from in_objects(inner)


def leaves(error: ValidationError) -> Iterator[str]:
    """Say what is wrong; within a union only in the branch that was meant."""
    if isinstance(error.kind, BRANCHES):
        meant = min(error.kind.context, key=lambda branch: _strangeness(branch, error.instance_path))
        for inner in meant:
            yield from leaves(inner)
    else:
        words = error.message if len(error.message) <= 160 else f"{error.message[:40]}…{error.message[-110:]}"
        yield f"{'/'.join(map(str, error.instance_path)) or 'body'}: {words}"


def _strangeness(branch: list[ValidationError], at: list[str | int]) -> tuple[bool, bool, int]:
    other_type = any(error.instance_path == [*at, "type"] for error in branch)
    other_kind = any(error.instance_path == at and error.kind.name == "type" for error in branch)
    return other_type, other_kind, len(branch)


def unread(exchange: Exchange) -> bool:
    """Whether the request was turned away before its body was read; the client sends it again."""
    return exchange.status == 429 or exchange.status >= 500


@cache
def pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(template)))


class Description:
    """The official description; objects of requests may have no keys besides those that it names."""

    def __init__(self, openapi: Path) -> None:
        document = json.loads(openapi.read_text())
        schemas = document["components"]["schemas"]
        schemas["InnerErrors"]["properties"]["_errors"]["items"] = FIELD_ERROR
        strict = deepcopy(document)
        schemas = strict["components"]["schemas"]
        schemas["SnowflakeType"] = {"anyOf": [schemas["SnowflakeType"], {"type": "integer", "minimum": 0}]}
        for name, keys in IGNORED.items():
            schemas[name]["properties"] |= {key: {"enum": [None, False, 0]} for key in keys}
        for schema in in_objects(strict):
            if isinstance(schema.get("properties"), dict) and "object" in schema.get("type", ()):
                schema.setdefault("additionalProperties", False)
        self._registry = jsonschema_rs.Registry([("urn:answers", document), ("urn:requests", strict)])
        self._validator = cache(self._compile)
        self._operations = [
            (method, template, about)
            for template, methods in document["paths"].items()
            for method, about in methods.items()
        ]
        # Of several that fit, the one with the fewest variables is meant: /users/@me before /users/{user_id}.
        self._operations.sort(key=lambda operation: operation[1].count("{"))

    def _compile(self, urn: str, *pointer: str) -> jsonschema_rs.Validator:
        escaped = [quote(part.replace("~", "~0").replace("/", "~1"), safe="~") for part in pointer]
        reference = {"$ref": f"urn:{urn}#/{'/'.join(escaped)}"}
        return jsonschema_rs.Draft202012Validator(reference, registry=self._registry, validate_formats=True)

    def problems(self, exchange: Exchange) -> Iterator[str]:
        """What the description has against a request and its answer."""
        method, path = exchange.method.lower(), VERSION.sub("", exchange.path)
        known = [found for found in self._operations if found[0] == method and pattern(found[1]).fullmatch(path)]
        if not known:
            yield "no such operation"
            return
        _, template, about = known[0]
        operation = ("paths", template, method)
        if "requestBody" in about and not unread(exchange):
            content = ("requestBody", "content", "application/json", "schema")
            yield from self._faults("requests", (*operation, *content), exchange.body, "request")
        elif "requestBody" not in about and exchange.body:
            yield "request body: none is expected"
        yield from self._answer(operation, about["responses"], exchange)

    def _answer(self, operation: tuple[str, ...], responses: dict[str, Any], exchange: Exchange) -> Iterator[str]:
        key = next((key for key in (str(exchange.status), f"{exchange.status // 100}XX") if key in responses), None)
        if key is None:
            if exchange.status < 500:
                yield f"answer {exchange.status}: the description knows {', '.join(responses)}"
            return
        response, pointer = responses[key], (*operation, "responses", key)
        if reference := response.get("$ref"):
            name = reference.rpartition("/")[2]
            pointer = ("components", "responses", name)
        elif "content" not in response:
            if exchange.answer is not None:
                yield f"answer {exchange.status}: no body is expected"
            return
        yield from self._faults(
            "answers", (*pointer, "content", "application/json", "schema"), exchange.answer, "answer"
        )

    def _faults(self, urn: str, pointer: tuple[str, ...], body: Any, side: str) -> Iterator[str]:
        for error in self._validator(urn, *pointer).iter_errors(body):
            yield from (f"{side} {leaf}" for leaf in leaves(error))


CREATES = re.compile(r"POST (/channels/\d+/messages|/webhooks/\d+/[^/]+)|PATCH /webhooks/\d+/[^/]+/messages/@original")
EDITS = re.compile(r"PATCH (/channels/\d+/messages/\d+|/webhooks/\d+/[^/]+/messages/\d+)")
CALLBACK = re.compile(r"POST /interactions/\d+/[^/]+/callback")
COMMANDS = re.compile(r"(PUT|POST|PATCH) /applications/\d+(/guilds/\d+)?/commands(/\d+)?")

REPLY, UPDATE, CHOICES, MODAL = 4, 7, 8, 9
ROW, BUTTON, LINK = 1, 2, 5
COMPONENTS_V2 = 1 << 15
EMBED_LIMITS = {"title": 256, "description": 4096, "footer/text": 2048, "author/name": 256}
FIELD_LIMITS = {"name": 256, "value": 1024}


def limit_problems(exchange: Exchange) -> Iterator[str]:
    """What the product's own rules, and Discord's unwritten ones, have against a request."""
    if unread(exchange):
        return
    asked, body = f"{exchange.method} {VERSION.sub('', exchange.path)}", exchange.body
    if COMMANDS.fullmatch(asked):
        for command in body if isinstance(body, list) else [body]:
            yield from _command_problems(command)
    elif CREATES.fullmatch(asked) or EDITS.fullmatch(asked):
        yield from _message_problems(body, exchange.files, creates=bool(CREATES.fullmatch(asked)))
    elif CALLBACK.fullmatch(asked):
        data = body.get("data") or {}
        if body["type"] in {REPLY, UPDATE}:
            yield from _message_problems(data, exchange.files, creates=body["type"] == REPLY)
        elif body["type"] == CHOICES:
            yield from _choice_problems(data.get("choices") or [])
        elif body["type"] == MODAL:
            yield from _too_long("title", data.get("title"), 45)
            yield from _custom_id_problems([{"custom_id": data.get("custom_id")}])
            yield from _custom_id_problems(in_objects(data.get("components")))


def _too_long(what: str, value: Any, most: int) -> Iterator[str]:
    if len(value or "") > most:
        yield f"{what}: {len(value)} is more than {most}"


def _message_problems(body: dict[str, Any], files: tuple[str, ...], *, creates: bool) -> Iterator[str]:
    yield from _too_long("content", body.get("content"), 2000)
    yield from _embed_problems(body.get("embeds") or [])
    yield from _component_problems(body)
    mentions = body.get("allowed_mentions")
    if mentions != {"parse": []} and (creates or mentions is not None):
        yield f'allowed_mentions: {mentions} is not {{"parse": []}}'
    described = [entry for entry in body.get("attachments") or [] if entry.get("description")]
    if len(files) > len(described):
        yield f"attachments: {', '.join(files)} without a description"


def _embed_problems(embeds: list[dict[str, Any]]) -> Iterator[str]:
    yield from _too_long("embeds", embeds, 10)
    total = 0
    for embed in embeds:
        texts = [(at, _text(embed, at), most) for at, most in EMBED_LIMITS.items()]
        fields = embed.get("fields") or []
        yield from _too_long("fields", fields, 25)
        texts += [(at, _text(field, at), most) for field in fields for at, most in FIELD_LIMITS.items()]
        for at, text, most in texts:
            total += len(text)
            yield from _too_long(at, text, most)
    if total > 6000:
        yield f"embeds: {total} characters in all are more than 6000"


def _text(part: dict[str, Any], at: str) -> str:
    first, _, second = at.partition("/")
    value = part.get(first) or ""
    return value.get(second) or "" if isinstance(value, dict) else value


def _component_problems(body: dict[str, Any]) -> Iterator[str]:
    rows = body.get("components") or []
    parts = [part for part in in_objects(rows) if "type" in part]
    if (body.get("flags") or 0) & COMPONENTS_V2:
        yield from _too_long("components", parts, 40)
    else:
        yield from _too_long("rows", rows, 5)
        yield from (f"components: {row['type']} is not a row" for row in rows if row["type"] != ROW)
    for row in (part for part in parts if part["type"] == ROW):
        inside = row["components"]
        yield from _too_long("a row", inside, 5 if all(part["type"] == BUTTON for part in inside) else 1)
    buttons = [part for part in parts if part["type"] == BUTTON]
    for button in buttons:
        yield from _too_long("label", button.get("label"), 80)
        yield from _too_long("url", button.get("url"), 512)
        if button["style"] < LINK and not button.get("custom_id"):
            yield f"custom_id: none on {button.get('label')}"
    yield from _custom_id_problems(parts)


def _custom_id_problems(parts: Iterable[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for name in [part["custom_id"] for part in parts if part.get("custom_id")]:
        yield from _too_long("custom_id", name, 100)
        if name in seen:
            yield f"custom_id: {name} twice"
        seen.add(name)


def _choice_problems(choices: list[dict[str, Any]]) -> Iterator[str]:
    yield from _too_long("choices", choices, 25)
    for choice in choices:
        yield from _too_long("name", choice["name"], 100)
        yield from _too_long("value", str(choice["value"]), 100)


def _command_problems(command: dict[str, Any]) -> Iterator[str]:
    if command.get("type", 1) == 1:
        yield from _option_problems(command)
    else:
        yield from _too_long("name", command.get("name"), 32)


def _option_problems(option: dict[str, Any]) -> Iterator[str]:
    name, description = option.get("name", "unchanged"), option.get("description", "Unchanged")
    if not re.fullmatch(r"[-_a-z0-9]{1,32}", name):
        yield f"name: {name!r}"
    if not 1 <= len(description) < 60 or description.endswith("."):
        yield f"description of {name}: {description!r}"
    yield from _too_long(f"choices of {name}", option.get("choices"), 25)
    for inner in option.get("options") or []:
        yield from _option_problems(inner)


class Traffic:
    """Recorded exchanges of a bot, as `Discord(record=True).requests` keeps them, are held to what is known of Discord.

    Without a description, as where the official one is absent, only the limits apply; `ours` False leaves out the
    limits, for clients whose habits are not ours.
    """

    def __init__(self, description: Description | None = None, *, ours: bool = True) -> None:
        self._description = description
        self._ours = ours

    def problems(self, exchanges: Iterable[Exchange]) -> list[str]:
        """One line for each fault, each once: the request, then where in it and what."""
        found: dict[str, None] = {}
        for exchange in exchanges:
            where = f"{exchange.method} {NUMBER.sub('…', exchange.path)} ({exchange.status})"
            faults = [*self._description.problems(exchange)] if self._description else []
            faults += [*limit_problems(exchange)] if self._ours else []
            found |= dict.fromkeys(f"{where} {fault}" for fault in faults)
        return list(found)
