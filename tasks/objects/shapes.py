"""Flat objects made of primitive slots: geometry, mass, inertia in closed form.

Every object has the same four geoms, two boxes and two upright cylinders of one height.
A shape uses some of them; the others are switched off by a margin of -1e6 m, which
makes collision detection pass over them on either backend while the model stays one.
The body's origin is the middle of the face at least x, the one that is struck: where an
object lies tells nothing about its shape.
"""

import math
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from numpy.random import Generator
from torch import Tensor

from tasks.objects.solids import Solid, moved, spread_of

SLOTS = ("box_a", "box_b", "disc_a", "disc_b")
HALF_HEIGHT = 0.02  # [m]
_OFF = -1e6  # [m], the margin of an unused slot
_COLOUR = (0.90, 0.45, 0.13)


class Part(NamedTuple):
    """A box or a disc of a shape, in units of the shape's size."""

    slot: str
    x: float
    y: float
    half_x: float
    """Half length along x of a box; radius of a disc."""
    half_y: float = 0.0
    density: float = 1.0
    """-1 takes away what two solid parts share; such a part has no geom."""


_ARM = 0.32  # half width of the arms of the composed shapes


def _tee(rng: Generator) -> tuple[Part, ...]:
    """Draw a bar across the blow, with a stem behind it."""
    bar, stem, length = rng.uniform(0.2, 0.4, 3)
    shift = rng.uniform(-0.5, 0.5)
    return (
        Part("box_a", 0.0, 0.0, bar, 1.0),
        Part("box_b", bar + length, shift, length, stem),
    )


def _cross(rng: Generator) -> tuple[Part, ...]:
    """Draw a bar across the blow, and one along it."""
    bar, other = rng.uniform(0.2, 0.4, 2)
    length, shift = rng.uniform([0.6, -0.5], [1.0, 0.5])
    return (
        Part("box_a", 0.0, 0.0, bar, 1.0),
        Part("box_b", 0.0, shift, length, other),
        Part("box_b", 0.0, shift, bar, other, density=-1.0),
    )


def _dumbbell(rng: Generator) -> tuple[Part, ...]:
    """Draw two discs, with a bar between them."""
    low, high = rng.uniform(0.28, 0.45, 2)
    return (
        Part("disc_a", 0.0, low - 1, low),
        Part("disc_b", 0.0, 1 - high, high),
        Part("box_a", 0.0, low - high, rng.uniform(0.1, 0.25), 1 - low - high),
    )


_DRAWN = {"tee": _tee, "cross": _cross, "dumbbell": _dumbbell}
"""Kinds that are kept for the split `unseen`."""
SHAPES: Mapping[str, tuple[Part, ...]] = {
    "box": (Part("box_a", 0.0, 0.0, 0.8, 1.0),),
    "disc": (Part("disc_a", 0.0, 0.0, 1.0),),
    "ell": (
        Part("box_a", 0.0, -1 + _ARM, 0.8, _ARM),
        Part("box_b", 0.8 - _ARM, _ARM, _ARM, 1 - _ARM),
    ),
    "lollipop": (
        Part("disc_a", 0.0, -0.4, 0.6),
        Part("box_a", 0.0, 0.6, _ARM, 0.4),
    ),
    "tee": (
        Part("box_a", 0.0, 0.0, _ARM, 1.0),
        Part("box_b", 2 * _ARM, 0.0, _ARM, _ARM),
    ),
    "cross": (
        Part("box_a", 0.0, 0.0, _ARM, 1.0),
        Part("box_b", 0.0, 0.0, 0.8, _ARM),
        Part("box_b", 0.0, 0.0, _ARM, _ARM, density=-1.0),
    ),
    "dumbbell": (
        Part("disc_a", 0.0, -0.6, 0.4),
        Part("disc_b", 0.0, 0.6, 0.4),
        Part("box_a", 0.0, 0.0, 0.2, 0.2),
    ),
    **{
        f"{kind}-{i}": draw(np.random.default_rng([zlib.crc32(kind.encode()), i]))
        for kind, draw in _DRAWN.items()
        for i in range(1, 18)
    },
}
"""Shapes by name; they are about 2 units wide across the blow (y) and up to 2 along."""
UNSEEN = tuple(name for name in SHAPES if name.partition("-")[0] in _DRAWN)
"""Names of those that are kept for the split `unseen`: enough of them for a claim about
shapes that training never shows."""


def add_object(spec: mujoco.MjSpec, name: str) -> None:
    """Add the free body with its four slots to a scene."""
    body = spec.worldbody.add_body(name=name, pos=[0.5, 0, HALF_HEIGHT])
    # the off-diagonal inertia of an uneven object needs a body that is not "simple"
    body.simple = False
    body.explicitinertial = True
    body.mass, body.inertia = 0.3, np.full(3, 1e-3)
    body.add_freejoint(name=name)
    for slot in SLOTS:
        kind = mujoco.mjtGeom.mjGEOM_BOX if "box" in slot else _CYLINDER
        body.add_geom(
            name=f"{name}_{slot}", type=kind, size=[0.03, HALF_HEIGHT, HALF_HEIGHT]
        )


_CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER


class Geometry(NamedTuple):
    """The four slots of each world's object."""

    size: Float[Tensor, "world 4 3"]
    pos: Float[Tensor, "world 4 3"]
    margin: Float[Tensor, "world 4"]
    rgba: Float[Tensor, "world 4 4"]


class Inertia(NamedTuple):
    """Rigid-body properties in the body's frame."""

    mass: Float[Tensor, "world"]
    ipos: Float[Tensor, "world 3"]
    iquat: Float[Tensor, "world 4"]
    inertia: Float[Tensor, "world 3"]


def geometry(shape: Float[Tensor, "world"], size: Float[Tensor, "world"]) -> Geometry:
    """Slot geometry of shapes given by index, `size` [m] a unit."""
    tables = [_slots(parts) for parts in SHAPES.values()]
    rows = torch.tensor(tables, dtype=torch.float64)[shape.long()]  # world 4 5
    x, y, half_x, half_y, used = rows.unbind(-1)
    scale = size.double()[:, None]
    flat = torch.full_like(x, HALF_HEIGHT)
    disc = torch.tensor(["disc" in s for s in SLOTS])
    unused = used == 0
    # a slot keeps a legal size while it is off
    lengths = [torch.where(unused, flat, v * scale) for v in (half_x, half_y)]
    return Geometry(
        size=torch.stack(
            [
                lengths[0],
                torch.where(disc, flat, lengths[1]),
                torch.where(disc, 0.0, flat),
            ],
            dim=-1,
        ),
        pos=torch.stack([x * scale, y * scale, torch.zeros_like(x)], dim=-1),
        margin=torch.where(unused, _OFF, 0.0),
        rgba=torch.cat(
            [torch.tensor(_COLOUR).expand(*x.shape, 3).double(), used[..., None]],
            dim=-1,
        ),
    )


def inertia(
    shape: Float[Tensor, "world"],
    size: Float[Tensor, "world"],
    mass: Float[Tensor, "world"],
    insert_y: Float[Tensor, "world"],
    insert_share: float,
) -> Inertia:
    """Mass properties of a uniform solid with a heavy insert.

    The insert is a vertical rod of negligible width and the solid's height at
    (0, insert_y) from the solid's centre of mass, with a share of the whole mass.

    Args:
        shape: index into `SHAPES`.
        size: [m] a unit.
        mass: of the whole [kg].
        insert_y: [m].
        insert_share: between 0 and 1.
    """
    table = torch.tensor([_second_moments(p) for p in SHAPES.values()]).double()
    cx, cy, xx, yy, xy = table[shape.long()].unbind(-1)
    scale, mass, y = size.double(), mass.double(), insert_y.double()
    shift = insert_share * y
    # parallel axes: solid about the common centre of mass, then the insert
    about = (1 - insert_share) * shift**2 + insert_share * (y - shift) ** 2
    xx, yy, xy = (mass * (1 - insert_share) * v * scale**2 for v in (xx, yy, xy))
    yy = yy + mass * about
    z = mass * HALF_HEIGHT**2 / 3
    angle = 0.5 * torch.atan2(2 * xy, xx - yy)
    middle, radius = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
    long, short = middle + radius, middle - radius  # spread along the two axes
    zero = torch.zeros_like(mass)
    return Inertia(
        mass=mass,
        ipos=torch.stack([cx * scale, cy * scale + shift, zero], dim=-1),
        iquat=torch.stack([(angle / 2).cos(), zero, zero, (angle / 2).sin()], dim=-1),
        inertia=torch.stack([short + z, long + z, long + short], dim=-1),
    )


def traits() -> dict[str, tuple[float, ...]]:
    """Describe shapes in numbers for the oracle, about [-1, 1] each.

    Centre of mass along and across the blow, and radius of gyration about the vertical,
    in sizes.
    """
    rows: dict[str, tuple[float, ...]] = {}
    for name, parts in SHAPES.items():
        cx, cy, xx, yy, _ = _second_moments(parts)
        rows[name] = _traits(cx, cy, math.sqrt(xx + yy))
    return rows


def in_strike_frame(solid: Solid) -> Solid:
    """Move a user's object into the frame of the shapes, its x along the blow."""
    near = float(solid.vertices[:, 0].min())
    return moved(solid, np.array([-near, 0.0, -HALF_HEIGHT]))


def size_of(solid: Solid) -> float:
    """Return the parameter `size` of a user's object [m]: half its width."""
    return float(np.ptp(solid.vertices[:, 1])) / 2


def traits_of(solid: Solid) -> tuple[float, ...]:
    """Describe a user's object in the frame of the shapes, as `traits` does a shape."""
    com, spread = spread_of(solid.uniform)
    gyration = math.sqrt(spread[0, 0] + spread[1, 1])
    return _traits(*(float(v) / size_of(solid) for v in (*com[:2], gyration)))


def _traits(cx: float, cy: float, gyration: float) -> tuple[float, ...]:
    return 2 * (cx - 0.7), 4 * cy, 8 * (gyration - 0.7)


def _slots(parts: tuple[Part, ...]) -> list[list[float]]:
    solid = {p.slot: p for p in parts if p.density > 0}
    near = _near(parts)
    return [
        [p.x + near, p.y, p.half_x, p.half_y, 1.0]
        if (p := solid.get(slot))
        else [0.0] * 5
        for slot in SLOTS
    ]


def _second_moments(parts: tuple[Part, ...]) -> tuple[float, ...]:
    """Return centroid x, y and central moments xx, yy, xy of a unit-mass solid."""
    area = mx = my = xx = yy = xy = 0.0
    for p in parts:
        if "disc" in p.slot:
            a, own_x = math.pi * p.half_x**2, p.half_x**2 / 4
            own_y = own_x
        else:
            a, own_x, own_y = 4 * p.half_x * p.half_y, p.half_x**2 / 3, p.half_y**2 / 3
        a *= p.density
        area, mx, my = area + a, mx + a * p.x, my + a * p.y
        xx, yy = xx + a * (own_x + p.x**2), yy + a * (own_y + p.y**2)
        xy += a * p.x * p.y
    cx, cy = mx / area, my / area
    return (
        cx + _near(parts),
        cy,
        xx / area - cx**2,
        yy / area - cy**2,
        xy / area - cx * cy,
    )


def _near(parts: tuple[Part, ...]) -> float:
    """Return how far the struck face lies before the parts' origin."""
    return max(p.half_x - p.x for p in parts)
