"""Families of one car: where it starts, how it moves, and what drives it."""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from robots.sim.simulator import Readings
from robots.wheeled.car import Car
from robots.wheeled.fields import CarFields
from robots.wheeled.figures import SINK, WHEEL_RADIUS, WHEELS
from tasks.family import Family


class Motion(NamedTuple):
    """Where a car is and how it moves, in every world."""

    x: Float[Tensor, "world"]
    """[m]"""
    y: Float[Tensor, "world"]
    """[m]"""
    yaw: Float[Tensor, "world"]
    """Heading, 0 along x [rad]."""
    ahead: Float[Tensor, "world"]
    """Velocity along the car's own x [m/s]."""
    aside: Float[Tensor, "world"]
    """Velocity to its left [m/s]."""
    turn: Float[Tensor, "world"]
    """Yaw rate [rad/s]."""


class DriveFamily(Family):
    """A family whose robot is one car."""

    car: ClassVar[Car] = Car("car/")

    def __init__(self, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        prefix = self.car.prefix
        spins = [f"{prefix}{wheel}_spin" for wheel in WHEELS]
        self._root = Coordinates(self.model, [f"{prefix}root"], device)
        self._spins = Coordinates(self.model, spins, device)
        self._own = CarFields(self.model, prefix)
        self._drive = self.car.controller("driver", self.model, device)
        self._rest = torch.from_numpy(self.model.qpos0).float().to(device)

    def begin(
        self,
        x: Float[Tensor, "world"],
        y: Float[Tensor, "world"],
        yaw: Float[Tensor, "world"],
        speed: Float[Tensor, "world"],
    ) -> tuple[Float[Tensor, "world nq"], Float[Tensor, "world nv"]]:
        """Return the rest pose with the car somewhere, rolling ahead [m, rad, m/s]."""
        qpos = self._rest.repeat(len(x), 1)
        qvel = torch.zeros(len(x), self.model.nv, device=self.device)
        zero = torch.zeros_like(x)
        height = qpos[:, self._root.qpos][:, 2] - SINK
        turn = [(yaw / 2).cos(), zero, zero, (yaw / 2).sin()]
        qpos[:, self._root.qpos] = torch.stack([x, y, height, *turn], dim=-1)
        along = [speed * yaw.cos(), speed * yaw.sin()]
        qvel[:, self._root.qvel] = torch.stack([*along, *[zero] * 4], dim=-1)
        qvel[:, self._spins.qvel] = (speed / WHEEL_RADIUS)[:, None].expand(-1, 4)
        return qpos, qvel

    def motion(self, readings: Readings) -> Motion:
        """Return where the car is and how it moves, as if it stood level."""
        x, y, _, w, _, _, z = self._root.positions(readings).unbind(-1)
        east, north, _, _, _, turn = self._root.velocities(readings).unbind(-1)
        yaw = 2 * torch.atan2(z, w)
        cos, sin = yaw.cos(), yaw.sin()
        ahead, aside = cos * east + sin * north, cos * north - sin * east
        return Motion(x, y, yaw, ahead, aside, turn)


def between(
    ends: tuple[float, float], share: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Return what lies between two numbers, the first where the share is 0."""
    return ends[0] + (ends[1] - ends[0]) * share
