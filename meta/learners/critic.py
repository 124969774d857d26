"""A critic: what a state is worth, by a network that learns over all iterations.

A baseline that is fitted to each task's own few episodes explains away what their
actions earned: it often has more weights than episodes. Advantages shrink where these
are few, noise remains, and the spread of the actions falls before they are good. A
network that has learned from earlier iterations has seen none of the actions that it
judges; beside it each task has a square of time of its own, of three weights. It serves
training alone; a policy that adapts does not read it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from meta.experience import returns
from meta.experience.batch import Values, critic_reads
from meta.experience.moments import fresh_moments, update_moments
from meta.experience.rollout import Experience
from meta.learner import Sizes
from meta.learners.maml_cfg import MamlCfg
from meta.learners.ppo import descend
from meta.machine.distributed import averaged
from meta.objectives.policy_gradient import mean_valid
from meta.theta import Theta, group, module_params, prefixed
from policies.mlp import Mlp, PolicyCfg

CRITIC = "critic"
"""Group of the network's parameters in theta."""
_WORTH = "worth"
"""Group of the moments of returns, which scale what the network says."""
_PASSES, _PARTS = 4, 8
"""Passes over an iteration's experience, and steps of Adam in each. Of 20 steps in ten
passes the network is worse on the next iteration's."""


class Critic:
    """The network, and how it is scaled and fitted.

    Args:
        cfg: discount, what it reads, and the bound on its gradient.
        network: reads what `critic_reads` returns.
    """

    def __init__(self, cfg: MamlCfg, network: Mlp) -> None:
        self.cfg, self.network = cfg, network

    @classmethod
    def build(
        cls,
        cfg: MamlCfg,
        read: int,
        network: PolicyCfg,
        sizes: Sizes,
        rng: torch.Generator,
    ) -> "Critic | None":
        """Make one, if the settings ask for it.

        Args:
            cfg: the settings.
            read: features of a batch's observations.
            network: widths of the hidden layers.
            sizes: tells of the other agents, whose observations a central one reads.
            rng: where the weights are drawn from.
        """
        if cfg.outer_baseline != "network":
            return None
        others = max(0, len(sizes.roles) - 1) if cfg.critic == "all" else 0
        # ... and the time
        width = read + others * (sizes.obs + sizes.hidden) + 1
        return cls(cfg, Mlp([width, *network.hidden, 1], last_gain=0.1, rng=rng))

    def initial(self) -> Theta:
        """Return untrained parameters, and fresh moments of returns."""
        return prefixed(CRITIC, module_params(self.network)) | fresh_moments(1, _WORTH)

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return its parameters, as leaves with gradients."""
        own = [k for k in theta if k.startswith(f"{CRITIC}/")]
        return [theta[k].requires_grad_() for k in own]

    def values(self, theta: Theta) -> Values:
        """Return what it says now, in units of returns; 0 before any were seen."""
        mean, spread = _scale(theta)

        def value(read: Tensor) -> Tensor:
            with torch.no_grad():
                return self._says(theta, read) * spread + mean

        return value

    def fit(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        lived: Sequence[tuple[Float[Tensor, "task _ _ obs"], Experience]],
    ) -> float:
        """Learn what the steps of an iteration were worth.

        Args:
            theta: all that is learned, which changes in place.
            optimizer: takes the steps.
            lived: observations as a batch has them, and the experience they are of.

        Returns:
            Mean squared error before, as a share of the returns' variance so far.
        """
        central = self.cfg.critic == "all"
        reads = [critic_reads(obs, e, central=central) for obs, e in lived]
        worth = [
            returns.discounted(e.reward, e.valid, self.cfg.discount) for _, e in lived
        ]
        read, target = (
            torch.cat([x.flatten(0, 1) for x in xs]) for xs in (reads, worth)
        )
        valid = torch.cat([e.valid.flatten(0, 1) for _, e in lived])
        update_moments(theta, target[valid > 0][:, None], _WORTH)
        mean, spread = _scale(theta)
        target = (target - mean) / spread
        leaves, parts = self.trainable(theta), min(_PARTS, len(read))
        with torch.no_grad():
            error = (self._says(theta, read) - target).square()
            before = averaged(mean_valid(error, valid))
        for step in range(_PASSES * parts):
            part = slice(step % parts, None, parts)
            error = (self._says(theta, read[part]) - target[part]).square()
            loss = mean_valid(error, valid[part])
            descend(optimizer, leaves, loss, rate=1.0, max_norm=self.cfg.max_grad_norm)
        return before.item()

    def _says(
        self, theta: Theta, read: Float[Tensor, "*batch read"]
    ) -> Float[Tensor, "*batch"]:
        return functional_call(self.network, group(theta, CRITIC), (read,))[..., 0]


def of_critic(name: str) -> bool:
    """Tell whether a tensor of theta is a critic's; a role's name may precede it."""
    return name.split("/")[-2:-1] in ([CRITIC], [_WORTH])


def _scale(theta: Theta) -> tuple[Tensor, Tensor]:
    """Return mean and spread of the returns so far, in the network's precision."""
    like = next(v for k, v in theta.items() if k.startswith(f"{CRITIC}/"))
    count = theta[f"{_WORTH}/count"].clamp(min=1)
    spread = (theta[f"{_WORTH}/square"] / count).sqrt().clamp(min=1e-6)
    return theta[f"{_WORTH}/mean"].to(like.dtype), spread.to(like.dtype)
