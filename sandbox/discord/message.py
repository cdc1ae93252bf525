"""Messages and attachments: from a body that the bot sends to the object that everybody sees."""

import mimetypes
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.discord import rules
from sandbox.discord.components import check_components, check_components_v2, shaped, walk
from sandbox.discord.rules import COMPONENTS_V2, EPHEMERAL, LOADING, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, Form
from sandbox.discord.world import Channel, Json, User, World

PNG = b"\x89PNG\r\n\x1a\n"
MENTION = re.compile(r"<@!?(\d+)>")
KEPT_FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2


@dataclass(frozen=True, slots=True)
class Upload:
    """A part `files[n]` of a multipart request."""

    filename: str
    content: bytes
    content_type: str | None = None


Uploads = dict[str, Upload]


@dataclass(slots=True)
class Attachment:
    id: str
    filename: str
    content: bytes
    content_type: str
    url: str
    description: str | None = None
    ephemeral: bool = False

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of a PNG."""
        if self.content.startswith(PNG) and len(self.content) >= 24:
            width, height = struct.unpack(">II", self.content[16:24])
            return width, height
        return None

    def wire(self) -> Json:
        wire: Json = {
            "id": self.id,
            "filename": self.filename,
            "size": len(self.content),
            "url": self.url,
            "proxy_url": self.url,
            "content_type": self.content_type,
        }
        if self.size:
            wire["width"], wire["height"] = self.size
        if self.description:
            wire["description"] = self.description
        if self.ephemeral:
            wire["ephemeral"] = True
        return wire

    def media(self) -> Json:
        """As the picture of an embed."""
        width, height = self.size or (0, 0)
        media: Json = {"url": self.url, "proxy_url": self.url, "content_type": self.content_type}
        media |= {"width": width, "height": height}
        return media | ({"description": self.description} if self.description else {})


@dataclass(eq=False, slots=True)
class Message:
    """A message as on the wire, with what the wire does not say: whose ephemeral it is, and its files."""

    wire: Json
    channel: Channel
    owner: str | None = None
    attachments: list[Attachment] = field(default_factory=list)
    command_text: str | None = None

    @property
    def id(self) -> str:
        identifier: str = self.wire["id"]
        return identifier

    @property
    def loading(self) -> bool:
        return bool(self.wire["flags"] & LOADING)

    def event(self) -> Json:
        """As the gateway tells it: with the guild and the member."""
        guild = self.channel.guild
        if guild is None:
            return self.wire
        member = guild.members.get(self.wire["author"]["id"])
        return self.wire | {"guild_id": guild.id} | ({"member": member.wire(with_user=False)} if member else {})

    def page(self) -> Json:
        """As the page shows it."""
        extra: Json = {"loading": True} if self.loading else {}
        return self.wire | extra | ({"command_text": self.command_text} if self.command_text else {})


@dataclass(slots=True)
class Draft:
    """A body with its files on the way to become a message, or to change one."""

    world: World
    base_url: str
    channel: Channel
    body: Json
    uploads: Uploads
    message: Message | None = None

    @property
    def v2(self) -> bool:
        before = self.message.wire["flags"] if self.message else 0
        return bool(((self.body.get("flags") or 0) | before) & COMPONENTS_V2)

    def check(self) -> None:
        """Refuse what Discord refuses, all faults at once."""
        form = Form()
        body = self.body
        rules.check_content(form, body)
        rules.check_allowed_mentions(form, body.get("allowed_mentions"))
        kept = self._kept()
        rules.check_attachments(form, body.get("attachments"), self.uploads.keys(), [item.id for item in kept])
        if len(self.uploads) + len(kept) > rules.FILES:
            form.fault(("attachments",), "BASE_TYPE_MAX_LENGTH", f"Must be {rules.FILES} or fewer in length.")
        names = [item.filename for item in kept] + [filename(upload) for upload in self._listed().values()]
        if self.v2:
            rules.check_components_v2_alone(form, body)
            if "components" in body or self.message is None:
                check_components_v2(form, body.get("components"), names)
        else:
            rules.check_embeds(form, body.get("embeds"), names)
            check_components(form, body.get("components"), names)
        form.check()

    def _listed(self) -> Uploads:
        """The uploads that are meant: an edit that lists attachments drops files that it does not list."""
        listed = self.body.get("attachments")
        if self.message is None or not isinstance(listed, list):
            return self.uploads
        ids = _ids(listed)
        return {key: upload for key, upload in self.uploads.items() if key in ids}

    def _kept(self) -> list[Attachment]:
        """The earlier attachments that survive: all of them, unless the body lists which."""
        if self.message is None:
            return []
        listed = self.body.get("attachments", ...)
        if listed is ...:
            return self.message.attachments
        ids = _ids(listed)
        return [attachment for attachment in self.message.attachments if attachment.id in ids]

    def attach(self, *, ephemeral: bool) -> list[Attachment]:
        """All attachments of the result, the new ones made from the uploads."""
        described = {str(entry.get("id")): entry for entry in self.body.get("attachments") or []}
        attachments = list(self._kept())
        for attachment in attachments:
            attachment.description = described.get(attachment.id, {}).get("description", attachment.description)
        for key, upload in self._listed().items():
            number, name = self.world.ids(), filename(upload)
            url = f"{self.base_url}/attachments/{self.channel.id}/{number}/{name}"
            kind = mimetypes.guess_type(name)[0] or upload.content_type or "application/octet-stream"
            description = described.get(key, {}).get("description")
            attachments.append(Attachment(number, name, upload.content, kind, url, description, ephemeral))
        return attachments

    def parts(self, attachments: list[Attachment]) -> Json:
        """The parts of the message that this body sets, resolved and in Discord's shape."""
        body = self.body
        parts: Json = {}
        if "content" in body:
            content = body["content"] or ""
            mentioned = dict.fromkeys(MENTION.findall(content))
            parts["content"] = content
            parts["mentions"] = [self.world.users[user].wire() for user in mentioned if user in self.world.users]
        by_name = {attachment.filename: attachment for attachment in attachments}
        if "embeds" in body:
            parts["embeds"] = [shape_embed(embed, by_name) for embed in body["embeds"] or []]
        if "components" in body:
            parts["components"] = shaped(body["components"] or [], lambda url: self._unfurl(url, by_name))
        before = self.message.wire if self.message else {"embeds": [], "components": []}
        shown = {*_pictures((before | parts)["embeds"]), *_media((before | parts)["components"])}
        parts["attachments"] = [item.wire() for item in attachments if item.url not in shown]
        return parts

    def _unfurl(self, url: str, by_name: dict[str, Attachment]) -> Json:
        number = self.world.ids()
        if attachment := by_name.get(url.removeprefix("attachment://")):
            return {"id": number, "attachment_id": attachment.id} | attachment.media()
        return {"id": number, "url": url, "proxy_url": url, "width": None, "height": None, "content_type": None}


def _ids(listed: Any) -> set[str]:
    return {str(entry.get("id")) for entry in listed or () if isinstance(entry, dict)}


def filename(upload: Upload) -> str:
    """The name as Discord stores it: what is not a letter, digit, dot, dash or underscore becomes one."""
    return re.sub(r"[^\w.-]+", "_", upload.filename, flags=re.ASCII) or "file"


def shape_embed(embed: Json, files: dict[str, Attachment]) -> Json:
    """An embed as Discord returns it, its pictures pointing at the stored files."""
    shape: Json = {"type": "rich"} | {key: value for key, value in embed.items() if value not in (None, "", [])}
    for part in ("image", "thumbnail"):
        if part in shape:
            url = shape[part]["url"]
            attachment = files.get(url.removeprefix("attachment://"))
            shape[part] = attachment.media() if attachment else {"url": url, "proxy_url": url}
    for part in ("footer", "author"):
        if part in shape:
            given = {key: value for key, value in shape[part].items() if value is not None}
            attachment = files.get(str(given.get("icon_url")).removeprefix("attachment://"))
            shape[part] = given | ({"icon_url": attachment.url} if attachment else {})
    if "fields" in shape:
        shape["fields"] = [{"inline": False} | entry for entry in shape["fields"]]
    return shape


def _pictures(embeds: Iterable[Json]) -> Iterable[str]:
    for embed in embeds:
        for part in ("image", "thumbnail"):
            if part in embed:
                yield embed[part]["url"]
        for part in ("footer", "author"):
            if "icon_url" in embed.get(part, {}):
                yield embed[part]["icon_url"]


def _media(components: list[Json]) -> Iterable[str]:
    for component in walk(components):
        for item in [component, *component.get("items", ())]:
            for part in ("media", "file"):
                if part in item:
                    yield item[part]["url"]


def is_empty(wire: Json) -> bool:
    """Whether there would be nothing to see."""
    embeds = [embed for embed in wire["embeds"] if not rules.embed_is_empty(embed)]
    v2 = wire["flags"] & COMPONENTS_V2 and wire["components"]
    return not (wire["content"] or embeds or wire["attachments"] or v2)


def compose(draft: Draft, author: User, flags: int = 0, extra: Json | None = None, owner: str | None = None) -> Message:
    """Make a new message from a draft; `flags` are added to those of the body that a sender may set."""
    draft.check()
    attachments = draft.attach(ephemeral=owner is not None)
    body = draft.body
    wire: Json = {
        "id": draft.world.ids(),
        "type": 0,
        "channel_id": draft.channel.id,
        "author": author.wire(),
        "content": "",
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "attachments": [],
        "embeds": [],
        "components": [],
        "timestamp": datetime.now(UTC).isoformat(),
        "edited_timestamp": None,
        "flags": (body.get("flags") or 0) & KEPT_FLAGS | flags | (EPHEMERAL if owner else 0),
        "pinned": False,
        "tts": bool(body.get("tts")),
        **draft.parts(attachments),
        **(extra or {}),
    }
    if not flags & LOADING and is_empty(wire):
        raise rules.empty_message()
    return Message(wire, draft.channel, owner, attachments)


def revise(draft: Draft) -> None:
    """Change the message of the draft; what the body does not name stays, and one that was loading is there now."""
    message = draft.message
    assert message is not None
    draft.check()
    attachments = draft.attach(ephemeral=message.owner is not None)
    flags = message.wire["flags"] & ~LOADING
    if (wanted := draft.body.get("flags")) is not None:
        flags = flags & ~SUPPRESS_EMBEDS | wanted & (SUPPRESS_EMBEDS | COMPONENTS_V2)
    wire = message.wire | draft.parts(attachments) | {"flags": flags}
    if is_empty(wire):
        raise rules.empty_message()
    if not message.loading:
        wire["edited_timestamp"] = datetime.now(UTC).isoformat()
    message.wire, message.attachments = wire, attachments
