"""A plate with a polygonal hole, made of boxes, whose place and size differ per world.

Four boxes frame a square opening wider than any hole; walls, one a side of the polygon,
each tangent to its inscribed circle, narrow it to the hole. The plate's outline stays
where it is, wherever the hole.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

HOLES: Mapping[str, int] = {"square": 4, "hexagon": 6, "triangle": 3, "pentagon": 5}
"""Holes by name, and their number of sides."""
HALF = 0.24  # [m], half the side of the plate
HEIGHT = 0.04  # [m], of the plate above the table, and so the depth of its hole
FRAME = tuple(f"plate_{side}" for side in ("left", "right", "near", "far"))
WALLS = tuple(f"plate_wall{i}" for i in range(max(HOLES.values())))
_OPENING = 0.03  # [m], half the side of what the frame leaves open
_WALL = 0.04  # [m], thickness and half width of a wall: beyond the opening's corners
_STEP = 5e-5  # [m], that each wall lies lower: faces in one plane flicker when drawn
_OFF = -1e6  # [m], the margin of an unused wall
_COLOURS = ((0.45, 0.55, 0.68), (0.33, 0.41, 0.52))  # frame, walls


class Geometry(NamedTuple):
    """The boxes `FRAME`, then `WALLS`, of each world's plate."""

    size: Float[Tensor, "world box 3"]
    pos: Float[Tensor, "world box 3"]
    """Positions in the frame of the body `plate`."""
    quat: Float[Tensor, "world box 4"]
    margin: Float[Tensor, "world box"]
    rgba: Float[Tensor, "world box 4"]


def add_plate(spec: mujoco.MjSpec, x: float, y: float) -> None:
    """Add the body `plate`, fixed to the table with its middle at (x, y) [m]."""
    # a mocap body stays where it is put; on one that is fixed to the world, MuJoCo Warp
    # leaves geoms for ever where the model first had them
    body = spec.worldbody.add_body(name="plate", pos=[x, y, HEIGHT / 2], mocap=True)
    for name in FRAME + WALLS:
        body.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=[_WALL, _WALL, HEIGHT / 2]
        )


def corner_reach(hole: str) -> float:
    """Return how far a hole's corners lie beyond its inscribed circle, in its radii."""
    return 1 / math.cos(math.pi / HOLES[hole]) - 1


def geometry(
    hole: Float[Tensor, "world"],
    inradius: Float[Tensor, "world"],
    centre: Float[Tensor, "world 2"],
) -> Geometry:
    """Place the boxes around holes given by index, radius of inscribed circle, centre.

    Args:
        hole: index into `HOLES`.
        inradius: [m].
        centre: from the middle of the plate [m].
    """
    worlds = len(hole)
    frame_size, frame_pos = _frame(centre.double())
    sides = torch.tensor([float(n) for n in HOLES.values()]).double()[hole.long()]
    index = torch.arange(len(WALLS)).double()
    angle = 2 * math.pi * index / sides[:, None]
    normal = torch.stack([angle.cos(), angle.sin()], dim=-1)
    middle = inradius.double()[:, None, None] + _WALL / 2
    wall_pos = torch.zeros(worlds, len(WALLS), 3, dtype=torch.float64)
    wall_pos[..., :2] = centre.double()[:, None] + middle * normal
    wall_pos[..., 2] = -_STEP * (1 + index)
    wall_size = torch.tensor([_WALL / 2, _WALL, HEIGHT / 2]).double()
    quat = torch.zeros(worlds, len(FRAME + WALLS), 4, dtype=torch.float64)
    quat[:, : len(FRAME), 0] = 1
    quat[:, len(FRAME) :, 0] = (angle / 2).cos()
    quat[:, len(FRAME) :, 3] = (angle / 2).sin()
    used = torch.cat([torch.ones(worlds, len(FRAME)), index < sides[:, None]], 1) > 0
    rows = [(*c, 1.0) for c, n in zip(_COLOURS, (FRAME, WALLS), strict=True) for _ in n]
    rgba = torch.tensor(rows).repeat(worlds, 1, 1)
    rgba[..., 3] = used.float()
    return Geometry(
        size=torch.cat([frame_size, wall_size.expand(worlds, len(WALLS), 3)], 1),
        pos=torch.cat([frame_pos, wall_pos], 1),
        quat=quat,
        margin=torch.where(used, 0.0, _OFF),
        rgba=rgba,
    )


def _frame(
    centre: Float[Tensor, "world 2"],
) -> tuple[Float[Tensor, "world 4 3"], Float[Tensor, "world 4 3"]]:
    """Return half sizes and places of four boxes: least and greatest x, then y."""
    outer = torch.full_like(centre, HALF)
    low, high = centre - _OPENING, centre + _OPENING
    # left and right of the opening over the whole depth, near and far between them
    ends = torch.stack(
        [
            torch.stack([-outer[:, 0], low[:, 0], -outer[:, 1], outer[:, 1]], -1),
            torch.stack([high[:, 0], outer[:, 0], -outer[:, 1], outer[:, 1]], -1),
            torch.stack([low[:, 0], high[:, 0], -outer[:, 1], low[:, 1]], -1),
            torch.stack([low[:, 0], high[:, 0], high[:, 1], outer[:, 1]], -1),
        ],
        dim=1,
    )
    x0, x1, y0, y1 = ends.unbind(-1)
    flat = torch.zeros_like(x0)
    size = torch.stack([(x1 - x0) / 2, (y1 - y0) / 2, flat + HEIGHT / 2], -1)
    return size, torch.stack([(x0 + x1) / 2, (y0 + y1) / 2, flat], -1)
