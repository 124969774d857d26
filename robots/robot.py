"""The contract of robots: a description, names in it, and controllers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

from robots.sim.coordinates import Columns, Coordinates, control_columns
from robots.sim.simulator import Readings


@runtime_checkable
class Controller(Protocol):
    """Turns commands into the controls of a robot's actuators."""

    def __call__(
        self, readings: Readings, command: Float[Tensor, "world command"], /
    ) -> Float[Tensor, "world control"]:
        """Compute the controls to hold for one control period.

        Returns:
            Controls of the robot's actuators in its order, the first ones where it
            leaves some, such as fingers, to the task.
        """
        ...


class Robot(ABC):
    """One robot in a scene, whose names there begin with a prefix.

    A subclass states the class attributes and `spec`.

    Args:
        prefix: tells several robots of a scene apart, such as `left/`.
    """

    name: ClassVar[str]
    joints: ClassVar[tuple[str, ...]]
    """Names of its joints in `spec`, in its order of coordinates."""
    actuators: ClassVar[tuple[str, ...]]
    """Names of its actuators in `spec`, in its order of controls."""
    controllers: ClassVar[Mapping[str, Callable[..., Controller]]] = {}
    """Controllers by name, each called with the robot, the model and `device`. A robot
    without one is driven by its actuators' controls."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    @abstractmethod
    def spec(self) -> mujoco.MjSpec:
        """Build a fresh description of the robot alone: no ground, no light.

        Names are without the prefix.
        """

    def attach(
        self,
        scene: mujoco.MjSpec,
        *,
        pos: Sequence[float] = (0.0, 0.0, 0.0),
        quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
    ) -> None:
        """Add the robot to a scene, its names prefixed.

        Args:
            scene: what is to be compiled.
            pos: of the robot's frame in the world [m].
            quat: orientation of that frame, wxyz.
        """
        frame = scene.worldbody.add_frame(pos=list(pos), quat=list(quat))
        scene.attach(self.spec(), frame=frame, prefix=self.prefix)

    def coordinates(
        self, model: mujoco.MjModel, device: torch.device | str = "cpu"
    ) -> Coordinates:
        """Find the robot's joints in a compiled scene.

        Raises:
            ValueError: if the scene does not hold the robot.
        """
        return Coordinates(model, self._prefixed(self.joints), device)

    def controls(
        self, model: mujoco.MjModel, device: torch.device | str = "cpu"
    ) -> Columns:
        """Find the robot's actuators among the controls of a compiled scene.

        Raises:
            ValueError: if the scene does not hold the robot.
        """
        return control_columns(model, self._prefixed(self.actuators), device)

    def controller(
        self, name: str, model: mujoco.MjModel, device: torch.device | str = "cpu"
    ) -> Controller:
        """Build one of the robot's controllers for a compiled scene.

        Raises:
            ValueError: for a name that is not among `controllers`.
        """
        if name not in self.controllers:
            raise ValueError(
                f"robot {self.name!r} has no controller {name!r}; controllers: "
                f"{', '.join(sorted(self.controllers)) or 'none'}"
            )
        return self.controllers[name](self, model, device=device)

    def _prefixed(self, names: Sequence[str]) -> list[str]:
        return [self.prefix + name for name in names]
