"""RL²: a policy whose memory goes on through all episodes of a trial.

It learns to learn by reinforcement learning alone (Duan et al. 2016, arXiv 1611.02779;
Wang et al. 2016, arXiv 1611.05763): at each step the memory reads the observation and
what the step before brought, its action, its reward, the change that it made, and
whether an episode ended with it. The adaptation is the memory's state after the
episodes so far, and within an episode the memory goes on. The policy reads the
observation and the last step beside the memory, which need not pass them on.

PPO (Schulman et al. 2017, arXiv 1707.06347) learns from whole trials, each read as one
sequence. A trial is one long episode to it: return, discount and advantage go on
across the episodes' ends, so that an early episode is worth what it tells for the later
ones, discounted by the steps between. The end of the trial is worth nothing, for its
number of episodes is part of the task; the value knows how much of it has gone by.

The memory is `sequential`: each adapting episode is played in the knowledge of those
before, in training, in evaluation and in deployment.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from meta.experience import returns
from meta.experience.moments import fresh_moments, standardised, update_moments
from meta.experience.rollout import Experience
from meta.experience.trials import Trials, some_trials, trials_of
from meta.learner import Metrics, Sizes
from meta.learners.rl2_cfg import Rl2Cfg
from meta.learners.trial_memory import (
    MEMORY,
    TrialMemory,
    read_width,
    step_features,
    step_of,
)
from meta.machine.distributed import average_gradients, averaged, summed
from meta.objectives.policy_gradient import clipped_surrogate, mean_valid
from meta.theta import Params, Theta, group, module_params, prefixed
from policies.acting import RecurrentPolicy, Transition
from policies.attention import CausalTransformer
from policies.distribution import Distribution, divergence
from policies.mlp import Mlp, MlpPolicy, PolicyCfg
from policies.recurrent import Gru

_WORTH = "worth"
"""Group of the moments of returns, which scale what the value says."""


class Batch(NamedTuple):
    """Trials as the loss reads them."""

    trials: Trials
    old_log_prob: Float[Tensor, "trial step"]
    advantage: Float[Tensor, "trial step"]
    target: Float[Tensor, "trial step"]
    """The return that the value is to say, standardised."""


class Rl2:
    """A memory, a policy that reads it, and a value for training.

    Args:
        cfg: how it is trained.
        memory: reads the trial.
        policy: reads the observation, and what is remembered.
        value: reads the same, and how much of the trial has gone by.
    """

    title: ClassVar[str] = "RL²"
    settings: ClassVar[type[Rl2Cfg]] = Rl2Cfg
    sequential: ClassVar[bool] = True

    @classmethod
    def build(
        cls, settings: Rl2Cfg, network: PolicyCfg, sizes: Sizes, rng: torch.Generator
    ) -> "Rl2":
        """Make one; see `LearnerClass.build`."""
        obs, act, width = sizes.obs + sizes.hidden, sizes.action, settings.width
        features = read_width(obs, act)
        if settings.memory == "gru":
            reader = Gru(features, width, rng)
        else:
            reader = CausalTransformer(
                features,
                width,
                layers=settings.layers,
                heads=settings.heads,
                context=settings.context,
                rng=rng,
            )
        memory = TrialMemory(reader, obs, act)
        seen = obs + memory.width
        policy = MlpPolicy(seen, act, network, rng, discrete=sizes.discrete)
        value = Mlp([seen + 2, *network.hidden, 1], last_gain=0.1, rng=rng)
        return cls(settings, memory, policy, value)

    def __init__(
        self, cfg: Rl2Cfg, memory: TrialMemory, policy: MlpPolicy, value: Mlp
    ) -> None:
        self.cfg = cfg
        self.memory, self.policy, self.value = memory, policy, value

    @property
    def inner_steps(self) -> int:
        """Episodes that are read before a trial's last."""
        return self.cfg.inner_steps

    def stage(self, progress: float) -> tuple["Rl2", float]:
        """Return itself, and the fraction of training that remains."""
        return self, 1 - progress

    def initial(self, obs_dim: int) -> Theta:
        """Return untrained parameters, and fresh moments of steps and returns."""
        theta = prefixed(MEMORY, module_params(self.memory.network))
        theta |= prefixed("policy", module_params(self.policy))
        theta |= prefixed("value", module_params(self.value))
        return theta | fresh_moments(2 * obs_dim + 1) | fresh_moments(1, _WORTH)

    def trainable(self, theta: Theta) -> list[Tensor]:
        """Return all parameters."""
        names = [k for k in theta if k.split("/")[0] in (MEMORY, "policy", "value")]
        return [theta[k].requires_grad_() for k in names]

    def begin(self, theta: Theta, tasks: int) -> Params:
        """Return an empty memory."""
        return {"memory": self.memory.empty(theta, tasks)}

    def act(self, theta: Theta, adaptation: Params) -> RecurrentPolicy:
        """Act on the memory of all steps so far, this episode's too."""

        def policy(
            obs: Float[Tensor, "world obs"], memory: Float[Tensor, "world memory"]
        ) -> Distribution:
            return self._policy(theta, obs, self.memory.look(theta, obs, memory))

        def watch(
            memory: Float[Tensor, "world memory"], seen: Transition
        ) -> Float[Tensor, "world memory"]:
            return self.memory.watch(theta, memory, seen)

        return RecurrentPolicy(memory=adaptation["memory"], policy=policy, watch=watch)

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        """Read the experience, one episode after another."""
        trials = trials_of([experience])
        with torch.no_grad():
            _, memory = self.memory.read(theta, trials, adaptation["memory"])
        return {"memory": memory}

    def update(
        self,
        theta: Theta,
        optimizer: torch.optim.Optimizer,
        experiences: Sequence[Experience],
    ) -> Metrics:
        """Take PPO's steps on whole trials."""
        trials = trials_of(experiences)
        worth = returns.discounted(trials.reward, trials.valid, self.cfg.discount)
        update_moments(theta, worth[trials.fresh > 0][:, None], _WORTH)
        batch = self.batch(theta, trials)
        metrics: Metrics = {}
        for epoch in range(self.cfg.epochs):
            found = self._epoch(theta, optimizer, batch)
            # the value's error before it was told of these trials, or nearly
            before = metrics.get("value_error", found["value_error"])
            metrics = found | {"value_error": before, "epochs": epoch + 1.0}
            if found["kl"] > self.cfg.max_kl:
                break
        # not before: the policy that acted knew other moments
        update_moments(theta, step_features(step_of(trials))[trials.fresh > 0])
        return metrics

    def batch(self, theta: Theta, trials: Trials) -> Batch:
        """Estimate advantages by the value, and standardise them over all trials."""
        mean, spread = self._scale(theta)
        with torch.no_grad():
            value = self._outputs(theta, trials)[1] * spread + mean
        advantage = returns.gae(
            trials.reward, value, trials.valid, self.cfg.discount, self.cfg.trace
        )
        return Batch(
            trials=trials,
            old_log_prob=trials.old.log_prob(trials.action),
            advantage=_standardised(advantage, trials.fresh),
            target=(value + advantage - mean) / spread,
        )

    def objective(
        self, theta: Theta, batch: Batch
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """PPO's loss and the value's, mean over steps, and what to report of them."""
        trials = batch.trials
        new, value = self._outputs(theta, trials)
        surrogate = clipped_surrogate(
            new.log_prob(trials.action),
            batch.old_log_prob,
            batch.advantage,
            trials.fresh,
            self.cfg.clip,
        )
        error = mean_valid((value - batch.target).square(), trials.fresh)
        moved = mean_valid(divergence(trials.old, new), trials.fresh)
        told = {"loss": surrogate, "value_error": error, "kl": moved}
        loss = surrogate + self.cfg.value_weight * error
        return loss, {name: part.detach() for name, part in told.items()}

    def _epoch(
        self, theta: Theta, optimizer: torch.optim.Optimizer, batch: Batch
    ) -> Metrics:
        """Go through all trials once, and return means over the steps taken."""
        leaves = [p for g in optimizer.param_groups for p in g["params"]]
        count = min(self.cfg.minibatches, len(batch.advantage))
        sums: Metrics = {}
        for start in range(count):
            loss, parts = self.objective(theta, _part(batch, slice(start, None, count)))
            optimizer.zero_grad()
            loss.backward()
            average_gradients(leaves)
            norm = nn.utils.clip_grad_norm_(leaves, self.cfg.max_grad_norm)
            if not torch.isfinite(norm):
                raise FloatingPointError(f"the gradient's norm is {norm.item()}")
            optimizer.step()
            found = {k: averaged(v).item() for k, v in parts.items()}
            for name, x in (found | {"grad_norm": norm.item()}).items():
                sums[name] = sums.get(name, 0.0) + x / count
        return sums

    def _outputs(
        self, theta: Theta, trials: Trials
    ) -> tuple[Distribution, Float[Tensor, "trial step"]]:
        """Return the policy at each step, and the standardised value."""
        features, _ = self.memory.read(theta, trials)
        scaled = standardised(theta, trials.obs)
        x = torch.cat([scaled, features, trials.clock], dim=-1)
        value = functional_call(self.value, group(theta, "value"), (x,))
        return self._policy(theta, trials.obs, features), value[..., 0]

    def _policy(
        self,
        theta: Theta,
        obs: Float[Tensor, "*batch obs"],
        features: Float[Tensor, "*batch width"],
    ) -> Distribution:
        x = torch.cat([standardised(theta, obs), features], dim=-1)
        return functional_call(self.policy, group(theta, "policy"), (x,))

    def _scale(self, theta: Theta) -> tuple[Tensor, Tensor]:
        """Return mean and spread of the returns so far."""
        like = theta[next(k for k in theta if k.startswith("value/"))]
        count = theta[f"{_WORTH}/count"].clamp(min=1)
        spread = (theta[f"{_WORTH}/square"] / count).sqrt().clamp(min=1e-6)
        return theta[f"{_WORTH}/mean"].to(like.dtype), spread.to(like.dtype)


def _standardised(
    x: Float[Tensor, "trial step"], fresh: Float[Tensor, "trial step"]
) -> Float[Tensor, "trial step"]:
    """Return (x - mean) / std, over the steps of every process."""
    count = summed(fresh.sum()).clamp(min=1)
    centred = x - summed((x * fresh).sum()) / count
    spread = (summed((centred.square() * fresh).sum()) / count).sqrt()
    return centred / (spread + 1e-8)


def _part(batch: Batch, keep: slice) -> Batch:
    """Return some of the trials."""
    trials, *rest = batch
    return Batch(some_trials(trials, keep), *(x[keep] for x in rest))
