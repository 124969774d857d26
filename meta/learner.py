"""What the training loop, the evaluation and deployment ask of a learner."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from meta.experience.rollout import Act, Experience
from meta.theta import Params, Theta

Metrics = dict[str, float]


@runtime_checkable
class Learner(Protocol):
    """What adapts, and learns to.

    It keeps no state: all that is learned is in theta, and what it has worked out about
    its current tasks in the adaptation.
    """

    @property
    def inner_steps(self) -> int:
        """How often an iteration adapts; 0: it never does."""
        ...

    def stage(self, progress: float) -> tuple["Learner", float]:
        """Who takes the iteration at a share of all, and how much of it is left."""
        ...

    def initial(self, obs_dim: int) -> Theta:
        """Untrained parameters and fresh statistics."""
        ...

    def trained(self, theta: Theta) -> list[Tensor]:
        """The tensors that the optimiser changes, as leaves that require gradients."""
        ...

    def begin(self, theta: Theta, tasks: int) -> Params:
        """The adaptation before any experience, per task."""
        ...

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """How the adapted policies act, worlds grouped by task."""
        ...

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """What the experience makes of the adaptation that collected it."""
        ...

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Learn from one experience per inner step and one to measure, in place."""
        ...
