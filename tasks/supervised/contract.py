"""The contract of supervised task families: a support set and a query set per task."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor


class Examples(NamedTuple):
    """Labelled examples of several tasks."""

    x: Shaped[Tensor, "task example *features"]
    y: Shaped[Tensor, "task example *target"]
    """Numbers to regress on, or classes counted from 0 within the task."""


class Shots(NamedTuple):
    """The examples that tasks are adapted on, and those that they are measured on."""

    support: Examples
    query: Examples


class SupervisedFamily(ABC):
    """A distribution of supervised tasks.

    A family of your own is a subclass with a `name`, its `splits`, and `draw`.
    """

    name: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ("train", "held-out")
    """Names as in `tasks.parameters.SPLITS`: `held-out` draws new tasks from the same
    distribution, `unseen` makes them of what training never shows."""

    def sample(
        self,
        split: str,
        tasks: int,
        rng: torch.Generator,
        *,
        shots: int,
        queries: int,
    ) -> Shots:
        """Draw tasks, and examples of each.

        Args:
            split: which tasks; one of `splits`.
            tasks: number of tasks N, the first axis of what is returned.
            rng: where tasks and examples are drawn from, on the CPU.
            shots: support examples of a task; in classification, of each class.
            queries: query examples of a task; in classification, of each class.

        Raises:
            ValueError: for an unknown split, a count below 1, or more examples than
                there are.
        """
        if split not in self.splits:
            raise ValueError(
                f"unknown split {split!r} of {self.name}; splits: "
                f"{', '.join(self.splits)}"
            )
        if min(tasks, shots, queries) < 1:
            raise ValueError(
                f"need tasks, shots and queries >= 1, got {tasks}, {shots}, {queries}"
            )
        return self.draw(split, tasks, rng, shots=shots, queries=queries)

    @abstractmethod
    def draw(
        self,
        split: str,
        tasks: int,
        rng: torch.Generator,
        *,
        shots: int,
        queries: int,
    ) -> Shots:
        """Draw what `sample` was asked for, once it has been checked."""
