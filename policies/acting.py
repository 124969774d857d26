"""The two kinds of acting policy: a function of observations, or one with a memory."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from policies.distribution import Distribution


class Transition(NamedTuple):
    """Steps as a policy with a memory sees them."""

    obs: Float[Tensor, "*batch obs"]
    action: Float[Tensor, "*batch action"]
    reward: Float[Tensor, "*batch"]
    next_obs: Float[Tensor, "*batch obs"]
    valid: Float[Tensor, "*batch"]
    """1 where the step belongs to an episode, else 0."""


class RecurrentPolicy(NamedTuple):
    """A policy that remembers the episode it is in, and what was before."""

    memory: Float[Tensor, "task memory"]
    """Memory at the start, one row for equally many worlds."""
    policy: Callable[[Tensor, Tensor], Distribution]
    """Maps observations and memories to the distribution over each world's actions."""
    watch: Callable[[Tensor, Transition], Tensor]
    """Returns the memories after a step."""

    def __call__(self, obs: Float[Tensor, "world obs"]) -> Distribution:
        """Return the distributions over the first actions of an episode."""
        return self.policy(obs, self.start(len(obs)))

    def start(self, worlds: int) -> Float[Tensor, "world memory"]:
        """Return the memory that each world starts with."""
        return self.memory.repeat_interleave(worlds // len(self.memory), dim=0)


Act = Callable[[Float[Tensor, "world obs"]], Distribution] | RecurrentPolicy
"""Maps observations to the distribution over each world's actions."""


def with_memory(act: Act) -> RecurrentPolicy:
    """Return a policy with a memory: itself, or one that remembers nothing."""
    if isinstance(act, RecurrentPolicy):
        return act

    def policy(obs: Tensor, memory: Tensor) -> Distribution:
        return act(obs)

    def watch(memory: Tensor, step: Transition) -> Tensor:
        return memory

    return RecurrentPolicy(memory=torch.empty(1, 0), policy=policy, watch=watch)
