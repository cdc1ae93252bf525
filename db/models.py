"""The vocabulary that every room shares: rows and enums, without a line of logic."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Theme(StrEnum):
    """How pictures look; the colour-blind pair trades green/red for blue/orange."""

    DARK = "dark"
    LIGHT = "light"
    COLOUR_BLIND = "colour-blind"


@dataclass(frozen=True, slots=True)
class Profile:
    """A person who has used the bot; `user_id` is the Discord id."""

    user_id: int
    locale: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person chose to be remembered."""

    user_id: int
    theme: Theme
