"""Ways that part at a fork: arcs and straights, as points along them.

A layout is drawn for the way to the left, and the one to the right is its mirror image.
Lengths are in turning radii and curvatures in their inverse, so that one table serves
whatever the radius.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

LAYOUTS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "bend": ((1.0, 2.1), (0.0, 0.1)),
    "corner": ((1.0, math.pi / 2), (0.0, 0.2)),
    "island": ((1.0, 0.8), (-1.0, 1.6)),
    "hairpin": ((1.0, math.pi),),
    "esses": ((1.0, 1.1), (-1.0, 1.1), (0.0, 0.1)),
}
"""Curvature and length of each piece, by layout."""
POINTS = 48
"""Points of a way, evenly spaced."""


class Ways(NamedTuple):
    """The ways to the left of all layouts, at a turning radius of 1."""

    place: Float[Tensor, "layout point 2"]
    """x from the fork ahead, y to the left."""
    heading: Float[Tensor, "layout point"]
    """0 along x [rad]."""
    curvature: Float[Tensor, "layout point"]
    length: Float[Tensor, "layout"]


def lay_ways(device: torch.device | str = "cpu") -> Ways:
    """Return points along the ways of `LAYOUTS`, the first at the fork."""
    tables = [_trace(pieces) for pieces in LAYOUTS.values()]
    place, heading, curvature, length = (
        torch.stack(column) for column in zip(*tables, strict=True)
    )
    return Ways(*(t.float().to(device) for t in (place, heading, curvature, length)))


def traits(layout: str) -> tuple[float, ...]:
    """Return what tells a layout: length, and the angles turned through [turns]."""
    pieces = LAYOUTS[layout]
    turned = [curvature * length / (2 * math.pi) for curvature, length in pieces]
    total = sum(length for _, length in pieces)
    back = sum(angle for angle in turned if angle < 0)
    return (total / math.pi, sum(turned) - back, back)


def _trace(pieces: tuple[tuple[float, float], ...]) -> tuple[Tensor, ...]:
    """Return places, headings and curvatures along a way, and its length."""
    total = sum(length for _, length in pieces)
    along = torch.linspace(0, total, POINTS, dtype=torch.float64)
    place = torch.zeros(POINTS, 2, dtype=torch.float64)
    heading = torch.zeros_like(along)
    curvature = torch.full_like(along, pieces[-1][0])
    x, y, turned, begun = 0.0, 0.0, 0.0, 0.0
    for bend, length in pieces:
        on = (along >= begun - 1e-9) & (along <= begun + length + 1e-9)
        gone = along[on] - begun
        angle = turned + bend * gone
        if bend:
            dx = (angle.sin() - math.sin(turned)) / bend
            dy = (math.cos(turned) - angle.cos()) / bend
        else:
            dx, dy = gone * math.cos(turned), gone * math.sin(turned)
        place[on] = torch.stack([x + dx, y + dy], dim=-1)
        heading[on], curvature[on] = angle, bend
        after = turned + bend * length
        if bend:
            x += (math.sin(after) - math.sin(turned)) / bend
            y += (math.cos(turned) - math.cos(after)) / bend
        else:
            x, y = x + length * math.cos(turned), y + length * math.sin(turned)
        turned, begun = after, begun + length
    return place, heading, curvature, torch.tensor(total, dtype=torch.float64)
