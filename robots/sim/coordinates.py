"""Coordinates by name: where joints and actuators lie in a compiled model."""

from collections.abc import Sequence
from itertools import chain

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from robots.sim.simulator import Readings

Columns = slice | Int[Tensor, "n"]
"""Columns of a tensor: a slice where they lie side by side, else their indices."""


class Coordinates:
    """The coordinates of some joints, among all those of a model.

    Found once, by name; reading them is then a slice of a tensor.

    Args:
        model: the compiled model.
        joints: names, in the order in which the coordinates are wanted.
        device: where indices live, if the joints do not lie side by side.

    Raises:
        ValueError: for a joint that the model does not have.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        joints: Sequence[str],
        device: torch.device | str = "cpu",
    ) -> None:
        found = [_find(model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in joints]
        positions = [_range(model.jnt_qposadr, model.nq, joint) for joint in found]
        velocities = [_range(model.jnt_dofadr, model.nv, joint) for joint in found]
        self.qpos = _columns(list(chain(*positions)), device)
        """Columns of `Readings.qpos`."""
        self.qvel = _columns(list(chain(*velocities)), device)
        """Columns of `Readings.qvel`."""

    def positions(self, readings: Readings) -> Float[Tensor, "world q"]:
        """Return the joints' positions: [m], [rad], and quaternions wxyz."""
        return readings.qpos[:, self.qpos]

    def velocities(self, readings: Readings) -> Float[Tensor, "world v"]:
        """Return the joints' velocities [m/s, rad/s]."""
        return readings.qvel[:, self.qvel]


def control_columns(
    model: mujoco.MjModel,
    actuators: Sequence[str],
    device: torch.device | str = "cpu",
) -> Columns:
    """Find the columns of some actuators among the controls of a model.

    Raises:
        ValueError: for an actuator that the model does not have.
    """
    kind = mujoco.mjtObj.mjOBJ_ACTUATOR
    return _columns([_find(model, kind, name) for name in actuators], device)


def _find(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    index = mujoco.mj_name2id(model, kind, name)
    if index < 0:
        joint = kind == mujoco.mjtObj.mjOBJ_JOINT
        what, count = ("joint", model.njnt) if joint else ("actuator", model.nu)
        names = [mujoco.mj_id2name(model, kind, i) for i in range(count)]
        raise ValueError(
            f"the model has no {what} {name!r}; {what}s: "
            f"{', '.join(filter(None, names)) or 'none'}"
        )
    return index


def _range(starts: NDArray[np.int32], size: int, joint: int) -> range:
    """The coordinates of one joint; those of the last one end with the model's."""
    end = starts[joint + 1] if joint + 1 < len(starts) else size
    return range(int(starts[joint]), int(end))


def _columns(indices: Sequence[int], device: torch.device | str) -> Columns:
    if indices and list(indices) == list(range(indices[0], indices[-1] + 1)):
        return slice(indices[0], indices[-1] + 1)
    return torch.tensor(indices, dtype=torch.long, device=device)
