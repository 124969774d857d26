"""Fine-tuning: the test task's own episodes, and PPO on them.

What anyone would try first with a policy that does not adapt. The parameters of all
tasks are tuned at once, each by its own task's episodes: Adam works on single numbers,
so that one optimiser over the stacked parameters is one optimiser a task.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from meta.evaluation.measure import Bench, Ledger
from meta.experience.batch import Batch
from meta.experience.rollout import Act, Experience
from meta.learner import Metrics
from meta.learners.maml import Maml
from meta.objectives.policy_gradient import clipped_surrogate
from meta.theta import Params, Theta, on_device
from meta.training.checkpoint import Trained
from meta.training.trainer import make_learner
from tasks.registry import find_family, make_env

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
"""Step sizes of Adam; which one serves is decided on training tasks."""
_STEPS, _CLIP = 20, 0.2
_TUNING_SEED, _TUNING_TASKS = 2**31, 20


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
        """That of the policy."""
        return self.base.initial(obs_dim)

    def trained(self, theta: Theta) -> list[Tensor]:
        """Nothing: it is made from a policy that has been trained."""
        return []

    def begin(self, theta: Theta, tasks: int) -> Params:
        """The policy's parameters, per task."""
        return self.base.begin(theta, tasks)

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """How the tuned policies act."""
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
        new = functional_call(self.base.policy, params, (batch.obs,))[0]
        return clipped_surrogate(
            new.log_prob(batch.action),
            batch.old_log_prob,
            batch.advantage,
            batch.valid,
            _CLIP,
        )


def tuned(
    dr: Sequence[Trained], episodes: int, device: torch.device | str
) -> tuple[list[Trained], list[Trained]]:
    """Robust policies that are fine-tuned, and PPO from scratch on the same episodes.

    Of the step sizes, each takes the one that does best with the first policy and
    that many episodes of training tasks, so that no baseline is held back by it.
    """
    made: list[list[Trained]] = []
    for make in (fine_tuned, from_scratch):
        tried = [(_worth(make(dr[0], r), episodes, device), r) for r in RATES]
        made.append([make(trained, max(tried)[1]) for trained in dr])
    return made[0], made[1]


def _worth(trained: Trained, episodes: int, device: torch.device | str) -> float:
    """Mean return on training tasks after fine-tuning on some episodes."""
    tasks = find_family(trained.cfg.family).sample("train", _TUNING_SEED, _TUNING_TASKS)
    bench = Bench(tasks, _TUNING_SEED, 5, episodes, 0, device)
    [(_, returns, _)] = bench.curve(trained, (episodes,), Ledger())
    return float(returns.mean())


def fine_tuned(dr: Trained, rate: float) -> Trained:
    """A robust policy that is fine-tuned to its task."""
    if not isinstance(dr.learner, Maml) or dr.learner.inner_steps:
        raise ValueError(f"{dr.source} adapts by itself and cannot be fine-tuned")
    return replace(dr, learner=FineTune(dr.learner, rate))


def from_scratch(dr: Trained, rate: float) -> Trained:
    """The same with a policy that has learned nothing, of the same size and seed."""
    cfg = replace(dr.cfg, learner=replace(dr.cfg.learner, inner_baseline="task"))
    family = find_family(cfg.family)
    learner = make_learner(cfg, make_env(family, worlds=1, threads=1))
    if not isinstance(learner, Maml):
        raise TypeError("the robust policy is no Maml")
    theta = on_device(learner.initial(family.obs_dim), dr.theta["moments/mean"].device)
    # nobody need learn how observations are scaled
    theta |= {k: v for k, v in dr.theta.items() if k.startswith("moments/")}
    return replace(
        dr, cfg=cfg, learner=FineTune(learner, rate), theta=theta, env_steps=0
    )
