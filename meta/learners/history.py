"""Summaries of a history of steps, from which adapters infer.

A memory is a row of sums. Each step adds to it, whole episodes may then be folded into
it, and any order of the steps of an episode, and of episodes, leaves the same one. Its
last number counts the steps.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from meta.theta import Params
from policies.mlp import Mlp

Weights = Callable[[str], Params]
"""Parameters by the name of the part."""
_STEEPEST = 7.0
"""Bound on the logarithm of a weight: one step outweighs at most a million others."""


class History(ABC):
    """The modules that summarise a history, and what its memory is.

    They take their parameters from outside, by the names of `parts`.
    """

    width: int
    """Numbers of a memory."""
    summary: Mlp
    head: Mlp

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules by name."""
        return {"summary": self.summary, "head": self.head}

    @abstractmethod
    def step(
        self, weights: Weights, x: Float[Tensor, "*batch feature"]
    ) -> Float[Tensor, "*batch memory"]:
        """Return what steps of these features add to a memory."""

    @abstractmethod
    def episodes(
        self,
        weights: Weights,
        memory: Float[Tensor, "task memory"],
        lived: Float[Tensor, "task episode memory"],
    ) -> Float[Tensor, "task memory"]:
        """Fold whole episodes, as sums of what their steps add, into a memory."""

    @abstractmethod
    def infer(
        self, weights: Weights, memory: Float[Tensor, "*batch memory"]
    ) -> Float[Tensor, "*batch inferred"]:
        """Return what the head says of a memory."""

    def _said(
        self,
        weights: Weights,
        summary: Float[Tensor, "*batch hidden"],
        count: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch inferred"]:
        x = torch.cat([summary, 0.2 * count.log1p()], dim=-1)
        return functional_call(self.head, weights("head"), (x,))


class PlainMean(History):
    """A mean over all steps of learned features (Zaheer et al. 2017, arXiv 1703.06114).

    Args:
        features: of a step.
        hidden: width of the summary and of the hidden layers.
        inferred: width of what is inferred.
        rng: where the weights are drawn from.
    """

    def __init__(
        self, features: int, hidden: int, inferred: int, rng: torch.Generator
    ) -> None:
        self.width = hidden + 1
        self.summary = Mlp([features, hidden, hidden], last_gain=1.0, rng=rng)
        self.head = Mlp([hidden + 1, hidden, inferred], last_gain=0.1, rng=rng)

    def step(
        self, weights: Weights, x: Float[Tensor, "*batch feature"]
    ) -> Float[Tensor, "*batch memory"]:
        """Return the features of steps, and a 1 for each."""
        found = functional_call(self.summary, weights("summary"), (x,)).tanh()
        return torch.cat([found, torch.ones_like(found[..., :1])], dim=-1)

    def episodes(
        self,
        weights: Weights,
        memory: Float[Tensor, "task memory"],
        lived: Float[Tensor, "task episode memory"],
    ) -> Float[Tensor, "task memory"]:
        """Add them."""
        return memory + lived.sum(1)

    def infer(
        self, weights: Weights, memory: Float[Tensor, "*batch memory"]
    ) -> Float[Tensor, "*batch inferred"]:
        """Return what the head says of the mean and the number of steps."""
        count = memory[..., -1:]
        return self._said(weights, memory[..., :-1] / count.clamp(min=1), count)


class WeighedMeans(History):
    """A weighed mean over episodes of weighed means over their steps.

    Each feature of a step comes with a weight of its own, both functions of the step: a
    step that tells is heard among many that do not. What an episode's mean says, as a
    whole, is weighed against other episodes in the same way, so that what was done in
    an episode stays with what came of it.

    A memory holds weighed sums, weights and number of the open episode's steps, weighed
    sums and weights of the closed episodes, and the number of all steps.

    Args:
        features: of a step.
        hidden: width of the summaries and of the hidden layers.
        inferred: width of what is inferred.
        rng: where the weights are drawn from.
    """

    def __init__(
        self, features: int, hidden: int, inferred: int, rng: torch.Generator
    ) -> None:
        self.hidden, self.width = hidden, 4 * hidden + 2
        self.summary = Mlp([features, hidden, 2 * hidden], last_gain=1.0, rng=rng)
        self.head = Mlp([hidden + 1, hidden, inferred], last_gain=0.1, rng=rng)
        self.episode = Mlp([hidden + 1, hidden, 2 * hidden], last_gain=1.0, rng=rng)

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules by name."""
        return super().parts() | {"episode": self.episode}

    def step(
        self, weights: Weights, x: Float[Tensor, "*batch feature"]
    ) -> Float[Tensor, "*batch memory"]:
        """Return weighed features and weights of steps of an open episode."""
        own = _weighed(functional_call(self.summary, weights("summary"), (x,)))
        one = torch.ones_like(own[..., :1])
        closed = one.new_zeros(*one.shape[:-1], 2 * self.hidden)
        return torch.cat([own, one, closed, one], dim=-1)

    def episodes(
        self,
        weights: Weights,
        memory: Float[Tensor, "task memory"],
        lived: Float[Tensor, "task episode memory"],
    ) -> Float[Tensor, "task memory"]:
        """Close them: what the episodes say, weighed, is added to that of others."""
        opened = 2 * self.hidden + 1
        said = self._episode(weights, lived[..., :opened]).sum(1)
        none = torch.zeros_like(memory[..., :opened])
        steps = lived[..., -1:].sum(1)
        return memory + torch.cat([none, said, steps], dim=-1)

    def infer(
        self, weights: Weights, memory: Float[Tensor, "*batch memory"]
    ) -> Float[Tensor, "*batch inferred"]:
        """Return what the head says of all episodes, the open one too."""
        opened = 2 * self.hidden + 1
        now = self._episode(weights, memory[..., :opened])
        mean = _mean(memory[..., opened:-1] + now)
        return self._said(weights, mean, memory[..., -1:])

    def _episode(
        self, weights: Weights, sums: Float[Tensor, "*batch opened"]
    ) -> Float[Tensor, "*batch closed"]:
        """Return what episodes say, weighed; nothing of one without steps."""
        count = sums[..., -1:]
        x = torch.cat([_mean(sums[..., :-1]), 0.2 * count.log1p()], dim=-1)
        said = functional_call(self.episode, weights("episode"), (x,))
        return _weighed(said) * (count > 0)


def _weighed(x: Float[Tensor, "*batch two"]) -> Float[Tensor, "*batch two"]:
    """Return features times weights, then the weights."""
    found, weight = x.chunk(2, dim=-1)
    weight = weight.clamp(-_STEEPEST, _STEEPEST).exp()
    return torch.cat([found.tanh() * weight, weight], dim=-1)


def _mean(sums: Float[Tensor, "*batch two"]) -> Float[Tensor, "*batch one"]:
    """Return weighed sums by their weights; 0 without any."""
    weighed, weight = sums.chunk(2, dim=-1)
    return weighed / weight.clamp(min=1e-6)
