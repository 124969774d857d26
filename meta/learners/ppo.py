"""Steps of PPO for some tensors of theta alone."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meta.learners.maml_cfg import MamlCfg
from meta.machine.distributed import average_gradients, averaged
from meta.objectives.policy_gradient import clipped_surrogate, mean_valid
from policies.distribution import Distribution, divergence


class Drawn(NamedTuple):
    """Actions, the distribution that drew them, and how good they were."""

    action: Float[Tensor, "task episode time action"]
    old: Distribution
    advantage: Float[Tensor, "task episode time"]
    valid: Float[Tensor, "task episode time"]


def improve(
    cfg: MamlCfg,
    optimizer: torch.optim.Optimizer,
    leaves: Sequence[Tensor],
    policy: Callable[[], Distribution],
    drawn: Drawn,
    rate: float,
) -> float:
    """Take steps of PPO, until the policy has moved far enough.

    Args:
        cfg: epochs, and bounds on what they change.
        optimizer: takes the steps.
        leaves: what it changes.
        policy: returns the distributions at the drawn steps, as the leaves are now.
        drawn: the steps.
        rate: multiple of the optimiser's step size.

    Returns:
        KL(the policy that acted || the policy) when it was last looked at.
    """
    old_log_prob = drawn.old.log_prob(drawn.action)
    kl = torch.zeros(())
    for epoch in range(cfg.epochs):
        new = policy()
        moved = divergence(drawn.old, new).detach()
        kl = averaged(mean_valid(moved, drawn.valid))
        if epoch and kl > cfg.max_kl:
            break
        loss = clipped_surrogate(
            new.log_prob(drawn.action),
            old_log_prob,
            drawn.advantage,
            drawn.valid,
            cfg.clip,
        )
        descend(optimizer, leaves, loss, rate=rate, max_norm=cfg.max_grad_norm)
    return kl.item()


def descend(
    optimizer: torch.optim.Optimizer,
    leaves: Sequence[Tensor],
    loss: Float[Tensor, ""],
    *,
    rate: float,
    max_norm: float,
) -> None:
    """Take one step for some leaves alone, at a multiple of the optimiser's step size.

    Raises:
        FloatingPointError: for a gradient that is not finite.
    """
    optimizer.zero_grad()
    for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves), strict=True):
        leaf.grad = gradient
    average_gradients(leaves)
    norm = nn.utils.clip_grad_norm_(leaves, max_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm is {norm.item()}")
    rates = [entry["lr"] for entry in optimizer.param_groups]
    for entry in optimizer.param_groups:
        entry["lr"] *= rate
    optimizer.step()
    for entry, own in zip(optimizer.param_groups, rates, strict=True):
        entry["lr"] = own
