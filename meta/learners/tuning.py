"""Tuning by PPO: steps for a part of what is learned, on experience that is there.

The explorer, and the acting policy on latents that were inferred, learn so beside the
adapter that they act on; see `explore.py` and `told.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meta.experience.rollout import Experience
from meta.learner import Metrics
from meta.learners.maml_cfg import MamlCfg
from meta.learners.rma import Rma, transitions
from meta.machine.distributed import average_gradients, averaged
from meta.objectives.policy_gradient import clipped_surrogate, mean_valid
from meta.theta import Theta
from policies.distribution import Distribution, divergence


class Drawn(NamedTuple):
    """Actions, the distribution that drew them, and how good they were."""

    action: Float[Tensor, "task episode time action"]
    old: Distribution
    advantage: Float[Tensor, "task episode time"]
    valid: Float[Tensor, "task episode time"]


def tune(
    adapter: Rma,
    theta: Theta,
    optimizer: torch.optim.Optimizer,
    experiences: tuple[Experience, Experience],
    latent: Callable[[Tensor], Tensor],
    rate: float,
) -> Metrics:
    """Take PPO's steps of the acting policy, on the latents that it acted on.

    Args:
        adapter: the adapter.
        theta: all that is learned, whose acting policy is changed in place.
        optimizer: has the acting policy's leaves.
        experiences: what was adapted on, and what was measured after it.
        latent: maps memories (task, episode, time, memory) to the latents acted on.
        rate: step size, as a multiple of the optimiser's.
    """
    adapting, measuring = experiences
    with torch.no_grad():
        batch = adapter.teacher.outer_batch(theta, measuring)
        start = adapter.begin(theta, len(batch.valid))
        memory = adapter.adapt(theta, start, adapting)["memory"]
        steps = adapter.summarise(theta, transitions(measuring))
        acted_on = latent(memory[:, None, None] + steps.cumsum(2) - steps)
    kl = improve(
        adapter.teacher.cfg,
        optimizer,
        leaves_of(theta, "policy/decide."),
        lambda: adapter.decide(theta, batch.obs, acted_on),
        Drawn(batch.action, batch.old, batch.advantage, batch.valid),
        rate,
    )
    return {"tuning_kl": kl}


def improve(
    cfg: MamlCfg,
    optimizer: torch.optim.Optimizer,
    leaves: Sequence[Tensor],
    policy: Callable[[], Distribution],
    drawn: "Drawn",
    rate: float,
) -> float:
    """Take steps of PPO for some leaves, until the policy has moved far enough.

    Args:
        cfg: PPO's settings.
        optimizer: has the leaves.
        leaves: tensors that are changed.
        policy: returns the distribution at the steps that were taken.
        drawn: these steps.
        rate: step size, as a multiple of the optimiser's.

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


def leaves_of(theta: Theta, prefix: str) -> list[Tensor]:
    """Return the tensors whose names begin so."""
    return [v for k, v in theta.items() if k.startswith(prefix)]
