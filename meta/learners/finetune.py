"""Fine-tuning: the test task's own episodes, and PPO on them.

What anyone would try first with a policy that does not adapt. The parameters of all
tasks are tuned at once, each by its own task's episodes: Adam works on single numbers,
so that one optimiser over the stacked parameters is one optimiser a task.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from meta.experience.batch import Batch
from meta.experience.rollout import Experience
from meta.learner import Metrics
from meta.learners.maml import Maml
from meta.objectives.policy_gradient import clipped_surrogate
from meta.theta import Params, Theta
from policies.acting import Act

_STEPS, _CLIP = 20, 0.2


class FineTune:
    """The learner: the parameters, after PPO's epochs on the experience.

    Args:
        base: how the policy acts and how advantages are estimated; does not adapt.
        rate: step size of Adam.
    """

    inner_steps = 1

    def __init__(self, base: Maml, rate: float) -> None:
        self.base = base
        self.rate = rate

    def stage(self, progress: float) -> tuple["FineTune", float]:
        """Itself, all along."""
        return self, 1 - progress

    def initial(self, obs_dim: int) -> Theta:
        """Return the theta of the policy."""
        return self.base.initial(obs_dim)

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return nothing: it is made from a policy that has been trained."""
        return []

    def begin(self, theta: Theta, tasks: int) -> Params:
        """The policy's parameters, per task."""
        return self.base.begin(theta, tasks)

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """Return the tuned policies."""
        return self.base.act(theta, adaptation)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Epochs of PPO (Schulman et al. 2017, arXiv 1707.06347) from `adaptation`."""
        batch = self.base.inner_batch(theta, experience)
        params = {k: v.clone().requires_grad_() for k, v in adaptation.items()}
        optimizer = torch.optim.Adam(params.values(), lr=self.rate)
        losses = vmap(self._loss)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            losses(params, batch).sum().backward()
            optimizer.step()
        return {k: v.detach() for k, v in params.items()}

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Refused."""
        raise NotImplementedError("fine-tuning learns nothing across tasks")

    def _loss(self, params: Params, batch: Batch) -> Tensor:
        new = functional_call(self.base.policy, params, (batch.obs,))
        return clipped_surrogate(
            new.log_prob(batch.action),
            batch.old_log_prob,
            batch.advantage,
            batch.valid,
            _CLIP,
        )
