"""A diagonal Gaussian as a value."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Gaussian(NamedTuple):
    """Independent normal distributions over the last axis."""

    mean: Float[Tensor, "*batch action"]
    log_std: Float[Tensor, "*batch action"]
    """Broadcasts against `mean`."""

    @property
    def mode(self) -> Float[Tensor, "*batch action"]:
        """The most probable action: the mean."""
        return self.mean

    @property
    def std(self) -> Float[Tensor, "*batch action"]:
        """Standard deviation of each component."""
        return self.log_std.exp()

    def whole(self) -> "Gaussian":
        """Return the same with a standard deviation for each mean."""
        return Gaussian(self.mean, self.log_std.expand_as(self.mean))

    def sample(self, rng: torch.Generator) -> Float[Tensor, "*batch action"]:
        """Draw one action for each mean."""
        noise = torch.randn(self.mean.shape, generator=rng, device=self.mean.device)
        return self.mean + self.log_std.exp() * noise

    def log_prob(
        self, action: Float[Tensor, "*batch action"]
    ) -> Float[Tensor, "*batch"]:
        """Log density, summed over the action's components."""
        scaled = (action - self.mean) * (-self.log_std).exp()
        return (-0.5 * scaled.square() - self.log_std - _HALF_LOG_TAU).sum(-1)

    def kl(self, other: "Gaussian") -> Float[Tensor, "*batch"]:
        """KL(self || other), summed over the action's components."""
        ratio = (2 * (self.log_std - other.log_std)).exp()
        shift = (self.mean - other.mean) * (-other.log_std).exp()
        return 0.5 * (ratio + shift.square() - 1 - ratio.log()).sum(-1)

    def noise(
        self, action: Float[Tensor, "*batch action"]
    ) -> Float[Tensor, "*batch action"]:
        """Return what chance added to the mean, in standard deviations."""
        return (action - self.mean) * (-self.log_std).exp()

    def shift(self, new: "Gaussian") -> Float[Tensor, "*batch action"]:
        """Return how far another's mean is from this one's, in standard deviations."""
        return (new.mean - self.mean) * (-self.log_std).exp()
