"""The price chart against the usual way of drawing one, and what its candles cost the event loop."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import numpy as np
from pace import alternately, timed

from db.models import Theme
from services.charts import price_picture
from services.clock import NEW_YORK, load_calendar
from services.feeds.base import Bar, Bars
from services.price_series import OptionLevels, PriceLevel, PriceSeries, series_of
from services.ranges import Interval, Range, span_of

LIMITS = {
    "chart + PNG 1200×800, ms": 30.0,
    "chart + PNG 1200×800, each time another symbol, ms": 30.0,
    "share of pyplot's time": 0.1,
}
NOW = datetime(2026, 11, 20, 22, tzinfo=UTC)
CALENDAR = load_calendar(date(2026, 11, 22))
LEVELS = OptionLevels(
    (PriceLevel("Call wall", 770.0), PriceLevel("Put wall", 750.0), PriceLevel("Flip", 757.31)),
    "gamma levels of 20 Nov 16:45 ET, Alpaca indicative, delayed 15 min",
)


def figures() -> dict[str, float]:
    day = charted(candles(Range.DAY, Interval.FIVE_MINUTES), Range.DAY, Interval.FIVE_MINUTES)
    year = charted(candles(Range.YEAR, Interval.DAY), Range.YEAR, Interval.DAY)
    others = iter(
        [charted(candles(Range.DAY, Interval.FIVE_MINUTES, n), Range.DAY, Interval.FIVE_MINUTES) for n in range(1, 11)]
    )
    picture = partial(price_picture, levels=LEVELS, theme=Theme.DARK)
    picture(next(others))
    month = candles(Range.MONTH, Interval.HOUR)
    changing = timed(lambda: picture(next(others)))
    fast, usual = alternately(lambda: picture(day), lambda: pyplot_picture(day), rounds=7)
    return {
        "chart + PNG 1200×800, ms": fast,
        "chart + PNG 1200×800, each time another symbol, ms": changing,
        "a year of days, ms": timed(lambda: picture(year)),
        "pyplot as mplfinance draws, savefig, ms": usual,
        "share of pyplot's time": fast.over(usual),
        "1,700 candles to a chart's, ms": timed(lambda: charted(month, Range.MONTH, Interval.HOUR)),
        "picture, KB": len(picture(day)) / 1024,
    }


def candles(reach: Range, interval: Interval, seed: int = 0) -> Bars:
    """All that a source has of a symbol that trades all the time."""
    span, rng = span_of(reach, interval, CALENDAR, NOW), np.random.default_rng(seed)
    found, price = [], 760.0 + seed
    for opens, closes in CALENDAR.sessions:
        if span.length == timedelta(days=1):
            starts = [opens.astimezone(NEW_YORK).replace(hour=0, minute=0)]
        else:
            begin, end = opens - timedelta(hours=5.5), closes + timedelta(hours=4)
            starts = [begin + step * span.length for step in range((end - begin) // span.length)]
        for start in starts:
            if span.start <= start <= span.end:
                path = price * np.exp(0.0008 * np.cumsum(rng.standard_normal(5)))
                four = (Decimal(f"{value:.2f}") for value in (path[0], path.max(), path.min(), path[-1]))
                found.append(Bar(start.astimezone(UTC), *four, int(rng.random() * 1e6)))
                price = path[-1]
    return Bars(f"S{seed}", tuple(found), "benchmark", timedelta(0), NOW)


def charted(answer: Bars, reach: Range, interval: Interval) -> PriceSeries:
    return series_of(answer, reach, interval, span_of(reach, interval, CALENDAR, NOW), CALENDAR)


def pyplot_picture(series: PriceSeries) -> bytes:
    import matplotlib as mpl  # noqa: PLC0415 - only where it is measured

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen
    from matplotlib.collections import LineCollection, PolyCollection  # noqa: PLC0415 - likewise

    c = series.candles
    x = np.arange(len(c))
    figure, (prices, volume) = plt.subplots(
        2, sharex=True, figsize=(12, 8), dpi=100, gridspec_kw={"height_ratios": (4, 1)}
    )
    colours = np.where(c.close >= c.open, "tab:green", "tab:red")
    prices.add_collection(
        LineCollection(np.stack([np.stack([x, c.low], 1), np.stack([x, c.high], 1)], 1), colors=colours)
    )
    corners = [
        ((i - 0.4, o), (i - 0.4, e), (i + 0.4, e), (i + 0.4, o)) for i, o, e in zip(x, c.open, c.close, strict=True)
    ]
    prices.add_collection(PolyCollection(corners, facecolors=colours))
    volume.bar(x, c.volume, color=colours)
    for average in series.averages:
        prices.plot(x, average.values, label=average.name)
    if series.vwap is not None:
        prices.plot(x, series.vwap, label="VWAP")
    for level in LEVELS.prices:
        prices.axhline(level.price, linestyle="--", label=f"{level.name} {level.price:,.2f}")
    prices.autoscale_view()
    prices.legend()
    prices.set_title(f"{series.symbol} {series.last:,.2f}")
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


if __name__ == "__main__":
    for figure, value in figures().items():
        print(f"{figure:<60} {value:10.2f}")
