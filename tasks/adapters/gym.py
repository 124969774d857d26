"""Every family as an environment of Gymnasium, of one world or of many."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from robots.sim.cpu import CpuSimulator
from robots.sim.render import Renderer
from tasks.adapters.autoreset import AutoResetWorlds
from tasks.env import Env
from tasks.registry import make_family
from tasks.task import Task

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
SIZE = (640, 480)
"""Size of a picture [pixels]."""


class TaskEnv(gymnasium.Env[Any, Any]):
    """One world. Each reset draws a new task, unless it is given one.

    `reset(options={"task": task})` takes a `Task` or its JSON.

    Args:
        family: name of the family.
        split: where tasks are drawn from.
        oracle: whether observations end with the hidden parameters.
        render_mode: `rgb_array`, or none.

    Raises:
        ValueError: for an unknown family, split or render mode.
    """

    # as Gymnasium wants it
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        family: str,
        *,
        split: str = "train",
        oracle: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render mode is rgb_array or None, got {render_mode!r}")
        self.render_mode = render_mode
        self._stream = _stream(family, split, 1, oracle=oracle)
        env = self._stream.env
        self.metadata = self.metadata | {"render_fps": round(1 / env.sim.control_dt)}
        self.observation_space, self.action_space = _spaces(env)
        self._renderer: Renderer | None = None

    @property
    def task(self) -> Task:
        """The task of the episode."""
        return self._stream.env.tasks[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Begin an episode; a seed decides its task and state, and all that follow."""
        super().reset(seed=seed)
        self._stream.restart(int(self.np_random.integers(2**62)))
        given = (options or {}).get("task")
        tasks = None if given is None else [_task(self._stream.env, given)]
        obs = self._stream.reset(tasks)
        self.close()
        return obs[0].numpy(), {"task": self.task.to_json()}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Take one step; success and the reward's terms are in the info."""
        batch = torch.from_numpy(np.asarray(action, dtype=np.float32))[None]
        step = self._stream.env.step(batch)
        info: dict[str, Any] = {"is_success": bool(step.success[0])}
        info |= {"fault": bool(step.fault[0])}
        info |= {f"term_{k}": float(v[0]) for k, v in step.terms.items()}
        return (
            step.obs[0].numpy(),
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0] & ~step.terminated[0]),
            info,
        )

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the world, if the render mode is `rgb_array`."""
        if self.render_mode is None:
            return None
        sim = self._stream.env.sim
        if not isinstance(sim, CpuSimulator):
            raise TypeError("pictures are drawn of worlds on the CPU")
        if self._renderer is None:
            model, (width, height) = sim.model_of(0), SIZE
            self._renderer = Renderer(model, width=width, height=height)
        return self._renderer.draw(sim.state()[0])

    def close(self) -> None:
        """Give the renderer's memory back."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


class TaskVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Many worlds in one batch, each with a task of its own.

    A world that ended begins a new task in the same step: its episode's last
    observation is in `info["final_obs"]`.

    Args:
        family: name of the family.
        num_envs: number of worlds.
        split: where tasks are drawn from.
        oracle: whether observations end with the hidden parameters.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for an unknown family or split.
    """

    # as Gymnasium wants it
    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        family: str,
        num_envs: int = 1,
        *,
        split: str = "train",
        oracle: bool = False,
        threads: int = 0,
    ) -> None:
        self.num_envs = num_envs
        self._stream = _stream(family, split, num_envs, oracle=oracle, threads=threads)
        single = _spaces(self._stream.env)
        self.single_observation_space, self.single_action_space = single
        self.observation_space, self.action_space = (
            batch_space(space, num_envs) for space in single
        )

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The task of each world."""
        return self._stream.env.tasks

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Begin episodes in all worlds, of `options["tasks"]` if they are given."""
        super().reset(seed=seed)
        self._stream.restart(int(self.np_random.integers(2**62)))
        given: Sequence[Task | str] | None = (options or {}).get("tasks")
        env = self._stream.env
        tasks = None if given is None else [_task(env, task) for task in given]
        return self._stream.reset(tasks).numpy(), {}

    def step(
        self, actions: Floats
    ) -> tuple[Floats, Floats, Flags, Flags, dict[str, Any]]:
        """Take one step in every world."""
        batch = torch.from_numpy(np.asarray(actions, dtype=np.float32))
        step, obs, ended = self._stream.step(batch)
        info: dict[str, Any] = {"is_success": step.success.numpy()}
        if len(ended):
            mask = np.zeros(self.num_envs, dtype=bool)
            mask[ended.numpy()] = True
            info |= {"final_obs": step.obs.numpy(), "_final_obs": mask}
        truncated = step.truncated & ~step.terminated
        flags = step.terminated.numpy(), truncated.numpy()
        return obs.numpy(), step.reward.numpy(), *flags, info


def _stream(
    family: str, split: str, worlds: int, *, oracle: bool, threads: int = 1
) -> AutoResetWorlds[Env]:
    made = make_family(family)
    made.sample(split, 0, 1)  # refuses a split that it does not have
    env = Env(made, worlds=worlds, oracle=oracle, threads=threads)
    return AutoResetWorlds(env, split, 0)


def _spaces(env: Env) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    return (
        gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_dim,), np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (env.action_dim,), np.float32),
    )


def _task(env: Env, given: Task | str) -> Task:
    return given if isinstance(given, Task) else env.family.parse(given)
