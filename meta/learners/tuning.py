"""Tuning of the policy that acts on inferred latents, by PPO on those it acted on."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meta.experience.batch import make_batch
from meta.experience.rollout import Experience
from meta.learner import Metrics
from meta.learners.adapter import Adapter, sums_before, transitions
from meta.learners.ppo import Drawn, improve
from meta.theta import Params, Theta

Latents = Callable[
    [Float[Tensor, "task episode time memory"]],
    Float[Tensor, "task episode time latent"],
]


def tune(
    adapter: Adapter[Any],
    theta: Theta,
    optimizer: torch.optim.Optimizer,
    phases: Sequence[tuple[Params, Experience]],
    rate: float,
    latents: Latents | None = None,
) -> Metrics:
    """Take PPO's steps of the acting policy.

    Args:
        adapter: it, and what it infers.
        theta: all that is learned, which changes in place.
        optimizer: takes the steps.
        phases: experience of the acting policy, and the adaptation that it began with.
        rate: multiple of the optimiser's step size.
        latents: those that it acted on, given what it remembered; by default what the
            adapter infers.

    Returns:
        What `improve` and, if there is a critic, `Critic.fit` return.
    """
    cfg, rows = adapter.cfg.ppo, list[tuple[Tensor, Tensor, Drawn]]()
    critic = adapter.critic
    with torch.no_grad():
        for start, e in phases:
            b = make_batch(
                theta,
                e,
                cfg.discount,
                cfg.trace,
                central=cfg.critic == "all",
                critic=critic.values(theta) if critic else None,
            )
            steps = adapter.summarise(theta, transitions(e))
            memory = start["memory"][:, None, None]
            before = adapter.history.add(memory, sums_before(steps))
            latent = latents(before) if latents else adapter.infer(theta, before)
            rows.append((b.obs, latent, Drawn(b.action, b.old, b.advantage, b.valid)))
    obs, latent = (torch.cat(x, 1) for x in list(zip(*rows, strict=True))[:2])
    moved = improve(
        cfg,
        optimizer,
        [v for k, v in theta.items() if k.startswith("policy/decide.")],
        lambda: adapter.decide(theta, obs, latent),
        _joined([drawn for *_, drawn in rows]),
        rate,
    )
    metrics: Metrics = {"tuning_kl": moved}
    if critic:
        read = [(own, e) for (own, *_), (_, e) in zip(rows, phases, strict=True)]
        metrics["value_error"] = critic.fit(theta, optimizer, read)
    return metrics


def _joined(phases: Sequence[Drawn]) -> Drawn:
    """Return the episodes of several phases as those of one."""
    first = phases[0]
    action, advantage, valid = (
        torch.cat([getattr(d, name) for d in phases], dim=1)
        for name in ("action", "advantage", "valid")
    )
    old = (torch.cat(xs, dim=1) for xs in zip(*(d.old for d in phases), strict=True))
    return Drawn(action, type(first.old)(*old), advantage, valid)
