"""The pictures that can be asked for, drawn where matplotlib is: in the workers, never in the process of the bot."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from db.models import Theme
from services.feeds.base import Chain
from services.gamma import Expiry, Gamma, analyze

LANDSCAPE = (1200, 800)
PORTRAIT = (1080, 1350)


@dataclass(frozen=True, slots=True)
class Picture:
    """The facts and their drawing (PNG)."""

    gamma: Gamma
    png: bytes


def draw(chain: Chain, expiry: Expiry | date, theme: Theme) -> Picture:
    """Analyse and draw; some 50 ms of pure computing, so never on the event loop."""
    gamma = analyze(chain, expiry=expiry)
    return Picture(gamma, gamma_picture(gamma, theme))


def gamma_picture(gamma: Gamma, theme: Theme = Theme.DARK, size: tuple[int, int] = LANDSCAPE) -> bytes:
    """Draw the gamma picture as PNG of `size` (width × height in pixels); text and margins scale with it."""
    return load()(gamma, theme, size)


def load() -> Callable[[Gamma, Theme, tuple[int, int]], bytes]:
    """Import what draws, once per process: some 0.2 s and 25 MB."""
    # Without a writable HOME matplotlib keeps its list of fonts in a temporary folder, which is fine and no news.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from services.gamma_chart import gamma_png  # noqa: PLC0415 - brings matplotlib, which only workers need

    return gamma_png
