"""A family's worlds as a vectorised environment of Stable-Baselines3.

Each world draws a new task whenever its episode ends. Needs Stable-Baselines3: `pip
install 'pliant[sb3]'`.
"""

import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from tasks.adapters.pictures import MODES, Picture, Pictures, make_pictures
from tasks.adapters.stream import TaskStream, batched, check_options, step_info
from tasks.contract import Step, Worlds
from tasks.task import Task

Floats = NDArray[np.float32]
_SHARED = ("env", "render_mode", "metadata", "task", "observation_space")
"""Attributes that all worlds share, or that a step decides, and nothing may set."""


class World:
    """One world of a `TaskVecEnv`: what `get_attr`, `set_attr`, `env_method` address.

    Attributes that it does not have are those of all worlds, such as `family`.
    """

    def __init__(self, venv: "TaskVecEnv", index: int) -> None:
        self._venv, self._index = venv, index

    @property
    def task(self) -> Task:
        """The task of the episode."""
        return self._venv.env.tasks[self._index]

    @property
    def split(self) -> str:
        """Split that this world's next tasks are drawn from."""
        return self._venv.stream.splits[self._index]

    @split.setter
    def split(self, name: str) -> None:
        self._venv.env.family.sample(name, 0, 1)  # refuses one that there is not
        self._venv.stream.splits[self._index] = name

    def render(self) -> Picture | None:
        """Draw this world, if the render mode is `rgb_array`."""
        pictures = self._venv.pictures
        return pictures.draw([self._index])[0] if pictures else None

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that all worlds share."""
        if name.startswith("_"):
            raise AttributeError(name)
        venv = self._venv
        return getattr(venv if name in vars(venv) else venv.env, name)


class TaskVecEnv(VecEnv):
    """Worlds of any family, on the CPU, for Stable-Baselines3's algorithms.

    As Stable-Baselines3 wants it, a world that ended is reset at once; the last
    observation of its episode is in `info["terminal_observation"]`. Infos say the rest,
    as those of `TaskEnv` do, and keep the statistics of episodes that `Monitor` does.

    `seed` decides the tasks and states from the next `reset` on. `set_options` takes,
    for all worlds or for each, `{"task": task}`, a `Task` or its JSON: the task of the
    next reset. `set_attr("split", name, indices)` has worlds draw from another split.

    Args:
        env: the worlds.
        split: where tasks are drawn from.
        seed: decides the tasks, the initial states, and nothing else.
        finite: whether the horizon is part of the task, and so ends an episode for
            good; otherwise it is a time limit, and algorithms look beyond it.
        render_mode: `rgb_array`, or none.
        width: of a picture of one world [pixels].
        height: of a picture of one world [pixels].
        camera: name of a camera of the scene; by default the one that sees most.

    Raises:
        ValueError: for an unknown render mode, or worlds that are not on the CPU.
    """

    def __init__(
        self,
        env: Worlds,
        *,
        split: str = "train",
        seed: int = 0,
        finite: bool = False,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
    ) -> None:
        if env.device.type != "cpu":
            raise ValueError(f"TaskVecEnv takes worlds on the cpu, not {env.device}")
        self.env = env
        self.finite = finite
        self.render_mode = render_mode
        self.pictures: Pictures | None = make_pictures(
            env, render_mode, width=width, height=height, camera=camera
        )
        self.stream = TaskStream(env, split, seed)
        self.faults = 0
        self._returns = np.zeros(env.worlds)
        self._lengths = np.zeros(env.worlds, dtype=int)
        self._began = time.time()
        self._each = [World(self, index) for index in range(env.worlds)]
        super().__init__(
            env.worlds,
            gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_dim,), np.float32),
            action_space(env),
        )
        self.metadata: dict[str, Any] = {"render_modes": [*MODES, "human"]}
        if self.pictures:
            self.metadata["render_fps"] = self.pictures.fps

    def restart(self, seed: int) -> None:
        """Begin another sequence of tasks and initial states; a reset must follow."""
        self.faults = 0
        self.stream.restart(seed)

    def reset(self) -> Floats:
        """Begin an episode in all worlds, of new tasks or those of `set_options`."""
        seeds = [seed for seed in self._seeds if seed is not None]
        if seeds:
            self.stream.restart(seeds)
        for options in self._options:
            check_options(options, "task")
        tasks = {w: o["task"] for w, o in enumerate(self._options) if "task" in o}
        # they hold for one reset
        self._reset_seeds()
        self._reset_options()
        obs = self.stream.reset(tasks=tasks)
        self._renewed(range(self.num_envs))
        return obs.numpy()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions of the next step.

        Raises:
            ValueError: for actions of another shape, or choices that there are not.
        """
        number = self.env.action_dim
        if not self.env.family.discrete:
            self._actions = batched(actions, self.num_envs, number)
            return
        chosen = batched(actions, self.num_envs)
        if not torch.isin(chosen, torch.arange(number)).all():
            raise ValueError(f"actions are 0 to {number - 1}, got {chosen.tolist()}")
        self._actions = torch.eye(number)[chosen.long()]

    def step_wait(self) -> tuple[Floats, Floats, NDArray[np.bool_], list[Any]]:
        """Take the step; worlds that ended start again with a new task."""
        step, obs, ended = self.stream.step(self._actions)
        reward = step.reward.numpy().copy()
        self._returns += reward
        self._lengths += 1
        self.faults += int(step.fault.sum())
        infos = self._infos(step)
        for world in ended.tolist():
            infos[world] |= self._last(step, world)
        self._renewed(ended.tolist())
        done = (step.terminated | step.truncated).numpy()
        return obs.numpy(), reward, done, infos

    def _infos(self, step: Step) -> list[dict[str, Any]]:
        limit = step.truncated & ~step.terminated & (not self.finite)
        found = step_info(step) | {"TimeLimit.truncated": limit}
        rows = zip(*(value.tolist() for value in found.values()), strict=True)
        return [dict(zip(found, row, strict=True)) for row in rows]

    def _last(self, step: Step, world: int) -> dict[str, Any]:
        """Return what the info says of an episode that has ended."""
        return {
            "terminal_observation": step.obs[world].numpy().copy(),
            "episode": {
                "r": float(self._returns[world]),
                "l": int(self._lengths[world]),
                "t": round(time.time() - self._began, 6),
            },
        }

    def _renewed(self, worlds: Sequence[int]) -> None:
        """Take note that episodes have begun."""
        self._returns[worlds], self._lengths[worlds] = 0.0, 0
        for world in worlds:
            self.reset_infos[world] = {"task": self.env.tasks[world].to_json()}
        if self.pictures:
            self.pictures.forget(worlds)

    def get_images(self) -> Sequence[Picture | None]:
        """Draw every world; None for each without a render mode."""
        if self.pictures is None:
            return [None] * self.num_envs
        return self.pictures.draw(range(self.num_envs))

    def close(self) -> None:
        """Give the renderers' memory back."""
        if self.pictures:
            self.pictures.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of each world asked: its own, or one that all share."""
        return [getattr(world, attr_name) for world in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the worlds asked: `split`, or one that is new.

        Raises:
            AttributeError: for an attribute that all worlds share.
        """
        shared = attr_name != "split" and hasattr(self.env, attr_name)
        if shared or attr_name in _SHARED:
            raise AttributeError(
                f"all worlds share {attr_name}: set split, or an attribute of your own"
            )
        for world in self._chosen(indices):
            setattr(world, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of each world asked, such as `render`."""
        return [
            getattr(world, method_name)(*args, **kwargs)
            for world in self._chosen(indices)
        ]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No world is wrapped."""
        return [False] * len(self._chosen(indices))

    def _chosen(self, indices: Any) -> list[World]:
        return [self._each[index] for index in self._get_indices(indices)]


def action_space(env: Worlds) -> gymnasium.spaces.Space[Any]:
    """Return the actions of one world: in [-1, 1], or one of so many choices."""
    if env.family.discrete:
        return gymnasium.spaces.Discrete(env.action_dim)
    return gymnasium.spaces.Box(-1.0, 1.0, (env.action_dim,), np.float32)
