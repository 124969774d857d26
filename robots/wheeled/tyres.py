"""Tyres that give way: their stiffness is one of the things that differ per world."""

from collections.abc import Mapping, Sequence

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.wheeled.figures import WHEELS
from robots.wheeled.road import SOLREF

SOFTNESS = 0.25
"""Time in which a tyre stops to slip, unless a task says otherwise [s].

At 0.1 s the side force is greatest at a slip angle of about 4 degrees, at 0.5 s of 16;
of a real tyre it is at 6 to 10.
"""


def soften_tyres(scene: mujoco.MjSpec, roads: Sequence[str], prefix: str = "") -> None:
    """Let a car's tyres meet some geoms as `SoftTyres` says.

    What such a tyre meets slips in proportion to the force, up to its grip. Without
    this, a tyre hardly slips before it slides.

    Args:
        scene: holds the car and the roads.
        roads: names of geoms.
        prefix: of the car's names.
    """
    for road in roads:
        for wheel in WHEELS:
            scene.add_pair(
                name=f"{prefix}{wheel}/{road}",
                geomname1=road,
                geomname2=prefix + wheel,
                condim=3,
                friction=[1.0, 1.0, 0.0, 0.0, 0.0],
                solref=list(SOLREF),
                solreffriction=[SOFTNESS, 1.0],
            )


class SoftTyres:
    """Rows of a car's soft tyres in the fields of a compiled scene.

    Methods take what each world has, and return what `tasks.family.per_world` takes.

    Args:
        model: the compiled scene.
        road: name of the geom that the tyres meet.
        prefix: of the car's names.
    """

    def __init__(self, model: mujoco.MjModel, road: str, prefix: str = "") -> None:
        names = [f"{prefix}{wheel}/{road}" for wheel in WHEELS]
        kind = mujoco.mjtObj.mjOBJ_PAIR
        self._pairs = [mujoco.mj_name2id(model, kind, name) for name in names]
        if min(self._pairs) < 0:
            raise ValueError(f"no soft tyres of {prefix!r} on {road!r} in this scene")

    def friction(
        self, tyres: Float[Tensor, "world 4"]
    ) -> Mapping[str, tuple[Sequence[int], Float[Tensor, "world 4 5"]]]:
        """Give each tyre its friction coefficient, wheels as in `WHEELS`."""
        values = torch.zeros(len(tyres), 4, 5, dtype=torch.float64)
        values[:, :, :2] = tyres[:, :, None]
        return {"pair_friction": (self._pairs, values)}

    def softness(
        self, seconds: Float[Tensor, "world"]
    ) -> Mapping[str, tuple[Sequence[int], Float[Tensor, "world 4 2"]]]:
        """Give all tyres the time in which they stop to slip [s]; see `SOFTNESS`."""
        values = torch.ones(len(seconds), 4, 2, dtype=torch.float64)
        values[:, :, 0] = seconds.double()[:, None]
        return {"pair_solreffriction": (self._pairs, values)}
