"""Procedural solids: kinds of shapes with continuous random factors.

A kind draws convex parts in any box, long along x; `make_solid` turns, mirrors and
stretches them to the size that is wanted. Compositions are of parts that share a flat
face: round ones are cut there.
"""

import math
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from tasks.objects.polyhedra import cut, loft, rectangle, superellipse
from tasks.objects.solids import Part, Solid, placed, toppling_angle

Parts = list[Float[np.ndarray, "_ 3"]]
Kind = Callable[[Generator, bool], Parts]
"""Draws the vertices of parts; where it is told to be flat, prisms of height 1."""

FLAT = ((0.085, 0.115), (0.11, 0.15), (0.04, 0.04))
"""Lengths along x, y and z of flat solids, to be pushed on a table [m]."""
GRASPABLE = ((0.08, 0.20), (0.02, 0.06), (0.03, 0.06))
"""Sizes of the others: a gripper that closes along y takes them [m]."""
STABLE = math.radians(10)
"""Solids that topple when their floor is tilted by less are drawn again."""
_ROUND = 26  # corners of a circle


def make_solid(kind: str, seed: int, *, flat: bool = False) -> Solid:
    """The solid that (kind, seed) stands for, named KIND-SEED.

    Args:
        kind: one of `KINDS`.
        seed: not negative.
        flat: an upright prism, 4 cm high, instead of a graspable solid.

    Raises:
        ValueError: for an unknown kind, listing the known ones, or a negative seed.
    """
    if kind not in KINDS or seed < 0:
        raise ValueError(
            f"no solid {kind!r} with seed {seed}: seeds start at 0; "
            f"kinds: {', '.join(KINDS)}"
        )
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    while True:
        parts = KINDS[kind](rng, flat)
        if flat:  # long across the push
            parts = [part[:, [1, 0, 2]] for part in parts]
        mirror = [*rng.choice([-1.0, 1.0], 2), 1.0]
        lengths = [rng.uniform(*ends) for ends in (FLAT if flat else GRASPABLE)]
        solid = _stretched(f"{kind}-{seed}", parts, np.array(mirror) * lengths)
        if toppling_angle(solid) >= STABLE:
            return solid


def _stretched(name: str, parts: Parts, lengths: Float[np.ndarray, "3"]) -> Solid:
    scale = lengths / np.ptp(np.concatenate(parts), axis=0)
    return placed(Solid(name, tuple(Part(part * scale) for part in parts)))


def _box(rng: Generator, flat: bool) -> Parts:
    return [_prism(rectangle(0.0, -1.0, 1.0, 1.0))]


def _wedge(rng: Generator, flat: bool) -> Parts:
    """A box that narrows and leans: upwards, or along x if flat."""
    top, lean = rng.uniform(0.3, 0.8), rng.uniform(-0.2, 0.2)
    if flat:
        corners = [(-1, -1), (1, lean - top), (1, lean + top), (-1, 1)]
        return [_prism(np.array(corners))]
    base = rectangle(-1.0, -1.0, 1.0, 1.0)
    return [loft([(base, 0.0), (base * [rng.uniform(0.5, 1.0), top] + lean, 1.0)])]


def _cylinder(rng: Generator, flat: bool) -> Parts:
    """Upright, and a little conical if graspable."""
    top = 1.0 if flat else rng.uniform(0.7, 1.0)
    disc = superellipse(1.0, _ROUND)
    return [loft([(disc, 0.0), (top * disc, 1.0)])]


def _roller(rng: Generator, flat: bool) -> Parts:
    """A cylinder that lies along x, flattened below; a D if flat."""
    disc = cut(superellipse(1.0, _ROUND), (0.0, -1.0), rng.uniform(0.3, 0.85))
    if flat:
        return [_prism(disc)]
    ends = [np.insert(disc, 0, x, axis=1) for x in (-1.0, rng.uniform(0.5, 1.0))]
    return [np.concatenate(ends)]


def _superquadric(rng: Generator, flat: bool) -> Parts:
    """(|x|^(2/e) + |y|^(2/e))^(e/f) + |z|^(2/f) <= 1, cut off below.

    Barr 1981, "Superquadrics and angle-preserving transformations". A box at exponents
    of 0, an ellipsoid at 1, an octahedron at 2, and convex up to there.
    """
    e, f = np.exp(rng.uniform(math.log(0.3), math.log(1.7), 2))
    if flat:
        return [_prism(superellipse(e, _ROUND))]
    ring = superellipse(e, 14)
    rings = [(np.zeros((1, 2)), 1.0)]
    for angle in np.linspace(-rng.uniform(0.25, 0.7), math.pi / 2, 5)[:-1]:
        height = math.copysign(abs(math.sin(angle)) ** f, angle)
        rings.append((ring * math.cos(angle) ** f, height))
    return [loft(rings)]


def _hull(rng: Generator, flat: bool) -> Parts:
    """Random points near a sphere, with a floor; near a circle if flat."""
    count = int(rng.integers(6, 13) if flat else rng.integers(14, 41))
    points = rng.normal(size=(count, 2 if flat else 3))
    points *= (
        rng.uniform(0.7, 1.0, (count, 1)) / np.linalg.norm(points, axis=1)[:, None]
    )
    if flat:
        return [_prism(points)]
    points[:, 2] = np.maximum(points[:, 2], -rng.uniform(0.3, 0.6))
    return [points]


def _ell(rng: Generator, flat: bool) -> Parts:
    arm, foot = rng.uniform(0.15, 0.35), rng.uniform(0.3, 0.6)
    a, b = _heights(rng, flat, 2)
    return [
        _prism(rectangle(0.0, 0.0, 1.0, foot), a),
        _prism(rectangle(0.0, foot, arm, 1.0), b),
    ]


def _tee(rng: Generator, flat: bool) -> Parts:
    bar, stem, shift = rng.uniform([0.15, 0.15, -0.3], [0.35, 0.4, 0.3])
    a, b = _heights(rng, flat, 2)
    return [
        _prism(rectangle(0.0, -1.0, bar, 1.0), a),
        _prism(rectangle(bar, shift - stem, 1.0, shift + stem), b),
    ]


def _cross(rng: Generator, flat: bool) -> Parts:
    """A bar along x with an arm to either side, not quite opposite."""
    half, thick = rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.2)
    left, right = rng.uniform(0.35, 0.65) + rng.uniform(-0.1, 0.1, 2)
    a, b, c = _heights(rng, flat, 3)
    return [
        _prism(rectangle(0.0, -half, 1.0, half), a),
        _prism(rectangle(left - thick, half, left + thick, 1.0), b),
        _prism(rectangle(right - thick, -1.0, right + thick, -half), c),
    ]


def _zed(rng: Generator, flat: bool) -> Parts:
    thick, arm = rng.uniform(0.2, 0.45), rng.uniform(0.15, 0.35, 2)
    a, b, c = _heights(rng, flat, 3)
    return [
        _prism(rectangle(0.0, -thick, 1.0, thick), a),
        _prism(rectangle(0.0, thick, arm[0], 1.0), b),
        _prism(rectangle(1 - arm[1], -1.0, 1.0, -thick), c),
    ]


def _dumbbell(rng: Generator, flat: bool) -> Parts:
    """Two discs, cut where the bar between them begins."""
    small, bar, gap = rng.uniform([0.5, 0.15, 0.4], [1.0, 0.4, 1.5])
    a, b, c = _heights(rng, flat, 3)
    disc = superellipse(1.0, _ROUND)
    at = math.sqrt(1 - bar**2)
    left = cut(disc, (1.0, 0.0), at)
    right = cut(small * disc, (-1.0, 0.0), math.sqrt(small**2 - bar**2))
    right += [at + gap - right[:, 0].min(), 0.0]
    return [
        _prism(left, a),
        _prism(rectangle(at, -bar, at + gap, bar), b),
        _prism(right, c),
    ]


def _lollipop(rng: Generator, flat: bool) -> Parts:
    bar, length = rng.uniform(0.2, 0.45), rng.uniform(0.8, 2.5)
    a, b = _heights(rng, flat, 2)
    at = math.sqrt(1 - bar**2)
    disc = superellipse(rng.uniform(0.6, 1.4), _ROUND)
    disc = cut(disc, (1.0, 0.0), at)
    return [_prism(disc, a), _prism(rectangle(at, -bar, at + length, bar), b)]


def _mug(rng: Generator, flat: bool) -> Parts:
    """A filled cup, cut where its handle begins: a standing loop, lying if flat."""
    at, out, wide, thick = rng.uniform([0.5, 0.5, 0.12, 0.1], [0.65, 1.1, 0.3, 0.18])
    low, high = rng.uniform([0.05, 0.7], [0.25, 0.95])
    disc, back = superellipse(1.0, _ROUND), at + out - thick
    top = 1.0 if flat else rng.uniform(0.75, 1.0)
    rings = [(cut(k * disc, (1.0, 0.0), at), z) for k, z in ((1.0, 0.0), (top, 1.0))]
    if flat:  # low and high lie to the sides
        low, high = (1.5 * side - 0.75 for side in (low, high))
    spans = [
        (at, low, back, low + thick),
        (at, high - thick, back, high),
        (back, low, back + thick, high),
    ]
    loop = [_prism(rectangle(*span)) for span in spans]
    if not flat:
        loop = [part[:, [0, 2, 1]] * [1, 2 * wide, 1] - [0, wide, 0] for part in loop]
    return [loft(rings), *loop]


def _bottle(rng: Generator, flat: bool) -> Parts:
    """Body, shoulder and neck, lying."""
    body, shoulder = rng.uniform(0.4, 0.6), rng.uniform(0.1, 0.25)
    neck = rng.uniform(0.25, 0.6)
    corners = [(body, -1), (body + shoulder, -neck), (body + shoulder, neck), (body, 1)]
    high, low = (1.0, 1.0) if flat else (1.0, rng.uniform(0.6, 1.0))
    return [
        _prism(rectangle(0.0, -1.0, body, 1.0), high),
        _prism(np.array(corners, dtype=float), high),
        _prism(rectangle(body + shoulder, -neck, 1.0, neck), low),
    ]


def _arch(rng: Generator, flat: bool) -> Parts:
    """A slab on two legs; lying if flat."""
    thick, a, b = rng.uniform([0.25, 0.12, 0.12], [0.5, 0.3, 0.3])
    profile = [
        rectangle(0.0, 1 - thick, 1.0, 1.0),
        rectangle(0.0, 0.0, a, 1 - thick),
        rectangle(1 - b, 0.0, 1.0, 1 - thick),
    ]
    prisms = [_prism(corners) for corners in profile]
    return prisms if flat else [part[:, [0, 2, 1]] for part in prisms]


def _heights(rng: Generator, flat: bool, count: int) -> list[float]:
    """Draw the heights of parts that stand side by side; the tallest is 1."""
    drawn = np.ones(count) if flat else rng.uniform(0.5, 1.0, count)
    return [float(height) for height in drawn / drawn.max()]


def _prism(
    outline: Float[np.ndarray, "n 2"], height: float = 1.0
) -> Float[np.ndarray, "2*n 3"]:
    return loft([(outline, 0.0), (outline, height)])


KINDS: Mapping[str, Kind] = {
    "box": _box,
    "cylinder": _cylinder,
    "wedge": _wedge,
    "roller": _roller,
    "superquadric": _superquadric,
    "hull": _hull,
    "ell": _ell,
    "tee": _tee,
    "cross": _cross,
    "zed": _zed,
    "dumbbell": _dumbbell,
    "lollipop": _lollipop,
    "mug": _mug,
    "bottle": _bottle,
    "arch": _arch,
}
"""Functions that draw a solid, by kind."""

TRAIN = {
    "box": 2,
    "cylinder": 2,
    "wedge": 2,
    "roller": 1,
    "superquadric": 4,
    "hull": 4,
    "ell": 3,
    "lollipop": 2,
}
"""Kinds of solids that families train on, and their numbers."""
UNSEEN: Mapping[str, int] = dict.fromkeys(
    ("tee", "cross", "dumbbell", "mug", "zed", "arch"), 9
)
"""Kinds kept for the split `unseen`, and their numbers: objects enough, 54 in all, for
a claim about objects that training never shows."""
