"""RMA: what a teacher is told of the hidden parameters, inferred from the history.

First a teacher is trained by PPO while it observes the hidden parameters, through a
latent. Then an adapter (`adapter.py`) learns to regress that latent from the steps that
the policy has taken so far while it acts on the adapter's own answer: RMA (Kumar et al.
2021, arXiv 2107.04034). With a latent as wide as the parameters, the parameters
themselves, it is explicit system identification that feeds the oracle. With `forgets`
the episode that is under way is all that counts, as it is in RMA.

The adapter scales what it reads by moments of its own experience of adapting, which go
on for as long as it trains. The teacher's would not do: where only those who know the
task earn, they shrink what the others meet to nothing. And it infers by an average of
its weights over the iterations (Polyak and Juditsky 1992, SIAM J. Control Optim. 30),
each of which fits them to a few tasks. With `replay` it fits them to the tasks of all
iterations, as DAgger does (Ross et al. 2011, arXiv 1011.0686): what steps tell of a
task does not depend on the policy that took them, which knew nothing but earlier steps.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from meta.experience.kept import experiences_of, tensors_of, with_latest
from meta.experience.moments import standardised
from meta.experience.rollout import Experience, some_episodes
from meta.learner import Metrics, Sizes
from meta.learners.adapter import Adapter, sums_before, transitions
from meta.learners.critic import Critic
from meta.learners.maml import Maml
from meta.learners.rma_cfg import RmaCfg
from meta.machine.distributed import averaged
from meta.objectives.policy_gradient import mean_valid
from meta.theta import Theta, group
from policies.mlp import PolicyCfg
from policies.privileged import PrivilegedPolicy

_AT_ONCE = 2
"""Tasks in a step of Adam, as a multiple of an iteration's, where earlier ones are
kept."""


class Rma(Adapter[RmaCfg]):
    """The learner: a teacher, and an adapter that takes its place in deployment.

    Args:
        cfg: how it is trained.
        teacher: PPO on observations that end with the hidden parameters.
        policy: the teacher's policy.
        action_dim: action components.
        hidden: width of the summary and of both hidden layers.
        rng: where the adapter's weights are drawn from.
    """

    title: ClassVar[str] = "RMA"
    settings: ClassVar[type[RmaCfg]] = RmaCfg

    @classmethod
    def build(
        cls, settings: RmaCfg, network: PolicyCfg, sizes: Sizes, rng: torch.Generator
    ) -> "Rma":
        """Make one; see `LearnerClass.build`."""
        policy = PrivilegedPolicy(
            sizes.obs,
            sizes.hidden,
            sizes.action,
            network,
            latent=settings.latent,
            rng=rng,
            discrete=sizes.discrete,
        )
        read = sizes.obs + sizes.hidden
        critic = Critic.build(settings.teacher, read, network, sizes, rng)
        teacher = Maml(settings.teacher, policy, critic=critic)
        hidden = network.hidden[-1]
        return cls(settings, teacher, policy, sizes.action, hidden=hidden, rng=rng)

    def __init__(
        self,
        cfg: RmaCfg,
        teacher: Maml,
        policy: PrivilegedPolicy,
        action_dim: int,
        *,
        hidden: int,
        rng: torch.Generator,
    ) -> None:
        inferred = policy.latent_dim
        super().__init__(
            cfg, policy, action_dim, inferred=inferred, hidden=hidden, rng=rng
        )
        self.teacher, self.critic = teacher, teacher.critic

    def stage(self, progress: float) -> tuple["Maml | Rma", float]:
        """The teacher first, then the adapter."""
        share = self.cfg.teacher_share
        if progress < share:
            return self.teacher, 1 - progress / share
        return self, 1 - (progress - share) / (1 - share)

    def initial(self, obs_dim: int) -> Theta:
        """The teacher's theta, and the adapter's parameters."""
        return self.teacher.initial(obs_dim) | self.untrained()

    def trainable(self, theta: Theta) -> list[Tensor]:
        """All of them: each stage leaves the other's without a gradient."""
        return self.teacher.trainable(theta) + self.leaves(theta)

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Learn to infer: the teacher has learned to act."""
        return self.learn_to_infer(theta, optimizer, experiences)

    def learn_to_infer(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Regress the teacher's latent at every step, with and without earlier ones."""
        # before they are regressed from: in the first iteration there are none
        self.read(theta, experiences[0].whole)
        with torch.no_grad():
            wanted = self.latent(theta, experiences[0])
            spread = averaged((wanted - wanted.mean(0)).square().mean())
            first = averaged(self.objective(theta, experiences, wanted))
        if not self.relives:
            self.fit(
                theta, optimizer, lambda own: self.objective(own, experiences, wanted)
            )
        # before this iteration's tasks were learned from
        explained = 1 - first / spread.clamp(min=1e-12)
        return {"loss": first.item(), "explained": explained.item()}

    @property
    def relives(self) -> bool:
        """True if it learns from earlier iterations, too."""
        return self.cfg.replay > 0

    def relive(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        kept: Theta,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Regress the latents of tasks of all iterations that are kept."""
        adapting, measuring = experiences
        # those measured after adapting began alike: some of them are enough
        some = some_episodes(measuring, slice(adapting.valid.shape[1]))
        new = tensors_of([adapting, some], drawn=False)
        kept = with_latest(kept, new, self.cfg.replay)
        tasks, count = len(kept["0/valid"]), _AT_ONCE * len(adapting.valid)
        drawn = torch.randperm(tasks, generator=rng, device=rng.device)
        # few tasks that are met often would be learned by heart: one pass at most
        parts = iter(drawn.split(count))

        def loss(own: Theta) -> Float[Tensor, ""]:
            some = next(parts)
            lived = experiences_of({k: v[some] for k, v in kept.items()})
            with torch.no_grad():
                wanted = self.latent(own, lived[0])
            return self.objective(own, lived, wanted)

        self.fit(theta, optimizer, loss, math.ceil(tasks / count))
        return kept

    def error(
        self,
        theta: Theta,
        latent: Float[Tensor, "task episode time latent"],
        experiences: Sequence[Experience],
    ) -> Float[Tensor, "task episode time"]:
        """Return the mean squared error about the teacher's latent."""
        wanted = self.latent(theta, experiences[0])
        return (latent - wanted[:, None, None]).square().mean(-1)

    def objective(
        self,
        theta: Theta,
        experiences: Sequence[Experience],
        wanted: Float[Tensor, "task latent"],
    ) -> Float[Tensor, ""]:
        """Mean squared error of the latent inferred before each step is taken."""
        *_, last = (e.valid.shape[0] for e in experiences)
        memory = self.begin(theta, last)["memory"]
        losses: list[Tensor] = []
        for phase, e in enumerate(experiences, start=1):
            # an episode that is not adapted on still tells what is inferred within it
            steps = self.summarise(theta, transitions(e.whole))
            latent = self.infer(theta, memory[:, None, None], sums_before(steps))
            error = latent - wanted[:, None, None]
            losses.append(mean_valid(error.square().mean(-1), e.whole.valid))
            if phase < len(experiences) and not self.cfg.forgets:
                memory = self.remember(theta, memory, steps * e.valid[..., None])
        return torch.stack(losses).mean()

    def latent(self, theta: Theta, e: Experience) -> Float[Tensor, "task latent"]:
        """Return the teacher's latent of the hidden parameters, which a task keeps."""
        return self.encode(theta, e.obs[:, 0, 0])

    def encode(
        self, theta: Theta, obs: Float[Tensor, "task obs"]
    ) -> Float[Tensor, "task latent"]:
        """Return the teacher's latent of what observations, as made, end with."""
        obs = standardised(theta, obs)
        encoder = {
            k.removeprefix("encoder."): v
            for k, v in group(theta, "policy").items()
            if k.startswith("encoder.")
        }
        if not encoder:
            return self.policy.encode(obs)
        raw = functional_call(
            self.policy.encoder, encoder, (obs[:, self.policy.obs_dim :],)
        )
        return raw.tanh()
