"""The contract between the physics and everything above it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import mujoco
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from numpy.typing import NDArray
from torch import Tensor

MAX_THREADS = 1024
"""More are a slip of the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """State and sensors of all worlds, on the simulator's device.

    State and sensors describe the same instant: the backend recomputes kinematics and
    velocity-dependent sensors at the new state. Sensors of forces and accelerations are
    those of the physics step that led there, and 0 after a reset or a state
    that was set.
    """

    time: Float[Tensor, "world"]
    """Simulated time since reset [s]."""
    qpos: Float[Tensor, "world nq"]
    """Generalised positions, in the order of the model."""
    qvel: Float[Tensor, "world nv"]
    """Generalised velocities, in the order of the model."""
    sensors: Mapping[str, Float[Tensor, "world dim"]]
    """The model's named sensors."""
    fault: Bool[Tensor, "world"]
    """Worlds whose state went non-finite or for which the engine raised a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Contacts and constraints: the number that exists, or that there is room for."""

    contacts: int
    """Per world; on the GPU all worlds share the room for them."""
    constraints: int
    """Constraint rows, per world."""


@runtime_checkable
class Simulator(Protocol):
    """W worlds of one compiled model, different in the declared fields only.

    A faulty world stays frozen in its last finite state, with `Readings.fault` true,
    until it is reset; the other worlds are not touched by it.
    """

    model: mujoco.MjModel
    worlds: int
    control_dt: float
    """Length of a control period [s]: substeps times the physics timestep."""
    device: torch.device

    def assign(
        self,
        fields: Mapping[str, Num[Tensor, "n ..."]],
        worlds: Int[Tensor, "n"] | None = None,
    ) -> None:
        """Write model fields of some worlds (all by default); derived constants follow.

        Args:
            fields: MjModel field name to values of shape (n, *field shape), SI units.
            worlds: indices of the n worlds, ascending.

        Raises:
            ValueError: for a field that was not declared, a wrong shape, or values the
                engine refuses.
        """
        ...

    def reset(
        self,
        qpos: Float[Tensor, "n nq"],
        qvel: Float[Tensor, "n nv"],
        worlds: Int[Tensor, "n"] | None = None,
    ) -> Readings:
        """Put some worlds (all by default) into a state, time 0, nothing remembered.

        Raises:
            ValueError: for a wrong shape, or a state that is not finite.
        """
        ...

    def step(self, ctrl: Float[Tensor, "world nu"]) -> Readings:
        """Advance every healthy world by one control period under a held control.

        A world whose control is not finite is faulty from then on.

        Raises:
            ValueError: for a wrong shape.
        """
        ...


def sensor_columns(model: mujoco.MjModel) -> dict[str, slice]:
    """Return where each named sensor's values lie among all sensor values."""
    return {
        model.sensor(i).name: slice(adr, adr + dim)
        for i, (adr, dim) in enumerate(
            zip(model.sensor_adr, model.sensor_dim, strict=True)
        )
    }


def force_columns(model: mujoco.MjModel) -> NDArray[np.int32]:
    """Return where the values of sensors of forces and accelerations lie."""
    late = model.sensor_needstage == mujoco.mjtStage.mjSTAGE_ACC
    spans = zip(model.sensor_adr[late], model.sensor_dim[late], strict=True)
    columns = [np.arange(start, start + dim) for start, dim in spans]
    return np.concatenate([np.empty(0), *columns]).astype(np.int32)


def check_declared(name: str, declared: Collection[str]) -> None:
    """Raise ValueError for a field that a simulator was not made to vary."""
    if name not in declared:
        raise ValueError(
            f"field {name!r} was not declared for this simulator; declared: "
            f"{', '.join(sorted(declared)) or 'none'}"
        )


def check_shape(what: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError for values of another shape."""
    if tuple(values.shape) != shape:
        raise ValueError(
            f"{what} takes values of shape {shape}, got {tuple(values.shape)}"
        )


def check_device(device: torch.device | str) -> torch.device:
    """Return the device, if worlds can live on it.

    Raises:
        ValueError: for CUDA where there is none.
    """
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device}: torch finds no CUDA device here; use cpu")
    return device
