"""Measure policies on one of NoRML's environments before and after adapting.

    python -m benchmarks.norml Point runs/norml runs/plain

Returns of mean actions on held-out tasks; intervals over tasks.
"""

from dataclasses import dataclass

import numpy as np
import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from meta.evaluation.statistics import estimate, mean
from meta.experience.rollout import Rollout
from meta.training.trained import Adapted, Trained, load_trained
from tasks.contract import TaskFamily
from tasks.named import Trusted
from tasks.registry import find_family, make_env
from tasks.task import Task

EPISODES = (1, 5, 25)
MEASURED = 10


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the measurement."""

    environment: Positional[str]
    """Class of `examples.norml`."""
    policies: Positional[tuple[str, ...]]
    """Run folders or files."""
    tasks: int = 100
    """Held-out tasks."""
    seed: int = 0
    """Decides the tasks and the episodes."""


def main() -> None:
    """Measure, and print a row of a table for each policy."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    name = f"examples.norml:{o.environment}"
    family = find_family(name, "cpu")
    tasks = family.sample("held-out", o.seed, o.tasks)
    print("| policy | before | " + " | ".join(f"after {k}" for k in EPISODES) + " |")
    for spec in o.policies:
        policy = load_trained(spec, named=Trusted(family=(name,)))
        before = measured(policy.begin(o.tasks), family, tasks, o.seed + 2)
        cells = [cell(before, o.tasks)]
        for k in EPISODES:
            adapted = adapted_by(policy, family, tasks, k, o.seed + 1)
            cells.append(cell(measured(adapted, family, tasks, o.seed + 2), o.tasks))
        print(f"| {policy.cfg.method} | " + " | ".join(cells) + " |")


def adapted_by(
    policy: Trained, family: TaskFamily, tasks: list[Task], episodes: int, seed: int
) -> Adapted:
    """Adapt to every task by so many episodes."""
    env = make_env(family, worlds=len(tasks) * episodes)
    env.assign([task for task in tasks for _ in range(episodes)])
    return policy.adapt(env, seed=seed)


def measured(
    adapted: Adapted, family: TaskFamily, tasks: list[Task], seed: int
) -> Rollout:
    """Act by the mean on every task."""
    env = make_env(family, worlds=len(tasks) * MEASURED)
    env.assign([task for task in tasks for _ in range(MEASURED)])
    return adapted.measure(env, seed=seed)


def cell(rollout: Rollout, tasks: int) -> str:
    """Return the mean return over tasks with its interval, and the share of success."""

    def by_task(x: Tensor) -> np.ndarray:
        return x.double().reshape(tasks, MEASURED).mean(1).numpy()[None]

    e = estimate([by_task(rollout.returns)], mean, np.random.default_rng(0))
    success = by_task(rollout.success).mean()
    return f"{e.value:.2f} (tasks {e.low:.2f}, {e.high:.2f}), {success:.0%}"


if __name__ == "__main__":
    main()
