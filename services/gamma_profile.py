"""Exposure as a function of the price: a sum of bells in ln S, and where that sum changes its sign."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.smile import Floats, Smile

_FAR = 9.0  # bells this many deviations away add less than 3e-18 of their height
_BLOCK = 256  # contracts whose bells at all prices stay in the processor's cache
_STEPS = 60

# 121 prices over ±20 %, the spot among them, and four times as dense there: a bell of the last hour is narrow.
_U = np.linspace(-1, 1, 121)
_LEVELS = 1 + 0.2 * (0.25 * _U + 0.75 * _U**3)


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """S·Σ weight·exp(−(slope·ln(S/spot) + offset)²) dollars per 1 % move; volatility stays with its strike."""

    spot: float
    weight: Floats
    slope: Floats
    offset: Floats

    def at(self, prices: Floats) -> Floats:
        """Return the exposure if spot were at each of `prices`."""
        x = np.log(prices / self.spot)
        near = self._near(float(x.min()), float(x.max()))
        weight, slope, offset = self.weight[near], self.slope[near], self.offset[near]
        total = np.zeros(len(x))
        for start in range(0, len(weight), _BLOCK):
            block = slice(start, start + _BLOCK)
            bells = np.multiply.outer(x, slope[block])
            bells += offset[block]
            np.multiply(bells, bells, out=bells)
            np.negative(bells, out=bells)
            np.exp(bells, out=bells)
            total += bells @ weight[block]
        return prices * total

    def curve(self) -> tuple[Floats, Floats]:
        """Return prices over ±20 % around spot and the exposure at each."""
        prices = self.spot * _LEVELS
        return prices, self.at(prices)

    def flip(self, prices: Floats, values: Floats) -> float | None:
        """Return the zero crossing of the curve nearest spot, from − to + where there is one, refined to a root."""
        prices, values = self._with_dips(prices, values)
        left, right = crossings(values)
        rising = values[left] < 0
        wanted = rising if rising.any() else ~rising
        roots = [
            self._root(low, high, rising=bool(rising.any()))
            for low, high in zip(prices[left[wanted]].tolist(), prices[right[wanted]].tolist(), strict=True)
        ]
        return min(roots, key=lambda root: abs(root - self.spot), default=None)

    def _with_dips(self, prices: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Add a point to every cell in which the curve passes through zero and comes back."""
        added = [
            (cell + 1, *dip) for cell in _near_zero(values) if (dip := self._dip(*prices[cell : cell + 2].tolist()))
        ]
        if not added:
            return prices, values
        at, dips, depths = (list(column) for column in zip(*added, strict=True))
        return np.insert(prices, at, dips), np.insert(values, at, depths)

    def _dip(self, low: float, high: float) -> tuple[float, float] | None:
        """Where a cell whose ends have one sign has the other, by tangents: the next point is where the two meet."""
        left, right = self._value_and_slope(low), self._value_and_slope(high)
        sign = math.copysign(1.0, left[0])
        for _ in range(_STEPS):
            if sign * left[1] >= 0 or sign * right[1] <= 0:
                return None
            ahead = (right[0] - left[0] + left[1] * low - right[1] * high) / (left[1] - right[1])
            if sign * (left[0] + left[1] * (ahead - low)) > 0 or not low < ahead < high:
                return None
            middle = self._value_and_slope(ahead)
            if sign * middle[0] < 0:
                return ahead, middle[0]
            if sign * middle[1] < 0:
                low, left = ahead, middle
            else:
                high, right = ahead, middle
        return None

    def _root(self, low: float, high: float, *, rising: bool) -> float:
        """Newton, kept inside the shrinking bracket by bisection."""
        price = 0.5 * (low + high)
        for _ in range(_STEPS):
            value, slope = self._value_and_slope(price)
            if (value < 0) == rising:
                low = price
            else:
                high = price
            ahead = price - value / slope if slope else math.inf
            ahead = ahead if low < ahead < high else 0.5 * (low + high)
            if abs(ahead - price) <= 1e-13 * price:
                return ahead
            price = ahead
        return price

    def _value_and_slope(self, price: float) -> tuple[float, float]:
        z = self.slope * math.log(price / self.spot) + self.offset
        bells = self.weight * np.exp(-z * z)
        total = float(bells.sum())
        return price * total, total - 2 * float((bells * z) @ self.slope)

    def _near(self, low: float, high: float) -> NDArray[np.bool_]:
        left, right = self.slope * low + self.offset, self.slope * high + self.offset
        edge = _FAR * math.sqrt(0.5)
        result: NDArray[np.bool_] = (left < edge) & (right > -edge) & (self.weight != 0)
        return result


def _near_zero(values: Floats) -> list[int]:
    """Return the cells without a change of sign at whose ends the curve is nearer to zero than it moves in a cell."""
    steps = np.abs(np.diff(values))
    around = np.maximum(steps, np.maximum(np.append(steps[1:], 0), np.append(0, steps[:-1])))
    near = np.minimum(np.abs(values[:-1]), np.abs(values[1:])) < around
    return [int(cell) for cell in np.flatnonzero(near & (values[:-1] * values[1:] > 0))]


def crossings(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the last index before and the first index after every change of sign; zeros have none."""
    signed = np.flatnonzero(values)
    change = np.flatnonzero(np.diff(np.sign(values[signed])))
    return signed[change], signed[change + 1]


def profiles(smile: Smile, spot: float) -> tuple[Profile, Profile]:
    """Return what calls and puts add, both positive: Γ·OI·100·S²·0.01 with Γ = e^{−qT} φ(d₁) / (S σ √T)."""
    known = ~np.isnan(smile.iv)
    deviation = np.where(known, smile.iv, 1.0) * np.sqrt(smile.years)
    carry = smile.forward * smile.discount / spot  # e^{−qT} by parity
    unit = np.where(known, carry / (deviation * math.sqrt(2 * math.pi)), 0.0)
    slope = math.sqrt(0.5) / deviation
    offset = slope * (np.log(smile.forward / smile.strike) + 0.5 * deviation**2)
    return Profile(spot, unit * smile.call_oi, slope, offset), Profile(spot, unit * smile.put_oi, slope, offset)
