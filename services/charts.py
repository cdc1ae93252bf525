"""The pictures that can be asked for, drawn where matplotlib is: in the workers, never in the process of the bot."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from db.models import Theme
from services import chain_files
from services.feeds.base import Chain
from services.gamma import Gamma, analyze
from services.gamma_series import Series
from services.lens import PLAIN, Lens
from services.price_series import OptionLevels, PriceSeries
from services.volatility import Volatility
from services.volatility_words import View

LANDSCAPE = (1200, 800)
PORTRAIT = (1080, 1350)


@dataclass(frozen=True, slots=True)
class Picture:
    """The facts and their drawing (PNG)."""

    gamma: Gamma
    png: bytes


def draw(chain: Chain, lens: Lens, theme: Theme, size: tuple[int, int] = LANDSCAPE) -> Picture:
    """Analyse and draw; some 50 ms of pure computing, so never on the event loop."""
    gamma = analyze(chain, lens)
    return Picture(gamma, gamma_picture(gamma, theme, size))


def gamma_picture(gamma: Gamma, theme: Theme = Theme.DARK, size: tuple[int, int] = LANDSCAPE) -> bytes:
    """Draw the gamma picture as PNG of `size` (width × height in pixels); text and margins scale with it."""
    return load()(gamma, theme, size)


def draw_stored(data: bytes, theme: Theme) -> Picture:
    """Analyse and draw a chain file over all expiries; raises BadData where it is damaged."""
    return draw(chain_files.read(data), PLAIN, theme)


def draw_history(series: Series, theme: Theme) -> bytes:
    """Draw a gamma history that has points as PNG."""
    load()
    from services.history_chart import history_png  # noqa: PLC0415 - brings matplotlib, as in `load`

    return history_png(series, theme, LANDSCAPE)


def price_picture(series: PriceSeries, levels: OptionLevels, theme: Theme) -> bytes:
    """Draw a price chart as PNG."""
    load()
    from services.price_chart import price_png  # noqa: PLC0415 - brings matplotlib, as in `load`

    return price_png(series, levels, theme)


def volatility_picture(volatility: Volatility, chosen: int, view: View, theme: Theme) -> bytes:
    """Draw a view of the volatility as PNG; `chosen` is the place of a term that has what the view shows."""
    load()
    from services.volatility_chart import volatility_png  # noqa: PLC0415 - brings matplotlib, as in `load`

    return volatility_png(volatility, chosen, view, theme)


def load() -> Callable[[Gamma, Theme, tuple[int, int]], bytes]:
    """Import what draws, once per process: some 0.2 s and 25 MB."""
    # Without a writable HOME matplotlib keeps its list of fonts in a temporary folder, which is fine and no news.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from services.gamma_chart import gamma_png  # noqa: PLC0415 - brings matplotlib, which only workers need

    return gamma_png
