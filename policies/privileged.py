"""A policy that is told more than it will observe, through a latent."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from policies.gaussian import Gaussian
from policies.mlp import Mlp, MlpPolicy


class PrivilegedPolicy(nn.Module):
    """Observation and latent to Gaussian; the latent encodes what is privileged.

    Args:
        obs_dim: observation features, without the privileged ones.
        privileged_dim: privileged features; they follow the observation.
        action_dim: action components.
        latent: width of the latent; 0 takes the privileged features themselves.
        hidden: widths of the policy's hidden layers; the encoder has one, the last.
        initial_std: standard deviation of a fresh policy, in action units.
        min_std: floor under the standard deviation, in action units.
        rng: where the weights are drawn from.
    """

    def __init__(
        self,
        obs_dim: int,
        privileged_dim: int,
        action_dim: int,
        *,
        latent: int,
        hidden: Sequence[int],
        initial_std: float,
        min_std: float,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.obs_dim = obs_dim
        self.latent_dim = latent or privileged_dim
        sizes = [privileged_dim, hidden[-1], latent]
        self.encoder = Mlp(sizes, last_gain=1.0, rng=rng) if latent else nn.Identity()
        self.decide = MlpPolicy(
            obs_dim + self.latent_dim,
            action_dim,
            hidden=hidden,
            initial_std=initial_std,
            min_std=min_std,
            rng=rng,
        )

    def forward(
        self,
        obs: Float[Tensor, "*batch obs"],
        memory: None = None,
        latent: Float[Tensor, "*batch latent"] | None = None,
    ) -> tuple[Gaussian, None]:
        """The distribution over actions, and the memory after this step (none).

        Args:
            obs: ends with the privileged features, unless the latent is given.
            memory: none is kept.
            latent: takes the place of the privileged features' own.
        """
        if latent is None:
            latent = self.encode(obs)
        return self.decide(torch.cat([obs[..., : self.obs_dim], latent], dim=-1))

    def encode(self, obs: Float[Tensor, "*batch obs"]) -> Float[Tensor, "*batch k"]:
        """The latent of the privileged features at an observation's end."""
        latent = self.encoder(obs[..., self.obs_dim :])
        # bounded, so that a regression can be held to it
        return latent if isinstance(self.encoder, nn.Identity) else latent.tanh()
