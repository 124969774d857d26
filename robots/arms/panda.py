"""A seven-joint arm with the Franka Emika Panda's kinematics, holding a paddle.

The model is `assets/robots/panda`; its README names the source of every figure. The
arm stands at the origin of its frame, on z = 0; x points away from it, over the table.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import mujoco
import torch
from jaxtyping import Float
from torch import Tensor

import assets
from robots.robot import Controller, Robot
from robots.sim.coordinates import Coordinates
from robots.sim.simulator import Readings

JOINTS = tuple(f"joint{i}" for i in range(1, 8))
"""Names of the joints, and of the actuators that drive them, base to flange."""
TOUCH = 2
"""Collision bit of geoms that every part of the arm touches, not its tool alone."""
JOINT_SPEED = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)
"""Joint speed limits [rad/s] (Franka Control Interface documentation)."""


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

    The rest of it is only drawn, unless `let_touch` is told what it may meet.

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

    def let_touch(
        self, scene: mujoco.MjSpec, geoms: Sequence[str], onwards: str = "link0"
    ) -> None:
        """Let every part of the arm collide with some geoms, and with nothing else new.

        Args:
            scene: as `scene` built it, with those geoms added.
            geoms: their names.
            onwards: the first body of the arm that collides, and all beyond it do.
        """
        for geom in scene.body(onwards).find_all(mujoco.mjtObj.mjOBJ_GEOM):
            geom.conaffinity |= TOUCH
        for name in geoms:
            scene.geom(name).contype |= TOUCH


def table() -> mujoco.MjSpec:
    """Build the table of `Panda.scene` without an arm, for several to be attached."""
    return _load("table.xml")


def _load(file: str) -> mujoco.MjSpec:
    return mujoco.MjSpec.from_file(str(assets.path(f"robots/panda/{file}")))


def _orientation(model: mujoco.MjModel, body: str) -> Float[Tensor, "3 3"]:
    """Return the rotation of a body that does not move, from its frame to the world."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return torch.from_numpy(data.body(body).xmat.reshape(3, 3)).float()
