"""Families whose arm handles an object: their own, or one that a user brings."""

import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Coordinates
from tasks.contract import TaskFamily, Values
from tasks.manipulation.arm_family import ArmFamily
from tasks.manipulation.handles import Handles
from tasks.objects.bank import Bank, Entries, shape_among
from tasks.objects.complexity import complexity, difficulty
from tasks.objects.object_set import Objects, ObjectSet, as_set
from tasks.objects.polyhedra import FOOT
from tasks.objects.solids import Solid, toppling_angle
from tasks.parameters import Scalar, Scaled
from tasks.task import Task

BODY = "object"
"""Name of the body that is handled, and of its free joint."""
PATCH = 0.02
"""Torsional over sliding friction of a patch of contact about 3 cm wide [m]."""
_TRIES = 20  # shares of the insert's range that are tried, down to none


class HandlingFamily(ArmFamily):
    """A family whose arm handles the body `object`.

    Args:
        device: where the tensors of its worlds live.
        objects: handled instead of the family's own; each task names one as its
            `shape`.

    Raises:
        ValueError: for an object that the robot cannot handle.
    """

    handles: ClassVar[Handles]
    """Sizes of the objects that may be given."""

    def __init__(
        self, device: torch.device | str = "cpu", objects: Objects | None = None
    ) -> None:
        self.objects = as_set(objects)
        """Objects that a user brought; None for the family's own."""
        if self.objects is not None:
            for solid in self.objects.all:
                self.handles.check(self.name, solid)
            self.use_objects(self.objects)
        super().__init__(device)
        self._object = Coordinates(self.model, [BODY], device)

    @abstractmethod
    def use_objects(self, objects: ObjectSet) -> None:
        """Set this instance's `parameters` and `fields` to those with given objects.

        `compile` follows.
        """

    def solid(self, task: Task) -> Solid | None:
        """Return what a task handles, if it is made of convex polyhedra."""
        return self.objects and self.objects.by_name[str(task.parameters["shape"])]

    def let_touch(self, spec: mujoco.MjSpec, geoms: Sequence[str]) -> None:
        """Let all of the arm collide with the object, if it is one that a user brings.

        The family's own are left as the shipped policies met them.
        """
        if self.objects is not None:
            self.robot.let_touch(spec, geoms)

    def coordinates(self, task: Task) -> Mapping[str, float]:
        """Return how complex a task's object is and how hard to grasp, in [0, 1]."""
        solid = self.solid(task)
        return {} if solid is None else _coordinates(solid)

    def on(self, device: torch.device | str) -> "HandlingFamily":
        """Build the same family, with the same objects, on a device."""
        return type(self)(device, self.objects)


class BankFamily(HandlingFamily):
    """A family whose tasks name their object, one of a bank, as their `shape`.

    Subclasses state these class attributes beside those of `ArmFamily`, and declare the
    parameter `shape` and `Bank`'s fields.
    """

    solids: ClassVar[tuple[Mapping[str, Solid], Mapping[str, Solid]]]
    """The family's own by name, for training and for the split `unseen`."""
    insert: ClassVar[str]
    """Name of the parameter that places the heavy insert in the object."""
    insert_share: ClassVar[float]
    """Share of the object's mass in the insert that shifts its centre."""

    def __init__(
        self, device: torch.device | str = "cpu", objects: Objects | None = None
    ) -> None:
        if objects is None:
            self._bank = Bank([s for part in self.solids for s in part.values()])
        super().__init__(device, objects)
        halves = [np.ptp(s.vertices[:, 0]) / 2 for s in self._bank.solids]
        self._half = torch.tensor(halves, dtype=torch.float32)
        """Half the length of each solid along its x axis [m], on the CPU."""

    @staticmethod
    @abstractmethod
    def place_insert(
        value: Float[Tensor, "world"], half: Float[Tensor, "world"]
    ) -> Float[Tensor, "world 3"]:
        """Return where the insert sits in the solid's frame [m].

        Args:
            value: of the parameter `insert`.
            half: half the object's length along x [m].
        """

    def insert_line(
        self, solid: Solid
    ) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """Return where a solid's insert sits at a value of 0, and the way of a unit.

        In the solid's frame [m].
        """
        half = torch.full((2,), float(np.ptp(solid.vertices[:, 0])) / 2)
        zero, one = self.place_insert(torch.tensor([0.0, 1.0]), half).double().numpy()
        return zero, one - zero

    def use_objects(self, objects: ObjectSet) -> None:
        """Hold the objects in the bank, and keep the insert above what they stand on.

        Raises:
            ValueError: for one that topples wherever the insert is.
        """
        self._bank = Bank(objects.all)

        def place(solid: Solid, value: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
            half = float(np.ptp(solid.vertices[:, 0])) / 2
            return self.place_insert(value, torch.full_like(value, half))

        own = {
            "shape": shape_among(
                *({s.name: s for s in part} for part in (objects.seen, objects.unseen))
            ),
            self.insert: shortened(self, self.insert, objects.all, place),
        }
        self.parameters = tuple(own.get(p.name, p) for p in self.parameters)

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
        self.let_touch(spec, slots)

    def object_fields(self, values: Values, *, torsional: float) -> Entries:
        """Return entries for `per_world`: the object's shape, mass and friction.

        Args:
            values: of the tasks, with `shape`, `mass`, `friction` and `insert`.
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
                insert=self.place_insert(values[self.insert], self._half[shape.long()]),
                insert_share=self.insert_share,
            ),
            "geom_friction": (bank.geoms(model, BODY), friction),
        }


def shortened(
    family: TaskFamily,
    insert: str,
    solids: Sequence[Solid],
    place: Callable[[Solid, Float[Tensor, "n"]], Float[Tensor, "n 3"]],
) -> Scaled:
    """Return a parameter that places the insert, always above what solids stand on.

    Args:
        family: has the parameter.
        insert: name of the parameter.
        solids: objects that a user brings.
        place: returns where values of the parameter place the insert in a solid [m].

    Raises:
        ValueError: for a solid that has no foot in the middle of that range.
    """
    [whole] = (p for p in family.parameters if p.name == insert)
    assert isinstance(whole, Scalar)
    far, shares = whole.furthest, torch.linspace(1, 0, _TRIES + 1)

    def steady(solid: Solid) -> float:
        ends = [place(solid, end * shares).tolist() for end in (far, -far)]
        for share, *points in zip(shares.tolist(), *ends, strict=True):
            if all(toppling_angle(solid, p, floor=FOOT) > 0 for p in points):
                return share
        raise ValueError(
            f"{solid.name} topples in {family.name}, which puts a heavy insert in its "
            "middle: it has no foot there"
        )

    return Scaled(of=whole, factor=min(map(steady, solids)))


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
