"""How late a source is, in words."""

from datetime import timedelta


def lateness(delay: timedelta | None) -> str:
    """Tell how late a source is by its own contract, or that it is a recording."""
    if delay is None:
        return "recording"
    return f"delayed {delay.total_seconds() / 60:.0f} min" if delay else "real time"
