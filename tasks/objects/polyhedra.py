"""Convex polygons and polyhedra of few points, and integrals over what they enclose."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

MAX_VERTICES = 60
"""Most vertices of a part."""
Points = Float[np.ndarray, "_ 3"]
FOOT = 1e-3
"""Height below which an object carries itself [m]."""
_TOES = 12  # directions in which a foot is kept
_SEEN = 400  # directions in which the hull of many points is looked at
_FLAT = 1e-6  # volume below which a part has none, in cubes of its size
_JOGGLE = 1e-8  # in sizes of a part


class Moments(NamedTuple):
    """Integrals over a body: of the density, and of it with x and with x x^T."""

    mass: float
    first: Float[np.ndarray, "3"]
    second: Float[np.ndarray, "3 3"]


def triangulate(points: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "m 3"]:
    """The surface of a convex hull: triangles, counter-clockwise seen from outside.

    One point after another is added to the hull of those before it, on a copy in which
    every point is moved a little, so that no four lie in a plane: the surface comes out
    closed whatever the points, and integrals over it are exact, for they use the points
    where they are.

    Raises:
        ValueError: if the points have no volume or are not finite.
    """
    size = float(np.ptp(points, axis=0).max(initial=0.0)) if len(points) else 0.0
    if not 0 < size < math.inf:
        raise ValueError("a part needs finite points that do not coincide")
    p = (points - points.mean(0)) / size
    first = _corners(p)
    p = p + np.random.default_rng(0).uniform(-_JOGGLE, _JOGGLE, p.shape)
    a, b, c, d = first
    if np.linalg.det(p[[b, c, d]] - p[a]) > 0:
        b, c = c, b
    faces = np.array([[a, b, c], [a, c, d], [a, d, b], [b, d, c]])
    normals, offsets = _planes(p, faces)
    for i in set(range(len(p))) - set(first):
        seen = normals @ p[i] > offsets
        if not seen.any():
            continue
        sides = faces[seen][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()
        inner = {(y, x) for x, y in sides}
        rim = [(x, y, i) for x, y in sides if (x, y) not in inner]
        fresh = np.array(rim)
        kept = ~seen
        new_normals, new_offsets = _planes(p, fresh)
        faces = np.concatenate([faces[kept], fresh])
        normals = np.concatenate([normals[kept], new_normals])
        offsets = np.concatenate([offsets[kept], new_offsets])
    return faces


def surface_moments(
    vertices: Float[np.ndarray, "n 3"], triangles: Int[np.ndarray, "m 3"]
) -> Moments:
    """Moments, at density 1, of what a closed surface encloses.

    Each triangle and the origin span a tetrahedron with a signed volume v; with s the
    sum of its corners, its moments are v s / 4 and v (sum of c c^T + s s^T) / 20.
    """
    corners = vertices[triangles]
    volumes = np.linalg.det(corners) / 6
    total = corners.sum(1)
    second = np.einsum("m,mki,mkj->ij", volumes, corners, corners)
    second += np.einsum("m,mi,mj->ij", volumes, total, total)
    return Moments(float(volumes.sum()), volumes @ total / 4, second / 20)


def outline(points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "m"]:
    """Indices of the corners of the convex hull in the plane, counter-clockwise."""
    order = [int(i) for i in np.lexsort(points.T[::-1])]
    eps = 1e-9 * float(np.ptp(points, axis=0).max(initial=0.0)) ** 2

    def chain(indices: Sequence[int]) -> list[int]:
        kept: list[int] = []
        for i in indices:
            while len(kept) > 1:
                (ax, ay), (bx, by) = (
                    points[kept[-1]] - points[kept[-2]],
                    (points[i] - points[kept[-2]]),
                )
                if ax * by - ay * bx > eps:
                    break
                kept.pop()
            kept.append(i)
        return kept[:-1]

    return np.array(chain(order) + chain(order[::-1]), dtype=int)


def _corners(p: Float[np.ndarray, "n 3"]) -> tuple[int, int, int, int]:
    """Four points that span a volume."""
    a = int(p[:, 0].argmin())
    b = int(np.linalg.norm(p - p[a], axis=1).argmax())
    areas = np.linalg.norm(np.cross(p - p[a], p[b] - p[a]), axis=1)
    c = int(areas.argmax())
    heights = np.abs((p - p[a]) @ np.cross(p[b] - p[a], p[c] - p[a]))
    d = int(heights.argmax())
    if heights[d] < _FLAT:
        raise ValueError("a part needs points that do not lie in one plane")
    return a, b, c, d


def _planes(
    p: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "m"]]:
    a, b, c = p[faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    return normals, (normals * a).sum(1)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Float[np.ndarray, "4 2"]:
    """A rectangle's corners, counter-clockwise."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=float)


def superellipse(exponent: float, corners: int) -> Float[np.ndarray, "n 2"]:
    """Points of |x|^(2/e) + |y|^(2/e) = 1, counter-clockwise; a circle at e = 1."""
    angle = (np.arange(corners) + 0.5) * (2 * math.pi / corners)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.sign(circle) * np.abs(circle) ** exponent


def cut(
    polygon: Float[np.ndarray, "n 2"], normal: tuple[float, float], at: float
) -> Float[np.ndarray, "m 2"]:
    """Cut a convex polygon down to `normal . p <= at`; corners in order."""
    kept: list[Float[np.ndarray, 2]] = []
    beyond = polygon @ np.array(normal) - at
    for i, (here, there) in enumerate(zip(beyond, np.roll(beyond, -1), strict=True)):
        if here <= 0:
            kept.append(polygon[i])
        if here * there < 0:
            share = here / (here - there)
            after = polygon[(i + 1) % len(polygon)]
            kept.append(polygon[i] + share * (after - polygon[i]))
    return np.array(kept)


def loft(
    rings: Sequence[tuple[Float[np.ndarray, "_ 2"], float]],
) -> Float[np.ndarray, "n 3"]:
    """Points of outlines (x, y) at heights z."""
    return np.concatenate(
        [np.insert(outline, 2, height, axis=1) for outline, height in rings]
    )


def few(points: Points) -> Points:
    """Return points whose hull is about that of all, few enough for a part.

    It is as long, wide and high, and stands on about the same foot.
    """
    low = points[:, 2].min()
    feet = points[points[:, 2] < low + FOOT]
    angles = np.arange(_TOES) * (2 * math.pi / _TOES)
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    foot = feet[np.unique((feet[:, :2] @ ways.T).argmax(0))]
    count = _SEEN
    kept = _extreme(points, count)
    while len(whole := np.unique([*kept, *foot], axis=0)) > MAX_VERTICES:
        count = int(0.9 * count)
        kept = _extreme(points, count)
    return whole


def hull_volume(points: Points) -> float:
    """Return about the volume of the convex hull of many points."""
    seen = _extreme(points, _SEEN)
    return surface_moments(seen, triangulate(seen)).mass


def _extreme(points: Points, count: int) -> Points:
    """Return the outermost vertices along the axes, and evenly over a sphere."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))  # the golden angle
    across = np.sqrt(1 - z * z)
    ways = np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
    ways = np.concatenate([ways, np.eye(3), -np.eye(3)])
    scaled = points / np.ptp(points, axis=0)
    return points[np.unique((scaled @ ways.T).argmax(0))]


def tilt(
    vertices: Points, com: Sequence[float] | Float[np.ndarray, "3"], floor: float
) -> float:
    """Return `toppling_angle` of any body that stands on z = 0.

    Args:
        vertices: of the body [m].
        com: its centre of mass [m].
        floor: vertices below this height carry it [m].
    """
    x, y, z = com
    feet = vertices[vertices[:, 2] < floor, :2]
    support = feet[outline(feet)]
    if len(support) < 3:
        return -math.pi / 2
    edges = np.roll(support, -1, axis=0) - support
    inward = np.stack([-edges[:, 1], edges[:, 0]], 1)
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    return math.atan2((inward * ([x, y] - support)).sum(1).min(), z)
