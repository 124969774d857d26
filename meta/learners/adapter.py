"""Adapters: what a policy acts on, inferred from the history of steps.

The history is summarised (`history.py`) by means over steps of learned features, and
not by a window: any number of whole episodes fits, and the episode that is under way is
always part of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience.moments import fresh_moments, standardised, update_moments
from meta.experience.rollout import Experience
from meta.learner import Learner, Metrics
from meta.learners.adapter_cfg import AdapterCfg
from meta.learners.critic import Critic
from meta.learners.history import PlainMean, WeighedMeans
from meta.learners.maml_cfg import MAX_EPOCHS
from meta.machine.distributed import average_gradients
from meta.theta import Params, Theta, group, module_params, prefixed
from policies.acting import RecurrentPolicy, Transition
from policies.distribution import Distribution
from policies.privileged import PrivilegedPolicy

_HISTORY, _AVERAGE = "history", "average"
"""Groups of its own moments, and of its averaged weights."""
_LEAST_SPREAD = 1e-3
"""Least standard deviation that the adapter's inputs are divided by: a change over one
step, or a reward nearby, is small in its own units, and tells."""

C = TypeVar("C", bound=AdapterCfg)


class Adapter(ABC, Generic[C]):
    """A summary of the steps so far, and a policy told what is inferred from it.

    Args:
        cfg: how it is trained.
        policy: acts on an observation and what is inferred.
        action_dim: action components.
        inferred: width of what the summary's head says.
        hidden: width of the summary and of both hidden layers.
        rng: where the weights are drawn from.
    """

    inner_steps = 1

    def __init__(
        self,
        cfg: C,
        policy: PrivilegedPolicy,
        action_dim: int,
        *,
        inferred: int,
        hidden: int,
        rng: torch.Generator,
    ) -> None:
        self.cfg = cfg
        self.policy = policy
        # a step's features: observation, its change, reward, action
        features = 2 * policy.obs_dim + 1 + action_dim
        kind = WeighedMeans if cfg.weighs else PlainMean
        self.history = kind(features, hidden, inferred, rng)
        self.critic: Critic | None = None
        """The baseline of training, if it is a network."""

    @abstractmethod
    def stage(self, progress: float) -> tuple[Learner, float]:
        """Return the learner in charge; see `Learner.stage`."""

    @abstractmethod
    def initial(self, obs_dim: int) -> Theta:
        """Return untrained parameters and fresh statistics."""

    @abstractmethod
    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return the tensors that the optimiser changes, as leaves with gradients."""

    @abstractmethod
    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Learn from experience that it acted in alone; see `Learner.update`."""

    @abstractmethod
    def learn_to_infer(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Learn from experience, however it was acted; the policy stays as it is."""

    @abstractmethod
    def error(
        self,
        theta: Theta,
        latent: Float[Tensor, "task episode time latent"],
        experiences: Sequence[Experience],
    ) -> Float[Tensor, "task episode time"]:
        """Return how wrong is what was inferred, by the experience of an iteration."""

    def parts(self) -> dict[str, nn.Module]:
        """Return the modules that learn to infer, by their groups in theta."""
        return self.history.parts()

    def untrained(self) -> Theta:
        """Return the parameters of the parts, their averages, and fresh moments."""
        own: Theta = {}
        for name, module in self.parts().items():
            own |= prefixed(name, module_params(module))
        theta = own | (self.critic.initial() if self.critic else {})
        if self.cfg.averaging:
            theta |= prefixed(_AVERAGE, {k: v.clone() for k, v in own.items()})
        if self.cfg.own_moments:
            theta |= fresh_moments(2 * self.policy.obs_dim + 1, _HISTORY)
        return theta

    def leaves(self, theta: Theta) -> list[Tensor]:
        """Return the parameters of the parts, as leaves with gradients."""
        own = [k for k in theta if k.split("/")[0] in self.parts()]
        return [theta[k].requires_grad_() for k in own]

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return an empty memory."""
        like = next(iter(self.own(theta, "summary").values()))
        return {"memory": like.new_zeros(tasks, self.history.width)}

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
            return self.history.add(memory, self.summarise(theta, seen))

        return RecurrentPolicy(memory=memory, policy=policy, watch=watch)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Remember the experience, unless each episode is on its own."""
        if self.cfg.forgets:
            return adaptation
        with torch.no_grad():
            steps = self.summarise(theta, transitions(experience))
            return {"memory": self.remember(theta, adaptation["memory"], steps)}

    def decide(
        self,
        theta: Theta,
        obs: Float[Tensor, "*batch obs"],
        latent: Float[Tensor, "*batch latent"],
    ) -> Distribution:
        """Return the policy, told an inferred latent.

        Args:
            theta: all that is learned.
            obs: standardised; what is hidden at its end is not read.
            latent: the latent.
        """
        return functional_call(self.policy, group(theta, "policy"), (obs, latent))

    def summarise(self, theta: Theta, s: Transition) -> Float[Tensor, "*batch open"]:
        """Return what a step adds to its episode; nothing if it does not count."""
        x = torch.cat([self._scaled(theta, s), s.action], dim=-1)
        return self.history.step(partial(self.own, theta), x, s.valid)

    def remember(
        self,
        theta: Theta,
        memory: Float[Tensor, "task memory"],
        steps: Float[Tensor, "task episode time open"],
    ) -> Float[Tensor, "task memory"]:
        """Return the memory after whole episodes, given what their steps add."""
        return self.history.episodes(partial(self.own, theta), memory, steps.sum(2))

    def infer(
        self,
        theta: Theta,
        memory: Float[Tensor, "*#batch memory"],
        steps: Float[Tensor, "*#batch open"] | None = None,
    ) -> Float[Tensor, "*#batch latent"]:
        """Return the latent that a memory tells of; see `History.infer`."""
        return self.history.infer(partial(self.own, theta), memory, steps)

    def own(self, theta: Theta, part: str) -> Params:
        """Return the weights that one part infers by."""
        return group(theta, f"{_AVERAGE}/{part}" if self.cfg.averaging else part)

    def learning(self, theta: Theta) -> Theta:
        """Return theta with the weights that learn in the place of their averages."""
        averages = group(theta, _AVERAGE)
        return theta | prefixed(_AVERAGE, {name: theta[name] for name in averages})

    def read(self, theta: Theta, lived: Experience) -> None:
        """Bring the moments that scale what is read up to date."""
        if self.cfg.own_moments:
            seen = self._seen(transitions(lived))
            update_moments(theta, seen[lived.valid > 0], _HISTORY)

    def fit(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        loss: Callable[[Theta], Float[Tensor, ""]],
        most: int = MAX_EPOCHS,
    ) -> None:
        """Descend a loss of what is inferred, and average the weights.

        Args:
            theta: all that is learned.
            optimizer: takes the steps.
            loss: the loss; called before each step.
            most: steps at most.
        """
        leaves = [p for g in optimizer.param_groups for p in g["params"]]
        learning = self.learning(theta)
        for _ in range(min(most, self.cfg.regression_epochs)):
            value = loss(learning)
            optimizer.zero_grad()
            value.backward()
            average_gradients(leaves)
            nn.utils.clip_grad_norm_(leaves, self.cfg.ppo.max_grad_norm)
            optimizer.step()
        with torch.no_grad():
            for name, mean in group(theta, _AVERAGE).items():
                mean.lerp_(theta[name], 1 - self.cfg.averaging)

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


def transitions(e: Experience) -> Transition:
    """Return experience as a policy with a memory sees it."""
    return Transition(e.obs, e.action, e.reward, e.next_obs, e.valid)


def sums_before(
    steps: Float[Tensor, "*batch time open"],
) -> Float[Tensor, "*batch time open"]:
    """Return the sums that an episode has before each of its steps."""
    # a matrix product takes half the time of a cumulative sum, there and back
    time = steps.shape[-2]
    return steps.new_ones(time, time).tril(-1) @ steps
