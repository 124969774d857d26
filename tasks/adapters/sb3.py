"""A family's worlds as a vectorised environment of Stable-Baselines3.

Each world draws a new task whenever its episode ends. Needs Stable-Baselines3: `pip
install 'pliant[sb3]'`.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from tasks.adapters.autoreset import AutoResetWorlds
from tasks.contract import Step, Worlds

Floats = NDArray[np.float32]


class TaskVecEnv(VecEnv):
    """Worlds of any family, on the CPU, for Stable-Baselines3's algorithms.

    As Stable-Baselines3 wants it, a world that ended is reset at once; the last
    observation of its episode is in `info["terminal_observation"]`.

    Args:
        env: the worlds.
        split: where tasks are drawn from.
        seed: decides the tasks, the initial states, and nothing else.
        finite: whether the horizon is part of the task, and so ends an episode for
            good; otherwise it is a time limit, and algorithms look beyond it.
    """

    render_mode = None
    """Worlds are filmed by `meta.recording.replay`."""

    def __init__(
        self, env: Worlds, *, split: str = "train", seed: int = 0, finite: bool = False
    ) -> None:
        self.env = env
        self.finite = finite
        self._stream = AutoResetWorlds(env, split, seed)
        self._returns = np.zeros(env.worlds)
        self._lengths = np.zeros(env.worlds, dtype=int)
        self.faults = 0
        super().__init__(
            env.worlds,
            gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_dim,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (env.action_dim,), np.float32),
        )

    def restart(self, seed: int) -> None:
        """Begin another sequence of tasks and initial states; a reset must follow."""
        self.faults = 0
        self._stream.restart(seed)

    def reset(self) -> Floats:
        """Begin an episode of a new task in all worlds."""
        self._returns[:], self._lengths[:] = 0.0, 0
        return self._stream.reset().numpy()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions of the next step."""
        self._actions = torch.from_numpy(np.asarray(actions, dtype=np.float32))

    def step_wait(self) -> tuple[Floats, Floats, NDArray[np.bool_], list[Any]]:
        """Take the step; worlds that ended start again with a new task."""
        step, obs, ended = self._stream.step(self._actions)
        reward = step.reward.numpy().copy()
        self._returns += reward
        self._lengths += 1
        self.faults += int(step.fault.sum())
        infos = [{} for _ in range(self.num_envs)]
        self._finish(step, ended.tolist(), infos)
        done = (step.terminated | step.truncated).numpy()
        return obs.numpy(), reward, done, infos

    def _finish(
        self, step: Step, worlds: Sequence[int], infos: list[dict[str, Any]]
    ) -> None:
        for world in worlds:
            limit = bool(step.truncated[world] & ~step.terminated[world])
            infos[world] = {
                "terminal_observation": step.obs[world].numpy().copy(),
                "TimeLimit.truncated": limit and not self.finite,
                "is_success": bool(step.success[world]),
                "episode": {
                    "r": float(self._returns[world]),
                    "l": int(self._lengths[world]),
                },
            }
        self._returns[worlds], self._lengths[worlds] = 0.0, 0

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the environment, for each world asked."""
        holder = self if attr_name == "render_mode" else self.env
        return [getattr(holder, attr_name)] * len(self._indices(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: the worlds share one environment."""
        raise NotImplementedError(f"cannot set {attr_name} of single worlds")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Refused: the worlds share one environment."""
        raise NotImplementedError(f"cannot call {method_name} of single worlds")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No world is wrapped."""
        return [False] * len(self._indices(indices))

    def _indices(self, indices: Any) -> list[int]:
        return list(self._get_indices(indices))
