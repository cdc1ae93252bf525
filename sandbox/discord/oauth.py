"""Signing in with Discord: the page that asks, and the tokens that follow."""

from aiohttp import web

from sandbox.consent import Consent, Person
from sandbox.discord.call import Call, Route
from sandbox.discord.rules import unauthorized
from sandbox.discord.state import State
from sandbox.discord.world import Json, User
from sandbox.grants import Denied, client_of

SCOPES = {
    "identify": "Read your username and picture",
    "email": "Read your e-mail address",
    "guilds": "Know which servers you are in",
    "role_connections.write": "Update your connection for this application",
}


def page(state: State) -> list[web.RouteDef]:
    """The page on which a person allows an application to know them."""
    people = [
        Person(user.id, user.global_name or user.username, user.colour, user.username)
        for user in state.world.users.values()
        if not user.bot
    ]
    return Consent("Discord", state.logins, people, SCOPES).routes("/oauth2/authorize")


def bearer(state: State, token: str) -> User:
    """Find whose token this is; Refusal when it is nobody's."""
    grant = state.logins.holder(token)
    if grant is None or "identify" not in grant.scopes:
        raise unauthorized()
    return state.world.users[grant.person]


def give_token(state: State, call: Call) -> Json:
    form = call.fields
    logins = state.logins
    logins.client.check(*client_of(call.authorization, form))
    if state.faults.take("invalid_grant") is not None:
        raise Denied("invalid_grant", 'Invalid "code" in request.')
    if form.get("grant_type") == "authorization_code":
        return logins.answer(logins.redeem(form.get("code"), form.get("redirect_uri"), form.get("code_verifier")))
    if form.get("grant_type") == "refresh_token":
        return logins.answer(logins.refresh(form.get("refresh_token")))
    raise Denied("unsupported_grant_type", f"Grant type {form.get('grant_type')} is not supported")


def revoke_token(state: State, call: Call) -> Json:
    """Both tokens of the permission end, whichever is named."""
    state.logins.client.check(*client_of(call.authorization, call.fields))
    state.logins.revoke(str(call.fields.get("token", "")))
    return {}


ROUTES = (
    Route("POST", "/oauth2/token", give_token, token=True, form=True),
    Route("POST", "/oauth2/token/revoke", revoke_token, token=True, form=True),
)
