"""What Discord refuses, and in which words: errors, the form of faults, and the limits of messages and embeds."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox.discord.world import Json

Path = tuple[str | int, ...]

SUPPRESS_EMBEDS, EPHEMERAL, LOADING, SUPPRESS_NOTIFICATIONS, COMPONENTS_V2 = 4, 64, 128, 4096, 32768

CONTENT_LENGTH = 2000
EMBEDS = 10
EMBED_TOTAL = 6000
FIELDS = 25
FILES = 10
FILE_BYTES = 10 * 1024 * 1024
REQUEST_BYTES = 25 * 1024 * 1024
URL_LENGTH = 2048
MENTION_KINDS = {"roles", "users", "everyone"}


class Refusal(Exception):
    """An answer that is an error, with Discord's own code and words."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.body: Json = {"message": message, "code": code} | ({"errors": errors} if errors else {})


def unknown(what: str, code: int) -> Refusal:
    """Name something that does not exist; `what` as in "Unknown Message"."""
    return Refusal(404, code, f"Unknown {what}")


def unauthorized() -> Refusal:
    return Refusal(401, 0, "401: Unauthorized")


def missing_access() -> Refusal:
    return Refusal(403, 50001, "Missing Access")


def missing_permissions() -> Refusal:
    return Refusal(403, 50013, "Missing Permissions")


def empty_message() -> Refusal:
    return Refusal(400, 50006, "Cannot send an empty message")


def too_large() -> Refusal:
    return Refusal(413, 40005, "Request entity too large")


class Form:
    """Collects what is wrong with a body, each fault at its path, to be refused all at once."""

    def __init__(self) -> None:
        self.errors: Json = {}

    def fault(self, path: Path, code: str, message: str) -> None:
        node = self.errors
        for key in path:
            node = node.setdefault(str(key), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def check(self) -> None:
        """Refuse with 50035 when anything was found."""
        if self.errors:
            raise Refusal(400, 50035, "Invalid Form Body", self.errors)

    def required(self, path: Path, value: Any) -> bool:
        if value is None or value == "":
            self.fault(path, "BASE_TYPE_REQUIRED", "This field is required")
            return False
        return True

    def text(self, path: Path, value: Any, most: int, *, least: int = 0, required: bool = False) -> str:
        """Check a string and return it, "" when it is absent or not one."""
        if value is None or (value == "" and required):
            if required:
                self.required(path, value)
            return ""
        if not isinstance(value, str):
            self.fault(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
            return ""
        if not least <= len(value) <= most:
            limit = f"Must be between {least} and {most} in length." if least else f"Must be {most} or fewer in length."
            self.fault(path, "BASE_TYPE_BAD_LENGTH" if least else "BASE_TYPE_MAX_LENGTH", limit)
        return value

    def whole(self, path: Path, value: Any, low: int, high: int) -> None:
        if value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool):
            self.fault(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        elif value < low:
            self.fault(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {low}.")
        elif value > high:
            self.fault(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {high}.")

    def flag(self, path: Path, value: Any) -> None:
        if value is not None and not isinstance(value, bool):
            self.fault(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")

    def one_of(self, path: Path, value: Any, choices: Collection[Any]) -> bool:
        if value in choices and not isinstance(value, bool):
            return True
        shown = ", ".join(map(str, sorted(choices)))
        self.fault(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{shown}}}.")
        return False

    def listed(self, path: Path, value: Any, most: int, *, least: int = 0) -> list[Any]:
        """Check the length of a list and return it, [] when it is absent or not one."""
        if value is None and not least:
            return []
        if value is None or not isinstance(value, list):
            code, words = ("BASE_TYPE_REQUIRED", "This field is required")
            if value is not None:
                code, words = "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType"
            self.fault(path, code, words)
            return []
        if not least <= len(value) <= most:
            limit = f"Must be between {least} and {most} in length." if least else f"Must be {most} or fewer in length."
            self.fault(path, "BASE_TYPE_BAD_LENGTH" if least else "BASE_TYPE_MAX_LENGTH", limit)
        return value

    def object(self, path: Path, value: Any) -> Json:
        """Return an object, {} when it is absent or not one."""
        if isinstance(value, dict):
            return value
        if value is not None:
            self.fault(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return {}

    def objects(self, path: Path, value: Any, most: int, *, least: int = 0) -> Iterable[tuple[Path, Json]]:
        """Go through a list of objects, each with its path; what is not an object becomes a fault."""
        for index, item in enumerate(self.listed(path, value, most, least=least)):
            if item is None:
                self.required((*path, index), item)
            elif self.object((*path, index), item) is item:
                yield (*path, index), item

    def url(self, path: Path, value: Any, most: int = URL_LENGTH, schemes: Sequence[str] = ("http", "https")) -> None:
        if value is None or not self.text(path, value, most, required=True):
            return
        parts = urlsplit(value)
        if parts.scheme not in schemes:
            words = f'Scheme "{parts.scheme}" is not supported. Scheme must be one of {tuple(schemes)}.'
            self.fault(path, "URL_TYPE_INVALID_SCHEME", words)
        elif not (parts.netloc or parts.path) or " " in value:
            self.fault(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")


def check_embeds(form: Form, embeds: Any, files: Collection[str]) -> None:
    """Hold embeds to their limits: each part, and 6,000 characters over all of them; `files` are known file names."""
    total = sum(_check_embed(form, path, embed, files) for path, embed in form.objects(("embeds",), embeds, EMBEDS))
    if total > EMBED_TOTAL:
        form.fault(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TOTAL}")


def _check_embed(form: Form, path: Path, embed: Json, files: Collection[str]) -> int:
    total = len(form.text((*path, "title"), embed.get("title"), 256))
    total += len(form.text((*path, "description"), embed.get("description"), 4096))
    form.url((*path, "url"), embed.get("url"))
    form.whole((*path, "color"), embed.get("color"), 0, 0xFFFFFF)
    _check_time(form, (*path, "timestamp"), embed.get("timestamp"))
    for part, key, most in (("footer", "text", 2048), ("author", "name", 256)):
        if (value := embed.get(part)) is not None:
            value = form.object((*path, part), value)
            total += len(form.text((*path, part, key), value.get(key), most, required=True))
            check_media(form, (*path, part, "icon_url"), value.get("icon_url"), files)
    for part in ("image", "thumbnail"):
        if (value := embed.get(part)) is not None:
            url = form.object((*path, part), value).get("url")
            if form.required((*path, part, "url"), url):
                check_media(form, (*path, part, "url"), url, files)
    for at, entry in form.objects((*path, "fields"), embed.get("fields"), FIELDS):
        total += len(form.text((*at, "name"), entry.get("name"), 256, required=True))
        total += len(form.text((*at, "value"), entry.get("value"), 1024, required=True))
        form.flag((*at, "inline"), entry.get("inline"))
    return total


def check_media(form: Form, path: Path, url: Any, files: Collection[str]) -> None:
    form.url(path, url, schemes=("http", "https", "attachment"))
    if isinstance(url, str) and url.startswith("attachment://") and url.removeprefix("attachment://") not in files:
        words = "The referenced attachment was not found"
        form.fault(path, "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", words)


def _check_time(form: Form, path: Path, value: Any) -> None:
    if value is None:
        return
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        form.fault(path, "DATETIME_TYPE_PARSE", f"Could not parse {value}. Should be ISO8601.")


def check_allowed_mentions(form: Form, value: Any) -> None:
    """Parse kinds must be known, and a kind is either parsed or listed, not both."""
    path: Path = ("allowed_mentions",)
    value = form.object(path, value)
    parsed = form.listed((*path, "parse"), value.get("parse"), 3)
    for index, kind in enumerate(parsed):
        form.one_of((*path, "parse", index), kind, MENTION_KINDS)
    for kind in ("users", "roles"):
        if form.listed((*path, kind), value.get(kind), 100) and kind in parsed:
            words = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            form.fault(path, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", words)


def check_attachments(form: Form, value: Any, uploaded: Collection[str], kept: Collection[str]) -> None:
    """Each entry describes an upload (`id` = n of files[n]) or keeps an attachment of the message."""
    for path, entry in form.objects(("attachments",), value, FILES):
        form.text((*path, "description"), entry.get("description"), 1024)
        form.text((*path, "filename"), entry.get("filename"), 1024)
        if str(entry.get("id")) not in uploaded and str(entry.get("id")) not in kept:
            form.fault((*path, "id"), "MESSAGE_ATTACHMENT_NOT_FOUND", f"The attachment {entry.get('id')} was not found")


def check_content(form: Form, body: Json) -> None:
    """Content, nonce and the simple fields of a message body."""
    form.text(("content",), body.get("content"), CONTENT_LENGTH)
    form.flag(("tts",), body.get("tts"))
    form.flag(("enforce_nonce",), body.get("enforce_nonce"))
    form.whole(("flags",), body.get("flags"), 0, (1 << 31) - 1)
    nonce = body.get("nonce")
    if nonce is not None and not isinstance(nonce, int):
        form.text(("nonce",), nonce, 25)


def check_components_v2_alone(form: Form, body: Json) -> None:
    """With IS_COMPONENTS_V2 the older ways to say something are closed."""
    for name in ("content", "embeds", "sticker_ids", "poll"):
        if body.get(name):
            words = f"The '{name}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
            form.fault((name,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", words)


def embed_is_empty(embed: Json) -> bool:
    """An embed that would show nothing."""
    shown = ("title", "description", "fields", "image", "thumbnail", "author", "footer")
    return not any(embed.get(part) for part in shown)
