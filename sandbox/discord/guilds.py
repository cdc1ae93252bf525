"""Who the bot is and where: application, users, guilds, members and roles."""

from functools import partial

from sandbox.discord.call import Call, Route
from sandbox.discord.gateway import GUILD_MEMBERS
from sandbox.discord.rules import missing_access, missing_permissions, unknown
from sandbox.discord.state import State
from sandbox.discord.world import MANAGE_ROLES, Guild, Json, Member, Role

SCOPES = ["applications.commands", "bot"]


def _install(scopes: list[str]) -> Json:
    return {"oauth2_install_params": {"scopes": scopes, "permissions": "0"}}


def get_application(state: State, _call: Call) -> Json:
    world = state.world
    return {
        "id": world.application_id,
        "name": world.bot.username,
        "icon": None,
        "description": "Self-hosted trading assistant",
        "type": None,
        "bot": world.bot.wire(),
        "bot_public": True,
        "bot_require_code_grant": False,
        "integration_types_config": {"0": _install(SCOPES), "1": _install(SCOPES[:1])},
        "verify_key": "0" * 64,
        "flags": 0,
        "flags_new": "0",
        "summary": "",
        "redirect_uris": [],
        "rpc_origins": [],
        "tags": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "event_webhooks_url": None,
        "event_webhooks_status": 1,
        "event_webhooks_types": [],
        "owner": world.owner.wire(),
        "approximate_guild_count": len(world.guilds),
        "approximate_user_install_count": sum(user.installed for user in world.users.values()),
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [*SCOPES, "identify"],
    }


def get_me(state: State, call: Call) -> Json:
    about: Json = {"mfa_enabled": False, "locale": "en-US", "premium_type": 0}
    if call.user:  # who allowed `identify` alone shows no address
        return call.user.wire() | about | {"locale": call.user.locale}
    return state.world.bot.wire() | about | {"verified": True, "email": None}


def get_user(state: State, call: Call) -> Json:
    user = state.world.users.get(call.params["user"])
    if user is None:
        raise unknown("User", 10013)
    return user.wire()


def my_guilds(state: State, call: Call) -> list[Json]:
    """By id, `before` or `after` one, up to `limit`."""
    bot = state.world.bot
    before, after = int(call.query.get("before", 1 << 63)), int(call.query.get("after", 0))
    mine = [guild for guild in state.world.guilds.values() if guild.has(bot) and after < int(guild.id) < before]
    return [
        {
            "id": guild.id,
            "name": guild.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(guild.permissions(guild.members[bot.id])),
            "features": [],
            **_counts(guild, call),
        }
        for guild in mine[: int(call.query.get("limit", 200))]
    ]


def _counts(guild: Guild, call: Call) -> Json:
    if not call.flag("with_counts"):
        return {}
    return {"approximate_member_count": len(guild.members), "approximate_presence_count": len(guild.members)}


def _guild(state: State, call: Call) -> Guild:
    guild = state.world.guilds.get(call.params["guild"])
    if guild is None:
        raise unknown("Guild", 10004)
    if not guild.has(state.world.bot):
        raise missing_access()
    return guild


def _member(state: State, call: Call) -> tuple[Guild, Member]:
    guild = _guild(state, call)
    member = guild.members.get(call.params["user"])
    if member is None:
        raise unknown("Member", 10007)
    return guild, member


def _role(guild: Guild, call: Call) -> Role:
    role = guild.roles.get(call.params["role"])
    if role is None:
        raise unknown("Role", 10011)
    return role


def get_guild(state: State, call: Call) -> Json:
    guild = _guild(state, call)
    return guild.wire() | _counts(guild, call)


def guild_channels(state: State, call: Call) -> list[Json]:
    return [channel.wire() for channel in _guild(state, call).channels.values()]


def guild_roles(state: State, call: Call) -> list[Json]:
    return [role.wire() for role in _guild(state, call).roles.values()]


def get_role(state: State, call: Call) -> Json:
    return _role(_guild(state, call), call).wire()


def list_members(state: State, call: Call) -> list[Json]:
    """By user id, from `after`; as on Discord only with the privileged intent."""
    guild = _guild(state, call)
    if not state.privileged_intents & GUILD_MEMBERS:
        raise missing_access()
    after, limit = int(call.query.get("after", 0)), int(call.query.get("limit", 1))
    members = sorted(guild.members.values(), key=lambda member: int(member.user.id))
    return [member.wire() for member in members if int(member.user.id) > after][:limit]


def search_members(state: State, call: Call) -> list[Json]:
    wanted, limit = call.query.get("query", "").lower(), int(call.query.get("limit", 1))
    members = _guild(state, call).members.values()
    return [member.wire() for member in members if member.user.username.startswith(wanted)][:limit]


def get_member(state: State, call: Call) -> Json:
    return _member(state, call)[1].wire()


def _may_give(state: State, guild: Guild, role: Role) -> None:
    own = guild.members[state.world.bot.id]
    beneath = role.position < guild.rank(own) and not role.bot_id and role.id != guild.id
    if not beneath or not guild.permissions(own) & MANAGE_ROLES:
        raise missing_permissions()


def _tell_member(state: State, guild: Guild, member: Member) -> None:
    changed = member.wire() | {"guild_id": guild.id}
    state.after_answer(partial(state.gateway.dispatch, "GUILD_MEMBER_UPDATE", changed, guild.id, GUILD_MEMBERS))


def add_role(state: State, call: Call) -> None:
    guild, member = _member(state, call)
    role = _role(guild, call)
    _may_give(state, guild, role)
    if role.id not in member.roles:
        member.roles = [*member.roles, role.id]
        _tell_member(state, guild, member)


def remove_role(state: State, call: Call) -> None:
    guild, member = _member(state, call)
    role = _role(guild, call)
    _may_give(state, guild, role)
    if role.id in member.roles:
        member.roles = [held for held in member.roles if held != role.id]
        _tell_member(state, guild, member)


def get_gateway(state: State, _call: Call) -> Json:
    return {"url": gateway_url(state)}


def get_gateway_bot(state: State, _call: Call) -> Json:
    total = 1000
    left = max(0, total - state.gateway.identified)
    starts = {"total": total, "remaining": left, "reset_after": 86_400_000, "max_concurrency": 1}
    return {"url": gateway_url(state), "shards": 1, "session_start_limit": starts}


def gateway_url(state: State) -> str:
    """Where the websocket is, from the address under which the stand-in was asked."""
    return state.base_url.replace("http", "ws", 1) + "/gateway"


MEMBER = "/guilds/{guild}/members/{user}"
ROUTES = (
    Route("GET", "/gateway", get_gateway, token=True),
    Route("GET", "/gateway/bot", get_gateway_bot),
    Route("GET", "/applications/@me", get_application),
    Route("GET", "/oauth2/applications/@me", get_application),
    Route("GET", "/users/@me", get_me, bearer=True),
    Route("GET", "/users/@me/guilds", my_guilds),
    Route("GET", "/users/{user}", get_user),
    Route("GET", "/guilds/{guild}", get_guild),
    Route("GET", "/guilds/{guild}/channels", guild_channels),
    Route("GET", "/guilds/{guild}/roles", guild_roles),
    Route("GET", "/guilds/{guild}/roles/{role}", get_role),
    Route("GET", "/guilds/{guild}/members", list_members, limit=10, window_s=10),
    Route("GET", "/guilds/{guild}/members/search", search_members, limit=10, window_s=10),
    Route("GET", MEMBER, get_member),
    Route("PUT", MEMBER + "/roles/{role}", add_role, limit=10, window_s=10),
    Route("DELETE", MEMBER + "/roles/{role}", remove_role, limit=10, window_s=10),
)
