"""Complexity of a solid, and difficulty of grasping it: axes to report results along.

In the manner of EGAD (Morrison, Corke and Leitner 2020, "EGAD! An Evolved Grasping
Analysis Dataset"), which spreads objects over a grid of the two. Theirs are the entropy
of the angle deficits at a mesh's vertices and the quality of sampled grasps; ours are
defined below, for solids of convex parts.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from tasks.objects.solids import Solid

FRICTION = 0.5
"""Friction between finger and solid, where `difficulty` counts grasps."""
OPENING = 0.08
"""Opening of the gripper [m]."""
CELLS = 7
"""A side of the grid, as EGAD's."""
_ALONG = (np.arange(8) + 0.5) / 8  # where an edge is looked at
_SMOOTH = math.radians(30)
_ANGLES, _LINES, _HEIGHTS = 24, 15, 6
_TOUCH = (1e-7, 2e-3)  # in a solid's sides; parts made from a mesh fit less well


class _Planes:
    """A convex part as half spaces, and its edges."""

    def __init__(
        self, vertices: Float[np.ndarray, "n 3"], triangles: Int[np.ndarray, "m 3"]
    ) -> None:
        a, b, c = vertices[triangles].transpose(1, 0, 2)
        normals = np.cross(b - a, c - a)
        areas = np.linalg.norm(normals, axis=1)
        wide = areas > 1e-9  # [m^2]: narrower ones say nothing about direction
        self.normals = normals[wide] / areas[wide, None]
        self.offsets = (self.normals * a[wide]).sum(1)
        sides = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        ends = vertices[np.unique(sides, axis=0)]
        self.starts, self.spans = ends[:, 0], ends[:, 1] - ends[:, 0]

    def wedge(
        self, points: Float[np.ndarray, "n 3"], touch: float
    ) -> Float[np.ndarray, "n"]:
        """Return the angle of a small circle about each point, across an edge, inside.

        It is 0 outside, pi on a face, and 2 pi within.
        """
        beyond = points @ self.normals.T - self.offsets
        angles = np.where((beyond > touch).any(1), 0.0, 2 * math.pi)
        for i in np.flatnonzero((np.abs(beyond) <= touch).any(1) & (angles > 0)):
            faces = self.normals[np.abs(beyond[i]) <= touch]
            cosine = np.clip((faces @ faces.T).min(), -1.0, 1.0)
            angles[i] = math.pi - math.acos(cosine)
        return angles

    def crossed(
        self, origins: Float[np.ndarray, "n 3"], along: Float[np.ndarray, "n 3"]
    ) -> tuple[
        Float[np.ndarray, "n"],
        Float[np.ndarray, "n"],
        Float[np.ndarray, "n 3"],
        Float[np.ndarray, "n 3"],
    ]:
        """Return where lines enter and leave, infinite if they miss, and normals."""
        slope = along @ self.normals.T
        gap = self.offsets - origins @ self.normals.T
        with np.errstate(divide="ignore", invalid="ignore"):
            at = gap / slope
        enter = np.where(slope < -1e-9, at, -np.inf)
        leave = np.where(slope > 1e-9, at, np.inf)
        outside = ((np.abs(slope) <= 1e-9) & (gap < 0)).any(1)
        first, last = enter.max(1), leave.min(1)
        missed = outside | (first > last)
        return (
            np.where(missed, np.inf, first),
            np.where(missed, -np.inf, last),
            self.normals[enter.argmax(1)],
            self.normals[leave.argmin(1)],
        )


def complexity(solid: Solid) -> float:
    """Measure how variously the surface turns: 0 for box, ball and cylinder, below 1.

    At an edge the surface turns by an angle, positive where the solid bulges; turns of
    less than 30 degrees are how a polyhedron draws a curve, and do not count. Every
    other edge counts by its length times the size of its angle. With H the entropy of
    their distribution over bins of 30 degrees about the multiples of 30, there are
    exp(H) different kinds of edges, and the complexity is 1 - exp(-H).

    The solid is first stretched to the proportions of a cube, for slenderness is no
    complexity. What parts share inside is no surface, and counts for nothing.
    """
    parts = _planes(solid, 1 / np.ptp(solid.vertices, axis=0))
    touch = _TOUCH[solid.exact is not None]
    turns, weights = [], []
    for part in parts:
        for share in _ALONG:
            points = part.starts + share * part.spans
            wedges = np.array([other.wedge(points, touch) for other in parts])
            turn = math.pi - wedges.sum(0)
            surface = turn > 1e-3 - math.pi
            # an edge that several parts have is met once in each
            edges = (wedges > 1e-3) & (np.abs(wedges - math.pi) > 1e-3)
            edges &= wedges < 2 * math.pi - 1e-3
            owners = np.maximum(edges.sum(0), 1)
            lengths = np.linalg.norm(part.spans, axis=1)
            turns.append(turn)
            counts = surface & (np.abs(turn) > _SMOOTH)
            weights.append(counts * np.abs(turn) * lengths / owners)
    steps = np.rint(np.concatenate(turns) / _SMOOTH).astype(int)
    sums = np.bincount(steps - steps.min(), weights=np.concatenate(weights))
    if not sums.any():
        return 0.0
    p = sums[sums > 0] / sums.sum()
    return float(1 - np.exp((p * np.log(p)).sum()))


def difficulty(solid: Solid) -> float:
    """Return the share of two-finger grasps that fail, among those that meet the solid.

    Two fingers close along a line in a horizontal plane; lines are spread evenly over
    directions, offsets and heights. A grasp holds if the fingers open wide enough and
    both first touch faces whose normals lie within the friction cone about the line.
    """
    origins, along = _lines(solid)
    first = np.full(len(origins), np.inf)
    last = -first
    facing = np.zeros((2, *origins.shape))
    for part in _planes(solid):
        enter, leave, near, far = part.crossed(origins, along)
        facing[0] = np.where((enter < first)[:, None], near, facing[0])
        facing[1] = np.where((leave > last)[:, None], far, facing[1])
        first, last = np.minimum(first, enter), np.maximum(last, leave)
    met = first < last
    cosine = 1 / math.hypot(1.0, FRICTION)
    holds = last - first < OPENING
    for sign, normals in zip((-1, 1), facing, strict=True):
        holds &= sign * (normals * along).sum(1) > cosine
    return float(1 - holds[met].mean())


def grid(
    solids: Sequence[Solid], cells: int = CELLS
) -> dict[tuple[int, int], list[Solid]]:
    """Group solids by their cell of complexity and difficulty, each cut into `cells`.

    Raises:
        ValueError: for less than one cell.
    """
    if cells < 1:
        raise ValueError(f"a grid needs at least 1 cell a side, got {cells}")
    found: defaultdict[tuple[int, int], list[Solid]] = defaultdict(list)
    for solid in solids:
        place = [
            min(int(cells * value), cells - 1)
            for value in (complexity(solid), difficulty(solid))
        ]
        found[place[0], place[1]].append(solid)
    return dict(found)


def _planes(solid: Solid, scale: Float[np.ndarray, "3"] | float = 1.0) -> list[_Planes]:
    return [
        _Planes(part.vertices * scale, triangles)
        for part, triangles in zip(solid.parts, solid.triangles, strict=True)
    ]


def _lines(
    solid: Solid,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Return points and directions of horizontal lines about the solid."""
    low, high = solid.vertices.min(0), solid.vertices.max(0)
    radius = float(np.linalg.norm((high - low)[:2])) / 2
    middle = (low + high) / 2
    angle, offset, height = (
        values.flatten()
        for values in np.meshgrid(
            (np.arange(_ANGLES) + 0.5) * math.pi / _ANGLES,
            ((np.arange(_LINES) + 0.5) / _LINES * 2 - 1) * radius,
            low[2] + (np.arange(_HEIGHTS) + 0.5) / _HEIGHTS * (high - low)[2],
            indexing="ij",
        )
    )
    along = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    across = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=1)
    origins = offset[:, None] * across
    origins[:, :2] += middle[:2]
    origins[:, 2] = height
    return origins, along
