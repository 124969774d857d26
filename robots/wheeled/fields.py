"""Fields of a compiled model that make each world's car another one."""

from collections.abc import Mapping, Sequence

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.wheeled.figures import WHEELS

Entries = Mapping[str, tuple[int | Sequence[int], Float[Tensor, "world ..."]]]
"""Rows of model fields, and their values for each world."""


class CarFields:
    """Rows of a car in the fields of a compiled scene, and what they hold.

    Methods take one value a world and return what `tasks.family.per_world` takes.
    Everything differs per world on both backends.

    Args:
        model: the compiled scene.
        prefix: of the car's names.
    """

    def __init__(self, model: mujoco.MjModel, prefix: str = "") -> None:
        self._model = model
        self._chassis = model.body(f"{prefix}chassis").id
        self._tyres = [model.geom(prefix + wheel).id for wheel in WHEELS]
        self._motors = [model.actuator(f"{prefix}{w}_motor").id for w in WHEELS]
        self._steers = [model.actuator(f"{prefix}{w}_steer").id for w in WHEELS[:2]]

    def friction(
        self, tyres: Float[Tensor, "world 4"]
    ) -> Mapping[str, tuple[Sequence[int], Float[Tensor, "world 4 3"]]]:
        """Give each tyre its grip on ground that has none of its own.

        Args:
            tyres: friction coefficients, wheels as in `WHEELS`.
        """
        values = torch.zeros(len(tyres), 4, 3, dtype=torch.float64)
        values[:, :, 0] = tyres
        return {"geom_friction": (self._tyres, values)}

    def mass(
        self, share: Float[Tensor, "world"], ahead: Float[Tensor, "world"]
    ) -> Entries:
        """Load the chassis.

        Args:
            share: of its mass; inertia grows in proportion.
            ahead: how far its centre of mass is moved forwards [m].
        """
        share = share.double()
        ipos = torch.from_numpy(self._model.body_ipos[self._chassis])
        ipos = ipos.repeat(len(share), 1)
        ipos[:, 0] += ahead
        inertia = torch.from_numpy(self._model.body_inertia[self._chassis])
        mass = share * float(self._model.body_mass[self._chassis])
        return {
            "body_mass": (self._chassis, mass),
            "body_inertia": (self._chassis, share[:, None] * inertia),
            "body_ipos": (self._chassis, ipos),
        }

    def motor(self, share: Float[Tensor, "world"]) -> Entries:
        """Strengthen or weaken all motors to a share of their torque."""
        gains = torch.from_numpy(self._model.actuator_gainprm[self._motors])
        gains = gains.repeat(len(share), 1, 1)
        gains[:, :, 0] *= share.double()[:, None]
        return {"actuator_gainprm": (self._motors, gains)}

    def lag(self, seconds: Float[Tensor, "world"]) -> Entries:
        """Let the steering follow its command with a time constant [s]."""
        filters = torch.from_numpy(self._model.actuator_dynprm[self._steers])
        filters = filters.repeat(len(seconds), 1, 1)
        filters[:, :, 0] = seconds.double()[:, None]
        return {"actuator_dynprm": (self._steers, filters)}
