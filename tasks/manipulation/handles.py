"""The objects that a family's robot can handle, by their sizes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tasks.objects.polyhedra import FOOT
from tasks.objects.solids import Solid, toppling_angle
from tasks.parameters import Interval

_SIDES = {"length": ("long", "x"), "width": ("wide", "y"), "height": ("high", "z")}
_ROUNDING = 5e-5  # [m] and [rad], less than messages show


@dataclass(frozen=True, slots=True, kw_only=True)
class Handles:
    """Sizes of the objects that a family takes [m], as they stand on the table."""

    length: Interval
    """Least and greatest along the object's x axis."""
    width: Interval
    """Along y: what fingers close around, or across a push."""
    height: Interval
    """Along z, upwards."""
    slope: float = 0.0
    """Least slope of a table on which the object must still stand [rad]."""

    def check(self, family: str, solid: Solid) -> None:
        """Refuse an object that the family does not take.

        Raises:
            ValueError: as `check_sizes`.
        """
        sizes = np.ptp(solid.vertices, axis=0)
        self.check_sizes(family, solid.name, sizes, toppling_angle(solid, floor=FOOT))

    def check_sizes(
        self, family: str, name: str, sizes: Float[np.ndarray, "3"], stands: float
    ) -> None:
        """Refuse an object by its lengths and by how it stands.

        Args:
            family: the family's name.
            name: the object's.
            sizes: its lengths along x, y and z [m].
            stands: slope on which it still stands [rad].

        Raises:
            ValueError: saying which of them is out of which range.
        """
        wrong = [
            f"{100 * size:.4g} cm {adjective} along {axis} "
            f"({family} handles {_range(ends)})"
            for size, ends, (adjective, axis) in zip(
                sizes, self.ranges.values(), _SIDES.values(), strict=True
            )
            if not ends[0] - _ROUNDING <= size <= ends[1] + _ROUNDING
        ]
        if wrong:
            raise ValueError(f"{name} is {' and '.join(wrong)}")
        if stands < self.slope - _ROUNDING:
            raise ValueError(
                f"{name} topples on a slope of {math.degrees(stands):.3g} "
                f"degrees ({family} handles what stands on {self._slope})"
            )

    @property
    def _slope(self) -> str:
        return f"{math.degrees(self.slope):.0f}"

    @property
    def ranges(self) -> dict[str, Interval]:
        """Each size and its range, in the order of the axes."""
        return {name: getattr(self, name) for name in _SIDES}

    def lines(self) -> Iterator[str]:
        """Yield each size and its range, as people read them."""
        for name, ends in self.ranges.items():
            yield f"{name} (along {_SIDES[name][1]}) {_range(ends)}"
        if self.slope:
            yield f"standing on a slope of {self._slope} degrees"


def _range(ends: Interval) -> str:
    return f"{100 * ends[0]:g} to {100 * ends[1]:g} cm"
