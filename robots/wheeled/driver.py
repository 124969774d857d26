"""Driving: a steering angle and pedals become the controls of a car's actuators."""

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.robot import Robot
from robots.sim.coordinates import Coordinates
from robots.sim.simulator import Readings
from robots.wheeled.figures import (
    BRAKE_GAIN,
    BRAKE_TORQUE,
    CREEP,
    STEER,
    TOP_RATE,
    TRACK,
    WHEELBASE,
    WHEELS,
)

DRIVEN = {
    "all": (0.25, 0.25, 0.25, 0.25),
    "front": (0.5, 0.5, 0.0, 0.0),
    "rear": (0.0, 0.0, 0.5, 0.5),
}
"""Shares of the drive torque, wheels as in `WHEELS`."""


class Driver:
    r"""Steers, drives and brakes a car, whichever wheels it drives.

    Both front wheels point at right angles to the line from the centre of the turn
    (Ackermann's geometry): with wheelbase :math:`L`, track :math:`w` and the steering
    angle :math:`\delta` of a wheel in the middle of the axle,

    .. math:: \tan \delta_\pm = \frac{L \tan \delta}{L \mp (w / 2) \tan \delta}

    for the left and the right wheel. They are computed, and not constrained to it.

    Args:
        robot: the car.
        model: the compiled scene.
        driven: `all`, `front` or `rear` wheels.
        balance: share of the pedal's brake torque at the front axle; 0.5 if even.
        device: where the readings live.

    Raises:
        ValueError: for other driven wheels, or a balance outside [0, 1].
    """

    def __init__(
        self,
        robot: Robot,
        model: mujoco.MjModel,
        *,
        driven: str = "all",
        balance: float = 0.5,
        device: torch.device | str = "cpu",
    ) -> None:
        if driven not in DRIVEN or not 0 <= balance <= 1:
            raise ValueError(
                f"driven wheels are {', '.join(DRIVEN)}, and a balance is in [0, 1]; "
                f"got {driven!r} and {balance}"
            )
        spins = [f"{robot.prefix}{wheel}_spin" for wheel in WHEELS]
        self._spin = Coordinates(model, spins, device)
        self._motors = torch.tensor(DRIVEN[driven], device=device)
        front, rear = 2 * balance, 2 * (1 - balance)
        self._brakes = torch.tensor([front, front, rear, rear], device=device)
        self._brakes *= BRAKE_TORQUE / BRAKE_GAIN

    def __call__(
        self, readings: Readings, command: Float[Tensor, "world command"]
    ) -> Float[Tensor, "world 10"]:
        """Compute the controls to hold for one control period.

        Near standstill a hard brake locks its wheels, whatever the balance.

        Args:
            readings: of a simulator of the model.
            command: steering angle [rad], to the left if positive; pedal, 1 all
                throttle and -1 all brake; and, if given, how far the handbrake is
                pulled, 0 to 1, which locks all wheels.
        """
        steer, pedal = command[:, :1], command[:, 1:2]
        rate = self._spin.velocities(readings).abs().clamp(min=CREEP)
        brakes = (-pedal).clamp(0, 1) * self._brakes / rate
        if command.shape[1] > 2:
            brakes = torch.maximum(brakes, command[:, 2:3])
        motors = pedal.clamp(0, 1) * (1 - rate / TOP_RATE).clamp(min=0) * self._motors
        return torch.cat([ackermann(steer), motors, brakes.clamp(0, 1)], dim=-1)


def ackermann(steer: Float[Tensor, "world 1"]) -> Float[Tensor, "world 2"]:
    """Return the angles of the left and the right front wheel [rad].

    Args:
        steer: angle of a wheel between them [rad]; clipped to the car's range.
    """
    side = torch.tan(steer.clamp(-STEER, STEER)) * WHEELBASE
    half = side / WHEELBASE * TRACK / 2
    return torch.atan(
        torch.cat([side / (WHEELBASE - half), side / (WHEELBASE + half)], -1)
    )
