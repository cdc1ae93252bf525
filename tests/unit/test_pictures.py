"""What stands in the custom ids of the buttons under pictures."""

import re
from decimal import Decimal

import discord
import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from bot import commands
from bot.commands.gamma import _args, _asked
from bot.pictures import AlertAt, Choose, NamedLevel, OtherPrice, Scene, Show, Tool, _offers, tools
from db.models import Theme
from services.errors import OtherVersion
from services.expiration import Expiry
from services.lens import Lens, Mode

LONGEST_SYMBOL = "ABCDEFGHI.JKLMNOPQRSTUVWX"

args = st.lists(st.text("ABCabc019.-+_", max_size=8), min_size=1, max_size=4).map(tuple)
scenes = st.builds(Scene, st.sampled_from(sorted(commands.SCENES)), args, st.sampled_from(Theme))


def claimed_by(custom_id: str) -> list[type]:
    return [button for button in commands.BUTTONS if button.__discord_ui_compiled_template__.fullmatch(custom_id)]


async def reborn(item):
    """The item as another process makes it from its custom id alone."""
    template = type(item).__discord_ui_compiled_template__
    return await type(item).from_custom_id(None, item.item, template.fullmatch(item.custom_id))


@given(scene=scenes)
def test_every_button_is_claimed_by_its_own_class_only(scene):
    items = [*tools(scene), Choose(scene, 0, "One …", [discord.SelectOption(label="x")])]
    for item in items:
        assert len(item.custom_id) <= 100
        assert claimed_by(item.custom_id) == [type(item)]
    assert len({item.custom_id for item in items}) == len(items), "Discord takes no custom id twice in a message"


async def test_a_scene_comes_back_from_its_custom_id():
    scene = Scene("gamma", ("BRK.B", "2026-12-18", "volume+portrait"), Theme.COLOUR_BLIND_LIGHT)
    options = [discord.SelectOption(label="18 Dec 2026", value="2026-12-18")]
    for item in (Show(scene, "Week", slot="x"), Tool("csv", scene), Choose(scene, 1, "One …", options)):
        assert (await reborn(item))._scene == scene
    at = await reborn(AlertAt("SPX", Decimal("4100.25"), "Call wall"))
    assert (at._symbol, at._price, at.item.label, at._dm) == ("SPX", Decimal("4100.25"), "Call wall", False)
    assert (await reborn(AlertAt("SPX", Decimal("4100.25"), "Call wall", dm=True)))._dm
    assert (await reborn(OtherPrice("SPX")))._symbol == "SPX"


@pytest.mark.parametrize(
    ("prices", "labels"),
    [
        (("7600", "7600.001", "7605.5"), ["A, B 7,600", "C 7,605.5", "Other price …"]),
        (("0.8512", "0.85", "0.85124"), ["A, C 0.8512", "B 0.85", "Other price …"]),
    ],
)
def test_alerts_are_offered_at_each_price_once_with_the_digits_of_the_price(prices, labels):
    named = [NamedLevel(name, Decimal(price)) for name, price in zip("ABC", prices, strict=True)]
    offered = _offers("SPX", named, Locale("en", "US"), dm=False).children
    assert [item.item.label for item in offered] == labels
    assert len({item.custom_id for item in offered}) == len(offered)


def test_no_more_alerts_are_offered_than_there_is_room_for():
    named = [NamedLevel(f"Wall {n}", Decimal(n)) for n in range(1, 40)]
    assert len(_offers("SPX", named, Locale("en", "US"), dm=True).children) == 15


@pytest.mark.parametrize("theme", Theme)
@pytest.mark.parametrize("mode", Mode)
def test_a_symbol_of_25_characters_fits_with_every_option(theme, mode):
    lens = Lens(Expiry.NEAR, mode, by_volume=True, per_point=True)
    _, _, extras = _args("X", lens, tall=True)
    scene = Scene("gamma", (LONGEST_SYMBOL, "2026-12-18", extras), theme)
    assert all(len(item.custom_id) <= 100 for item in tools(scene))


def test_what_does_not_fit_is_refused_before_discord_does():
    with pytest.raises(ValueError, match="no custom id of 1"):
        Show(Scene("gamma", ("X" * 90,), Theme.DARK), "Week")


@given(
    lens=st.builds(
        Lens, st.one_of(st.sampled_from(Expiry), st.dates()), st.sampled_from(Mode), st.booleans(), st.booleans()
    ),
    tall=st.booleans(),
)
def test_what_gamma_was_asked_for_comes_back(lens, tall):
    assert _asked(_args("SPX", lens, tall=tall)) == ("SPX", lens, tall)


@pytest.mark.parametrize("old", [(), ("SPX",), ("SPX", "all"), ("SPX", "nextweek", ""), ("SPX", "all", "sideways")])
def test_args_of_another_version_are_told_from_ours(old):
    with pytest.raises(OtherVersion):
        _asked(old)


def test_the_themes_are_a_square():
    for theme in Theme:
        scene = Scene("gamma", ("SPX", "all", ""), theme)
        refresh, light, colours, *_ = tools(scene)
        themes = [item._scene.theme for item in (refresh, light, colours)]
        assert len(set(themes)) == 3
        assert themes[0] is theme
        assert re.match("Light|Dark", light.item.label)
        again = [tools(item._scene)[place]._scene.theme for place, item in ((1, light), (2, colours))]
        assert again == [theme, theme]
