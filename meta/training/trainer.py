"""The meta-training loop, the same for every learner."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from meta.experience.batch import limit_episodes
from meta.experience.rollout import (
    Experience,
    Rollout,
    by_task,
    collect,
    concatenate,
    with_others,
)
from meta.learner import Learner, Metrics, Relives, exploring, sequential
from meta.machine.devices import simulator_threads
from meta.machine.distributed import averaged, share
from meta.machine.seeds import derived_generator, derived_seed
from meta.theta import Theta, on_device
from meta.training.config import TrainCfg
from tasks.contract import Worlds

INITIAL, TASKS, COLLECT, RELIVE = 0, 1, 2, 5
"""Streams of random numbers of a run."""


@runtime_checkable
class Training(Protocol):
    """A run's live state; between iterations it is theta and the optimiser alone."""

    @property
    def cfg(self) -> TrainCfg:
        """Configuration of the run."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser that changes theta."""
        ...

    theta: Theta
    memory: Theta
    """All that is kept beside theta, in checkpoints too: by a learner that `Relives`,
    or in a run whose tasks arrive in pieces."""
    iteration: int
    env_steps: int

    def step(self) -> Metrics:
        """One iteration."""
        ...


class Trainer:
    """A run's live state; between iterations it is theta, optimiser and memory alone.

    Every random number is drawn from (seed, iteration), so that a run continued from
    iteration i is the run that was never interrupted.

    Args:
        cfg: what to train.
        env: its worlds, or this process's share of them.
        learner: what learns.

    Raises:
        ValueError: for a learner that has nothing to train.
    """

    def __init__(self, cfg: TrainCfg, env: Worlds, learner: Learner) -> None:
        self.cfg, self.env, self.learner = cfg, env, learner
        self.theta = on_device(learner.initial(env.obs_dim), env.device)
        leaves = learner.trainable(self.theta)
        if not leaves:
            raise ValueError(
                f"the learner of method {cfg.method!r} has nothing to train: its "
                "trainable() returned no tensor"
            )
        self.optimizer = torch.optim.Adam(leaves, lr=cfg.learner.rate)
        self.memory: Theta = {}
        self.iteration, self.env_steps = 0, 0

    def step(self) -> Metrics:
        """One meta-iteration: sample tasks, collect, adapt, collect, update."""
        cfg, env = self.cfg, self.env
        learner, left = self.learner.stage(self.progress())
        rank, size = share()
        # the first process draws as one that is alone
        entropy = (cfg.seed, COLLECT, self.iteration, *([rank] if rank else []))
        rng = derived_generator(*entropy, device=env.device)
        seed = derived_seed(cfg.seed, TASKS, self.iteration)
        count = cfg.tasks // size
        tasks = self.draw(seed)[rank * count :][:count]
        env.assign([task for task in tasks for _ in range(cfg.episodes)])
        # of episodes in sequence, each world has its own
        groups = env.worlds if sequential(learner) else count
        team = env.family.team if groups == count else 1
        adaptation = learner.begin(self.theta, groups)
        rollouts: list[Rollout] = []
        experiences: list[Experience] = []
        with simulator_threads():
            for _ in range(learner.inner_steps):
                policies = exploring(learner, self.theta, adaptation)
                rollouts.append(collect(env, policies, rng))
                experience = with_others(by_task(rollouts[-1], groups), team)
                experiences.append(self.limited(experience, rng))
                adaptation = learner.adapt(self.theta, adaptation, experiences[-1])
            act = learner.act(self.theta, adaptation)
            left_to_measure = cfg.phases - learner.inner_steps
            rounds = [collect(env, act, rng) for _ in range(left_to_measure)]
        rollouts.append(concatenate(rounds, groups))
        experiences.append(with_others(by_task(rollouts[-1], groups), team))
        for entry in self.optimizer.param_groups:
            entry["lr"] = cfg.learner.rate * max(0.0, left)
        metrics = self.learn(learner, experiences)
        self.iteration += 1
        self.env_steps += size * sum(r.env_steps for r in rollouts)
        return {"env_steps": float(self.env_steps)} | _summary(rollouts) | metrics

    def progress(self) -> float:
        """Return the share of training that has passed."""
        return self.iteration / self.cfg.iterations

    def draw(self, seed: int) -> Sequence[Any]:
        """Draw the tasks of an iteration, those of all processes, as its worlds do."""
        return self.env.family.sample("train", seed, self.cfg.tasks)

    def limited(self, e: Experience, rng: torch.Generator) -> Experience:
        """Leave out episodes to adapt on: a number drawn per task stays."""
        counts = torch.tensor(self.cfg.learner.adapt_episodes, device=e.valid.device)
        if not len(counts):
            return e
        drawn = torch.randint(
            len(counts), (len(e.valid),), generator=rng, device=counts.device
        )
        return limit_episodes(e, counts[drawn])

    def learn(self, learner: Learner, experiences: list[Experience]) -> Metrics:
        """Update theta with an iteration's experience, and with what is kept."""
        metrics = learner.update(self.theta, self.optimizer, experiences)
        if isinstance(learner, Relives) and learner.relives:
            entropy = (self.cfg.seed, RELIVE, self.iteration)
            rng = derived_generator(*entropy, device=self.env.device)
            self.memory = learner.relive(
                self.theta, self.optimizer, self.memory, experiences, rng
            )
        return metrics


def _summary(rollouts: list[Rollout]) -> Metrics:
    pre, post = rollouts[0], rollouts[-1]
    faults = torch.stack([r.fault.sum() for r in rollouts]).sum().float()
    means = {
        "return_pre": pre.returns.mean(),
        "return_post": post.returns.mean(),
        "success_pre": pre.success.float().mean(),
        "success_post": post.success.float().mean(),
        "faults": faults * share().size,
        "std": post.policy.std.mean(),
    }
    return {name: averaged(value).item() for name, value in means.items()}
