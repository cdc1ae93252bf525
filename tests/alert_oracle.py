"""The rule of alerts in its simplest form, to hold the real one against."""

from db.models import Condition
from services.crossings import HYSTERESIS, position


def replay(life, tape):
    """Return (alert id, trade) of each firing of an alert, as it was when it began, over a whole tape."""
    last, armed, fired = life.reference, life.armed, []
    level, band = life.level, life.level * HYSTERESIS
    for tick in tape:
        here = position(tick)
        if tick.symbol != life.symbol or here <= (life.after, life.after_id):
            continue
        price = tick.price
        rose = last is not None and last < level <= price and life.condition is not Condition.BELOW
        fell = last is not None and last > level >= price and life.condition is not Condition.ABOVE
        if armed and (rose or fell):
            fired.append((life.id, here))
            if not life.always:
                break
            armed = False
        far_below, far_above = price < level - band, price > level + band
        back = {
            Condition.ABOVE: far_below,
            Condition.BELOW: far_above,
            Condition.CROSSES: far_below or far_above,
        }
        armed = armed or back[life.condition]
        last = price
    return fired
