"""A categorical distribution as a value, whose draws are one-hot."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot


class Categorical(NamedTuple):
    """A choice among the last axis, with the interface of `Gaussian`."""

    logits: Float[Tensor, "*batch action"]
    """Logarithms of the probabilities, up to a constant."""

    @property
    def mean(self) -> Float[Tensor, "*batch action"]:
        """Mean of the one-hot draws: the probabilities."""
        return self.logits.softmax(-1)

    @property
    def mode(self) -> Float[Tensor, "*batch action"]:
        """The most probable choice, one-hot."""
        return one_hot(self.logits.argmax(-1), self.logits.shape[-1]).to(self.logits)

    @property
    def std(self) -> Float[Tensor, "*batch action"]:
        """Standard deviation of each component of the one-hot draws."""
        return (self.mean * (1 - self.mean)).clamp(min=0).sqrt()

    def whole(self) -> "Categorical":
        """Return itself, whose parts have the batch's shape already."""
        return self

    def sample(self, rng: torch.Generator) -> Float[Tensor, "*batch action"]:
        """Draw one choice for each row of logits."""
        rows = self.mean.flatten(0, -2)
        drawn = torch.multinomial(rows, 1, generator=rng)[:, 0]
        return one_hot(drawn, rows.shape[-1]).to(rows).reshape(self.logits.shape)

    def log_prob(
        self, action: Float[Tensor, "*batch action"]
    ) -> Float[Tensor, "*batch"]:
        """Log probability of one-hot choices."""
        return (action * self.logits.log_softmax(-1)).sum(-1)

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Entropy [nats]."""
        return -(self.mean * self.logits.log_softmax(-1)).sum(-1)

    def kl(self, other: "Categorical") -> Float[Tensor, "*batch"]:
        """KL(self || other)."""
        ratio = self.logits.log_softmax(-1) - other.logits.log_softmax(-1)
        return (self.mean * ratio).sum(-1)

    def noise(
        self, action: Float[Tensor, "*batch action"]
    ) -> Float[Tensor, "*batch action"]:
        """Return what chance added to the probabilities; its mean is 0."""
        return action - self.mean

    def shift(self, new: "Categorical") -> Float[Tensor, "*batch action"]:
        """Return how far another's probabilities are from these."""
        return new.mean - self.mean
