"""Told: a trained adapter that is given a belief, and goes on to infer.

The adapter's own steps are evidence and the belief is a prior over the same imagined
tasks (`meta.language.evidence`): the acting policy reads the latent that follows from
both. It reads what it would have read anyway when the belief says nothing, and the more
the steps tell, the less the belief counts.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from meta.experience.moments import standardised
from meta.experience.rollout import Experience
from meta.language.evidence import Evidence
from meta.learner import Learner, Metrics, exploring
from meta.learners.by_role import ByRole
from meta.learners.explore import Explore
from meta.learners.rma import Rma
from meta.learners.tuning import tune
from meta.theta import Params, Theta
from policies.acting import Act, RecurrentPolicy
from policies.distribution import Distribution

_RATE = 0.25
"""The acting policy's step size, as a multiple of the adapter's."""


class Told:
    """A learner that has been trained, and a belief about its tasks.

    Args:
        inner: the learner: RMA, system identification, or RMA with an explorer.
        evidence: fitted to its policy.
        prior: log-weights of the imagined tasks, of one belief or of one per task.

    Raises:
        ValueError: for a learner that infers no latent.
    """

    inner_steps = 1

    def __init__(
        self,
        inner: Learner,
        evidence: Evidence,
        prior: Float[Tensor, "task imagined"],
    ) -> None:
        self.inner = inner
        self.adapter = adapter_of(inner)
        self.evidence = evidence
        self.prior = prior

    def stage(self, progress: float) -> tuple[Learner, float]:
        """Itself, all along: the learner has been trained."""
        return self, 1 - progress

    def initial(self, obs_dim: int) -> Theta:
        """Return the learner's theta."""
        return self.inner.initial(obs_dim)

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return the learner's tensors."""
        return self.inner.trainable(theta)

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return an empty memory, and what each task is told.

        Raises:
            ValueError: if so many tasks are told something else than there are.
        """
        if len(self.prior) not in (1, tasks):
            raise ValueError(f"{len(self.prior)} beliefs for {tasks} tasks")
        prior = self.prior.to(theta["moments/mean"].device)
        return self.inner.begin(theta, tasks) | {"prior": prior.expand(tasks, -1)}

    def act(self, theta: Theta, adaptation: Params) -> RecurrentPolicy:
        """Act on the latent that follows from the steps and from what is told."""
        own = self.adapter.act(theta, {"memory": adaptation["memory"]})
        prior, adapter = adaptation["prior"], self.adapter

        def policy(
            obs: Float[Tensor, "world obs"], memory: Float[Tensor, "world memory"]
        ) -> Distribution:
            copies = len(obs) // len(prior)
            latent = self._latent(theta, memory, prior, copies)
            return adapter.decide(theta, standardised(theta, obs), latent)

        return own._replace(policy=policy)

    def explore(self, theta: Theta, adaptation: Params) -> Act:
        """Explore as the learner does, which nothing was told."""
        return exploring(self.inner, theta, {"memory": adaptation["memory"]})

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Remember the experience, and what was told."""
        memory = self.inner.adapt(theta, {"memory": adaptation["memory"]}, experience)
        return memory | {"prior": adaptation["prior"]}

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Improve the acting policy on what it was told, then the adapter beside it.

        So it learns how far what it is told can be trusted, and to infer what is hidden
        from steps that were taken on false words.
        """
        adapting, measuring = experiences
        tasks, episodes, time = measuring.valid.shape
        prior = self.prior.to(measuring.valid.device).expand(tasks, -1)

        def latent(memory: Float[Tensor, "task episode time memory"]) -> Tensor:
            rows = memory.flatten(0, 1)
            told = [
                self._latent(theta, rows[:, t], prior, episodes) for t in range(time)
            ]
            return torch.stack(told, dim=1).unflatten(0, (tasks, episodes))

        start = self.adapter.begin(theta, tasks)
        phases = [(self.adapter.adapt(theta, start, adapting), measuring)]
        metrics = tune(self.adapter, theta, optimizer, phases, _RATE, latent)
        return metrics | self.adapter.update(theta, optimizer, experiences)

    @property
    def relives(self) -> bool:
        """True if the adapter learns from earlier iterations, too."""
        return self.adapter.relives

    def relive(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        kept: Theta,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Let the adapter learn from what is kept."""
        return self.adapter.relive(theta, optimizer, kept, experiences, rng)

    def _latent(
        self,
        theta: Theta,
        memory: Float[Tensor, "world memory"],
        prior: Float[Tensor, "task imagined"],
        copies: int,
    ) -> Float[Tensor, "world latent"]:
        """Return the latent to act on, by the number of steps that each remembers.

        So many worlds of each task lie side by side. In a team, tasks are its agents'
        in turn, and each has evidence of its own.
        """
        each = prior.repeat_interleave(copies, dim=0)
        found = self.adapter.infer(theta, memory)
        counts, agents = memory[:, -1].long(), self.evidence.agents
        task = torch.arange(len(prior), device=memory.device)
        agent = (task % len(agents)).repeat_interleave(copies)
        for n in counts.unique().tolist():
            for i, evidence in enumerate(agents):
                rows = (counts == n) & (agent == i)
                if rows.any():
                    found[rows] = evidence.told(found[rows], n, each[rows])
        return found


def adapter_of(learner: Learner) -> Rma:
    """Return the adapter that infers a latent.

    Raises:
        ValueError: for a learner that has none, or forgets what it inferred.
    """
    adapter = learner.adapter if isinstance(learner, Explore) else learner
    if not isinstance(adapter, Rma) or adapter.cfg.forgets:
        apart = isinstance(learner, ByRole)
        got = (
            "parameters of each role's own"
            if apart
            else getattr(learner, "title", type(learner).__name__)
        )
        raise ValueError(
            "a belief is given to, and taken from, a policy that infers a latent and "
            f"keeps it; got {got}, and not one of rma, sysid or explore"
        )
    return adapter
