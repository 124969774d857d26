"""A multi-layer perceptron policy with a state-independent standard deviation."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from policies.gaussian import Gaussian


class Mlp(nn.Sequential):
    """Tanh layers with orthogonal weights and a linear last layer.

    Args:
        sizes: width of the input, each hidden layer, and the output.
        last_gain: gain of the last layer's weights.
        rng: where the weights are drawn from.
    """

    def __init__(
        self, sizes: Sequence[int], *, last_gain: float, rng: torch.Generator
    ) -> None:
        layers: list[nn.Module] = []
        for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            last = index == len(sizes) - 2
            linear = nn.Linear(fan_in, fan_out)
            gain = last_gain if last else math.sqrt(2)
            nn.init.orthogonal_(linear.weight, gain, generator=rng)
            nn.init.zeros_(linear.bias)
            layers += [linear] if last else [linear, nn.Tanh()]
        super().__init__(*layers)


class MlpPolicy(nn.Module):
    """Observation to Gaussian; keeps no memory.

    Args:
        obs_dim: observation features.
        action_dim: action components.
        hidden: widths of the hidden layers.
        initial_std: standard deviation of a fresh policy, in action units.
        min_std: floor under the standard deviation, in action units.
        rng: where the weights are drawn from.
    """

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        *,
        hidden: Sequence[int],
        initial_std: float,
        min_std: float,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.mean = Mlp([obs_dim, *hidden, action_dim], last_gain=0.01, rng=rng)
        self.log_std = nn.Parameter(torch.full((action_dim,), math.log(initial_std)))
        self.min_log_std = math.log(min_std)

    def forward(
        self, obs: Float[Tensor, "*batch obs"], memory: None = None
    ) -> tuple[Gaussian, None]:
        """The distribution over actions, and the memory after this step (none)."""
        log_std = self.log_std.clamp(min=self.min_log_std)
        return Gaussian(self.mean(obs), log_std), memory
