"""Every family as an environment of Gymnasium, of one world or of many."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils import EzPickle
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from tasks.adapters.pictures import MODES, Picture, make_pictures
from tasks.adapters.stream import TaskStream, step_info
from tasks.env import Env
from tasks.registry import make_family
from tasks.task import Task

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Numbers = NDArray[Any]


class TaskEnv(gymnasium.Env[Any, Any], EzPickle):
    """One world. Each reset draws a new task, unless it is given one.

    `reset(options={"task": task})` takes a `Task` or its JSON. A pickle holds the
    arguments, and not the episode that is under way.

    Args:
        family: name of the family.
        split: where tasks are drawn from.
        oracle: whether observations end with the hidden parameters.
        render_mode: `rgb_array`, or none.
        width: of a picture [pixels].
        height: of a picture [pixels].
        camera: name of a camera of the scene; by default the one that sees most.

    Raises:
        ValueError: for an unknown family, split or render mode.
    """

    # as Gymnasium wants it
    metadata: dict[str, Any] = {"render_modes": list(MODES), "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        family: str,
        *,
        split: str = "train",
        oracle: bool = False,
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
    ) -> None:
        EzPickle.__init__(
            self,
            family,
            split=split,
            oracle=oracle,
            render_mode=render_mode,
            width=width,
            height=height,
            camera=camera,
        )
        self.render_mode = render_mode
        self._stream = _stream(family, split, 1, oracle=oracle)
        env = self._stream.env
        self._pictures = make_pictures(
            env, render_mode, width=width, height=height, camera=camera
        )
        self.metadata = self.metadata | {"render_fps": round(1 / env.sim.control_dt)}
        self.observation_space, self.action_space = _spaces(env)

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
        obs = self._stream.reset(tasks=None if given is None else {0: given})
        self.close()
        return obs[0].numpy(), {"task": self.task.to_json()}

    def step(self, action: Numbers) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Take one step; success, fault and the reward's terms are in the info."""
        step = self._stream.env.step(_batch(np.asarray(action)[None]))
        return (
            step.obs[0].numpy(),
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0] & ~step.terminated[0]),
            {name: value[0].item() for name, value in step_info(step).items()},
        )

    def render(self) -> Picture | None:
        """Draw the world, if the render mode is `rgb_array`."""
        return self._pictures.draw([0])[0] if self._pictures else None

    def close(self) -> None:
        """Give the renderer's memory back."""
        if self._pictures:
            self._pictures.close()


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
        ValueError: for an unknown family, split or mode.
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
    ) -> None:
        self.num_envs = num_envs
        self.autoreset_mode = _mode(autoreset_mode)
        self.render_mode = render_mode
        self._stream = _stream(family, split, num_envs, oracle=oracle, threads=threads)
        env = self._stream.env
        self._pictures = make_pictures(
            env, render_mode, width=width, height=height, camera=camera
        )
        self.metadata = {
            "render_modes": list(MODES),
            "render_fps": round(1 / env.sim.control_dt),
            "autoreset_mode": self.autoreset_mode,
        }
        single = _spaces(env)
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
            ValueError, TypeError: for a mask that is no array of `num_envs` booleans,
                or another number of tasks or seeds than worlds.
        """
        options = options or {}
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
        self, actions: Numbers
    ) -> tuple[Floats, Floats, Flags, Flags, dict[str, Any]]:
        """Take one step in every world.

        Raises:
            ResetNeeded: in autoreset mode DISABLED, if a world has ended.
        """
        mode, renewed = self.autoreset_mode, self._over
        if mode is AutoresetMode.DISABLED and renewed.any():
            raise ResetNeeded(
                f"worlds {renewed.nonzero()[0].tolist()} have ended: reset them with "
                "options={'reset_mask': mask}, or choose another autoreset_mode"
            )
        step = self._stream.env.step(_batch(actions))
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

    def _begin(self, mask: Flags, tasks: dict[int, Task | str] | None = None) -> Tensor:
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


def _stream(
    family: str, split: str, worlds: int, *, oracle: bool, threads: int = 1
) -> TaskStream[Env]:
    made = make_family(family)
    made.sample(split, 0, 1)  # refuses a split that it does not have
    env = Env(made, worlds=worlds, oracle=oracle, threads=threads)
    return TaskStream(env, split, 0)


def _spaces(env: Env) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    return (
        gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_dim,), np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (env.action_dim,), np.float32),
    )


def _batch(actions: object) -> Tensor:
    return torch.from_numpy(np.asarray(actions, dtype=np.float32))


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
