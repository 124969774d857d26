"""Elastic weight consolidation: weights that earlier pieces rest on are held in place.

Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", arXiv
1612.00796, eq. 3, with a penalty of its own for each earlier piece k:

    hold / 2 * sum_k sum_i F_ki (theta_i - theta_ki)^2

F_k is the diagonal of the Fisher information of the policy over the states of the
piece's last iteration. As the penalties are quadratic, their sums are all that is kept
(this is not online EWC, which lets old pieces fade).
"""

from collections.abc import Sequence

import torch

from meta.continual.training.memory import Loss, Memory, Moment, is_spread, trained
from meta.experience.rollout import Experience
from meta.learner import Reproduces
from meta.theta import Theta, group, prefixed

DRAWS = 100
"""Draws of actions that the Fisher information is estimated from: to 14 % a weight."""


class Ewc(Memory):
    """Keeps sums over pieces of the Fisher information, alone and times theta."""

    title = "EWC"
    default = 3.0
    reproduces = True

    def loss(
        self, kept: Theta, theta: Theta, count: int, rng: torch.Generator
    ) -> Loss | None:
        """Return the penalty, less what does not depend on theta."""
        fisher, pull = group(kept, "fisher"), group(kept, "pull")
        if not fisher:
            return None

        def penalty() -> torch.Tensor:
            parts = [
                (f * theta[k] * theta[k] / 2 - pull[k] * theta[k]).sum()
                for k, f in fisher.items()
            ]
            return self.hold * torch.stack(parts).sum()

        return penalty

    def learned(
        self,
        kept: Theta,
        theta: Theta,
        moment: Moment,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Add the piece's information to the sums when it ends."""
        if not moment.last:
            return kept
        found = fisher_information(self.reproducing(), theta, experiences, rng)
        found = {k: v for k, v in found.items() if not is_spread(k)}
        pulls = {k: f * theta[k].detach() for k, f in found.items()}
        new = prefixed("fisher", found) | prefixed("pull", pulls)
        return {k: v + kept[k] if k in kept else v for k, v in new.items()}


def fisher_information(
    learner: Reproduces,
    theta: Theta,
    experiences: Sequence[Experience],
    rng: torch.Generator,
    draws: int = DRAWS,
) -> Theta:
    """Estimate the diagonal of the Fisher information of the policy, a mean over steps.

    In a draw, every state gets an action of the policy's own. The gradient of the log
    likelihoods' sum, squared, then has the sum of their squared gradients as its
    expectation, for those of different states are uncorrelated and of mean 0.

    Args:
        learner: whose policy it is.
        theta: all that is learned.
        experiences: one per inner step and one to measure; their actions do not count.
        rng: draws the actions.
        draws: number of draws; the relative standard error is about sqrt(2 / draws).

    Returns:
        Information by the names of theta's trained tensors.
    """
    *pre, post = experiences
    inner = [learner.inner_batch(theta, e) for e in pre]
    outer = learner.outer_batch(theta, post)
    leaves = trained(theta)
    total = {k: torch.zeros_like(v) for k, v in leaves.items()}
    with torch.enable_grad():
        policy = learner.acted(theta, inner, outer)
        for _ in range(draws):
            with torch.no_grad():
                action = policy.sample(rng)
            value = (policy.log_prob(action) * outer.valid).sum()
            found = torch.autograd.grad(
                value, list(leaves.values()), retain_graph=True, materialize_grads=True
            )
            for k, g in zip(leaves, found, strict=True):
                total[k] += g.square()
    steps = draws * outer.valid.sum().clamp(min=1)
    return {k: (v / steps).detach() for k, v in total.items()}
