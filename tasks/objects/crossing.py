"""Shells that cross themselves, found by slices."""

import math
from typing import TYPE_CHECKING

import numpy as np

from tasks.objects.confined import RefusedError
from tasks.objects.welding import Surface

if TYPE_CHECKING:
    from manifold3d import Manifold

_TWICE = 1e-3  # share that a shell may enclose twice, or inside out
_SLICES = 33
_NOTHING = 1e-9  # area of a slice, in squares of the shell's size


def check_crossing(shell: Surface, body: "Manifold") -> None:
    """Refuse a shell that crosses itself: parts of it would count twice, or as less.

    Slices have the area that its outlines enclose, and that of their union. Uniting
    the shell with itself would not mend it, and takes a minute for many faces.

    Args:
        shell: a closed shell, turned outwards.
        body: the same.

    Raises:
        RefusedError: if the two areas differ.
    """
    low, high = shell.vertices.min(0), shell.vertices.max(0)
    # at no round share of the height, where vertices are
    shares = (np.arange(_SLICES) + 1 / math.pi) / _SLICES
    heights = (low[2] + shares * (high - low)[2]).tolist()
    enclosed = np.array([_slice_area(shell, z) for z in heights])
    united = np.array([body.slice(z).area() for z in heights])
    wrong = float(np.abs(enclosed - united).sum())
    nothing = _NOTHING * _SLICES * float((high - low).max()) ** 2
    if wrong > _TWICE * united.sum() + nothing:
        share = wrong / max(float(united.sum()), nothing)
        raise RefusedError(
            f"the surface crosses itself, and encloses {share:.1%} of its volume twice "
            "or inside out: unite what overlaps"
        )


def _slice_area(surface: Surface, z: float) -> float:
    """Area that a surface's outlines at a height enclose, with its sign."""
    above = surface.vertices[:, 2][surface.faces] > z
    cut = above.any(1) & ~above.all(1)
    # about the corner of its box, or rounding far from the origin would count
    here = surface.vertices[surface.faces[cut]] - surface.vertices.min(0)
    z, above = z - float(surface.vertices[:, 2].min()), above[cut]
    there, over = np.roll(here, -1, axis=1), np.roll(above, -1, axis=1)
    rise = np.where(above != over, there[..., 2] - here[..., 2], 1.0)
    share = (z - here[..., 2]) / rise
    points = (here + share[..., None] * (there - here))[..., :2]
    start, end = points[above & ~over], points[over & ~above]
    return float((start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).sum() / 2)
