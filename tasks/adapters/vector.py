"""Many worlds of a family as one vector environment of Gymnasium."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from tasks.adapters.gym import Floats, spaces_of, stream_of
from tasks.adapters.pictures import MODES, Picture, make_pictures
from tasks.adapters.stream import (
    batched,
    check_arguments,
    check_options,
    step_info,
)
from tasks.task import Task

Flags = NDArray[np.bool_]


class TaskVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Many worlds in one batch, each with a task of its own.

    Infos, ends of episodes and resets are those of Gymnasium's `SyncVectorEnv` of as
    many `TaskEnv`, in each autoreset mode. `reset` takes, as options, `task` for all
    worlds, `tasks` for each, and `reset_mask` for the worlds to reset, which then have
    one of the `tasks` each.

    Args:
        family: name of the family.
        num_envs: number of worlds.
        split: where tasks are drawn from.
        oracle: whether observations end with the hidden parameters.
        threads: simulator threads; 0 means one per CPU.
        autoreset_mode: what happens to a world that ended: it begins a new task in the
            next step, in the same step, or when it is reset; a mode or its name.
        render_mode: `rgb_array`, or none.
        width: of a picture [pixels].
        height: of a picture [pixels].
        camera: name of a camera of the scene; by default the one that sees most.

    Raises:
        ValueError: for an unknown family, split, mode or argument.
    """

    def __init__(
        self,
        family: str,
        num_envs: int = 1,
        *,
        split: str = "train",
        oracle: bool = False,
        threads: int = 0,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
        **unknown: object,
    ) -> None:
        check_arguments(TaskVectorEnv.__init__, unknown)
        self.num_envs = num_envs
        self.autoreset_mode = _mode(autoreset_mode)
        self.render_mode = render_mode
        self._stream = stream_of(
            family, split, num_envs, oracle=oracle, threads=threads
        )
        env = self._stream.env
        self._pictures = make_pictures(
            env, render_mode, width=width, height=height, camera=camera
        )
        self.metadata = {
            "render_modes": list(MODES),
            "render_fps": round(1 / env.sim.control_dt),
            "autoreset_mode": self.autoreset_mode,
        }
        single = spaces_of(env)
        self.single_observation_space, self.single_action_space = single
        self.observation_space, self.action_space = (
            batch_space(space, num_envs) for space in single
        )
        # worlds whose episode has ended, and which are not reset yet
        self._over = np.zeros(num_envs, dtype=np.bool_)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The task of each world."""
        return self._stream.env.tasks

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Floats, dict[str, Any]]:
        """Begin episodes in all worlds, or in those of `options["reset_mask"]`.

        Args:
            seed: decides the tasks and states, and all that follow; of a list, all
                numbers together.
            options: see the class.

        Raises:
            ValueError, TypeError: for an unknown option, a mask that is no array of
                `num_envs` booleans, or another number of tasks or seeds than worlds.
        """
        options = options or {}
        check_options(options, "task", "tasks", "reset_mask")
        self._seed(seed)
        mask = _mask(options.get("reset_mask"), self.num_envs)
        chosen = mask.nonzero()[0].tolist()
        tasks = options.get("tasks")
        if tasks is None:
            tasks = [options["task"]] * len(chosen) if "task" in options else []
        elif len(tasks) != len(chosen):
            raise ValueError(
                f"{len(chosen)} worlds to reset take as many tasks, got {len(tasks)}"
            )
        given = dict(zip(chosen, tasks, strict=False))
        return self._begin(mask, given).numpy(), self._told(mask)

    def step(
        self, actions: object
    ) -> tuple[Floats, Floats, Flags, Flags, dict[str, Any]]:
        """Take one step in every world.

        Raises:
            ValueError: for actions of another shape.
            ResetNeeded: in autoreset mode DISABLED, if a world has ended.
        """
        mode, renewed = self.autoreset_mode, self._over
        if mode is AutoresetMode.DISABLED and renewed.any():
            raise ResetNeeded(
                f"worlds {renewed.nonzero()[0].tolist()} have ended: reset them with "
                "options={'reset_mask': mask}, or choose another autoreset_mode"
            )
        env = self._stream.env
        step = env.step(batched(actions, env.worlds, env.action_dim))
        found = {name: value.numpy() for name, value in step_info(step).items()}
        obs, reward = step.obs, np.where(renewed, np.float32(0), step.reward.numpy())
        terminated = step.terminated.numpy() & ~renewed
        truncated = step.truncated.numpy() & ~terminated & ~renewed
        self._over = over = terminated | truncated
        info: dict[str, Any] = {}
        if mode is AutoresetMode.SAME_STEP:
            renewed = over
            if over.any():
                final = np.full(self.num_envs, None, dtype=object)
                for world in over.nonzero()[0]:
                    final[world] = step.obs[world].numpy()
                info |= {"final_obs": final, "_final_obs": over}
                info |= {"final_info": _masked(found, over), "_final_info": over}
        if renewed.any():
            obs = self._begin(renewed)
            self._over = over & ~renewed
            info |= self._told(renewed)
        info |= _masked(found, ~renewed)
        return obs.numpy(), reward, terminated, truncated, info

    def render(self) -> tuple[Picture, ...] | None:
        """Draw every world, if the render mode is `rgb_array`."""
        if self._pictures is None:
            return None
        return tuple(self._pictures.draw(range(self.num_envs)))

    def close_extras(self, **_: object) -> None:
        """Give the renderers' memory back."""
        if self._pictures:
            self._pictures.close()

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        if seed is None or isinstance(seed, int | np.integer):
            super().reset(seed=None if seed is None else int(seed))
            self._stream.restart(int(self.np_random.integers(2**62)))
            return
        if len(seed) != self.num_envs:
            raise ValueError(
                f"{self.num_envs} worlds take as many seeds, got {len(seed)}"
            )
        # a world without a seed of its own has no say
        given = [s + 1 if s is not None else 0 for s in seed]
        if any(given):
            self._stream.restart(given)

    def _begin(self, mask: Flags, tasks: dict[int, object] | None = None) -> Tensor:
        """Begin episodes in the worlds of a mask."""
        chosen = mask.nonzero()[0]
        worlds = None if mask.all() else torch.from_numpy(chosen)
        obs = self._stream.reset(worlds, tasks)
        self._over = self._over & ~mask
        if self._pictures:
            self._pictures.forget(chosen.tolist())
        return obs

    def _told(self, mask: Flags) -> dict[str, Any]:
        """Return the info of worlds that have just been reset."""
        tasks = np.full(self.num_envs, None, dtype=object)
        tasks[mask] = [self.tasks[w].to_json() for w in mask.nonzero()[0]]
        return {"task": tasks, "_task": mask}


def _mode(given: AutoresetMode | str) -> AutoresetMode:
    named = AutoresetMode.__members__.get(str(given))
    try:
        return named or AutoresetMode(given)
    except ValueError:
        raise ValueError(
            f"autoreset_mode is one of {', '.join(AutoresetMode.__members__)}, got "
            f"{given!r}"
        ) from None


def _mask(given: object, worlds: int) -> Flags:
    """Return the worlds to reset: all, or those of a mask, as Gymnasium checks it."""
    if given is None:
        return np.ones(worlds, dtype=np.bool_)
    if not isinstance(given, np.ndarray) or given.dtype != np.bool_:
        kind = given.dtype if isinstance(given, np.ndarray) else type(given).__name__
        raise TypeError(f"options['reset_mask'] is a NumPy array of bool, got {kind}")
    if given.shape != (worlds,) or not given.any():
        raise ValueError(
            f"options['reset_mask'] has shape ({worlds},) and at least one True, got "
            f"{given}"
        )
    return given.copy()


def _masked(found: dict[str, NDArray[Any]], mask: Flags) -> dict[str, Any]:
    """Return infos of the worlds of a mask, each key with its mask; none, if empty."""
    if not mask.any():
        return {}
    kept = {
        name: np.where(mask, value, 0).astype(value.dtype)
        for name, value in found.items()
    }
    return kept | {f"_{name}": mask for name in found}
