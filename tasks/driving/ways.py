"""Two ways that part at a fork: arcs and straights, as points along them.

A layout is drawn for the way to the left, and the way to the right is its mirror image.
Lengths are in turning radii and curvatures in their inverse, so that one table serves
whatever the radius.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.wheeled.road import TARMAC
from tasks.driving.scenery import WHITE

LAYOUTS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "bend": ((1.0, 2.1), (0.0, 0.1)),
    "corner": ((1.0, math.pi / 2), (0.0, 0.2)),
    "island": ((1.0, 0.8), (-1.0, 1.6)),
    "hairpin": ((1.0, math.pi),),
    "esses": ((1.0, 1.1), (-1.0, 1.1), (0.0, 0.1)),
}
"""Curvature and length of each piece, by layout."""
WAYS = ("left", "right")
POINTS = 48
"""Points of a way, evenly spaced."""
_TILES = 16  # of a way, as it is drawn
_STEP = 1e-4  # [m], that each lies lower: faces in one plane flicker
_STRIPES = (*(["tile"] * _TILES), "end")
STRIPES = tuple(f"{way}_{n}{i}" for way in WAYS for i, n in enumerate(_STRIPES))
"""Geoms that draw both ways, and a line across the end of each."""


class Ways(NamedTuple):
    """The ways to the left of all layouts, at a turning radius of 1."""

    place: Float[Tensor, "layout point 2"]
    """x from the fork ahead, and y to the left."""
    heading: Float[Tensor, "layout point"]
    """0 along x [rad]."""
    curvature: Float[Tensor, "layout point"]
    length: Float[Tensor, "layout"]


class Stripes(NamedTuple):
    """The geoms `STRIPES` of each world, in the frame of the body `ways`."""

    pos: Float[Tensor, "world stripe 3"]
    quat: Float[Tensor, "world stripe 4"]
    size: Float[Tensor, "world stripe 3"]


def lay_ways(device: torch.device | str = "cpu") -> Ways:
    """Return points along the ways of `LAYOUTS`, the first at the fork."""
    laid = [_trace(pieces) for pieces in LAYOUTS.values()]
    return Ways(*(torch.stack(c).float().to(device) for c in zip(*laid, strict=True)))


def traits(layout: str) -> tuple[float, ...]:
    """Return what tells a layout: its length, and the angles turned out and back.

    Each as a share of half a turn, so that the length is in radii / pi.
    """
    pieces = LAYOUTS[layout]
    turned = [curvature * length for curvature, length in pieces]
    out, back = (sum(max(0.0, sign * a) for a in turned) for sign in (1, -1))
    return tuple(x / math.pi for x in (sum(length for _, length in pieces), out, back))


def add_stripes(spec: mujoco.MjSpec, half: float) -> None:
    """Add what draws both ways, and touches nothing.

    Args:
        spec: the scene.
        half: half the width of a road [m].
    """
    # on a body that is fixed to the world, MuJoCo Warp leaves geoms where the model
    # first had them, and one that is at its body's origin stays there
    body = spec.worldbody.add_body(name="ways", mocap=True)
    drawn = stripes(torch.zeros(1), torch.ones(1), half)
    for i, name in enumerate(STRIPES):
        body.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=drawn.pos[0, i].tolist(),
            quat=drawn.quat[0, i].tolist(),
            size=drawn.size[0, i].tolist(),
            contype=0,
            conaffinity=0,
            rgba=list(WHITE if "end" in name else TARMAC),
        )


def stripes(
    layout: Float[Tensor, "world"], radius: Float[Tensor, "world"], half: float
) -> Stripes:
    """Place the geoms of `add_stripes`, on the CPU.

    Args:
        layout: index into `LAYOUTS`.
        radius: of a turn [m].
        half: half the width of a road [m].
    """
    ways, worlds = lay_ways(), len(layout)
    rows = [round((i + 0.5) * (POINTS - 1) / _TILES) for i in range(_TILES)]
    rows = torch.tensor([*rows, POINTS - 1])
    place = ways.place[layout.long()][:, rows] * radius[:, None, None]
    heading = ways.heading[layout.long()][:, rows]
    step = (ways.length[layout.long()] * radius)[:, None] / _TILES
    pos = torch.zeros(worlds, 2, len(rows), 3)
    quat = torch.zeros(worlds, 2, len(rows), 4)
    size = torch.zeros(worlds, 2, len(rows), 3)
    for i, side in enumerate((1, -1)):
        pos[:, i, :, 0], pos[:, i, :, 1] = place[..., 0], side * place[..., 1]
        quat[:, i, :, 0] = (heading / 2).cos()
        quat[:, i, :, 3] = side * (heading / 2).sin()
    # tiles are long enough for the outside of a turn
    size[..., 0], size[..., 1], size[..., 2] = 0.5 * step[:, None] + 0.04, half, 5e-4
    size[:, :, -1, 0], size[:, :, -1, 2] = 0.015, 5e-3
    flat = Stripes(*(x.flatten(1, 2) for x in (pos, quat, size)))
    flat.pos[..., 2] = _STEP * torch.arange(len(STRIPES)).flip(0)
    return flat


def _trace(
    pieces: tuple[tuple[float, float], ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return places, headings and curvatures along a way, and its length."""
    total = sum(length for _, length in pieces)
    along = torch.linspace(0, total, POINTS, dtype=torch.float64)
    place = torch.zeros(POINTS, 2, dtype=torch.float64)
    heading, curvature = torch.zeros_like(along), torch.zeros_like(along)
    at, turned, begun = torch.zeros(2, dtype=torch.float64), 0.0, 0.0
    for bend, length in pieces:
        gone = (along - begun).clamp(min=0)
        on = along >= begun - 1e-9
        place[on] = (at + _arc(turned, bend, gone))[on]
        heading[on], curvature[on] = (turned + bend * gone)[on], bend
        at = at + _arc(turned, bend, torch.tensor([length], dtype=torch.float64))[0]
        turned, begun = turned + bend * length, begun + length
    return place, heading, curvature, torch.tensor(total)


def _arc(
    heading: float, bend: float, gone: Float[Tensor, "point"]
) -> Float[Tensor, "point 2"]:
    """Return how far a way of constant curvature has come, x and y."""
    if not bend:
        return torch.stack([gone * math.cos(heading), gone * math.sin(heading)], -1)
    after = heading + bend * gone
    x, y = after.sin() - math.sin(heading), math.cos(heading) - after.cos()
    return torch.stack([x, y], dim=-1) / bend
