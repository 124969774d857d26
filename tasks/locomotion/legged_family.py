"""Families of Gymnasium's robots with legs, as Gymnasium starts and observes them."""

from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.legged.gymnasium_robot import GymnasiumRobot
from tasks.contract import Values
from tasks.family import Family, Instant


class LeggedFamily(Family):
    """A family whose robot is one of Gymnasium's, on its own floor.

    Its first coordinate is how far it is along x [m]. Actions are its motors' controls.
    """

    robot: ClassVar[type[GymnasiumRobot]]
    places: ClassVar[int] = 1
    """Coordinates that say where on the floor it is, which are not observed: the first
    ones."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._period = self.substeps * self.model.opt.timestep
        self._rest = torch.from_numpy(self.model.qpos0).float().to(device)

    def compile(self) -> mujoco.MjModel:
        """Compile Gymnasium's own scene."""
        return self.robot().compile_alone()

    def start(
        self, values: Values, rng: torch.Generator
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Gymnasium's reset: positions +-0.1 uniform, velocities 0.1 normal."""
        worlds = len(next(iter(values.values())))
        shape = (worlds, self.model.nq)
        noise = torch.rand(shape, generator=rng, device=self.device) * 0.2 - 0.1
        shape = (worlds, self.model.nv)
        return (
            self._rest + noise,
            torch.randn(shape, generator=rng, device=self.device) * 0.1,
        )

    def control(
        self, now: Instant, action: Float[Tensor, "world action"]
    ) -> Float[Tensor, "world nu"]:
        """Actions are the motors' controls."""
        return action

    def observe(self, now: Instant) -> Float[Tensor, "world obs"]:
        """Positions but where it is on the floor, then velocities."""
        posture = now.readings.qpos[:, self.places :]
        return torch.cat([posture, now.readings.qvel], dim=-1)

    def run(
        self, before: Instant, now: Instant
    ) -> tuple[Float[Tensor, "world"], Float[Tensor, "world"]]:
        """Return how far it is along x [m], and its velocity over the step [m/s]."""
        start, end = (i.readings.qpos[:, 0] for i in (before, now))
        return end, (end - start) / self._period


def heavier(
    model: mujoco.MjModel, factor: Float[Tensor, "world"]
) -> dict[str, Float[Tensor, "world ..."]]:
    """Return masses and inertias of each world, in proportion to the model's."""
    scale = factor.double()[:, None]
    return {
        "body_mass": scale * torch.from_numpy(model.body_mass),
        "body_inertia": scale[:, :, None] * torch.from_numpy(model.body_inertia),
    }
