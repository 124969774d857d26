"""A multi-layer perceptron policy with a state-independent standard deviation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from policies.categorical import Categorical
from policies.distribution import Distribution
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCfg:
    """Sizes and spread of a policy."""

    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers."""
    initial_std: float = 0.5
    """Standard deviation of a fresh policy, in action units."""
    min_std: float = 0.1
    """Floor under the standard deviation, in action units."""


class MlpPolicy(nn.Module):
    """Observation to Gaussian, or to a categorical over choices.

    Args:
        obs_dim: observation features.
        action_dim: action components, or choices.
        cfg: sizes and spread.
        rng: where the weights are drawn from.
        discrete: whether an action is one of `action_dim` choices, whose logits then
            take the place of the mean; the spread is not used.
    """

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        cfg: PolicyCfg,
        rng: torch.Generator,
        *,
        discrete: bool = False,
    ) -> None:
        super().__init__()
        self.mean = Mlp([obs_dim, *cfg.hidden, action_dim], last_gain=0.01, rng=rng)
        self.discrete = discrete
        if discrete:
            return
        spread = torch.full((action_dim,), math.log(cfg.initial_std))
        self.log_std = nn.Parameter(spread)
        self.min_log_std = math.log(cfg.min_std)

    def forward(self, obs: Float[Tensor, "*batch obs"]) -> Distribution:
        """Return the distribution over actions."""
        if self.discrete:
            return Categorical(self.mean(obs))
        log_std = self.log_std.clamp(min=self.min_log_std)
        return Gaussian(self.mean(obs), log_std)
