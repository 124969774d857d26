"""Solids made of convex parts: volume, mass, centre of mass and inertia, exactly.

A part is the convex hull of its vertices; parts touch but do not overlap, so that a
sum over parts is an integral over the solid. The frame of a solid: it rests on z = 0,
and the bounding box of its footprint is centred at x = y = 0.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tasks.objects.polyhedra import (
    MAX_VERTICES,
    Moments,
    surface_moments,
    tilt,
    triangulate,
)
from tasks.objects.visuals import Visual, from_lists, to_lists
from tasks.strict_json import BROKEN, parse_json

MAX_PARTS = 4
TRAITS = (
    "com x",
    "com y",
    "com z",
    "gyration",
    "skew",
    "half x",
    "half y",
    "half z",
    "fill",
)
"""Names of the numbers that `traits` returns."""

Point = Sequence[float] | Float[np.ndarray, "3"]


class Part(NamedTuple):
    """A convex polyhedron."""

    vertices: Float[np.ndarray, "n 3"]
    """[m]; points inside their hull do no harm."""
    density: float = 1.0
    """Mass in any unit that the parts of a solid share."""


class MassProperties(NamedTuple):
    """Mass properties of one or of many rigid bodies, each in its own frame."""

    mass: Float[np.ndarray, "..."]
    """[kg]"""
    com: Float[np.ndarray, "... 3"]
    """Centre of mass [m]."""
    inertia: Float[np.ndarray, "... 3"]
    """Principal moments about the centre of mass [kg m^2], descending."""
    quat: Float[np.ndarray, "... 4"]
    """Orientation of the principal axes, wxyz."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A rigid shape of one to four convex parts; see the module for its frame.

    Args:
        name: what tasks and messages call it.
        parts: one to four.
        exact: the moments of the true body at density 1, where the parts only
            approximate it.
        visual: what is drawn instead of the parts, if there is any; no other property
            of the solid depends on it.

    Raises:
        ValueError: for no part or more than four, more than 60 vertices in one, or one
            without volume.
    """

    name: str
    parts: tuple[Part, ...]
    exact: Moments | None = None
    visual: tuple[Visual, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a bank could not hold."""
        counts = [len(part.vertices) for part in self.parts]
        if not 1 <= len(counts) <= MAX_PARTS or max(counts) > MAX_VERTICES:
            raise ValueError(
                f"a solid has 1 to {MAX_PARTS} parts of at most {MAX_VERTICES} "
                f"vertices; {self.name!r} has parts of {counts}"
            )

    @cached_property
    def triangles(self) -> tuple[Int[np.ndarray, "m 3"], ...]:
        """The surface of each part, as indices of its vertices."""
        return tuple(triangulate(part.vertices) for part in self.parts)

    @cached_property
    def moments(self) -> Moments:
        """Moments of the solid with its parts' densities, or the exact ones."""
        if self.exact is not None:
            return self.exact
        return self._moments([part.density for part in self.parts])

    @cached_property
    def uniform(self) -> Moments:
        """Moments of the solid at density 1: its mass is the volume [m^3]."""
        return self.exact or self._moments([1.0] * len(self.parts))

    @cached_property
    def vertices(self) -> Float[np.ndarray, "n 3"]:
        """Vertices of all parts."""
        return np.concatenate([part.vertices for part in self.parts])

    def to_json(self) -> str:
        """Write all of it as JSON, as `parse_solid` reads it."""
        return json.dumps(
            {
                "name": self.name,
                "parts": [[p.vertices.tolist(), p.density] for p in self.parts],
                "exact": self.exact
                and [np.asarray(value).tolist() for value in self.exact],
                "visual": to_lists(self.visual),
            }
        )

    def _moments(self, densities: Sequence[float]) -> Moments:
        found = [
            surface_moments(part.vertices, triangles)
            for part, triangles in zip(self.parts, self.triangles, strict=True)
        ]
        weights = np.array(densities)
        mass, first, second = (
            np.array([getattr(m, name) for m in found]) for name in Moments._fields
        )
        return Moments(
            float(weights @ mass), weights @ first, np.tensordot(weights, second, 1)
        )


def parse_solid(text: str) -> Solid:
    """Read a solid's JSON.

    Raises:
        ValueError: if it is none.
    """
    try:
        raw: dict[str, Any] = parse_json(text)
        parts = tuple(Part(np.array(p, dtype=float), float(d)) for p, d in raw["parts"])
        exact = raw["exact"]
        if exact is not None:
            mass, first, second = (np.array(value, dtype=float) for value in exact)
            exact = Moments(float(mass), first, second)
        visual = from_lists(raw.get("visual", ()))
        return Solid(str(raw["name"]), parts, exact, visual)
    except BROKEN as error:
        raise ValueError(f"not a solid: {error}") from error


def placed(solid: Solid) -> Solid:
    """Move the solid, without turning it, into the frame of solids."""
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    return moved(solid, -np.array([*(low + high)[:2] / 2, low[2]]))


def moved(solid: Solid, shift: Float[np.ndarray, "3"]) -> Solid:
    """Move the solid by a shift [m]."""
    exact = solid.exact
    if exact is not None:
        mass, first, second = exact
        cross = np.outer(first, shift)
        second = second + cross + cross.T + mass * np.outer(shift, shift)
        exact = Moments(mass, first + mass * shift, second)
    parts = tuple(Part(p.vertices + shift, p.density) for p in solid.parts)
    visual = tuple(v._replace(vertices=v.vertices + shift) for v in solid.visual)
    return replace(solid, parts=parts, exact=exact, visual=visual)


def volume(solid: Solid) -> float:
    """Return the volume [m^3]."""
    return solid.uniform.mass


def mass_properties(
    solid: Solid,
    *,
    mass: float,
    insert: Point = (0.0, 0.0, 0.0),
    insert_share: float = 0.0,
) -> MassProperties:
    """Compute the mass properties of a solid with a heavy insert of negligible size.

    Args:
        solid: its parts' densities are scaled to what is left of the mass.
        mass: of the whole [kg].
        insert: where the insert sits, in the solid's frame [m].
        insert_share: of the whole mass, between 0 and 1.
    """
    com, spread = spread_of(solid.moments)
    return with_insert(
        com,
        spread,
        mass=np.asarray(mass),
        insert=np.asarray(insert, float),
        share=np.asarray(insert_share),
    )


def spread_of(
    moments: Moments,
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    """Return centre of mass [m], and second moments about it per unit of mass [m^2]."""
    com = moments.first / moments.mass
    return com, moments.second / moments.mass - np.outer(com, com)


def with_insert(
    com: Float[np.ndarray, "... 3"],
    spread: Float[np.ndarray, "... 3 3"],
    *,
    mass: Float[np.ndarray, "..."],
    insert: Float[np.ndarray, "... 3"],
    share: Float[np.ndarray, "..."],
) -> MassProperties:
    """Compute mass properties of bodies of known spread, each with a heavy insert.

    A body of mass (1 - s) m and a point of mass s m that lie d apart spread about their
    common centre by s (1 - s) d d^T more than the body does (parallel axes).
    """
    apart = insert - com
    outer = apart[..., :, None] * apart[..., None, :]
    s = share[..., None, None]
    spread = (1 - s) * spread + s * (1 - s) * outer
    variances, axes = np.linalg.eigh(spread)
    # ascending spread along an axis is descending inertia about it
    axes[..., 0] *= np.sign(np.linalg.det(axes))[..., None]
    inertia = mass[..., None] * (variances.sum(-1, keepdims=True) - variances)
    return MassProperties(mass, com + share[..., None] * apart, inertia, _quat(axes))


def traits(solid: Solid) -> tuple[float, ...]:
    """Describe the uniform solid in numbers about [-1, 1], named in `TRAITS`.

    Centre of mass off the middle of the bounding box, in half extents; radius of
    gyration about the vertical, in half diagonals of the footprint; correlation of x
    and y; half extents, in ratios of 5 to 5 cm; and volume over that of the box.
    """
    com, spread = spread_of(solid.uniform)
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    half = (high - low) / 2
    offset = 2.5 * (com - (low + high) / 2) / half
    gyration = math.sqrt(spread[0, 0] + spread[1, 1]) / math.hypot(*half[:2])
    skew = spread[0, 1] / math.sqrt(spread[0, 0] * spread[1, 1])
    fill = volume(solid) / (8 * half.prod())
    sizes = np.log(half / 0.05) / math.log(5)
    row = (*offset, 5 * (gyration - 0.58), skew, *sizes, (fill - 0.65) / 0.35)
    return tuple(float(value) for value in row)


def toppling_angle(
    solid: Solid, com: Point | None = None, *, floor: float = 1e-6
) -> float:
    """Return by how much the floor may tilt before the solid topples [rad].

    Args:
        solid: standing on its lowest vertices.
        com: centre of mass [m]; by default that of its relative densities.
        floor: vertices below this height carry it [m].

    Returns:
        The angle in the worst direction; negative if the solid topples as it stands.
    """
    com = spread_of(solid.moments)[0] if com is None else com
    return tilt(solid.vertices, com, floor)


def _quat(axes: Float[np.ndarray, "... 3 3"]) -> Float[np.ndarray, "... 4"]:
    """Quaternions of rotation matrices.

    The eigenvector of a symmetric 4 x 4 matrix (Bar-Itzhack 2000, "New method for
    extracting the quaternion from a rotation matrix"), accurate for every rotation.
    """
    m = axes
    trace = np.trace(m, axis1=-2, axis2=-1)
    k = np.empty((*m.shape[:-2], 4, 4))
    k[..., 0, 0] = trace
    for i in range(3):
        j, n = (i + 1) % 3, (i + 2) % 3
        k[..., 0, i + 1] = k[..., i + 1, 0] = m[..., n, j] - m[..., j, n]
        k[..., i + 1, j + 1] = k[..., j + 1, i + 1] = m[..., j, i] + m[..., i, j]
        k[..., i + 1, i + 1] = 2 * m[..., i, i] - trace
    return np.linalg.eigh(k)[1][..., -1]
