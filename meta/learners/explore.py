"""RMA with an explorer: a policy of its own for the episodes that are adapted on.

Teacher and adapter are RMA's (`rma.py`). The explorer acts in the adapting episodes so
that they tell the adapter more. It learns by PPO from how much the rest of an episode
lowers the adapter's error about the teacher's latent, after DREAM (Liu et al. 2021,
arXiv 2008.02790), and begins as the acting policy: what it adds to that policy's mean
starts at 0. The acting policy, which the teacher trained on true latents, is tuned by
PPO on inferred ones.

All of them learn from the experience that RMA's adapter alone would have had: the env
steps are the same.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience.moments import standardised
from meta.experience.rollout import Experience
from meta.learner import Learner, Metrics, Relives, Sizes
from meta.learners.adapter import Adapter, sums_before, transitions
from meta.learners.explore_cfg import ExploreCfg, ExplorerCfg
from meta.learners.ppo import Drawn, improve
from meta.learners.rma import Rma
from meta.learners.tuning import tune
from meta.machine.distributed import averaged
from meta.objectives.policy_gradient import mean_valid
from meta.theta import Params, Theta, group, module_params, prefixed
from policies.acting import RecurrentPolicy
from policies.distribution import Distribution, distribution, parts
from policies.mlp import MlpPolicy, PolicyCfg


class Explore:
    """A teacher, an adapter that takes its place, and an explorer that helps it.

    Args:
        cfg: how it is trained.
        adapter: infers what it acts on: RMA's, with the teacher whose place it takes,
            or another.
        explorer: what is added to the mean of the acting policy, and the spread.
    """

    inner_steps = 1
    title: ClassVar[str] = "RMA with an explorer"
    settings: ClassVar[type[Any]] = ExploreCfg
    adapting: ClassVar[type[Any]] = Rma
    """The class of its adapter."""

    @classmethod
    def build(
        cls,
        settings: Any,  # noqa: ANN401  (an instance of the class's own `settings`)
        network: PolicyCfg,
        sizes: Sizes,
        rng: torch.Generator,
    ) -> "Explore":
        """Make one; see `LearnerClass.build`.

        The adapter is drawn as it draws itself.
        """
        adapter = cls.adapting.build(settings.adapter, network, sizes, rng)
        explorer = MlpPolicy(
            # scaled observation, inferred latent, count of steps
            sizes.obs + adapter.policy.latent_dim + 1,
            sizes.action,
            PolicyCfg(
                hidden=network.hidden,
                initial_std=settings.explorer_std,
                min_std=network.min_std,
            ),
            rng,
            discrete=sizes.discrete,
        )
        nn.init.zeros_(explorer.get_parameter(f"mean.{len(explorer.mean) - 1}.weight"))
        return cls(settings, adapter, explorer)

    def __init__(
        self, cfg: ExplorerCfg, adapter: Adapter[Any], explorer: MlpPolicy
    ) -> None:
        self.cfg = cfg
        self.adapter = adapter
        self.explorer = explorer

    def stage(self, progress: float) -> tuple[Learner, float]:
        """The teacher first, then the adapter alone, then all but the teacher."""
        learner, left = self.adapter.stage(progress)
        settled = learner is self.adapter and 1 - left >= self.cfg.explore_after
        return (self if settled else learner), left

    def initial(self, obs_dim: int) -> Theta:
        """Return the adapter's theta, and the explorer's parameters."""
        explorer = prefixed("explorer", module_params(self.explorer))
        return self.adapter.initial(obs_dim) | explorer

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return those of the adapter, and the explorer's."""
        own = [v.requires_grad_() for v in _leaves(theta, "explorer/")]
        return self.adapter.trainable(theta) + own

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return an empty memory."""
        return self.adapter.begin(theta, tasks)

    def act(self, theta: Theta, adaptation: Params) -> RecurrentPolicy:
        """Act on the latent inferred from all steps so far."""
        return self.adapter.act(theta, adaptation)

    def explore(self, theta: Theta, adaptation: Params) -> RecurrentPolicy:
        """Act so that the steps tell of the latent."""

        def policy(
            obs: Float[Tensor, "world obs"], memory: Float[Tensor, "world memory"]
        ) -> Distribution:
            latent = self.adapter.infer(theta, memory)
            return self._explorer(theta, self._seen(theta, obs, latent, memory))

        return self.act(theta, adaptation)._replace(policy=policy)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Remember the experience."""
        return self.adapter.adapt(theta, adaptation, experience)

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Improve explorer and acting policy, then the adapter that they acted on."""
        metrics = self._learn_to_explore(theta, optimizer, experiences)
        if self.cfg.tuning_rate:
            metrics |= self._tune(theta, optimizer, *experiences)
        return metrics | self.adapter.learn_to_infer(theta, optimizer, experiences)

    @property
    def relives(self) -> bool:
        """True if the adapter learns from earlier iterations, too."""
        return isinstance(self.adapter, Relives) and self.adapter.relives

    def relive(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        kept: Theta,
        experiences: Sequence[Experience],
        rng: torch.Generator,
    ) -> Theta:
        """Let the adapter learn from what is kept."""
        assert isinstance(self.adapter, Relives)
        return self.adapter.relive(theta, optimizer, kept, experiences, rng)

    def _learn_to_explore(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Take PPO's steps on what the adapter was told."""
        e = experiences[0].whole
        with torch.no_grad():
            steps = self.adapter.summarise(theta, transitions(e))
            before = sums_before(steps)
            start = self.adapter.begin(theta, len(e.valid))["memory"][:, None, None]
            latent = self.adapter.infer(theta, start, before)
            error = self.adapter.error(theta, latent, experiences)
            last = self.adapter.infer(theta, start, steps.sum(2, keepdim=True))
            left = self.adapter.error(theta, last, experiences)
            told = leave_one_out(error - left)
            scale = averaged(mean_valid(told.square(), e.valid)).sqrt()
            seen = self._seen(theta, e.obs, latent, before)
        drawn = Drawn(e.action, e.old, told / scale.clamp(min=1e-8), e.valid)
        kl = improve(
            self.adapter.cfg.ppo,
            optimizer,
            _leaves(theta, "explorer/"),
            lambda: self._explorer(theta, seen),
            drawn,
            self.cfg.explorer_rate,
        )
        share = 1 - averaged(left.mean()) / averaged(error[..., 0].mean())
        return {"told": share.item(), "explorer_kl": kl}

    def _tune(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        adapting: Experience,
        measuring: Experience,
    ) -> Metrics:
        """Take PPO's steps of the acting policy on what it was measured in."""
        start = self.adapter.begin(theta, len(adapting.valid))
        adapted = self.adapter.adapt(theta, start, adapting)
        phases, rate = [(adapted, measuring)], self.cfg.tuning_rate
        return tune(self.adapter, theta, optimizer, phases, rate)

    def _seen(
        self,
        theta: Theta,
        obs: Float[Tensor, "*batch obs"],
        latent: Float[Tensor, "*batch latent"],
        memory: Float[Tensor, "*batch memory"],
    ) -> "Seen":
        """Return what the explorer sees; what is hidden at an observation's end, not.

        Args:
            theta: all that is learned.
            obs: observations.
            latent: inferred from the steps so far.
            memory: ends with the number of these steps.
        """
        obs = standardised(theta, obs)
        with torch.no_grad():
            acting, _ = parts(self.adapter.decide(theta, obs, latent))
        visible, taken = obs[..., : self.adapter.policy.obs_dim], memory[..., -1:]
        read = torch.cat([visible, latent, 0.2 * taken.log1p()], dim=-1)
        return Seen(acting, read)

    def _explorer(self, theta: Theta, seen: "Seen") -> Distribution:
        """Return the acting policy's distribution, corrected."""
        own = functional_call(self.explorer, group(theta, "explorer"), (seen.read,))
        correction, log_std = parts(own.whole())
        return distribution(seen.acting + correction, log_std)


class Seen(NamedTuple):
    """All that the explorer's distribution is made of."""

    acting: Float[Tensor, "*batch action"]
    """Mean of the acting policy, or its logits."""
    read: Float[Tensor, "*batch features"]
    """Standardised observation, inferred latent, and count of the steps so far."""


def leave_one_out(
    x: Float[Tensor, "task episode time"],
) -> Float[Tensor, "task episode time"]:
    """Subtract the mean over the task's other episodes, at the same step.

    A task of one episode has no other: then the other tasks' take their place.
    """
    axis = 1 if x.shape[1] > 1 else 0
    others = (x.sum(axis, keepdim=True) - x) / max(1, x.shape[axis] - 1)
    return x - others


def _leaves(theta: Theta, prefix: str) -> list[Tensor]:
    return [v for k, v in theta.items() if k.startswith(prefix)]
