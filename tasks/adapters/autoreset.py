"""Worlds that go on: each begins another task whenever its episode ends."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.contract import Step, Worlds
from tasks.task import Task

W = TypeVar("W", bound=Worlds)


class AutoResetWorlds(Generic[W]):
    """A vectorised environment, as Gymnasium and Stable-Baselines3 understand it.

    Args:
        env: the worlds.
        split: where tasks are drawn from.
        seed: decides the tasks and the initial states.
    """

    def __init__(self, env: W, split: str, seed: int) -> None:
        self.env = env
        self.split = split
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin another sequence of tasks and initial states; a reset must follow."""
        self._rng = torch.Generator().manual_seed(seed)

    def reset(self, tasks: Sequence[Task] | None = None) -> Float[Tensor, "world obs"]:
        """Begin an episode in all worlds, of these tasks or of new ones."""
        self.env.assign(self._draw(self.env.worlds) if tasks is None else tasks)
        return self.env.reset(self._rng)

    def step(
        self, action: Float[Tensor, "world action"]
    ) -> tuple[Step, Float[Tensor, "world obs"], Int[Tensor, "ended"]]:
        """Take a step; worlds that ended are given a new task and reset.

        Returns:
            The step, with the last observations of episodes that ended; what to act on
            next; and the worlds that ended.
        """
        step = self.env.step(action)
        ended = (step.terminated | step.truncated).nonzero()[:, 0]
        obs = step.obs
        if len(ended):
            self.env.assign(self._draw(len(ended)), ended)
            obs = self.env.reset(self._rng, ended)
        return step, obs, ended

    def _draw(self, count: int) -> list[Task]:
        seed = int(torch.randint(2**62, (), generator=self._rng))
        return self.env.family.sample(self.split, seed, count)
