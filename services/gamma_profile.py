"""Exposure as a function of the price: a sum of bells in ln S, and where that sum changes its sign."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.smile import Floats, Smile

_FAR = 9.0  # bells this many deviations away add less than 3e-18 of their height
_BLOCK = 256  # contracts whose bells at all prices stay in the processor's cache
_STEPS = 60

# 121 prices over ±20 %, the spot among them, and four times as dense there: a bell of the last hour is narrow.
_U = np.linspace(-1, 1, 121)
_LEVELS = 1 + 0.2 * (0.25 * _U + 0.75 * _U**3)
_X = np.log(_LEVELS)

# Bells no steeper than this, and how many places over ±20 % tell them to 1e-14: with b = 0.2·slope the error is below
# 4·exp(b²s²)/ρⁿ, s = (ρ − 1/ρ)/2, for every ρ > 1 (Trefethen, Approximation Theory and Approximation Practice, ch. 8).
_WIDE = ((8.0, 32), (20.0, 64))


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
        return prices * self._sum(self._near(x) & (self.weight != 0), x)

    def curve(self) -> tuple[Floats, Floats]:
        """Return prices over ±20 % around spot and the exposure at each, to 1e-13 of its largest part.

        What is wide enough is summed at fewer places, from which a polynomial tells it everywhere.
        """
        left = self.weight != 0
        total = np.zeros(len(_LEVELS))
        for steepest, places in _WIDE:
            wide = left & (self.slope <= steepest)
            x, onto = _interpolation(places)
            total += onto @ self._sum(wide, x)
            left &= ~wide
        total += self._sum(left & self._near(_X), _X)
        prices = self.spot * _LEVELS
        return prices, prices * total

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

    def _sum(self, these: NDArray[np.bool_], x: Floats) -> Floats:
        # Σ weight·bell at each x = ln(S/spot)
        weight, coefficients = self.weight[these], np.stack((self.slope[these], self.offset[these]))
        line = np.column_stack((x, np.ones(len(x))))
        total, room = np.zeros(len(x)), np.empty(len(x) * _BLOCK)
        for start in range(0, len(weight), _BLOCK):
            some = coefficients[:, start : start + _BLOCK]
            bells = room[: len(x) * some.shape[1]].reshape(len(x), -1)
            np.matmul(line, some, out=bells)
            np.multiply(bells, bells, out=bells)
            np.negative(bells, out=bells)
            np.exp(bells, out=bells)
            total += bells @ weight[start : start + _BLOCK]
        return total

    def _near(self, x: Floats) -> NDArray[np.bool_]:
        edge = _FAR * math.sqrt(0.5)
        low, high = self.slope * x.min() + self.offset, self.slope * x.max() + self.offset
        result: NDArray[np.bool_] = (low < edge) & (high > -edge)
        return result


@lru_cache(8)
def _interpolation(places: int) -> tuple[Floats, Floats]:
    """Return Chebyshev's points over ±20 %, as ln(S/spot), and the matrix from values there to values at `_X`."""
    middle, half = 0.5 * (_X[0] + _X[-1]), 0.5 * (_X[-1] - _X[0])
    angles = (np.arange(places) + 0.5) * (np.pi / places)
    degrees = np.arange(places)
    there = np.arccos(np.clip((_X - middle) / half, -1, 1))
    weights = np.where(degrees == 0, 1.0, 2.0) / places
    onto = np.cos(np.multiply.outer(there, degrees)) @ (weights[:, None] * np.cos(np.multiply.outer(degrees, angles)))
    return middle + half * np.cos(angles), onto


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


@dataclass(frozen=True, slots=True, eq=False)
class Bells:
    """Γ·100·S²·0.01 of one open contract of each strike as a bell: S·unit·exp(−(slope·ln(S/spot) + offset)²)."""

    unit: Floats
    slope: Floats
    offset: Floats
    """d₁/√2 at spot."""
    deviation: Floats
    """σ√T; 1 where there is no volatility, and `unit` 0."""
    carry: Floats
    """e^{−qT} by parity."""
    height: Floats
    """exp(−offset²), the bell at spot."""


def bells(smile: Smile, spot: float) -> Bells:
    """Return the bells of a smile, by Γ = e^{−qT} φ(d₁) / (S σ √T)."""
    known = ~np.isnan(smile.iv)
    deviation = np.where(known, smile.iv, 1.0) * np.sqrt(smile.years)
    carry = smile.forward * smile.discount / spot
    slope = math.sqrt(0.5) / deviation
    offset = slope * (np.log(smile.forward / smile.strike) + 0.5 * deviation**2)
    return Bells(
        unit=np.where(known, carry / (deviation * math.sqrt(2 * math.pi)), 0.0),
        slope=slope,
        offset=offset,
        deviation=deviation,
        carry=carry,
        height=np.exp(-(offset**2)),
    )
