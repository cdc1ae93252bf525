"""Who reads an answer, by where it goes."""

from types import SimpleNamespace

import pytest
from discord import MessageFlags
from discord.app_commands import AppCommandContext

from bot import audience

GUILD, WITH_BOT = AppCommandContext(guild=True), AppCommandContext(dm_channel=True)
OTHERS, UNKNOWN = AppCommandContext(private_channel=True), AppCommandContext()


class Person:
    """Somebody's wish about answers, which may change at any moment."""

    def __init__(self, private):
        self.private = private

    def remembered(self, _user):
        return self


def interaction(context, *, prefers=False, message=None):
    """An interaction as far as it tells who reads along; `message` is that of a pressed button: hidden or not."""
    pressed = None if message is None else SimpleNamespace(flags=MessageFlags(ephemeral=message))
    services = SimpleNamespace(people=Person(prefers))
    return SimpleNamespace(
        extras={},
        context=context,
        message=pressed,
        user=SimpleNamespace(id=1),
        client=SimpleNamespace(services=services),
    )


def alone(of, *, edit=False, private=False):
    return audience.decide(of, edit=edit, private=private).alone


@pytest.mark.parametrize("context", [GUILD, OTHERS, UNKNOWN])
def test_outside_a_direct_message_only_what_is_hidden_is_read_alone(context):
    assert not alone(interaction(context))
    assert alone(interaction(context), private=True)
    assert alone(interaction(context, prefers=True))
    assert not alone(interaction(context, message=True)), "a button under a hidden message that opens a public one"
    assert alone(interaction(context, message=True, prefers=True))


@pytest.mark.parametrize("context", [GUILD, OTHERS, UNKNOWN])
def test_what_goes_into_a_message_is_read_by_whoever_sees_that_message(context):
    assert alone(interaction(context, message=True), edit=True)
    assert not alone(interaction(context, message=False), edit=True)
    assert not alone(interaction(context, message=False, prefers=True), edit=True)
    assert not alone(interaction(context, message=False), edit=True, private=True)


@pytest.mark.parametrize("edit", [False, True])
@pytest.mark.parametrize("message", [None, False, True])
def test_with_the_bot_nobody_else_reads(edit, message):
    assert alone(interaction(WITH_BOT, message=message), edit=edit)
    assert not audience.decide(interaction(WITH_BOT), edit=edit, private=False).hidden


def test_who_reads_is_decided_once():
    of = interaction(GUILD, prefers=True)
    first = audience.decide(of, edit=False, private=False)
    of.client.services.people.private = False
    assert audience.decide(of, edit=False, private=False) == first == (True, True)


async def test_what_is_shown_is_read_again_only_by_whom_it_is_shown_to_alone():
    asked = []

    async def again(_user, *, alone):
        asked.append(alone)
        return SimpleNamespace(away={"Your Tradier comes first, but it sleeps.": None})

    for message, context in ((True, GUILD), (False, GUILD), (False, WITH_BOT), (True, OTHERS)):
        of = interaction(context, message=message)
        of.client.services.readers = SimpleNamespace(again=again)
        audience.decide(of, edit=False, private=True)
        await audience.reading_again(of)
        assert audience.notes(of) == "\n-# ⚠️ Your Tradier comes first, but it sleeps."
    of = interaction(GUILD, message=True)
    of.client.services.readers = SimpleNamespace(again=again)
    await audience.reading_again(of)  # nobody has decided who reads the answer
    assert asked == [True, False, True, True, False]
    assert audience.notes(interaction(GUILD)) == ""
