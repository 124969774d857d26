"""Families of one arm on its table: its controller, its starts and its height."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from robots.arms.inverse_kinematics import StartTable
from robots.arms.panda import JOINTS, Panda
from robots.sim.coordinates import Coordinates
from tasks.family import Family, Instant

HOLD_GAIN = 8.0
"""Gain of the velocity that holds a coordinate of the tool where it should be [1/s]."""


class ArmFamily(Family):
    """A family whose robot is one arm; its scene is made from `robot.scene()`.

    Subclasses state these class attributes beside those of `Family`.
    """

    robot: ClassVar[Panda] = Panda()
    start_x: ClassVar[tuple[float, float]]
    """Extent along x of the rectangle in which the tool starts [m]."""
    start_y: ClassVar[tuple[float, float]]
    """Extent along y [m]."""
    tool_z: ClassVar[float]
    """Height at which the tool starts, and which `move_level` holds [m]."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self._arm = Coordinates(self.model, JOINTS, device)
        self._drive = self.robot.controller("cartesian-velocity", self.model, device)
        self._starts = StartTable(
            x=self.start_x, y=self.start_y, z=self.tool_z, device=device
        )
        self._rest = torch.from_numpy(self.model.qpos0).float().to(device)

    def begin(
        self, u: Float[Tensor, "world 2"]
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Return the rest pose with the tool in its rectangle, nothing moving.

        Args:
            u: the tool's places, (0, 0) at the least x and y, (1, 1) at the greatest.
        """
        qpos = self._rest.repeat(len(u), 1)
        qpos[:, self._arm.qpos] = self._starts(u)
        return qpos, torch.zeros(len(u), self.model.nv, device=self.device)

    def move(
        self, now: Instant, velocity: Float[Tensor, "world 3"]
    ) -> Float[Tensor, "world 7"]:
        """Return the controls that move the tool at a velocity [m/s]."""
        return self._drive(now.readings, velocity)

    def move_level(
        self, now: Instant, plane: Float[Tensor, "world 2"]
    ) -> Float[Tensor, "world 7"]:
        """Return the controls that move the tool along x and y [m/s], at its height."""
        height = HOLD_GAIN * (self.tool_z - now.readings.sensors["tool_pos"][:, 2:])
        return self.move(now, torch.cat([plane, height], dim=-1))


def around(centre: float, half: float) -> tuple[float, float]:
    """Return the interval within `half` of `centre`."""
    return centre - half, centre + half
