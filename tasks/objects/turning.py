"""Objects turned about the vertical: the same thing, lying another way on the table."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from tasks.objects.object_set import ObjectSet
from tasks.objects.polyhedra import Moments
from tasks.objects.solids import Part, Solid, placed


def turn(degrees: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation about the vertical, counter-clockwise seen from above."""
    angle = math.radians(degrees)
    # quarter turns exactly: a box stays one
    c, s = round(math.cos(angle), 12), round(math.sin(angle), 12)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def turned(solid: Solid, degrees: float) -> Solid:
    """Return a solid that lies turned about the vertical, in the frame of solids.

    Args:
        solid: the solid; its name stays.
        degrees: counter-clockwise, seen from above.

    Raises:
        ValueError: for an angle that is not finite.
    """
    if not math.isfinite(degrees):
        raise ValueError(f"an object is turned by a finite angle, got {degrees}")
    rotation = turn(degrees)
    exact = solid.exact
    if exact is not None:
        second = rotation @ exact.second @ rotation.T
        exact = Moments(exact.mass, rotation @ exact.first, second)
    parts = tuple(Part(p.vertices @ rotation.T, p.density) for p in solid.parts)
    visual = tuple(v._replace(vertices=v.vertices @ rotation.T) for v in solid.visual)
    return placed(replace(solid, parts=parts, exact=exact, visual=visual))


def all_turned(objects: ObjectSet, degrees: float) -> ObjectSet:
    """Return a set whose objects all lie turned; see `turned`."""
    seen, unseen = (
        tuple(turned(solid, degrees) for solid in part)
        for part in (objects.seen, objects.unseen)
    )
    return ObjectSet(seen, unseen)
