"""Joint angles of the Panda that hold its tool upright at a point."""

import math
from functools import lru_cache

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from robots.arms.panda import Panda

REACH = 0.855
"""Maximum reach of the arm [m] (Franka Emika Panda datasheet)."""
NEUTRAL = (0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, 0.0)
"""Joint angles [rad] the inverse kinematics starts from: elbow up, tool down."""

_UPRIGHT = np.diag([1.0, -1.0, -1.0])
"""Tool frame in the world: x, the paddle's face, along +x; z, the approach, down."""


def home(x: float, y: float, z: float) -> tuple[float, ...]:
    """Find joint angles that hold the tool upright at a point, facing +x.

    Args:
        x: tool centre in the world frame [m].
        y: as x [m].
        z: as x [m].

    Returns:
        The seven joint angles [rad]; the same for the same point, always.

    Raises:
        ValueError: if the arm cannot hold the tool there.
    """
    angles = _Kinematics().solve(np.array([x, y, z]), np.array(NEUTRAL))
    return tuple(float(angle) for angle in angles)


_PITCH = 0.02  # [m]


class StartTable:
    """Joint angles for any point of a horizontal rectangle, as `home` would find them.

    A grid of inverse-kinematics solutions, at most 2 cm apart, interpolated linearly:
    the tool is within 0.3 mm and 0.1 degrees of where it was asked to be.

    Args:
        x: extent of the rectangle in the world frame, least and greatest [m].
        y: as x [m].
        z: height of the tool's centre [m].
        device: where the places and the angles live.

    Raises:
        ValueError: if an extent is reversed or the arm cannot hold the tool there.
    """

    def __init__(
        self,
        *,
        x: tuple[float, float],
        y: tuple[float, float],
        z: float,
        device: torch.device | str = "cpu",
    ) -> None:
        if x[1] < x[0] or y[1] < y[0]:
            raise ValueError(f"extents run from least to greatest, got x={x}, y={y}")
        grid = _solved(x, y, z)
        self._grid = torch.tensor(grid, dtype=torch.float32, device=device)
        self._cells = torch.tensor([n - 1.0 for n in grid.shape[:2]], device=device)

    def __call__(self, u: Float[Tensor, "world 2"]) -> Float[Tensor, "world 7"]:
        """Look up joint angles.

        Args:
            u: places in the rectangle, (0, 0) at the least x and y, (1, 1) at the
                greatest.

        Returns:
            Joint angles [rad].
        """
        scaled = u.clamp(0, 1) * self._cells
        cell = scaled.floor().minimum(self._cells - 1)
        i, j = cell.long().unbind(-1)
        fx, fy = (scaled - cell)[..., None].unbind(-2)
        near = (1 - fy) * self._grid[i, j] + fy * self._grid[i, j + 1]
        far = (1 - fy) * self._grid[i + 1, j] + fy * self._grid[i + 1, j + 1]
        return (1 - fx) * near + fx * far


@lru_cache
def _solved(
    x: tuple[float, float], y: tuple[float, float], z: float
) -> Float[np.ndarray, "x y 7"]:
    """Return the angles at the points of a grid: a second's work, once a process."""
    nx, ny = (math.ceil((b - a) / _PITCH) + 2 for a, b in (x, y))
    arm = _Kinematics()
    grid = np.empty((nx, ny, 7))
    for i, px in enumerate(np.linspace(*x, nx)):
        for j, py in enumerate(np.linspace(*y, ny)):
            grid[i, j] = arm.solve(np.array([px, py, z]), np.array(NEUTRAL))
    return grid


class _Kinematics:
    """Inverse kinematics on the compiled arm alone."""

    def __init__(self) -> None:
        self._model = Panda().spec().compile()
        self._data = mujoco.MjData(self._model)
        self._site = self._model.site("tool").id

    def solve(
        self, point: NDArray[np.float64], start: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Solve by damped least squares from `start`, pulled to it in the null space.

        Raises:
            ValueError: if no joint angles within range reach the point.
        """
        low, high = self._model.jnt_range.T
        angles = start.copy()
        jac = np.zeros((6, 7))
        for _ in range(200):
            error = self._error(angles, point)
            mujoco.mj_jacSite(self._model, self._data, jac[:3], jac[3:], self._site)
            inverse = jac.T @ np.linalg.inv(jac @ jac.T + 1e-9 * np.eye(6))
            pull = (np.eye(7) - inverse @ jac) @ (start - angles)
            step = inverse @ error + 0.5 * pull
            step *= min(1.0, 0.5 / float(np.abs(step).max() + 1e-12))
            angles = np.clip(angles + step, low, high)
            if np.abs(step).max() < 1e-10:
                break
        if np.abs(self._error(angles, point)).max() > 1e-6:
            x, y, z = point
            raise ValueError(
                f"the arm cannot hold its tool upright at x={x:.3f}, y={y:.3f}, "
                f"z={z:.3f} m; it reaches {REACH} m from (0, 0, 0.333)"
            )
        return angles

    def _error(
        self, angles: NDArray[np.float64], point: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the error [m] and rotation vector [rad] of the pose at `angles`."""
        self._data.qpos[:] = angles
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        frame = self._data.site_xmat[self._site]
        turn = 0.5 * np.cross(frame.reshape(3, 3), _UPRIGHT, axis=0).sum(axis=1)
        return np.concatenate([point - self._data.site_xpos[self._site], turn])
