"""Recognition of a task by an agent that is not told of a change.

    python -m benchmarks.recognising open insert grasp --out recognising.json

Each of some held-out tasks is met by an agent that believes in another one, and acts
by that belief for an episode: the one in which it notices the change. Its library has
all of the tasks, from three explored episodes each. How often is the nearest entry the
task's? That is asked of the mistaken episode, of an explored one, and of three; and of
the mistaken one by a linear map that is fitted to such episodes of training tasks, of
all that the policy remembers of the episode and of what it believed.

And what does the next episode earn? If the agent explores; acts by its adaptation to
the mistaken episode; by the nearest entry; by both; or by three explored episodes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor
from tyro.conf import Positional

from benchmarks.lives_tables import cell
from meta.continual.draw import different
from meta.continual.senses import Senses, fit_senses, returns_of
from meta.experience.rollout import Experience, by_task, collect, some_episodes
from meta.library.embedding import (
    joined,
    live_with,
    task_features,
    training_tasks,
)
from meta.library.library import one_task
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily
from tasks.registry import find_family, make_env
from tasks.task import Task

TURNS = (1, 2, 3, 5)
"""Places by which beliefs are moved on among the tasks."""
RIDGE = 1e-2
QUERIES = ("mistaken", "mistaken, fitted", "explored", "three explored")
NEXT = (
    "explores",
    "acts by the mistaken episode",
    "acts by the nearest entry",
    "acts by both",
    "acts by three explored episodes",
)
"""Things to do in the episode after the mistaken one."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    families: Positional[tuple[str, ...]]
    """Task families."""
    policies: tuple[str, ...] = ()
    """Policy of each; shipped:FAMILY-explore by default."""
    tasks: int = 50
    """Held-out tasks in a library; fewer, of a family of few."""
    seeds: tuple[int, ...] = (100, 101, 102)
    """Seeds of the tasks and episodes; the training tasks' is 0."""
    out: Path | None = None
    """Write the raw numbers here."""


class Met(NamedTuple):
    """Episodes with some tasks, and what three of them make of each."""

    mistaken: Sequence[Experience]
    """By the beliefs about other tasks: one episode for each of `TURNS`."""
    believed: Sequence[Float[Tensor, "task dim"]]
    """Where those beliefs lie."""
    explored: Experience
    """Three episodes."""
    kept: Experience
    """Three others, that the library has."""
    entries: Float[Tensor, "task dim"]
    """Where each task lies by those."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    torch.set_num_threads(1)
    policies = o.policies or tuple(f"shipped:{name}-explore" for name in o.families)
    found = {
        spec: study(load_trained(spec), find_family(name, "cpu"), o)
        for name, spec in zip(o.families, policies, strict=True)
    }
    if o.out:
        o.out.write_text(json.dumps(found))
    heads = [f"`{spec.removeprefix('shipped:')}`" for spec in found]
    for title, rows in (
        ("entry nearest to", QUERIES),
        ("return of the next episode", NEXT),
    ):
        print(f"\n| {title} | " + " | ".join(heads) + " |")
        print("|---|" + "---:|" * len(heads))
        for row in rows:
            rate = rows is QUERIES
            cells = [cell(numbers[row], rate=rate) for numbers in found.values()]
            print(f"| {row} | " + " | ".join(cells) + " |")
    print("chance", ", ".join(f"{n['chance'][0]:.2f}" for n in found.values()))


def study(policy: Trained, family: TaskFamily, o: Options) -> dict[str, list[float]]:
    """Return how often each query finds its task, by seed."""
    senses = fit_senses(policy, threads=1)
    training = training_tasks(family, 0, 150)
    fitted = fit_map(policy, senses, meet(policy, senses, family, training, 0))
    found: dict[str, list[float]] = {name: [] for name in (*QUERIES, *NEXT, "chance")}
    for seed in o.seeds:
        tasks = different(family, "held-out", seed, o.tasks)
        met = meet(policy, senses, family, tasks, seed)
        one, three = (_whole(policy, met.explored, k) for k in (1, 3))
        mistaken = [_whole(policy, e, 1) for e in met.mistaken]
        mapped = [
            _inputs(policy, e, b) @ fitted
            for e, b in zip(met.mistaken, met.believed, strict=True)
        ]
        queries = {
            "mistaken": [senses.place(policy, a) for a in mistaken],
            "mistaken, fitted": mapped,
            "explored": [senses.place(policy, one)],
            "three explored": [senses.place(policy, three)],
        }
        for name, places in queries.items():
            found[name].append(float(np.mean([_right(p, met.entries) for p in places])))
        earned = earn_next(policy, family, tasks, met, queries["mistaken"][0], seed)
        for name, mean in zip(NEXT, earned, strict=True):
            found[name].append(mean)
        found["chance"].append(1 / len(tasks))
    return found


def meet(
    policy: Trained,
    senses: Senses,
    family: TaskFamily,
    tasks: Sequence[Task],
    seed: int,
) -> Met:
    """Meet some tasks, all different."""
    lived = live_with(policy, family, tasks, 6, seed, 1)
    first, second = (some_episodes(lived, slice(i, i + 3)) for i in (0, 3))
    belief = _whole(policy, first, 1)
    rng = derived_generator(seed, 1)
    env = make_env(family, worlds=len(tasks), threads=1)
    env.assign(tasks)
    mistaken: list[Experience] = []
    believed: list[Tensor] = []
    for turn in TURNS:
        other = {k: v.roll(turn, 0) for k, v in belief.items()}
        act = policy.learner.act(policy.theta, other)
        mistaken.append(by_task(collect(env, act, rng, explore=False), len(tasks)))
        believed.append(senses.place(policy, other))
    entries = senses.place(policy, _whole(policy, second, 3))
    return Met(mistaken, believed, first, second, entries)


def earn_next(
    policy: Trained,
    family: TaskFamily,
    tasks: Sequence[Task],
    met: Met,
    place: Float[Tensor, "task dim"],
    seed: int,
) -> list[float]:
    """Return the mean return of an episode after a mistaken one, for each of `NEXT`.

    Args:
        policy: the policy.
        family: the tasks' family.
        tasks: the tasks that were met.
        met: what was lived with them.
        place: where the first of the mistaken episodes lies.
        seed: decides the initial states.
    """
    env = make_env(family, worlds=len(tasks), threads=1)
    env.assign(tasks)
    nearest = torch.cdist(place, met.entries).argmin(1)
    entry = joined([one_task(met.kept, int(i)) for i in nearest], axis=0)
    mistaken = met.mistaken[0]
    known = (mistaken, entry, joined([entry, mistaken], axis=1), met.explored)
    beliefs = [_whole(policy, e, e.valid.shape[1]) for e in known]
    acts = [policy.learner.act(policy.theta, belief) for belief in beliefs]
    found = [float(returns_of(met.explored).mean())]
    for act in acts:
        rng = derived_generator(seed, 2)
        lived = by_task(collect(env, act, rng, explore=False), len(tasks))
        found.append(float(returns_of(lived).mean()))
    return found


def fit_map(policy: Trained, senses: Senses, met: Met) -> Float[Tensor, "input dim"]:
    """Fit places to mistaken episodes, by ridge regression."""
    pairs = zip(met.mistaken, met.believed, strict=True)
    x = torch.cat([_inputs(policy, e, b) for e, b in pairs])
    y = met.entries.repeat(len(TURNS), 1)
    size = x.square().mean(0).clamp(min=1e-8)
    penalty = (RIDGE * len(x) * size).diag()
    return torch.linalg.solve(x.T @ x + penalty, x.T @ y)


def _inputs(
    policy: Trained, episode: Experience, believed: Float[Tensor, "task dim"]
) -> Float[Tensor, "task input"]:
    """Return all that is remembered of an episode, the belief, and 1."""
    adapted = _whole(policy, episode, 1)
    memory = adapted["memory"]
    mean = memory[:, :-1] / memory[:, -1:].clamp(min=1)
    one = torch.ones(len(mean), 1)
    return torch.cat([mean, task_features(policy, adapted), believed, one], dim=1)


def _whole(policy: Trained, e: Experience, episodes: int) -> dict[str, Tensor]:
    """Return the adaptation to the first so many episodes."""
    part = some_episodes(e, slice(episodes))
    return policy.begin(len(part.valid)).after(part).adaptation


def _right(
    places: Float[Tensor, "task dim"], entries: Float[Tensor, "task dim"]
) -> float:
    """Return the share of tasks whose own entry is the nearest one."""
    nearest = torch.cdist(places, entries).argmin(1)
    return float((nearest == torch.arange(len(entries))).float().mean())


if __name__ == "__main__":
    main()
