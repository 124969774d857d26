"""The learned inner advantage: what weighs each step when a policy adapts.

NoRML (Yang et al. 2019, arXiv 1903.01063) lets a network A(s, a, s') take the place of
the advantage in the inner step, so that the step reads the dynamics and not the reward
alone. Two things are added for adaptation from very few episodes:

* the network also sees a summary of all the experience it adapts on, a mean over steps
  of learned features (Zaheer et al. 2017, arXiv 1703.06114), so that what a late step
  revealed can weigh an early one, and any number of episodes will do. The mean is plain
  or, as that of an adapter (`history.WeighedMeans`), weighed by what steps say, within
  episodes first, so that the one step that tells is heard among many that do not;
* beside a weight w_0 it gives a direction w in which to push the mean action. A weight
  advantage + w_0 + w . e with the exploration noise e = (a - mean) / std would do the
  same: its inner gradient has the expectation w grad(mean) / std over the noise. The
  expectation is taken in closed form here, so that one episode's noise does not decide.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience.batch import Batch
from meta.learners.history import mean_of, weighed
from meta.theta import Theta, group
from policies.mlp import Mlp


class Weights(NamedTuple):
    """The weight of each step of one task in the inner step."""

    advantage: Float[Tensor, "episode time"]
    """Weighs the likelihood ratio."""
    push: Float[Tensor, "episode time action"]
    """Moves the mean action, in standard deviations."""


class LearnedAdvantage(nn.Module):
    """Weights of one task's steps.

    Args:
        features: width of a step's features, without action, noise and advantage.
        action_dim: action components.
        hidden: width of both hidden layers and of the summary.
        rng: where the weights are drawn from.
        weighed: summarise by weighed means, instead of a plain one.
    """

    def __init__(
        self,
        features: int,
        action_dim: int,
        *,
        hidden: int,
        rng: torch.Generator,
        weighed: bool = False,
    ) -> None:
        super().__init__()
        width = features + 2 * action_dim + 1
        said = 2 * hidden if weighed else hidden
        self.summary = Mlp([width, hidden, said], last_gain=1.0, rng=rng)
        self.episode = None
        if weighed:
            self.episode = Mlp([hidden + 1, hidden, said], last_gain=1.0, rng=rng)
        self.head = Mlp(
            [width + hidden, hidden, hidden, 1 + action_dim], last_gain=0.1, rng=rng
        )

    def forward(
        self,
        features: Float[Tensor, "episode time features"],
        action: Float[Tensor, "episode time action"],
        noise: Float[Tensor, "episode time action"],
        advantage: Float[Tensor, "episode time"],
        valid: Float[Tensor, "episode time"],
    ) -> Weights:
        """The weights of each step; invalid steps change nothing."""
        x = torch.cat([features, action, noise, advantage[..., None]], dim=-1)
        shared = self._summary(x, valid).expand(*x.shape[:-1], -1)
        out = self.head(torch.cat([x, shared], dim=-1))
        return Weights(advantage + out[..., 0], out[..., 1:])

    def _summary(
        self,
        x: Float[Tensor, "episode time read"],
        valid: Float[Tensor, "episode time"],
    ) -> Float[Tensor, "hidden"]:
        """Summarise all steps, each known by what the head reads of it."""
        said = self.summary(x)
        if self.episode is None:
            share = valid[..., None] / valid.sum().clamp(min=1)
            return (said.tanh() * share).sum((0, 1))
        count = valid.sum(1)[:, None]
        products, weight = weighed(said, valid[..., None])
        episodes = mean_of(products.sum(1), weight.sum(1), count)
        said = self.episode(torch.cat([episodes, 0.2 * count.log1p()], dim=-1))
        products, weight = weighed(said, (count > 0).to(said.dtype))
        return mean_of(products.sum(0), weight.sum(0), count.sum(0))


def inner_weights(advantage: nn.Module | None, theta: Theta, batch: Batch) -> Weights:
    """Return the weights of one task's steps: estimated advantages, or learned ones.

    Args:
        advantage: a `LearnedAdvantage`, if the inner advantage is learned.
        theta: holds its parameters.
        batch: one task's experience.
    """
    if advantage is None:
        return Weights(batch.advantage, torch.zeros_like(batch.action))
    return functional_call(
        advantage,
        group(theta, "advantage"),
        (
            torch.cat([batch.obs, batch.change], dim=-1),
            batch.action,
            batch.old.noise(batch.action),
            batch.advantage,
            batch.valid,
        ),
    )
