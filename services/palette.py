"""The colours of the pictures, one palette a theme."""

from typing import NamedTuple

from db.models import Theme


class Palette(NamedTuple):
    """The colours of a theme; `ink` stands on the coloured tags, `paper` on the tag of spot.

    `averages` are of the lines over a price chart, the quickest first, `vwap` of the one that volume weighs.
    """

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
    averages: tuple[str, str, str]
    vwap: str


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
    averages=("#4DD0E1", "#7AA2FF", "#C792EA"),
    vwap="#FFD9A0",
)
_LIGHT = Palette(
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
    averages=("#0891B2", "#2F5FE0", "#8E3FC7"),
    vwap="#A35F00",
)
PALETTES = {
    Theme.DARK: _DARK,
    Theme.LIGHT: _LIGHT,
    Theme.COLOUR_BLIND: _DARK._replace(
        positive="#4DA3FF",
        negative="#FF8A1F",
        flip="#F5E960",
        profile="#D9B3E6",
        averages=("#F5F7FA", "#D9B3E6", "#9AA3B2"),
        vwap="#7FE3C4",
    ),
    Theme.COLOUR_BLIND_LIGHT: _LIGHT._replace(
        positive="#3D8BE8",
        negative="#F07800",
        flip="#A39100",
        profile="#8A3FA8",
        averages=("#344054", "#8A3FA8", "#98A2B3"),
        vwap="#0F766E",
    ),
}
