"""The scale of a number: its training range, or that of its logarithm, as 0 to 1."""

import math
from dataclasses import dataclass

from meta.language.belief import Number
from tasks.parameters import Scalar


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale from 0 at the low end of a training range to 1 at its high end.

    Raises:
        ValueError: for a number that training never varies.
    """

    scalar: Scalar

    def __post_init__(self) -> None:
        """Refuse a range without length."""
        if self.scalar.low == self.scalar.high:
            raise ValueError(f"{self.scalar.name!r} has one value in training")

    @property
    def _ends(self) -> tuple[float, float]:
        low, high = self.scalar.low, self.scalar.high
        return (math.log(low), math.log(high)) if self.scalar.log else (low, high)

    def place(self, number: Number) -> tuple[float, float]:
        """Return mean and standard deviation as shares of the range."""
        low, high = self._ends
        mean, std = number.mean, number.std
        if self.scalar.log:
            mean, std = math.log(mean), std / mean
        return (mean - low) / (high - low), std / (high - low)

    def number(self, place: float, spread: float) -> Number:
        """Return the number at a place in the range, with a spread."""
        low, high = self._ends
        mean, std = low + place * (high - low), spread * (high - low)
        if self.scalar.log:
            mean = math.exp(mean)
            std *= mean
        return Number(mean=mean, std=std, unit=self.scalar.unit)
