"""The meta-training loop, the same for every learner."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from meta.experience.batch import limit_episodes
from meta.experience.rollout import Experience, Rollout, by_task, collect, concatenate
from meta.learner import Learner, Metrics
from meta.learners.advantage import LearnedAdvantage
from meta.learners.maml import Maml
from meta.learners.rma import History
from meta.machine.distributed import averaged, local_threads, share
from meta.theta import Theta, on_device
from meta.training.config import HISTORY_METHODS, TrainCfg
from policies.mlp import MlpPolicy
from policies.privileged import PrivilegedPolicy
from robots.sim.simulator import check_device
from tasks.contract import Worlds
from tasks.registry import find_family, make_env

_STREAMS = {"initial": 0, "tasks": 1, "collect": 2}


@runtime_checkable
class Training(Protocol):
    """A run's live state; between iterations it is theta and the optimiser alone."""

    @property
    def cfg(self) -> TrainCfg:
        """What is trained."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What changes theta."""
        ...

    theta: Theta
    iteration: int
    env_steps: int

    def step(self) -> Metrics:
        """One iteration."""
        ...


@dataclass(slots=True, kw_only=True)
class Trainer:
    """A run's live state; between iterations it is theta and the optimiser alone.

    Every random number is drawn from (seed, iteration), so that a run continued from
    iteration i is the run that was never interrupted.
    """

    cfg: TrainCfg
    env: Worlds
    learner: Learner
    theta: Theta
    optimizer: torch.optim.Adam
    iteration: int = 0
    env_steps: int = 0

    def step(self) -> Metrics:
        """One meta-iteration: sample tasks, collect, adapt, collect, update."""
        cfg, env = self.cfg, self.env
        learner, left = self.learner.stage(self.iteration / cfg.iterations)
        rank, size = share()
        rng = _generator(cfg.seed, "collect", self.iteration, env.device, rank)
        seed = _seed(cfg.seed, "tasks", self.iteration)
        count = cfg.tasks // size
        tasks = env.family.sample("train", seed, cfg.tasks)[rank * count :][:count]
        env.assign([task for task in tasks for _ in range(cfg.episodes)])
        adaptation = learner.begin(self.theta, count)
        rollouts: list[Rollout] = []
        experiences: list[Experience] = []
        with simulator_threads():
            for _ in range(learner.inner_steps):
                rollouts.append(collect(env, learner.act(self.theta, adaptation), rng))
                experience = by_task(rollouts[-1], count)
                experiences.append(_limited(experience, cfg, rng))
                adaptation = learner.adapt(self.theta, adaptation, experiences[-1])
            act = learner.act(self.theta, adaptation)
            left_to_measure = cfg.phases - learner.inner_steps
            rounds = [collect(env, act, rng) for _ in range(left_to_measure)]
        rollouts.append(concatenate(rounds, count))
        experiences.append(by_task(rollouts[-1], count))
        for entry in self.optimizer.param_groups:
            entry["lr"] = cfg.learner.rate * max(0.0, left)
        metrics = learner.update(self.theta, self.optimizer, experiences)
        self.iteration += 1
        self.env_steps += size * sum(r.env_steps for r in rollouts)
        return {"env_steps": float(self.env_steps)} | _summary(rollouts) | metrics


def pick_device(name: str) -> str:
    """The device that `auto` stands for: cuda where torch finds one, else cpu.

    Raises:
        ValueError: for a device that is not here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(check_device(name))


def make_training(cfg: TrainCfg) -> Training:
    """A run at its first iteration, by whoever trains its method.

    Raises:
        ValueError: as `make_trainer`, or without Stable-Baselines3 where it is needed.
    """
    trainer = make_trainer(cfg)
    if cfg.method != "dr-sb3":
        return trainer
    if share().size > 1 or trainer.env.device.type != "cpu":
        raise ValueError("dr-sb3 trains in one process, on the cpu")
    try:
        from meta.training.sb3 import Sb3Trainer
    except ImportError as error:
        raise ValueError(
            "dr-sb3 needs Stable-Baselines3: pip install 'pliant[sb3]'"
        ) from error
    return Sb3Trainer(cfg, trainer.env, trainer.learner)


def make_trainer(cfg: TrainCfg) -> Trainer:
    """A run at its first iteration, or this process's share of it.

    Raises:
        ValueError: for tasks that cannot be shared out equally, or a device that is not
            here.
    """
    size = share().size
    if cfg.tasks % size:
        raise ValueError(
            f"{cfg.tasks} tasks cannot be shared equally by {size} processes"
        )
    env = make_env(
        find_family(cfg.family, cfg.device),
        worlds=cfg.worlds // size,
        oracle=cfg.privileged,
        threads=cfg.threads or local_threads(),
    )
    learner = make_learner(cfg, env)
    theta = on_device(learner.initial(env.obs_dim), env.device)
    optimizer = torch.optim.Adam(learner.trained(theta), lr=cfg.learner.rate)
    return Trainer(cfg=cfg, env=env, learner=learner, theta=theta, optimizer=optimizer)


def make_learner(cfg: TrainCfg, env: Worlds) -> Learner:
    """The learner of a configuration, with freshly drawn modules."""
    rng = _generator(cfg.seed, "initial", 0)
    hidden, initial_std, min_std = cfg.hidden, cfg.initial_std, cfg.min_std
    if cfg.method in HISTORY_METHODS:
        visible = env.family.obs_dim
        told = PrivilegedPolicy(
            visible,
            env.obs_dim - visible,
            env.action_dim,
            latent=cfg.history.latent,
            hidden=hidden,
            initial_std=initial_std,
            min_std=min_std,
            rng=rng,
        )
        teacher = Maml(cfg.learner, told)
        return History(
            cfg.history, teacher, told, env.action_dim, hidden=hidden[-1], rng=rng
        )
    policy = MlpPolicy(
        env.obs_dim,
        env.action_dim,
        hidden=hidden,
        initial_std=initial_std,
        min_std=min_std,
        rng=rng,
    )
    advantage = None
    if cfg.learner.learned_advantage:
        # features: observation, its change, reward
        width = 2 * env.obs_dim + 1
        advantage = LearnedAdvantage(width, env.action_dim, hidden=hidden[-1], rng=rng)
    return Maml(cfg.learner, policy, advantage)


@contextmanager
def simulator_threads() -> Generator[None]:
    """Within: one torch thread, so that torch and the simulator do not fight."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _limited(e: Experience, cfg: TrainCfg, rng: torch.Generator) -> Experience:
    counts = torch.tensor(cfg.learner.adapt_episodes, device=e.valid.device)
    if not len(counts):
        return e
    drawn = torch.randint(
        len(counts), (len(e.valid),), generator=rng, device=counts.device
    )
    return limit_episodes(e, counts[drawn])


def _summary(rollouts: list[Rollout]) -> Metrics:
    pre, post = rollouts[0], rollouts[-1]
    faults = torch.stack([r.fault.sum() for r in rollouts]).sum().float()
    means = {
        "return_pre": pre.returns.mean(),
        "return_post": post.returns.mean(),
        "success_pre": pre.success.float().mean(),
        "success_post": post.success.float().mean(),
        "faults": faults * share().size,
        "std": post.log_std.exp().mean(),
    }
    return {name: averaged(value).item() for name, value in means.items()}


def _seed(seed: int, stream: str, iteration: int, rank: int = 0) -> int:
    entropy = [seed, _STREAMS[stream], iteration, *([rank] if rank else [])]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def _generator(
    seed: int,
    stream: str,
    iteration: int,
    device: torch.device | str = "cpu",
    rank: int = 0,
) -> torch.Generator:
    return torch.Generator(device).manual_seed(_seed(seed, stream, iteration, rank))
