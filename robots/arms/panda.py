"""A seven-joint arm with the Franka Emika Panda's kinematics, holding a paddle.

The model is `assets/robots/panda`; its README names the source of every figure. The
arm stands at the origin of its frame, on z = 0; x points away from it, over the table.
"""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

import assets
from robots.robot import Controller, Robot
from robots.sim.coordinates import Coordinates
from robots.sim.simulator import Readings

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
"""Names of the joints, and of the actuators that drive them, base to flange."""
JOINT_SPEED = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)
"""Joint speed limits [rad/s] (Franka Control Interface documentation)."""
REACH = 0.855
"""Maximum reach of the arm [m] (Franka Emika Panda datasheet)."""
NEUTRAL = (0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, 0.0)
"""Joint angles [rad] the inverse kinematics starts from: elbow up, tool down."""

_UPRIGHT = np.diag([1.0, -1.0, -1.0])
"""Tool frame in the world: x, the paddle's face, along +x; z, the approach, down."""


class CartesianVelocity:
    r"""Joint velocities that move the tool at a given velocity and keep it upright.

    With the tool's geometric Jacobian :math:`J` and the twist :math:`t = (v, K e)`,

    .. math:: \dot q^* = J^T (J J^T + \lambda^2 I)^{-1} (t - h \dot J \dot q)

    is the damped least-squares solution of :math:`J \dot q^* = t` (Nakamura and
    Hanafusa 1986, "Inverse kinematic solutions with singularity robustness for robot
    manipulator control") for the Jacobian a time :math:`h` ahead: when the command,
    held for a control period, takes effect, the arm has turned. :math:`e` is the small
    rotation that brings the paddle's face back to +x and its approach axis down. A
    solution beyond a joint's speed limit is shortened as a whole, so that the tool
    slows down and keeps its direction.

    Upright is as in the arm's own frame, and the velocity in the world's. Everything is
    assembled from the model's named sensors and the arm's velocities, so that it works
    on every simulator and device.

    Args:
        robot: the arm, which stands still in the scene.
        model: the compiled scene.
        damping: :math:`\lambda`, in the Jacobian's mixed units [m, rad].
        righting: gain :math:`K` of the orientation feedback [1/s].
        lookahead: :math:`h` [s]: half a control period and the servos' time constant.
        device: where the readings live.
    """

    def __init__(
        self,
        robot: Robot,
        model: mujoco.MjModel,
        *,
        damping: float = 0.01,
        righting: float = 10.0,
        lookahead: float = 0.04,
        device: torch.device | str = "cpu",
    ) -> None:
        self._prefix = robot.prefix
        self._joints = Coordinates(model, [robot.prefix + n for n in JOINTS], device)
        self._ridge = damping**2 * torch.eye(6, device=device)
        self._lookahead = lookahead
        self._limit = torch.tensor(JOINT_SPEED, device=device)
        # e = (-z_y, (x_z + z_x) / 2, -x_y) from the tool's axes x and z, to first order
        right = torch.zeros(6, 3)
        right[4, 0] = right[1, 2] = -righting
        right[2, 1] = right[3, 1] = righting / 2
        base = _orientation(model, f"{robot.prefix}link0")
        self._right = (torch.block_diag(base, base) @ right @ base.T).to(device)

    def __call__(
        self, readings: Readings, velocity: Float[Tensor, "world 3"]
    ) -> Float[Tensor, "world 7"]:
        """Compute the joint velocity commands for a tool velocity.

        Args:
            readings: of a simulator of the model.
            velocity: of the tool's centre, in the world frame [m/s].

        Returns:
            Commands for the actuators `JOINTS` [rad/s], within `JOINT_SPEED`.
        """
        columns = jacobian(readings, self._prefix).mT  # (world, 7, 6)
        x, z = (readings.sensors[f"{self._prefix}tool_{a}axis"] for a in "xz")
        twist = torch.cat((velocity, torch.cat((x, z), dim=-1) @ self._right), dim=-1)
        bias = bias_acceleration(columns, self._joints.velocities(readings))
        twist = twist - self._lookahead * bias
        gram = torch.baddbmm(self._ridge, columns.mT, columns)
        factor, _ = torch.linalg.cholesky_ex(gram)
        dual = torch.cholesky_solve(twist[..., None], factor)
        rates = torch.bmm(columns, dual)[..., 0]
        excess = (rates.abs() / self._limit).amax(dim=-1, keepdim=True)
        return rates / excess.clamp(min=1.0)


def bias_acceleration(
    columns: Float[Tensor, "world 7 6"], rates: Float[Tensor, "world 7"]
) -> Float[Tensor, "world 6"]:
    """Compute the tool's acceleration at constant joint velocities, dJ/dt dq/dt.

    With s_i = z_i dq_i/dt, w_i = s_1 + ... + s_i and l_i the linear velocity that joint
    i alone gives the tool: the sums of (2 w_i - s_i) x l_i and of w_i x s_i.

    Args:
        columns: the tool's geometric Jacobian, transposed [m, rad].
        rates: joint velocities [rad/s].

    Returns:
        Linear, then angular acceleration [m/s^2, rad/s^2].
    """
    linear, spin = (columns * rates[..., None]).split(3, dim=-1)
    turn = spin.cumsum(dim=1)
    cross = torch.linalg.cross(
        torch.cat((2 * turn - spin, turn), dim=1), torch.cat((linear, spin), dim=1)
    )
    return torch.cat((cross[:, :7].sum(dim=1), cross[:, 7:].sum(dim=1)), dim=-1)


def jacobian(readings: Readings, prefix: str = "") -> Float[Tensor, "world 6 7"]:
    """Assemble the tool's geometric Jacobian from the sensors of the arm of a prefix.

    Column i is (z_i x (p - p_i), z_i) for joint i's axis z_i and anchor p_i and the
    tool's centre p, in the world frame [m, rad].
    """
    sensors = readings.sensors
    joints = [prefix + name for name in JOINTS]
    anchors = torch.stack([sensors[f"{name}_anchor"] for name in joints], dim=1)
    axes = torch.stack([sensors[f"{name}_axis"] for name in joints], dim=1)
    arms = sensors[f"{prefix}tool_pos"][:, None] - anchors
    linear = torch.linalg.cross(axes, arms)
    return torch.cat((linear, axes), dim=-1).mT


class Panda(Robot):
    """The arm with its paddle, of which only the geom `paddle` collides.

    Its tool is the site `tool`, at the paddle's centre; sensors give the tool's pose
    and velocity, and every joint's axis and anchor.
    """

    name = "panda"
    joints = JOINTS
    actuators = JOINTS
    controllers: ClassVar[Mapping[str, Callable[..., Controller]]] = {
        "cartesian-velocity": CartesianVelocity
    }

    def spec(self) -> mujoco.MjSpec:
        """Build the arm alone, for a scene that holds other robots too."""
        return _load("panda.xml")

    def scene(self) -> mujoco.MjSpec:
        """Build the arm on its table, without a prefix, for a task to add to.

        The table is the plane z = 0. The camera `overview` sees the arm and 1.2 m of
        table along +x. Timestep 0.005 s, `implicitfast`.
        """
        return _load("scene.xml")


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

    _PITCH = 0.02

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
        nx, ny = (math.ceil((b - a) / self._PITCH) + 2 for a, b in (x, y))
        arm = _Kinematics()
        grid = np.empty((nx, ny, 7))
        for i, px in enumerate(np.linspace(*x, nx)):
            for j, py in enumerate(np.linspace(*y, ny)):
                grid[i, j] = arm.solve(np.array([px, py, z]), np.array(NEUTRAL))
        self._grid = torch.from_numpy(grid).float().to(device)
        self._cells = torch.tensor([nx - 1.0, ny - 1.0], device=device)

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


class _Kinematics:
    """Inverse kinematics on the compiled arm alone."""

    def __init__(self) -> None:
        self._model = Panda().spec().compile()
        self._data = mujoco.MjData(self._model)
        self._site = self._model.site("tool").id

    def solve(
        self, point: NDArray[np.float64], start: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Damped least squares from `start`, with a pull towards it in the null space.

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
        """Translation [m] and rotation vector [rad] from the pose at `angles`."""
        self._data.qpos[:] = angles
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        frame = self._data.site_xmat[self._site]
        turn = 0.5 * np.cross(frame.reshape(3, 3), _UPRIGHT, axis=0).sum(axis=1)
        return np.concatenate([point - self._data.site_xpos[self._site], turn])


def _load(file: str) -> mujoco.MjSpec:
    return mujoco.MjSpec.from_file(str(assets.path(f"robots/panda/{file}")))


def _orientation(model: mujoco.MjModel, body: str) -> Float[Tensor, "3 3"]:
    """Return the rotation of a body that does not move, from its frame to the world."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return torch.from_numpy(data.body(body).xmat.reshape(3, 3)).float()
