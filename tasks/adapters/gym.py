"""Every family as an environment of Gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from tasks.adapters.pictures import MODES, Picture, make_pictures
from tasks.adapters.stream import (
    TaskStream,
    batched,
    check_arguments,
    check_options,
    step_info,
)
from tasks.contract import check_alone
from tasks.env import Env
from tasks.registry import FAMILIES, make_family
from tasks.task import Task

Floats = NDArray[np.float32]


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
        ValueError: for an unknown family, split, render mode or argument.
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
        **unknown: object,
    ) -> None:
        check_arguments(TaskEnv.__init__, unknown)
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
        if family in FAMILIES:
            check_alone(FAMILIES[family], "TaskEnv")
        self._stream = stream_of(family, split, 1, oracle=oracle)
        env = self._stream.env
        self._pictures = make_pictures(
            env, render_mode, width=width, height=height, camera=camera
        )
        self.metadata = self.metadata | {"render_fps": round(1 / env.sim.control_dt)}
        self.observation_space, self.action_space = spaces_of(env)

    @property
    def task(self) -> Task:
        """The task of the episode."""
        return self._stream.env.tasks[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Begin an episode; a seed decides its task and state, and all that follow.

        Raises:
            ValueError: for an unknown option, or a task of another family.
        """
        check_options(options or {}, "task")
        super().reset(seed=seed)
        self._stream.restart(int(self.np_random.integers(2**62)))
        given = (options or {}).get("task")
        obs = self._stream.reset(tasks=None if given is None else {0: given})
        self.close()
        return obs[0].numpy(), {"task": self.task.to_json()}

    def step(self, action: object) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Take one step; success, fault and the reward's terms are in the info.

        Raises:
            ValueError: for an action of another shape.
        """
        env = self._stream.env
        step = env.step(batched(action, env.action_dim)[None])
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


def stream_of(
    family: str, split: str, worlds: int, *, oracle: bool, threads: int = 1
) -> TaskStream[Env]:
    """Make the worlds of a family, and the tasks that they are given."""
    made = make_family(family)
    made.sample(split, 0, 1)  # refuses a split that it does not have
    env = Env(made, worlds=worlds, oracle=oracle, threads=threads)
    return TaskStream(env, split, 0)


def spaces_of(env: Env) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Return the spaces of one world's observations and actions."""
    return (
        gymnasium.spaces.Box(-np.inf, np.inf, (env.obs_dim,), np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (env.action_dim,), np.float32),
    )
