"""Families whose arm handles an object: their own, or one that a user brings."""

import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from tasks.contract import Values
from tasks.manipulation.arm_family import ArmFamily
from tasks.objects.bank import Bank, Entries, shape_among
from tasks.objects.complexity import complexity, difficulty
from tasks.objects.solids import Solid
from tasks.task import Task

BODY = "object"
"""Name of the body that is handled, and of its free joint."""
PATCH = 0.02
"""Torsional over sliding friction of a patch of contact about 3 cm wide [m]."""


class HandlingFamily(ArmFamily):
    """A family whose arm handles the body `object`.

    Args:
        device: where the tensors of its worlds live.
        object: handled in every task instead of the family's own.

    Raises:
        ValueError: for an object that the robot cannot handle.
    """

    def __init__(
        self, device: torch.device | str = "cpu", object: Solid | None = None
    ) -> None:
        self.object = object
        if object is not None:
            self.use_object(object)
        super().__init__(device)
        self._object = Coordinates(self.model, [BODY], device)

    @abstractmethod
    def use_object(self, solid: Solid) -> None:
        """Set this instance's `parameters` and `fields` to those with a given object.

        `compile` follows.
        """

    def solid(self, task: Task) -> Solid | None:
        """Return what a task handles, if it is made of convex polyhedra."""
        return self.object

    def coordinates(self, task: Task) -> Mapping[str, float]:
        """Return how complex a task's object is and how hard to grasp, in [0, 1]."""
        solid = self.solid(task)
        return {} if solid is None else _coordinates(solid)

    def on(self, device: torch.device | str) -> "HandlingFamily":
        """Build the same family, with the same object, on a device."""
        return type(self)(device, self.object)


class BankFamily(HandlingFamily):
    """A family whose tasks name their object, one of a bank, as their `shape`.

    Subclasses state these class attributes beside those of `ArmFamily`, and declare the
    parameter `shape` and `Bank`'s fields.
    """

    solids: ClassVar[Sequence[Solid]]
    """The family's own, for training and for the split `unseen`."""
    insert_share: ClassVar[float]
    """Share of the object's mass in the insert that shifts its centre."""

    def __init__(
        self, device: torch.device | str = "cpu", object: Solid | None = None
    ) -> None:
        self._bank = Bank(self.solids)
        super().__init__(device, object)
        halves = [np.ptp(s.vertices[:, 0]) / 2 for s in self._bank.solids]
        self._half = torch.tensor(halves, dtype=torch.float32)
        """Half the length of each solid along its x axis [m], on the CPU."""

    def use_object(self, solid: Solid) -> None:
        """Hold the one object in the bank."""
        self._bank = Bank([solid])
        shape = shape_among([solid])
        self.parameters = tuple(
            shape if p.name == shape.name else p for p in self.parameters
        )

    def solid(self, task: Task) -> Solid:
        """Return the solid of the bank that the task's shape names."""
        return self._bank.by_name[str(task.parameters["shape"])]

    def add_object(
        self, spec: mujoco.MjSpec, place: tuple[float, float], condim: int
    ) -> None:
        """Add the object at (x, y) on the table [m]."""
        self._bank.add_to(spec, BODY, (*place, 0.0))
        slots = [f"{BODY}_{slot}" for slot in range(self._bank.slots)]
        decide_friction(spec, slots, condim)

    def object_fields(
        self, values: Values, insert: Float[Tensor, "world 3"], *, torsional: float
    ) -> Entries:
        """Return entries for `per_world`: the object's shape, mass and friction.

        Args:
            values: of the tasks, with `shape`, `mass` and `friction`.
            insert: where the heavy insert sits in the solid's frame [m].
            torsional: torsional over sliding friction [m].
        """
        bank, model, shape = self._bank, self.model, values["shape"]
        friction = slot_friction(values, bank.slots, torsional)
        return {
            **bank.fields(model, BODY, shape),
            **bank.inertia(
                model,
                BODY,
                shape,
                mass=values["mass"],
                insert=insert,
                insert_share=self.insert_share,
            ),
            "geom_friction": (bank.geoms(model, BODY), friction),
        }


def decide_friction(spec: mujoco.MjSpec, geoms: Sequence[str], condim: int) -> None:
    """Let the object's own friction decide on the table and at the tool."""
    for name in geoms:
        geom = spec.geom(name)
        geom.priority, geom.condim = 1, condim


def slot_friction(
    values: Values, slots: int, torsional: float
) -> Float[Tensor, "world slot 3"]:
    """Return the sliding, torsional and rolling friction of each geom of an object."""
    sliding = values["friction"].double()[:, None].expand(-1, slots)
    return torch.stack([sliding, torsional * sliding, torch.zeros_like(sliding)], -1)


def yaw(pose: Float[Tensor, "world 7"]) -> Float[Tensor, "world"]:
    """Return the angle of an upright body about the vertical [rad]."""
    return 2 * torch.atan2(pose[:, 6], pose[:, 3])


@functools.cache
def _coordinates(solid: Solid) -> Mapping[str, float]:
    return {"complexity": complexity(solid), "difficulty": difficulty(solid)}
