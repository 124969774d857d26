"""MAML-PPO with the published settings of ProMP, for reproducing its figures.

Rothfuss et al. 2019, "ProMP: Proximal Meta-Policy Search", arXiv 1810.06784, and its
public code: observations that are not scaled, one inner step of 0.1 on all episodes,
five steps of Adam at a constant 1e-3, and actions in a box of +-10 in which 10 is full
effort, so that a standard deviation of 1 is a tenth of it. Observations are clipped to
+-10 for the policy, too, which ProMP does for its baseline alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meta.experience.rollout import Experience
from meta.learner import Metrics, Sizes
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.theta import Theta
from policies.gaussian import Gaussian
from policies.mlp import MlpPolicy, PolicyCfg

BOX = 10.0
"""The policy's own action that is full effort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrompCfg(MamlCfg):
    """MAML-PPO's settings, with ProMP's defaults; it bounds no step of the meta-update.

    ProMP stops no epoch early and shortens no gradient: the two bounds are out of
    reach.
    """

    learn_rates: bool = False
    max_kl: float = 1e6
    max_grad_norm: float = 1e6


class BoxPolicy(MlpPolicy):
    """A Gaussian over actions in a box of +-10, returned in units of full effort.

    Weights are drawn as in ProMP's code (Glorot's uniform distribution).

    Args:
        obs_dim: observation features.
        action_dim: action components.
        cfg: sizes and spread, in the box's units.
        rng: where the weights are drawn from.
    """

    def __init__(
        self, obs_dim: int, action_dim: int, cfg: PolicyCfg, rng: torch.Generator
    ) -> None:
        super().__init__(obs_dim, action_dim, cfg, rng)
        for layer in self.mean:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=rng)

    def forward(self, obs: Float[Tensor, "*batch obs"]) -> Gaussian:
        """Return the distribution over actions."""
        log_std = self.log_std.clamp(min=self.min_log_std)
        return Gaussian(self.mean(obs) / BOX, log_std - math.log(BOX))


class Promp(Maml):
    """The learner; see the module. It has continuous actions only."""

    title: ClassVar[str] = "ProMP"
    settings: ClassVar[type[MamlCfg]] = PrompCfg

    @classmethod
    def build(
        cls, settings: MamlCfg, network: PolicyCfg, sizes: Sizes, rng: torch.Generator
    ) -> "Promp":
        """Make one; see `LearnerClass.build`.

        Raises:
            ValueError: for discrete actions.
        """
        if sizes.discrete:
            raise ValueError("ProMP's box of actions needs continuous actions")
        return cls(settings, BoxPolicy(sizes.obs, sizes.action, network, rng))

    def stage(self, progress: float) -> tuple["Promp", float]:
        """Itself, at a step size that does not fall."""
        return self, 1.0

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Meta-gradient steps; observations are never scaled."""
        metrics = super().update(theta, optimizer, experiences)
        for name in ("count", "mean", "square"):
            theta[f"moments/{name}"].zero_()
        return metrics
