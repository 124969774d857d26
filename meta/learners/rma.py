"""Adapters: what is hidden, inferred from the history of steps.

First a teacher is trained by PPO while it observes the hidden parameters, through a
latent. Then an adapter learns to regress that latent from the steps that the policy has
taken so far while it acts on the adapter's own answer: RMA (Kumar et al. 2021, arXiv
2107.04034). With a latent as wide as the parameters, the parameters themselves, it is
explicit system identification that feeds the oracle.

The history is summarised by a mean over steps of learned features (Zaheer et al. 2017,
arXiv 1703.06114) and not by RMA's window: any number of whole episodes fits, and the
episode that is under way is always part of it. With `forgets` it is all that counts, as
it is in RMA.

The adapter scales what it reads by moments of its own experience of adapting, which go
on for as long as it trains. The teacher's would not do: where only those who know the
task earn, they shrink what the others meet to nothing. And it infers by an average of
its weights over the iterations (Polyak and Juditsky 1992, SIAM J. Control Optim. 30),
each of which fits them to a few tasks.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience.moments import fresh_moments, standardised, update_moments
from meta.experience.rollout import Experience
from meta.learner import Metrics, Sizes
from meta.learners.maml import Maml
from meta.learners.rma_cfg import RmaCfg
from meta.machine.distributed import average_gradients, averaged
from meta.objectives.policy_gradient import mean_valid
from meta.theta import Params, Theta, group, module_params, prefixed
from policies.acting import RecurrentPolicy, Transition
from policies.distribution import Distribution
from policies.mlp import Mlp, PolicyCfg
from policies.privileged import PrivilegedPolicy

_HISTORY, _AVERAGE = "history", "average"
"""Groups of the adapter's own moments, and of its averaged weights."""
_LEAST_SPREAD = 1e-3
"""Least standard deviation that the adapter's inputs are divided by: a change over one
step, or a reward nearby, is small in its own units, and tells."""


class Rma:
    """The learner: a teacher, and an adapter that takes its place in deployment.

    Args:
        cfg: how it is trained.
        teacher: PPO on observations that end with the hidden parameters.
        policy: the teacher's policy.
        action_dim: action components.
        hidden: width of the summary and of both hidden layers.
        rng: where the adapter's weights are drawn from.
    """

    inner_steps = 1
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
        teacher = Maml(settings.teacher, policy)
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
        self.cfg = cfg
        self.teacher = teacher
        self.policy = policy
        self.width = hidden
        # a step's features: observation, its change, reward, action
        features = 2 * policy.obs_dim + 1 + action_dim
        self.summary = Mlp([features, hidden, hidden], last_gain=1.0, rng=rng)
        sizes = [hidden + 1, hidden, policy.latent_dim]
        self.head = Mlp(sizes, last_gain=0.1, rng=rng)

    def stage(self, progress: float) -> tuple["Maml | Rma", float]:
        """The teacher first, then the adapter."""
        share = self.cfg.teacher_share
        if progress < share:
            return self.teacher, 1 - progress / share
        return self, 1 - (progress - share) / (1 - share)

    def initial(self, obs_dim: int) -> Theta:
        """The teacher's theta, and the adapter's parameters."""
        own = prefixed("summary", module_params(self.summary))
        own |= prefixed("head", module_params(self.head))
        theta = self.teacher.initial(obs_dim) | own
        if self.cfg.averaging:
            theta |= prefixed(_AVERAGE, {k: v.clone() for k, v in own.items()})
        if self.cfg.own_moments:
            theta |= fresh_moments(2 * self.policy.obs_dim + 1, _HISTORY)
        return theta

    def trainable(self, theta: Theta) -> list[Tensor]:
        """All of them: each stage leaves the other's without a gradient."""
        own = [k for k in theta if k.split("/")[0] in ("summary", "head")]
        return self.teacher.trainable(theta) + [theta[k].requires_grad_() for k in own]

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return an empty memory."""
        device = theta["moments/mean"].device
        return {"memory": torch.zeros(tasks, self.width + 1, device=device)}

    def act(self, theta: Theta, adaptation: Params) -> RecurrentPolicy:
        """Act on the latent inferred from all steps so far, this episode's too."""
        memory = adaptation["memory"]

        def policy(
            obs: Float[Tensor, "world obs"], memory: Float[Tensor, "world memory"]
        ) -> Distribution:
            latent = self.infer(theta, memory)
            return self.decide(theta, standardised(theta, obs), latent)

        def watch(
            memory: Float[Tensor, "world memory"], seen: Transition
        ) -> Float[Tensor, "world memory"]:
            return memory + self.summarise(theta, seen)

        return RecurrentPolicy(memory=memory, policy=policy, watch=watch)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Remember the experience, unless each episode is on its own."""
        if self.cfg.forgets:
            return adaptation
        with torch.no_grad():
            steps = self.summarise(theta, transitions(experience))
        return {"memory": adaptation["memory"] + steps.sum((1, 2))}

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Regress the teacher's latent at every step, with and without earlier ones."""
        leaves = [p for g in optimizer.param_groups for p in g["params"]]
        if self.cfg.own_moments:
            # before they are regressed from: in the first iteration there are none
            lived = experiences[0].whole
            seen = self._seen(transitions(lived))
            update_moments(theta, seen[lived.valid > 0], _HISTORY)
        with torch.no_grad():
            wanted = self.latent(theta, experiences[0])
            spread = averaged((wanted - wanted.mean(0)).square().mean())
            first = averaged(self.objective(theta, experiences, wanted))
        learning = self.learning(theta)
        for _ in range(self.cfg.regression_epochs):
            loss = self.objective(learning, experiences, wanted)
            optimizer.zero_grad()
            loss.backward()
            average_gradients(leaves)
            nn.utils.clip_grad_norm_(leaves, self.teacher.cfg.max_grad_norm)
            optimizer.step()
        with torch.no_grad():
            for name, mean in group(theta, _AVERAGE).items():
                mean.lerp_(theta[name], 1 - self.cfg.averaging)
        # before this iteration's tasks were learned from
        explained = 1 - first / spread.clamp(min=1e-12)
        return {"loss": first.item(), "explained": explained.item()}

    def learning(self, theta: Theta) -> Theta:
        """Return theta with the weights that learn in the place of their averages."""
        averages = group(theta, _AVERAGE)
        return theta | prefixed(_AVERAGE, {name: theta[name] for name in averages})

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
        for e in experiences:
            # an episode that is not adapted on still tells what is inferred within it
            steps = self.summarise(theta, transitions(e.whole))
            before = memory[:, None, None] + steps.cumsum(2) - steps
            error = self.infer(theta, before) - wanted[:, None, None]
            losses.append(mean_valid(error.square().mean(-1), e.whole.valid))
            if not self.cfg.forgets:
                memory = memory + (steps * e.valid[..., None]).sum((1, 2))
        return torch.stack(losses).mean()

    def decide(
        self,
        theta: Theta,
        obs: Float[Tensor, "*batch obs"],
        latent: Float[Tensor, "*batch latent"],
    ) -> Distribution:
        """Return the teacher's policy, told an inferred latent.

        Args:
            theta: all that is learned.
            obs: standardised; what is hidden at its end is not read.
            latent: the latent.
        """
        return functional_call(self.policy, group(theta, "policy"), (obs, latent))

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

    def summarise(self, theta: Theta, s: Transition) -> Float[Tensor, "*batch memory"]:
        """Return a step's features and a 1; nothing for a step that does not count."""
        x = torch.cat([self._scaled(theta, s), s.action], dim=-1)
        features = functional_call(
            self.summary, self._own(theta, "summary"), (x,)
        ).tanh()
        one = torch.ones_like(features[..., :1])
        return torch.cat([features, one], dim=-1) * s.valid[..., None]

    def _own(self, theta: Theta, part: str) -> Params:
        """Return the weights that one part of the adapter infers by."""
        return group(theta, f"{_AVERAGE}/{part}" if self.cfg.averaging else part)

    def _scaled(self, theta: Theta, s: Transition) -> Float[Tensor, "*batch seen"]:
        """Observation, its change and the reward, scaled; nothing hidden."""
        if self.cfg.own_moments:
            return standardised(
                theta, self._seen(s), name=_HISTORY, floor=_LEAST_SPREAD
            )
        n, width = self.policy.obs_dim, (len(theta["moments/mean"]) - 1) // 2
        hidden = s.obs.new_zeros(*s.obs.shape[:-1], width - n)
        obs, change, reward = self._seen(s).split((n, n, 1), dim=-1)
        laid = torch.cat([obs, hidden, change, hidden, reward], dim=-1)
        scaled = standardised(theta, laid)
        visible = [scaled[..., :n], scaled[..., width : width + n], scaled[..., -1:]]
        return torch.cat(visible, dim=-1)

    def _seen(self, s: Transition) -> Float[Tensor, "*batch seen"]:
        """Observation, its change and the reward, without what is hidden."""
        n = self.policy.obs_dim
        obs = s.obs[..., :n]
        return torch.cat([obs, s.next_obs[..., :n] - obs, s.reward[..., None]], dim=-1)

    def infer(
        self, theta: Theta, memory: Float[Tensor, "*batch memory"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return the latent that a memory tells of."""
        count = memory[..., -1:]
        x = torch.cat([memory[..., :-1] / count.clamp(min=1), 0.2 * count.log1p()], -1)
        return functional_call(self.head, self._own(theta, "head"), (x,))


def transitions(e: Experience) -> Transition:
    """Return experience as a policy with a memory sees it."""
    return Transition(e.obs, e.action, e.reward, e.next_obs, e.valid)
