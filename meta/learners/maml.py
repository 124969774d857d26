"""MAML-PPO: a policy that one or a few gradient steps adapt to its task.

Inner step (per task), on experience drawn with parameters phi_j:

    phi_{j+1} = phi_j - rate * grad_phi L(phi_j),   L = -mean[ratio(phi) * A]

with the likelihood ratio to phi_j's own distribution (ProMP, Rothfuss et al. 2019,
arXiv 1810.06784), step sizes learned per parameter (Meta-SGD, Li et al. 2017,
arXiv 1707.09835) in log space, and A either an advantage estimate or learned (see
`advantage.py`, after NoRML, Yang et al. 2019, arXiv 1903.01063). Outer step:
PPO's clipped loss of the adapted policies, differentiated through the inner steps, plus
KL penalties that keep each phase near the policy that drew its data. Nothing in that
asks the unadapted policy to act well, so its own loss can be added with a weight. With
no inner step it is PPO over all tasks: domain randomisation, or the oracle if told.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from meta.experience.batch import (
    Batch,
    at_once,
    fresh_scales,
    make_batch,
    refresh_scales,
)
from meta.experience.moments import standardised
from meta.experience.rollout import Experience
from meta.experience.window import remembering, window_width
from meta.learner import Metrics, Sizes
from meta.learners.advantage import LearnedAdvantage, inner_weights
from meta.learners.critic import CRITIC, Critic
from meta.learners.maml_cfg import MamlCfg
from meta.machine.distributed import average_gradients, averaged
from meta.objectives.policy_gradient import clipped_surrogate, inner_loss, mean_valid
from meta.theta import Params, Theta, group, module_params, prefixed
from policies.acting import Act
from policies.distribution import Distribution, divergence, shift
from policies.mlp import MlpPolicy, PolicyCfg

_TRAINED = ("policy", "log_rate", "advantage", CRITIC)


class Maml:
    """The learner. It keeps no state: all that is learned is in `Theta`.

    Args:
        cfg: how it adapts.
        policy: the policy module; its parameters are only the initial ones.
        advantage: a `LearnedAdvantage`, if the inner advantage is learned.
        critic: the baseline of training, if it is a network.
        window: features of the window that the policy reads after the observation.
    """

    title: ClassVar[str] = "MAML-PPO"
    settings: ClassVar[type[MamlCfg]] = MamlCfg

    @classmethod
    def build(
        cls, settings: MamlCfg, network: PolicyCfg, sizes: Sizes, rng: torch.Generator
    ) -> "Maml":
        """Make one; see `LearnerClass.build`.

        The hidden parameters, if `sizes` has any, are part of the observation.
        """
        obs_dim = sizes.obs + sizes.hidden
        window = window_width(obs_dim, sizes.action, settings.window)
        read = obs_dim + window
        policy = MlpPolicy(read, sizes.action, network, rng, discrete=sizes.discrete)
        advantage = None
        if settings.learned_advantage:
            # features: what the policy reads, change of the observation, reward
            width, hidden = read + obs_dim + 1, network.hidden[-1]
            weighed = settings.weighed_summary
            advantage = LearnedAdvantage(
                width, sizes.action, hidden=hidden, rng=rng, weighed=weighed
            )
        critic = Critic.build(settings, read, network, sizes, rng)
        return cls(settings, policy, advantage, critic=critic, window=window)

    def __init__(
        self,
        cfg: MamlCfg,
        policy: nn.Module,
        advantage: nn.Module | None = None,
        *,
        critic: Critic | None = None,
        window: int = 0,
    ) -> None:
        if cfg.learned_advantage != (advantage is not None):
            raise ValueError("learned_advantage needs an advantage module, and only it")
        self.cfg = cfg
        self.policy = policy
        self.advantage = advantage
        self.critic = critic
        self.window = window

    @property
    def inner_steps(self) -> int:
        """Gradient steps of adaptation."""
        return self.cfg.inner_steps

    def stage(self, progress: float) -> tuple["Maml", float]:
        """Itself; before that, if it warms up, the same policy without adaptation."""
        share = self.cfg.warm_up if self.cfg.inner_steps else 0.0
        if progress < share:
            cfg = self.cfg.without_adaptation()
            own = Maml(cfg, self.policy, critic=self.critic, window=self.window)
            return own, 1 - progress / share
        return self, 1 - (progress - share) / (1 - share)

    def initial(self, obs_dim: int) -> Theta:
        """Untrained parameters, and the moments and baseline that updates refresh."""
        params = module_params(self.policy)
        theta = prefixed("policy", params)
        if self.cfg.inner_steps:
            log_rate = torch.tensor(self.cfg.inner_rate).log()
            rates = {k: log_rate.expand_as(v).clone() for k, v in params.items()}
            theta |= prefixed("log_rate", rates)
        if self.advantage is not None:
            theta |= prefixed("advantage", module_params(self.advantage))
        theta |= self.critic.initial() if self.critic else {}
        return theta | fresh_scales(obs_dim)

    def trainable(self, theta: Theta) -> list[Tensor]:
        """The tensors that the optimiser changes, as leaves that require gradients."""
        kinds = [k for k in _TRAINED if k != "log_rate" or self.cfg.learn_rates]
        names = [k for k in theta if k.split("/")[0] in kinds]
        return [theta[k].requires_grad_() for k in names]

    def begin(self, theta: Theta, tasks: int) -> Params:
        """The adaptation before any experience: the policy's parameters, per task."""
        policy = group(theta, "policy")
        return {k: v.detach().expand(tasks, *v.shape) for k, v in policy.items()}

    def act(self, theta: Theta, adaptation: Params) -> Act:
        """Return the adapted policies, for worlds grouped by task."""
        tasks = len(next(iter(adaptation.values())))

        def whole(params: Params, read: Tensor) -> Distribution:
            return self._distribution(params, read).whole()

        def decide(read: Float[Tensor, "world features"]) -> Distribution:
            dist = vmap(whole)(adaptation, read.unflatten(0, (tasks, -1)))
            return type(dist)(*(x.flatten(0, 1) for x in dist))

        if not self.window:
            return lambda obs: decide(standardised(theta, obs))
        return remembering(theta, decide, tasks, self.window)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """One inner step on the experience that `adaptation` itself collected."""
        batch = self.inner_batch(theta, experience)
        detached = {k: v.detach() for k, v in theta.items()}
        in_dims, chunk = (None, 0, 0), at_once(batch)
        step = vmap(self._inner_step, in_dims=in_dims, chunk_size=chunk)
        return step(detached, adaptation, batch)[0]

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Meta-gradient steps on one experience per inner step and one to measure.

        Changes the tensors of `theta` in place.
        """
        *pre, post = experiences
        inner = [self.inner_batch(theta, e) for e in pre]
        outer = self.outer_batch(theta, post)
        leaves = [p for g in optimizer.param_groups for p in g["params"]]
        metrics: Metrics = {}
        parts: Mapping[str, Tensor] = {}
        for epoch in range(self.cfg.epochs):
            loss, parts = self.objective(theta, inner, outer)
            parts = {k: averaged(v) for k, v in parts.items()}
            if epoch and parts["outer_kl"] > self.cfg.max_kl:
                break
            optimizer.zero_grad()
            loss.backward()
            average_gradients(leaves)
            norm = nn.utils.clip_grad_norm_(leaves, self.cfg.max_grad_norm)
            if not torch.isfinite(norm):
                raise FloatingPointError(f"the meta-gradient's norm is {norm.item()}")
            optimizer.step()
            if epoch == 0:
                metrics["grad_norm"] = norm.item()
        metrics |= {k: v.item() for k, v in parts.items()}
        if critic := self.critic:
            metrics["value_error"] = critic.fit(theta, optimizer, [(outer.obs, post)])
        refresh_scales(theta, experiences[0], self.cfg.discount)
        return metrics

    def inner_batch(self, theta: Theta, experience: Experience) -> Batch:
        """Experience to adapt on."""
        c, pooled = self.cfg, self.cfg.inner_baseline == "pooled"
        scale = theta, experience, c.discount, c.trace
        return make_batch(*scale, window=c.window, pooled=pooled)

    def outer_batch(self, theta: Theta, experience: Experience) -> Batch:
        """Experience to measure on."""
        c, critic = self.cfg, self.critic and self.critic.values(theta)
        scale, central = (theta, experience, c.discount, c.trace), c.critic == "all"
        return make_batch(*scale, window=c.window, central=central, critic=critic)

    def objective(
        self, theta: Theta, inner: Sequence[Batch], outer: Batch
    ) -> tuple[Float[Tensor, ""], Mapping[str, Float[Tensor, ""]]]:
        """The meta-loss, mean over tasks, and its parts."""
        in_dims, chunk = (None, 0, 0), at_once(outer)
        mapped = vmap(self._task_loss, in_dims=in_dims, chunk_size=chunk)
        surrogate, inner_kl, outer_kl = mapped(theta, tuple(inner), outer)
        loss = surrogate.mean() + self.cfg.inner_kl * inner_kl.mean()
        return loss, {
            "loss": loss.detach(),
            "inner_kl": inner_kl.mean().detach(),
            "outer_kl": outer_kl.mean().detach(),
        }

    def acted(self, theta: Theta, inner: Sequence[Batch], outer: Batch) -> Distribution:
        """Distributions at the measured steps; see `Reproduces.acted`."""

        def one(theta: Theta, inner: tuple[Batch, ...], obs: Tensor) -> Distribution:
            params, _ = self._adapted(theta, inner)
            return self._distribution(params, obs).whole()

        mapped = vmap(one, in_dims=(None, 0, 0), chunk_size=at_once(outer))
        return mapped(theta, tuple(inner), outer.obs)

    def _task_loss(
        self, theta: Theta, inner: tuple[Batch, ...], outer: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        params, kl = self._adapted(theta, inner)
        surrogate, new = self._surrogate(params, outer)
        if inner and self.cfg.unadapted:
            own, _ = self._surrogate(group(theta, "policy"), inner[0])
            surrogate = surrogate + self.cfg.unadapted * own
        outer_kl = mean_valid(divergence(outer.old, new), outer.valid)
        return surrogate, kl, outer_kl.detach()

    def _adapted(
        self, theta: Theta, inner: tuple[Batch, ...]
    ) -> tuple[Params, Float[Tensor, ""]]:
        """One task's parameters after the inner steps, and the sum of the steps' KL."""
        params = group(theta, "policy")
        kl = torch.zeros((), device=next(iter(params.values())).device)
        for batch in inner:
            params, phase_kl = self._inner_step(theta, params, batch)
            kl = kl + phase_kl
        return params, kl

    def _surrogate(self, params: Params, batch: Batch) -> tuple[Tensor, Distribution]:
        """PPO's clipped loss of a policy, and its distribution."""
        new = self._distribution(params, batch.obs)
        loss = clipped_surrogate(
            new.log_prob(batch.action),
            batch.old_log_prob,
            batch.advantage,
            batch.valid,
            self.cfg.clip,
        )
        return loss, new

    def _inner_step(
        self, theta: Theta, params: Params, batch: Batch
    ) -> tuple[Params, Float[Tensor, ""]]:
        """One task's step, and KL(sampling policy || policy before the step)."""
        weights = inner_weights(self.advantage, theta, batch)

        def loss(p: Params) -> tuple[Tensor, Tensor]:
            new = self._distribution(p, batch.obs)
            log_prob = new.log_prob(batch.action)
            moved = shift(batch.old, new)
            total = inner_loss(
                self.cfg.inner_loss,
                log_prob,
                batch.old_log_prob,
                weights.advantage,
                batch.valid,
            ) - mean_valid((weights.push * moved).sum(-1), batch.valid)
            return total, mean_valid(divergence(batch.old, new), batch.valid)

        gradient, kl = grad(loss, has_aux=True)(params)
        if self.cfg.first_order:
            gradient = {k: g.detach() for k, g in gradient.items()}
        rates = group(theta, "log_rate")
        stepped = {k: v - rates[k].exp() * gradient[k] for k, v in params.items()}
        return stepped, kl

    def _distribution(
        self, params: Params, obs: Float[Tensor, "... obs"]
    ) -> Distribution:
        return functional_call(self.policy, params, (obs,))
