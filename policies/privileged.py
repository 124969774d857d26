"""A policy that is told more than it will observe, through a latent."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from policies.distribution import Distribution
from policies.mlp import Mlp, MlpPolicy, PolicyCfg


class PrivilegedPolicy(nn.Module):
    """Observation and latent to action; the latent encodes what is privileged.

    Args:
        obs_dim: observation features, without the privileged ones.
        privileged_dim: privileged features; they follow the observation.
        action_dim: action components, or choices.
        cfg: sizes and spread; the encoder has one hidden layer, the policy's last.
        latent: width of the latent; 0 takes the privileged features themselves.
        rng: where the weights are drawn from.
        discrete: whether an action is one of `action_dim` choices.
    """

    def __init__(
        self,
        obs_dim: int,
        privileged_dim: int,
        action_dim: int,
        cfg: PolicyCfg,
        *,
        latent: int,
        rng: torch.Generator,
        discrete: bool = False,
    ) -> None:
        super().__init__()
        self.obs_dim = obs_dim
        self.latent_dim = latent or privileged_dim
        sizes = [privileged_dim, cfg.hidden[-1], latent]
        self.encoder = Mlp(sizes, last_gain=1.0, rng=rng) if latent else nn.Identity()
        self.decide = MlpPolicy(
            obs_dim + self.latent_dim, action_dim, cfg, rng, discrete=discrete
        )

    def forward(
        self,
        obs: Float[Tensor, "*batch obs"],
        latent: Float[Tensor, "*batch latent"] | None = None,
    ) -> Distribution:
        """Return the distribution over actions.

        Args:
            obs: ends with the privileged features, unless the latent is given.
            latent: takes the place of the privileged features' own.
        """
        if latent is None:
            latent = self.encode(obs)
        return self.decide(torch.cat([obs[..., : self.obs_dim], latent], dim=-1))

    def encode(self, obs: Float[Tensor, "*batch obs"]) -> Float[Tensor, "*batch k"]:
        """Return the latent of the privileged features at an observation's end."""
        latent = self.encoder(obs[..., self.obs_dim :])
        # bounded, so that a regression can be held to it
        return latent if isinstance(self.encoder, nn.Identity) else latent.tanh()
