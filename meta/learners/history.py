"""Summaries of a history of steps, from which adapters infer.

A memory is a row of sums. Each step adds to the open episode's, whole episodes may then
be folded into it, and any order of the steps of an episode, and of episodes, leaves the
same one. Its last number counts the steps, as that of a step's own sums does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import hardtanh

from meta.theta import Params
from policies.mlp import Mlp

Weights = Callable[[str], Params]
"""Parameters by the name of the part."""
Weighed = tuple[Float[Tensor, "*batch half"], Float[Tensor, "*batch half"]]
"""Features times their weights, and the weights."""
_STEEPEST = 7.0
"""Bound on the logarithm of a weight: one step outweighs at most a million others."""


class History(ABC):
    """The modules that summarise a history, and what its memory is.

    They take their parameters from outside, by the names of `parts`.
    """

    width: int
    """Numbers of a memory."""
    opened: int
    """Numbers of it, the first, that are the open episode's sums."""
    summary: Mlp
    head: Mlp

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules by name."""
        return {"summary": self.summary, "head": self.head}

    @abstractmethod
    def step(
        self,
        weights: Weights,
        x: Float[Tensor, "*batch feature"],
        valid: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch open"]:
        """Return what steps of these features add to the sums of their episode.

        Args:
            weights: parameters of the parts.
            x: the features.
            valid: 1 where the step counts, else 0: it then adds nothing.
        """

    @abstractmethod
    def add(
        self,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"],
    ) -> Float[Tensor, "*#batch memory"]:
        """Return memories whose open episode has had more steps, given their sums."""

    @abstractmethod
    def episodes(
        self,
        weights: Weights,
        memory: Float[Tensor, "task memory"],
        lived: Float[Tensor, "task episode open"],
    ) -> Float[Tensor, "task memory"]:
        """Fold whole episodes, as sums of what their steps add, into a memory."""

    @abstractmethod
    def infer(
        self,
        weights: Weights,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"] | None = None,
    ) -> Float[Tensor, "*#batch inferred"]:
        """Return what the head says of a memory.

        Args:
            weights: parameters of the parts.
            memory: it; broadcasts against the steps.
            steps: sums of the open episode, which the memory then has none of.
        """

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
        self.opened = self.width = hidden + 1
        self.summary = Mlp([features, hidden, hidden], last_gain=1.0, rng=rng)
        self.head = Mlp([hidden + 1, hidden, inferred], last_gain=0.1, rng=rng)

    def step(
        self,
        weights: Weights,
        x: Float[Tensor, "*batch feature"],
        valid: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch open"]:
        """Return the features of steps, and a 1 for each."""
        found = functional_call(self.summary, weights("summary"), (x,)).tanh()
        counts = valid[..., None]
        return torch.cat([found * counts, counts], dim=-1)

    def add(
        self,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"],
    ) -> Float[Tensor, "*#batch memory"]:
        """Add them."""
        return memory + steps

    def episodes(
        self,
        weights: Weights,
        memory: Float[Tensor, "task memory"],
        lived: Float[Tensor, "task episode open"],
    ) -> Float[Tensor, "task memory"]:
        """Add them."""
        return memory + lived.sum(1)

    def infer(
        self,
        weights: Weights,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"] | None = None,
    ) -> Float[Tensor, "*#batch inferred"]:
        """Return what the head says of the mean and the number of steps."""
        memory = memory if steps is None else memory + steps
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
        self.opened, self.width = 2 * hidden + 1, 4 * hidden + 2
        self.summary = Mlp([features, hidden, 2 * hidden], last_gain=1.0, rng=rng)
        self.head = Mlp([hidden + 1, hidden, inferred], last_gain=0.1, rng=rng)
        self.episode = Mlp([hidden + 1, hidden, 2 * hidden], last_gain=1.0, rng=rng)

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules by name."""
        return super().parts() | {"episode": self.episode}

    def step(
        self,
        weights: Weights,
        x: Float[Tensor, "*batch feature"],
        valid: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch open"]:
        """Return weighed features, weights, and a 1 for each step."""
        said = functional_call(self.summary, weights("summary"), (x,))
        counts = valid[..., None]
        return torch.cat([*weighed(said, counts), counts], dim=-1)

    def add(
        self,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"],
    ) -> Float[Tensor, "*#batch memory"]:
        """Add them to the open episode, and their number to that of all."""
        opened = memory[..., : self.opened] + steps
        closed = memory[..., self.opened : -1].expand(*opened.shape[:-1], -1)
        count = memory[..., -1:] + steps[..., -1:]
        return torch.cat([opened, closed, count], dim=-1)

    def episodes(
        self,
        weights: Weights,
        memory: Float[Tensor, "task memory"],
        lived: Float[Tensor, "task episode open"],
    ) -> Float[Tensor, "task memory"]:
        """Close them: what the episodes say, weighed, is added to that of others."""
        said = torch.cat(self._episode(weights, lived), dim=-1).sum(1)
        none = torch.zeros_like(memory[..., : self.opened])
        steps = lived[..., -1:].sum(1)
        return memory + torch.cat([none, said, steps], dim=-1)

    def infer(
        self,
        weights: Weights,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"] | None = None,
    ) -> Float[Tensor, "*#batch inferred"]:
        """Return what the head says of all episodes, the open one too."""
        opened, count = memory[..., : self.opened], memory[..., -1:]
        if steps is not None:
            opened, count = steps, count + steps[..., -1:]
        now = self._episode(weights, opened)
        before = memory[..., self.opened : -1].chunk(2, dim=-1)
        mean = mean_of(before[0] + now[0], before[1] + now[1], count)
        return self._said(weights, mean, count)

    def _episode(self, weights: Weights, sums: Float[Tensor, "*batch open"]) -> Weighed:
        """Return what episodes say, weighed; nothing of one without steps."""
        half = self.opened // 2
        products, weight, count = sums.split((half, half, 1), dim=-1)
        x = torch.cat([mean_of(products, weight, count), 0.2 * count.log1p()], dim=-1)
        said = functional_call(self.episode, weights("episode"), (x,))
        return weighed(said, (count > 0).to(said.dtype))


def weighed(
    x: Float[Tensor, "*batch two"], counts: Float[Tensor, "*batch 1"]
) -> Weighed:
    """Return features times weights, and the weights; 0 of what does not count.

    Args:
        x: features before their tanh, and as many logarithms of weights.
        counts: 1 where it counts, else 0.
    """
    found, weight = x.chunk(2, dim=-1)
    # as clamp, whose derivative is several times slower
    weight = hardtanh(weight, -_STEEPEST, _STEEPEST).exp() * counts
    return found.tanh() * weight, weight


def mean_of(
    products: Float[Tensor, "*batch half"],
    weight: Float[Tensor, "*batch half"],
    count: Float[Tensor, "*batch 1"],
) -> Float[Tensor, "*batch half"]:
    """Return a weighed mean, 0 of none.

    Args:
        products: sums of features times their weights.
        weight: sums of the weights.
        count: number of what was summed.
    """
    return products / (weight + (count == 0))
