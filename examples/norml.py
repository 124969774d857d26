"""The four environments of NoRML, as families of an external simulator.

Yang et al. 2019, "NoRML: No-Reward Meta Learning", arXiv 1903.01063, after the public
configurations: a point whose displacements are turned, with a dense and with a sparse
reward; a cart-pole whose angle is read with a bias; a half-cheetah whose hips may be
swapped. None of them shows the task in its reward alone.

    pliant train examples.norml:Point --tasks 10 --episodes 25 --iterations 1000 \
        --adapt-episodes 25 --measure-rounds 1
"""

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from robots.legged.half_cheetah import HalfCheetah
from robots.sim.coordinates import Coordinates
from robots.sim.cpu import CpuSimulator
from tasks.external import ExternalFamily
from tasks.parameters import Choice, Scalar, Value

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Batched(VectorEnv[Any, Any, Any]):
    """W worlds in arrays, each with a number that is hidden.

    Args:
        num_envs: number of worlds W.
        obs: observation features.
        reach: bounds of the actions, one a component.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, num_envs: int, obs: int, reach: Sequence[float]) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (obs,), np.float64)
        high = np.array(reach, np.float64)
        self.single_action_space = Box(-high, high, dtype=np.float64)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.hidden = np.zeros(num_envs)
        self.over = np.ones(num_envs, np.bool_)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Numbers, dict[str, Any]]:
        """Start a new episode in the worlds of `reset_mask`, all by default."""
        super().reset(seed=seed)
        mask: Flags = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        self.restart(mask)
        self.over = self.over & ~mask
        return self.observe(), {}

    def step(
        self, actions: Numbers
    ) -> tuple[Numbers, Numbers, Flags, Flags, dict[str, Any]]:
        """Take a step; what a world does after its episode's end counts for nothing."""
        reward, over, success = self.advance(actions)
        self.over = self.over | over
        info = {"is_success": success}
        never = np.zeros(self.num_envs, np.bool_)
        return self.observe(), reward, self.over, never, info

    def restart(self, mask: Flags) -> None:
        """Draw the states that episodes start in."""
        raise NotImplementedError

    def advance(self, actions: Numbers) -> tuple[Numbers, Flags, Flags]:
        """Take a step; return reward, whether the episode is over, and success."""
        raise NotImplementedError

    def observe(self) -> Numbers:
        """Return the observations."""
        raise NotImplementedError


class Points(Batched):
    """Points that start at the origin and are to get to (1, 0), within +-2 of it.

    An action is a displacement, turned by the hidden angle [rad].

    Args:
        num_envs: number of worlds.
        sparse: whether every step is worth -1, and the episode is over within 0.1 of
            the goal, instead of minus the distance.
    """

    goal = np.array([1.0, 0.0])

    def __init__(self, num_envs: int, *, sparse: bool) -> None:
        super().__init__(num_envs, 2, (1.0, 1.0))
        self.sparse = sparse
        self.place = np.zeros((num_envs, 2))

    def restart(self, mask: Flags) -> None:
        """Put points back to the origin."""
        self.place[mask] = 0.0

    def advance(self, actions: Numbers) -> tuple[Numbers, Flags, Flags]:
        """Move the points whose episode goes on."""
        cos, sin = np.cos(self.hidden), np.sin(self.hidden)
        x, y = actions.T
        moved = self.place + np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)
        self.place = np.where(self.over[:, None], self.place, moved.clip(-2.0, 2.0))
        distance = np.linalg.norm(self.place - self.goal, axis=1)
        there = distance < 0.1
        if self.sparse:
            return -np.ones(self.num_envs), there, there
        return -distance, np.zeros(self.num_envs, np.bool_), there

    def observe(self) -> Numbers:
        """Return the places."""
        return self.place.copy()


class CartPoles(Batched):
    """Gymnasium's cart-pole with a force of any size, up to its own.

    The angle is observed with the hidden bias [rad]. A step after which the pole still
    stands is worth 1.

    Args:
        num_envs: number of worlds.
    """

    def __init__(self, num_envs: int) -> None:
        self.constants = CartPoleEnv()
        super().__init__(num_envs, 4, (self.constants.force_mag,))
        self.state = np.zeros((4, num_envs))

    def restart(self, mask: Flags) -> None:
        """Draw states within +-0.05, as Gymnasium does."""
        start = self.np_random.uniform(-0.05, 0.05, self.state.shape)
        self.state = np.where(mask, start, self.state)

    def advance(self, actions: Numbers) -> tuple[Numbers, Flags, Flags]:
        """Take a step of Euler's method, as Gymnasium does."""
        c = self.constants
        x, speed, angle, spin = self.state
        cos, sin = np.cos(angle), np.sin(angle)
        push = (actions[:, 0] + c.polemass_length * spin**2 * sin) / c.total_mass
        inertia = c.length * (4.0 / 3.0 - c.masspole * cos**2 / c.total_mass)
        turn = (c.gravity * sin - cos * push) / inertia
        pull = push - c.polemass_length * turn * cos / c.total_mass
        rates = np.stack([speed, pull, spin, turn])
        self.state = np.where(self.over, self.state, self.state + c.tau * rates)
        x, _, angle, _ = self.state
        stands = np.abs(x) < c.x_threshold
        stands &= np.abs(angle) < c.theta_threshold_radians
        return stands.astype(np.float64), ~stands, stands

    def observe(self) -> Numbers:
        """Return position, speed, the biased angle and its rate."""
        seen = self.state.T.copy()
        seen[:, 2] += self.hidden
        return seen


class Cheetahs(Batched):
    """Half-cheetahs whose hips are swapped where the hidden number is 1.

    Args:
        num_envs: number of worlds.
    """

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs, 14, (1.0,) * 6)
        model = HalfCheetah().compile_alone()
        self.sim = CpuSimulator(model, worlds=num_envs, substeps=5)
        distance, height, *body = HalfCheetah.joints
        del height
        self.distance = Coordinates(model, [distance])
        self.body = Coordinates(model, body)
        self.front, self.back = (
            HalfCheetah.actuators.index(hip) for hip in ("fthigh", "bthigh")
        )

    def restart(self, mask: Flags) -> None:
        """Draw states as Gymnasium does: positions +-0.1, speeds of 0.1."""
        rows = torch.from_numpy(mask.nonzero()[0])
        nq, count = self.sim.model.nq, len(rows)
        qpos = torch.from_numpy(self.np_random.uniform(-0.1, 0.1, (count, nq))).float()
        qvel = torch.from_numpy(self.np_random.normal(0.0, 0.1, (count, nq))).float()
        self.now = self.sim.reset(qpos, qvel, rows)

    def advance(self, actions: Numbers) -> tuple[Numbers, Flags, Flags]:
        """Run: worth the speed, 1, and minus a twentieth of the squared actions."""
        wired = actions.copy()
        swapped = self.hidden > 0.5
        wired[swapped, self.front] = actions[swapped, self.back]
        wired[swapped, self.back] = actions[swapped, self.front]
        start = self.distance.positions(self.now)[:, 0]
        self.now = self.sim.step(torch.from_numpy(wired).float())
        run = (self.distance.positions(self.now)[:, 0] - start).double().numpy()
        speed = run / self.sim.control_dt
        pitch = self.body.positions(self.now)[:, 0].numpy()
        fallen = np.cos(pitch) < 0.8
        reward = speed + 1.0 - 0.05 * np.square(actions).sum(1)
        return reward, fallen | self.now.fault.numpy(), ~fallen

    def observe(self) -> Numbers:
        """Return pitch and joints, then their rates; nothing of where it is."""
        posture, rates = (
            part(self.now).double().numpy()
            for part in (self.body.positions, self.body.velocities)
        )
        return np.concatenate([posture, rates], axis=1)


class _Norml(ExternalFamily):
    """A family with one hidden parameter."""

    def set_tasks(
        self,
        envs: Any,  # noqa: ANN401
        worlds: Sequence[int],
        tasks: Sequence[Mapping[str, Value]],
    ) -> None:
        """Give worlds their hidden numbers."""
        [hidden] = self.parameters
        envs.hidden[list(worlds)] = [hidden.number(task[hidden.name]) for task in tasks]


class Point(_Norml):
    """A point that is to get to (1, 0), and whose displacements are turned."""

    horizon, obs_dim, action_dim = 10, 2, 2
    parameters = (Scalar(name="rotation", unit="rad", low=-pi, high=pi),)
    success: ClassVar[str] = "the point ends within 0.1 of its goal"
    sparse: ClassVar[bool] = False

    def make(self, worlds: int) -> Points:
        """Make points at the origin."""
        return Points(worlds, sparse=self.sparse)


class SparsePoint(Point):
    """The same point: each step costs 1 until it is within 0.1 of (1, 0)."""

    horizon = 100
    sparse = True


class CartPole(_Norml):
    """A cart-pole whose angle is read with a bias."""

    horizon, obs_dim, action_dim = 500, 4, 1
    parameters = (Scalar(name="bias", unit="rad", low=-pi / 18, high=pi / 18),)
    success: ClassVar[str] = "the pole still stands"

    def make(self, worlds: int) -> CartPoles:
        """Make cart-poles near their upright position."""
        return CartPoles(worlds)


class Cheetah(_Norml):
    """A half-cheetah that is to run, and whose front and rear hips may be swapped."""

    horizon, obs_dim, action_dim = 1000, 14, 6
    parameters = (Choice(name="hips", options=("right", "swapped")),)
    success: ClassVar[str] = "the cheetah has not tilted by more than 37 degrees"

    def make(self, worlds: int) -> Cheetahs:
        """Make half-cheetahs on their floor."""
        return Cheetahs(worlds)
