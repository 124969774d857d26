"""Families of Gymnasium's half-cheetah: where it starts, what it sees, what it costs."""

from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.legged.half_cheetah import HalfCheetah
from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.family import Family, Instant

_DT = 0.05  # [s], five physics steps of 10 ms


class CheetahFamily(Family):
    """A family whose robot is Gymnasium's half-cheetah, on its own floor."""

    substeps = 5
    obs_dim = 17
    action_dim = 6
    control_cost: ClassVar[float] = -0.05
    """Weight of the squared controls in the published rewards."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        distance, *body = HalfCheetah.joints
        self._distance = Coordinates(self.model, [distance], device)
        self._body = Coordinates(self.model, body, device)

    def compile(self) -> mujoco.MjModel:
        """Compile Gymnasium's own scene."""
        return HalfCheetah().compile_alone()

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Gymnasium's reset: positions +-0.1 uniform, velocities 0.1 normal."""
        worlds, nq = len(next(iter(values.values()))), self.model.nq
        qpos = torch.rand(worlds, nq, generator=rng, device=self.device) * 0.2 - 0.1
        qvel = torch.randn(worlds, nq, generator=rng, device=self.device) * 0.1
        return qpos, qvel

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Actions are the motors' controls."""
        return action

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Positions but the distance run, then velocities."""
        posture = self._body.positions(now.readings)
        return torch.cat([posture, now.readings.qvel], dim=-1)

    def run(
        self, before: Instant, now: Instant
    ) -> tuple[Float[Tensor, "world"], Float[Tensor, "world"]]:
        """Return the distance run so far [m], and the velocity over the step [m/s]."""
        start, end = (self._distance.positions(i.readings)[:, 0] for i in (before, now))
        return end, (end - start) / _DT
