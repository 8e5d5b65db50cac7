"""From figures to coordinates: linear scales and round tick values."""

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TOO_CLOSE = 1e-9
_DIGITS_MAX = 6
_LEAST_SPREAD = 0.01
"""Dollars, R or trades: what differs by less is drawn as one."""


class Scale(Struct, frozen=True):
    """Values `low` to `high` on coordinates `start` to `end`; `start` may be the larger one. `low` < `high`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The coordinate of a value; values beyond the scale lie at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def scale_over(values: Iterable[float], start: float, end: float, *, with_zero: bool = True) -> Scale:
    """A scale that holds all finite values, ends on round figures and is never empty."""
    finite = [value for value in values if math.isfinite(value)]
    if with_zero or not finite:
        finite.append(0.0)
    low, high = min(finite), max(finite)
    if high - low <= max(_LEAST_SPREAD, _TOO_CLOSE * max(abs(low), abs(high))):
        margin = max(1.0, abs(low)) * 0.5
        low, high = low - margin, high + margin
    step = _step(low, high, 5)
    return Scale(math.floor(low / step) * step, math.ceil(high / step) * step, start, end)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values from `low` to `high`, about as many as wanted."""
    step = _step(low, high, wanted)
    first = math.ceil(low / step - _TOO_CLOSE)
    last = math.floor(high / step + _TOO_CLOSE)
    return [index * step for index in range(first, last + 1)]


def edges_over(values: Sequence[float], wanted: int) -> list[float]:
    """At least two evenly spaced round figures around all values, zero among them where values lie on both sides."""
    whole = scale_over(values, 0.0, 1.0)
    step = _step(whole.low, whole.high, wanted)
    first = math.floor(whole.low / step + _TOO_CLOSE)
    last = math.ceil(whole.high / step - _TOO_CLOSE)
    return [index * step for index in range(first, last + 1)]


def digits_for(values: Sequence[float]) -> int:
    """How few decimals write all these tick values exactly."""
    return next(digits for digits in range(_DIGITS_MAX + 1) if digits == _DIGITS_MAX or _fits(values, digits))


def _fits(values: Sequence[float], digits: int) -> bool:
    return all(abs(round(value, digits) - value) < _TOO_CLOSE * max(1.0, abs(value)) for value in values)


def _step(low: float, high: float, wanted: int) -> float:
    rough = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in _STEPS if rough <= power * factor * (1 + _TOO_CLOSE))
