"""Families of Gymnasium's ant.

They observe what Gymnasium's environment does, but for external forces, which the
published environments observe beside the torso's place and axes.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from robots.legged.ant import Ant
from tasks.contract import Values
from tasks.family import Instant
from tasks.locomotion.legged_family import LeggedFamily

_HEALTHY = (0.2, 1.0)
"""Heights of the torso between which the ant counts as standing [m]."""


class AntFamily(LeggedFamily):
    """A family whose robot is Gymnasium's ant."""

    robot = Ant
    places = 2
    horizon = 200
    substeps = 5
    obs_dim = 27
    action_dim = 8

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Gymnasium's reset, and a quaternion of length 1."""
        qpos, qvel = super().start(values, rng)
        turn = qpos[:, 3:7]
        qpos[:, 3:7] = turn / turn.norm(dim=-1, keepdim=True)
        return qpos, qvel

    def stands(self, now: Instant) -> Bool[Tensor, "world"]:
        """Tell where the torso is neither on the floor nor in the air."""
        height, (low, high) = now.readings.qpos[:, 2], _HEALTHY
        return (height >= low) & (height <= high)
