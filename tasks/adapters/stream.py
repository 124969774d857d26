"""Worlds that go on: whenever an episode ends, another task may follow."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasks.contract import Step, Worlds
from tasks.task import Task

W = TypeVar("W", bound=Worlds)


class TaskStream(Generic[W]):
    """Worlds, and the tasks and initial states that they are given one after another.

    Args:
        env: the worlds.
        split: where tasks are drawn from, of all worlds at first.
        seed: decides the tasks and the initial states.
    """

    def __init__(self, env: W, split: str, seed: int) -> None:
        self.env = env
        self.splits = [split] * env.worlds
        self.restart(seed)

    def restart(self, seed: int | Sequence[int]) -> None:
        """Begin another sequence of tasks and initial states; a reset must follow.

        Args:
            seed: one for all worlds, or one for each, which decide together.
        """
        if not isinstance(seed, int):
            seed = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
        self._rng = torch.Generator().manual_seed(seed)

    def parse(self, given: object) -> Task:
        """Return a task that is given as itself, or as its JSON.

        Raises:
            ValueError: for anything else.
        """
        if isinstance(given, Task | str):
            return given if isinstance(given, Task) else self.env.family.parse(given)
        raise ValueError(f"a task is a Task or its JSON, got {type(given).__name__}")

    def reset(
        self,
        worlds: Int[Tensor, "n"] | None = None,
        tasks: Mapping[int, object] | None = None,
    ) -> Float[Tensor, "world obs"]:
        """Begin an episode in some worlds (all by default).

        Args:
            worlds: their indices, ascending.
            tasks: the task of a world, as itself or as its JSON, by index; the other
                worlds draw new ones.

        Returns:
            The observations of all worlds.
        """
        chosen = list(range(self.env.worlds)) if worlds is None else worlds.tolist()
        given = {w: self.parse(task) for w, task in (tasks or {}).items()}
        given |= self._drawn([w for w in chosen if w not in given])
        self.env.assign([given[w] for w in chosen], worlds)
        return self.env.reset(self._rng, worlds)

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
        obs = self.reset(ended) if len(ended) else step.obs
        return step, obs, ended

    def _drawn(self, worlds: Sequence[int]) -> dict[int, Task]:
        if not worlds:
            return {}
        seed = int(torch.randint(2**62, (), generator=self._rng))
        drawn: dict[int, Task] = {}
        for split in dict.fromkeys(self.splits[w] for w in worlds):
            mine = [w for w in worlds if self.splits[w] == split]
            tasks = self.env.family.sample(split, seed, len(mine))
            drawn |= dict(zip(mine, tasks, strict=True))
        return drawn


def step_info(step: Step) -> dict[str, Tensor]:
    """Return what an info says of a step, one value a world: success, fault, terms."""
    terms = {f"term_{name}": term.double() for name, term in step.terms.items()}
    return {"is_success": step.success, "fault": step.fault} | terms


def batched(actions: object, *shape: int) -> Tensor:
    """Return an agent's actions as worlds take them.

    Raises:
        ValueError: for anything but numbers of that shape.
    """
    try:
        found = np.asarray(actions, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"actions are numbers of shape {shape}: {error}") from error
    if found.shape != shape:
        raise ValueError(f"actions have shape {shape} here, got {found.shape}")
    return torch.from_numpy(found)


def check_options(given: Mapping[str, Any], *known: str) -> None:
    """Raise ValueError for options of a reset that there are not."""
    _check_names("option", given, known)


def check_arguments(function: Callable[..., Any], unknown: Iterable[str]) -> None:
    """Raise ValueError for keywords that a function would else take into `unknown`."""
    kinds = inspect.signature(function).parameters.values()
    named = [p.name for p in kinds if p.kind is not p.VAR_KEYWORD and p.name != "self"]
    _check_names("argument", unknown, named)


def _check_names(what: str, given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"unknown {what} {name!r}; {hint}{what}s: {', '.join(known)}"
            )
