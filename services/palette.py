"""The colours of the pictures, one palette a theme."""

from typing import NamedTuple

from db.models import Theme


class Palette(NamedTuple):
    """The colours of a theme; `ink` stands on the coloured tags, `paper` on the tag of spot."""

    background: str
    text: str
    muted: str
    grid: str
    band: str
    positive: str
    negative: str
    flip: str
    spot: str
    profile: str
    ink: str
    paper: str


_DARK = Palette(
    background="#0B0F17",
    text="#F5F7FA",
    muted="#9AA3B2",
    grid="#1E2533",
    band="#151E2F",
    positive="#16C79A",
    negative="#F6465D",
    flip="#FFB020",
    spot="#FFFFFF",
    profile="#7AA2FF",
    ink="#0B0F17",
    paper="#0B0F17",
)
PALETTES = {
    Theme.DARK: _DARK,
    Theme.LIGHT: Palette(
        background="#FFFFFF",
        text="#101828",
        muted="#5B6678",
        grid="#E4E8EF",
        band="#EEF3FF",
        positive="#0FA37F",
        negative="#E5384F",
        flip="#E08E00",
        spot="#101828",
        profile="#2F5FE0",
        ink="#0B0F17",
        paper="#FFFFFF",
    ),
    Theme.COLOUR_BLIND: _DARK._replace(positive="#4DA3FF", negative="#FF8A1F", flip="#F5E960", profile="#D9B3E6"),
}
