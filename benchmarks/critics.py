"""Measure what a critic that sees all agents would spare the gradient of one.

    python -m benchmarks.critics shove --policies shipped:shove-oracle

Some teams live the episodes of an iteration of training, and advantages are estimated
over a baseline of the agent's own observations and over one of all agents', as in
training. What an agent's own action explains of its advantage is what it learns from,
and the rest is noise; a part of the noise is what the others did in that step, which no
critic of observations knows. Asked is the first action of an episode, and of each task
what the action and its square explain, in standard deviations from the policy's mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.teams import Study
from meta.experience import returns
from meta.experience.batch import make_batch
from meta.experience.rollout import Experience, by_task, collect, with_others
from meta.machine.seeds import derived_generator
from meta.training.trained import load_trained
from tasks.registry import find_family, make_env

EPISODES, RESAMPLES = 15, 1000
CRITICS = {"own": False, "all": True}


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of the study."""

    policies: tuple[str, ...] = ()
    """Policies that act; they do not adapt."""
    split: str = "train"
    """Split that the tasks are drawn from."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    if not (o.again or o.policies):
        raise SystemExit("name the policies: --policies shipped:shove-oracle ...")
    for raw in o.studies(lambda: study(o)):
        print_table(raw)


def study(o: Options) -> dict[str, Any]:
    """Estimate advantages by either critic, on the same episodes."""
    family = find_family(o.family)
    tasks = family.sample(o.split, o.seed, o.teams * family.team)
    found: dict[str, dict[str, list[list[float]]]] = {}
    for spec in o.policies:
        policy = load_trained(spec)
        worlds = len(tasks) * EPISODES
        told = policy.cfg.told
        env = make_env(family, worlds=worlds, oracle=told, threads=o.threads)
        env.assign([task for task in tasks for _ in range(EPISODES)])
        act = policy.begin(len(tasks)).act
        lived = collect(env, act, derived_generator(o.seed, 0))
        e = with_others(by_task(lived, len(tasks)), family.team)
        found[spec] = {
            name: explained(_first_advantage(policy.theta, e, central), e, family.team)
            for name, central in CRITICS.items()
        }
    return {"family": o.family, "seed": o.seed, "teams": o.teams, "explained": found}


def _first_advantage(theta: dict[str, Tensor], e: Experience, central: bool) -> Tensor:
    batch = make_batch(theta, e, 0.99, 1.0, pooled=False, central=central)
    return batch.advantage[..., 0]


def explained(advantage: Tensor, e: Experience, team: int) -> list[list[float]]:
    """Return sums by team: of squares, and what own and others' actions take off."""
    noise = e.old.noise(e.action)[:, :, 0]
    own = torch.cat([noise, noise**2], dim=-1)
    laid = own.unflatten(0, (-1, team))
    others = [laid.roll(-i, dims=1).flatten(0, 1) for i in range(1, team)]
    advantage = advantage - advantage.mean(1, keepdim=True)
    sums = [advantage.square()]
    for read in ([own], others):
        x = torch.cat([*read, torch.ones_like(advantage)[..., None]], dim=-1)
        weights = returns.fit_ridge(x, advantage, torch.ones_like(advantage))
        left = advantage.double() - (x.double() @ weights[..., None])[..., 0]
        # a fit to few episodes takes some off by chance
        count, free = advantage.shape[1] - 1, x.shape[-1] - 1
        sums.append(advantage.square() - left.square() * count / (count - free))
    return [s.unflatten(0, (-1, team)).sum((1, 2)).tolist() for s in sums]


def print_table(raw: dict[str, Any]) -> None:
    """Print the shares that actions explain."""
    rng = np.random.default_rng(raw["seed"])
    print(f"{raw['family']}, {raw['teams']} teams, seed {raw['seed']}\n")
    print("| policy | critic | own first action explains | the others' explain |")
    print("|---|---|---:|---:|")
    for spec, critics in raw["explained"].items():
        for name, rows in critics.items():
            all_of_it, *parts = np.array(rows)
            draws = rng.integers(len(all_of_it), size=(RESAMPLES, len(all_of_it)))
            cells = [spec.removeprefix("shipped:"), name]
            for part in parts:
                shares = part[draws].sum(1) / all_of_it[draws].sum(1)
                low, high = np.quantile(shares, [0.025, 0.975])
                share = part.sum() / all_of_it.sum()
                cells.append(f"{share:.2f} [{low:.2f}, {high:.2f}]")
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
