"""Behaviour of earlier pieces, stored and imitated while new ones are learned.

`Cloning` keeps what the policy that ended a piece does in the states of the piece's
last iteration, and adds its divergence from what the policy does there now: behavioural
cloning, which Wolczyk et al. 2022, "Disentangling Transfer in Continual Reinforcement
Learning" (arXiv 2209.13900), found to forget least. `Rehearsal` keeps the actions
that were taken instead, with all the chance in them, and adds their likelihood.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from meta.continual.training.memory import Loss, Memory, Moment
from meta.experience.kept import experiences_of, tensors_of
from meta.experience.rollout import Experience
from meta.objectives.policy_gradient import mean_valid
from meta.theta import Theta
from policies.distribution import Distribution, divergence


class Rehearsal(Memory):
    """Keeps each piece's last iteration; `hold` weighs the likelihood of its actions.

    A loss is on as many tasks as an iteration has, drawn from all earlier pieces.
    """

    title = "rehearsal of actions"
    default = 0.3
    reproduces = True

    def loss(
        self, kept: Theta, theta: Theta, count: int, rng: torch.Generator
    ) -> Loss | None:
        """Return the loss of imitating what is kept."""
        if not kept:
            return None
        learner = self.reproducing()
        tasks = len(next(iter(kept.values())))
        drawn = torch.randperm(tasks, generator=rng, device=rng.device)[:count]
        *pre, post = experiences_of({k: v[drawn] for k, v in kept.items()})
        inner = [learner.inner_batch(theta, e) for e in pre]
        outer = learner.outer_batch(theta, post)

        def imitation() -> Tensor:
            now = learner.acted(theta, inner, outer)
            away = self.away(post, now)
            return self.hold * mean_valid(away, post.valid)

        return imitation

    def away(self, stored: Experience, now: Distribution) -> Tensor:
        """Return what is minimised, for each stored step."""
        return -now.log_prob(stored.action)

    def learned(
        self,
        kept: Theta,
        theta: Theta,
        moment: Moment,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Add a piece's last iteration to what is kept."""
        if not moment.last:
            return kept
        learner = self.reproducing()
        *pre, post = experiences
        inner = [learner.inner_batch(theta, e) for e in pre]
        with torch.no_grad():
            now = learner.acted(theta, inner, learner.outer_batch(theta, post))
        new = tensors_of([*pre, post._replace(old=now)])
        return {k: torch.cat([kept[k], v]) if k in kept else v for k, v in new.items()}


class Cloning(Rehearsal):
    """Keeps what a piece's policy would do, too; `hold` weighs the divergence."""

    title = "cloning of policies"
    default = 1.0

    def away(self, stored: Experience, now: Distribution) -> Tensor:
        """Return KL(stored policy || policy now)."""
        return divergence(stored.old, now)
