"""Who and what exists in the stand-in: people, a guild, its roles and channels, in Discord's own wire shapes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

Json = dict[str, Any]

DISCORD_EPOCH_MS = 1_420_070_400_000
GUILD_TEXT, DM, GROUP_DM = 0, 1, 3

ADMINISTRATOR = 1 << 3
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
EMBED_LINKS = 1 << 14
ATTACH_FILES = 1 << 15
READ_MESSAGE_HISTORY = 1 << 16
MANAGE_ROLES = 1 << 28
USE_APPLICATION_COMMANDS = 1 << 31
ALL_PERMISSIONS = (1 << 53) - 1

EVERYONE_MAY = (
    VIEW_CHANNEL | SEND_MESSAGES | READ_MESSAGE_HISTORY | USE_APPLICATION_COMMANDS | EMBED_LINKS | ATTACH_FILES
)
BOT_MAY = EVERYONE_MAY | MANAGE_ROLES


class Snowflakes:
    """Ids as Discord makes them: the milliseconds since its epoch above 22 bits, always growing."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, at: datetime | None = None) -> str:
        moment = at or datetime.now(UTC)
        fresh = (int(moment.timestamp() * 1000) - DISCORD_EPOCH_MS) << 22
        if at is not None:
            return str(fresh + 1)
        self._last = max(self._last + 1, fresh)
        return str(self._last)


@dataclass(slots=True)
class User:
    """A person or the bot; `installed` means that they added the application to their own account."""

    id: str
    username: str
    global_name: str | None
    locale: str = "en-US"
    colour: str = "#5865f2"
    bot: bool = False
    dm_blocked: bool = False
    installed: bool = False

    def wire(self) -> Json:
        return {
            "id": self.id,
            "username": self.username,
            "discriminator": "4417" if self.bot else "0",
            "global_name": self.global_name,
            "avatar": None,
            "banner": None,
            "accent_color": None,
            "avatar_decoration_data": None,
            "collectibles": None,
            "primary_guild": None,
            "public_flags": 0,
            "flags": 0,
            **({"bot": True} if self.bot else {}),
        }


@dataclass(slots=True)
class Role:
    id: str
    name: str
    permissions: int
    position: int
    color: int = 0
    bot_id: str | None = None

    def wire(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "permissions": str(self.permissions),
            "position": self.position,
            "color": self.color,
            "colors": {"primary_color": self.color, "secondary_color": None, "tertiary_color": None},
            "hoist": bool(self.color),
            "managed": self.bot_id is not None,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
            **({"tags": {"bot_id": self.bot_id}} if self.bot_id else {}),
        }


@dataclass(slots=True)
class Member:
    user: User
    joined_at: datetime
    roles: list[str] = field(default_factory=list)

    def wire(self, *, with_user: bool = True) -> Json:
        return {
            "avatar": None,
            "banner": None,
            "communication_disabled_until": None,
            "flags": 0,
            "joined_at": self.joined_at.isoformat(),
            "nick": None,
            "pending": False,
            "premium_since": None,
            "roles": self.roles,
            "mute": False,
            "deaf": False,
            **({"user": self.user.wire()} if with_user else {}),
        }


@dataclass(slots=True)
class Channel:
    """A text channel of a guild, or a DM; `overwrites` maps a role or user id to (allowed, denied) permissions."""

    id: str
    type: int
    name: str | None = None
    topic: str | None = None
    position: int = 0
    guild: "Guild | None" = None
    recipients: list[User] = field(default_factory=list)
    overwrites: dict[str, tuple[int, int]] = field(default_factory=dict)
    last_message_id: str | None = None

    def wire(self) -> Json:
        common = {"id": self.id, "type": self.type, "flags": 0, "last_message_id": self.last_message_id}
        if self.guild is None:
            return common | {"recipients": [user.wire() for user in self.recipients if not user.bot]}
        roles = self.guild.roles
        return common | {
            "guild_id": self.guild.id,
            "name": self.name,
            "topic": self.topic,
            "parent_id": None,
            "position": self.position,
            "rate_limit_per_user": 0,
            "nsfw": False,
            "last_pin_timestamp": None,
            "permission_overwrites": [
                {"id": who, "type": 0 if who in roles else 1, "allow": str(allow), "deny": str(deny)}
                for who, (allow, deny) in self.overwrites.items()
            ],
        }

    def permissions(self, user: User) -> int:
        """What this user may do here, by the roles and then the overwrites of the channel."""
        if self.guild is None:
            return EVERYONE_MAY if user in self.recipients else 0
        member = self.guild.members.get(user.id)
        if member is None:
            return 0
        granted = self.guild.permissions(member)
        if granted & ADMINISTRATOR:
            return ALL_PERMISSIONS
        layers: Iterable[list[str]] = ([self.guild.id], member.roles, [user.id])
        for layer in layers:
            allow = deny = 0
            for who in layer:
                allowed, denied = self.overwrites.get(who, (0, 0))
                allow, deny = allow | allowed, deny | denied
            granted = granted & ~deny | allow
        return granted

    def seen_by(self, user: User) -> bool:
        """Whether the user finds this channel in their list."""
        return bool(self.permissions(user) & VIEW_CHANNEL)


@dataclass(slots=True)
class Guild:
    id: str
    name: str
    owner_id: str
    roles: dict[str, Role] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)

    def permissions(self, member: Member) -> int:
        """What the member's roles grant, before any channel has a say."""
        granted = self.roles[self.id].permissions
        for role in member.roles:
            granted |= self.roles[role].permissions
        if granted & ADMINISTRATOR or member.user.id == self.owner_id:
            return ALL_PERMISSIONS
        return granted

    def has(self, user: User) -> bool:
        return user.id in self.members

    def rank(self, member: Member) -> int:
        """The position of the member's highest role; the owner stands above all."""
        if member.user.id == self.owner_id:
            return 1 << 30
        return max((self.roles[role].position for role in member.roles), default=0)

    def wire(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "description": "Index options before the bell",
            "home_header": None,
            "splash": None,
            "discovery_splash": None,
            "features": [],
            "banner": None,
            "owner_id": self.owner_id,
            "application_id": None,
            "region": "deprecated",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "widget_enabled": False,
            "widget_channel_id": None,
            "verification_level": 1,
            "roles": [role.wire() for role in self.roles.values()],
            "default_message_notifications": 1,
            "mfa_level": 0,
            "explicit_content_filter": 0,
            "max_presences": None,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "vanity_url_code": None,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "rules_channel_id": None,
            "safety_alerts_channel_id": None,
            "public_updates_channel_id": None,
            "premium_progress_bar_enabled": False,
            "nsfw": False,
            "nsfw_level": 0,
            "emojis": [],
            "stickers": [],
            "incidents_data": None,
        }

    def arrival(self, bot: User) -> Json:
        """The guild as GUILD_CREATE brings it; without the presence intent its members are the bot alone."""
        return self.wire() | {
            "joined_at": self.members[bot.id].joined_at.isoformat(),
            "large": False,
            "unavailable": False,
            "member_count": len(self.members),
            "members": [self.members[bot.id].wire()],
            "channels": [channel.wire() for channel in self.channels.values()],
            "threads": [],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }


class World:
    """Everything that exists, found by its id."""

    def __init__(self, bot: User, owner: User) -> None:
        self.ids = Snowflakes()
        self.bot = bot
        self.owner = owner
        self.users: dict[str, User] = {bot.id: bot}
        self.guilds: dict[str, Guild] = {}
        self.channels: dict[str, Channel] = {}
        self._dms: dict[str, Channel] = {}

    @property
    def application_id(self) -> str:
        """The application shares its id with its bot, as all newer ones do."""
        return self.bot.id

    def user(self, name_or_id: str) -> User:
        """Find a person by id or by the name that is shown; LookupError when there is none."""
        for user in self.users.values():
            if name_or_id in {user.id, user.username, user.global_name}:
                return user
        raise LookupError(f"Nobody is called {name_or_id}")

    def channel(self, name_or_id: str) -> Channel:
        """Find a channel by id or by name; LookupError when there is none."""
        for channel in self.channels.values():
            if name_or_id.removeprefix("#") in {channel.id, channel.name}:
                return channel
        raise LookupError(f"There is no channel {name_or_id}")

    def bot_is_in(self, channel: Channel) -> bool:
        """Whether the bot's gateway hears of this channel."""
        return bool(channel.permissions(self.bot) & VIEW_CHANNEL)

    def dm(self, user: User) -> Channel:
        """The one direct channel between the bot and this user, opened on first use."""
        channel = self._dms.get(user.id)
        if channel is None:
            channel = Channel(self.ids(), DM, recipients=[user, self.bot])
            self._dms[user.id] = self.channels[channel.id] = channel
        return channel


CHANNELS = (
    ("trading-floor", "Talk through the session. Try /quote or /help here."),
    ("gamma-levels", "Walls, flips and expected moves. /gamma draws them."),
    ("alerts-feed", "Levels that were crossed."),
)
PEOPLE = (
    ("mara", "Mara", "en-US", "#f0b232", True),
    ("jonas", "Jonas", "de", "#3ba55d", True),
    ("aiko", "Aiko", "ja", "#eb459e", False),
    ("sam", "Sam", "en-GB", "#5865f2", False),
)


def opening_bell(application_id: str | None = None) -> World:
    """A small trading guild: four people, three channels and the bot; Sam owns it and takes no DMs."""
    ids = Snowflakes()
    days = count(1)

    def founded() -> tuple[str, datetime]:
        at = datetime(2024, 3, next(days), 14, 30, tzinfo=UTC)
        return ids(at), at

    bot = User(application_id or ids(datetime(2024, 2, 5, 9, tzinfo=UTC)), "PulseEngine", None, bot=True)
    people = [
        User(founded()[0], username, shown, locale, colour, installed=installed, dm_blocked=username == "sam")
        for username, shown, locale, colour, installed in PEOPLE
    ]
    world = World(bot, owner=people[-1])
    world.users |= {person.id: person for person in people}
    guild_id, opened = founded()
    guild = Guild(guild_id, "Opening Bell", owner_id=people[-1].id)
    desk = Role(founded()[0], "Desk", EVERYONE_MAY | MANAGE_MESSAGES, 3, color=0xF0B232)
    own = Role(founded()[0], bot.username, BOT_MAY, 2, bot_id=bot.id)
    trader = Role(founded()[0], "Trader", EVERYONE_MAY, 1, color=0x3BA55D)
    guild.roles = {role.id: role for role in (Role(guild_id, "@everyone", EVERYONE_MAY, 0), trader, own, desk)}
    for person in people:
        roles = [desk.id] if person is people[-1] else [trader.id]
        guild.members[person.id] = Member(person, opened, roles)
    guild.members[bot.id] = Member(bot, opened, [own.id])
    for position, (name, topic) in enumerate(CHANNELS):
        channel = Channel(founded()[0], GUILD_TEXT, name, topic, position, guild)
        guild.channels[channel.id] = world.channels[channel.id] = channel
    world.guilds[guild.id] = guild
    for person in people:
        world.dm(person)
    return world
