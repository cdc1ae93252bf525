"""Buttons of one subject that differ in their verb: what both mean stands in the custom id."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import discord

from bot.views import Pressed

Looks = Mapping[str, tuple[str, discord.ButtonStyle]]
"""Label and style by verb."""


class VerbButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"(?!)"):
    """Has the custom id `subject:verb:about`, where `about` is a token or an id."""

    _subject: ClassVar[str]
    _looks: ClassVar[Looks]

    def __init_subclass__(cls, *, subject: str, looks: Looks, about: str) -> None:
        cls._subject, cls._looks = subject, looks
        super().__init_subclass__(template=rf"{subject}:(?P<verb>{'|'.join(looks)}):(?P<about>{about})")

    def __init__(self, verb: str, about: str = "", label: str = "") -> None:
        usual, style = self._looks[verb]
        super().__init__(
            discord.ui.Button(label=label or usual, style=style, custom_id=f"{self._subject}:{verb}:{about}")
        )
        self._verb, self._about = verb, about

    @classmethod
    async def from_custom_id(cls, _interaction: Pressed, _item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["verb"], match["about"])
